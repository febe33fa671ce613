# -*- test-case-name: tests.net.test_tls -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.net.tls}. Channel bindings, and TLS on sockets, are in L{tests.stream.test_binding}."""

from __future__ import annotations

import contextlib
import os
from datetime import timedelta
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muccore.net import tls as module
from muccore.net.tls import END_POINT, HTTPTLS, TICKET_LIFETIME, ServerTLS, TLSByName, TLSConfigError
from tests.net.handshake import (
    SHA256,
    Transport,
    clientContext,
    connect,
    goodPair,
    makeCertificate,
    presented,
    pump,
    reused,
    writePair,
)


class HandshakeTests(SynchronousTestCase):
    """Handshakes with the server."""

    def setUp(self) -> None:
        """Create a server with a new certificate."""
        self.now = 1000.0
        self.folder = self.mktemp()
        self.tls = ServerTLS(*goodPair(self.folder), seconds=lambda: self.now)

    def test_interface(self) -> None:
        """It is accepted by C{startTLS}."""
        verifyObject(IOpenSSLServerConnectionCreator, self.tls)

    def test_versions(self) -> None:
        """TLS 1.2 and 1.3 are supported, and 1.3 is preferred."""
        for version in (None, SSL.TLS1_3_VERSION, SSL.TLS1_2_VERSION):
            _, server = connect(self.tls, clientContext(version))
            self.assertEqual(server.get_protocol_version(), version or SSL.TLS1_3_VERSION)

    def test_oldVersions(self) -> None:
        """TLS 1.0 and 1.1 are refused by the server, even if OpenSSL allows the weakest ciphers."""
        with mock.patch.object(module, "_CIPHERS_12", b"ALL:@SECLEVEL=0"):
            self.tls.reload()
        for version in (SSL.TLS1_VERSION, SSL.TLS1_1_VERSION):
            context = clientContext(version, b"ALL:@SECLEVEL=0")
            with self.assertRaises(SSL.Error) as caught:
                connect(self.tls, context)
            self.assertIn("unsupported protocol", str(caught.exception))

    def test_ciphers(self) -> None:
        """Ciphers without forward secrecy or without authenticated encryption are refused."""
        for cipher in (b"AES128-GCM-SHA256", b"ECDHE-ECDSA-AES128-SHA256", b"ECDHE-ECDSA-AES128-SHA"):
            with self.assertRaises(SSL.Error) as caught:
                connect(self.tls, clientContext(SSL.TLS1_2_VERSION, cipher + b":@SECLEVEL=0"))
            self.assertIn("no shared cipher", str(caught.exception))

    def test_cipherPreference(self) -> None:
        """The server's order of ciphers applies, not the client's."""
        offer = b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"
        _, server = connect(self.tls, clientContext(SSL.TLS1_2_VERSION, offer))
        self.assertEqual(server.get_cipher_name(), "ECDHE-ECDSA-AES128-GCM-SHA256")
        context = clientContext(SSL.TLS1_3_VERSION)
        context.set_tls13_ciphersuites(b"TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256")
        _, server = connect(self.tls, context)
        self.assertEqual(server.get_cipher_name(), "TLS_AES_128_GCM_SHA256")

    def test_noRenegotiation(self) -> None:
        """A client cannot renegotiate."""
        client, server = connect(self.tls, clientContext(SSL.TLS1_2_VERSION))
        client.renegotiate()
        with self.assertRaises(SSL.Error) as caught:
            for _ in range(5):
                for connection in (client, server):
                    with contextlib.suppress(SSL.WantReadError):
                        connection.do_handshake() if connection is client else connection.recv(1)
                pump(client, server)
        self.assertIn("no renegotiation", str(caught.exception))

    def test_alpn(self) -> None:
        """C{xmpp-client} is chosen if offered (XEP-0368 §2); a client without ALPN is served, too."""
        for offered, chosen in (([b"h2", b"xmpp-client"], b"xmpp-client"), ([], b"")):
            self.assertEqual(self.negotiated(self.tls, *offered), chosen)

    def test_alpnHTTP(self) -> None:
        """Connections for HTTP are C{http/1.1}."""
        tls = HTTPTLS(self.tls)
        verifyObject(IOpenSSLServerConnectionCreator, tls)
        for offered, chosen in (([b"h2", b"http/1.1"], b"http/1.1"), ([], b"")):
            self.assertEqual(self.negotiated(tls, *offered), chosen)

    def test_alpnRefused(self) -> None:
        """A client that wants other protocols gets the alert C{no_application_protocol} (RFC 7301 §3.2)."""
        byName = TLSByName(self.tls, {"other.localhost": self.tls})
        for tls, offered in ((self.tls, b"http/1.1"), (byName, b"xmpp-server"), (HTTPTLS(self.tls), b"xmpp-client")):
            with self.assertRaises(SSL.Error) as server:
                self.negotiated(tls, offered)
            self.assertIn("no application protocol", str(server.exception))

    def test_alpnAlert(self) -> None:
        """The alert reaches the client."""
        context = clientContext()
        context.set_alpn_protos([b"h2"])
        server, client = self.tls.serverConnectionForTLS(None), SSL.Connection(context, None)
        client.set_connect_state()
        server.set_accept_state()
        for connection in (client, server):
            with contextlib.suppress(SSL.Error):
                connection.do_handshake()
            pump(client, server)
        with self.assertRaises(SSL.Error) as caught:
            client.do_handshake()
        self.assertIn("no application protocol", str(caught.exception))

    def negotiated(self, tls: Any, *offered: bytes) -> bytes:
        """The protocol of a connection whose client offers these."""
        context = clientContext()
        if offered:
            context.set_alpn_protos([*offered])
        client, _ = connect(tls, context)
        return bytes(client.get_alpn_proto_negotiated())

    def test_contextOptions(self) -> None:
        """Options that OpenSSL may set by default are set explicitly, and idle connections release their buffers."""
        context = self.tls.serverConnectionForTLS(None).get_context()._context
        options = SSL._lib.SSL_CTX_get_options(context)
        for option in (SSL.OP_NO_RENEGOTIATION, SSL.OP_NO_COMPRESSION, SSL.OP_CIPHER_SERVER_PREFERENCE):
            self.assertTrue(options & option)
        self.assertTrue(SSL._lib.SSL_CTX_set_mode(context, 0) & SSL.MODE_RELEASE_BUFFERS)

    def resume(self, version: int) -> bool:
        """Connect, call C{self.between}, connect again, and return whether that resumed the session."""
        context = clientContext(version)
        client, server = connect(self.tls, context)
        pump(client, server)
        with self.assertRaises(SSL.WantReadError):
            # TLS 1.3 sends its tickets after the handshake.
            client.recv(1)
        session = client.get_session()
        self.between()
        _, server = connect(self.tls, context, session)
        return reused(server)

    def between(self) -> None:
        """Called between two connections."""

    def test_tickets(self) -> None:
        """A client can resume a session in both versions."""
        self.assertTrue(self.resume(SSL.TLS1_3_VERSION))
        self.assertTrue(self.resume(SSL.TLS1_2_VERSION))

    def test_ticketKeys(self) -> None:
        """A ticket expires with its key, after a day."""
        self.now += TICKET_LIFETIME - 1
        self.assertTrue(self.resume(SSL.TLS1_2_VERSION))

        def later() -> None:
            self.now += 1

        self.between = later
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            self.assertFalse(self.resume(version))
            self.now += TICKET_LIFETIME - 1

    def test_ticketKeysNeedNoFiles(self) -> None:
        """New ticket keys do not need the files, and keep the certificate loaded last."""
        first, _ = connect(self.tls, clientContext())
        goodPair(self.folder)
        self.tls.reload()
        before, _ = connect(self.tls, clientContext())
        self.assertNotEqual(presented(first), presented(before))
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))
        self.now += TICKET_LIFETIME
        after, _ = connect(self.tls, clientContext())
        self.assertEqual(presented(before), presented(after))

    def test_chain(self) -> None:
        """The certificates of the issuers are sent too."""
        key = ec.generate_private_key(ec.SECP256R1())
        chain = [makeCertificate(key), makeCertificate(), makeCertificate()]
        tls = ServerTLS(*writePair(self.mktemp(), *chain, key=key))
        client, _ = connect(tls, clientContext())
        self.assertEqual(client.get_peer_cert_chain(as_cryptography=True), chain)

    def test_keys(self) -> None:
        """RSA, ECDSA and Ed25519 keys work in both versions."""
        for key, algorithm in [
            (rsa.generate_private_key(65537, 2048), SHA256),
            (ec.generate_private_key(ec.SECP384R1()), SHA256),
            (ed25519.Ed25519PrivateKey.generate(), None),
        ]:
            tls = ServerTLS(*writePair(self.mktemp(), makeCertificate(key, algorithm), key=key))
            for version in (SSL.TLS1_3_VERSION, SSL.TLS1_2_VERSION):
                _, server = connect(tls, clientContext(version))
                self.assertEqual(server.get_protocol_version(), version)


