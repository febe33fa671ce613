# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.memoryroster}."""

from __future__ import annotations

from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.storage.memoryroster import MemoryRosters
from muccore.testing.contracts import RosterStoreContract


class MemoryRostersContractTests(RosterStoreContract, TestCase):
    """Rosters in memory pass the contract suite."""

    durable = False

    def makeStore(self, place: FilePath[str]) -> MemoryRosters:
        """A new store."""
        return MemoryRosters()
