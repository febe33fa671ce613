# -*- test-case-name: tests.muc.model.test_privilegechanges -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Changes of affiliations and roles (XEP-0045 §8, §9, §10).

A change has two steps, since affiliations must be durable before they are announced. L{plan} checks every item of a
request and raises if one is not allowed: all or nothing. L{apply} carries out the committed plan and notifies those who
are removed; the function that it returns notifies everybody else, after the requester has the result (§8.2). Both go in
slices if they are much (docs/design/0019).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from twisted.internet.defer import Deferred

from muccore.interfaces import Affiliate, RoomChange
from muccore.muc.model import departures, presencebroadcast
from muccore.muc.model.affiliations import affiliationOf
from muccore.muc.model.announcements import Announcer
from muccore.muc.model.departures import REMOVING, Departure
from muccore.muc.model.extensionpoints import tell
from muccore.muc.model.lookalikes import skeletons
from muccore.muc.model.nicks import comparisonForm
from muccore.muc.model.occupant import Occupant, OccupantSession
from muccore.muc.model.privileges import (
    Affiliation,
    Role,
    checkAffiliationChange,
    checkRoleChange,
    roleAfterAffiliationChange,
)
from muccore.muc.model.rendering import Actor
from muccore.muc.model.room import Room
from muccore.muc.model.roomrecord import putRows
from muccore.net import slices
from muccore.net.slices import RENDERING, Steps
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, parse

_UPDATING: Final = 5
"""The cost of changing a role or an affiliation."""

Announce = Callable[[], None]


@dataclass(frozen=True)
class AffiliationItem:
    """
    A requested affiliation.

    @ivar jid: a bare JID, or a domain for all its users.
    @ivar nick: the nick to reserve, C{""} to release it, C{None} to leave it.
    @ivar retracting: whether everything that a user who is banned wrote is to be retracted, too.
    """

    jid: JID
    affiliation: Affiliation
    nick: str | None = None
    reason: str | None = None
    retracting: bool = False


@dataclass(frozen=True)
class RoleItem:
    """
    A role requested for the occupant with a nick.

    @ivar retracting: whether everything that an occupant who is kicked wrote is to be retracted, too.
    """

    nick: str
    role: Role
    reason: str | None = None
    retracting: bool = False


@dataclass(eq=False)
class PrivilegeChange:
    """
    A checked request.

    @ivar actor: the requester, unless users change their own affiliation.
    @ivar affiliates: the entries that change, for the store; empty if there is nothing to store.
    @ivar reasons: the reason for each key of C{affiliates} whose affiliation changes.
    @ivar retracted: the users of whom everything that they wrote is to be retracted, with the reason.
    @ivar states: rows of extensions that change together with these, as in L{RoomChange.states}.
    @ivar absent: once it is applied: the keys of C{reasons} that no presence of their users announces.
    """

    actor: Actor | None = None
    affiliates: dict[str, Affiliate | None] = field(default_factory=dict)
    reasons: dict[str, str | None] = field(default_factory=dict)
    roles: list[tuple[Occupant, Role, str | None]] = field(default_factory=list)
    retracted: dict[str, str | None] = field(default_factory=dict)
    states: dict[tuple[str, str], Any] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    _rows: dict[tuple[str, str], Any] | None = field(default=None, repr=False)

    def rows(self, room: Room) -> dict[tuple[str, str], Any]:
        """The rows of extensions that follow from C{affiliates}: made once, when they are first asked for."""
        if self._rows is None:
            self._rows = room.extensions.affiliationRows(room, self.affiliates)
        return self._rows

    def stored(self, room: Room) -> RoomChange:
        """What the store has to change: C{affiliates} and C{states}, with what extensions keep of it."""
        return RoomChange(self.affiliates, states={**self.states, **self.rows(room)})


def actorOf(room: Room, jid: JID) -> Actor:
    """The requester with a full JID, who may be outside the room."""
    occupant = room.occupantByRealJID(jid.full)
    return Actor(jid.bare, occupant.nick if occupant is not None else None)


def plan(room: Room, actor: JID, items: Iterable[AffiliationItem | RoleItem]) -> PrivilegeChange:
    """
    Check a request of an admin, an owner or a moderator.

    @param actor: the requester's full JID.
    @raise StanzaError: for the first item that is not allowed; nothing is changed.
    """
    occupant = room.occupantByRealJID(actor.full)
    change = PrivilegeChange(actorOf(room, actor))
    actorAffiliation = room.affiliations.get(actor)
    for item in items:
        if isinstance(item, RoleItem):
            _planRole(room, change, occupant, item)
        else:
            _planAffiliation(room, change, actor, actorAffiliation, item)
    _checkTogether(room, change)
    return change


