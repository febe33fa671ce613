# -*- test-case-name: tests.testing.test_doubles -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Stand-ins for tests: room stores that fail or take their time on demand, a reactor whose threads are no threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from muccore.interfaces import IRoomStore, PublicRooms, RoomChange, RoomRecord, StoreUnavailable
from muccore.storage.memory import MemoryRooms

WRITES = frozenset(["save", "change", "destroy"])
"""The methods of a room store that change something."""


@implementer(IRoomStore)
class _RoomStoreWrapper:
    """
    A room store that asks before it passes a request on to another.

    @ivar inner: the other.
    @ivar calls: the names of the methods that have been called and what they were called with, but for C{open} and
        C{close}.
    """

    def __init__(self, inner: IRoomStore | None = None) -> None:
        """@param inner: what keeps the rooms; a new store in memory, already open, unless given."""
        if inner is None:
            inner = MemoryRooms()
            inner.open()
        self.inner: IRoomStore = inner
        self.calls: list[tuple[Any, ...]] = []

    def open(self) -> Deferred[None]:
        """See L{IRoomStore.open}."""
        return self.inner.open()

    def close(self) -> Deferred[None]:
        """See L{IRoomStore.close}."""
        return self.inner.close()

    def load(self, room: str) -> Deferred[RoomRecord | None]:
        """See L{IRoomStore.load}."""
        return self._called("load", room)

    def save(self, room: str, record: RoomRecord) -> Deferred[None]:
        """See L{IRoomStore.save}."""
        return self._called("save", room, record)

    def change(self, room: str, change: RoomChange) -> Deferred[None]:
        """See L{IRoomStore.change}."""
        return self._called("change", room, change)

    def destroy(self, room: str) -> Deferred[None]:
        """See L{IRoomStore.destroy}."""
        return self._called("destroy", room)

    def publicRooms(self, domain: str, after: str | None, before: str | None, limit: int) -> Deferred[PublicRooms]:
        """See L{IRoomStore.publicRooms}."""
        return self._called("publicRooms", domain, after, before, limit)

    def temporaryRooms(self, domain: str) -> Deferred[list[str]]:
        """See L{IRoomStore.temporaryRooms}."""
        return self._called("temporaryRooms", domain)

    def _called(self, name: str, *arguments: Any) -> Deferred[Any]:
        self.calls.append((name, *arguments))
        return self._pass(name, lambda: getattr(self.inner, name)(*arguments))

    def _pass(self, name: str, request: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        raise NotImplementedError("a wrapper's _pass")


class FailingRoomStore(_RoomStoreWrapper):
    """
    Fails on demand; what it refuses is not done.

    @ivar failing: the names of the methods that fail; none at first.
    """

    failing: frozenset[str] = frozenset()

    def _pass(self, name: str, request: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        if name in self.failing:
            return fail(StoreUnavailable(f"test: {name} was told to fail"))
        return request()


class DelayedRoomStore(_RoomStoreWrapper):
    """
    Does nothing of what it is told to hold until L{release} is called, and nothing else out of turn: behind a request
    that is held everything waits.

    @ivar holding: the names of the methods that are held; those that write, at first.
    """

    holding: frozenset[str] = WRITES

    def __init__(self, inner: IRoomStore | None = None) -> None:
        super().__init__(inner)
        self._held: deque[tuple[str, Callable[[], Deferred[Any]], Deferred[Any]]] = deque()

    @property
    def held(self) -> list[str]:
        """The names of the methods whose calls wait, in order."""
        return [name for name, _, _ in self._held]

    def release(self, count: int | None = None) -> None:
        """
        Carry out requests that are held, and the others that wait behind them.

        @param count: how many of those that are held; all that wait now, unless given.
        @raise ValueError: if there are not so many.
        """
        held = sum(name in self.holding for name in self.held)
        left = held if count is None else count
        if left > held:
            raise ValueError(f"{held} requests are held, not {left}")
        while self._held and (left or self._held[0][0] not in self.holding):
            name, request, answer = self._held.popleft()
            left -= name in self.holding
            request().chainDeferred(answer)

    def _pass(self, name: str, request: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        if name not in self.holding and not self._held:
            return request()
        answer: Deferred[Any] = Deferred()
        self._held.append((name, request, answer))
        return answer


class ThreadlessReactor(Clock):
    """A clock whose thread pool does its work at once, in the calling thread: for what derives keys in threads."""

    def getThreadPool(self) -> ThreadlessReactor:
        """Itself."""
        return self

    def callInThreadWithCallback(
        self, onResult: Callable[[bool, Any], object], work: Callable[..., Any], *arguments: Any, **named: Any
    ) -> None:
        """See L{twisted.python.threadpool.ThreadPool.callInThreadWithCallback}."""
        try:
            result = work(*arguments, **named)
        except Exception:
            onResult(False, Failure())
        else:
            onResult(True, result)

    def callFromThread(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        """Call at once."""
        work(*arguments, **named)