class ServerNameTests(SynchronousTestCase):
    """Certificates by Server Name Indication."""

    def setUp(self) -> None:
        """Create certificates for two hosts, with keys of different types."""
        key = rsa.generate_private_key(65537, 2048)
        self.now = 1000.0
        self.default = ServerTLS(*goodPair(self.mktemp()), seconds=lambda: self.now)
        self.other = ServerTLS(*writePair(self.mktemp(), makeCertificate(key), key=key), seconds=lambda: self.now)
        self.tls = TLSByName(self.default, {"localhost": self.default, "bücher.example": self.other})

    def test_choice(self) -> None:
        """The name chooses the certificate, also where sessions are resumed; without a known name it is the default."""
        verifyObject(IOpenSSLServerConnectionCreator, self.tls)
        for version in (SSL.TLS1_3_VERSION, SSL.TLS1_2_VERSION):
            for name, chosen in (
                (None, self.default),
                (b"localhost", self.default),
                (b"xn--bcher-kva.example", self.other),
                (b"XN--Bcher-KVA.example", self.other),
                (b"b\xfccher.example", self.default),
                (b"example.org", self.default),
            ):
                context = clientContext(version)
                client, server = connect(self.tls, context, name=name)
                self.assertEqual(presented(client), chosen.certificate.fingerprint(SHA256), name)
                binding = self.default.channelBindings(Transport(server)).data(END_POINT)
                self.assertEqual(binding, presented(client))
                pump(client, server)
                with contextlib.suppress(SSL.WantReadError):
                    client.recv(1)
                client, server = connect(self.tls, context, client.get_session(), name)
                self.assertTrue(reused(server))
                self.assertEqual(self.default.channelBindings(Transport(server)).data(END_POINT), presented(client))

    def test_fixed(self) -> None:
        """A connection of one host has its certificate, whatever the client indicates."""
        client, _ = connect(self.other, clientContext(), name=b"localhost")
        self.assertEqual(presented(client), self.other.certificate.fingerprint(SHA256))

    def test_reload(self) -> None:
        """A new certificate is used for new connections, and ticket keys expire."""
        before = self.other.context()
        self.now += TICKET_LIFETIME
        self.assertIsNot(self.other.context(), before)
        key = ec.generate_private_key(ec.SECP256R1())
        writePair(os.path.dirname(self.other.certificatePath), makeCertificate(key), key=key)
        self.other.reload()
        client, _ = connect(self.tls, clientContext(), name=b"xn--bcher-kva.example")
        self.assertEqual(presented(client), self.other.certificate.fingerprint(SHA256))


