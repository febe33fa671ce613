# -*- test-case-name: tests.muc.model.test_privilegechanges -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Changes of affiliations and roles (XEP-0045 §8, §9, §10).

In two steps, since an affiliation has to be durable before anybody hears of it. L{plan} checks every item of a
request and raises if one of them may not be: all or nothing. L{apply} carries the plan out and tells those who are
put out; what it returns tells everyone else, and is called when the one who asked has his result (§8.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from muccore.interfaces import Affiliate
from muccore.muc.model.occupant import Occupant
from muccore.muc.model.privileges import (
    AFFILIATIONS,
    Affiliation,
    Role,
    checkAffiliationChange,
    checkRoleChange,
    roleAfterAffiliationChange,
)
from muccore.muc.model.rendering import OccupantPresence
from muccore.muc.model.room import Room
from muccore.xmpp import ns
from muccore.xmpp.element import stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID


@dataclass(frozen=True)
class AffiliationItem:
    """
    What one item asks for.

    @ivar jid: whose affiliation; a bare JID, or a domain for all its users.
    @ivar affiliation: the new one.
    @ivar nick: the nick to reserve for him, C{""} for none any more, C{None} to leave it.
    @ivar reason: why, or C{None}.
    """

    jid: JID
    affiliation: Affiliation
    nick: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class RoleItem:
    """
    What one item asks for.

    @ivar nick: whose role.
    @ivar role: the new one.
    @ivar reason: why, or C{None}.
    """

    nick: str
    role: Role
    reason: str | None = None


@dataclass
class PrivilegeChange:
    """
    What a request will do.

    @ivar actor: the nick of who asked, if he is in the room, for those who hear of it.
    @ivar affiliates: the entries that change, as a store wants them; empty if there is nothing to store.
    @ivar reasons: for each key in C{affiliates} whose affiliation changes, the reason.
    @ivar roles: the role changes.
    """

    actor: str | None = None
    affiliates: dict[str, Affiliate | None] = field(default_factory=dict)
    reasons: dict[str, str | None] = field(default_factory=dict)
    roles: list[tuple[Occupant, Role, str | None]] = field(default_factory=list)


def plan(room: Room, actor: JID, items: Iterable[AffiliationItem | RoleItem]) -> PrivilegeChange:
    """
    Check a request of an admin, an owner or a moderator.

    @param actor: the full JID of who asks.
    @raise StanzaError: the first item that may not be; nothing is changed then.
    """
    occupant = room.occupantByRealJID(actor.full)
    made = PrivilegeChange(occupant.nick if occupant is not None else None)
    rank = room.affiliations.get(actor)
    for item in items:
        if isinstance(item, RoleItem):
            _planRole(room, made, occupant, item)
        else:
            _planAffiliation(room, made, actor, rank, item)
    _checkTogether(room, made)
    return made


def _checkTogether(room: Room, made: PrivilegeChange) -> None:
    """Check what only all items together show."""
    room.affiliations.checkSize(made.affiliates)
    if any(target.account.bare in made.affiliates for target, _, _ in made.roles):
        # §17.4, in two items as in one: the role was checked against an affiliation that he will not have.
        raise StanzaError("bad-request", text="Change either the role or the affiliation, not both.")
    for key, entry in made.affiliates.items():
        if entry is not None and entry.nick is not None and entry.nick != room.affiliations.reservedNick(key):
            checkReservable(room, made.affiliates, key, entry.nick)
    _checkOwners(room, made)


def _planRole(room: Room, made: PrivilegeChange, actor: Occupant | None, item: RoleItem) -> None:
    if actor is None or actor.role is not Role.MODERATOR:
        raise StanzaError("forbidden")
    target = room.occupants.get(item.nick)
    if target is None:
        raise StanzaError("item-not-found", text=f"There is no occupant with the nickname {item.nick[:64]!r}.")
    oneself = target is actor
    checkRoleChange(actor.role, actor.affiliation, target.role, target.affiliation, item.role, oneself)
    made.roles.append((target, item.role, item.reason))


def _planAffiliation(room: Room, made: PrivilegeChange, actor: JID, rank: Affiliation, item: AffiliationItem) -> None:
    key, new = item.jid.bare, item.affiliation
    old = room.affiliations.entry(key)
    held = AFFILIATIONS[old.affiliation] if old is not None else Affiliation.NONE
    if new is Affiliation.OUTCAST and key == actor.bare and rank >= Affiliation.ADMIN:
        raise StanzaError("conflict", text="You cannot ban yourself.")
    checkAffiliationChange(rank, held, new)
    if not item.jid.local and (new >= Affiliation.ADMIN or item.nick):
        raise StanzaError("not-acceptable", text="A domain cannot be an admin or owner or have a reserved nickname.")
    entry: Affiliate | None = Affiliate(new.xmlName, _plannedNick(old, item), item.reason)
    if new is Affiliation.NONE:
        entry = None
    _recordAffiliation(made, key, old, held, entry, new, item.reason)


def _recordAffiliation(
    made: PrivilegeChange,
    key: str,
    old: Affiliate | None,
    held: Affiliation,
    entry: Affiliate | None,
    new: Affiliation,
    reason: str | None,
) -> None:
    """Add one entry to a plan, unless it changes nothing."""
    made.affiliates.pop(key, None)
    made.reasons.pop(key, None)
    if entry != old:
        made.affiliates[key] = entry
        if new is not held:
            made.reasons[key] = reason


def _plannedNick(old: Affiliate | None, item: AffiliationItem) -> str | None:
    """The nick that stays or becomes reserved (XEP-0045 §9.3, §9.5); an outcast has none (§9.1)."""
    if item.affiliation <= Affiliation.NONE:
        return None
    if item.nick is None:
        return old.nick if old is not None else None
    return item.nick or None


def checkReservable(room: Room, pending: Mapping[str, Affiliate | None], key: str, nick: str) -> None:
    """
    Whether a nick may be reserved for somebody.

    @param pending: entries that are about to change.
    @raise StanzaError: C{conflict} if it is reserved for someone else, or someone else is using it.
    """
    holder = room.affiliations.reservedBy(nick)
    if holder is not None and holder not in pending and holder != key:
        raise StanzaError("conflict", text="This nickname is reserved by another user.")
    if any(jid != key and entry is not None and entry.nick == nick for jid, entry in pending.items()):
        raise StanzaError("conflict", text="This nickname is reserved by another user.")
    occupant = room.occupants.get(nick)
    if occupant is not None and occupant.account.bare != key:
        raise StanzaError("conflict", text="This nickname is in use by another occupant.")


def _checkOwners(room: Room, made: PrivilegeChange) -> None:
    """@raise StanzaError: C{conflict} if no owner would be left (XEP-0045 §10.4)."""
    if made.affiliates and not room.affiliations.hasOwnerAfter(made.affiliates):
        raise StanzaError("conflict", text="A room must have at least one owner.")


def planOwnersAndAdmins(
    room: Room, actor: JID, owners: Iterable[JID] | None, admins: Iterable[JID] | None
) -> PrivilegeChange:
    """
    Plan what the full lists of owners and admins in the configuration form change (XEP-0045 §10.2; C{None} leaves a
    list as it is).

    @raise StanzaError: as L{plan}.
    """
    wanted: dict[str, AffiliationItem] = {}
    for jids, affiliation in ((admins, Affiliation.ADMIN), (owners, Affiliation.OWNER)):
        # Who stands in both lists is an owner.
        wanted.update({jid.bare: AffiliationItem(jid.bareJID(), affiliation) for jid in jids or ()})
    items = list(wanted.values())
    dropped = [
        (bare, affiliation)
        for jids, affiliation in ((owners, Affiliation.OWNER), (admins, Affiliation.ADMIN))
        if jids is not None
        for bare, _ in room.affiliations.withAffiliation(affiliation)
        if bare not in wanted
    ]
    for bare, affiliation in dropped:
        # XEP-0045 §10.2: an owner who is left out of the list becomes an admin, an admin a member.
        fallen = Affiliation.ADMIN if affiliation is Affiliation.OWNER and admins is None else Affiliation.MEMBER
        local, _, domain = bare.partition("@")
        items.append(AffiliationItem(JID(local, domain, ""), fallen))
    kept = [
        item
        for item in items
        if (entry := room.affiliations.entry(item.jid.bare)) is None or entry.affiliation != item.affiliation.xmlName
    ]
    return plan(room, actor, kept)


def apply(room: Room, made: PrivilegeChange) -> Callable[[], None]:
    """
    Carry a plan out, when what it stores is durable. Tells those who are put out, and of affiliations of people who
    are not in.

    @return: tells everyone else.
    """
    room.affiliations.update(made.affiliates)
    gone: list[OccupantPresence] = []
    changed: dict[str, tuple[Occupant, str | None]] = {}
    sighted: dict[str, Occupant] = {}
    absent = []
    for key, reason in made.reasons.items():
        present = room.occupantsAffectedBy(key)
        if not present:
            absent.append((key, reason))
        for occupant in present:
            if _updateAffiliation(room, occupant, made.actor, reason, gone, changed):
                sighted[occupant.address] = occupant
    for occupant, role, reason in made.roles:
        # He may have left, or an earlier item of the same request has put him out.
        if room.occupants.get(occupant.nick) is occupant and occupant.role is not role:
            if role is Role.NONE:
                gone.append(room.removeOccupant(occupant, (307,), made.actor, reason))
            else:
                occupant.role = role
                if room.updateVisibility(occupant):
                    sighted[occupant.address] = occupant
                changed[occupant.address] = (occupant, reason)
    for key, reason in absent:
        _announceAbsent(room, key, reason)

    def tellEveryone() -> None:
        for notice in gone:
            room.broadcastOccupant(notice)
        for occupant, reason in changed.values():
            if room.occupants.get(occupant.nick) is occupant:
                room.broadcastPresence(occupant, actor=made.actor, reason=reason)
        for occupant in sighted.values():
            # A new moderator learns by presence who everybody is (§8).
            for seat in occupant.sessions.values():
                if room.sessions.get(seat.jid) is seat and seat.seesJIDs:
                    room.sendOccupantList(seat)

    return tellEveryone


def _updateAffiliation(
    room: Room,
    occupant: Occupant,
    actor: str | None,
    reason: str | None,
    gone: list[OccupantPresence],
    changed: dict[str, tuple[Occupant, str | None]],
) -> bool:
    """
    Bring an occupant's affiliation up to date, and his role with it.

    @return: as L{Room.reckon}.
    """
    old, new = occupant.affiliation, room.affiliations.get(occupant.account)
    if new is old:
        return False
    occupant.affiliation = new
    if new is Affiliation.OUTCAST:
        gone.append(room.removeOccupant(occupant, (301,), actor, reason))
    elif new is Affiliation.NONE and room.settings.membersOnly:
        gone.append(room.removeOccupant(occupant, (321,), actor, reason))
    else:
        occupant.role = roleAfterAffiliationChange(occupant.role, old, new, room.settings.moderated)
        changed[occupant.address] = (occupant, reason)
        return room.updateVisibility(occupant)
    return False


def _announceAbsent(room: Room, key: str, reason: str | None) -> None:
    """Tell those who may see real JIDs of the affiliation of someone who is not in (XEP-0045 §10.3, §10.6)."""
    entry = room.affiliations.entry(key)
    message = stanza("message", from_=room.jid.bare)
    x = message.add("x", ns.MUC_USER)
    item = x.add("item", jid=key, affiliation=entry.affiliation if entry is not None else Affiliation.NONE.xmlName)
    if reason:
        item.add("reason", text=reason)
    room.broadcast(message, moderatorsOnly=not room.settings.nonAnonymous)
