# -*- test-case-name: tests.stream.test_tls -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests of L{muccore.stream.tls}.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import ssl
import struct
from datetime import timedelta
from unittest import mock

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet import endpoints, reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.logger import globalLogPublisher
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muccore.stream import tls as module
from muccore.stream.certificate import selfSigned
from muccore.stream.tls import (
    END_POINT,
    EXPORTER,
    TICKET_LIFETIME,
    ChannelBindings,
    ServerTLS,
    TLSConfigError,
    endPointBinding,
)
from tests.stream.handshake import (
    SHA256,
    Transport,
    clientContext,
    connect,
    goodPair,
    makeCertificate,
    pump,
    writePair,
)

EXPORTER_LABEL = b"EXPORTER-Channel-Binding"


def presented(client: SSL.Connection) -> bytes:
    """
    The hash of the certificate that the client was shown.
    """
    return client.get_peer_certificate(as_cryptography=True).fingerprint(SHA256)


def reused(connection: SSL.Connection) -> bool:
    """
    Whether a connection was resumed.
    """
    return SSL._lib.SSL_session_reused(connection._ssl) == 1


class HandshakeTests(SynchronousTestCase):
    """
    What the server agrees to.
    """

    def setUp(self) -> None:
        """
        Make a server with a certificate of its own.
        """
        self.now = 1000.0
        self.folder = self.mktemp()
        self.tls = ServerTLS(*goodPair(self.folder), seconds=lambda: self.now)

    def test_interface(self) -> None:
        """
        It is what C{startTLS} takes.
        """
        verifyObject(IOpenSSLServerConnectionCreator, self.tls)

    def test_versions(self) -> None:
        """
        TLS 1.2 and 1.3 are spoken, and the newer one is preferred.
        """
        for version in (None, SSL.TLS1_3_VERSION, SSL.TLS1_2_VERSION):
            _, server = connect(self.tls, clientContext(version))
            self.assertEqual(server.get_protocol_version(), version or SSL.TLS1_3_VERSION)

    def test_oldVersions(self) -> None:
        """
        TLS 1.0 and 1.1 are refused by the server, though OpenSSL be told to put up with the weakest ciphers.
        """
        with mock.patch.object(module, "_CIPHERS_12", b"ALL:@SECLEVEL=0"):
            self.tls.reload()
        for version in (SSL.TLS1_VERSION, SSL.TLS1_1_VERSION):
            context = clientContext(version, b"ALL:@SECLEVEL=0")
            with self.assertRaises(SSL.Error) as caught:
                connect(self.tls, context)
            self.assertIn("unsupported protocol", str(caught.exception))

    def test_ciphers(self) -> None:
        """
        Ciphers without forward secrecy or without authenticated encryption are refused.
        """
        for cipher in (b"AES128-GCM-SHA256", b"ECDHE-ECDSA-AES128-SHA256", b"ECDHE-ECDSA-AES128-SHA"):
            with self.assertRaises(SSL.Error) as caught:
                connect(self.tls, clientContext(SSL.TLS1_2_VERSION, cipher + b":@SECLEVEL=0"))
            self.assertIn("no shared cipher", str(caught.exception))

    def test_serverChooses(self) -> None:
        """
        The server's order of ciphers counts.
        """
        offer = b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"
        _, server = connect(self.tls, clientContext(SSL.TLS1_2_VERSION, offer))
        self.assertEqual(server.get_cipher_name(), "ECDHE-ECDSA-AES128-GCM-SHA256")
        context = clientContext(SSL.TLS1_3_VERSION)
        context.set_tls13_ciphersuites(b"TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256")
        _, server = connect(self.tls, context)
        self.assertEqual(server.get_cipher_name(), "TLS_AES_128_GCM_SHA256")

    def test_noRenegotiation(self) -> None:
        """
        A client cannot make the server shake hands again.
        """
        client, server = connect(self.tls, clientContext(SSL.TLS1_2_VERSION))
        client.renegotiate()
        with self.assertRaises(SSL.Error) as caught:
            for _ in range(5):
                for connection in (client, server):
                    with contextlib.suppress(SSL.WantReadError):
                        connection.do_handshake() if connection is client else connection.recv(1)
                pump(client, server)
        self.assertIn("no renegotiation", str(caught.exception))

    def test_protocolName(self) -> None:
        """
        C{xmpp-client} is chosen where it is offered (XEP-0368 §2), and nothing is refused for its absence.
        """
        for offered, chosen in [
            ([b"h2", b"xmpp-client"], b"xmpp-client"),
            ([b"h2", b"xmpp-server"], b""),
            ([], b""),
        ]:
            context = clientContext()
            if offered:
                context.set_alpn_protos(offered)
            client, _ = connect(self.tls, context)
            self.assertEqual(client.get_alpn_proto_negotiated(), chosen)

    def test_settings(self) -> None:
        """
        What OpenSSL might see to by itself is demanded all the same; and a connection gives its buffers back while
        nothing moves.
        """
        context = self.tls.serverConnectionForTLS(None).get_context()._context
        options = SSL._lib.SSL_CTX_get_options(context)
        for option in (SSL.OP_NO_RENEGOTIATION, SSL.OP_NO_COMPRESSION, SSL.OP_CIPHER_SERVER_PREFERENCE):
            self.assertTrue(options & option)
        self.assertTrue(SSL._lib.SSL_CTX_set_mode(context, 0) & SSL.MODE_RELEASE_BUFFERS)

    def resume(self, version: int) -> bool:
        """
        Connect once, do what C{self.between} does, and say whether connecting again resumes.
        """
        context = clientContext(version)
        client, server = connect(self.tls, context)
        pump(client, server)
        with self.assertRaises(SSL.WantReadError):
            # TLS 1.3 sends its tickets behind the handshake.
            client.recv(1)
        session = client.get_session()
        self.between()
        _, server = connect(self.tls, context, session)
        return reused(server)

    def between(self) -> None:
        """
        Nothing, unless a test says otherwise.
        """

    def test_tickets(self) -> None:
        """
        A client can resume, in both versions.
        """
        self.assertTrue(self.resume(SSL.TLS1_3_VERSION))
        self.assertTrue(self.resume(SSL.TLS1_2_VERSION))

    def test_ticketKeys(self) -> None:
        """
        A ticket is good for as long as its key: a day, not the life of the server.
        """
        self.now += TICKET_LIFETIME - 1
        self.assertTrue(self.resume(SSL.TLS1_2_VERSION))

        def later() -> None:
            self.now += 1

        self.between = later
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            self.now = self.tls._made + TICKET_LIFETIME - 1
            self.assertFalse(self.resume(version))

    def test_ticketKeysNeedNoFiles(self) -> None:
        """
        New keys for tickets do not need the files again, and go with the certificate that was loaded last.
        """
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
        """
        The certificates of the issuers are sent along.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        chain = [makeCertificate(key), makeCertificate(), makeCertificate()]
        tls = ServerTLS(*writePair(self.mktemp(), *chain, key=key))
        client, _ = connect(tls, clientContext())
        self.assertEqual(client.get_peer_cert_chain(as_cryptography=True), chain)

    def test_keys(self) -> None:
        """
        Every kind of key that TLS signs with is good for both versions.
        """
        for key, algorithm in [
            (rsa.generate_private_key(65537, 2048), SHA256),
            (ec.generate_private_key(ec.SECP384R1()), SHA256),
            (ed25519.Ed25519PrivateKey.generate(), None),
        ]:
            tls = ServerTLS(*writePair(self.mktemp(), makeCertificate(key, algorithm), key=key))
            for version in (SSL.TLS1_3_VERSION, SSL.TLS1_2_VERSION):
                _, server = connect(tls, clientContext(version))
                self.assertEqual(server.get_protocol_version(), version)


class ConfigurationTests(SynchronousTestCase):
    """
    Files that cannot be used are named in one line, and those that were in use stay in use.
    """

    def setUp(self) -> None:
        """
        Make a server with a certificate of its own.
        """
        self.folder = self.mktemp()
        self.certificate, self.key = goodPair(self.folder)
        self.tls = ServerTLS(self.certificate, self.key)

    def assertRefused(self, path: str, *words: str) -> None:
        """
        The files as they are cannot be used, neither at start nor later, and the old ones stay in use.
        """
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

    def test_missing(self) -> None:
        """
        A file that is not there.
        """
        os.unlink(self.key)
        self.assertRefused(self.key, "cannot be read", "No such file")
        os.unlink(self.certificate)
        self.assertRefused(self.certificate, "cannot be read", "No such file")

    def test_unreadable(self) -> None:
        """
        A file that cannot be read: here, since it is a folder.
        """
        os.unlink(self.key)
        os.mkdir(self.key)
        self.assertRefused(self.key, "cannot be read", "directory")

    def test_garbage(self) -> None:
        """
        Files that hold something else, or nothing.
        """
        for data in (
            b"",
            b"garbage",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            bytes(range(256)),
        ):
            good = FilePath(self.certificate).getContent()
            FilePath(self.certificate).setContent(data)
            self.assertRefused(self.certificate, "no PEM file of certificates")
            FilePath(self.certificate).setContent(good)
            good = FilePath(self.key).getContent()
            FilePath(self.key).setContent(data)
            self.assertRefused(self.key, "no PEM file of a private key")
            FilePath(self.key).setContent(good)

    def test_mismatch(self) -> None:
        """
        A key that belongs to another certificate, or one that is not the first.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        writePair(self.folder, makeCertificate(), makeCertificate(key), key=key)
        self.assertRefused(self.key, "does not belong", self.certificate)
        writePair(self.folder, makeCertificate(), key=rsa.generate_private_key(65537, 2048))
        self.assertRefused(self.key, "does not belong", self.certificate)

    def test_passphrase(self) -> None:
        """
        A key that would need a passphrase: nobody is there to type it.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        writePair(self.folder, makeCertificate(key), key=key, passphrase=b"opensesame")
        self.assertRefused(self.key, "passphrase")

    def test_uselessKeys(self) -> None:
        """
        Keys that are too weak for OpenSSL, or of a kind that TLS does not know.
        """
        weak = rsa.generate_private_key(65537, 1024)
        writePair(self.folder, makeCertificate(weak), key=weak)
        self.assertRefused(self.certificate, "ee key too small")
        strange = dsa.generate_private_key(2048)
        writePair(self.folder, makeCertificate(strange), key=strange)
        self.assertRefused(self.key, "cannot use")

    def test_nothingSecret(self) -> None:
        """
        An error does not quote the key.
        """
        text = FilePath(self.key).getContent()
        FilePath(self.key).setContent(text.replace(b"-----END PRIVATE KEY-----", b""))
        with self.assertRaises(TLSConfigError) as caught:
            self.tls.reload()
        for line in text.decode().splitlines()[1:-1]:
            self.assertNotIn(line, str(caught.exception))
        self.assertIsNone(caught.exception.__cause__)

    def test_paths(self) -> None:
        """
        Files may be named by C{str}, C{os.PathLike} and C{FilePath}.
        """
        ServerTLS(FilePath(self.certificate), FilePath(self.key))
        directory = os.scandir(self.folder)
        entries = {entry.name: entry for entry in directory}
        ServerTLS(entries["certificate.pem"], entries["key.pem"])

    def warnings(self, begins: int, ends: int) -> list[str]:
        """
        What is logged when a certificate is loaded that is valid between two days as seen from today.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = makeCertificate(key, begins=timedelta(days=begins), ends=timedelta(days=ends))
        writePair(self.folder, certificate, key=key)
        heard: list[str] = []

        def observe(event: dict) -> None:
            heard.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        try:
            self.tls.reload()
        finally:
            globalLogPublisher.removeObserver(observe)
        client, _ = connect(self.tls, clientContext())
        self.assertEqual(presented(client), certificate.fingerprint(SHA256))
        return heard

    def test_expired(self) -> None:
        """
        A certificate out of its time is used, since no log-in at all would be worse, but it is complained about.
        """
        self.assertEqual(self.warnings(-1, 1), [])
        [late] = self.warnings(-2, -1)
        self.assertIn(self.certificate, late)
        self.assertIn("expired", late)
        [early] = self.warnings(1, 2)
        self.assertIn(self.certificate, early)
        self.assertIn("not valid before", early)

    def test_reload(self) -> None:
        """
        New connections get the new certificate; old ones go on and are bound to the one they were made with.
        """
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

    def test_reloadInHandshake(self) -> None:
        """
        A handshake that is under way ends with the certificate it began with.
        """
        old = self.tls.serverConnectionForTLS(None)
        goodPair(self.folder)
        self.tls.reload()

        class Earlier:
            def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:
                return old

        client, server = connect(Earlier(), clientContext())
        self.assertEqual(self.tls.channelBindings(Transport(server)).data(END_POINT), presented(client))


