# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.stream.checkqueue}."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from muccore.stream.checkqueue import CONCURRENT, QUEUE_LIMIT, TABLE_LIMIT, CheckQueue
from muccore.stream.sasl.exchange import SASLFailure, Success, WrongCredentials


class CheckQueueTests(SynchronousTestCase):
    """The order of checks."""

    def setUp(self) -> None:
        """Make a queue."""
        self.queue = CheckQueue()
        self.begun: list[str] = []
        self.running: list[Deferred[Success]] = []
        self.addCleanup(self.endAll)

    def ask(self, address: str, name: str = "") -> Deferred[Success]:
        """Ask for a check, which runs until L{end}."""

        def check() -> Deferred[Success]:
            self.begun.append(name or address)
            outcome: Deferred[Success] = Deferred()
            self.running.append(outcome)
            return outcome

        outcome = Deferred.fromCoroutine(self.queue.run(address, check))
        # Those that nobody looks at.
        outcome.addErrback(lambda failure: failure.trap(WrongCredentials, CancelledError) and failure.value)
        return outcome

    def end(self, right: bool = False) -> None:
        """End the oldest check that runs, with the right or a wrong password."""
        oldest = self.running.pop(0)
        if right:
            oldest.callback(Success("romeo"))
        else:
            oldest.errback(WrongCredentials())

    def endAll(self) -> None:
        """End all checks, those too that begin then."""
        while self.running:
            self.running.pop().errback(WrongCredentials())

    def took(self) -> list[str]:
        """The checks that have begun since the last call."""
        begun, self.begun = self.begun, []
        return begun

    def guess(self, address: str, count: int) -> None:
        """Many connections from an address guess, some of which have had their answer."""
        for _ in range(count):
            self.ask(address)

    def test_atOnce(self) -> None:
        """As many as may run at once do not wait, and are answered."""
        asked = [self.ask("a", str(n)) for n in range(CONCURRENT + 1)]
        self.assertEqual(self.took(), [str(n) for n in range(CONCURRENT)])
        self.end(right=True)
        self.assertEqual(self.successResultOf(asked[0]), Success("romeo"))
        self.assertEqual(self.took(), [str(CONCURRENT)])
        self.end()
        self.assertIsInstance(self.successResultOf(asked[1]), WrongCredentials)

    def test_newcomer(self) -> None:
        """Whoever comes from another address is next, however many guesses wait; soon after a wrong password, too."""
        self.guess("guesser", 200)
        self.end()
        self.took()
        for name in "romeo", "juliet":
            self.ask(name)
            self.end()
            self.assertEqual(self.took(), [name])
        # Both were wrong, and some of the guesses after them.
        for _ in range(2 * CONCURRENT):
            self.end()
        self.took()
        for name in "juliet", "romeo":
            self.ask(name)
            self.end()
            self.assertEqual(self.took(), [name])

    def test_manyGuessers(self) -> None:
        """Somebody goes before guessers from many addresses, those who have been answered and come again, too."""
        for n in range(50):
            self.guess(f"guesser{n}", 4)
        for _ in range(120):
            self.end()
        self.took()
        self.guess("guesser0", 1)
        self.ask("romeo")
        self.end()
        self.assertEqual(self.took(), ["romeo"])

    def test_turns(self) -> None:
        """Addresses take turns, and each has its checks in order: guessers, and those who know their passwords."""
        for right in (False, True):
            self.queue = CheckQueue()
            for _ in range(CONCURRENT):
                self.ask("other")
            self.took()
            for address, count in ("a", 5), ("b", 2), ("c", 3):
                for n in range(count):
                    self.ask(address, f"{address}{n}")
            for _ in range(CONCURRENT):
                self.end(right=True)
            while self.running:
                self.end(right)
            self.assertEqual(self.took(), ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "c2", "a3", "a4"])

    def test_cancelled(self) -> None:
        """Who disconnects while waiting leaves the queue; who does so later leaves its place to the next."""
        asked = [self.ask(address, f"{n}") for n, address in enumerate(["a"] * (CONCURRENT + 2) + ["b"])]
        self.took()
        for waiting in asked[CONCURRENT : CONCURRENT + 2]:
            waiting.cancel()
            self.assertIsInstance(self.successResultOf(waiting), CancelledError)
        self.ask("a", "again")
        asked[0].cancel()
        self.assertEqual(self.took(), [f"{CONCURRENT + 2}"])
        self.running.pop(0)
        self.end()
        self.assertEqual(self.took(), ["again"])

    def test_full(self) -> None:
        """More than may wait from one address are refused at once; from others they are not."""
        for _ in range(CONCURRENT + QUEUE_LIMIT):
            self.ask("a")
        refused = Deferred.fromCoroutine(self.queue.run("a", lambda: self.fail("it began")))
        failure = self.failureResultOf(refused, SASLFailure)
        self.assertEqual(failure.value.condition, "temporary-auth-failure")
        self.ask("b")
        self.endAll()
        self.assertEqual(len(self.took()), CONCURRENT + QUEUE_LIMIT + 1)

    def test_atOnceInALoop(self) -> None:
        """Checks that are answered at once run without recursion, and other failures end their turns, too."""
        for _ in range(CONCURRENT):
            self.ask("a")
        self.took()

        async def check() -> Success:
            self.begun.append("x")
            raise ZeroDivisionError

        for n in range(5000):
            outcome = Deferred.fromCoroutine(self.queue.run(f"address{n}", check))
            outcome.addErrback(lambda failure: failure.trap(ZeroDivisionError) and None)
        self.end(right=True)
        self.assertEqual(len(self.took()), 5000)

    def test_bounded(self) -> None:
        """The table of addresses is limited, and nothing else stays."""
        for n in range(TABLE_LIMIT + 100):
            self.ask(f"{n}")
            self.end()
        self.assertEqual(len(self.queue._ranks), TABLE_LIMIT)
        self.assertEqual((self.queue._waiting, self.queue._heap), ({}, []))
