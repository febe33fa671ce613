# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.net.flush}."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muccore.net.flush import FlushScheduler


class Flushed:
    """Notes in a log when it is flushed, then does something."""

    def __init__(self, log: list[str], name: str, then: Callable[[], object] = lambda: None) -> None:
        self.log = log
        self.name = name
        self.then = then

    def flush(self) -> None:
        """Record it."""
        self.log.append(self.name)
        self.then()


class TurnTests(SynchronousTestCase):
    """Who wrote is flushed once, at the end of the turn."""

    def setUp(self) -> None:
        """A turn over a clock."""
        self.clock = Clock()
        self.flusher = FlushScheduler(self.clock)
        self.log: list[str] = []

    def writes(self, name: str, then: Callable[[], object] = lambda: None) -> Flushed:
        """Note a writer."""
        writer = Flushed(self.log, name, then)
        self.flusher.schedule(writer)
        return writer

    def test_interface(self) -> None:
        """A turn is a clock."""
        self.assertTrue(verifyObject(IReactorTime, self.flusher))

    def test_clockPassesThrough(self) -> None:
        """Time and delayed calls are those of the clock beneath."""
        self.clock.advance(3)
        call = self.flusher.callLater(2, self.log.append, "called")
        self.assertEqual((self.flusher.seconds(), list(self.flusher.getDelayedCalls())), (3, [call]))
        call.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_oneCallForAll(self) -> None:
        """
        However many write in a turn, one call is put on the clock; it flushes them in the order in which they wrote.
        """
        for name in "abc":
            self.writes(name)
        self.assertEqual((len(self.clock.getDelayedCalls()), self.log), (1, []))
        self.clock.advance(0)
        self.assertEqual((self.clock.getDelayedCalls(), self.log), ([], ["a", "b", "c"]))

    def test_nextTurn(self) -> None:
        """After a flush the next writer puts a call on the clock again."""
        self.writes("a")
        self.clock.advance(0)
        self.writes("b")
        self.clock.advance(0)
        self.assertEqual(self.log, ["a", "b"])

    def test_explicitFlush(self) -> None:
        """Flushing by hand leaves nothing for the call that was scheduled, which still serves later writers."""
        self.writes("a")
        self.flusher.flush()
        self.assertEqual(self.log, ["a"])
        self.writes("b")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(0)
        self.assertEqual(self.log, ["a", "b"])

    def test_timedCallIsFollowedByFlush(self) -> None:
        """What a timed call writes is flushed when it returns, not in another turn."""
        self.flusher.callLater(5, self.writes, "a")
        self.clock.advance(5)
        self.assertEqual((self.log, self.clock.getDelayedCalls()), (["a"], []))

    def test_timedCallKeepsArguments(self) -> None:
        """A timed call gets its arguments."""
        self.flusher.callLater(1, lambda *args, **kwargs: self.log.append(f"{args}{kwargs}"), 1, x=2)
        self.clock.advance(1)
        self.assertEqual(self.log, ["(1,){'x': 2}"])

    def test_runFlushesAndAnswers(self) -> None:
        """C{run} returns what the function returns, and what it wrote is flushed by then."""
        self.assertEqual(self.flusher.run(lambda: self.writes("a").name), "a")
        self.assertEqual((self.log, self.clock.getDelayedCalls()), (["a"], []))

    def test_runFlushesAfterError(self) -> None:
        """C{run} raises what the function raises, and what it wrote before is flushed all the same."""

        def f() -> None:
            self.writes("a")
            raise ZeroDivisionError

        self.assertRaises(ZeroDivisionError, self.flusher.run, f)
        self.assertEqual(self.log, ["a"])

    def test_runInsideRun(self) -> None:
        """A run inside a run leaves the flush to the outer one, so that all writes are joined."""

        def f() -> None:
            self.flusher.run(self.writes, "a")
            self.log.append("still running")

        self.flusher.run(f)
        self.assertEqual(self.log, ["still running", "a"])

    def test_noteDuringFlush(self) -> None:
        """Who writes during a flush is flushed by it."""
        self.writes("a", lambda: self.writes("b"))
        self.flusher.flush()
        self.assertEqual(self.log, ["a", "b"])

    def test_neverReenters(self) -> None:
        """A flush or a run inside a flush does not flush the next one before the first is done."""

        def again() -> None:
            self.flusher.run(self.writes, "b")
            self.flusher.flush()
            self.log.append("a done")

        self.writes("a", again)
        self.flusher.flush()
        self.assertEqual(self.log, ["a", "a done", "b"])

    def test_endlessNotesAreBounded(self) -> None:
        """
        One who notes himself in each flush does not hold the reactor: the flush ends, and he is served in later turns.
        """
        writer = Flushed(self.log, "a", lambda: self.flusher.schedule(writer))
        self.flusher.run(self.flusher.schedule, writer)
        first = len(self.log)
        self.assertTrue(0 < first < 100)
        writer.then = lambda: None
        self.clock.advance(0)
        self.assertEqual(len(self.log), first + 1)

    def test_errorIsLogged(self) -> None:
        """One whose flush raises is logged, and the others are flushed."""
        self.writes("a", lambda: 1 // 0)
        self.writes("b")
        self.flusher.flush()
        self.assertEqual(self.log, ["a", "b"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_soon(self) -> None:
        """Calls put off to the next turn run then, in order, with one flush behind them all."""
        self.flusher.callSoon(self.writes, "a")
        self.flusher.callSoon(self.log.append, "called")
        self.flusher.callSoon(self.writes, "b")
        self.assertEqual(self.log, [])
        self.clock.advance(0)
        self.assertEqual(self.log, ["called", "a", "b"])

    def test_soonFromSoon(self) -> None:
        """A call put off from inside such a call runs after all that were put off before."""
        self.flusher.callSoon(lambda: self.flusher.callSoon(self.log.append, "second"))
        self.flusher.callSoon(self.log.append, "first")
        self.clock.advance(0)
        self.clock.advance(0)
        self.assertEqual(self.log, ["first", "second"])

    def test_soonError(self) -> None:
        """One such call that raises is logged and keeps no other from running."""
        self.flusher.callSoon(lambda: 1 // 0)
        self.flusher.callSoon(self.writes, "a")
        self.clock.advance(0)
        self.assertEqual((self.log, len(self.flushLoggedErrors(ZeroDivisionError))), (["a"], 1))