class ChannelBindingTests(SynchronousTestCase):
    """
    Both sides see the same of a channel.
    """

    def bindings(self, version: int, key: object = None, algorithm: object = SHA256) -> ChannelBindings:
        """
        Shake hands, and give the server's view.
        """
        key = key or ec.generate_private_key(ec.SECP256R1())
        tls = ServerTLS(*writePair(self.mktemp(), makeCertificate(key, algorithm), key=key))
        self.client, server = connect(tls, clientContext(version))
        return tls.channelBindings(Transport(server))

    def test_tls13(self) -> None:
        """
        Under TLS 1.3 there are both types, C{tls-exporter} first, and the client computes the same.
        """
        bindings = self.bindings(SSL.TLS1_3_VERSION)
        self.assertEqual(bindings.types(), (EXPORTER, END_POINT))
        # RFC 9266 §2: no context is the same as an empty one here.
        exported = self.client.export_keying_material(EXPORTER_LABEL, 32)
        self.assertEqual(bindings.data(EXPORTER), exported)
        self.assertEqual(bindings.data(END_POINT), presented(self.client))

    def test_tls12(self) -> None:
        """
        Under TLS 1.2 there is C{tls-server-end-point} alone.
        """
        bindings = self.bindings(SSL.TLS1_2_VERSION)
        self.assertEqual(bindings.types(), (END_POINT,))
        self.assertEqual(bindings.data(END_POINT), presented(self.client))
        for other in (EXPORTER, "tls-unique", ""):
            with self.assertRaises(KeyError):
                bindings.data(other)

    def test_everyConnectionItsOwn(self) -> None:
        """
        The exporter tells connections apart, resumed ones too.
        """
        tls = ServerTLS(*goodPair(self.mktemp()))
        context = clientContext()
        client, server = connect(tls, context)
        pump(client, server)
        with self.assertRaises(SSL.WantReadError):
            client.recv(1)
        _, resumed = connect(tls, context, client.get_session())
        self.assertTrue(reused(resumed))
        first, second = (tls.channelBindings(Transport(c)) for c in (server, resumed))
        self.assertNotEqual(first.data(EXPORTER), second.data(EXPORTER))
        self.assertEqual(first.data(END_POINT), second.data(END_POINT))

    def test_undefined(self) -> None:
        """
        Where C{tls-server-end-point} is undefined it is not offered: Ed25519 has no hash function to name.
        """
        key = ed25519.Ed25519PrivateKey.generate()
        self.assertEqual(self.bindings(SSL.TLS1_3_VERSION, key, None).types(), (EXPORTER,))
        self.assertEqual(self.bindings(SSL.TLS1_2_VERSION, key, None).types(), ())

    def test_hashes(self) -> None:
        """
        The hash is the signature's own (RFC 5929 §4.1).
        """
        rsaKey = rsa.generate_private_key(65537, 2048)
        ecKey = ec.generate_private_key(ec.SECP256R1())
        pss = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
        for certificate, algorithm in [
            (makeCertificate(ecKey, hashes.SHA256()), "sha256"),
            (makeCertificate(ecKey, hashes.SHA384()), "sha384"),
            (makeCertificate(ecKey, hashes.SHA512()), "sha512"),
            (makeCertificate(rsaKey, hashes.SHA512()), "sha512"),
            (makeCertificate(rsaKey, hashes.SHA384(), padding=pss), "sha384"),
        ]:
            der = certificate.public_bytes(Encoding.DER)
            self.assertEqual(endPointBinding(certificate), hashlib.new(algorithm, der).digest())

    def test_oldHashes(self) -> None:
        """
        Instead of MD5 and SHA-1 it is SHA-256.
        """
        for old in (hashes.MD5(), hashes.SHA1()):
            self.assertEqual(endPointBinding(Signed(old)), b"sha256")

    def test_strangeSignatures(self) -> None:
        """
        A signature with two hash functions, or of a kind unknown, has none.
        """
        self.assertIsNone(endPointBinding(Signed(hashes.SHA256(), UnsupportedAlgorithm("two hashes"))))


