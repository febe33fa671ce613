# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.server.rlimits}."""

from __future__ import annotations

import resource

from twisted.trial.unittest import SynchronousTestCase

from muccore.server.rlimits import SPARE, raiseFileLimit


class Limits:
    """A double of the module L{resource}."""

    RLIMIT_NOFILE = resource.RLIMIT_NOFILE
    RLIM_INFINITY = resource.RLIM_INFINITY

    def __init__(self, soft: int, hard: int) -> None:
        self.limits = (soft, hard)

    def getrlimit(self, which: int) -> tuple[int, int]:
        """The limits."""
        assert which == self.RLIMIT_NOFILE
        return self.limits

    def setrlimit(self, which: int, limits: tuple[int, int]) -> None:
        """Set the limits, as an unprivileged process."""
        assert which == self.RLIMIT_NOFILE
        soft, hard = limits
        assert self.limits[1] == hard
        assert hard == self.RLIM_INFINITY or soft <= hard
        self.limits = limits


class RaiseFileLimitTests(SynchronousTestCase):
    """Raising the limit of open files."""

    def provide(self, soft: int, hard: int, connections: int = 5000) -> tuple[int, int]:
        """
        Raise the limit.

        @return: how many connections there can be, and the soft limit then.
        """
        limits = Limits(soft, hard)
        return raiseFileLimit(connections, limits), limits.limits[0]

    def test_enough(self) -> None:
        """A sufficient limit stays."""
        self.assertEqual(self.provide(10_000, 20_000), (5000, 10_000))
        self.assertEqual(self.provide(resource.RLIM_INFINITY, resource.RLIM_INFINITY)[0], 5000)

    def test_raised(self) -> None:
        """A lower limit is raised to what is needed."""
        self.assertEqual(self.provide(1024, 20_000), (5000, 5000 + SPARE))
        self.assertEqual(self.provide(1024, resource.RLIM_INFINITY), (5000, 5000 + SPARE))

    def test_notEnough(self) -> None:
        """It is raised as far as possible, and the result says how many connections that allows."""
        self.assertEqual(self.provide(1024, 4096), (4096 - SPARE, 4096))
        self.assertEqual(self.provide(64, 128), (64, 128))
        self.assertEqual(self.provide(60, 60), (30, 60))
        self.assertEqual(self.provide(1, 1), (1, 1))
        self.assertEqual(self.provide(64, 300, 10), (10, 266))

    def test_really(self) -> None:
        """It works with the limits of this process."""
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        self.assertGreaterEqual(raiseFileLimit(1), 0)
