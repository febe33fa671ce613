# -*- test-case-name: tests.testing.test_doubles -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Test doubles: room stores that fail or wait on demand, and a reactor that runs thread work at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from muccore.interfaces import IRoomStore, StoreUnavailable
from muccore.storage.memory import MemoryRooms

WRITES: Final = frozenset(["save", "change", "destroy", "setPreference"])
"""The methods of a room store that change something."""


@implementer(IRoomStore)
class _RoomStoreWrapper:
    """
    A room store that passes requests on to another.

    @ivar calls: names and arguments of the methods called, except C{open} and C{close}.
    """

    def __init__(self, inner: IRoomStore | None = None) -> None:
        """@param inner: C{None}: a new store in memory, already open."""
        if inner is None:
            inner = MemoryRooms()
            inner.open()
        self.inner: IRoomStore = inner
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., Deferred[Any]]:
        if name not in IRoomStore:
            raise AttributeError(name)
        method: Callable[..., Deferred[Any]] = getattr(self.inner, name)
        if name in ("open", "close"):
            return method

        def call(*arguments: Any) -> Deferred[Any]:
            self.calls.append((name, *arguments))
            return self._pass(name, lambda: method(*arguments))

        return call

    def _pass(self, name: str, request: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        raise NotImplementedError("a wrapper's _pass")


class FailingRoomStore(_RoomStoreWrapper):
    """Fails the methods named in C{failing}, none at first, without doing what was requested."""

    failing: frozenset[str] = frozenset()

    def _pass(self, name: str, request: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        if name in self.failing:
            return fail(StoreUnavailable(f"test: {name} fails on demand"))
        return request()


class DelayedRoomStore(_RoomStoreWrapper):
    """
    Holds requests, and all later ones behind them, until L{release} is called.

    @ivar holding: the names of the methods that are held; at first those that write.
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
        Carry out held requests, and the others that wait behind them.

        @param count: how many of the held ones; C{None}: all that wait now.
        @raise ValueError: if fewer are held.
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


class SettableClock(Clock):
    """
    A clock beside which there is a time of day.

    @ivar setBy: the seconds by which the time of day has been set forward; negative: back.
    """

    setBy = 0.0

    def now(self) -> float:
        """The time of day; see L{muccore.xmpp.datetimes.timeOfDay}."""
        return self.seconds() + self.setBy


class ThreadlessReactor(Clock):
    """A clock whose thread pool does its work at once, in the calling thread."""

    def getThreadPool(self) -> ThreadlessReactor:
        """Return itself."""
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
