# -*- test-case-name: tests.im.test_archiverules -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Which messages of users are archived (XEP-0313 §6.1.1, XEP-0334).

The text wants those of type C{normal} and C{chat} with a body, and leaves the rest open. Beyond these, as in Prosody
and ejabberd, subjects and what its sender wants to have stored; as in Prosody, also what clients need to know when they
catch up: receipts and markers, invitations to rooms, encrypted messages whose content is elsewhere, and calls. Chat
states say nothing later. Retractions are archived whatever their sender wants (XEP-0424 §5): without them, those
who come later would still show what was retracted.
"""

from __future__ import annotations

from typing import Final

from muccore.xmpp import ns
from muccore.xmpp.carbons import isFromRoom
from muccore.xmpp.element import Element
from muccore.xmpp.retractions import isRetraction

_REFUSED: Final = frozenset({(ns.HINTS, "no-store"), (ns.HINTS, "no-permanent-store")})
_STORE: Final = (ns.HINTS, "store")
_BODY: Final = (ns.CLIENT, "body")

_CONTENT: Final = frozenset(
    {
        _BODY,
        (ns.CLIENT, "subject"),
        (ns.RECEIPTS, "received"),
        (ns.CHAT_MARKERS, "received"),
        (ns.CHAT_MARKERS, "displayed"),
        (ns.CHAT_MARKERS, "acknowledged"),
        (ns.CONFERENCE, "x"),
        (ns.ENCRYPTION, "encryption"),
    }
)
_CALLS: Final = frozenset({ns.JINGLE_MESSAGE, ns.JINGLE_MESSAGE_0})
_RETRACTIONS: Final = frozenset({ns.RETRACT, ns.FASTEN})


def isArchived(message: Element) -> bool:
    """Whether the archive of a user keeps a message, as far as that depends on the message."""
    type = message.attributes.get("type")
    if type in ("error", "groupchat"):
        return False
    wanted = refused = stored = False
    for child in message.children:
        if isinstance(child, str):
            continue
        uri = child.uri
        key = (uri, child.name)
        if key in _CONTENT or uri in _CALLS:
            wanted = True
        elif key == _STORE:
            stored = True
        elif key in _REFUSED:
            refused = True
        elif uri in _RETRACTIONS:
            if isRetraction(message):
                return True
        elif uri == ns.MUC_USER and isFromRoom(child):
            wanted = True
    # Headlines are news, not conversation.
    return not refused and (stored or (wanted and type != "headline"))
