# -*- test-case-name: tests.muc.model.test_departures -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Occupants who are removed: each is told at once; that they have left is told to all others later, in slices if they are
many (docs/design/0019).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from muccore.muc.model.audience import Audience
from muccore.muc.model.occupant import Occupant, OccupantSession
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.rendering import Actor, OccupantPresence
from muccore.net.slices import RENDERING, Steps

if TYPE_CHECKING:
    from muccore.muc.model.room import Room

REMOVING: Final = 2 * RENDERING
"""The cost of removing an occupant."""


class Departure(NamedTuple):
    """
    That an occupant has left.

    @ivar nick: the nick that they had.
    @ivar presence: what all others are sent.
    @ivar number: its number among the departures of the room.
    """

    nick: str
    presence: OccupantPresence
    number: int


class Departures:
    """What the others in a room have not been told yet."""

    __slots__ = ("_audience", "_newcomers", "_numbers", "_untold")

    def __init__(self, audience: Audience) -> None:
        self._audience = audience
        self._numbers = count(1)
        self._untold: dict[str, Departure] = {}
        # Those who have entered meanwhile, with the number of the last departure before that.
        self._newcomers: dict[OccupantSession, int] = {}

    def add(self, presence: OccupantPresence, nick: str) -> Departure:
        """
        Note who has left.

        @param presence: what all others are to be sent.
        """
        departure = self._untold[nick] = Departure(nick, presence, next(self._numbers))
        return departure

    def tell(self, departure: Departure, send: Callable[[], None] | None = None) -> None:
        """
        Tell all who were in the room, if they have not been told.

        @param send: does it in another way, for all who are in the room.
        """
        if self._untold.get(departure.nick) is departure:
            del self._untold[departure.nick]
            if send is None or self._newcomers:
                self._send(departure)
            else:
                send()
            if not self._untold:
                self._newcomers.clear()

    def tellBefore(self, nick: str) -> None:
        """Tell who had a nick, if that is left to do, before somebody takes it."""
        departure = self._untold.get(nick)
        if departure is not None:
            self.tell(departure)

    def entered(self, session: OccupantSession) -> None:
        """Note that a session is being sent who is in the room now."""
        if self._untold:
            self._newcomers[session] = next(self._numbers)

    def _send(self, departure: Departure) -> None:
        presence, number, newcomers = departure.presence, departure.number, self._newcomers
        if not presence.shown:
            return
        versions = presence.withoutJID(), presence.withJID()
        if newcomers:
            self._audience.sendEach(lambda session: versions if newcomers.get(session, 0) < number else None)
        else:
            self._audience.sendVersions(*versions, None)


def remove(
    room: Room, occupant: Occupant, code: int, actor: Actor | None = None, reason: str | None = None
) -> Departure:
    """Remove an occupant with all their sessions, and notify these."""
    nick = occupant.nick
    return room.departures.add(room.removeOccupant(occupant, code, actor, reason), nick)


def removeEach(room: Room, occupants: Iterable[Occupant], code: int, reason: str | None = None) -> Steps:
    """Remove some occupants, with a status code; then tell all others."""
    removed = []
    for occupant in occupants:
        yield REMOVING
        if room.occupants.get(occupant.nick) is occupant:
            removed.append(remove(room, occupant, code, None, reason))
    yield from tellAll(room, removed)


def tellAll(room: Room, departures: Iterable[Departure]) -> Steps:
    """Tell all others who has left."""
    for departure in departures:
        yield len(room.sessions) + RENDERING
        room.departures.tell(departure)


def removeAll(
    room: Room, codes: Iterable[int] = (), affiliation: Affiliation | None = None, extra: bytes = b""
) -> Steps:
    """
    Remove all occupants, each notified of their own removal only: the room or the service ends (XEP-0045 §10.9, §11.2).

    @param affiliation: shown instead of each occupant's own.
    @param extra: as for L{OccupantPresence}.
    """
    while room.occupants:
        for occupant in list(room.occupants.values()):
            yield REMOVING
            if room.occupants.get(occupant.nick) is occupant:
                room.removeSilently(occupant)
                presence = OccupantPresence(
                    occupant, leaving=True, codes=codes, affiliation=affiliation, extra=extra
                )
                for session in occupant.sessions.values():
                    session.deliver(presence.toSelf(session), session.to)


def removeEverybody(rooms: Iterable[Room]) -> Steps:
    """Remove all occupants of some rooms, since the service ends (status 332)."""
    for room in rooms:
        yield from removeAll(room, (332,))
