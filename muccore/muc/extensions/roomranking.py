# -*- test-case-name: tests.muc.extensions.test_channelsearch -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Public rooms found by a search, sorted by the number of their occupants or by address.

The rooms that have occupants are in memory, and are ranked there; the store knows all others. So a result by number of
occupants is that of the ranked rooms, followed by that of the others by address.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed

from muccore.interfaces import FoundRooms, RoomSearch
from muccore.muc.service.rooms import Rooms
from muccore.xmpp import ns
from muccore.xmpp.errors import StanzaError

SORT_BY_USERS: Final = f"{{{ns.CHANNEL_SEARCH_ORDER}}}nusers"
SORT_BY_ADDRESS: Final = f"{{{ns.CHANNEL_SEARCH_ORDER}}}address"

MAX_AGE: Final = 2.0
"""Seconds for which a ranking is used."""

_DIGITS: Final = 9
_NOTHING: Final = FoundRooms([], 0, 0)

Place = tuple[int, str]
"""What a room is sorted by: the number of its occupants below zero (or 0 by address), and its bare JID."""

Edge = Place | str | None
"""The place next to a page; C{""} for the end of the result."""


@dataclass(frozen=True)
class Found:
    """
    A page of a result.

    @ivar rooms: bare JID and settings of each room.
    @ivar first: what identifies the first, or C{None}.
    @ivar last: what identifies the last, or C{None}.
    @ivar index: the number of rooms before the first.
    @ivar count: the number of all rooms.
    """

    rooms: Sequence[tuple[str, Mapping[str, Any]]] = ()
    first: str | None = None
    last: str | None = None
    index: int = 0
    count: int = 0


class RoomRanking:
    """The public rooms of a service, sorted."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._ranked: list[Place] = []
        self._made: float | None = None

    def parse(self, key: str, text: str | None) -> Edge:
        """
        Parse what identifies a room in a page; C{None} and C{""} are returned.

        @param key: L{SORT_BY_USERS} or L{SORT_BY_ADDRESS}.
        @raise StanzaError: C{item-not-found} if it is none of ours (XEP-0059 §2.4).
        """
        if not text:
            return text
        if key == SORT_BY_ADDRESS:
            return 0, text
        number, _, address = text.partition(" ")
        if not (number.isascii() and number.isdecimal() and len(number) <= _DIGITS and address):
            raise StanzaError("item-not-found")
        return -int(number), address

    def _current(self) -> list[Place]:
        """The places of the rooms with occupants, as they were at most L{MAX_AGE} ago."""
        now = self._rooms.clock.seconds()
        if self._made is None or not 0 <= now - self._made < MAX_AGE:
            self._made = now
            self._ranked = sorted(
                (-len(room.occupants), bare)
                for bare, room in self._rooms.live.items()
                if room.occupants and room.settings.public and not room.locked
            )
        return self._ranked

    def find(
        self,
        key: str,
        search: RoomSearch,
        minUsers: int,
        after: Edge,
        before: Edge,
        limit: int,
    ) -> Deferred[Found]:
        """
        Find a page of rooms.

        @param key: L{SORT_BY_USERS} or L{SORT_BY_ADDRESS}.
        @param minUsers: the least number of occupants.
        @param after: the place of the room that precedes the page, or C{None}.
        @param before: the place of the room that follows it, C{""} for the last page, or C{None}.
        @param limit: the maximum of rooms.
        """
        ranked = self._current()
        if minUsers:
            ranked = ranked[: bisect_right(ranked, -minUsers, key=lambda place: place[0])]
        if key == SORT_BY_ADDRESS:
            ranked = sorted((0, bare) for _, bare in ranked) if minUsers else []
        users = {bare: -number for number, bare in ranked} if key == SORT_BY_USERS else None

        def findOthers(found: FoundRooms) -> Deferred[Found]:
            others = succeed(_NOTHING) if minUsers else self._findOthers(search, ranked, after, before, limit)
            return others.addCallback(lambda rest: _merged(found, rest, users, before is not None, limit))

        return self._findRanked(search, ranked, after, before, limit).addCallback(findOthers)

    def _findRanked(
        self, search: RoomSearch, ranked: Sequence[Place], after: Edge, before: Edge, limit: int
    ) -> Deferred[FoundRooms]:
        if not ranked:
            return succeed(_NOTHING)
        among = [bare for _, bare in ranked]
        first: str | None = None
        last: str | None = None
        if isinstance(after, tuple):
            start = bisect_right(ranked, after)
            first = among[start - 1] if start else None
            limit = limit if start < len(ranked) else 0
        elif isinstance(before, tuple):
            end = bisect_left(ranked, before)
            last = among[end] if end < len(ranked) else ""
            limit = limit if end else 0
        else:
            last = before
        return self._ask(replace(search, among=among), first, last, limit)

    def _findOthers(
        self, search: RoomSearch, ranked: Sequence[Place], after: Edge, before: Edge, limit: int
    ) -> Deferred[FoundRooms]:
        """Find rooms that are not ranked. All ranked ones, whose number is not 0, come before them."""
        first: str | None = None
        last: str | None = None
        if isinstance(after, tuple):
            first = after[1] if not after[0] else None
        elif isinstance(before, tuple):
            last = before[1]
            limit = limit if not before[0] else 0
        else:
            last = before
        return self._ask(replace(search, without=[bare for _, bare in ranked]), first, last, limit)

    def _ask(self, search: RoomSearch, after: str | None, before: str | None, limit: int) -> Deferred[FoundRooms]:
        return self._rooms.store.searchRooms(self._rooms.domain, search, after, before, limit)


def _merged(
    ranked: FoundRooms, others: FoundRooms, users: Mapping[str, int] | None, backwards: bool, limit: int
) -> Found:
    """
    Make a page of what was found of the ranked rooms and of the others.

    @param users: the numbers of occupants of the ranked rooms, if the result is sorted by that.
    """
    count = ranked.count + others.count
    rooms = [*ranked.rooms, *others.rooms]
    dropped = max(len(rooms) - limit, 0) if backwards else 0
    rooms = rooms[dropped : dropped + limit]
    if not rooms:
        return Found(count=count)
    ofOthers = dropped - len(ranked.rooms)
    index = ranked.index + dropped if ofOthers < 0 else ranked.count + others.index + ofOthers
    first, last = (bare if users is None else f"{users.get(bare, 0)} {bare}" for bare in (rooms[0][0], rooms[-1][0]))
    return Found(rooms, first, last, index, count)
