# -*- test-case-name: tests.operations.transfer.test_openstores -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.operations.transfer.openstores}."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from muccore.operations.transfer.openstores import opened
from muccore.server.stores import ServerStores
from muccore.storage.memoryuploads import MemoryUploads
from muccore.testing.server import makeSettings


class OpenedTests(TestCase):
    """The stores that a command opens."""

    async def test_uploads(self) -> None:
        """Uploads are not among them: whoever opens them removes what another process is writing."""
        http = {"listen": "tcp:0:interface=127.0.0.1", "public_url": "https://chat.example"}
        stores = ServerStores(makeSettings(http=http, upload={"store": "memory:"}), Clock())
        assert isinstance(stores.uploads, MemoryUploads)
        async with opened(stores, False):
            self.assertFalse(stores.uploads.isOpen)
