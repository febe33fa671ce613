# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.net.connecting} on loopback."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from muccore.net import connecting
from muccore.net.connecting import ConnectFailed, makeTransport, race
from muccore.net.flush import FlushScheduler
from muccore.net.transport import transportClass


class Recorder(Protocol):
    """Records what it gets, until the end."""

    def __init__(self) -> None:
        self.data = b""
        self.ended: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """Record."""
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is all."""
        self.ended.callback(self.data)


class Case(TestCase):
    """A test that listens."""

    def listen(self, address: str = "127.0.0.1", port: int = 0, backlog: int = 5) -> socket.socket:
        """Listen on an address."""
        listening = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.addCleanup(listening.close)
        listening.bind((address, port))
        listening.listen(backlog)
        listening.setblocking(False)
        return listening

    def freePort(self) -> int:
        """A port on which nobody listens."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port


class RaceTests(Case):
    """Several addresses."""

    async def race(self, *addresses: str, port: int, timeout: float = 30.0) -> str:
        """Connect; return the address."""
        connected = await race(reactor, addresses, port, timeout)
        self.addCleanup(connected.close)
        return str(connected.getpeername()[0])

    async def test_first(self) -> None:
        """The first address is preferred."""
        port = self.listen("127.0.0.1").getsockname()[1]
        self.listen("127.0.0.2", port)
        self.assertEqual(await self.race("127.0.0.2", "127.0.0.1", port=port), "127.0.0.2")

    async def test_refused(self) -> None:
        """After a refusal the next one is tried at once, even if the first cannot be an address of any connection."""
        self.patch(connecting, "ATTEMPT_DELAY", 3600.0)
        port = self.listen("127.0.0.1").getsockname()[1]
        for first in ("127.0.0.3", "255.255.255.255"):
            self.assertEqual(await self.race(first, "127.0.0.1", port=port), "127.0.0.1")

    async def test_slow(self) -> None:
        """If the first one does not answer, the next is tried as well."""
        self.patch(connecting, "ATTEMPT_DELAY", 0.01)
        full = self.listen("127.0.0.4", backlog=0)
        port = full.getsockname()[1]
        self.listen("127.0.0.1", port)
        for _ in range(2):
            waiting = socket.socket()
            self.addCleanup(waiting.close)
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.4", port))
        self.assertEqual(await self.race("127.0.0.4", "127.0.0.1", port=port), "127.0.0.1")

    async def test_none(self) -> None:
        """If nobody accepts, the reason is told; no address is one, too."""
        port = self.freePort()
        error = await self.assertFailure(race(reactor, ["127.0.0.1", "127.0.0.2"], port, 30.0), ConnectFailed)
        self.assertEqual(str(error), "cannot connect: Connection refused")
        await self.assertFailure(race(reactor, [], port, 30.0), ConnectFailed)

    async def test_timeout(self) -> None:
        """All together have a limited time."""
        full = self.listen("127.0.0.5", backlog=0)
        for _ in range(2):
            waiting = socket.socket()
            self.addCleanup(waiting.close)
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        waited = race(reactor, ["127.0.0.5"], full.getsockname()[1], 0.05)
        error = await self.assertFailure(waited, ConnectFailed)
        self.assertEqual(str(error), "cannot connect: no answer in time")

    async def test_cancelled(self) -> None:
        """It can be given up; nothing is left of it."""
        port = self.listen("127.0.0.1").getsockname()[1]
        waiting = race(reactor, ["127.0.0.1"], port, 30.0)
        waiting.cancel()
        await self.assertFailure(waiting, CancelledError)


class TransportTests(Case):
    """The transport of a connection that was opened."""

    async def test_both(self) -> None:
        """It is that of accepted connections: it sends and receives, and knows the peer."""
        listening = self.listen()
        clock: Any = reactor
        cls = transportClass(FlushScheduler(clock))
        connected = await race(reactor, ["127.0.0.1"], listening.getsockname()[1], 30.0)
        accepted, _ = listening.accept()
        self.addCleanup(accepted.close)
        protocol = Recorder()
        transport = makeTransport(connected, protocol, cls, reactor)
        self.assertEqual(transport.getPeer().port, listening.getsockname()[1])
        self.assertIn("127.0.0.1", repr(transport))
        transport.write(b"ping")
        transport.flush()
        self.assertEqual(accepted.recv(9), b"ping")
        accepted.send(b"pong")
        accepted.close()
        self.assertEqual(await protocol.ended, b"pong")
