# -*- test-case-name: tests.storage.test_memoryuploads -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.storage.memoryuploads}."""

from __future__ import annotations

from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.storage.memoryuploads import MemoryUploads
from muccore.testing.contracts.uploads import UploadStoreContract


class MemoryUploadsTests(UploadStoreContract, TestCase):
    """The contract."""

    durable = False

    def makeStore(self, place: FilePath[str]) -> MemoryUploads:
        """See L{UploadStoreContract}."""
        return MemoryUploads()
