# -*- test-case-name: tests.muc.protocol.test_presence -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A room: its occupants, and the presence and messages that it sends them (XEP-0045 §7).

A room calls C{deliver} of its occupants' sessions. It waits for nothing and knows no reactor. Messages are in
L{muccore.muc.model.messages}, changes of roles and affiliations in L{muccore.muc.model.privilegechanges}, the
configuration in L{muccore.muc.model.configuration}.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred

from muccore.interfaces import RoomRecord, Subject
from muccore.muc.model import entering, heldplaces, lookalikes, presencebroadcast
from muccore.muc.model.affiliations import Affiliations
from muccore.muc.model.audience import Audience
from muccore.muc.model.changequeue import ChangeQueue
from muccore.muc.model.costs import Costs
from muccore.muc.model.departures import Departures
from muccore.muc.model.extensionpoints import RoomExtensions, tell
from muccore.muc.model.history import History
from muccore.muc.model.invitations import SentInvitations
from muccore.muc.model.joinrequest import JoinRequest
from muccore.muc.model.nicks import comparisonForm
from muccore.muc.model.occupant import Occupant, OccupantSession
from muccore.muc.model.occupants import Occupants
from muccore.muc.model.privileges import Affiliation, Role, initialRole
from muccore.muc.model.rendering import Actor, OccupantPresence
from muccore.muc.model.roommessage import RoomMessage
from muccore.muc.model.roomrecord import recordOf
from muccore.muc.model.roomsettings import RoomSettings
from muccore.muc.model.storing import isRemembered
from muccore.muc.model.userrates import UserRates
from muccore.net.slices import Slices
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered
from muccore.xmpp.uniqueids import newId

NO_EXTENSIONS: Final = RoomExtensions()
AT_ONCE: Final = Slices(None)
RESERVED_PLACES: Final = 10
"""Additional admins and owners that may enter a full room (XEP-0045 §7.2.9)."""


