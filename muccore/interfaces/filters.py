# -*- test-case-name: tests.im.test_filters -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Filters of a user domain: what its handlers do with stanzas that its users send.

A filter sees a stanza before it is routed, once. It returns the stanza, or a changed copy of it, or L{CONSUMED}; it
refuses by raising L{StanzaError<muccore.xmpp.errors.StanzaError>}. It returns at once: waiting would let stanzas of
one sender overtake each other (RFC 6120 §10.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import Final

from zope.interface import Attribute, Interface

from muccore.interfaces.handlers import Function


class Stage(IntEnum):
    """
    The order of filters: lower ones first. Other numbers may stand between these. Filters with the same number follow
    the order of their handlers, which is that of the configuration.

    @cvar BLOCKING: refuses stanzas that must leave no trace (XEP-0191).
    @cvar ARCHIVE: stores them, perhaps with an id (XEP-0313, XEP-0359).
    @cvar COPIES: sends copies to other sessions of the user (XEP-0280), of what has been stored.
    @cvar PRESENCE: keeps and broadcasts presence (RFC 6121 §4).
    """

    BLOCKING = 100
    ARCHIVE = 200
    COPIES = 300
    PRESENCE = 400


BLOCKING: Final = Stage.BLOCKING
ARCHIVE: Final = Stage.ARCHIVE
COPIES: Final = Stage.COPIES
PRESENCE: Final = Stage.PRESENCE


class Filtered(Enum):
    """
    What a filter may return besides a stanza.

    @cvar CONSUMED: it has handled the stanza, which is neither filtered further nor routed.
    """

    CONSUMED = 0


CONSUMED: Final = Filtered.CONSUMED

FilterKey = tuple[str, int]
"""C{message}, C{presence} or C{iq}, and the L{Stage} or another number."""

FilterTable = Mapping[FilterKey, Function]


class IFilterHandler(Interface):
    """
    A handler that has filters, in tables like those of
    L{ITableHandler<muccore.interfaces.handlers.ITableHandler>}.
    """

    outbound = Attribute(
        "C{{(name, stage): function}}, called with the handler, the sender's L{ISession}, the stanza and its address "
        "(C{None} for presence without one). C{from} has been checked, and IQs obey RFC 6120 §8.2.3."
    )


__all__ = [
    "ARCHIVE", "BLOCKING", "CONSUMED", "COPIES", "PRESENCE", "FilterKey", "FilterTable", "Filtered", "IFilterHandler",
    "Stage",
]
