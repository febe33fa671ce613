# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.net.peertls}: handshakes in memory between two servers."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from muccore.net.peertls import PeerTLS, PeerTLSByName, TrustStore, certificateProblem
from muccore.net.tls import ServerTLS, TLSConfigError
from tests.federation import Authority

XMPP_ADDRESS = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.5")
SRV_NAME = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.7")


def otherName(type: x509.ObjectIdentifier, text: str, tag: int = 0x0C) -> x509.OtherName:
    """A name of another type, as a string of DER."""
    return x509.OtherName(type, bytes([tag, len(text)]) + text.encode())


class End:
    """One end of a connection, as a transport."""

    def __init__(self, connection: SSL.Connection) -> None:
        self.connection = connection

    def getHandle(self) -> SSL.Connection:
        """See C{ISSLTransport}."""
        return self.connection


def connect(client: SSL.Connection, server: SSL.Connection) -> tuple[End, End]:
    """Shake hands."""
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(4):
        for one, other in ((client, server), (server, client)):
            with contextlib.suppress(SSL.WantReadError):
                one.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(65536))
    return End(client), End(server)


class Case(SynchronousTestCase):
    """An authority, and the TLS of C{one.example}."""

    def setUp(self) -> None:
        """Make them."""
        self.authority = Authority(self.mktemp())
        self.trust = TrustStore(self.authority.path)
        self.one = self.peer("one.example", "rooms.one.example")

    def peer(self, *names: Any, **options: Any) -> PeerTLS:
        """Make the TLS of a server with a certificate."""
        return PeerTLS(ServerTLS(*self.authority.issue(*names, **options)))

    def problem(self, *names: Any, domain: str = "two.example", **options: Any) -> str | None:
        """What is wrong with the certificate of a server that connects."""
        client = self.peer(*names, **options).clientTo("one.example", False).clientConnectionForTLS(None)
        _, server = connect(client, self.one.serverConnectionForTLS(None))
        return certificateProblem(server, domain, self.trust)


