# -*- test-case-name: tests.net.test_timingwheel -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.net.timingwheel}."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.net.timingwheel import TICK, TimingWheel


class Timed:
    """Records its timeouts, and returns scripted answers."""

    def __init__(self, *answers: int) -> None:
        self.due = 0
        self.answers = list(answers)
        self.ticks: list[int] = []
        self.onTimeout: Callable[[], object] = lambda: None

    def timeoutDue(self, tick: int) -> int:
        """Record the timeout."""
        self.ticks.append(tick)
        self.onTimeout()
        return self.answers.pop(0) if self.answers else 0


class TimingWheelTests(SynchronousTestCase):
    """L{TimingWheel}. Its first tick is 1."""

    def setUp(self) -> None:
        """Create a wheel."""
        self.clock = Clock()
        self.wheel = TimingWheel(self.clock)

    def advance(self, ticks: int) -> None:
        """Let time pass."""
        self.clock.pump([TICK] * ticks)

    def test_timeouts(self) -> None:
        """
        A timeout comes once, at least one tick later, and again as often as its object says; then no timer runs. The
        last call of C{schedule} counts.
        """
        for scheduled, answers, expected in (
            ([3], [], [4]),
            ([0], [], [2]),
            ([1], [2, 5], [2, 4, 9]),
            ([2, 5], [], [6]),
        ):
            self.setUp()
            timed = Timed(*answers)
            for ticks in scheduled:
                self.wheel.schedule(timed, ticks)
            self.assertEqual(timed.ticks, [])
            self.advance(20)
            self.assertEqual((timed.ticks, timed.due, self.clock.getDelayedCalls()), (expected, 0, []))

    def test_notEarly(self) -> None:
        """A timeout does not come before its tick."""
        timed = Timed()
        self.wheel.schedule(timed, 3)
        self.advance(2)
        self.assertEqual(timed.ticks, [])

    def test_remove(self) -> None:
        """A removed object gets no timeout, and is not kept."""
        timed = Timed()
        self.wheel.schedule(timed, 2)
        self.wheel.remove(timed)
        self.wheel.remove(timed)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.advance(5)
        self.assertEqual(timed.ticks, [])
        reference = weakref.ref(timed)
        del timed
        self.assertIsNone(reference())

    def test_removeDuringTick(self) -> None:
        """A timeout may remove or reschedule other objects of the same tick."""
        objects = [Timed() for _ in range(3)]
        late = Timed()

        def onTimeout() -> None:
            for timed in objects:
                self.wheel.remove(timed)
            self.wheel.schedule(late, 3)

        for timed in objects:
            timed.onTimeout = onTimeout
            self.wheel.schedule(timed, 1)
        self.advance(10)
        self.assertEqual(sum(len(timed.ticks) for timed in objects), 1)
        self.assertEqual(late.ticks, [5])

    def test_exceptionIsLogged(self) -> None:
        """An exception in a timeout is logged, and the other timeouts still come."""
        objects = [Timed(1), Timed(1)]
        objects[0].onTimeout = lambda: 1 // 0
        for timed in objects:
            self.wheel.schedule(timed, 1)
        self.advance(3)
        self.assertEqual(objects[1].ticks, [2, 3])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_oneTimer(self) -> None:
        """All timeouts share one timer."""
        for n in range(100):
            self.wheel.schedule(Timed(), n)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
