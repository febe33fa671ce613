# -*- test-case-name: tests.log.test_logger -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.log.logger}."""

from __future__ import annotations

from twisted.logger import LogEvent, LogLevel
from twisted.trial.unittest import SynchronousTestCase

from muccore.log.logger import Logger, setThreshold

LEVELS = ("debug", "info", "warn", "error", "critical")


class LoggerTests(SynchronousTestCase):
    """L{Logger} and its threshold"""

    def setUp(self) -> None:
        """Log to a list."""
        self.patch(Logger, "threshold", Logger.threshold)
        self.events: list[LogEvent] = []
        self.log = Logger(observer=self.events.append)

    def test_threshold(self) -> None:
        """For each configurable level, events of that level and above are logged."""
        for position, name in enumerate(LEVELS):
            self.events.clear()
            setThreshold(name)
            for level in LEVELS:
                getattr(self.log, level)("{called}", called=level)
            self.assertEqual([event["called"] for event in self.events], list(LEVELS[position:]))

    def test_oneForAll(self) -> None:
        """The threshold applies to every logger, made before or after it was set."""
        setThreshold("error")
        for log in (self.log, Logger(observer=self.events.append)):
            log.warn("x")
        self.assertEqual(self.events, [])

    def test_failure(self) -> None:
        """Failures pass any threshold, with the exception."""
        for name in ("critical", "info"):
            setThreshold(name)
            self.events.clear()
            try:
                raise ValueError("x")
            except ValueError:
                self.log.failure("It failed")
            self.assertEqual([event["log_level"] for event in self.events], [LogLevel.critical])
            self.assertIsInstance(self.events[0]["log_failure"].value, ValueError)

    def test_format(self) -> None:
        """Events have namespace and format."""
        setThreshold("info")
        self.log.info("{x} happened", x=1)
        [event] = self.events
        self.assertEqual(event["log_namespace"], "tests.log.test_logger")
        self.assertEqual((event["log_format"], event["x"]), ("{x} happened", 1))
