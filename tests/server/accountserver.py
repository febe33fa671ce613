# Copyright (c) The muccore authors. See LICENSE for details.
"""A server with accounts in a database, for tests of their management."""

from __future__ import annotations

from typing import Any, ClassVar

from lxml import etree
from twisted.internet import reactor
from twisted.logger import LogLevel
from twisted.trial.unittest import TestCase

from muccore.config.load import load
from muccore.im.accounts import Accounts
from muccore.server.service import MUCCoreService
from muccore.testing.scansion.client import ClientFailed
from muccore.testing.scansion.language import ClientDefinition
from muccore.testing.server import RunningServer
from muccore.xmpp import jid, ns
from tests.configuration import ENCRYPTED, ConfigurationFile, Logged
from tests.endtoend.clients import RoomClient, bounded, openConnection
from tests.endtoend.serverprocess import TIMEOUT

PASSWORD = "wherefore art thou"


def conditionOf(answer: etree._Element) -> str:
    """C{result}, or the condition of the error of an IQ."""
    error = answer.find(f"{{{ns.CLIENT}}}error")
    return str(answer.get("type")) if error is None else etree.QName(error[0]).localname


class AccountServerTestCase(TestCase):
    """
    C{localhost} under TLS, with C{other.example} on the same stores, and accounts of Romeo, Juliet and the nurse.

    @cvar sections: what is configured besides.
    """

    timeout = 120
    sections: ClassVar[dict[str, dict[str, str]]] = {}

    async def setUp(self) -> None:
        """Start the server."""
        self.logged = Logged(self)
        self.file = ConfigurationFile(
            self,
            c2s=ENCRYPTED,
            auth={"backend": "sqlite:muccore.db"},
            storage={"affiliations": "sqlite:muccore.db"},
            **{"host other.example": {}},
        )
        self.file.configure(**self.sections)
        await self.startServer()
        for user in ("romeo@localhost", "juliet@localhost", "nurse@localhost", "paris@other.example"):
            await self.backend.create(user, PASSWORD)

    async def startServer(self) -> None:
        """Start the server, again perhaps."""
        server = self.service = MUCCoreService(load(self.file.path), reactor)
        self.addCleanup(server.stopService)
        server.startService()
        await server.ready
        self.running = RunningServer(server)
        assert server.components is not None
        self.components = server.components
        self.backend: Any = self.components.hosts[0].accounts
        self.handlers = self.components.hosts[0].handlers

    async def stopServer(self) -> None:
        """Stop it."""
        await self.service.stopService()

    @property
    def accounts(self) -> Accounts:
        """The management of the accounts of C{localhost}."""
        accounts = self.handlers.accounts
        assert accounts is not None
        return accounts

    async def logIn(self, user: str, password: str = PASSWORD, resource: str = "r") -> RoomClient:
        """Log a client in, under TLS if it is required."""
        client = await openConnection(self, self.running.port)
        address = user if "@" in user else f"{user}@localhost"
        await bounded(client.login(ClientDefinition(user, address, password, resource), False))
        return client

    async def assertEnded(self, client: RoomClient, error: str = "not-authorized") -> None:
        """Wait for the end of a client's stream, with an error."""
        await client.closed().addTimeout(TIMEOUT, reactor)
        self.assertEqual(client.lost, f"stream error {error}")

    async def assertCannotLogIn(self, user: str, password: str = PASSWORD, condition: str = "not-authorized") -> None:
        """Check that a log-in is refused."""
        with self.assertRaisesRegex(ClientFailed, f"refuses the log-in: {condition}"):
            await self.logIn(user, password)

    async def ask(self, client: RoomClient, type: str, payload: str, to: str = "localhost") -> etree._Element:
        """Send a request; return its answer."""
        return await bounded(client.request(type, payload, to))

    async def outcome(self, client: RoomClient, type: str, payload: str, to: str = "localhost") -> str:
        """Send a request; return C{result} or the condition of the error."""
        return conditionOf(await self.ask(client, type, payload, to))

    def assertNothingWrong(self) -> None:
        """Check that nothing was logged above info but what is expected, and no password."""
        for level in (LogLevel.error, LogLevel.critical):
            self.assertEqual(self.logged.lines(level), [])

    @staticmethod
    def address(text: str) -> jid.JID:
        """Parse an address."""
        return jid.parse(text)
