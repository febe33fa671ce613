# -*- test-case-name: tests.muc.model.test_announcements -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What tells everybody of changed affiliations (XEP-0045 §9, §10). Extensions stamp it for the sessions that have asked
for that (L{AffiliationStamps}); the others get it plain.
"""

from __future__ import annotations

from functools import cache, partial

from twisted.words.xish.domish import SerializedXML

from muccore.muc.model import presencebroadcast
from muccore.muc.model.departures import Departure
from muccore.muc.model.occupant import Occupant, OccupantSession
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.rendering import Actor, OccupantPresence
from muccore.muc.model.room import Room
from muccore.xmpp import ns
from muccore.xmpp.element import stanza
from muccore.xmpp.rendering import Rendered


class Announcer:
    """Announces what one request changes."""

    def __init__(self, room: Room, keys: list[str], actor: Actor | None) -> None:
        """@param keys: whose affiliations have changed, in the order in which they will be announced."""
        self._room = room
        self._actor = actor
        self._stamps = room.extensions.stampAffiliations(room, keys)

    def _stampFor(self, key: str, session: OccupantSession) -> bytes:
        stamps = self._stamps
        return b"" if stamps is None else stamps.stamps.get((key, stamps.groups.get(session.jid)), b"")

    def announcePresence(self, key: str, presence: OccupantPresence, exclude: Occupant | None = None) -> None:
        """
        Send a presence to all occupants but C{exclude}.

        @param key: whose affiliation it announces; C{""} if it announces none.
        """
        if self._stamps is None or not presence.shown:
            self._room.broadcastOccupant(presence, exclude)
            return

        @cache
        def versions(stamp: bytes) -> tuple[Rendered, Rendered]:
            stamped = presence.extended(stamp)
            return stamped.withoutJID(), stamped.withJID()

        self._room.audience.sendEach(
            lambda session: None if session.occupant is exclude else versions(self._stampFor(key, session))
        )

    def announceDeparture(self, key: str, departure: Departure) -> None:
        """Tell all others that somebody was removed, if they have not been told; C{key} as above."""
        stamped = None if self._stamps is None else partial(self.announcePresence, key, departure.presence)
        self._room.departures.tell(departure, stamped)

    def announceOccupant(self, key: str, occupant: Occupant, reason: str | None) -> None:
        """Send an occupant's present presence to all, the occupant last; C{key} as above."""
        presence = OccupantPresence(occupant, actor=self._actor, reason=reason)
        self.announcePresence(key, presencebroadcast.toOthers(self._room.settings, occupant, presence), occupant)
        for session in occupant.sessions.values():
            session.deliver(presence.extended(self._stampFor(key, session)).toSelf(session), session.to)

    def announceAbsent(self, key: str, reason: str | None) -> None:
        """
        Announce the affiliation of an absent user, or of a domain, to those who may see real JIDs (XEP-0045 §10.3,
        §10.6). A ban has the status of the presence that occupants who are banned cause (§9.1).
        """
        self._announce(key, reason, False)

    def announceEntry(self, key: str, reason: str | None) -> None:
        """
        Announce the affiliation of a user in the room for whom that of their domain counts, to those who are sent
        stamps: presence does not tell it.
        """
        if self._stamps is not None:
            self._announce(key, reason, True)

    def _announce(self, key: str, reason: str | None, isForStamped: bool) -> None:
        room, stamps = self._room, self._stamps
        entry = room.affiliations.entry(key)
        affiliation = entry.affiliation if entry is not None else Affiliation.NONE.xmlName

        @cache
        def version(stamp: bytes) -> Rendered:
            message = stanza("message", from_=room.jid.bare)
            x = message.add("x", ns.MUC_USER)
            if stamp:
                x.children.append(SerializedXML(stamp.decode()))
            item = x.add("item", jid=key, affiliation=affiliation)
            if reason:
                item.add("reason", text=reason)
            if affiliation == Affiliation.OUTCAST.xmlName:
                x.add("status", code="301")
            return Rendered.of(message).withoutElement()

        def versions(session: OccupantSession) -> tuple[Rendered, Rendered] | None:
            stamp = self._stampFor(key, session)
            if (everybody or session.occupant.role is Role.MODERATOR) and (stamp or not isForStamped):
                return (version(stamp),) * 2
            return None

        everybody = room.settings.nonAnonymous
        if stamps is not None:
            room.audience.sendEach(versions)
        elif everybody:
            room.audience.send(version(b""))
        else:
            room.audience.sendToModerators(version(b""))
