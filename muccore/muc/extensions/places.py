# -*- test-case-name: tests.muc.extensions.test_places -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The places of occupants, which outlive the process.

Each change is written down when it has been sent, in the same turn of the reactor, so before the connections are
flushed. A room that is loaded after a start gets the places of the earlier run, held (L{muccore.muc.model.heldplaces});
those who have not returned when the grace time ends leave, some in each turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from muccore.interfaces import IOccupantStore, Place
from muccore.log.logger import Logger
from muccore.muc.model import heldplaces
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.joinrequest import JoinRequest
from muccore.muc.model.occupant import Occupant, OccupantSession
from muccore.muc.model.privilegechanges import PrivilegeChange
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.room import Room
from muccore.muc.model.roomsettings import RoomSettings
from muccore.net.slices import Steps
from muccore.xmpp.guestnames import isGuestName
from muccore.xmpp.jid import JID

TIME_SLICE: Final = 0.005
"""Seconds after which what is left of a room's places waits for the next turn."""

BATCH: Final = 100
"""The most places that are held or given up in one turn."""

_WRITING: Final = 3
"""The cost of writing down an occupant in a slice."""

_STATUS: Final = b"<status>Did not return after the server was restarted</status>"

_log: Final = Logger()


class Places(RoomExtension):
    """The extension."""

    name = "places"

    def __init__(self, store: IOccupantStore) -> None:
        self._store = store
        # The places of the earlier run in rooms that have not been loaded yet.
        self._waiting: dict[str, Sequence[Place]] = {}
        # Rooms in which places have been held since the start.
        self._rooms: list[Room] = []
        self._ended = False
        self._calls: set[IDelayedCall] = set()

    # The grace time

    def start(self) -> None:
        """Begin the grace time."""
        grace, domain = self.service.options.occupantGrace, self.service.parent.name
        places = self._store.places()
        self._waiting = {room: places[room] for room in places if room.endswith(f"@{domain}")}
        self._ended = not grace
        if self._waiting:
            self._callLater(grace, self._end)
            if grace:
                _log.info(
                    "{domain}: holding {count} places in {rooms} rooms for {grace} s",
                    domain=domain,
                    count=sum(map(len, self._waiting.values())),
                    rooms=len(self._waiting),
                    grace=round(grace),
                )

    def stop(self, final: bool) -> None:
        """Let nobody leave from now on; at the end for good, forget all places."""
        while self._calls:
            self._calls.pop().cancel()
        if final:
            domain = f"@{self.service.parent.name}"
            for room in self._store.places():
                if room.endswith(domain):
                    self._store.removeRoom(room)

    def beforeCreation(self, jid: JID, creator: JID) -> None:
        """Forget the places of a room that is gone: another one takes its name."""
        self._forget(jid.bare)

    def loading(self, room: Room) -> Deferred[None] | None:
        """Hold the places in a room."""
        bare = room.jid.bare
        if self._ended:
            self._forget(bare)
        places = self._waiting.pop(bare, ())
        if not places:
            return None
        self._rooms.append(room)
        return self._inSlices(self._holding(room, places))

    def _forget(self, room: str) -> None:
        """Forget the places in a room that is not loaded."""
        if self._waiting.pop(room, None) is not None:
            self._store.removeRoom(room)

    def _holding(self, room: Room, places: Sequence[Place]) -> Iterator[None]:
        """Hold one place in each step."""
        for refused in heldplaces.hold(room, places, self._isGuest):
            if refused is not None:
                self._store.remove(room.jid.bare, refused.jid)
            yield
        if self._ended:
            # Meanwhile.
            self._inSlices(self._leaving([room]))

    def _isGuest(self, jid: JID) -> bool:
        return jid.domain in self.service.options.anonymousDomains and isGuestName(jid.local)

    def _end(self) -> None:
        self._ended = True
        rooms, self._rooms = self._rooms, []
        self._inSlices(self._leaving(rooms))

    def _leaving(self, held: Sequence[Room]) -> Iterator[None]:
        """Let one of those who have not returned leave in each step; forget the places in rooms that nobody needed."""
        rooms = self.service.rooms
        count = 0
        for room in held:
            for session in list(room.sessions.values()):
                if session.held is not None and room.sessions.get(session.jid) is session:
                    room.leave(session, _STATUS, (333,))
                    rooms.evictIfEmpty(room)
                    count += 1
                    yield
        for bare in list(self._waiting):
            count += len(self._waiting.get(bare, ()))
            self._forget(bare)
            yield
        _log.info("{domain}: {count} places were not taken back", domain=rooms.domain, count=count)

    def _inSlices(self, steps: Iterator[None]) -> Deferred[None]:
        """Take steps, some in each turn, from now on; fires when all are done."""
        clock, done = self.service.parent.clock, Deferred[None]()

        def go() -> None:
            until = clock.seconds() + TIME_SLICE
            for count, _ in enumerate(steps, 1):
                if count == BATCH or clock.seconds() > until:
                    self._callLater(0, go)
                    return
            done.callback(None)

        go()
        return done

    def _callLater(self, seconds: float, function: Callable[[], None]) -> None:
        """Call a function later, unless the service ends."""

        def call() -> None:
            self._calls.discard(waiting)
            function()

        waiting = self.service.parent.clock.callLater(seconds, call)
        self._calls.add(waiting)

    # Writing down

    def entered(self, room: Room, session: OccupantSession, request: JoinRequest) -> None:
        """See L{RoomExtension.entered}."""
        self._write(room, session)

    def returned(self, room: Room, session: OccupantSession) -> None:
        """See L{RoomExtension.returned}."""
        self._write(room, session)

    def presenceChanged(self, room: Room, session: OccupantSession) -> None:
        """See L{RoomExtension.presenceChanged}."""
        self._write(room, session)

    def nickChanged(self, room: Room, occupant: Occupant, old: str) -> None:
        """See L{RoomExtension.nickChanged}."""
        self._writeAll(room, (occupant,))

    def privilegesChanged(self, room: Room, change: PrivilegeChange) -> None:
        """See L{RoomExtension.privilegesChanged}."""
        changed = [occupant for occupant, _, _ in change.roles if room.occupants.get(occupant.nick) is occupant]
        for key in change.reasons:
            changed += room.occupantsAffectedBy(key)
        self._writeAll(room, changed)

    def configured(self, room: Room, old: RoomSettings) -> None:
        """See L{RoomExtension.configured}: visitors may have got voice."""
        if old.moderated and not room.settings.moderated:
            self._writeAll(room, room.occupants.values())

    def left(self, room: Room, session: OccupantSession) -> None:
        """See L{RoomExtension.left}. Should the process end between the two changes, there is a place too many."""
        occupant = session.occupant
        if occupant.sessions:
            self._write(room, occupant.primary)
        self._store.remove(room.jid.bare, session.jid)

    def destroyed(self, room: Room, venue: JID | None, reason: str | None) -> None:
        """See L{RoomExtension.destroyed}."""
        self._store.removeRoom(room.jid.bare)

    def _writeAll(self, room: Room, occupants: Iterable[Occupant]) -> None:
        """Write down all sessions of occupants: the one that others see is the last of each."""
        room.slices.run(self._writing(room, list(occupants)))

    def _writing(self, room: Room, occupants: Iterable[Occupant]) -> Steps:
        for occupant in occupants:
            yield _WRITING
            if room.occupants.get(occupant.nick) is occupant:
                sessions = [session for session in occupant.sessions.values() if session is not occupant.primary]
                self._store.put(room.jid.bare, *map(_place, [*sessions, occupant.primary]))

    def _write(self, room: Room, session: OccupantSession) -> None:
        """Write down a session, and after it the one that others see."""
        primary = session.occupant.primary
        if session is primary:
            self._store.put(room.jid.bare, _place(session))
        else:
            self._store.put(room.jid.bare, _place(session), _place(primary))


_ROLES: Final = {role: role.xmlName for role in Role}
_AFFILIATIONS: Final = {affiliation: affiliation.xmlName for affiliation in Affiliation}


def _place(session: OccupantSession) -> Place:
    occupant = session.occupant
    role, affiliation = _ROLES[occupant.role], _AFFILIATIONS[occupant.affiliation]
    isHeld, since = session.held is not None, int(occupant.since)
    # The client of a held session is told of no change.
    return Place(session.jid, occupant.nick, role, affiliation, session.presencePayload, since, isHeld)
