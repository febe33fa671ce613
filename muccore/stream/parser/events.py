# -*- test-case-name: tests.stream.test_parser -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The events that a stream's parser yields."""

from __future__ import annotations

from typing import Final

from muccore.xmpp.element import Element


class StreamOpened(Element):
    """The stream's header: the root element, without children."""

    __slots__ = ()


class StreamClosed:
    """The stream's end tag."""

    __slots__ = ()


CLOSED: Final = StreamClosed()
"""The only L{StreamClosed}."""

Event = Element | StreamClosed
"""An event: L{StreamOpened}, then L{Element}s, then L{CLOSED}."""
