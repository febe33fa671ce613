# -*- test-case-name: tests.muc.model.test_forwarding -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The messages by which a room forwards one of its messages to users who are not in it: of type C{normal}, from the room,
with the message as it was sent to all (XEP-0297). What it says to clients that do not know that is marked as a fallback
(XEP-0428). Servers are asked to store it (XEP-0334).
"""

from __future__ import annotations

from typing import Final

from muccore.muc.model.room import Room
from muccore.muc.model.roommessage import RoomMessage
from muccore.xmpp import ns
from muccore.xmpp.datetimes import stamp
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import Rendered, escapeAttribute, escapeText, toAttribute
from muccore.xmpp.uniqueids import newId

TEXT_LIMIT: Final = 200
"""Characters of a message that the fallback repeats."""


def forwardedCopy(room: Room, message: RoomMessage) -> Element:
    """Make the copy of a message."""
    return _forwarding(room, message, ns.FORWARD, f"{_nick(message)}: ")


def mentionNotification(room: Room, message: RoomMessage) -> Element:
    """Make the notification of those who are mentioned in a message (XEP-0452 §3.2)."""
    return _forwarding(room, message, ns.MENTION_NOTIFICATIONS, f"{_nick(message)} mentioned you: ")


def _nick(message: RoomMessage) -> str:
    return message.sender.partition("/")[2]


def _forwarding(room: Room, message: RoomMessage, namespace: str, prefix: str) -> Element:
    """
    @param namespace: that of the element which the fallback stands for.
    @param prefix: how the fallback begins.
    """
    body = message.message.childText("body")
    fallback = ""
    if body is not None:
        text = body if len(body) <= TEXT_LIMIT else f"{body[: TEXT_LIMIT - 1]}…"
        fallback = f"<body>{escapeText(prefix + text)}</body><fallback xmlns='{ns.FALLBACK}' for='{namespace}'/>"
    opening, closing = "", ""
    if namespace != ns.FORWARD:
        opening, closing = f"<mentions xmlns='{namespace}'>", "</mentions>"
    delay = f"<delay xmlns='{ns.DELAY}' stamp='{stamp(message.when)}'/>"
    head = f" from='{escapeAttribute(room.jid.bare)}' id='{newId()}'>{opening}<forwarded xmlns='{ns.FORWARD}'>{delay}"
    address = f" xmlns='{ns.CLIENT}'".encode() + toAttribute(room.jid.bare)
    tail = f"</forwarded>{closing}{fallback}<store xmlns='{ns.HINTS}'/></message>"
    inside = message.rendered.addressed(address)
    return Rendered(b"<message", b"".join((head.encode(), inside, tail.encode()))).element