class CertificateTests(Case):
    """Certificates of peers."""

    def test_bothSides(self) -> None:
        """Each side sees the certificate of the other."""
        two = self.peer("two.example")
        client, server = connect(
            two.clientTo("one.example", False).clientConnectionForTLS(None), self.one.serverConnectionForTLS(None)
        )
        self.assertIsNone(certificateProblem(client, "one.example", self.trust))
        self.assertIsNone(certificateProblem(client, "rooms.one.example", self.trust))
        self.assertIsNone(certificateProblem(server, "two.example", self.trust))
        refused = "certificate refused: it is for another name"
        self.assertEqual(certificateProblem(server, "one.example", self.trust), refused)

    def test_names(self) -> None:
        """DNS names, with a wildcard for one label, SRVNames of servers, and XmppAddrs count (RFC 6120 §13.7)."""
        refused = "certificate refused: it is for another name"
        for name, domain, expected in (
            ("two.example", "two.example", None),
            ("*.two.example", "rooms.two.example", None),
            ("*.two.example", "two.example", refused),
            ("*.two.example", "a.rooms.two.example", refused),
            ("*.example", "two.example", None),
            ("r*.two.example", "rooms.two.example", refused),
            (otherName(XMPP_ADDRESS, "two.example"), "two.example", None),
            (otherName(XMPP_ADDRESS, "*.two.example"), "rooms.two.example", refused),
            (otherName(XMPP_ADDRESS, "romeo@two.example"), "two.example", refused),
            (otherName(SRV_NAME, "_xmpp-server.two.example", 0x16), "two.example", None),
            (otherName(SRV_NAME, "_xmpps-server.two.example", 0x16), "two.example", None),
            (otherName(SRV_NAME, "_xmpp-client.two.example", 0x16), "two.example", refused),
            (otherName(SRV_NAME, "_xmpp-server.*.example", 0x16), "two.example", refused),
            ("xn--bcher-kva.example", "b\u00fccher.example", None),
        ):
            self.assertEqual(self.problem(name, domain=domain), expected, (name, domain))

    def test_none(self) -> None:
        """A peer without a certificate is let in, and known to have none."""
        client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        _, server = connect(client, self.one.serverConnectionForTLS(None))
        self.assertEqual(certificateProblem(server, "two.example", self.trust), "there is no certificate")

    def test_dates(self) -> None:
        """What has expired or is not valid yet is refused."""
        self.assertIn("expired", self.problem("two.example", days=(-9, -1)) or "")
        self.assertIn("not yet valid", self.problem("two.example", days=(1, 9)) or "")
        later = TrustStore(self.authority.path, now=lambda: datetime.now(UTC) + timedelta(days=60))
        client = self.peer("two.example").clientTo("one.example", False).clientConnectionForTLS(None)
        _, server = connect(client, self.one.serverConnectionForTLS(None))
        self.assertIn("expired", certificateProblem(server, "two.example", later) or "")

    def test_strangers(self) -> None:
        """What another authority has signed is refused, and so is what somebody has signed who is none."""
        other = Authority(self.mktemp())
        client = PeerTLS(ServerTLS(*other.issue("two.example"))).clientTo("x", False).clientConnectionForTLS(None)
        _, server = connect(client, self.one.serverConnectionForTLS(None))
        self.assertIn("certificate refused: ", certificateProblem(server, "two.example", self.trust) or "")
        self.assertIsNone(certificateProblem(server, "two.example", TrustStore(other.path)))

    def test_usage(self) -> None:
        """A certificate for servers is enough to open a stream, too; one for other purposes is not."""
        for usage, accepted in (
            (ExtendedKeyUsageOID.SERVER_AUTH, True), (ExtendedKeyUsageOID.CLIENT_AUTH, True),
            (ExtendedKeyUsageOID.EMAIL_PROTECTION, False),
        ):  # fmt: skip
            problem = self.problem("two.example", extensions=[x509.ExtendedKeyUsage([usage])])
            self.assertEqual(problem is None, accepted, problem)


class TrustStoreTests(SynchronousTestCase):
    """Authorities."""

    def test_unreadable(self) -> None:
        """A missing file, and one without certificates, are errors that name it."""
        path = self.mktemp()
        self.assertIn("cannot be read", str(self.assertRaises(TLSConfigError, TrustStore, path)))
        with open(path, "w") as file:
            file.write("nothing")
        error = self.assertRaises(TLSConfigError, TrustStore, path)
        self.assertIn("no certificate", str(error))
        self.assertEqual(error.path, path)

    def test_system(self) -> None:
        """Those of the system can be read."""
        self.assertIsNotNone(TrustStore.ofSystem())


class NameTests(Case):
    """SNI and ALPN."""

    def test_byName(self) -> None:
        """The peer chooses the certificate by the name that it indicates, and gets the default for others."""
        tls = PeerTLSByName(self.one, {"one.example": self.one, "two.example": self.peer("two.example")})
        for name, domain in (("two.example", "two.example"), ("three.example", "one.example")):
            client, _ = connect(
                self.one.clientTo(name, True).clientConnectionForTLS(None), tls.serverConnectionForTLS(None)
            )
            self.assertIsNone(certificateProblem(client, domain, self.trust))

    def test_protocol(self) -> None:
        """With direct TLS the protocol is announced (XEP-0368 §2), and a client for another one is refused."""
        for direct, expected in ((True, b"xmpp-server"), (False, b"")):
            client, _ = connect(
                self.one.clientTo("one.example", direct).clientConnectionForTLS(None),
                self.one.serverConnectionForTLS(None),
            )
            self.assertEqual(client.connection.get_alpn_proto_negotiated(), expected)
        wrong = self.one.clientTo("one.example", True).clientConnectionForTLS(None)
        wrong.set_alpn_protos([b"xmpp-client"])
        self.assertRaises(SSL.Error, connect, wrong, self.one.serverConnectionForTLS(None))
