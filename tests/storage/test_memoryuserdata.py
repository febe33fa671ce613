# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.memoryuserdata}."""

from __future__ import annotations

from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.storage.memoryuserdata import MemoryUserData
from muccore.testing.contracts import UserDataStoreContract


class MemoryUserDataContractTests(UserDataStoreContract, TestCase):
    """Documents in memory pass the contract suite."""

    durable = False

    def makeStore(self, place: FilePath[str]) -> MemoryUserData:
        """A new store."""
        return MemoryUserData()
