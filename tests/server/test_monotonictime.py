# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.server.monotonictime}."""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.base import ReactorBase
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.net.flush import FlushScheduler
from muccore.server.monotonictime import useMonotonicTime


class _Reactor(ReactorBase):
    """A reactor without I/O."""

    def installWaker(self) -> None:
        """Do without a waker."""


class MonotonicTests(SynchronousTestCase):
    """Timers while the time of day is set."""

    def setUp(self) -> None:
        """Make a reactor with both clocks in our hands."""
        self.day, self.passed = 1_000_000_000.0, 5.0
        self.patch(ReactorBase, "seconds", staticmethod(lambda: self.day))
        self.patch(time, "monotonic", lambda: self.passed)
        self.reactor: Any = _Reactor()
        self.called: list[str] = []

    def wait(self, seconds: float) -> list[str]:
        """Let time pass; return the calls that were made."""
        self.day += seconds
        self.passed += seconds
        self.reactor.runUntilCurrent()
        called = list(self.called)
        self.called.clear()
        return called

    def test_set(self) -> None:
        """Calls come when their time has passed, those made before too, wherever the time of day is set to."""
        self.reactor.callLater(10, self.called.append, "first")
        self.reactor.callLater(30, self.called.append, "last")
        useMonotonicTime(self.reactor)
        useMonotonicTime(self.reactor)
        flusher = FlushScheduler(self.reactor)
        for shift in -3600, 3600, 86400, -86400:
            self.day += shift
            self.reactor.callLater(3, self.called.append, "3")
            flusher.callLater(2, self.called.append, "2")
            moved = self.reactor.callLater(1, self.called.append, "moved")
            moved.reset(2.5)
            self.assertEqual(self.wait(1), [])
            self.assertEqual(self.wait(1), ["2"])
            self.assertEqual(self.wait(0.5), ["moved"])
            self.assertEqual(self.wait(0.5), ["3"])
            if shift == 86400:
                self.assertEqual(self.wait(0.9), [])
                self.assertEqual(self.wait(0.1), ["first"])
        self.assertEqual(self.wait(16.9), [])
        self.assertEqual(self.wait(0.1), ["last"])

    def test_flush(self) -> None:
        """What is written is flushed at once while the time of day is set back."""
        useMonotonicTime(self.reactor)
        flusher = FlushScheduler(self.reactor)
        case = self

        class Transport:
            """Notes its flush."""

            TLS = False

            def flush(self) -> None:
                case.called.append("flush")

        flusher.schedule(Transport())
        self.day -= 3600
        self.assertEqual(self.wait(0), ["flush"])

    def test_others(self) -> None:
        """A clock of tests stays as it is."""
        clock = Clock()
        useMonotonicTime(clock)
        self.assertEqual(clock.seconds(), 0.0)
