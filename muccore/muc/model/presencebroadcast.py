# -*- test-case-name: tests.muc.model.test_presencebroadcast -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Whose presence others get: that of the roles that the room broadcasts (XEP-0045 §5.1.1, §7.2.2, §7.7).

An occupant of any other role is invisible to all others, moderators too, whatever they say. Role changes across the
border look like entering and leaving. The occupants themselves always get their own presence. With the role C{none},
affiliated users who are absent, or invisible, are shown to newcomers as unavailable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from muccore.muc.model.occupant import Occupant, OccupantSession
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.rendering import OccupantPresence, absentPresence, presenceOf
from muccore.muc.model.roomsettings import RoomSettings
from muccore.net.slices import RENDERING, Steps
from muccore.xmpp.jid import parse
from muccore.xmpp.rendering import OwnStanzas, Rendered

if TYPE_CHECKING:
    from muccore.muc.model.room import Room

DeliverAll = Callable[[Sequence[Rendered], bytes], None]
"""The C{deliverAll} of a route (L{muccore.interfaces.IRoute})."""

_STEP: Final = 100
"""Occupants in a step of a list."""

_PRESENCE: Final = 300
"""The usual size of a presence besides what the occupant's client adds, in bytes."""

ABSENT_LIMIT: Final = 1000
"""Absent users that a newcomer is shown; all are in the lists of affiliations."""


def isShown(settings: RoomSettings, role: Role) -> bool:
    """Whether others get the presence of occupants of a role."""
    return role.xmlName in settings.presenceBroadcast


def showsAbsent(settings: RoomSettings) -> bool:
    """Whether absent users with an affiliation are shown."""
    return isShown(settings, Role.NONE)


def toOthers(settings: RoomSettings, occupant: Occupant, presence: OccupantPresence) -> OccupantPresence:
    """
    What others get when an occupant's presence is to be broadcast, and note whether they see the occupant now.

    @param presence: the present one.
    @return: it, or an unavailable one for an occupant who becomes invisible.
    """
    if isShown(settings, occupant.role) is occupant.shown:
        return presence
    leaving = OccupantPresence(occupant, leaving=True)
    occupant.shown = presence.shown = not occupant.shown
    return presence if occupant.shown else leaving


def wronglyShown(room: Room) -> list[Occupant]:
    """Those who are shown to others, or hidden from them, but are not to be."""
    return [each for each in room.occupants.values() if isShown(room.settings, each.role) is not each.shown]


def announcedSize(room: Room, leaving: int, present: Iterable[Occupant], reason: int = 0) -> int:
    """
    About how many bytes it takes to announce some occupants to all.

    @param leaving: how many leave.
    @param present: those whose presence is sent.
    @param reason: the bytes of a reason in each.
    """
    payloads = [len(each.primary.presencePayload) for each in present]
    return len(room.sessions) * ((leaving + len(payloads)) * (_PRESENCE + reason) + sum(payloads))


def apply(room: Room) -> Steps:
    """Show and hide occupants to others after a change of the configuration."""
    for occupant in wronglyShown(room):
        yield len(room.sessions) + RENDERING
        isIn = room.occupants.get(occupant.nick) is occupant
        if isIn and isShown(room.settings, occupant.role) is not occupant.shown:
            room.broadcastOccupant(toOthers(room.settings, occupant, OccupantPresence(occupant)), occupant)


def sessionLeft(room: Room, occupant: Occupant) -> None:
    """Show the sessions that are left to those who may see them: one has left whose presence others did not see."""
    occupant.cachedPresence = None
    presence = OccupantPresence(occupant)
    if presence.shown:
        room.audience.sendToViewers(None, presence.withJID(), (occupant,))
    for session in occupant.sessions.values():
        session.deliver(presence.toSelf(session), session.to)


