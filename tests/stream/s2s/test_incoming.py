# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.s2s.incoming}: the negotiation of streams that other servers open."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from twisted.logger import LogLevel

from muccore.xmpp.errors import StreamError
from tests.routing.federation.helpers import LOCAL, REMOTE, ROOMS, FederationCase, PeerTransport, header

STARTTLS = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
EXTERNAL = b"<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>"
DIALBACK = b"<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"


def auth(text: str = "=", mechanism: str = "EXTERNAL") -> bytes:
    """Ask for authentication."""
    return f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{text}</auth>".encode()


def failure(condition: str) -> bytes:
    """A failed authentication."""
    return f"<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><{condition}/></failure>".encode()


class HeaderTests(FederationCase):
    """Headers (RFC 6120 §4.7)."""

    def test_answer(self) -> None:
        """The answer has the addresses swapped, an id that is new each time, and dialback's namespace."""
        _, transport = self.connect(header())
        self.assertRegex(
            transport.value,
            rb"^<\?xml version='1.0'\?><stream:stream xmlns='jabber:server' "
            rb"xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' from='localhost' "
            rb"to='two.example' id='[0-9a-f]{32}' version='1.0' xml:lang='en'><stream:features><starttls "
            rb"xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>$",
        )
        _, other = self.connect(header())
        self.assertNotEqual(transport.value, other.value)

    def test_addresses(self) -> None:
        """Both addresses are needed, must be domains, and this server must have the one (§4.9.3)."""
        for opened, condition in (
            (header(local=None), "improper-addressing"),
            (header(remote=None), "improper-addressing"),
            (header(remote=""), "improper-addressing"),
            (header(remote="a@b"), "improper-addressing"),
            (header(local="-"), "improper-addressing"),
            (header(local="elsewhere.example"), "host-unknown"),
            (header(remote=LOCAL), "invalid-from"),
            (header(remote=ROOMS), "invalid-from"),
        ):
            _, transport = self.connect(opened)
            self.assertEnded(transport, condition)
        for local in (LOCAL, ROOMS, "LOCALHOST"):
            _, transport = self.connect(header(local=local))
            self.assertIn(b"<starttls", transport.value)

    def test_versions(self) -> None:
        """Versions before 1.0 are not supported."""
        for version, accepted in (
            ("1.0", True), ("1.1", True), ("01.0", True), ("2.0", True), ("0.9", False), ("00.1", False),
            ("1", False), ("x", False), ("-1.0", False), ("1.x", False), ("\u0661.0", False),
        ):  # fmt: skip
            _, transport = self.connect(header(more=f" version='{version}'"))
            self.assertEqual(not transport.ended, accepted, version)
        _, transport = self.connect(header(more=""))
        self.assertEnded(transport, "unsupported-version")

    def test_namespace(self) -> None:
        """A client is at the wrong port."""
        _, transport = self.connect(header().replace(b"jabber:server'", b"jabber:client'"))
        self.assertEnded(transport, "invalid-namespace")

    def test_blocked(self) -> None:
        """A blocked domain is refused, and so are those below it; the log says so."""
        self.configure(blocked=frozenset(["two.example"]))
        for remote in (REMOTE, f"rooms.{REMOTE}"):
            _, transport = self.connect(header(remote))
            self.assertEnded(transport, "policy-violation")
        _, transport = self.connect(header("three.example"))
        self.assertFalse(transport.ended)
        self.assertEqual(
            self.logged.lines(LogLevel.info)[0],
            "domain-refused from 192.0.2.1: two.example, policy-violation (Streams from this domain are not accepted)",
        )

    def test_changed(self) -> None:
        """After STARTTLS the same domains have to be named."""
        for opened, condition in ((header("x.example"), "invalid-from"), (header(local=ROOMS), "host-unknown")):
            stream, transport = self.connect(header() + STARTTLS)
            stream.dataReceived(opened)
            self.assertEnded(transport, condition)


