# -*- test-case-name: tests.stream.test_throttle -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.stream.throttle}."""

from __future__ import annotations

from itertools import pairwise

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.net.limits import Networks
from muccore.stream.checkqueue import CONCURRENT, QUEUE_LIMIT, TABLE_LIMIT
from muccore.stream.sasl.exchange import SASLFailure, Success, WrongCredentials
from muccore.stream.throttle import ACCOUNT_DELAY, FREE, HIGHEST_PRICE, LoginThrottle

ATTACKER = "192.0.2.1"
OWNER = "198.51.100.7"


class ThrottleTests(SynchronousTestCase):
    """L{LoginThrottle}"""

    def setUp(self) -> None:
        """Create one, and record the times of password checks."""
        self.clock = Clock()
        self.throttle = LoginThrottle(self.clock, Networks(["10.0.0.0/8"]))
        self.checked: list[float] = []

    def attempt(self, host: str = ATTACKER, user: str = "romeo", right: bool = False) -> Deferred[Success]:
        """Attempt a password check."""

        async def check() -> Success:
            self.checked.append(self.clock.seconds())
            if not right:
                raise WrongCredentials
            return Success(user)

        return Deferred.fromCoroutine(self.throttle.attempt(host, user, check))

    def guess(self, seconds: float, host: str = ATTACKER, user: str = "romeo") -> Deferred[None]:
        """Guess passwords one after the other, as fast as they are answered."""
        until = self.clock.seconds() + seconds

        async def guessing() -> None:
            while self.clock.seconds() < until:
                await self.attempt(host, user).addErrback(lambda failure: failure.trap(WrongCredentials))

        return Deferred.fromCoroutine(guessing())

    def advance(self, seconds: float) -> None:
        """Let time pass, in tenths of a second."""
        self.clock.pump([0.1] * round(seconds * 10))

    def gaps(self) -> list[float]:
        """The times between the checks since the last call."""
        times, self.checked = self.checked, []
        return [later - earlier for earlier, later in pairwise(times)]

    def delay(self, **attempt: str) -> float:
        """The time that the owner of the account waits with the right password."""
        before = self.clock.seconds()
        admitted = self.attempt(attempt.pop("host", OWNER), right=True, **attempt)
        while not admitted.called:
            self.clock.advance(0.1)
        self.successResultOf(admitted)
        return self.clock.seconds() - before

    def test_growingDelay(self) -> None:
        """A few wrong passwords are not delayed; the next ones wait longer and longer, up to a limit."""
        self.guess(120)
        self.advance(120)
        gaps = self.gaps()
        free = [gap for gap in gaps if not gap]
        slow = gaps[len(free) :]
        self.assertTrue(3 <= len(free) < FREE, gaps)
        # The first one may use what is left in the bucket; the clock advances by tenths.
        for earlier, later in pairwise(slow[1:]):
            self.assertGreaterEqual(later, earlier - 0.2)
        self.assertTrue(HIGHEST_PRICE - 0.2 < slow[-1] < HIGHEST_PRICE + 0.2, gaps)

    def test_connections(self) -> None:
        """Twenty connections, or several user names, do not make guessing faster."""
        for number in range(20):
            self.guess(60, user=f"user{number}")
        self.advance(10)
        self.assertLessEqual(len(self.checked), FREE + 10)
        self.gaps()
        self.advance(50)
        self.assertLessEqual(len(self.checked), 50 / HIGHEST_PRICE + 1)

    def test_reset(self) -> None:
        """After some minutes without a wrong password, the price is reset."""
        for _ in range(2):
            self.guess(30)
            self.advance(35)
            gaps = self.gaps()
            self.assertEqual(gaps[:3], [0, 0, 0])
            self.advance(310)

    def test_rightPasswords(self) -> None:
        """Right passwords cost nothing: with many at once, checks wait for others to end, not for time."""
        checking: list[Deferred[Success]] = []

        async def check() -> Success:
            checking.append(Deferred())
            return await checking[-1]

        done = [Deferred.fromCoroutine(self.throttle.attempt(OWNER, "romeo", check)) for _ in range(50)]
        self.assertEqual(len(checking), CONCURRENT)
        for at in range(50):
            checking[at].callback(Success("romeo"))
        for outcome in done:
            self.successResultOf(outcome)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_longQueue(self) -> None:
        """As many checks as may wait run without recursion; more are refused at once."""
        held: Deferred[Success] = Deferred()

        async def check() -> Success:
            return await held

        first = [Deferred.fromCoroutine(self.throttle.attempt(OWNER, "romeo", check)) for _ in range(FREE)]
        waiting = [self.attempt(OWNER, right=True) for _ in range(QUEUE_LIMIT)]
        refused = self.failureResultOf(self.attempt(OWNER, right=True), SASLFailure)
        self.assertEqual(refused.value.condition, "temporary-auth-failure")
        held.callback(Success("romeo"))
        for outcome in first + waiting:
            self.successResultOf(outcome)

    def test_otherAddresses(self) -> None:
        """Other addresses are not delayed. An IPv6 /64 is one address."""
        self.guess(60, "2001:db8::1", "juliet")
        self.advance(60)
        self.assertEqual(self.delay(host="2001:db8:0:1::1"), 0)
        self.assertEqual(self.delay(), 0)
        self.assertGreater(self.delay(host="2001:db8::ffff"), 0)

    def test_account(self) -> None:
        """An account attacked from many addresses is delayed, for a limited time. Other accounts are not."""
        for number in range(100):
            self.guess(60, f"192.0.2.{number}")
        self.advance(10)
        self.assertEqual(self.delay(user="juliet"), 0)
        self.assertTrue(1 <= self.delay() <= ACCOUNT_DELAY + 0.2)
        self.advance(120)
        self.assertEqual(self.delay(), 0)

    def test_growingDelayOfAccount(self) -> None:
        """Each excessive wrong password for an account adds a second."""
        for number in range(FREE + 1):
            self.failureResultOf(self.attempt(f"192.0.2.{number}"), WrongCredentials)
        self.assertTrue(0.5 < self.delay() <= 1.1)
        for number in range(3):
            self.guess(0.1, f"203.0.113.{number}")
        self.advance(2)
        self.assertTrue(2 < self.delay() < 4)

    def test_exempt(self) -> None:
        """Checks from exempt networks are not counted."""
        for _ in range(100):
            self.failureResultOf(self.attempt("10.1.2.3"), WrongCredentials)
        self.assertEqual(self.delay(), 0)

    def test_otherFailures(self) -> None:
        """Other exceptions than a wrong password cost nothing."""

        async def check() -> Success:
            raise ZeroDivisionError

        for _ in range(100):
            outcome = Deferred.fromCoroutine(self.throttle.attempt(ATTACKER, "romeo", check))
            self.failureResultOf(outcome, ZeroDivisionError)
        self.assertEqual(self.delay(host=ATTACKER), 0)

    def test_cancelled(self) -> None:
        """A check cancelled while it waits, for the address or the account, is dropped."""
        self.guess(20, user="juliet")
        self.advance(21)
        for number in range(FREE + 1):
            self.failureResultOf(self.attempt(f"198.51.100.{number}"), WrongCredentials)
        self.checked.clear()
        waiting = [self.attempt("203.0.113.1"), *(self.attempt(user="tybalt") for _ in range(5))]
        self.advance(0.5)
        for outcome in waiting:
            outcome.cancel()
            outcome.addErrback(lambda failure: None)
        self.advance(30)
        self.assertEqual((self.checked, self.clock.getDelayedCalls()), ([], []))

    def test_bounded(self) -> None:
        """The tables of addresses and accounts are limited; an address with a right password is not kept."""
        self.delay()
        self.assertEqual(len(self.throttle._addresses), 0)
        for number in range(TABLE_LIMIT + 100):
            outcome = self.attempt(f"2001:db8:{number >> 8:x}:{number & 255:x}::1", f"user{number}")
            self.failureResultOf(outcome, WrongCredentials)
        self.assertEqual((len(self.throttle._addresses), len(self.throttle._accounts)), (TABLE_LIMIT, TABLE_LIMIT))
