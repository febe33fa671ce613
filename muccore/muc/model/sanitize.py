# -*- test-case-name: tests.muc.model.test_sanitize -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The stanzas that a room forwards, built without what only the room may send. The incoming stanza stays unchanged, since
an error to its sender repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID, InvalidJID, parse

LANG: Final = (ns.XML, "lang")
"""The key of the attribute C{xml:lang}."""

_LANGUAGE_LIMIT: Final = 64
"""Longer than any sensible tag (RFC 5646 §4.4.1); rooms repeat and store it."""

_ROOM_ONLY: Final = frozenset({ns.HATS, ns.MUC_USER, ns.OCCUPANT_ID, "xmpp:prosody.im/protocol/hats:1"})
"""Namespaces of which only rooms may send elements. COMPAT: the last is that of hats in older clients."""


def languageOf(element: Element) -> str | None:
    """The language that an element declares; C{None} for one that is too long, too."""
    language = element.attributes.get(LANG)
    return language if language is None or len(language) <= _LANGUAGE_LIMIT else None


def isForged(delay: Element, room: JID) -> bool:
    """
    Whether a C{<delay/>} from outside claims the stamp of the room or its service (XEP-0203 §5). Addresses are compared
    prepared, as clients do; a missing or invalid one counts as the room's, which sends the stanza.
    """
    try:
        stamped = parse(delay.attributes["from"])
    except (KeyError, InvalidJID):
        return True
    return stamped.bare in (room.bare, room.domain)


def isRoomOnly(child: Element, room: JID) -> bool:
    """
    Whether only the room may send a child: C{muc#user} (XEP-0045 §17.3), a forged delay, an occupant id (XEP-0421 §5),
    hats (XEP-0317), or a stanza id of the room (XEP-0359 §3).
    """
    uri = child.uri
    return (
        uri in _ROOM_ONLY
        or (uri == ns.DELAY and isForged(child, room))
        or (uri == ns.STANZA_ID and child.name == "stanza-id" and _isBy(child, room))
    )


def _isBy(stanzaId: Element, room: JID) -> bool:
    """Whether a stanza id claims to be the room's."""
    try:
        return parse(stanzaId.attributes["by"]) == room
    except (KeyError, InvalidJID):
        return True


def withAttributes(element: Element, attributes: Mapping[Any, str]) -> Element:
    """A copy of an element with further attributes and its own list of the same children."""
    made = Element((element.uri, element.name), None, {**element.attributes, **attributes})
    made.children = [*element.children]
    return made


def fromOccupant(stanza: Element, address: str, room: JID) -> Element:
    """The stanza that the room sends on behalf of the occupant of an occupant JID."""
    made = Element((stanza.uri, stanza.name), None, {**stanza.attributes, "from": address})
    made.children = [child for child in stanza.children if isinstance(child, str) or not isRoomOnly(child, room)]
    return made


def stripErrorBy(outgoing: Element) -> None:
    """
    Remove the address of the refusing entity (RFC 6120 §8.3.2) from an error: between occupants it would reveal a real
    JID or its domain (XEP-0045 §17.4).

    @param outgoing: a stanza built by the room; its C{<error/>} may be shared and is replaced.
    """
    error = outgoing.child("error")
    if error is not None and "by" in error.attributes:
        bare = withAttributes(error, {})
        del bare.attributes["by"]
        outgoing.children = [bare if child is error else child for child in outgoing.children]
