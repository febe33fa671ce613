# -*- test-case-name: tests.im.test_pushrules -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Which messages are worth waking a client up for (XEP-0357)."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from muccore.xmpp import ns
from muccore.xmpp.carbons import isFromRoom
from muccore.xmpp.element import Element

_CALLS: Final = frozenset({ns.JINGLE_MESSAGE, ns.JINGLE_MESSAGE_0})
_NEVER: Final = frozenset(["error", "groupchat", "headline"])
_ENCRYPTED: Final = (ns.ENCRYPTION, "encryption")
_INVITATION: Final = (ns.CONFERENCE, "x")


def isWorthPushing(message: Element) -> bool:
    """Whether a message, not of a room's conversation, says something to its user: text, a call, an invitation."""
    if message.attributes.get("type") in _NEVER:
        return False
    for child in message.childElements():
        key = (child.uri, child.name)
        if key == (ns.CLIENT, "body"):
            if child.text():
                return True
        elif key in (_ENCRYPTED, _INVITATION) or (child.uri in _CALLS and child.name == "propose") or isFromRoom(child):
            return True
    return False


def isMention(message: Element, account: str, room: str, nick: str) -> bool:
    """
    Whether a message of a room's conversation mentions a user: by their nick as a word, in any case, or by a reference
    (XEP-0372 §3.1).

    @param account: their bare JID.
    @param room: the room.
    @param nick: their nick there.
    """
    body = message.child("body", ns.CLIENT)
    if body is None:
        return False
    if _hasWord(body.text().casefold(), nick.casefold()):
        return True
    uris = {f"xmpp:{account}", f"xmpp:{room}/{nick}"}
    return any(
        (child.uri, child.name, child.get("type")) == (ns.REFERENCE, "reference", "mention")
        and unquote(child.get("uri") or "") in uris
        for child in message.childElements()
    )


def _hasWord(text: str, word: str) -> bool:
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        if not (text[max(0, start - 1) : start].isalnum() or text[end : end + 1].isalnum()):
            return True
        start = text.find(word, start + 1)
    return False
