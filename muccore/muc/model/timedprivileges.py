# -*- test-case-name: tests.muc.model.test_timedprivileges -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Affiliations and mutes that end by themselves: how they begin, what ends them early, and what their end changes.

Each is a row of the room's states, by bare JID or domain, beside the entry in the list of affiliations. A ban ends with
the affiliation that was there before; a membership with none. A mute takes voice from a user, in whatever room, and
keeps it from them however they come back; it ends early if a moderator gives them voice. Where a moderator takes voice
as XEP-0045 §8.4 has it, that is a mute without an end (§5.1: implementations should persist roles in moderated rooms).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from typing import Any, Final

from muccore.interfaces import Affiliate
from muccore.muc.model import privilegechanges
from muccore.muc.model.affiliations import affiliationOf
from muccore.muc.model.occupant import Occupant
from muccore.muc.model.privilegechanges import AffiliationItem, PrivilegeChange
from muccore.muc.model.privileges import AFFILIATIONS, Affiliation, Role, checkRoleChange, initialRole
from muccore.muc.model.room import Room
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, parse

LIMIT: Final = 2000
"""Maximum number of timed affiliations and mutes of a room."""

_AFFILIATIONS: Final = "timed-affiliations"
_MUTES: Final = "timed-mutes"
_OVER: Final = {Affiliation.OUTCAST: "The ban is over.", Affiliation.MEMBER: "The membership is over."}
_MUTE_OVER: Final = "The mute is over."


@dataclass(frozen=True)
class TimedAffiliation:
    """
    An affiliation that ends.

    @ivar until: when, in seconds since the epoch.
    @ivar affiliation: C{OUTCAST} or C{MEMBER}; if the list has another one, it has ended already.
    @ivar before: the entry of the list that comes back, or C{None}.
    @ivar beforeUntil: when that ends itself, or C{None}.
    """

    until: float
    affiliation: Affiliation
    before: Affiliate | None = None
    beforeUntil: float | None = None

    def row(self) -> list[Any]:
        """As it is stored."""
        before = None if self.before is None else list(astuple(self.before))
        return [self.until, self.affiliation.xmlName, before, self.beforeUntil]

    @classmethod
    def ofRow(cls, row: list[Any]) -> TimedAffiliation:
        """From what is stored."""
        until, affiliation, before, beforeUntil = row
        return cls(until, AFFILIATIONS[affiliation], None if before is None else Affiliate(*before), beforeUntil)


@dataclass(frozen=True)
class TimedMute:
    """
    A mute.

    @ivar until: when it ends, in seconds since the epoch; C{None}: when voice is given back.
    @ivar voiced: whether it took voice, which comes back.
    @ivar reason: why, or C{None}.
    """

    until: float | None
    voiced: bool
    reason: str | None = None

    def row(self) -> list[Any]:
        """As it is stored."""
        return list(astuple(self))


def affiliationsIn(room: Room) -> dict[str, TimedAffiliation]:
    """The timed affiliations of a room, by bare JID or domain."""
    return {key: TimedAffiliation.ofRow(row) for key, row in room.states.get(_AFFILIATIONS, {}).items()}


def mutesIn(room: Room) -> dict[str, TimedMute]:
    """The mutes of a room, by bare JID."""
    return {key: TimedMute(*row) for key, row in room.states.get(_MUTES, {}).items()}


def nextDeadline(room: Room) -> float | None:
    """When something ends next in a room, or C{None}."""
    rows = (room.states.get(name, {}) for name in (_AFFILIATIONS, _MUTES))
    return min((row[0] for each in rows for row in each.values() if row[0] is not None), default=None)


def _checkSize(room: Room, change: PrivilegeChange) -> None:
    keys = {(name, key) for name in (_AFFILIATIONS, _MUTES) for key in room.states.get(name, ())}
    if len(keys.union(change.states)) > max(LIMIT, len(keys)):
        raise StanzaError(
            "resource-constraint", "cancel", f"A room can have {LIMIT} timed bans, memberships and mutes."
        )


# Beginning


