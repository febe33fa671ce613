# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.routing.federation.dialer} on loopback, with name servers and peers that are told what to do."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from muccore.interfaces.federation import LinkPurpose
from muccore.net.flush import FlushScheduler
from muccore.net.peertls import TrustStore
from muccore.net.serverdns import NotFound, Target
from muccore.net.transport import transportClass
from muccore.routing.federation.dialer import Dialer
from muccore.routing.federation.federation import Federation
from muccore.routing.federation.settings import FederationSettings
from muccore.routing.router import Router
from muccore.stream.s2s.outgoing import NONZAS, NOT_FOUND, TIMEOUT, OutgoingFactory
from muccore.stream.s2s.policy import PeerPolicy
from muccore.stream.s2s.stream import PeerFeatures
from muccore.testing.defaults import defaultStreams
from muccore.xmpp.errors import StreamError
from tests.routing.federation.helpers import LOCAL, REMOTE
from tests.stream.s2s.test_outgoing import Owner, answer

VALID = f"<db:result from='{REMOTE}' to='{LOCAL}' type='valid'/>".encode()


class Names:
    """Servers and addresses; what is not known is not found."""

    def __init__(self, targets: Sequence[Target], **addresses: list[str]) -> None:
        self._targets = targets
        self._addresses = addresses
        self.waiting: Deferred[Any] | None = None

    async def targets(self, domain: str) -> list[Target]:
        """See L{Resolver}."""
        if self.waiting is not None:
            await self.waiting
        if not self._targets:
            raise NotFound("it has no server")
        return list(self._targets)

    async def addresses(self, host: str) -> list[str]:
        """See L{Resolver}."""
        if host not in self._addresses:
            raise NotFound(f"DNS knows no address of {host}")
        return self._addresses[host]


class Peer(Protocol):
    """Answers a header with what the factory says."""

    def dataReceived(self, data: bytes) -> None:
        """Answer."""
        factory: Any = self.factory
        transport: Any = self.transport
        if factory.answers:
            transport.write(factory.answers.pop(0))
        else:
            transport.loseConnection()


class DialerTests(TestCase):
    """A server that dials another one without TLS."""

    timeout = 60

    def setUp(self) -> None:
        """Prepare it."""
        clock: Any = reactor
        router = Router(clock)
        policy = PeerPolicy(TrustStore(), tlsRequired=False, dialback=True)
        federation = Federation(router, clock, FederationSettings(), policy, b"", {})
        self.factory = OutgoingFactory(clock, PeerFeatures(federation, policy, NONZAS), defaultStreams(), b"")
        flusher = FlushScheduler(clock)
        self.factory.clock = flusher
        self.dialer = Dialer(reactor, self.factory, transportClass(flusher), Names([]), {}, 30.0)
        self.owner = Owner()
        self.owner.link = federation.link(LOCAL, REMOTE)

    async def tearDown(self) -> None:
        """Close what was opened."""
        await self.factory.closeAll(StreamError("system-shutdown"))
        for _ in range(3):
            await self.turn()

    def turn(self) -> Deferred[None]:
        """Wait for a turn of the reactor."""
        return deferLater(reactor, 0.01, lambda: None)

    def listen(self, *answers: bytes) -> int:
        """Listen as the other server; return the port."""
        factory: Any = ServerFactory.forProtocol(Peer)
        factory.answers = list(answers)
        factory.noisy = False
        listening: Any = reactor
        port = listening.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    async def dial(self, names: Names | None = None, remote: str = REMOTE) -> list[Any]:
        """Dial; return the outcome."""
        if names is not None:
            self.dialer.resolver = names
        await self.dialer.open(LinkPurpose(LOCAL, remote), self.owner)
        return self.owner.outcome

    async def test_opened(self) -> None:
        """The servers are tried in order: one without an address, one that refuses, one that only closes, one."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            closed = free.getsockname()[1]
        targets = [
            Target("unknown", 1, False), Target("a", closed, False), Target("a", self.listen(), False),
            Target("a", self.listen(answer(""), VALID), False),
        ]  # fmt: skip
        self.assertEqual(await self.dial(Names(targets, a=["127.0.0.1"])), ["open"])

    async def test_answered(self) -> None:
        """Another server is not tried if one has answered."""
        error = b"<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
        port = self.listen(answer(None) + error)
        names = Names([Target("a", port, False), Target("a", self.listen(answer(""), VALID), False)], a=["127.0.0.1"])
        self.assertEqual(await self.dial(names), [(NOT_FOUND, "its server says host-unknown", True)])

    async def test_notFound(self) -> None:
        """Without servers, or addresses of them, there is none."""
        self.assertEqual(await self.dial(Names([])), [(NOT_FOUND, "it has no server", False)])
        self.owner.outcome.clear()
        outcome = await self.dial(Names([Target("a", 1, False)]))
        self.assertEqual(outcome, [(NOT_FOUND, "DNS knows no address of a", False)])

    async def test_withoutCertificate(self) -> None:
        """A server that wants TLS from the first byte is left out by one that has no certificate."""
        port = self.listen(answer(""), VALID)
        names = Names([Target("a", 1, True), Target("a", port, False)], a=["127.0.0.1"])
        self.assertEqual(await self.dial(names), ["open"])

    async def test_routes(self) -> None:
        """What the configuration says is not looked up."""
        port = self.listen(answer(""), VALID)
        self.dialer.routes = {REMOTE: [Target("a", port, False)]}
        self.assertEqual(await self.dial(Names([], a=["127.0.0.1"])), ["open"])

    async def test_timeout(self) -> None:
        """All of it takes a limited time, whatever takes so long."""
        self.dialer.timeout = 0.05
        names = Names([])
        names.waiting = Deferred()
        self.assertEqual(await self.dial(names), [(TIMEOUT, "no stream within 0.05 s", False)])
        self.owner.outcome.clear()
        port = self.listen(b" ", b" ")
        outcome = await self.dial(Names([Target("a", port, False)], a=["127.0.0.1"]))
        self.assertEqual(outcome, [(TIMEOUT, "no stream within 0.05 s", False)])

    async def test_cancelled(self) -> None:
        """It can be given up; then nobody is told."""
        port = self.listen(b" ", b" ")
        for names in (Names([]), Names([Target("a", port, False)], a=["127.0.0.1"])):
            self.dialer.resolver = names
            names.waiting = Deferred() if not names._targets else None
            opening = self.dialer.open(LinkPurpose(LOCAL, REMOTE), self.owner)
            for _ in range(3):
                await self.turn()
            opening.cancel()
            await opening
        self.assertEqual(self.owner.outcome, [])

    async def test_tooMany(self) -> None:
        """Above the limit of streams there is none."""
        self.factory.limit.total = 1
        self.factory.limit.enter("192.0.2.1")
        port = self.listen(answer(""), VALID)
        outcome = await self.dial(Names([Target("a", port, False)], a=["127.0.0.1"]))
        self.assertEqual(outcome, [("resource-constraint", "there are too many links", True)])
        self.factory.limit.leave("192.0.2.1")
