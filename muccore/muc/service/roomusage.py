# -*- test-case-name: tests.muc.service.test_roomusage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
How many rooms a service has, and what they take in the store: in all, and by who has created them.

What exceeds a limit, together with what is being stored already, is refused before it is stored. Moderation must go on
when others have filled a room: a tenth of each limit is kept for those who run it, and a small room may always grow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred

from muccore.log.eventlog import QUOTA_NEARLY_REACHED, Phrase
from muccore.muc.model.room import Room
from muccore.muc.service.servicesettings import MUCServiceSettings
from muccore.xmpp.errors import StanzaError

SMALL: Final = 16 * 1024
"""Bytes that every room may take, whatever others do."""

NEARLY: Final = 0.9
"""The part of a limit at which operators are told, and above which only those who run a room may let it grow."""


class RoomUsage:
    """
    The stored rooms of one service.

    @ivar rooms: their number.
    @ivar size: what they take, in bytes.
    """

    def __init__(self, domain: str, options: Callable[[], MUCServiceSettings]) -> None:
        """
        @param domain: the domain of the service.
        @param options: returns its present settings.
        """
        self._domain = domain
        self._options = options
        self._warned: set[tuple[str, str]] = set()
        # The bytes that changes in flight will add: by room, by creator, and in all.
        self._reserved: Counter[tuple[str, str]] = Counter()
        self.load({})

    def load(self, found: Mapping[str, tuple[int, int]]) -> None:
        """Take what the store has found: number and size of the rooms, by creator."""
        self._byCreator = dict(found)
        self.rooms = sum(rooms for rooms, _ in found.values())
        self.size = sum(size for _, size in found.values())
        self._warn("")

    def of(self, creator: str) -> tuple[int, int]:
        """Number and size of the stored rooms that a user, by bare JID, has created."""
        return self._byCreator.get(creator, (0, 0))

    def checkCreation(self, creator: str, pending: int, allPending: int) -> None:
        """
        Check that a user may create a room.

        @param pending: their rooms that are not stored yet.
        @param allPending: those of everybody.
        @raise StanzaError: C{resource-constraint} if there are too many rooms, or the rooms take too much.
        """
        options = self._options()
        if options.roomsPerUser and self.of(creator)[0] + pending >= options.roomsPerUser:
            raise StanzaError("resource-constraint", text="You have created too many rooms.")
        if options.roomsLimit and self.rooms + allPending >= options.roomsLimit:
            raise StanzaError("resource-constraint", text="There are too many rooms at this service.")
        if self.size >= options.totalSizeLimit:
            raise StanzaError("resource-constraint", text="The rooms of this service take too much space.")

    def checkGrowth(self, room: Room, growth: int, byOwners: bool = True) -> None:
        """
        Check that a room may grow.

        @param growth: by how much, in bytes.
        @param byOwners: whether those who run the room want that, not one of its users.
        @raise StanzaError: C{resource-constraint} if it, those of its creator, or all rooms would take too much.
        """
        reserved, creator = self._reserved, room.creator
        size = room.storedSize + reserved["room", room.jid.bare] + growth
        if growth <= 0 or size <= SMALL:
            return
        options, part = self._options(), 1 if byOwners else NEARLY
        if size > options.roomSizeLimit * part:
            raise StanzaError("resource-constraint", text="This room takes too much space.")
        if creator and self.of(creator)[1] + reserved["creator", creator] + growth > options.userSizeLimit * part:
            raise StanzaError("resource-constraint", text="The rooms of the creator of this one take too much space.")
        if self.size + reserved["all", ""] + growth > options.totalSizeLimit * part:
            raise StanzaError("resource-constraint", text="The rooms of this service take too much space.")

    def whileStoring(self, room: Room, growth: int, storing: Deferred[None]) -> Deferred[None]:
        """Count the growth of a room while that is being stored; none if it shrinks."""
        if growth <= 0:
            return storing
        keys = ("room", room.jid.bare), ("creator", room.creator or ""), ("all", "")
        for key in keys:
            self._reserved[key] += growth

        def done(result: Any) -> Any:
            for key in keys:
                self._reserved[key] -= growth
                if not self._reserved[key]:
                    del self._reserved[key]
            return result

        return storing.addBoth(done)

    def stored(self, room: Room, size: int) -> None:
        """Note that a new room is stored."""
        room.storedSize = size
        self.add(room.creator, 1, size)
        self._warnOfRoom(room)

    def grown(self, room: Room, growth: int) -> None:
        """Note that a change of a stored room is durable."""
        room.storedSize += growth
        self.add(room.creator, 0, growth)
        if growth > 0:
            self._warnOfRoom(room)

    def removed(self, room: Room) -> None:
        """Note that a room is not stored any more."""
        self.add(room.creator, -1, -room.storedSize)
        self._warned.discard(("room_size_limit", room.jid.bare))
        room.storedSize = 0

    def add(self, creator: str, rooms: int, size: int) -> None:
        """Count rooms of a creator, and what they take; less than 0 for less."""
        self.rooms += rooms
        self.size += size
        count, total = self.of(creator)
        if count + rooms > 0:
            self._byCreator[creator] = count + rooms, total + size
        else:
            self._byCreator.pop(creator, None)
        self._warn(creator)

    # Warnings

    def _warnOfRoom(self, room: Room) -> None:
        self._note("room_size_limit", room.creator, room.storedSize, self._options().roomSizeLimit, room.jid.bare)

    def _warn(self, creator: str) -> None:
        options = self._options()
        self._note("rooms_limit", "", self.rooms, options.roomsLimit)
        self._note("total_size_limit", "", self.size, options.totalSizeLimit)
        if creator:
            count, size = self.of(creator)
            self._note("rooms_per_user", creator, count, options.roomsPerUser)
            self._note("user_size_limit", creator, size, options.userSizeLimit)

    def _note(self, option: str, actor: str, used: int, limit: int, room: str = "") -> None:
        """Log once that a limit is nearly reached, and again only after it was not."""
        key = option, room or actor
        if not limit or used < limit * NEARLY:
            self._warned.discard(key)
        elif key not in self._warned:
            self._warned.add(key)
            found = Phrase(f"{used} of {limit}")
            QUOTA_NEARLY_REACHED.log(actor or self._domain, used=found, option=option, room=room or "-")
