# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of commands of C{muccorectl} that read one store."""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.internet.defer import Deferred, succeed
from twisted.python.filepath import FilePath

from muccore.server import stores
from tests.operations.ctltestcase import CtlTestCase

_CONFIGURATION = """\
[server]
domain = example.org
[c2s]
tls = off
[auth]
backend = sqlite:accounts.db
[storage]
affiliations = {rooms}
"""


class StoreCommandTestCase(CtlTestCase):
    """
    A command, with a store in memory in place of the configured one.

    @cvar command: its name.
    @cvar configuration: what is configured besides the stores.
    @ivar closed: how often the store was closed.
    """

    command: ClassVar[str]
    configuration: ClassVar[str]

    def useStore(self, store: Any) -> None:
        """Open a store, and replace the configured one by it."""
        self.configure("sqlite:rooms.db")
        self.closed = 0
        self.patch(store, "close", self._close)
        self.patch(stores, "makeStore", lambda *description: store)
        store.open()

    def _close(self) -> Deferred[None]:
        """Count the call; keep the content."""
        self.closed += 1
        return succeed(None)

    def configure(self, rooms: str) -> None:
        """Write a configuration with a store of rooms."""
        base = FilePath(self.mktemp())
        base.makedirs()
        path = base.child("server.cfg")
        path.setContent((_CONFIGURATION.format(rooms=rooms) + self.configuration).encode())
        self.configurationPath = path.path

    def run_(self, *arguments: str) -> tuple[int, list[str], str]:
        """
        Run the command.

        @return: exit status, lines of output, errors.
        """
        return self.runCtl(self.command, *arguments)
