# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.routing.loading}."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import SchemaTooNew, StoreUnavailable
from muccore.log.logger import Logger
from muccore.routing.loading import LONGEST_PAUSE, Loader


class LoaderTests(SynchronousTestCase):
    """Tests for L{Loader}."""

    def setUp(self) -> None:
        """Make a loader; collect the lines of the log."""
        self.clock = Clock()
        self.loader = Loader(self.clock)
        self.tries: list[Deferred[None]] = []
        self.lines: list[str] = []
        self.patch(Logger, "threshold", LogLevel.info)
        observer = lambda event: self.lines.append(str(formatEvent(event)))
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def work(self) -> Deferred[None]:
        """Something to load."""
        self.tries.append(Deferred())
        return self.tries[-1]

    def unavailable(self) -> None:
        """The store fails."""
        self.tries[-1].errback(StoreUnavailable("no disk"))

    def test_atOnce(self) -> None:
        """What can be read is loaded once, and the caller waits for it."""
        loading = self.loader.load("the list", self.work)
        self.assertNoResult(loading)
        self.tries[0].callback(None)
        self.successResultOf(loading)
        self.clock.advance(1000)
        self.assertEqual((len(self.tries), self.clock.getDelayedCalls(), self.lines), (1, [], []))

    def test_later(self) -> None:
        """It is tried until it succeeds, at growing intervals; one line tells of the first failure, one of the end."""
        loading = self.loader.load("the list", self.work)
        self.unavailable()
        self.successResultOf(loading)
        waited = []
        for _ in range(7):
            count, before = len(self.tries), self.clock.seconds()
            while len(self.tries) == count:
                self.clock.advance(1)
            waited.append(self.clock.seconds() - before)
            self.unavailable()
        self.assertEqual(waited, [1, 2, 4, 8, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE])
        self.clock.advance(LONGEST_PAUSE)
        self.tries[-1].callback(None)
        self.clock.advance(1000)
        self.assertEqual(len(self.tries), 9)
        self.assertEqual(
            self.lines,
            ["the list cannot be read, which is tried again: no disk", "the list could be read now"],
        )

    def test_stopped(self) -> None:
        """After the end nothing is tried, nor logged."""
        self.loader.load("the list", self.work)
        self.unavailable()
        waiting = self.loader.load("another", self.work)
        self.lines.clear()
        self.loader.stop()
        self.successResultOf(waiting)
        self.assertEqual((self.clock.getDelayedCalls(), self.lines), ([], []))

    def test_broken(self) -> None:
        """Other errors are logged, and it is not tried again."""
        for error in (SchemaTooNew("too new"), ZeroDivisionError()):
            loading = self.loader.load("the list", self.work)
            self.tries[-1].errback(error)
            self.successResultOf(loading)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.lines, ["the list cannot be read: too new", "the list cannot be read"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
