# -*- test-case-name: tests.muc.model.test_sanitize -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What a room passes on of a stanza: a stanza of the room's own, without what only the room may send. The one that came
in stays as it was, since an error goes back to its sender with what they sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID, InvalidJID, parse


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


def isRoomOnly(child: Element, room: JID) -> bool:
    """
    Whether a child of a stanza from outside is the room's alone to send: C{muc#user} (XEP-0045 §17.3), or a forged
    delay.
    """
    return child.uri == ns.MUC_USER or (child.uri == ns.DELAY and isForged(child, room))


def withAttributes(element: Element, attributes: Mapping[Any, str]) -> Element:
    """A copy of an element with other attributes. It has a list of children of its own; the children are shared."""
    made = Element((element.uri, element.name), None, {**element.attributes, **attributes})
    made.children = [*element.children]
    return made


def fromOccupant(stanza: Element, address: str, room: JID) -> Element:
    """
    A stanza as the room sends it on behalf of an occupant.

    @param address: the occupant JID.
    """
    made = Element((stanza.uri, stanza.name), None, {**stanza.attributes, "from": address})
    made.children = [child for child in stanza.children if isinstance(child, str) or not isRoomOnly(child, room)]
    return made


def stripErrorBy(outgoing: Element) -> None:
    """
    Take the address of the entity that refuses (RFC 6120 §8.3.2) out of an error that is about to be sent: between
    occupants it would tell a real JID or the domain of an account (XEP-0045 §17.4).

    @param outgoing: a stanza of the room's own; its C{<error/>} may be shared and is replaced.
    """
    error = outgoing.child("error")
    if error is not None and "by" in error.attributes:
        bare = withAttributes(error, {})
        del bare.attributes["by"]
        outgoing.children = [bare if child is error else child for child in outgoing.children]