def _checkTogether(room: Room, change: PrivilegeChange) -> None:
    """Check what depends on all items together."""
    room.affiliations.checkSize(change.affiliates)
    if any(target.account.bare in change.affiliates for target, _, _ in change.roles):
        # §17.4 also holds for two items: the role was checked against the old affiliation.
        raise StanzaError("bad-request", text="Change either the role or the affiliation, not both.")
    for key, entry in change.affiliates.items():
        if entry is not None and entry.nick is not None and entry.nick != room.affiliations.reservedNick(key):
            checkReservable(room, change.affiliates, key, entry.nick)
    if change.affiliates and not room.affiliations.hasOwnerAfter(change.affiliates):
        raise StanzaError("conflict", text="A room must have at least one owner.")


def _planRole(room: Room, change: PrivilegeChange, actor: Occupant | None, item: RoleItem) -> None:
    if actor is None or actor.role is not Role.MODERATOR:
        raise StanzaError("forbidden")
    target = room.occupantByNick(item.nick)
    if target is None:
        raise StanzaError("item-not-found", text=f"There is no occupant with the nickname {item.nick[:64]!r}.")
    isSelf = target is actor
    checkRoleChange(actor.role, actor.affiliation, target.role, target.affiliation, item.role, isSelf)
    change.roles.append((target, item.role, item.reason))
    if item.retracting:
        if item.role is not Role.NONE:
            raise StanzaError("not-acceptable", text="What a user wrote is retracted with a kick or a ban only.")
        change.retracted[target.account.bare] = item.reason


def _planAffiliation(
    room: Room, change: PrivilegeChange, actor: JID, actorAffiliation: Affiliation, item: AffiliationItem
) -> None:
    key, new = item.jid.bare, item.affiliation
    old = room.affiliations.entry(key)
    current = affiliationOf(old)
    if new is Affiliation.OUTCAST and key == actor.bare and actorAffiliation >= Affiliation.ADMIN:
        raise StanzaError("conflict", text="You cannot ban yourself.")
    checkAffiliationChange(actorAffiliation, current, new)
    if not item.jid.local and (new >= Affiliation.ADMIN or item.nick):
        raise StanzaError("not-acceptable", text="A domain cannot be an admin or owner or have a reserved nickname.")
    if item.retracting and (new is not Affiliation.OUTCAST or not item.jid.local):
        raise StanzaError("not-acceptable", text="What a user wrote is retracted with a kick or a ban only.")
    entry = None if new is Affiliation.NONE else Affiliate(new.xmlName, _plannedNick(old, item), item.reason)
    # An earlier item may concern the same user.
    change.affiliates.pop(key, None)
    change.reasons.pop(key, None)
    change.retracted.pop(key, None)
    if item.retracting:
        change.retracted[key] = item.reason
    if entry != old:
        change.affiliates[key] = entry
        if new is not current:
            change.reasons[key] = item.reason


def _plannedNick(old: Affiliate | None, item: AffiliationItem) -> str | None:
    """The nick that stays or becomes reserved (XEP-0045 §9.3, §9.5); an outcast has none (§9.1)."""
    if item.affiliation <= Affiliation.NONE:
        return None
    if item.nick is None:
        return old.nick if old is not None else None
    return item.nick or None


def checkReservable(room: Room, pending: Mapping[str, Affiliate | None], key: str, nick: str) -> None:
    """
    Check that a nick may be reserved for a user.

    @param pending: entries that are about to change.
    @raise StanzaError: C{conflict} if it is reserved for, or used by, another user, or looks like such a nick.
    """
    holder = room.affiliations.reservedBy(nick)
    if holder is not None and holder not in pending and holder != key:
        raise StanzaError("conflict", text="This nickname is reserved by another user.")
    form = comparisonForm(nick)
    others = [entry.nick for jid, entry in pending.items() if jid != key and entry is not None and entry.nick]
    if any(comparisonForm(other) == form for other in others):
        raise StanzaError("conflict", text="This nickname is reserved by another user.")
    occupant = room.occupantByNick(nick)
    if occupant is not None and occupant.account.bare != key:
        raise StanzaError("conflict", text="This nickname is in use by another occupant.")
    room.checkLookalikes(key, nick, pending)
    if room.settings.refuseLookalikes and any(set(skeletons(other)) & set(skeletons(nick)) for other in others):
        raise StanzaError("conflict", text="Two of these nicknames look alike.")


