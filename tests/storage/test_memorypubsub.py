# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.memorypubsub}."""

from __future__ import annotations

from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.storage.memorypubsub import MemoryPubSub
from muccore.testing.contracts import PubSubStoreContract


class MemoryPubSubContractTests(PubSubStoreContract, TestCase):
    """Nodes in memory pass the contract suite."""

    durable = False

    def makeStore(self, place: FilePath[str]) -> MemoryPubSub:
        """A new store."""
        return MemoryPubSub()
