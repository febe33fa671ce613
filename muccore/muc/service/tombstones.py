# -*- test-case-name: tests.muc.service.test_tombstones -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tombstones of rooms that an owner has destroyed (XEP-0045 §10.9).

Who addresses such a room is told that it is gone, and where to go instead, so that it is not created by mistake by
whoever still has it among their bookmarks. A former owner may create it anew. Only persistent rooms leave a tombstone:
the addresses of others are free whenever nobody is left in them.

Of a room that not everybody could enter, only those who had an affiliation are told the reason and the new venue.
"""

from __future__ import annotations

from typing import Final

from muccore.interfaces import Tombstone
from muccore.muc.model.privileges import AFFILIATIONS, Affiliation
from muccore.muc.model.room import Room
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, parse
from muccore.xmpp.uris import xmppURI

REASON_LIMIT: Final = 1024
"""Characters of a reason that are kept."""

AFFILIATES: Final = 1000
"""Affiliations that are kept, the highest first."""


def tombstoneOf(room: Room, time: float, venue: JID | None, reason: str | None) -> Tombstone | None:
    """
    Make the tombstone of a room that its owner destroys.

    @param time: how long it is kept, in seconds; 0: not at all.
    @param venue: the room to go to instead, or C{None}.
    @return: C{None} if the room leaves none.
    """
    settings, now = room.settings, room.now()
    if not time or not settings.persistent:
        return None
    isOpen = not settings.membersOnly and not settings.password
    affiliates: dict[str, str] = {}
    for affiliation in (Affiliation.OWNER,) if isOpen else (Affiliation.OWNER, Affiliation.ADMIN, Affiliation.MEMBER):
        for jid, _ in room.affiliations.withAffiliation(affiliation):
            if len(affiliates) < AFFILIATES:
                affiliates[jid] = affiliation.xmlName
    address = None if venue is None else venue.full
    return Tombstone(now, now + time, address, reason and reason[:REASON_LIMIT], isOpen, affiliates)


def mayReplace(tombstone: Tombstone, user: JID) -> bool:
    """Whether a user was an owner of the room, who may create it anew."""
    return _affiliation(tombstone, user) is Affiliation.OWNER


def gone(tombstone: Tombstone, user: JID) -> StanzaError:
    """Make the error that tells a user that a room is gone (RFC 6120 §8.3.3.5)."""
    if not tombstone.open and _affiliation(tombstone, user) is Affiliation.NONE:
        return StanzaError("gone")
    error = StanzaError("gone", text=tombstone.reason)
    if tombstone.venue is not None:
        venue = parse(tombstone.venue)
        error.uri = xmppURI(venue, "join" if venue.local else "")
    return error


def _affiliation(tombstone: Tombstone, user: JID) -> Affiliation:
    affiliates = tombstone.affiliates
    word = affiliates.get(user.bare) or affiliates.get(user.domain)
    return Affiliation.NONE if word is None else AFFILIATIONS[word]
