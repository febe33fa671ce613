# -*- test-case-name: tests.muc.protocol.test_presence -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A room: who is in it, and what everybody hears when that changes (XEP-0045 §7).

A room is told things and calls C{deliver} on seats. It reads no stanza that it was not given, waits for nothing and
knows no reactor. What is said in it is in L{muccore.muc.model.messages}, changes of roles and affiliations in
L{muccore.muc.model.privilegechanges}, its configuration in L{muccore.muc.model.configuration}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from muccore.interfaces import RoomRecord, Subject
from muccore.muc.model.affiliations import Affiliations, Changes
from muccore.muc.model.changequeue import ChangeQueue
from muccore.muc.model.history import History, HistoryOptions
from muccore.muc.model.occupant import Deliver, Occupant, OccupantSession
from muccore.muc.model.privileges import Affiliation, Role, initialRole
from muccore.muc.model.rendering import OccupantPresence, facesOf
from muccore.muc.model.roomsettings import RoomSettings
from muccore.xmpp import ns
from muccore.xmpp.datetimes import stamp
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered

RESERVED_PLACES: Final = 10
"""How many admins and owners find room in a full room (XEP-0045 §7.2.9)."""


@dataclass(frozen=True)
class JoinRequest:
    """
    What somebody who wants to enter brings.

    @ivar jid: his full JID.
    @ivar nick: the nick that he shall have.
    @ivar deliver: takes what the room sends him.
    @ivar payload: his presence, from L{muccore.muc.model.rendering.payloadOf}.
    @ivar password: the password that he gave, or C{None}.
    @ivar history: how much history he wants.
    @ivar id: the id of his presence.
    @ivar renamed: he asked for another nick than C{nick} (status 210).
    """

    jid: JID
    nick: str
    deliver: Deliver
    payload: bytes
    password: str | None = field(default=None, repr=False)
    history: HistoryOptions = field(default_factory=HistoryOptions)
    id: str | None = None
    renamed: bool = False


