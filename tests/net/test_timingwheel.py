# -*- test-case-name: tests.net.test_timingwheel -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.net.timingwheel}."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.net.timingwheel import TICK, TimingWheel


class Thing:
    """Something to look at; notes when, and says what it is told to."""

    def __init__(self, *answers: int) -> None:
        self.due = 0
        self.answers = list(answers)
        self.seen: list[int] = []
        self.onLook: Callable[[], object] = lambda: None

    def timeoutDue(self, tick: int) -> int:
        """Note it."""
        self.seen.append(tick)
        self.onLook()
        return self.answers.pop(0) if self.answers else 0


class WheelTests(SynchronousTestCase):
    """L{TimingWheel}"""

    def setUp(self) -> None:
        """Make one."""
        self.clock = Clock()
        self.wheel = TimingWheel(self.clock)

    def advance(self, ticks: int) -> None:
        """Let time pass."""
        self.clock.pump([TICK] * ticks)

    def test_once(self) -> None:
        """A thing is looked at when it is time, once, and then nothing runs."""
        thing = Thing()
        self.wheel.schedule(thing, 3)
        self.advance(2)
        self.assertEqual(thing.seen, [])
        self.advance(20)
        self.assertEqual(thing.seen, [4])
        self.assertEqual(thing.due, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_again(self) -> None:
        """A thing says when to look again."""
        thing = Thing(2, 5)
        self.wheel.schedule(thing, 1)
        self.advance(20)
        self.assertEqual(thing.seen, [2, 4, 9])

    def test_putOff(self) -> None:
        """What was said last counts."""
        thing = Thing()
        self.wheel.schedule(thing, 2)
        self.wheel.schedule(thing, 5)
        self.advance(10)
        self.assertEqual(thing.seen, [6])

    def test_atLeastOne(self) -> None:
        """Nothing is looked at in the tick in which it was put."""
        thing = Thing()
        self.wheel.schedule(thing, 0)
        self.assertEqual(thing.seen, [])
        self.advance(1)
        self.assertEqual(thing.seen, [2])

    def test_remove(self) -> None:
        """What is removed is not looked at, and nothing of it is kept."""
        thing = Thing()
        self.wheel.schedule(thing, 2)
        self.wheel.remove(thing)
        self.wheel.remove(thing)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.wheel._due, {})
        self.advance(5)
        self.assertEqual(thing.seen, [])

    def test_removedWhileTurning(self) -> None:
        """Whoever is looked at may remove or put off the others of the same tick."""
        things = [Thing() for _ in range(3)]

        def onLook() -> None:
            for thing in things:
                self.wheel.remove(thing)
            self.wheel.schedule(late, 3)

        late = Thing()
        for thing in things:
            thing.onLook = onLook
            self.wheel.schedule(thing, 1)
        self.advance(10)
        self.assertEqual(sum(len(thing.seen) for thing in things), 1)
        self.assertEqual(late.seen, [5])

    def test_failure(self) -> None:
        """A thing that fails is logged and does not keep the others from being looked at."""

        def onLook() -> None:
            raise ZeroDivisionError

        things = [Thing(1), Thing(1)]
        things[0].onLook = onLook
        for thing in things:
            self.wheel.schedule(thing, 1)
        self.advance(3)
        self.assertEqual(things[1].seen, [2, 3])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_oneTimer(self) -> None:
        """There is one timer however many there are."""
        for n in range(100):
            self.wheel.schedule(Thing(), n)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
