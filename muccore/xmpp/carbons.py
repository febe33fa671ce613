# -*- test-case-name: tests.xmpp.test_carbons -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Message carbons (XEP-0280): which messages are copied to other clients of a user, and what a copy looks like."""

from __future__ import annotations

import re
from typing import Final

from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import Rendered, escapeAttribute, toAttribute

_PAYLOADS: Final = frozenset([ns.RECEIPTS, ns.CHAT_STATES, ns.CHAT_MARKERS])
"""What is typically used in instant messaging (§6.1)."""

_FROM_ROOMS: Final = frozenset(["invite", "decline"])

_COPY: Final = re.compile(
    rf"(?: type='[^']*')? from='[^'/]*'><(?:sent|received) xmlns='{ns.CARBONS}'><forwarded xmlns='{ns.FORWARD}'>"
    rf"<message xmlns='{ns.CLIENT}' to='[^']*'".encode()
)
"""The beginning of the tail of a copy, with an account as C{from}, which no client can send."""


def isExcluded(message: Element) -> bool:
    """Whether its sender wants no copies (§9; XEP-0334 §4.4)."""
    return message.child("private", ns.CARBONS) is not None or message.child("no-copy", ns.HINTS) is not None


def isEligible(message: Element) -> bool:
    """
    Whether copies are made of a message by its type and content (§6.1). Private messages of rooms and errors, which
    need to be looked at otherwise, are left to the caller.
    """
    type = message.attributes.get("type")
    if type in ("groupchat", "error") or isExcluded(message):
        return False
    if type == "chat":
        return True
    for child in message.childElements():
        if child.uri == ns.CLIENT:
            # Of another type, such as headline, it is no conversation.
            if child.name == "body" and type in (None, "normal"):
                return True
        elif child.uri in _PAYLOADS or (child.uri, child.name) == (ns.CONFERENCE, "x") or isFromRoom(child):
            return True
    return False


def isFromRoom(child: Element) -> bool:
    """Whether a child of a message is an invitation that a room sends, or the refusal of one (XEP-0045 §7.8.2)."""
    return (child.uri, child.name) == (ns.MUC_USER, "x") and any(
        each.name in _FROM_ROOMS for each in child.childElements()
    )


def isPrivateMessage(message: Element) -> bool:
    """Whether a message is marked as one between occupants of a room (XEP-0045 §7.5), and is no invitation."""
    x = message.child("x", ns.MUC_USER)
    return x is not None and not isFromRoom(x)


def copyOf(message: Element, direction: str, account: str) -> Rendered:
    """
    Make a copy (§7, §8).

    @param direction: C{sent} or C{received}.
    @param account: the bare JID of the user who gets it.
    """
    type = message.attributes.get("type")
    ofType = "" if type is None else f" type='{escapeAttribute(type)}'"
    opening = f"<{direction} xmlns='{ns.CARBONS}'><forwarded xmlns='{ns.FORWARD}'>"
    head = f"{ofType} from='{escapeAttribute(account)}'>{opening}".encode()
    address = f" xmlns='{ns.CLIENT}'".encode() + toAttribute(message.attributes["to"])
    inside = Rendered.of(message).addressed(address)
    return Rendered(b"<message", b"".join((head, inside, f"</forwarded></{direction}></message>".encode())))


def isCopy(stanza: Rendered) -> bool:
    """Whether a stanza that the server has sent to a client is a copy."""
    return stanza.name == "message" and _COPY.match(stanza.tail) is not None


def tailInside(copy: Rendered) -> bytes:
    """What L{Rendered.tail} was of the message in a copy, by L{isCopy}."""
    beginning = _COPY.match(copy.tail)
    assert beginning is not None, "it is a copy"
    return copy.tail[beginning.end() : copy.tail.rindex(b"</forwarded>")]
