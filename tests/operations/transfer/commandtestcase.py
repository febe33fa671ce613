# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of commands that move accounts and rooms."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred, succeed

from muccore.config.load import load
from muccore.config.schema import Settings
from muccore.server import controlsocket, stores
from tests.configuration import ConfigurationFile
from tests.operations.ctltestcase import CtlTestCase
from tests.operations.transfer.transferstores import MemoryStores, now, put


class TransferCommandTestCase(CtlTestCase):
    """
    C{muccorectl}, with stores in memory in place of the configured databases.

    @ivar closed: the stores that were closed, one after the other.
    """

    def setUp(self) -> None:
        """Write a configuration, and replace the stores."""
        self.files = ConfigurationFile(
            self, auth={"backend": "sqlite:accounts.db"},
            storage={"affiliations": "sqlite:rooms.db", "archive": "sqlite:archive.db"},
        )  # fmt: skip
        for name in ("accounts.db", "rooms.db", "archive.db"):
            open(self.files.file(name), "w").close()
        self.configurationPath = self.files.path
        self.path = self.files.file("data.xml")
        self.closed: list[Any] = []
        self.use(MemoryStores())

    def use(self, made: MemoryStores) -> None:
        """Let commands find these stores."""
        self.stores = made
        kinds = {
            "accounts": made.accounts, "rooms": made.rooms, "rosters": made.rosters, "userdata": made.userData,
            "archive": made.archive, "audit": made.audit, "occupants": made.occupants,
            "pubsub": made.pubSub,
        }  # fmt: skip
        for store in kinds.values():
            self.patch(store, "close", lambda store=store: self._close(store))
        self.patch(stores, "makeStore", lambda kind, *description: kinds[kind])

    def _close(self, store: Any) -> Deferred[None]:
        self.closed.append(store)
        return succeed(None)

    @property
    def settings(self) -> Settings:
        """The configuration."""
        return load(self.files.path)

    def fill(self, records: Any) -> None:
        """Write records into the stores."""
        now(put(records, self.stores, self.settings))

    @contextlib.contextmanager
    def serverRunning(self) -> Iterator[None]:
        """Inside, a server seems to run."""
        path = controlsocket.controlPath(self.settings)
        assert path is not None
        lock, listening = controlsocket.takeLock(path), controlsocket.listen(path)
        assert lock is not None
        with lock, listening:
            yield
        os.unlink(path)
