# -*- test-case-name: tests.stream.test_parser -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What a stream's parser gives.
"""

from __future__ import annotations

from typing import Final

from muccore.xmpp.element import Element


class Opened(Element):
    """
    The stream's header: its root with attributes and, in C{localPrefixes}, the prefixes it declares; no children.
    """

    __slots__ = ()


class Closed:
    """
    The stream's end tag.
    """

    __slots__ = ()


CLOSED: Final = Closed()
"""The only L{Closed}."""

Event = Element | Closed
"""What a parser gives: L{Opened}, then L{Element}s, then L{CLOSED}."""


__all__ = ["CLOSED", "Closed", "Event", "Opened"]
