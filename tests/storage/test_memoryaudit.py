# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.memoryaudit}."""

from __future__ import annotations

from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.storage.memoryaudit import MemoryAudit
from muccore.testing.contracts import AuditStoreContract


class MemoryAuditContractTests(AuditStoreContract, TestCase):
    """Audit trails in memory pass the contract suite."""

    durable = False

    def makeStore(self, place: FilePath[str]) -> MemoryAudit:
        """A new store."""
        return MemoryAudit()
