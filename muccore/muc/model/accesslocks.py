# -*- test-case-name: tests.muc.model.test_changequeue -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Read and write locks on parts of a room (docs/design/0018).

A change takes all its locks at once or waits for all of them, so there is no deadlock. Those that wait do so in an
order, in which a later one never goes before an earlier one that it conflicts with, so nobody starves.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

ROOM: Final = "/room"
"""The key of the whole room. Keys of users are bare JIDs and domains, which have no slash."""


@dataclass(frozen=True, slots=True)
class Access:
    """
    What of a room a change reads and writes.

    @ivar writes: keys of what it changes.
    @ivar reads: keys of what it depends on besides.
    """

    writes: frozenset[str]
    reads: frozenset[str]

    @classmethod
    def to(cls, writes: Iterable[str], reads: Iterable[str] = ()) -> Access:
        """An access to parts of a room. It waits for changes of the whole room, and these for it."""
        written = frozenset(writes)
        return cls(written, frozenset((*reads, ROOM)) - written)


NOTHING: Final = Access(frozenset(), frozenset())
"""The access of what waits for nothing but its sender's own stanzas."""

WHOLE_ROOM: Final = Access(frozenset({ROOM}), frozenset())
"""The access of a change of the whole room, of which there is one at a time and no other."""

Order = tuple[bool, int]
"""The place among those that wait; each has another one."""


class _Lock:
    """
    The locks of one key.

    @ivar readers: how many hold it to read.
    @ivar isWritten: whether one holds it to write.
    @ivar waitingReaders: who waits to read, in order.
    @ivar waitingWriters: who waits to write, in order.
    """

    __slots__ = ("isWritten", "readers", "waitingReaders", "waitingWriters")

    def __init__(self) -> None:
        self.readers = 0
        self.isWritten = False
        self.waitingReaders: list[Order] = []
        self.waitingWriters: list[Order] = []

    def isUnused(self) -> bool:
        return not (self.readers or self.isWritten or self.waitingReaders or self.waitingWriters)

    def mayRead(self, order: Order) -> bool:
        return not self.isWritten and not (self.waitingWriters and self.waitingWriters[0] < order)

    def mayWrite(self, order: Order) -> bool:
        if self.readers or self.isWritten or (self.waitingWriters and self.waitingWriters[0] < order):
            return False
        return not (self.waitingReaders and self.waitingReaders[0] < order)

    def next(self) -> list[Order]:
        """Who may be able to go on: the readers before the first writer, and that one."""
        if self.isWritten:
            return []
        readers, writers = self.waitingReaders, self.waitingWriters
        if not writers:
            return list(readers)
        return [*readers[: bisect_left(readers, writers[0])], *([] if self.readers else writers[:1])]

    def nextWriter(self) -> list[Order]:
        return [] if self.readers or self.isWritten else self.waitingWriters[:1]


class AccessLocks:
    """The locks of a room. Methods that make room for others return those, by order, who may be able to go on."""

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        self._locks: dict[str, _Lock] = {}

    def mayHold(self, access: Access, order: Order) -> bool:
        """Whether an access conflicts neither with any that is held, nor with any that waits before it."""
        locks = self._locks
        return all(locks[key].mayWrite(order) for key in access.writes if key in locks) and all(
            locks[key].mayRead(order) for key in access.reads if key in locks
        )

    def hold(self, access: Access) -> None:
        """Hold locks, which must not conflict with those that are held."""
        held = [(key, self._locks[key]) for key in (*access.writes, *access.reads) if key in self._locks]
        conflict = any(lock.isWritten or (lock.readers and key in access.writes) for key, lock in held)
        assert not conflict, "a conflicting change is being committed"
        for key in access.writes:
            self._locks.setdefault(key, _Lock()).isWritten = True
        for key in access.reads:
            self._locks.setdefault(key, _Lock()).readers += 1

    def release(self, access: Access) -> list[Order]:
        """Release locks that are held."""
        found: list[Order] = []
        for key in access.writes:
            lock = self._locks[key]
            lock.isWritten = False
            found += lock.next()
            self._forgetUnused(key, lock)
        for key in access.reads:
            lock = self._locks[key]
            lock.readers -= 1
            found += lock.nextWriter()
            self._forgetUnused(key, lock)
        return found

    def wait(self, access: Access, order: Order) -> None:
        """Wait for locks."""
        for key in access.writes:
            insort(self._locks.setdefault(key, _Lock()).waitingWriters, order)
        for key in access.reads:
            insort(self._locks.setdefault(key, _Lock()).waitingReaders, order)

    def endWait(self, access: Access, order: Order) -> list[Order]:
        """Wait no more."""
        found: list[Order] = []
        for key in access.writes:
            lock = self._locks[key]
            del lock.waitingWriters[bisect_left(lock.waitingWriters, order)]
            found += lock.next()
            self._forgetUnused(key, lock)
        for key in access.reads:
            lock = self._locks[key]
            del lock.waitingReaders[bisect_left(lock.waitingReaders, order)]
            found += lock.nextWriter()
            self._forgetUnused(key, lock)
        return found

    def _forgetUnused(self, key: str, lock: _Lock) -> None:
        if lock.isUnused():
            del self._locks[key]
