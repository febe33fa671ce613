# -*- test-case-name: tests.routing.test_turns -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Requests that handlers carry out one after the other, and the memory of those that wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from twisted.internet.defer import Deferred, DeferredLock
from twisted.words.xish import domish

from muccore.xmpp.elementmemory import memoryOf
from muccore.xmpp.errors import StanzaError

WAITING_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of memory of the stanzas of one client, or to one account, that wait for each other: some 2,000 small ones."""

TOTAL_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of memory of the stanzas of all clients that wait for one thing."""

_STANZA: Final = 1200
"""Bytes of what waits besides the stanza."""


class Work:
    """What is in progress, so that the server does not end before it."""

    def __init__(self) -> None:
        self._count = 0
        self._waiting: list[Deferred[None]] = []

    @contextmanager
    def inProgress(self) -> Iterator[None]:
        """Something is in progress inside."""
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                waiting, self._waiting = self._waiting, []
                for each in waiting:
                    each.callback(None)

    async def finished(self) -> None:
        """Wait until nothing is in progress."""
        while self._count:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            await waiting


class WaitingMemory:
    """Bounds the memory of stanzas that wait for something, by an estimate: by name, and of all together."""

    def __init__(self, limit: int, total: int = TOTAL_LIMIT) -> None:
        """
        @param limit: bytes for one name.
        @param total: bytes for all of them.
        """
        self._limit = limit
        self._total = total
        self._sizes: Counter[str] = Counter()
        self._size = 0

    def add(self, name: str, element: domish.Element) -> int:
        """
        Let a stanza wait.

        @return: its size, to be given to L{remove}.
        @raise StanzaError: C{resource-constraint} if too much waits. A single stanza is never too large for its name.
        """
        size = _STANZA + memoryOf(element)
        if (self._sizes[name] and self._sizes[name] + size > self._limit) or self._size + size > self._total:
            raise StanzaError("resource-constraint", text="Too much waits to be handled; try again later.")
        self._sizes[name] += size
        self._size += size
        return size

    def remove(self, name: str, size: int) -> None:
        """It waits no more."""
        self._size -= size
        self._sizes[name] -= size
        if not self._sizes[name]:
            del self._sizes[name]


class Turns:
    """
    Lets the requests of one client, or about one account, be handled one after the other: only one of them has a
    document in memory, however many a client sends at once.
    """

    def __init__(self, limit: int = WAITING_LIMIT) -> None:
        """@param limit: bytes of memory of what may wait, of one client or account."""
        self._memory = WaitingMemory(limit)
        self._locks: dict[str, DeferredLock] = {}

    @asynccontextmanager
    async def take(self, name: str, element: domish.Element | None = None) -> AsyncIterator[None]:
        """
        Wait for the turn.

        @param name: the address of the client or the account.
        @param element: the stanza that waits; C{None}: what waits takes no memory, and is never refused.
        @raise StanzaError: C{resource-constraint} if too much waits.
        """
        lock = self._locks.setdefault(name, DeferredLock())
        size = self._memory.add(name, element) if lock.locked and element is not None else 0
        try:
            await lock.acquire()
        finally:
            if size:
                self._memory.remove(name, size)
        try:
            yield
        finally:
            lock.release()
            if not lock.locked:
                self._locks.pop(name, None)

    async def settle(self, account: str) -> None:
        """Wait for the requests of an account and its clients that are being handled: it is being removed."""
        for name, lock in list(self._locks.items()):
            if name.partition("/")[0] == account:
                await lock.acquire()
                lock.release()
                if not lock.locked and self._locks.get(name) is lock:
                    del self._locks[name]