def planOwnersAndAdmins(
    room: Room, actor: JID, owners: Iterable[JID] | None, admins: Iterable[JID] | None
) -> PrivilegeChange:
    """
    Plan the changes that the lists of owners and admins in the configuration form make (XEP-0045 §10.2).

    @param owners: all owners; C{None} leaves the list as it is.
    @param admins: likewise.
    @raise StanzaError: as L{plan}.
    """
    wanted: dict[str, AffiliationItem] = {}
    for jids, affiliation in ((admins, Affiliation.ADMIN), (owners, Affiliation.OWNER)):
        # Users in both lists are owners.
        wanted.update({jid.bare: AffiliationItem(jid.bareJID(), affiliation) for jid in jids or ()})
    items = list(wanted.values())
    for jids, affiliation in ((owners, Affiliation.OWNER), (admins, Affiliation.ADMIN)):
        # XEP-0045 §10.2: an owner missing in the list becomes an admin, an admin a member.
        demoted = Affiliation.ADMIN if affiliation is Affiliation.OWNER and admins is None else Affiliation.MEMBER
        listed = () if jids is None else room.affiliations.withAffiliation(affiliation)
        items += [AffiliationItem(parse(bare), demoted) for bare, _ in listed if bare not in wanted]
    current = room.affiliations.entry
    return plan(room, actor, [item for item in items if affiliationOf(current(item.jid.bare)) is not item.affiliation])


def check(room: Room, actor: JID, change: PrivilegeChange) -> None:
    """
    Let extensions check a change that the rules of the room allow.

    @param actor: the requester's full JID.
    @raise StanzaError: if one refuses it.
    """
    for checkChange in room.extensions.beforePrivilegeChange:
        checkChange(room, actor, change)


def apply(room: Room, change: PrivilegeChange) -> Announce | Deferred[Announce]:
    """
    Carry out a committed plan. Notifies those who are removed, and announces affiliations of absent users.

    @return: announces the other changes, in slices if they are many; a Deferred of it if much is to be done before.
    """
    application = Application(room, change)
    done = room.slices.run(application.steps())
    if done is None:
        return application.announce
    application.isLater = True
    return done.addCallback(lambda _: application.announce)


def announceSoon(room: Room, announcements: Steps, size: int) -> None:
    """
    Announce something to all. Who has caused it pays at once for what is told later.

    @param size: about how many bytes that takes.
    """
    before = room.audience.sent
    if room.pacedSlices.run(announcements) is not None:
        room.audience.sent = before + size


