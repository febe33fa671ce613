# Copyright (c) The muccore authors. See LICENSE for details.
"""A server with accounts, whose rooms are in a database, spoken to under TLS."""

from __future__ import annotations

import signal
from collections.abc import Mapping

from twisted.internet import reactor
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.storage.sqlite.accounts import SQLiteAccounts
from tests.configuration import ENCRYPTED
from tests.endtoend.serverprocess import CLEAN, ServerProcess
from tests.endtoend.slixmppthread import AsyncioThread

PEOPLE = ("romeo", "juliet", "tybalt", "mercutio")


class PersistentServerTests(TestCase):
    """
    Tests of such a server, with clients that need asyncio.

    @cvar storage: the section C{[storage]}.
    @cvar sections: others.
    @ivar server: it runs, and has an account for each of L{PEOPLE}, with the password C{NAME's}.
    @ivar asyncioThread: where the clients run.
    """

    timeout = 120
    storage: Mapping[str, str] = {"affiliations": "sqlite:muccore.db"}
    sections: Mapping[str, Mapping[str, str]] = {}

    async def setUp(self) -> None:
        """Make the accounts, and start the server."""
        self.server = ServerProcess(
            self,
            c2s=ENCRYPTED,
            auth={"backend": "sqlite:muccore.db"},
            storage=self.storage,
            **self.sections,
        )
        accounts = SQLiteAccounts(FilePath(self.server.file("muccore.db")), reactor)
        await accounts.open()
        for name in PEOPLE:
            await accounts.create(f"{name}@localhost", f"{name}'s")
        await accounts.close()
        await self.server.start()
        self.asyncioThread = AsyncioThread(self)

    async def stop(self) -> None:
        """Stop the server in an orderly way."""
        self.assertEqual(await self.server.stop(), CLEAN)
        self.assertEqual(self.server.unexpectedLines, [])

    async def kill(self) -> None:
        """Kill the server."""
        self.assertEqual(self.server.unexpectedLines, [])
        self.server.signal("KILL")
        self.assertEqual(await self.server.ended(), -signal.SIGKILL)
