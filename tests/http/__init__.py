# -*- test-case-name: tests.http -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.http}, and their helpers."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from muccore.http.channel import SiteChannel
from muccore.http.site import HTTPSettings, HTTPSite
from tests.stream.doubles import Address

DOMAIN: Final = "example.org"
HOST: Final = "192.0.2.1"


class Admission:
    """
    Counts connections.

    @ivar most: the limit for one address.
    """

    def __init__(self) -> None:
        self.most = 100
        self.counted: list[str] = []

    def admit(self, host: str, isProxy: bool = False) -> str | None:
        """See L{IAdmission}."""
        if self.counted.count(host) == self.most and not isProxy:
            return "policy-violation"
        self.counted.append(host)
        return None

    def release(self, host: str) -> None:
        """See L{IAdmission}."""
        self.counted.remove(host)


class Transport(StringTransport):
    """A transport whose protocol can be switched."""

    protocol: Any

    def switchProtocol(self, protocol: Any) -> None:
        """See L{BoundedConnection<muccore.net.connection.BoundedConnection>}."""
        self.unregisterProducer()
        self.protocol = protocol
        protocol.makeConnection(self)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Do nothing."""

    def startTLS(self, context: Any) -> None:
        """Be under TLS."""
        self.tls = context
        directlyProvides(self, ISSLTransport)


class Recorder(Protocol):
    """A stream that records what it receives."""

    def __init__(self, host: str, secure: bool) -> None:
        self.host = host
        self.secure = secure
        self.received = b""

    def dataReceived(self, data: bytes) -> None:
        """Record it."""
        self.received += data


class Streams:
    """
    Makes L{Recorder}s.

    @ivar tlsRequired: whether to accept only secure streams.
    @ivar ending: whether to make none.
    """

    tlsRequired = False
    ending = False

    def accepts(self, secure: bool) -> bool:
        """See L{IStreamBuilder<muccore.http.websocket.IStreamBuilder>}."""
        return secure or not self.tlsRequired

    def build(self, host: str, secure: bool) -> Recorder | None:
        """See L{IStreamBuilder<muccore.http.websocket.IStreamBuilder>}."""
        return None if self.ending else Recorder(host, secure)


class SiteCase(SynchronousTestCase):
    """A site without sockets."""

    transportClass = Transport

    def setUp(self) -> None:
        """Create the site."""
        self.clock = Clock()
        self.admission = Admission()
        self.site = HTTPSite(self.clock, self.admission, HTTPSettings((DOMAIN,)))

    def configure(self, **settings: Any) -> None:
        """Change the settings."""
        self.site.settings = HTTPSettings((DOMAIN,), **settings)

    def connect(self, host: str = HOST, direct: bool = False) -> Transport:
        """Connect a client."""
        factory = self.site.directTLS if direct else self.site
        transport = self.transportClass()
        transport.protocol = channel = factory.buildProtocol(Address(host))
        assert isinstance(channel, SiteChannel)
        channel.makeConnection(transport)
        return transport

    def request(self, path: str, *headers: str, method: str = "GET", rest: bytes = b"", **client: Any) -> Transport:
        """
        Connect a client that sends a request.

        @param rest: what it sends after the headers.
        """
        transport = self.connect(**client)
        lines = [f"{method} {path} HTTP/1.1", "Host: chat.example.org", *headers, "", ""]
        transport.protocol.dataReceived("\r\n".join(lines).encode("latin-1") + rest)
        return transport

    def assertStatus(self, status: int, transport: Transport) -> dict[str, str]:
        """Check the status of the response, and return its headers, by their names in lower case."""
        head, _, _ = transport.value().partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.assertTrue(first.startswith(f"HTTP/1.1 {status} "), first)
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
