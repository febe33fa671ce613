# -*- test-case-name: tests.stream.test_checkqueue -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A queue of password checks that is fair by address.

Theory of operation
===================

A check may take milliseconds of a processor, so few run at once. When one ends, the next is that of the address

  - from which no wrong password has come, or else the last one longest ago;
  - among those alike, from which a check has begun longest ago, or never;
  - among those, that has waited longest.

So guesses take turns, however many connections they come on, and whoever knows their password goes before all of them:
they wait for the checks that run, and not for the queue. Who has typed a wrong password once goes before those who have
since.

How many may wait from one address is limited, and so is the table of addresses.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final, TypeVar

from twisted.internet.defer import Deferred

from muccore.stream.sasl.exchange import Check, SASLFailure, Success, WrongCredentials

CONCURRENT: Final = 4
"""Checks that run at once."""

QUEUE_LIMIT: Final = 1000
"""Checks from one address that wait."""

TABLE_LIMIT: Final = 10_000
"""Limit for the addresses in a table."""

_K = TypeVar("_K")
_V = TypeVar("_V")


def lookUp(table: dict[_K, _V], key: _K, make: Callable[[], _V]) -> _V:
    """Look up or create an entry of a limited table, and make it the most recently used one."""
    found = table.pop(key, None)
    table[key] = found = make() if found is None else found
    if len(table) > TABLE_LIMIT:
        del table[next(iter(table))]
    return found


def queueFull() -> SASLFailure:
    """The failure of a check that may not wait."""
    return SASLFailure("temporary-auth-failure", "Too many log-ins from your address are waiting; try again later.")


class _Rank:
    """When an address had its last wrong password and its last check, as numbers of events; 0: never."""

    __slots__ = ("begun", "wrong")

    def __init__(self) -> None:
        self.wrong = self.begun = 0


class CheckQueue:
    """The queue of a server."""

    def __init__(self) -> None:
        self._running = 0
        self._events = 0
        self._ranks: dict[str, _Rank] = {}
        # Those that wait, by address; each address is once in the heap, with its rank.
        self._waiting: dict[str, dict[Deferred[None], None]] = {}
        self._heap: list[tuple[int, int, int, str]] = []
        self._waking = False

    async def run(self, address: str, check: Check) -> Success:
        """
        Run a check, now or when it is its turn.

        @param address: what counts as one (L{muccore.net.limits.addressKey}).
        @raise SASLFailure: C{temporary-auth-failure} if too many wait already; or as the check does.
        """
        if self._running < CONCURRENT:
            self._begin(address)
        else:
            await self._wait(address)
        try:
            return await check()
        except WrongCredentials:
            self._rank(address).wrong = self._number()
            raise
        finally:
            self._running -= 1
            self._wake()

    def _number(self) -> int:
        self._events += 1
        return self._events

    def _rank(self, address: str) -> _Rank:
        return lookUp(self._ranks, address, _Rank)

    def _begin(self, address: str) -> None:
        self._running += 1
        self._rank(address).begun = self._number()

    def _wait(self, address: str) -> Deferred[None]:
        waiting = self._waiting.get(address)
        if waiting is None:
            waiting = self._waiting[address] = {}
            self._push(address)
        elif len(waiting) >= QUEUE_LIMIT:
            raise queueFull()
        # One that is cancelled leaves the queue; its address stays, perhaps without any, until it is its turn.
        begun: Deferred[None] = Deferred(lambda cancelled: waiting.pop(cancelled, None))
        waiting[begun] = None
        return begun

    def _push(self, address: str) -> None:
        rank = self._ranks.get(address)
        wrong, begun = (0, 0) if rank is None else (rank.wrong, rank.begun)
        heappush(self._heap, (wrong, begun, self._number(), address))

    def _wake(self) -> None:
        """Begin those whose turn it is."""
        if self._waking:
            # Called by a check that began in the loop below and ended at once.
            return
        self._waking = True
        try:
            while self._heap and self._running < CONCURRENT:
                address = heappop(self._heap)[-1]
                waiting = self._waiting[address]
                begun = next(iter(waiting), None)
                if begun is not None:
                    del waiting[begun]
                    self._begin(address)
                if waiting:
                    self._push(address)
                else:
                    del self._waiting[address]
                if begun is not None:
                    begun.callback(None)
        finally:
            self._waking = False