def occupantList(room: Room, session: OccupantSession, deliverAll: DeliverAll) -> Steps:
    """
    Send a session the presence of all others whom it may see, in the version that it may see. Who leaves or becomes
    invisible meanwhile is left out: that may have been told already.

    @param deliverAll: delivers each step.
    """
    to, index, isIn = session.to, int(session.seesJIDs), room.occupants.get
    others = [each for each in room.occupants.values() if each.shown and each is not session.occupant]
    for first in range(0, len(others), _STEP):
        step = others[first : first + _STEP]
        yield len(step) + RENDERING * sum(each.cachedPresence is None for each in step)
        shown = [each for each in step if each.shown and isIn(each.nick) is each]
        deliverAll([(each.cachedPresence or presenceOf(each))[index] for each in shown], to)
    if showsAbsent(room.settings):
        yield ABSENT_LIMIT
        deliverAll(OwnStanzas(_absent(room, session.seesJIDs)), to)


def sendPresenceOf(room: Room, session: OccupantSession, nick: str) -> None:
    """Send a session the presence of one occupant; nothing if it sees nobody of that nick."""
    if nick == session.occupant.nick:
        presence: Rendered | None = OccupantPresence(session.occupant).toSelf(session)
    else:
        presence = _byNick(room, nick)[session.seesJIDs]
    if presence is not None:
        session.deliver(presence, session.to)


def _absent(room: Room, seesJIDs: bool) -> Iterator[Rendered]:
    """
    The presence of absent users with an affiliation for one session, up to L{ABSENT_LIMIT}.

    @param seesJIDs: whether it may see real JIDs; otherwise only those who have a nick reserved are shown.
    """
    shown = {occupant.account.bare for occupant in room.occupants.values() if occupant.shown}
    count = 0
    for affiliation in (Affiliation.OWNER, Affiliation.ADMIN, Affiliation.MEMBER):
        for jid, entry in room.affiliations.withAffiliation(affiliation):
            if count == ABSENT_LIMIT:
                return
            if "@" in jid and jid not in shown and (seesJIDs or entry.nick is not None):
                count += 1
                yield _absentUser(room, jid, affiliation, entry.nick, seesJIDs)


def announceAbsent(room: Room, jid: str, nick: str | None) -> None:
    """
    Show everybody the changed affiliation of a user whom nobody sees in the room.

    @param jid: their bare JID; a domain is no user.
    @param nick: the nick that was reserved for them.
    """
    if not showsAbsent(room.settings) or "@" not in jid:
        return
    if any(isShown(room.settings, occupant.role) for occupant in room.occupantsAffectedBy(jid)):
        return
    affiliation = room.affiliations.get(parse(jid))
    withoutJID = _absentUser(room, jid, affiliation, nick, False) if nick is not None else None
    withJID = _absentUser(room, jid, affiliation, nick, True)
    room.audience.sendToViewers(withoutJID, withJID, room.occupantsAffectedBy(jid))


def _absentUser(room: Room, jid: str, affiliation: Affiliation, nick: str | None, seesJIDs: bool) -> Rendered:
    stamps = room.extensions.stampOccupant(room, parse(jid))
    return absentPresence(room.jid, affiliation, nick, jid if seesJIDs else None, stamps)


def _byNick(room: Room, nick: str) -> tuple[Rendered | None, Rendered | None]:
    """What others see under a nick, without and with real JIDs; C{None} if that is nobody."""
    occupant = room.occupants.get(nick)
    if occupant is not None and occupant.shown:
        return presenceOf(occupant)
    jid = room.affiliations.reservedBy(nick) if showsAbsent(room.settings) else None
    if jid is None or any(occupant.shown for occupant in room.occupantsAffectedBy(jid)):
        return None, None
    affiliation, reserved = room.affiliations.get(parse(jid)), room.affiliations.reservedNick(jid)
    if affiliation < Affiliation.MEMBER:
        return None, None
    withoutJID, withJID = (_absentUser(room, jid, affiliation, reserved, seesJIDs) for seesJIDs in (False, True))
    return withoutJID, withJID