class Signed:
    """
    As much of a certificate as tells how it was signed: today's libraries do not sign with old hashes any more.
    """

    def __init__(self, algorithm: hashes.HashAlgorithm, trouble: Exception | None = None) -> None:
        self.signature_hash_algorithm = algorithm
        self._trouble = trouble

    @property
    def signature_algorithm_parameters(self) -> None:
        """
        Read the parameters.
        """
        if self._trouble is not None:
            raise self._trouble

    def fingerprint(self, algorithm: hashes.HashAlgorithm) -> bytes:
        """
        Say which hash was asked for.
        """
        return algorithm.name.encode()


@implementer(IHandshakeListener)
class Greeter(Protocol):
    """
    Agrees to TLS at the client's first byte, and then sends its channel bindings.
    """

    def dataReceived(self, data: bytes) -> None:
        """
        Say so and begin TLS, once.
        """
        self.transport.write(b"y")
        self.transport.startTLS(self.factory.tls)

    def handshakeCompleted(self) -> None:
        """
        Send the bindings.
        """
        bindings = self.factory.tls.channelBindings(self.transport)
        lines = [f"{type} {bindings.data(type).hex()}" for type in bindings.types()]
        self.transport.write("\n".join([*lines, "\n"]).encode())

    def connectionLost(self, reason: object) -> None:
        """
        Tell the test that it is over.
        """
        self.factory.over.callback(None)


