# Copyright (c) The muccore authors. See LICENSE for details.
"""Guesses of passwords on many connections, and those who know theirs."""

from __future__ import annotations

import base64
from statistics import median
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.storage.sqlite.accounts import SQLiteAccounts
from muccore.xmpp import ns
from tests.endtoend.clients import HEADER
from tests.endtoend.serverprocess import TIMEOUT, ServerProcess

CONNECTIONS = 200


def auth(user: str, password: str) -> str:
    """A log-in by PLAIN."""
    text = base64.b64encode(f"\0{user}\0{password}".encode()).decode("ascii")
    return f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{text}</auth>"


class Guesser(Protocol):
    """A connection that guesses, again and again."""

    transport: Any

    def __init__(self) -> None:
        self.answers = 0
        self.gone: Deferred[None] = Deferred()
        self._data = b""

    def connectionMade(self) -> None:
        """Open the stream."""
        self.transport.write(HEADER.encode())

    def dataReceived(self, data: bytes) -> None:
        """Guess when that is possible."""
        self._data += data
        if b"</stream:features>" in self._data or b"</failure>" in self._data:
            self.answers += b"</failure>" in self._data
            self._data = b""
            self.transport.write(auth("juliet", f"guess {self.answers}").encode())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note the end."""
        self.gone.callback(None)


class Owner(Protocol):
    """Somebody who logs in once. C{done} fires when that has succeeded."""

    transport: Any

    def __init__(self) -> None:
        self.ready: Deferred[None] = Deferred()
        self.done: Deferred[None] = Deferred()
        self._data = b""

    def connectionMade(self) -> None:
        """Open the stream."""
        self.transport.write(HEADER.encode())

    def dataReceived(self, data: bytes) -> None:
        """Note what happens."""
        self._data += data
        if b"</stream:features>" in self._data and not self.ready.called:
            self.ready.callback(None)
        elif b"<success" in self._data and not self.done.called:
            self.done.callback(None)

    def logIn(self) -> Deferred[None]:
        """Send the password."""
        self.transport.write(auth("romeo", "secret").encode())
        return self.done.addTimeout(TIMEOUT, reactor)


class GuessingTests(TestCase):
    """A server with accounts, and 200 connections that guess, from one address or from several."""

    timeout = 600

    async def setUp(self) -> None:
        """Start it. Nobody is slowed down, as if each connection guessed for the first time."""
        self.server = ServerProcess(
            self,
            c2s={"login_tries": "100", "login_timeout": "1 h"},
            auth={"backend": "sqlite:accounts.db"},
            limits={"exempt": "127.0.0.0/8"},
        )
        accounts = SQLiteAccounts(FilePath(self.server.file("accounts.db")), reactor)
        await accounts.open()
        for name in "romeo", "juliet":
            await accounts.create(f"{name}@localhost", "secret")
        await accounts.close()
        await self.server.start()

    async def connect(self, made: Any, address: str) -> Any:
        """Connect from an address."""
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.server.port, TIMEOUT, (address, 0))
        await endpoint.connect(Factory.forProtocol(lambda: made))
        self.addCleanup(made.transport.abortConnection)
        return made

    async def overtaken(self, guessers: list[Guesser]) -> list[int]:
        """Log in several times, from another address; return how many guesses were answered meanwhile."""
        counts = []
        for _ in range(12):
            owner: Owner = await self.connect(Owner(), "127.0.0.1")
            await owner.ready
            before = sum([each.answers for each in guessers])
            await owner.logIn()
            counts.append(sum([each.answers for each in guessers]) - before)
            owner.transport.loseConnection()
            await deferLater(reactor, 0.05)  # type: ignore[arg-type]
        return counts

    async def test_guessing(self) -> None:
        """Whoever knows their password waits for a few guesses only, not for one of each connection."""
        for addresses in (1, 40):
            guessers = await gatherResults(
                [
                    Deferred.fromCoroutine(self.connect(Guesser(), f"127.0.1.{n % addresses + 1}"))
                    for n in range(CONNECTIONS)
                ]
            )
            while sum([each.answers for each in guessers]) < CONNECTIONS:
                await deferLater(reactor, 0.05)  # type: ignore[arg-type]
            counts = await self.overtaken(guessers)
            self.assertLess(median(counts), CONNECTIONS / 8, counts)
            for each in guessers:
                each.transport.abortConnection()
            await gatherResults([each.gone for each in guessers])
