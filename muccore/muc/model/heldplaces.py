# -*- test-case-name: tests.muc.model.test_heldplaces -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The places of occupants whose clients have not returned since the server started.

A held session is in its room like any other, but what is sent to it goes nowhere. It is taken back by the same full
JID, or by a join of another session of the account under the same nick. Nobody else is told, except of what has
changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from zope.interface import implementer

from muccore.interfaces import IRoute, Place
from muccore.muc.model import presencebroadcast
from muccore.muc.model.extensionpoints import tell
from muccore.muc.model.joinrequest import JoinRequest
from muccore.muc.model.occupant import Occupant, OccupantSession
from muccore.muc.model.privileges import AFFILIATIONS, Affiliation, Role, roleAfterAffiliationChange
from muccore.muc.model.rendering import presenceOf
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, InvalidJID, parse
from muccore.xmpp.rendering import Rendered

if TYPE_CHECKING:
    from muccore.muc.model.room import Room


@implementer(IRoute)
class HeldRoute:
    """
    A route that leads nowhere: that of a held session, or of one that cannot be reached.

    @ivar missed: whether anything was sent to it: its client then does not know what has happened in the room.
    """

    __slots__ = ("missed",)

    def __init__(self, missed: bool) -> None:
        self.missed = missed

    def deliver(self, stanza: Rendered, to: bytes) -> None:
        """See L{IRoute.deliver<muccore.interfaces.IRoute.deliver>}."""
        self.missed = True

    def deliverAll(self, stanzas: Sequence[Rendered], to: bytes) -> None:
        """See L{IRoute.deliverAll<muccore.interfaces.IRoute.deliverAll>}."""
        self.missed = self.missed or bool(stanzas)


def hold(room: Room, places: Iterable[Place], isGuest: Callable[[JID], bool]) -> Iterator[Place | None]:
    """
    Hold places in a room that is being loaded, one in each step. The room decides: there is none for who may not be
    there any more, and a role follows an affiliation that was stored, but not announced, when the server ended.
    Everybody has missed that.

    @param places: in the order in which they were last written.
    @param isGuest: whether a user is a guest, who cannot come back.
    @return: what could not be held; C{None} for each place that could.
    """
    changed = False
    for place in places:
        try:
            jid = parse(place.jid)
            if isGuest(jid):
                raise StanzaError("item-not-found")
            occupant = _hold(room, jid, place)
        except (InvalidJID, KeyError, StanzaError):
            changed = True
            yield place
        else:
            found = occupant.affiliation.xmlName, occupant.role.xmlName
            changed = changed or found != (place.affiliation, place.role)
            yield None
    if changed:
        for session in room.sessions.values():
            if session.held is not None:
                session.held.missed = True


def _hold(room: Room, jid: JID, place: Place) -> Occupant:
    """
    Hold a place.

    @raise StanzaError: (or C{KeyError}) if the user may not be in the room, or it makes no sense.
    """
    old, affiliation = AFFILIATIONS[place.affiliation], room.affiliations.get(jid)
    if affiliation is Affiliation.OUTCAST or (affiliation is Affiliation.NONE and room.settings.membersOnly):
        raise StanzaError("forbidden")
    occupant = room.occupantByNick(place.nick)
    if occupant is None:
        role = Role.parse(place.role)
        if affiliation is not old:
            role = roleAfterAffiliationChange(role, old, affiliation, room.settings.moderated)
        role = room.extensions.limitRole(room, jid.bareJID(), affiliation, role)
        stamps = room.extensions.stampOccupant(room, jid.bareJID())
        occupant = Occupant(room.jid, place.nick, jid.bareJID(), affiliation, role, stamps, place.since)
        occupant.presenceStamps = room.extensions.stampPresence(room, occupant)
        occupant.shown = presencebroadcast.isShown(room.settings, role)
        room.occupants.add(occupant)
    elif occupant.account.bare != jid.bare:
        raise StanzaError("conflict")
    route = HeldRoute(place.stale)
    session = occupant.addSession(place.jid, route, place.presence)
    session.held = route
    session.seesJIDs = room.canSeeRealJIDs(occupant)
    room.sessions[session.jid] = session
    return occupant


def heldSession(occupant: Occupant) -> OccupantSession | None:
    """The held session whose place another one of the account takes: preferably that which others see."""
    held = [session for session in occupant.sessions.values() if session.held is not None]
    return occupant.primary if occupant.primary in held else held[0] if held else None


def reachableSession(occupant: Occupant) -> OccupantSession | None:
    """The session of an occupant that others see, or another one if that is held; C{None} if all are."""
    if occupant.primary.held is None:
        return occupant.primary
    return next((session for session in occupant.sessions.values() if session.held is None), None)


def takeBack(session: OccupantSession, route: IRoute) -> None:
    """Send to a held session again."""
    session.held = None
    session.setRoute(route)


def replace(room: Room, held: OccupantSession, request: JoinRequest) -> OccupantSession:
    """
    Give the place of a held session to another session of the account, which is allowed to enter.

    Those who may see real JIDs are told the new one, unless the new session's presence, which is not set here, will
    tell it.

    @return: the new session, which is held still.
    """
    occupant, seen = held.occupant, held.occupant.primary
    session = occupant.addSession(request.jid.full, held.route, held.presencePayload)
    session.held, session.seesJIDs = held.held, held.seesJIDs
    room.sessions[session.jid] = session
    del occupant.sessions[held.jid], room.sessions[held.jid]
    if seen is not held:
        occupant.primary = seen
    if occupant.shown and request.payload == session.presencePayload:
        room.audience.sendToViewers(None, presenceOf(occupant)[True], (occupant,))
    tell(room.extensions.left, room, held)
    return session