class ConfigurationTests(SynchronousTestCase):
    """Unusable files raise an error of one line, and the present certificate stays in use."""

    def setUp(self) -> None:
        """Create a server with a new certificate."""
        self.folder = self.mktemp()
        self.certificate, self.key = goodPair(self.folder)
        self.tls = ServerTLS(self.certificate, self.key)

    def assertRefused(self, path: str, *words: str) -> None:
        """Check that the files are refused, at start and on reload, and that the old certificate stays in use."""
        old = self.tls.serverConnectionForTLS(None).get_context()
        for attempt in (self.tls.reload, lambda: ServerTLS(self.certificate, self.key)):
            with self.assertRaises(TLSConfigError) as caught:
                attempt()
            line = str(caught.exception)
            self.assertTrue(line.startswith(f"{path}: "), line)
            self.assertEqual(caught.exception.path, path)
            self.assertNotIn("\n", line)
            for word in words:
                self.assertIn(word, line)
        self.assertIs(self.tls.serverConnectionForTLS(None).get_context(), old)
        connect(self.tls, clientContext())

    def test_unreadable(self) -> None:
        """A missing or unreadable file."""
        os.unlink(self.key)
        self.assertRefused(self.key, "cannot be read", "No such file")
        os.mkdir(self.key)
        self.assertRefused(self.key, "cannot be read", "directory")
        os.unlink(self.certificate)
        self.assertRefused(self.certificate, "cannot be read", "No such file")

    def test_garbage(self) -> None:
        """Files with other content, or none."""
        for data in (
            b"",
            b"garbage",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            bytes(range(256)),
        ):
            good = FilePath(self.certificate).getContent()
            FilePath(self.certificate).setContent(data)
            self.assertRefused(self.certificate, "not a PEM file of certificates")
            FilePath(self.certificate).setContent(good)
            good = FilePath(self.key).getContent()
            FilePath(self.key).setContent(data)
            self.assertRefused(self.key, "not a PEM file of a private key")
            FilePath(self.key).setContent(good)

    def test_mismatch(self) -> None:
        """A key of another certificate, or of one that is not the first."""
        key = ec.generate_private_key(ec.SECP256R1())
        writePair(self.folder, makeCertificate(), makeCertificate(key), key=key)
        self.assertRefused(self.key, "does not belong", self.certificate)
        writePair(self.folder, makeCertificate(), key=rsa.generate_private_key(65537, 2048))
        self.assertRefused(self.key, "does not belong", self.certificate)

    def test_passphrase(self) -> None:
        """A key protected by a passphrase."""
        key = ec.generate_private_key(ec.SECP256R1())
        writePair(self.folder, makeCertificate(key), key=key, passphrase=b"opensesame")
        self.assertRefused(self.key, "passphrase")

    def test_unusableKeys(self) -> None:
        """Keys that are too weak for OpenSSL, or of a type unknown to TLS."""
        weak = rsa.generate_private_key(65537, 1024)
        writePair(self.folder, makeCertificate(weak), key=weak)
        self.assertRefused(self.certificate, "ee key too small")
        strange = dsa.generate_private_key(2048)
        writePair(self.folder, makeCertificate(strange), key=strange)
        self.assertRefused(self.key, "cannot use")

    def test_errorsContainNoKey(self) -> None:
        """An error does not contain the key."""
        text = FilePath(self.key).getContent()
        FilePath(self.key).setContent(text.replace(b"-----END PRIVATE KEY-----", b""))
        with self.assertRaises(TLSConfigError) as caught:
            self.tls.reload()
        for line in text.decode().splitlines()[1:-1]:
            self.assertNotIn(line, str(caught.exception))
        self.assertIsNone(caught.exception.__cause__)

    def test_expired(self) -> None:
        """An expired certificate is used: no log-in at all would be worse."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = makeCertificate(key, begins=timedelta(days=-2), ends=timedelta(days=-1))
        writePair(self.folder, certificate, key=key)
        self.tls.reload()
        client, _ = connect(self.tls, clientContext())
        self.assertEqual(presented(client), certificate.fingerprint(SHA256))
        self.assertEqual((self.tls.certificate, self.tls.certificatePath), (certificate, self.certificate))

    def test_reload(self) -> None:
        """New connections get the new certificate; existing ones go on, with the channel bindings of the old one."""
        client, server = connect(self.tls, clientContext())
        old = presented(client)
        goodPair(self.folder)
        self.tls.reload()
        newClient, newServer = connect(self.tls, clientContext())
        self.assertNotEqual(presented(newClient), old)
        self.assertEqual(self.tls.channelBindings(Transport(newServer)).data(END_POINT), presented(newClient))
        self.assertEqual(self.tls.channelBindings(Transport(server)).data(END_POINT), old)
        server.send(b"still here")
        pump(client, server)
        self.assertEqual(client.recv(100), b"still here")

    def test_reloadDuringHandshake(self) -> None:
        """A handshake ends with the certificate with which it began."""
        old = self.tls.serverConnectionForTLS(None)
        goodPair(self.folder)
        self.tls.reload()

        class Earlier:
            """Returns the connection created before."""

            def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:
                return old

        client, server = connect(Earlier(), clientContext())
        self.assertEqual(self.tls.channelBindings(Transport(server)).data(END_POINT), presented(client))