class Room:
    """
    A room.

    @ivar jid: its bare JID.
    @ivar affiliations: its affiliations and reserved nicks.
    @ivar subject: its subject, or C{None} if it never had one.
    @ivar occupants: its occupants by nick, in the order in which they entered.
    @ivar audience: those who hear what is sent to all.
    @ivar sessions: their sessions, by full JID.
    @ivar departures: who was removed, for those who have not been told.
    @ivar entering: fires for each session, by full JID, that is being sent who is in the room, when it has everything.
    @ivar closing: whether it is being destroyed; nobody else may enter.
    @ivar invitations: the recent invitations to it.
    @ivar voiceRequests: how often visitors may ask for voice.
    @ivar membershipRequests: how often strangers may ask to become members.
    @ivar locked: whether its owner has yet to accept a configuration; nobody else may enter (XEP-0045 §10.1).
    @ivar creator: the bare JID of who has created it; C{""} if it is not known.
    @ivar storedSize: what it takes in the store, in bytes; 0 if it is not stored.
    @ivar extensions: what extends it.
    @ivar states: what extensions have stored with it: JSON values by name of the extension and key.
    @ivar volatile: what extensions keep of it while it is in memory, by name of the extension.
    @ivar costs: what its occupants cause to be sent; for the handler, as the next.
    @ivar changeQueue: for the handler and extensions; the room itself does not use it.
    """

    def __init__(
        self,
        jid: JID,
        settings: RoomSettings,
        affiliations: Affiliations,
        now: Callable[[], float],
        subject: Subject | None = None,
        locked: bool = False,
        extensions: RoomExtensions = NO_EXTENSIONS,
        states: Mapping[str, Mapping[str, Any]] | None = None,
        creator: str = "",
        seconds: Callable[[], float] | None = None,
        slices: Slices = AT_ONCE,
        pacedSlices: Slices = AT_ONCE,
    ) -> None:
        """
        @param now: returns the time of day, in seconds since the epoch; for what is stored or sent.
        @param seconds: returns a time that is never set, for limits; by default C{now}.
        @param slices: runs what affects many.
        @param pacedSlices: runs what tells many of many.
        """
        self.jid = jid
        self.settings = settings
        self.affiliations = affiliations
        self.subject = subject
        self.locked = locked
        self.creator = creator
        self.storedSize = 0
        self.extensions = extensions
        self.volatile: dict[str, Any] = {}
        self.states: dict[str, dict[str, Any]] = {name: dict(rows) for name, rows in (states or {}).items()}
        self.now = now
        self.seconds = seconds = seconds or now
        self.history = History(jid.bare, settings.historyLength)
        self.occupants = Occupants()
        self.audience = Audience()
        self.sessions = self.audience.sessions
        self.departures = Departures(self.audience)
        self.slices = slices
        self.pacedSlices = pacedSlices
        self.entering: dict[str, Deferred[None]] = {}
        self.closing = False
        self.invitations = SentInvitations()
        self.voiceRequests = UserRates(3, 1 / 300, "You have asked for voice too often; try again later.", seconds)
        self.membershipRequests = UserRates(3, 1 / 600, "You have asked to be a member too often; try later.", seconds)
        self.changeQueue = ChangeQueue()
        self.costs = Costs()

    def record(self) -> RoomRecord:
        """The room as it is stored."""
        return recordOf(self, self.settings, {}, {})

    # Lookup

    def occupantByNick(self, nick: str) -> Occupant | None:
        """The occupant with a nick in any spelling (RFC 8266), or C{None}; C{occupants} has exact nicks."""
        return self.occupants.find(nick)

    def occupantByRealJID(self, full: str) -> Occupant | None:
        """The occupant with a session of this full JID, or C{None}."""
        session = self.sessions.get(full)
        return session.occupant if session is not None else None

    def occupantsAffectedBy(self, key: str) -> list[Occupant]:
        """The occupants whose affiliation the request of a bare JID or domain decides."""
        if "@" in key:
            return list(self.occupants.ofAccount(key))
        return self.occupants.ofDomain(key, self.affiliations.hasExplicit)

    def canSeeRealJIDs(self, occupant: Occupant) -> bool:
        """Whether an occupant may see real JIDs (XEP-0045 §7.2.3, §7.2.4)."""
        return self.settings.nonAnonymous or occupant.role is Role.MODERATOR

    def updateVisibility(self, occupant: Occupant) -> bool:
        """
        Update what follows from an occupant's role and the configuration.

        @return: whether the occupant may now see real JIDs and could not before.
        """
        occupant.cachedPresence = None
        saw, sees = occupant.primary.seesJIDs, self.canSeeRealJIDs(occupant)
        for session in occupant.sessions.values():
            session.seesJIDs = sees
        return sees and not saw

    # Broadcasting

    def broadcastOccupant(self, presence: OccupantPresence, exclude: Occupant | None = None) -> None:
        """Send a presence to all occupants but C{exclude}, in the version for each; nothing if they do not get it."""
        if presence.shown:
            self.audience.sendVersions(presence.withoutJID(), presence.withJID(), exclude)

    def broadcastPresence(
        self,
        occupant: Occupant,
        ownCodes: Iterable[int] = (),
        actor: Actor | None = None,
        reason: str | None = None,
        id: str | None = None,
        exclude: OccupantSession | None = None,
    ) -> None:
        """
        Send an occupant's present presence to all, the occupant last.

        @param ownCodes: status codes for the occupant.
        @param exclude: a session of the occupant to leave out.
        """
        presence = OccupantPresence(occupant, actor=actor, reason=reason)
        self.broadcastOccupant(presencebroadcast.toOthers(self.settings, occupant, presence), occupant)
        self._sendToSelf(occupant, presence, ownCodes, id, exclude)

    def _sendToSelf(
        self,
        occupant: Occupant,
        presence: OccupantPresence,
        codes: Iterable[int] = (),
        id: str | None = None,
        exclude: OccupantSession | None = None,
    ) -> None:
        for session in occupant.sessions.values():
            if session is not exclude:
                session.deliver(presence.toSelf(session, codes, id), session.to)

    def publish(self, occupant: Occupant | None, message: Element, kept: bool = False, delayed: bool = False) -> None:
        """
        Broadcast a message: the one place where it becomes part of the room.

        @param occupant: its author; C{None} for the room itself.
        @param message: from L{muccore.muc.model.sanitize.fromOccupant}; the room owns it from now on.
        @param kept: whether the history keeps it.
        @param delayed: whether it has its own delay stamp (an owner's import, XEP-0045 §7.9).
        """
        id = newId()
        rendered = Rendered.of(message)
        account, stamps = ("", b"") if occupant is None else (occupant.account.bare, occupant.stamps)
        stamps += self.extensions.stampMessage(self, id, message)
        if stamps:
            rendered = rendered.extended(stamps)
        self.audience.send(rendered)
        published = RoomMessage(id, self.now(), message.attributes["from"], account, message, rendered, kept, delayed)
        if kept:
            self.history.add(published)
        elif isRemembered(message):
            self.history.remember(published)
        tell(self.extensions.published, self, published)

    def broadcast(self, message: Element, moderatorsOnly: bool = False) -> None:
        """Send a message of the room to all occupants (or to moderators only)."""
        send = self.audience.sendToModerators if moderatorsOnly else self.audience.send
        send(Rendered.of(message))

    # Entering

    def enter(self, request: JoinRequest, created: bool = False) -> Occupant:
        """
        Enter the room, and send everybody the stanzas of XEP-0045 §7.1 in their order; or send everything again to a
        session that is in the room (§17.3).

        @param created: whether the room was created by this request (status 201).
        @raise StanzaError: if entering is not allowed; nothing has been sent then.
        """
        session = self.sessions.get(request.jid.full)
        if session is not None:
            return self._resynchronise(session, request)
        affiliation = self.affiliations.get(request.jid)
        occupant = self._checkMayEnter(request, affiliation)
        if occupant is None:
            account, role = request.jid.bareJID(), initialRole(affiliation, self.settings.moderated)
            role = self.extensions.limitRole(self, account, affiliation, role)
            stamps = self.extensions.stampOccupant(self, account)
            occupant = Occupant(self.jid, request.nick, account, affiliation, role, stamps, self.now())
            occupant.presenceStamps = self.extensions.stampPresence(self, occupant)
            self.departures.tellBefore(occupant.nick)
            self.occupants.add(occupant)
        elif (held := heldplaces.heldSession(occupant)) is not None:
            return self._resynchronise(heldplaces.replace(self, held, request), request)
        session = occupant.addSession(request.jid.full, request.route, request.payload)
        self.sessions[session.jid] = session
        session.seesJIDs = self.canSeeRealJIDs(occupant)
        self.broadcastPresence(occupant, exclude=session)
        self.departures.entered(session)
        entering.sendInitialState(self, session, request, created)
        return occupant

    def _checkMayEnter(self, request: JoinRequest, affiliation: Affiliation) -> Occupant | None:
        """
        Check a request to enter.

        @return: the occupant of the same user and nick, if there is one.
        @raise StanzaError: see the table in XEP-0045 §7.2.17.
        """
        settings = self.settings
        if affiliation is Affiliation.OUTCAST:
            raise StanzaError("forbidden")
        if self.locked and affiliation is not Affiliation.OWNER:
            raise StanzaError("item-not-found", text="The room has not been configured yet.")
        if settings.membersOnly and affiliation is Affiliation.NONE:
            raise StanzaError("registration-required")
        if settings.password and request.password != settings.password:
            raise StanzaError("not-authorized")
        occupant = self.checkNick(request.jid, request.nick)
        if settings.maxUsers and occupant is None:
            limit = settings.maxUsers + (RESERVED_PLACES if affiliation >= Affiliation.ADMIN else 0)
            if len(self.occupants) >= limit:
                raise StanzaError("service-unavailable", "wait", "The room is full.")
        for check in self.extensions.beforeEntering:
            check(self, request, affiliation)
        return occupant

    def checkNick(self, jid: JID, nick: str) -> Occupant | None:
        """
        Check that a user may have a nick (XEP-0045 §7.2.8), whose spelling does not matter.

        @return: the occupant of the same user who has it.
        @raise StanzaError: C{conflict} if another user has it or has it reserved, or one that looks like it.
        """
        occupant = self.occupantByNick(nick)
        if occupant is not None and occupant.account.bare != jid.bare:
            raise StanzaError("conflict")
        holder = self.affiliations.reservedBy(nick)
        if holder is not None and holder != jid.bare:
            raise StanzaError("conflict", text="This nickname is reserved by another user.")
        if occupant is None:
            self.checkLookalikes(jid.bare, nick)
        return occupant

    def checkLookalikes(self, user: str, nick: str, pending: Collection[str] = ()) -> None:
        """Apply L{lookalikes.check}, unless the room allows such nicks or the nick is reserved for the user."""
        if self.settings.refuseLookalikes and self.affiliations.reservedBy(nick) != user:
            lookalikes.check(user, nick, self.occupants.lookalikes, self.affiliations.lookalikes, pending)

    def _resynchronise(self, session: OccupantSession, request: JoinRequest) -> Occupant:
        """
        Send everybody else what has changed, and the session everything, in the order of entering. The nick in another
        spelling is no change, as for a new session. A held place is taken back: its client, which knows nothing of the
        room yet, is told of no change before that.
        """
        occupant, held = session.occupant, session.held
        if comparisonForm(request.nick) != occupant.form:
            old = occupant.nick
            self._rename(session, request.nick, request.payload)
            self.broadcastPresence(occupant, exclude=session)
            tell(self.extensions.nickChanged, self, occupant, old)
        elif request.payload != session.presencePayload or (held is None and occupant.primary is not session):
            for check in self.extensions.beforePresence:
                check(self, session, request.payload)
            self._setPresence(session, request.payload)
            self.broadcastPresence(occupant, exclude=session)
            tell(self.extensions.presenceChanged, self, session)
        if held is not None:
            heldplaces.takeBack(session, request.route)
        entering.sendInitialState(self, session, request, False)
        return occupant

    # Presence of occupants

    def _setPresence(self, session: OccupantSession, payload: bytes) -> None:
        occupant = session.occupant
        session.presencePayload = payload
        occupant.primary = session
        occupant.cachedPresence = None

    def presence(self, session: OccupantSession, payload: bytes, id: str | None = None) -> None:
        """Change the presence of a session (XEP-0045 §7.7)."""
        for check in self.extensions.beforePresence:
            check(self, session, payload)
        self._setPresence(session, payload)
        self.broadcastPresence(session.occupant, id=id)
        tell(self.extensions.presenceChanged, self, session)

    def restamp(self, occupant: Occupant, actor: Actor | None = None) -> None:
        """Let extensions stamp an occupant's presence anew, and send it to all if it has changed."""
        stamps = self.extensions.stampPresence(self, occupant)
        if stamps != occupant.presenceStamps:
            occupant.presenceStamps = stamps
            occupant.cachedPresence = None
            self.broadcastPresence(occupant, actor=actor)

    def rename(
        self, session: OccupantSession, nick: str, payload: bytes, id: str | None = None, codes: Iterable[int] = ()
    ) -> None:
        """
        Change the nick of an occupant, for all their sessions (XEP-0045 §7.6).

        @param payload: that of the presence which requested it.
        @param codes: status codes for the occupant in the new presence (210).
        @raise StanzaError: C{conflict} if another user has the nick or has it reserved, or the same user is another
            occupant under it.
        """
        old = session.occupant.nick
        self._rename(session, nick, payload)
        self.broadcastPresence(session.occupant, ownCodes=codes, id=id)
        tell(self.extensions.nickChanged, self, session.occupant, old)

    def _rename(self, session: OccupantSession, nick: str, payload: bytes) -> None:
        """The first half of a nick change: broadcast that the old nick is unavailable."""
        occupant = session.occupant
        if self.checkNick(occupant.account, nick) not in (None, occupant):
            raise StanzaError("conflict")
        for check in self.extensions.beforeNickChange:
            check(self, session, nick)
        leaving = OccupantPresence(occupant, leaving=True, codes=(303,), nick=nick)
        self.broadcastOccupant(leaving, occupant)
        self._sendToSelf(occupant, leaving)
        self.occupants.discard(occupant)
        self.departures.tellBefore(nick)
        occupant.rename(self.jid, nick)
        self.occupants.add(occupant)
        self._setPresence(session, payload)

    # Leaving

    def leave(
        self, session: OccupantSession, payload: bytes = b"", codes: Iterable[int] = (), id: str | None = None
    ) -> None:
        """
        Remove a session that leaves (XEP-0045 §7.14), and with the last one the occupant.

        @param payload: that of the unavailable presence.
        @param codes: status codes for all (333).
        """
        occupant = session.occupant
        presence = OccupantPresence(occupant, leaving=True, codes=codes, payload=payload, session=session)
        del self.sessions[session.jid]
        del occupant.sessions[session.jid]
        session.deliver(presence.toSelf(session, id=id), session.to)
        if not occupant.sessions:
            self.occupants.discard(occupant)
            self.broadcastOccupant(presence)
        elif occupant.primary is session:
            # Others saw this session's presence; replace it by that of the latest one left.
            remaining = next(reversed(occupant.sessions.values()))
            self._setPresence(remaining, remaining.presencePayload)
            self.broadcastPresence(occupant)
        else:
            presencebroadcast.sessionLeft(self, occupant)
        tell(self.extensions.left, self, session)

    def removeOccupant(
        self, occupant: Occupant, code: int, actor: Actor | None = None, reason: str | None = None
    ) -> OccupantPresence:
        """
        Remove an occupant with all their sessions, and notify these.

        @return: the presence for all others; L{muccore.muc.model.departures} sends it.
        """
        presence = OccupantPresence(occupant, leaving=True, codes=(code,), actor=actor, reason=reason)
        self.removeSilently(occupant)
        self._sendToSelf(occupant, presence)
        sessions, occupant.sessions = occupant.sessions, {}
        for session in sessions.values():
            tell(self.extensions.left, self, session)
        return presence

    def removeSilently(self, occupant: Occupant) -> None:
        """Remove an occupant from the room, notifying nobody, not even the occupant."""
        self.occupants.discard(occupant)
        for jid in occupant.sessions:
            del self.sessions[jid]

    def forgetOccupants(self) -> None:
        """Remove all occupants, notifying nobody: the service ends."""
        self.sessions.clear()
        self.occupants.forget()
