# Copyright (c) The muccore authors. See LICENSE for details.
"""A server that speaks with others, without sockets: streams that record, and a dialer that is told the outcome."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces.federation import LinkPurpose
from muccore.log import eventlog
from muccore.net.peertls import TrustStore
from muccore.routing.federation.federation import Federation
from muccore.routing.federation.settings import FederationSettings
from muccore.stream.s2s import incoming, outgoing
from muccore.stream.s2s.incoming import IncomingFactory, IncomingStream
from muccore.stream.s2s.outgoing import OutgoingFactory, OutgoingStream
from muccore.stream.s2s.policy import PeerPolicy
from muccore.stream.s2s.stream import PeerFeatures
from muccore.testing.defaults import defaultStreams
from tests.configuration import Logged
from tests.routing.helpers import Server
from tests.stream.doubles import Address, Transport

SECRET = b"the secret of this server"
LOCAL, ROOMS, REMOTE = "localhost", "rooms.localhost", "two.example"


def header(remote: str | None = REMOTE, local: str | None = LOCAL, more: str = " version='1.0'") -> bytes:
    """The header of a server."""
    addresses = "".join(f" {name}='{value}'" for name, value in (("from", remote), ("to", local)) if value is not None)
    return (
        f"<?xml version='1.0'?><stream:stream{addresses}{more} xmlns='jabber:server' "
        "xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'>"
    ).encode()


class TLS:
    """The TLS of this server."""

    def clientTo(self, domain: str, direct: bool) -> tuple[str, str, bool]:
        """What connections are made for."""
        return ("client", domain, direct)


class PeerTransport(Transport):
    """A transport that may be under TLS, with a certificate for some domains."""

    def __init__(self, *certified: str) -> None:
        super().__init__()
        self.certified = certified
        self.TLS = False

    def startTLS(self, context: Any, normal: bool = True) -> None:
        """Record it."""
        self.log.append(("TLS", context, normal))
        self.TLS = True

    def getHandle(self) -> None:
        """There is no connection."""


class Certified(IncomingStream):
    """A stream whose certificate is that of the transport."""

    __slots__ = ()

    def certificateProblem(self, domain: str) -> str | None:
        """See L{PeerStream.certificateProblem<muccore.stream.s2s.stream.PeerStream.certificateProblem>}."""
        return None if self.isEncrypted and domain in self.transport.certified else "it is not encrypted or so"


class CertifiedOutgoing(OutgoingStream):
    """The same, to another server."""

    __slots__ = ()

    certificateProblem = Certified.certificateProblem


class FakeDialer:
    """
    Records what is to be opened.

    @ivar opened: purposes and owners, with what fires at the end.
    """

    def __init__(self) -> None:
        self.opened: list[tuple[LinkPurpose, Any, Deferred[None]]] = []
        self.cancelled = 0

    def open(self, purpose: LinkPurpose, owner: Any) -> Deferred[None]:
        """See L{Dialer.open<muccore.routing.federation.dialer.Dialer.open>}."""
        done: Deferred[None] = Deferred(self._cancelled)
        done.addErrback(lambda _: None)
        self.opened.append((purpose, owner, done))
        return done

    def _cancelled(self, done: Deferred[None]) -> None:
        self.cancelled += 1

    def take(self) -> tuple[LinkPurpose, Any]:
        """The only one that was opened since the last call."""
        [(purpose, owner, _)] = self.opened
        self.opened.clear()
        return purpose, owner


class FederationCase(SynchronousTestCase):
    """A server with the domains L{LOCAL} and L{ROOMS}."""

    def setUp(self) -> None:
        """Create it."""
        self.logged = Logged(self)
        self.patch(eventlog, "limit", eventlog.RateLimit())
        self.server = Server(ROOMS)
        self.clock = self.server.clock
        self.policy = PeerPolicy(TrustStore(), dialback=True)
        self.settings = FederationSettings(queueStanzas=3, grace=10.0)
        tls: Any = TLS()
        self.tls = tls
        self.federation = Federation(
            self.server.router, self.clock, self.settings, self.policy, SECRET, {LOCAL: tls, ROOMS: tls}
        )
        dialer: Any = FakeDialer()
        self.dialer = self.federation.dialer = dialer
        self.server.router.elsewhere = self.federation
        self.incoming = IncomingFactory(self.clock, self.features(incoming.NONZAS), defaultStreams())
        self.incoming.streamClass = Certified
        self.outgoing = OutgoingFactory(self.clock, self.features(outgoing.NONZAS), defaultStreams(), SECRET)

    def features(self, nonzas: Any) -> Any:
        """What streams have."""
        return PeerFeatures(self.federation, self.policy, nonzas, self.tls)

    def configure(self, settings: dict[str, Any] | None = None, **policy: Any) -> None:
        """Change settings and policy."""
        self.settings = replace(self.settings, **(settings or {}))
        self.policy = replace(self.policy, **policy)
        self.federation.configure(self.settings, self.policy, self.federation.certificates)
        self.incoming.configure(self.features(incoming.NONZAS), self.incoming.settings)
        self.outgoing.configure(self.features(outgoing.NONZAS), self.outgoing.settings)

    def connect(self, data: bytes = b"", *certified: str, host: str = "192.0.2.1") -> tuple[Any, PeerTransport]:
        """Connect as another server, with a certificate for some domains."""
        stream: Any = self.incoming.buildProtocol(Address(host))
        transport = PeerTransport(*certified)
        stream.makeConnection(transport)
        stream.dataReceived(data)
        return stream, transport

    def connectTLS(self, *certified: str, remote: str = REMOTE, local: str = LOCAL) -> tuple[Any, PeerTransport]:
        """Connect, and open a stream under TLS; what was sent so far is taken."""
        stream, transport = self.connect(header(remote, local), *certified)
        stream.dataReceived(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        transport.take()
        stream.dataReceived(header(remote, local))
        return stream, transport

    def authenticate(self, remote: str = REMOTE, local: str = LOCAL) -> tuple[Any, PeerTransport]:
        """Connect, and authenticate by a certificate."""
        stream, transport = self.connectTLS(remote, remote=remote, local=local)
        stream.dataReceived(b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>")
        stream.dataReceived(header(remote, local))
        transport.take()
        return stream, transport

    def lose(self, stream: Any) -> None:
        """Lose the connection of a stream."""
        stream.connectionLost(Failure(ConnectionLost()))

    def assertEnded(self, transport: Transport, condition: str) -> None:
        """Assert that a stream was ended with an error."""
        self.assertIn(f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'".encode(), transport.value)
        self.assertTrue(transport.value.endswith(b"</stream:error></stream:stream>"), transport.value)
        self.assertTrue(transport.ended)
