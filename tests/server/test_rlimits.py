# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.server.rlimits}."""

from __future__ import annotations

import resource

from twisted.trial.unittest import SynchronousTestCase

from muccore.server.rlimits import SPARE, raiseFileLimit


class Limits:
    """The limits of a process."""

    RLIMIT_NOFILE = resource.RLIMIT_NOFILE
    RLIM_INFINITY = resource.RLIM_INFINITY

    def __init__(self, soft: int, hard: int) -> None:
        self.limits = (soft, hard)

    def getrlimit(self, which: int) -> tuple[int, int]:
        """Tell them."""
        assert which == self.RLIMIT_NOFILE
        return self.limits

    def setrlimit(self, which: int, limits: tuple[int, int]) -> None:
        """Set them, as one without privileges."""
        assert which == self.RLIMIT_NOFILE
        soft, hard = limits
        assert self.limits[1] == hard
        assert hard == self.RLIM_INFINITY or soft <= hard
        self.limits = limits


class ProvideTests(SynchronousTestCase):
    """Raising the limit."""

    def provide(self, soft: int, hard: int, connections: int = 5000) -> tuple[int, int]:
        """
        Do it.

        @return: how many connections there can be, and the soft limit then.
        """
        limits = Limits(soft, hard)
        return raiseFileLimit(connections, limits), limits.limits[0]

    def test_enough(self) -> None:
        """A limit that is high enough stays."""
        self.assertEqual(self.provide(10_000, 20_000), (5000, 10_000))
        self.assertEqual(self.provide(resource.RLIM_INFINITY, resource.RLIM_INFINITY)[0], 5000)

    def test_raised(self) -> None:
        """One that is too low is raised to what is needed."""
        self.assertEqual(self.provide(1024, 20_000), (5000, 5000 + SPARE))
        self.assertEqual(self.provide(1024, resource.RLIM_INFINITY), (5000, 5000 + SPARE))

    def test_notEnough(self) -> None:
        """It is raised as far as that goes, and it is told how far that is."""
        self.assertEqual(self.provide(1024, 4096), (4096 - SPARE, 4096))
        self.assertEqual(self.provide(64, 128), (0, 128))

    def test_really(self) -> None:
        """The process's own limit is one that it can work on."""
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        self.assertGreaterEqual(raiseFileLimit(1), 0)
