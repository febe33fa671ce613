# -*- test-case-name: tests.session.test_clientstate -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What an inactive client (XEP-0352) is sent later: presence, of each sender the latest one, and chat states, of each
conversation.

Everything else is sent at once, with all that was held before it, so that nothing overtakes anything (RFC 6120 §10.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import Rendered

COUNT_LIMIT: Final = 500
"""Stanzas that are held; more are sent, all together."""

SIZE_LIMIT: Final = 128 * 1024
"""Their bytes."""

_FROM: Final = re.compile(rb" from='([^']*)'")
_OWN: Final = b"code='110'"
_BODY: Final = b"<body"
_CHAT_STATES: Final = ns.CHAT_STATES.encode()
_BESIDES: Final = frozenset([ns.CHAT_STATES, ns.HINTS, ns.STANZA_ID, ns.OCCUPANT_ID, ns.DELAY])
"""What a message that is a mere chat state may have, besides a thread."""


class Out(Protocol):
    """What stanzas are sent to: a stream or its stream management."""

    def send(self, stanza: Rendered, to: bytes) -> None:
        """See L{IStream.send<muccore.interfaces.IStream.send>}."""

    def sendAll(self, stanzas: Sequence[Rendered], to: bytes) -> None:
        """See L{IStream.sendAll<muccore.interfaces.IStream.sendAll>}."""


class HeldStanzas:
    """Stands between a session and what it sends to."""

    __slots__ = ("_held", "_passed", "_size", "out")

    def __init__(self, out: Out, passed: Callable[[Rendered], None] | None = None) -> None:
        """@param passed: told of messages that are sent although the client is inactive."""
        self.out = out
        self._passed = passed
        self._held: dict[bytes, tuple[Rendered, bytes]] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._held)

    def send(self, stanza: Rendered, to: bytes) -> None:
        """Send a stanza, or hold it; see L{Out.send}."""
        key = _keyOf(stanza)
        if key is None:
            self.flush()
            self.out.send(stanza, to)
            if self._passed is not None and stanza.name == "message":
                self._passed(stanza)
            return
        old = self._held.pop(key, None)
        if old is not None:
            self._size -= len(old[0].tail)
        # Again: after those that came in the meantime.
        self._held[key] = stanza, to
        self._size += len(stanza.tail)
        if len(self._held) > COUNT_LIMIT or self._size > SIZE_LIMIT:
            self.flush()

    def sendAll(self, stanzas: Sequence[Rendered], to: bytes) -> None:
        """Send several stanzas that were asked for; see L{Out.sendAll}. They are not held."""
        self.flush()
        self.out.sendAll(stanzas, to)

    def flush(self) -> None:
        """Send what is held."""
        held, self._held, self._size = self._held, {}, 0
        for stanza, to in held.values():
            self.out.send(stanza, to)


def _keyOf(stanza: Rendered) -> bytes | None:
    """What a stanza that can wait replaces; C{None} if it cannot."""
    tail = stanza.tail
    if stanza.name == "presence":
        # What concerns the user cannot: that they have been removed from a room, say (XEP-0045 §15.6).
        if stanza.type not in (None, "unavailable") or _OWN in tail:
            return None
        conversation: str | None = ""
    elif stanza.name != "message" or _CHAT_STATES not in tail or _BODY in tail:
        return None
    else:
        conversation = _conversationOf(stanza.element)
    sender = _FROM.search(tail, 0, tail.index(b">"))
    if sender is None or conversation is None:
        return None
    return b"\n".join((stanza.head, sender[1], conversation.encode()))


def _conversationOf(message: Element) -> str | None:
    """
    What a message is about that, or a copy (XEP-0280) of which, is a mere chat state: its type, which tells what is
    said in a room from what an occupant says in private; of a copy, the direction and the addresses as well. C{None} if
    it is something else.
    """
    type: str = message.attributes.get("type", "")
    if type == "error":
        return None
    for child in message.childElements():
        if child.uri == ns.CARBONS and child.name in ("sent", "received"):
            forwarded = child.child("forwarded", ns.FORWARD)
            inside = None if forwarded is None else forwarded.child("message", ns.CLIENT)
            copied = None if inside is None else _conversationOf(inside)
            if inside is None or copied is None:
                return None
            return "\n".join((child.name, inside.attributes.get("from", ""), inside.attributes.get("to", ""), copied))
        if child.uri not in _BESIDES and (child.uri, child.name) != (ns.CLIENT, "thread"):
            return None
    return type