def readBindings(read: object) -> dict[str, bytes]:
    """
    What a L{Greeter} sends.
    """
    text = b""
    while not text.endswith(b"\n\n"):
        text += read(1000)
    return {type: bytes.fromhex(data) for type, data in (line.split() for line in text.decode().split("\n") if line)}


class LoopbackTests(TestCase):
    """
    The whole of it on a socket: C{startTLS}, and clients of two kinds.
    """

    timeout = 20

    @inlineCallbacks
    def setUp(self) -> None:
        """
        Listen, with a certificate that signed itself.
        """
        folder = self.mktemp()
        os.mkdir(folder)
        self.certificate, key = os.path.join(folder, "c.pem"), os.path.join(folder, "k.pem")
        selfSigned(["localhost"], self.certificate, key)
        factory = Factory.forProtocol(Greeter)
        factory.tls = ServerTLS(self.certificate, key)
        self.over = factory.over = Deferred()
        port = yield endpoints.TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self.addCleanup(port.stopListening)
        self.address = ("127.0.0.1", port.getHost().port)

    def ask(self) -> socket.socket:
        """
        A socket on which the server has agreed to TLS, and on which no reading takes forever.
        """
        plain = socket.create_connection(self.address, 10)
        plain.sendall(b"x")
        self.assertEqual(plain.recv(1), b"y")
        plain.settimeout(None)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 10, 0))
        return plain

    def standardClient(self) -> tuple[dict[str, bytes], bytes]:
        """
        Python's own client, which trusts the certificate and checks it as strictly as it can.
        """
        context = ssl.create_default_context(cafile=self.certificate)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        with self.ask() as plain, context.wrap_socket(plain, server_hostname="localhost") as secured:
            return readBindings(secured.recv), hashlib.sha256(secured.getpeercert(True)).digest()

    def opensslClient(self) -> tuple[dict[str, bytes], bytes]:
        """
        A client that can export keying material.
        """
        with self.ask() as plain:
            secured = SSL.Connection(clientContext(), plain)
            secured.set_connect_state()
            secured.do_handshake()
            bindings = readBindings(secured.recv)
            secured.shutdown()
            return bindings, secured.export_keying_material(EXPORTER_LABEL, 32)

    @inlineCallbacks
    def test_endPoint(self) -> None:
        """
        The certificate's hash is the same on both sides.
        """
        bindings, seen = yield deferToThread(self.standardClient)
        self.assertEqual(bindings[END_POINT], seen)
        yield self.over

    @inlineCallbacks
    def test_exporter(self) -> None:
        """
        The exported key is the same on both sides.
        """
        bindings, seen = yield deferToThread(self.opensslClient)
        self.assertEqual(bindings[EXPORTER], seen)
        yield self.over