class Room:
    """
    One room.

    @ivar jid: its bare JID.
    @ivar settings: its configuration.
    @ivar affiliations: who is what.
    @ivar subject: its subject, or C{None} if it never had one.
    @ivar occupants: who is in, by nick, in the order in which they came.
    @ivar sessions: their sessions, by full JID.
    @ivar locked: its owner has not yet accepted a configuration; nobody else may enter (XEP-0045 §10.1).
    @ivar changeQueue: kept here for whoever brings stanzas to the room; the room itself does not look at it.
    """

    def __init__(
        self,
        jid: JID,
        settings: RoomSettings,
        affiliations: Affiliations,
        now: Callable[[], float],
        subject: Subject | None = None,
        locked: bool = False,
    ) -> None:
        """@param now: gives the time, in seconds since the epoch."""
        self.jid = jid
        self.settings = settings
        self.affiliations = affiliations
        self.subject = subject
        self.locked = locked
        self.now = now
        self.history = History(jid.bare, settings.historyLength)
        self.occupants: dict[str, Occupant] = {}
        self.sessions: dict[str, OccupantSession] = {}
        self.changeQueue = ChangeQueue()

    def record(self, settings: RoomSettings | None = None, changes: Changes | None = None) -> RoomRecord:
        """
        The room as it is stored.

        @param settings: a new configuration, or C{None} for the room's own.
        @param changes: changes of affiliations that come with it.
        """
        affiliates = {**self.affiliations.entries(), **(changes or {})}
        return RoomRecord(
            affiliates={jid: entry for jid, entry in affiliates.items() if entry is not None},
            subject=self.subject,
            **(settings or self.settings).stored(),
        )

    # Who is who

    def occupantByRealJID(self, full: str) -> Occupant | None:
        """Who has a session with this full JID here."""
        seat = self.sessions.get(full)
        return seat.occupant if seat is not None else None

    def occupantsAffectedBy(self, key: str) -> list[Occupant]:
        """Everybody here whose affiliation an entry for this bare JID or domain decides."""
        if "@" in key:
            return [occupant for occupant in self.occupants.values() if occupant.account.bare == key]
        stands = self.affiliations.hasExplicit
        return [
            occupant
            for occupant in self.occupants.values()
            if occupant.account.domain == key and (occupant.account.bare == key or not stands(occupant.account.bare))
        ]

    def canSeeRealJIDs(self, occupant: Occupant) -> bool:
        """Whether an occupant may see real JIDs (XEP-0045 §7.2.3, §7.2.4)."""
        return self.settings.nonAnonymous or occupant.role is Role.MODERATOR

    def updateVisibility(self, occupant: Occupant) -> bool:
        """
        Bring up to date what follows from an occupant's role and the room's configuration.

        @return: whether he may see real JIDs now and could not before.
        """
        occupant.cachedPresence = None
        saw, sees = occupant.primary.seesJIDs, self.canSeeRealJIDs(occupant)
        for seat in occupant.sessions.values():
            seat.seesJIDs = sees
        return sees and not saw

    # Telling

    def broadcastOccupant(self, notice: OccupantPresence, but: Occupant | None = None) -> None:
        """
        Send a presence to everybody, each in the face that he may see.

        @param but: who is left out.
        """
        anonymous, identified = notice.withoutJID(), notice.withJID()
        for seat in self.sessions.values():
            if seat.occupant is not but:
                seat.deliver(identified if seat.seesJIDs else anonymous, seat.to)

    def broadcastPresence(
        self,
        occupant: Occupant,
        codes: Iterable[int] = (),
        ownCodes: Iterable[int] = (),
        actor: str | None = None,
        reason: str | None = None,
        id: str | None = None,
        but: OccupantSession | None = None,
    ) -> None:
        """
        Send an occupant's presence, as it is now, to everybody, himself last.

        @param codes: status codes for everybody.
        @param ownCodes: status codes for himself.
        @param but: the session of his that is left out, since it hears of it in another way.
        """
        notice = OccupantPresence(occupant, codes=codes, actor=actor, reason=reason)
        self.broadcastOccupant(notice, occupant)
        self._tellSelf(occupant, notice, ownCodes, id, but)

    def _tellSelf(
        self,
        occupant: Occupant,
        notice: OccupantPresence,
        codes: Iterable[int] = (),
        id: str | None = None,
        but: OccupantSession | None = None,
    ) -> None:
        for seat in occupant.sessions.values():
            if seat is not but:
                seat.deliver(notice.toSelf(seat, codes, id), seat.to)

    def broadcast(self, message: Element, moderatorsOnly: bool = False) -> Rendered:
        """Send a message to everybody (or to moderators only)."""
        rendered = Rendered.of(message)
        if moderatorsOnly:
            for seat in self.sessions.values():
                if seat.occupant.role is Role.MODERATOR:
                    seat.deliver(rendered, seat.to)
        else:
            for seat in self.sessions.values():
                seat.deliver(rendered, seat.to)
        return rendered

    def broadcastTo(self, message: Element, occupants: Iterable[Occupant]) -> None:
        """Send a message to some occupants, with all their sessions."""
        rendered = Rendered.of(message)
        for occupant in occupants:
            for seat in occupant.sessions.values():
                seat.deliver(rendered, seat.to)

    # Entering

    def enter(self, entry: JoinRequest, created: bool = False) -> Occupant:
        """
        Let somebody in and send everybody what XEP-0045 §7.1 says, in that order; or send one who is in already
        everything again (§17.3).

        @param created: he has just created the room (status 201).
        @raise StanzaError: if he may not enter; nothing has been sent then.
        """
        seat = self.sessions.get(entry.jid.full)
        if seat is not None:
            return self._resynchronise(seat, entry)
        affiliation = self.affiliations.get(entry.jid)
        occupant = self._checkMayEnter(entry, affiliation)
        if occupant is None:
            role = initialRole(affiliation, self.settings.moderated)
            occupant = Occupant(self.jid, entry.nick, entry.jid.bareJID(), affiliation, role)
            self.occupants[entry.nick] = occupant
        seat = self.sessions[entry.jid.full] = occupant.addSession(entry.jid.full, entry.deliver, entry.payload)
        seat.seesJIDs = self.canSeeRealJIDs(occupant)
        self.broadcastPresence(occupant, but=seat)
        self._sendInitialState(seat, entry, created)
        return occupant

    def _checkMayEnter(self, entry: JoinRequest, affiliation: Affiliation) -> Occupant | None:
        """
        Check whether somebody may enter under his nick.

        @return: the occupant whom he is already, by another session.
        @raise StanzaError: see the table in XEP-0045 §7.2.17.
        """
        settings = self.settings
        if affiliation is Affiliation.OUTCAST:
            raise StanzaError("forbidden")
        if self.locked and affiliation is not Affiliation.OWNER:
            raise StanzaError("item-not-found", text="The room has not been configured yet.")
        if settings.membersOnly and affiliation is Affiliation.NONE:
            raise StanzaError("registration-required")
        if settings.password and entry.password != settings.password:
            raise StanzaError("not-authorized")
        occupant = self.checkNick(entry.jid, entry.nick)
        if settings.maxUsers and occupant is None:
            limit = settings.maxUsers + (RESERVED_PLACES if affiliation >= Affiliation.ADMIN else 0)
            if len(self.occupants) >= limit:
                raise StanzaError("service-unavailable", "wait", "The room is full.")
        return occupant

    def checkNick(self, jid: JID, nick: str) -> Occupant | None:
        """
        Whether somebody may have a nick (XEP-0045 §7.2.8).

        @return: the occupant of the same user who has it.
        @raise StanzaError: C{conflict} if another user has it, or has it reserved.
        """
        occupant = self.occupants.get(nick)
        if occupant is not None and occupant.account.bare != jid.bare:
            raise StanzaError("conflict")
        holder = self.affiliations.reservedBy(nick)
        if holder is not None and holder != jid.bare:
            raise StanzaError("conflict", text="This nickname is reserved by another user.")
        return occupant

    def _resynchronise(self, seat: OccupantSession, entry: JoinRequest) -> Occupant:
        """Everybody else hears what is new; the session itself hears everything once, in the order of an entry."""
        occupant = seat.occupant
        if entry.nick != occupant.nick:
            self._rename(seat, entry.nick, entry.payload)
            self.broadcastPresence(occupant, but=seat)
        elif entry.payload != seat.presencePayload or occupant.primary is not seat:
            self._setPresence(seat, entry.payload)
            self.broadcastPresence(occupant, but=seat)
        self._sendInitialState(seat, entry, False)
        return occupant

    def sendOccupantList(self, seat: OccupantSession) -> None:
        """Send everybody else's presence to one session, in the faces that it may see now."""
        deliver, to, index = seat.deliver, seat.to, int(seat.seesJIDs)
        for occupant in self.occupants.values():
            if occupant is not seat.occupant:
                deliver((occupant.cachedPresence or facesOf(occupant))[index], to)

    def _sendInitialState(self, seat: OccupantSession, entry: JoinRequest, created: bool) -> None:
        """Send a newcomer everybody else's presence, then his own, then the history, then the subject."""
        self.sendOccupantList(seat)
        codes = []
        if self.settings.nonAnonymous:
            codes.append(100)
        if self.settings.logged:
            codes.append(170)
        if created:
            codes.append(201)
        if entry.renamed:
            codes.append(210)
        seat.deliver(OccupantPresence(seat.occupant).toSelf(seat, codes, entry.id), seat.to)
        for message in self.history.select(entry.history, seat.to):
            seat.deliver(message, seat.to)
        seat.deliver(Rendered.of(self.subjectMessage()), seat.to)

    def subjectMessage(self) -> Element:
        """The message that tells the subject to one who enters (XEP-0045 §7.2.15)."""
        subject = self.subject
        if subject is None:
            message = stanza("message", "groupchat", from_=self.jid.bare)
            message.add("subject")
            return message
        sender = f"{self.jid.bare}/{subject.nick}" if subject.nick else self.jid.bare
        message = stanza("message", "groupchat", from_=sender)
        message.add("subject", text=subject.text)
        delay = message.add("delay", ns.DELAY, stamp=stamp(subject.stamp))
        delay.attributes["from"] = self.jid.bare
        return message

    # Presence of those who are in

    def _setPresence(self, seat: OccupantSession, payload: bytes) -> None:
        occupant = seat.occupant
        seat.presencePayload = payload
        occupant.primary = seat
        occupant.cachedPresence = None

    def sendPresenceOf(self, seat: OccupantSession, nick: str) -> None:
        """Send one session an occupant's presence once more; nothing if nobody has the nick."""
        occupant = self.occupants.get(nick)
        if occupant is not None:
            if occupant is seat.occupant:
                seat.deliver(OccupantPresence(occupant).toSelf(seat), seat.to)
            else:
                seat.deliver(facesOf(occupant)[seat.seesJIDs], seat.to)

    def presence(self, seat: OccupantSession, payload: bytes, id: str | None = None) -> None:
        """An occupant's session changes its presence (XEP-0045 §7.7)."""
        self._setPresence(seat, payload)
        self.broadcastPresence(seat.occupant, id=id)

    def rename(
        self, seat: OccupantSession, nick: str, payload: bytes, id: str | None = None, codes: Iterable[int] = ()
    ) -> None:
        """
        An occupant takes another nick, with all his sessions (XEP-0045 §7.6).

        @param payload: the presence with which he asked for it.
        @param codes: status codes for himself in the new presence (210).
        @raise StanzaError: C{conflict} if another user has the nick or has it reserved, or if he is in under it
            himself with other sessions.
        """
        self._rename(seat, nick, payload)
        self.broadcastPresence(seat.occupant, ownCodes=codes, id=id)

    def _rename(self, seat: OccupantSession, nick: str, payload: bytes) -> None:
        """The first half: everybody hears that the old nick is gone."""
        occupant = seat.occupant
        if self.checkNick(occupant.account, nick) is not None:
            raise StanzaError("conflict")
        leaving = OccupantPresence(occupant, leaving=True, codes=(303,), nick=nick)
        self.broadcastOccupant(leaving, occupant)
        self._tellSelf(occupant, leaving)
        del self.occupants[occupant.nick]
        occupant.rename(self.jid, nick)
        self.occupants[nick] = occupant
        self._setPresence(seat, payload)

    # Leaving

    def leave(
        self, seat: OccupantSession, payload: bytes = b"", codes: Iterable[int] = (), id: str | None = None
    ) -> None:
        """
        A session leaves (XEP-0045 §7.14); the occupant goes with the last one.

        @param payload: what it says as it leaves.
        @param codes: status codes for everybody (333).
        """
        occupant = seat.occupant
        notice = OccupantPresence(occupant, leaving=True, codes=codes, payload=payload)
        del self.sessions[seat.jid]
        del occupant.sessions[seat.jid]
        seat.deliver(notice.toSelf(seat, id=id), seat.to)
        if not occupant.sessions:
            del self.occupants[occupant.nick]
            self.broadcastOccupant(notice)
        elif occupant.primary is seat:
            # Others saw this session's presence; what they see now is that of the youngest one left.
            remaining = next(reversed(occupant.sessions.values()))
            self._setPresence(remaining, remaining.presencePayload)
            self.broadcastPresence(occupant)

    def removeOccupant(
        self,
        occupant: Occupant,
        codes: Iterable[int],
        actor: str | None = None,
        reason: str | None = None,
        extra: bytes = b"",
    ) -> OccupantPresence:
        """
        Put an occupant out with all his sessions and tell these.

        @return: what the others are to be told, with L{broadcastOccupant}, when it is their turn.
        """
        notice = OccupantPresence(occupant, leaving=True, codes=codes, actor=actor, reason=reason, extra=extra)
        del self.occupants[occupant.nick]
        for jid in occupant.sessions:
            del self.sessions[jid]
        self._tellSelf(occupant, notice)
        return notice

    def removeAll(self, codes: Iterable[int] = (), affiliation: Affiliation | None = None, extra: bytes = b"") -> None:
        """
        Remove all occupants and tell each only of themselves: the room or the service ends (XEP-0045 §10.9, §11.2).

        @param affiliation: shown instead of each one's own.
        """
        occupants, self.occupants, self.sessions = self.occupants, {}, {}
        for occupant in occupants.values():
            notice = OccupantPresence(occupant, leaving=True, codes=codes, affiliation=affiliation, extra=extra)
            self._tellSelf(occupant, notice)
