# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.memoryarchive}."""

from __future__ import annotations

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muccore.interfaces import ArchiveQuery
from muccore.storage.memoryarchive import MemoryArchive
from muccore.testing.contracts import ArchiveStoreContract
from muccore.testing.contracts.archivequeries import CAVE, item


class MemoryArchiveContractTests(ArchiveStoreContract, TestCase):
    """Archives in memory pass the contract suite."""

    durable = False

    def makeStore(self, place: FilePath[str]) -> MemoryArchive:
        """A new store."""
        return MemoryArchive()


class MemoryArchiveTests(SynchronousTestCase):
    """Properties of archives in memory that are not in the contract."""

    def test_survivesClosing(self) -> None:
        """Archives answer at once, and survive closing, so that tests can restart a server."""
        store = MemoryArchive()
        self.successResultOf(store.open())
        self.successResultOf(store.append(CAVE, [item("a")]))
        self.successResultOf(store.close())
        self.successResultOf(store.open())
        self.assertEqual(len(self.successResultOf(store.query(CAVE, ArchiveQuery())).items), 1)
