# -*- test-case-name: tests.im.test_filters -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Filters of a user domain: what its handlers do with stanzas that its users send, and with those on the way to them.

A filter gets each stanza once: outbound before it is routed, inbound before it is delivered, offline when no session
can take it. It returns the stanza, or a changed copy of it, or L{CONSUMED}; it refuses by raising
L{StanzaError<muccore.xmpp.errors.StanzaError>}. Outbound and inbound filters return at once: waiting would let stanzas
of one sender overtake each other (RFC 6120 §10.1).
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

    @cvar LOADING: waits until what other filters need of an account is in memory.
    @cvar BLOCKING: refuses stanzas that must leave no trace (XEP-0191).
    @cvar ARCHIVE: stores them, perhaps with an id (XEP-0313, XEP-0359). What a client sends has its id, which is not
        for others, until L{COPIES} have been made.
    @cvar COPIES: sends copies to other sessions of the user (XEP-0280), of what has been stored.
    @cvar PRESENCE: keeps and broadcasts presence (RFC 6121 §4).
    @cvar STORE: stores messages for later (XEP-0160).
    """

    LOADING = 50
    BLOCKING = 100
    ARCHIVE = 200
    COPIES = 300
    PRESENCE = 400
    STORE = 500


LOADING: Final = Stage.LOADING
BLOCKING: Final = Stage.BLOCKING
ARCHIVE: Final = Stage.ARCHIVE
COPIES: Final = Stage.COPIES
PRESENCE: Final = Stage.PRESENCE
STORE: Final = Stage.STORE


class Filtered(Enum):
    """What a filter may return besides a stanza: it has C{CONSUMED} it, which is then neither filtered nor routed."""

    CONSUMED = 0


CONSUMED: Final = Filtered.CONSUMED

FilterKey = tuple[str, int]
"""C{message}, C{presence} or C{iq}, and the L{Stage} or another number."""

FilterTable = Mapping[FilterKey, Function]


class IFilterHandler(Interface):
    """
    A handler that has filters, in tables like those of
    L{ITableHandler<muccore.interfaces.handlers.ITableHandler>}: C{{(name, stage): function}}.
    """

    outbound = Attribute(
        "Called with the handler, the sender's L{ISession}, the stanza and its address (C{None} for presence without "
        "one). C{from} has been checked, and IQs obey RFC 6120 §8.2.3."
    )
    inbound = Attribute(
        "Called with the handler, the stanza, its address (an account or a session, which may not exist) and a tuple "
        "of the L{ISession}s that will get it. Not for IQs that an account sends to itself, nor for what a room "
        "delivers to its occupants. Requests of others to an account pass before a handler is asked to answer them, "
        "with no sessions."
    )
    redelivered = Attribute(
        "Called with the handler, a message and its address: one that has passed the inbound filters, and that a "
        "session was given, but not its client."
    )
    offline = Attribute(
        "Called with the handler, a message and its address, if it is of a type that may be stored (RFC 6121 §8.5.2.2) "
        "and no session can take it. If all return the message, it is refused with C{service-unavailable}, as it is "
        "for an account that does not exist: others must not learn which do. What is returned may be a Deferred or a "
        "coroutine: then the message counts as consumed, and a failure is sent back."
    )
