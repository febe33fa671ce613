# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.external.backend}."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import StoreUnavailable
from muccore.log import eventlog
from muccore.storage.external import backend
from muccore.storage.external.backend import CACHE_TIME, REFUSAL_STEP, SLOW, SLOW_LIMIT, ExternalAuth
from tests.configuration import Logged


class AskedAuth(ExternalAuth):
    """Lets the test answer."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("elsewhere", clock)
        self.asked: list[tuple[str, ...]] = []
        self.answers: list[Deferred[bool]] = []

    def _ask(self, *question: str) -> Deferred[bool]:
        self.asked.append(question)
        self.answers.append(Deferred())
        return self.answers[-1]

    async def _check(self, user: str, host: str, password: str) -> bool:
        return await self._ask(user, host, password)

    async def _exists(self, user: str, host: str) -> bool:
        return await self._ask(user, host)

    async def _begin(self) -> None:
        """Nothing to do."""

    async def _end(self) -> None:
        """Nothing to do."""


class ExternalAuthTests(SynchronousTestCase):
    """L{ExternalAuth}"""

    def setUp(self) -> None:
        """Open a backend, with a log of its own."""
        self.patch(backend, "limit", eventlog.RateLimit())
        self.clock = Clock()
        self.accounts = AskedAuth(self.clock)
        self.successResultOf(self.accounts.open())

    def check(self, password: str = "x") -> Deferred[Any]:
        """Check a password of Juliet."""
        return self.accounts.checkPassword("juliet@a.lit", password)

    def test_right(self) -> None:
        """A right password is accepted as soon as the answer comes."""
        answer = self.check("I\u00adX")
        self.assertEqual(self.accounts.asked, [("juliet", "a.lit", "IX")])
        self.accounts.answers[0].callback(True)
        self.assertIs(self.successResultOf(answer), True)

    def test_refusedInSteps(self) -> None:
        """The time of a refusal does not tell how long it took to find the reason, even without asking."""
        for took, steps in ((None, 1), (0.0, 1), (0.5, 1), (1.5, 2)):
            answer = self.check("" if took is None else "x")
            if took is not None:
                self.clock.advance(took * REFUSAL_STEP)
                self.accounts.answers.pop().callback(False)
            self.clock.advance((steps - (took or 0)) * REFUSAL_STEP - 0.001)
            self.assertNoResult(answer)
            self.clock.advance(0.002)
            self.assertIs(self.successResultOf(answer), False)

    def test_remembered(self) -> None:
        """Who exists is remembered for a time, also from a right password, and forgotten when the backend is closed."""
        for round in (1, 2):
            first = self.accounts.hasAccount("romeo@a.lit")
            self.accounts.answers.pop().callback(True)
            self.assertIs(self.successResultOf(first), True)
            self.assertIs(self.successResultOf(self.accounts.hasAccount("romeo@a.lit")), True)
            self.assertEqual(len(self.accounts.asked), round)
            self.clock.advance(CACHE_TIME)
        self.check()
        self.accounts.answers.pop().callback(True)
        self.assertIs(self.successResultOf(self.accounts.hasAccount("juliet@a.lit")), True)

    def test_boundedMemory(self) -> None:
        """Of many accounts, the oldest are forgotten."""
        self.patch(backend, "CACHE_SIZE", 2)
        for name in ("a", "b", "c", "c", "a"):
            self.accounts.hasAccount(f"{name}@a.lit")
            if self.accounts.answers:
                self.accounts.answers.pop().callback(True)
        self.assertEqual([user for user, _ in self.accounts.asked], ["a", "b", "c", "a"])

    def test_unavailable(self) -> None:
        """
        An error says what cannot be asked; it is not remembered, and not a refusal. The log tells the first one, and
        the first answer after it, without passwords.
        """
        logged = Logged(self)
        for _ in range(2):
            for ask in (lambda: self.check("s3cret"), lambda: self.accounts.hasAccount("juliet@a.lit")):
                answer = ask()
                self.accounts.answers.pop().errback(StoreUnavailable("it is down"))
                error = self.failureResultOf(answer, StoreUnavailable)
                self.assertEqual(error.getErrorMessage(), "elsewhere: it is down")
        self.check()
        self.accounts.answers.pop().callback(True)
        self.assertEqual(logged.lines(LogLevel.error), ["elsewhere does not answer: it is down"])
        self.assertEqual(logged.lines(LogLevel.info), ["elsewhere answers again"])

    def failSlowly(self) -> None:
        """Fail a check after a long time."""
        answer = self.check()
        self.clock.advance(SLOW)
        self.accounts.answers.pop().errback(StoreUnavailable("no answer"))
        self.failureResultOf(answer, StoreUnavailable)

    def test_paused(self) -> None:
        """After several slow failures nothing is asked for a while, so that others need not wait for it."""
        for _ in range(SLOW_LIMIT):
            self.failSlowly()
        for seconds in (1, 2, 4, 8, 16, 32, 32):
            self.clock.advance(seconds - 0.1)
            asked = len(self.accounts.asked)
            for answer in (self.check(), self.accounts.hasAccount("romeo@a.lit")):
                error = self.failureResultOf(answer, StoreUnavailable)
                self.assertIn("has not answered for some time", error.getErrorMessage())
            self.assertEqual(len(self.accounts.asked), asked)
            self.clock.advance(0.2)
            self.failSlowly()
        self.clock.advance(33)
        self.check()
        self.accounts.answers.pop().callback(True)
        for _ in range(SLOW_LIMIT - 1):
            self.failSlowly()
        asked = len(self.accounts.asked)
        self.check()
        self.assertEqual(len(self.accounts.asked), asked + 1)

    def test_quickFailures(self) -> None:
        """Failures that keep nobody waiting do not stop the next request."""
        for number in range(10):
            answer = self.check()
            self.assertEqual(len(self.accounts.asked), number + 1)
            self.accounts.answers.pop().errback(StoreUnavailable("refused"))
            self.failureResultOf(answer, StoreUnavailable)

    def test_closed(self) -> None:
        """What is outstanding when it is closed is unavailable."""
        answer = self.check()
        self.successResultOf(self.accounts.close())
        self.failureResultOf(answer, StoreUnavailable)
        self.failureResultOf(self.check(), StoreUnavailable)
        self.failureResultOf(self.accounts.scramKeys("juliet@a.lit", "SHA-1"), StoreUnavailable)
