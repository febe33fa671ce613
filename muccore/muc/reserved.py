# -*- test-case-name: tests.muc.test_reserved -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What only a room may say: nobody else's stanza carries it through the room.
"""

from __future__ import annotations

from muccore import ns
from muccore.element import Element
from muccore.jid import JID, InvalidJID, parse


def isForged(delay: Element, room: JID) -> bool:
    """
    Whether a C{<delay/>} that came from outside reads as if the room or its service had stamped it (XEP-0203 §5).
    Addresses are compared as clients do, prepared; one that names nobody reads as the room's, since the room sends it.
    """
    try:
        stamped = parse(delay.attributes["from"])
    except (KeyError, InvalidJID):
        return True
    return stamped.bare in (room.bare, room.domain)


def isReserved(child: Element, room: JID) -> bool:
    """
    Whether a child of a stanza from outside is the room's alone to send: C{muc#user} (XEP-0045 §17.3), or a forged
    delay.
    """
    return child.uri == ns.MUC_USER or (child.uri == ns.DELAY and isForged(child, room))


def hideRefuser(stanza: Element) -> None:
    """
    Take out of an error stanza the address of who refuses (RFC 6120 §8.3.2): between occupants it would tell a real
    JID or where somebody has his account (XEP-0045 §17.4).
    """
    error = stanza.child("error")
    if error is not None:
        error.attributes.pop("by", None)