def planAffiliation(
    room: Room, actor: JID, user: JID, affiliation: Affiliation, until: float, reason: str | None
) -> PrivilegeChange:
    """
    Plan a ban or a membership that ends.

    @param actor: the requester's full JID.
    @param user: a bare JID, or a domain for all its users.
    @raise StanzaError: as for a change without end; C{resource-constraint} if there are too many.
    """
    change = privilegechanges.plan(room, actor, [AffiliationItem(user, affiliation, None, reason)])
    privilegechanges.check(room, actor, change)
    timed, old = TimedAffiliation(until, affiliation), affiliationsIn(room).get(user.bare)
    entry = room.affiliations.entry(user.bare)
    if old is not None and old.affiliation is not affiliationOf(entry):
        old = None
    if affiliation is Affiliation.OUTCAST:
        if affiliationOf(entry) is not Affiliation.OUTCAST:
            timed = replace(timed, before=entry, beforeUntil=old.until if old is not None else None)
        elif old is not None:
            timed = replace(old, until=until)
    change.states[_AFFILIATIONS, user.bare] = timed.row()
    _checkSize(room, change)
    return change


def planMute(room: Room, actor: JID, user: JID, until: float, reason: str | None) -> PrivilegeChange:
    """
    Plan a mute, of a user in the room or not.

    @param actor: the requester's full JID.
    @param user: a bare JID.
    @raise StanzaError: as for taking voice for good (XEP-0045 §8.4), which admins may do from outside the room, too;
        C{conflict} for oneself; C{not-acceptable} for a domain, unless it is in the room itself;
        C{resource-constraint} if there are too many.
    """
    if user.bare == actor.bare:
        raise StanzaError("conflict", text="You cannot mute yourself.")
    ownRole, own = _standing(room, actor)
    present = _occupants(room, user)
    if not user.local and not present:
        raise StanzaError("not-acceptable", text="Only users can be muted, not domains.")
    affiliation = room.affiliations.get(user)
    change = PrivilegeChange(privilegechanges.actorOf(room, actor))
    for role in [each.role for each in present] or [initialRole(affiliation, room.settings.moderated)]:
        # Somebody without voice must not get it either.
        checkRoleChange(ownRole, own, max(role, Role.PARTICIPANT), affiliation, Role.VISITOR, False)
    change.roles += [(occupant, Role.VISITOR, reason) for occupant in present]
    old = mutesIn(room).get(user.bare)
    voiced = any(occupant.role >= Role.PARTICIPANT for occupant in present) or (old is not None and old.voiced)
    privilegechanges.check(room, actor, change)
    change.states[_MUTES, user.bare] = TimedMute(until, voiced, reason).row()
    _checkSize(room, change)
    return change


def keepTaken(room: Room, actor: JID, change: PrivilegeChange) -> None:
    """
    Let a change that takes voice (XEP-0045 §8.4) keep it from the users when they come back, under whatever nick, until
    it is given back. Who gives up their own may have it back. Another occupant of the same user has a role of their own
    (§5.1) as long as they stay.

    @param actor: the requester's full JID.
    @raise StanzaError: C{resource-constraint} if there are too many.
    """
    given = {occupant.account.bare for occupant, role, _ in change.roles if role >= Role.PARTICIPANT}
    for occupant, role, reason in change.roles:
        user = occupant.account.bare
        if role is not Role.VISITOR or occupant.role < Role.PARTICIPANT or user in given or user == actor.bare:
            continue
        change.states[_MUTES, user] = TimedMute(None, True, reason).row()
        _checkSize(room, change)


def planUnmute(room: Room, actor: JID, user: str) -> PrivilegeChange:
    """
    Plan the end of a mute by a moderator (XEP-0045 §8.3).

    @param actor: the requester's full JID.
    @param user: the bare JID.
    @raise StanzaError: C{forbidden} without the privilege, C{item-not-found} if the user is not muted.
    """
    mute = mutesIn(room).get(user)
    if mute is None:
        raise StanzaError("item-not-found", text="This user is not muted.")
    if _standing(room, actor)[0] is not Role.MODERATOR:
        raise StanzaError("forbidden")
    change = PrivilegeChange(privilegechanges.actorOf(room, actor))
    change.roles += [(occupant, role, None) for occupant, role in _voiceBack(room, user, mute)]
    privilegechanges.check(room, actor, change)
    change.states[_MUTES, user] = None
    return change


