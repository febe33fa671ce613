# Copyright (c) The muccore authors. See LICENSE for details.
"""A store of rosters whose requests wait until a test lets them go on."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from muccore.interfaces import IRosterStore, RosterChange, StoredRoster, StoreUnavailable
from muccore.storage.memoryroster import MemoryRosters


@implementer(IRosterStore)
class SlowRosters:
    """
    Rosters in memory.

    @ivar calls: the names of all requests.
    @ivar slow: whether they wait.
    """

    def __init__(self) -> None:
        self.store = MemoryRosters()
        self.calls: list[str] = []
        self.slow = True
        self._waiting: list[tuple[str, Deferred[None]]] = []

    def open(self) -> Deferred[None]:
        """See L{IRosterStore.open}."""
        return self.store.open()

    def close(self) -> Deferred[None]:
        """See L{IRosterStore.close}."""
        return self.store.close()

    def _wait(self, name: str) -> Deferred[None]:
        self.calls.append(name)
        if not self.slow:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append((name, waiting))
        return waiting

    def load(self, account: str) -> Deferred[StoredRoster]:
        """See L{IRosterStore.load}."""
        return self._wait("load").addCallback(lambda _: self.store.load(account))

    def change(self, account: str, change: RosterChange) -> Deferred[None]:
        """See L{IRosterStore.change}."""
        return self._wait("change").addCallback(lambda _: self.store.change(account, change))

    def delete(self, account: str) -> Deferred[None]:
        """See L{IRosterStore.delete}."""
        return self._wait("delete").addCallback(lambda _: self.store.delete(account))

    def _next(self, name: str) -> Deferred[Any]:
        found, waiting = self._waiting.pop(0)
        assert found == name, found
        return waiting

    def release(self, name: str) -> None:
        """Let the first request go on, which has this name."""
        self._next(name).callback(None)

    def fail(self, name: str) -> None:
        """Let it fail."""
        self._next(name).errback(StoreUnavailable("the disk is full"))

    def releaseOne(self) -> None:
        """Let the first request go on."""
        self._waiting.pop(0)[1].callback(None)

    def releaseAll(self) -> None:
        """Let all go on, and those that follow from them."""
        while self._waiting:
            self.releaseOne()