class Application:
    """
    A committed plan that is being carried out.

    @ivar removed: who was removed, with the user whose affiliation that announces.
    @ivar changed: who was not, with the same and the reason.
    @ivar isLater: whether that goes on in later turns. What it sends in them is counted when the rest is announced.
    """

    def __init__(self, room: Room, change: PrivilegeChange) -> None:
        self._room = room
        self._change = change
        self.removed: list[tuple[str, Departure]] = []
        self.changed: dict[Occupant, tuple[str, str | None]] = {}
        self._newlyPrivileged: dict[Occupant, None] = {}
        # Users in the room for whom the entry of their domain counts now.
        self._replaced: dict[str, str | None] = {}
        self._announcer = Announcer(room, [], change.actor)
        self.isLater = False
        self._sentLater = 0

    def steps(self) -> Steps:
        """Carry it out."""
        steps, audience = self._steps(), self._room.audience
        while True:
            before = audience.sent
            cost = next(steps, None)
            if self.isLater:
                self._sentLater += audience.sent - before
                audience.sent = before
            if cost is None:
                return
            yield cost

    def _steps(self) -> Steps:
        room, change = self._room, self._change
        putRows(room, change.rows(room))
        nicks = {key: room.affiliations.reservedNick(key) for key in change.reasons}
        room.affiliations.update(change.affiliates)
        putRows(room, change.states)
        absent = []
        for key, reason in change.reasons.items():
            isAnnounced = False
            leaving = affiliationOf(change.affiliates.get(key)) < Affiliation.MEMBER
            cost = REMOVING if leaving else _UPDATING
            for occupant in room.occupantsAffectedBy(key):
                yield cost
                if room.occupants.get(occupant.nick) is occupant:
                    isAnnounced = self._updateAffiliation(occupant, key, reason) or isAnnounced
            if not isAnnounced and key not in self._replaced:
                absent.append((key, reason))
        for occupant, role, reason in change.roles:
            yield REMOVING
            # The occupant may have left or been removed by an earlier item.
            if room.occupants.get(occupant.nick) is occupant and occupant.role is not role:
                if role is Role.NONE:
                    self._remove(occupant, 307, reason)
                else:
                    self._updateRole(occupant, role, reason)
        change.absent = [key for key, _ in absent]
        if not self.isLarge():
            present = [*(key for key, _ in self.removed), *(key for key, _ in self.changed.values())]
            announced = [*change.absent, *self._replaced, *present]
            self._announcer = Announcer(room, [key for key in dict.fromkeys(announced) if key], change.actor)
        for key, reason in absent:
            yield len(room.sessions) + RENDERING
            self._announcer.announceAbsent(key, reason)
            presencebroadcast.announceAbsent(room, key, room.affiliations.reservedNick(key) or nicks[key])
        for key, reason in self._replaced.items():
            yield len(room.sessions) + RENDERING
            self._announcer.announceEntry(key, reason)

    def isLarge(self) -> bool:
        """Whether telling all takes more than a slice."""
        announced = len(self.removed) + len(self.changed) + len(self._change.reasons)
        return announced > 1 and announced * len(self._room.sessions) > slices.SLICE

    def _remove(self, occupant: Occupant, code: int, reason: str | None, key: str = "") -> None:
        self.removed.append((key, departures.remove(self._room, occupant, code, self._change.actor, reason)))
        self.changed.pop(occupant, None)

    def _updateRole(self, occupant: Occupant, role: Role, reason: str | None, key: str = "") -> None:
        occupant.role = role
        self.changed[occupant] = (key, reason)
        if self._room.updateVisibility(occupant):
            self._newlyPrivileged[occupant] = None

    def _updateAffiliation(self, occupant: Occupant, key: str, reason: str | None) -> bool:
        """
        Let an occupant have the affiliation that they have now.

        @return: whether that announces the entry of a user.
        """
        room = self._room
        old, new = occupant.affiliation, room.affiliations.get(occupant.account)
        # What a domain's entry makes of its users announces no entry of theirs.
        own = ""
        if occupant.account.bare == key:
            if new is affiliationOf(self._change.affiliates.get(key)):
                own = key
            else:
                self._replaced[key] = reason
        occupant.affiliation = new
        if new is Affiliation.OUTCAST:
            self._remove(occupant, 301, reason, own)
        elif new is Affiliation.NONE and new is not old and room.settings.membersOnly:
            self._remove(occupant, 321, reason, own)
        elif new is not old:
            role = roleAfterAffiliationChange(occupant.role, old, new, room.settings.moderated)
            role = room.extensions.limitRole(room, occupant.account, new, role)
            self._updateRole(occupant, role, reason, own)
        else:
            return False
        # Whom others do not see is absent to them.
        return own == key and (occupant.shown or presencebroadcast.isShown(room.settings, occupant.role))

    def announce(self) -> None:
        """Announce the other changes."""
        self._room.audience.sent += self._sentLater
        announceSoon(self._room, self.announcements(), self.announcedSize())

    def announcedSize(self) -> int:
        """About how many bytes L{announcements} send to all."""
        reasons = [*self._change.reasons.values(), *(reason for _, _, reason in self._change.roles)]
        longest = max((len(reason or "") for reason in reasons), default=0)
        return presencebroadcast.announcedSize(self._room, len(self.removed), self.changed, longest)

    def announcements(self) -> Steps:
        """Tell all others."""
        room, isLarge = self._room, self.isLarge()
        if isLarge:
            # It takes long.
            self._tellExtensions()
        for key, departure in self.removed:
            yield len(room.sessions) + RENDERING
            self._announcer.announceDeparture(key, departure)
        for occupant, (key, reason) in self.changed.items():
            yield len(room.sessions) + RENDERING
            if room.occupants.get(occupant.nick) is occupant:
                self._announcer.announceOccupant(key, occupant, reason)
        for occupant in self._newlyPrivileged:
            # A new moderator gets the real JIDs by presence (§8).
            for session in list(occupant.sessions.values()):
                yield from self._listTo(session)
        if not isLarge:
            self._tellExtensions()

    def _listTo(self, session: OccupantSession) -> Steps:
        for cost in presencebroadcast.occupantList(self._room, session, lambda *sent: session.route.deliverAll(*sent)):
            yield cost
            if self._room.sessions.get(session.jid) is not session or not session.seesJIDs:
                return

    def _tellExtensions(self) -> None:
        change = self._change
        if change.affiliates or change.roles or change.retracted or change.states:
            tell(self._room.extensions.privilegesChanged, self._room, change)