def _standing(room: Room, actor: JID) -> tuple[Role, Affiliation]:
    """The role and the affiliation of a requester. Admins have the privileges of moderators outside the room, too."""
    affiliation = room.affiliations.get(actor)
    if affiliation >= Affiliation.ADMIN:
        return Role.MODERATOR, affiliation
    occupant = room.occupantByRealJID(actor.full)
    return (occupant.role if occupant is not None else Role.NONE), affiliation


def _occupants(room: Room, user: JID) -> list[Occupant]:
    return list(room.occupants.ofAccount(user.bare))


# While it lasts


def limitRole(room: Room, account: JID, affiliation: Affiliation, role: Role) -> Role:
    """The role that a user may have. Admins cannot be muted (XEP-0045 §8.4)."""
    muted = affiliation < Affiliation.ADMIN and account.bare in room.states.get(_MUTES, ())
    return min(role, Role.VISITOR) if muted else role


def superseded(room: Room, change: PrivilegeChange) -> Iterator[tuple[str, str]]:
    """
    The rows that a change makes invalid: it sets another affiliation or a ban anew, makes a muted user an admin, or
    gives them voice, as the membership does that an admin gives to a user who is muted without an end (XEP-0045
    §5.1.3). A change of the nick or the reason alone leaves a membership as it is.
    """
    timed, mutes = room.states.get(_AFFILIATIONS, {}), room.states.get(_MUTES, {})
    for key, entry in change.affiliates.items():
        new = affiliationOf(entry)
        if key in timed and (key in change.reasons or new is Affiliation.OUTCAST):
            yield _AFFILIATIONS, key
        if key in mutes and (new >= Affiliation.ADMIN or _givesVoice(room, change, key)):
            yield _MUTES, key
    for occupant, role, _ in change.roles:
        if role >= Role.PARTICIPANT and occupant.account.bare in mutes:
            yield _MUTES, occupant.account.bare


def _givesVoice(room: Room, change: PrivilegeChange, user: str) -> bool:
    """Whether an admin makes a user a member whose mute has no end."""
    if change.actor is None or change.actor.jid == user or room.states[_MUTES][user][0] is not None:
        return False
    isRaised = room.affiliations.get(parse(user)) < affiliationOf(change.affiliates[user]) >= Affiliation.MEMBER
    return isRaised and room.affiliations.get(parse(change.actor.jid)) >= Affiliation.ADMIN


# The end


def planEnd(room: Room, now: float) -> PrivilegeChange:
    """
    Plan what ends, by the room itself, with reasons that say so.

    @param now: in seconds since the epoch.
    """
    change = PrivilegeChange()
    for key, timed in affiliationsIn(room).items():
        if timed.until <= now:
            change.states[_AFFILIATIONS, key] = None
            if affiliationOf(room.affiliations.entry(key)) is timed.affiliation:
                _planAffiliationEnd(room, change, key, timed, now)
    for user, mute in mutesIn(room).items():
        if mute.until is not None and mute.until <= now:
            change.states[_MUTES, user] = None
            change.roles += [(occupant, role, _MUTE_OVER) for occupant, role in _voiceBack(room, user, mute)]
    return change


def _planAffiliationEnd(room: Room, change: PrivilegeChange, key: str, timed: TimedAffiliation, now: float) -> None:
    entry, until = timed.before, timed.beforeUntil
    if until is not None and until <= now:
        entry = None
    elif until is not None:
        change.states[_AFFILIATIONS, key] = TimedAffiliation(until, affiliationOf(entry)).row()
    if entry is not None and entry.nick is not None:
        try:
            privilegechanges.checkReservable(room, change.affiliates, key, entry.nick)
        except StanzaError:
            # Somebody else has taken it.
            entry = replace(entry, nick=None)
    change.affiliates[key] = entry
    change.reasons[key] = _OVER[timed.affiliation]


def _voiceBack(room: Room, user: str, mute: TimedMute) -> Iterator[tuple[Occupant, Role]]:
    """The occupants who get voice when a mute ends: whoever had it, or would get it by entering now."""
    for occupant in room.occupants.ofAccount(user):
        if occupant.role is Role.VISITOR:
            role = initialRole(occupant.affiliation, room.settings.moderated)
            if mute.voiced or role >= Role.PARTICIPANT:
                yield occupant, Role.PARTICIPANT