class EncryptionTests(FederationCase):
    """STARTTLS (RFC 6120 §5)."""

    def test_proceeds(self) -> None:
        """TLS begins with the certificate of the domain that is wanted; data sent before is dropped."""
        stream, transport = self.connect(header() + STARTTLS + b"<x/>")
        self.assertTrue(transport.value.endswith(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"))
        self.assertEqual(transport.log[-1], ("TLS", self.tls, True))
        transport.take()
        stream.dataReceived(header())
        self.assertIn(DIALBACK, transport.value)
        self.assertNotIn(b"starttls", transport.value)

    def test_required(self) -> None:
        """Without encryption nothing else is accepted, unless it is optional."""
        for data in (auth(), b"<message from='a@two.example' to='b@localhost'/>", b"<presence/>", b"<x xmlns='y'/>"):
            _, transport = self.connect(header() + data)
            self.assertEnded(transport, "not-authorized")
        self.configure(tlsRequired=False)
        _, transport = self.connect(header())
        self.assertIn(DIALBACK, transport.value)
        self.assertNotIn(b"<required/>", transport.value)

    def test_twice(self) -> None:
        """TLS inside TLS is refused."""
        stream, transport = self.connectTLS()
        stream.dataReceived(STARTTLS)
        self.assertEnded(transport, "not-authorized")

    def test_withoutCertificate(self) -> None:
        """A server without a certificate offers no encryption."""
        self.federation.certificates = {}
        self.configure(tlsRequired=False)
        _, transport = self.connect(header())
        self.assertNotIn(b"starttls", transport.value)
        _, transport = self.connect(header() + STARTTLS)
        self.assertTrue(transport.value.endswith(b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"))

    def test_direct(self) -> None:
        """TLS may begin with the first byte (XEP-0368)."""
        stream: Any = self.incoming.directTLS.buildProtocol(None)
        transport = PeerTransport(REMOTE)
        stream.makeConnection(transport)
        self.assertEqual(transport.log, [("TLS", self.tls, True)])
        stream.dataReceived(header())
        self.assertIn(EXTERNAL, transport.value)


class ExternalTests(FederationCase):
    """SASL EXTERNAL (XEP-0178 §3)."""

    def test_offered(self) -> None:
        """It is offered to who has a certificate for the domain; without dialback, others are refused."""
        _, transport = self.connectTLS(REMOTE)
        self.assertIn(EXTERNAL, transport.value)
        _, transport = self.connectTLS("three.example")
        self.assertNotIn(EXTERNAL, transport.value)
        self.assertFalse(transport.ended)
        self.configure(dialback=False)
        _, transport = self.connectTLS("three.example")
        self.assertEnded(transport, "not-authorized")
        self.assertIn("domain-refused from 192.0.2.1: two.example, not-authorized (It is not encrypted or so)",
                      self.logged.lines(LogLevel.info))  # fmt: skip

    def test_success(self) -> None:
        """The domain of the header is authenticated, whether it is repeated or not; then stanzas are accepted."""
        for identity in ("=", b64encode(REMOTE.encode()).decode(), b64encode(b"TWO.example").decode()):
            romeo = self.server.connect("romeo@localhost/r", "<presence/>")
            stream, transport = self.connectTLS(REMOTE)
            id = re.findall(rb" id='([0-9a-f]+)'", transport.take())
            stream.dataReceived(auth(identity))
            self.assertEqual(transport.take(), b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
            stream.dataReceived(header())
            self.assertNotEqual(re.findall(rb" id='([0-9a-f]+)'", transport.value), id)
            self.assertTrue(transport.take().endswith(b"<stream:features>" + DIALBACK + b"</stream:features>"))
            stream.dataReceived(b"<message from='a@two.example/x' to='romeo@localhost/r'><body>hi</body></message>")
            self.assertEqual(len(romeo.take()), 1)
            self.lose(stream)
        lines = self.logged.lines(LogLevel.info)
        self.assertEqual(lines.count("domain-connected from 192.0.2.1: two.example by certificate, TLS of a proxy"), 3)
        self.assertIn("domain-disconnected from 192.0.2.1: two.example after 0 s, connection lost", lines)

    def test_failures(self) -> None:
        """Another identity or mechanism is refused (RFC 6120 §6.5)."""
        for data, condition in (
            (auth(b64encode(b"three.example").decode()), "invalid-authzid"),
            (auth(b64encode(b"a@two.example").decode()), "invalid-authzid"),
            (auth("!"), "incorrect-encoding"),
            (auth(b64encode(b"\xff").decode()), "incorrect-encoding"),
            (auth(mechanism="PLAIN"), "invalid-mechanism"),
        ):
            stream, transport = self.connectTLS(REMOTE)
            transport.take()
            stream.dataReceived(data)
            self.assertEqual(transport.take(), failure(condition))
            # By dialback they may still prove it.
            self.assertFalse(transport.ended)
            stream.dataReceived(auth())
            self.assertIn(b"<success", transport.value)
        stream, transport = self.connectTLS("three.example")
        transport.take()
        stream.dataReceived(auth())
        self.assertEqual(transport.take(), failure("not-authorized"))

    def test_early(self) -> None:
        """Stanzas before the new header are refused."""
        stream, transport = self.connectTLS(REMOTE)
        stream.dataReceived(auth() + b"<message from='a@two.example' to='romeo@localhost'/>")
        self.assertTrue(transport.ended)


class LimitTests(FederationCase):
    """Limits, as for clients."""

    def test_size(self) -> None:
        """Before and after the authentication, elements have a limit."""
        settings = self.incoming.settings
        _, transport = self.connect(header() + b"<x>" + b"a" * settings.stanzaSizeUnauthenticated)
        self.assertEnded(transport, "policy-violation")
        stream, transport = self.authenticate()
        stream.dataReceived(b"<message from='a@two.example' to='b@localhost'><body>")
        stream.dataReceived(b"a" * settings.stanzaSizeUnauthenticated)
        self.assertFalse(transport.ended)
        stream.dataReceived(b"a" * settings.stanzaSize)
        self.assertTrue(transport.ended)

    def test_slow(self) -> None:
        """Who does not authenticate in time is ended, whatever they send."""
        stream, transport = self.connect(header())
        for _ in range(int(self.incoming.settings.loginTimeout) + 1):
            self.clock.advance(1)
            if not transport.ended:
                stream.dataReceived(b" ")
        self.assertEnded(transport, "connection-timeout")
        stream, transport = self.authenticate()
        self.clock.advance(self.incoming.settings.loginTimeout + 1)
        self.assertFalse(transport.ended)

    def test_rate(self) -> None:
        """A domain pays for all of its streams together; other domains do not wait."""
        self.configure({"rate": 1000, "burst": 20_000})
        first, one = self.authenticate()
        second, two = self.authenticate()
        third, other = self.authenticate("three.example")
        body = b"<body>" + b"a" * 9000 + b"</body></message>"
        first.dataReceived(b"<message from='a@two.example' to='b@localhost'>" + body)
        self.assertFalse(one.paused)
        first.dataReceived(b"<message from='a@two.example' to='b@localhost'>" + body)
        second.dataReceived(b"<message from='a@two.example' to='b@localhost'>" + body)
        self.assertTrue(two.paused)
        third.dataReceived(b"<message from='a@three.example' to='b@localhost'>" + body)
        self.assertFalse(other.paused)
        self.incoming.configure(self.incoming.features, replace(self.incoming.settings, rate=0, addressRate=0))
        again, three = self.authenticate()
        again.dataReceived(b"<message from='a@two.example' to='b@localhost'>" + body)
        self.assertTrue(three.paused)

    def test_shutDown(self) -> None:
        """At the end of the server, streams end with that reason; new ones are refused."""
        _, transport = self.authenticate()
        self.incoming.closeAll(StreamError("system-shutdown"))
        self.assertEnded(transport, "system-shutdown")
        _, transport = self.connect()
        self.assertEnded(transport, "system-shutdown")

    @hypothesis(max_examples=60)
    @given(st.lists(st.sampled_from([
        header(), STARTTLS, auth(), auth("x"), b"<message from='a@two.example' to='b@localhost'/>", b"<presence/>",
        b"<db:result from='two.example' to='localhost'>key</db:result>", b"<db:result/>", b"<stream:error/>",
        b"<db:verify from='two.example' to='localhost' id='1'>key</db:verify>", b"</stream:stream>", b"<a xmlns='b'/>",
    ]), max_size=8))  # fmt: skip
    def test_anything(self, pieces: list[bytes]) -> None:
        """Whatever comes in whatever order, the stream answers, and nothing fails inside."""
        stream, transport = self.connect(b"", REMOTE)
        for piece in pieces:
            if not transport.ended:
                stream.dataReceived(piece)
        self.lose(stream)
        self.assertNotIn(b"internal-server-error", transport.value)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(len(self.incoming.streams), 0)
