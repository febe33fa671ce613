# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.net.flush}."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muccore.net.flush import FlushScheduler


class Transport:
    """Appends its name to a log when it is flushed, then calls a function."""

    TLS = False

    def __init__(self, log: list[str], name: str, then: Callable[[], object] = lambda: None) -> None:
        self.log = log
        self.name = name
        self.then = then

    def encrypt(self) -> None:
        """Record it."""
        self.log.append(f"encrypt {self.name}")

    def flush(self) -> None:
        """Record it."""
        self.log.append(self.name)
        self.then()


class Encrypted(Transport):
    """One with something to encrypt."""

    TLS = True


class Broken(Encrypted):
    """One that cannot be encrypted."""

    def encrypt(self) -> None:
        """Fail."""
        raise ValueError


class FlushSchedulerTests(SynchronousTestCase):
    """L{FlushScheduler}"""

    def setUp(self) -> None:
        """Create one on a clock."""
        self.clock = Clock()
        self.flusher = FlushScheduler(self.clock)
        self.log: list[str] = []

    def schedule(self, name: str, then: Callable[[], object] = lambda: None) -> str:
        """Schedule a transport."""
        self.flusher.schedule(Transport(self.log, name, then))
        return name

    def test_clock(self) -> None:
        """It is a clock: time and delayed calls are those of the underlying one, arguments are passed."""
        verifyObject(IReactorTime, self.flusher)
        self.clock.advance(3)
        call = self.flusher.callLater(2, self.log.append, "cancelled")
        self.assertEqual((self.flusher.seconds(), list(self.flusher.getDelayedCalls())), (3, [call]))
        call.cancel()
        self.flusher.callLater(1, lambda *args, **kwargs: self.log.append(f"{args}{kwargs}"), 1, x=2)
        self.clock.advance(2)
        self.assertEqual((self.log, self.clock.getDelayedCalls()), (["(1,){'x': 2}"], []))

    def test_oneCallForAll(self) -> None:
        """One delayed call flushes all transports in the order in which they were scheduled; the next turn again."""
        for name in "abc":
            self.schedule(name)
        self.assertEqual((len(self.clock.getDelayedCalls()), self.log), (1, []))
        self.clock.advance(0)
        self.assertEqual((self.clock.getDelayedCalls(), self.log), ([], ["a", "b", "c"]))
        self.schedule("d")
        self.clock.advance(0)
        self.assertEqual(self.log, ["a", "b", "c", "d"])

    def test_callBeforeSending(self) -> None:
        """Each call is made once, before the first transport is flushed; also if there is none, or one fails."""
        for wait in (lambda: self.clock.advance(0)), self.flusher.flush, self.flusher.prepare:
            self.schedule("a")
            self.flusher.callBeforeSending(lambda: 1 / 0)
            self.flusher.callBeforeSending(lambda: self.log.append("first"))
            wait()
            self.assertEqual(self.log[:1], ["first"])
            self.clock.advance(0)
            self.assertEqual(self.log, ["first", "a"])
            self.log.clear()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)
        self.flusher.callBeforeSending(lambda: self.flusher.callBeforeSending(lambda: self.log.append("second")))
        self.clock.advance(0)
        self.flusher.run(self.flusher.callBeforeSending, lambda: self.log.append("third"))
        self.assertEqual((self.log, self.clock.getDelayedCalls()), (["second", "third"], []))

    def test_callBeforeSendingDuringFlush(self) -> None:
        """What a flushed transport asks for is done before the next one, or at the end."""
        self.schedule("a", lambda: self.flusher.callBeforeSending(lambda: self.log.append("between")))
        self.schedule("b", lambda: self.flusher.callBeforeSending(lambda: self.log.append("end")))
        self.clock.advance(0)
        self.assertEqual((self.log, self.clock.getDelayedCalls()), (["a", "between", "b", "end"], []))

    def test_explicitFlush(self) -> None:
        """After an explicit flush, the delayed call still serves transports scheduled later."""
        self.schedule("a")
        self.flusher.flush()
        self.assertEqual(self.log, ["a"])
        self.schedule("b")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(0)
        self.assertEqual(self.log, ["a", "b"])

    def test_timedCallIsFollowedByFlush(self) -> None:
        """What a timed call writes is flushed when it returns, not in another turn."""
        self.flusher.callLater(5, self.schedule, "a")
        self.clock.advance(5)
        self.assertEqual((self.log, self.clock.getDelayedCalls()), (["a"], []))

    def test_run(self) -> None:
        """C{run} returns the result of the function, and flushes what it wrote."""
        self.assertEqual(self.flusher.run(self.schedule, "a"), "a")
        self.assertEqual((self.log, self.clock.getDelayedCalls()), (["a"], []))

    def test_runFlushesAfterException(self) -> None:
        """C{run} raises the exception of the function, and flushes what it wrote before."""

        def f() -> None:
            self.schedule("a")
            raise ZeroDivisionError

        self.assertRaises(ZeroDivisionError, self.flusher.run, f)
        self.assertEqual(self.log, ["a"])

    def test_runInsideRun(self) -> None:
        """A nested C{run} leaves the flush to the outer one, so that all writes are joined."""

        def f() -> None:
            self.flusher.run(self.schedule, "a")
            self.log.append("still running")

        self.flusher.run(f)
        self.assertEqual(self.log, ["still running", "a"])

    def test_neverReenters(self) -> None:
        """A transport scheduled during a flush is flushed by it, but not inside another transport's flush."""

        def again() -> None:
            self.flusher.run(self.schedule, "b")
            self.flusher.flush()
            self.log.append("a done")

        self.schedule("a", again)
        self.flusher.flush()
        self.assertEqual(self.log, ["a", "a done", "b"])

    def test_roundsAreLimited(self) -> None:
        """A transport that schedules itself in each flush does not block the reactor: later turns go on with it."""
        transport = Transport(self.log, "a", lambda: self.flusher.schedule(transport))
        self.flusher.run(self.flusher.schedule, transport)
        first = len(self.log)
        self.assertTrue(0 < first < 100)
        transport.then = lambda: None
        self.clock.advance(0)
        self.assertEqual(len(self.log), first + 1)

    def test_encryptedFirst(self) -> None:
        """What is encrypted is encrypted for all before the first is flushed; an error concerns one only."""
        for transport in (Transport, Encrypted, Broken, Encrypted):
            self.flusher.schedule(transport(self.log, transport.__name__))
        self.flusher.flush()
        self.assertEqual(self.log, ["encrypt Encrypted"] * 2 + ["Transport", "Encrypted", "Broken", "Encrypted"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_slices(self) -> None:
        """
        A flush that takes long goes on in later turns, in order, and before what is written meanwhile: others are
        served in between.
        """
        now = [0.0]
        self.flusher = FlushScheduler(self.clock, lambda: now[0])
        names = [str(number) for number in range(200)]
        behind: list[bool] = []

        def flushed() -> None:
            now[0] += 0.0002

        def firstFlushed() -> None:
            flushed()
            self.clock.callLater(0, lambda: self.log.append("other") or behind.append(self.flusher.behind))
            names.append(self.schedule("late", flushed))

        for name in list(names):
            self.schedule(name, flushed if name != "0" else firstFlushed)
        self.clock.advance(0)
        self.assertEqual([name for name in self.log if name != "other"], names)
        self.assertEqual(self.log.index("other"), 64)
        self.assertEqual((behind, self.flusher.behind), ([True], False))

    def test_sliceAfterLongWriting(self) -> None:
        """The time from the first write on counts; what is left of the slice is used, but never nothing."""
        now = [0.0]
        self.flusher = FlushScheduler(self.clock, lambda: now[0])

        def flushed() -> None:
            now[0] += 0.0001

        for writing, expected in ((0.0, 128), (0.005, 64), (0.008, 64), (0.1, 64)):
            before = len(self.log)
            self.schedule("first", flushed)
            now[0] += writing
            for _ in range(200):
                self.schedule("other", flushed)
            self.flusher.flush()
            self.assertEqual(len(self.log) - before, expected, writing)
            # The next turn has a whole slice, since it begins with this.
            self.flusher.flush()
            self.assertEqual(len(self.log) - before, 201 if expected > 100 else expected + 128, writing)
            self.flusher.flush()

    def test_exceptionIsLogged(self) -> None:
        """An exception in a flush is logged, and the other transports are flushed."""
        self.schedule("a", lambda: 1 // 0)
        self.schedule("b")
        self.flusher.flush()
        self.assertEqual(self.log, ["a", "b"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_callSoon(self) -> None:
        """
        The calls of one turn run in the next one, in order, with one flush after them all. An exception is logged; a
        call made by one of them runs after the others.
        """
        self.flusher.callSoon(self.schedule, "a")
        self.flusher.callSoon(lambda: 1 // 0)
        self.flusher.callSoon(lambda: self.flusher.callSoon(self.log.append, "nested"))
        self.flusher.callSoon(self.log.append, "called")
        self.flusher.callSoon(self.schedule, "b")
        self.assertEqual(self.log, [])
        self.clock.advance(0)
        self.assertEqual(self.log, ["called", "a", "b", "nested"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
