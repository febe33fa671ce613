# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.net.slices}."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.net import slices
from muccore.net.slices import Slices


class SlicesTests(SynchronousTestCase):
    """What is done in which turn."""

    def setUp(self) -> None:
        self.patch(slices, "SLICE", 10)
        self.clock = Clock()
        self.slices = Slices(self.clock, 0.5)
        self.log: list[str] = []

    def work(self, name: str, *costs: int) -> Iterator[int]:
        """Some work, of which each step is logged."""
        for number, cost in enumerate(costs):
            yield cost
            self.log.append(f"{name}{number}")

    def turn(self) -> list[str]:
        """Let the pause pass; return what was done in the turn."""
        self.log.clear()
        self.clock.advance(0.5)
        return list(self.log)

    def test_small(self) -> None:
        """What fits into a slice is done at once, and so is a single large step."""
        self.assertIsNone(self.slices.run(self.work("a", 5, 5)))
        self.assertIsNone(self.slices.run(self.work("b", 1000)))
        self.assertIsNone(self.slices.run(iter(())))
        self.assertEqual(self.log, ["a0", "a1", "b0"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_large(self) -> None:
        """The rest is done in slices, with pauses; then the Deferred fires."""
        done = self.slices.run(self.work("a", 6, 4, 1, 9, 11, 1))
        assert done is not None
        self.assertEqual(self.log, ["a0", "a1"])
        self.assertEqual(self.turn(), ["a2", "a3"])
        self.assertEqual(self.turn(), ["a4"])
        self.assertNoResult(done)
        self.assertEqual(self.turn(), ["a5"])
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_spent(self) -> None:
        """What has been done in the turn before counts."""
        done = self.slices.run(self.work("a", 5, 5), 6)
        self.assertEqual(self.log, [])
        self.assertEqual(self.turn(), ["a0", "a1"])
        self.assertIsNotNone(done)

    def test_turns(self) -> None:
        """Of several, each gets a step in turn; one slice bounds all of them, besides a little of what comes anew."""
        first = self.slices.run(self.work("a", 10, 4, 4, 4))
        second = self.slices.run(self.work("b", 1, 4, 4))
        assert first is not None and second is not None
        second.addCallback(lambda _: self.log.append("b done"))
        self.assertEqual(self.log, ["a0", "b0"])
        self.assertEqual(self.turn(), ["a1", "b1"])
        self.assertEqual(self.turn(), ["a2", "b2", "b done"])
        self.assertEqual(self.turn(), ["a3"])
        self.assertIsNone(self.successResultOf(first))

    def test_time(self) -> None:
        """A slice that is not small ends early if it takes too long."""
        self.patch(slices, "SLICE", 3000)

        def slow() -> Iterator[int]:
            for number in range(6):
                yield 500
                self.log.append(str(number))
                self.clock.rightNow += 0.0065

        done = self.slices.run(slow())
        self.assertEqual(self.log, ["0", "1"])
        self.assertEqual(self.turn(), ["2", "3"])
        self.assertEqual(self.turn(), ["4", "5"])
        self.assertIsNotNone(done)

    def test_more(self) -> None:
        """Work may lead to more work, which waits for its turn."""
        done = self.slices.run(self.work("a", 10, 5))
        assert done is not None
        done.addCallback(lambda _: self.slices.run(self.work("b", 5, 6)) and None)
        self.assertEqual(self.turn(), ["a1", "b0"])
        self.assertEqual(self.turn(), ["b1"])

    def test_finish(self) -> None:
        """All that is left is done at once, and what follows from it."""
        done = self.slices.run(self.work("a", 10, 5, 20))
        assert done is not None
        done.addCallback(lambda _: self.slices.run(self.work("b", 20, 20)) and None)
        self.slices.finish()
        self.assertEqual(self.log, ["a0", "a1", "a2", "b0", "b1"])
        self.assertEqual(self.turn(), [])

    def test_withoutClock(self) -> None:
        """Without a clock, everything is done at once."""
        self.assertIsNone(Slices(None).run(self.work("a", 10, 10, 10)))
        self.assertEqual(len(self.log), 3)

    def test_failure(self) -> None:
        """Work that fails is logged and has ended; the other work goes on."""

        def failing() -> Iterator[int]:
            yield 10
            yield 10
            raise ValueError

        done = self.slices.run(failing())
        self.slices.run(self.work("b", 1))
        self.assertEqual(self.log, ["b0"])
        self.slices.run(self.work("c", 20, 1))
        self.assertEqual(self.turn(), [])
        self.assertEqual(self.turn(), ["c1"])
        self.assertIsNotNone(done)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
