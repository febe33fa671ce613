# -*- test-case-name: tests.net.test_slices -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Work that is too much for one reactor turn, done in slices (docs/design/0019).

Work is an iterator of steps. It yields the cost of each step before it does it: the number of stanzas that the step
delivers, or what takes as long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from muccore.log.logger import Logger

SLICE: Final = 3000
"""The cost of a slice, unless a single step costs more: some 3 ms."""

RENDERING: Final = 20
"""The cost of rendering a stanza."""

PAUSE: Final = 0.02
"""Seconds between two slices in which clients read what they were sent."""

_TIME: Final = 0.006
"""Seconds after which a slice ends if it has cost L{_LEAST}."""

_LEAST: Final = 1000
"""The cost of what is done in one slice however long it takes: so whoever waits for little gets it at once."""

Steps = Iterator[int]
"""Work: it yields the cost of each step before it does it."""


_T = TypeVar("_T")


class _Job:
    """
    Work in progress.

    @ivar cost: the cost of the next step, which it has told.
    """

    __slots__ = ("cost", "done", "steps")

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.cost: int | None = next(steps, None)
        self.done: Deferred[None] = Deferred()


def after(done: Deferred[Any] | None, f: Callable[[], _T]) -> _T | Deferred[_T]:
    """Call a function once work is done, of which L{Slices.run} has returned C{done}."""
    return f() if done is None else done.addCallback(lambda _: f())


class Slices:
    """
    Runs work in slices. Of several that wait, each gets a step in turn.

    The work must not raise: if it does, that is logged, and it has ended.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime | None, pause: float = 0) -> None:
        """
        @param clock: calls the slices, and says how long each takes; C{None}: everything is done at once.
        @param pause: seconds between two slices.
        """
        self._clock = clock
        self._pause = pause
        self._seconds: Callable[[], float] = float if clock is None else clock.seconds
        self._jobs: deque[_Job] = deque()
        self._call: IDelayedCall | None = None
        self._running = False

    @property
    def isBusy(self) -> bool:
        """Whether work is left to do."""
        return bool(self._jobs)

    def run(self, steps: Steps, spent: int = 0) -> Deferred[None] | None:
        """
        Do some work. Its first slice is done before this returns; if other work waits, only a quarter of one: whoever
        waits for little does not wait for others.

        @param spent: the cost of what was done for the same in this turn.
        @return: fires when all of it is done; C{None} if it is.
        """
        job = _Job(steps)
        if job.cost is None or (not self._running and self._runFirst(job, spent)):
            return None
        self._jobs.append(job)
        self._schedule()
        return job.done

    def finish(self) -> None:
        """Do at once what is left of all work, and of what follows from it."""
        while self._jobs:
            job = self._jobs.popleft()
            while job.cost is not None:
                self._step(job)
            job.done.callback(None)

    def _runFirst(self, job: _Job, spent: int) -> bool:
        """Do the first slice of new work; return whether that was all."""
        until = self._seconds() + _TIME
        limit = SLICE // 4 if self._jobs else SLICE
        while job.cost is not None:
            if self._clock is not None and self._isOver(spent, job.cost, until, limit):
                return False
            spent += self._step(job)
        return True

    def _isOver(self, spent: int, cost: int, until: float, limit: int) -> bool:
        """Whether a step of some cost is too much for a slice."""
        return spent > 0 and (spent + cost > limit or (spent >= _LEAST and self._seconds() > until))

    def _step(self, job: _Job) -> int:
        """Do a step, find out what the next one costs, and return what this one has cost."""
        cost = job.cost or 0
        try:
            job.cost = next(job.steps, None)
        except Exception:
            self._log.failure("work in slices failed", Failure())
            job.cost = None
        return cost

    def _schedule(self) -> None:
        if self._call is None and self._jobs and self._clock is not None:
            self._call = self._clock.callLater(self._pause, self._runSlice)

    def _runSlice(self) -> None:
        self._call, self._running = None, True
        spent, until = 0, self._seconds() + _TIME
        while self._jobs:
            job = self._jobs[0]
            if self._isOver(spent, job.cost or 0, until, SLICE):
                break
            self._jobs.popleft()
            spent += self._step(job)
            if job.cost is None:
                job.done.callback(None)
            else:
                self._jobs.append(job)
        self._running = False
        self._schedule()
