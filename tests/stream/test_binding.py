# -*- test-case-name: tests.stream.test_binding -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.net.tls.ChannelBindings}, in memory and on sockets."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import struct

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet import endpoints, reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from muccore.net.selfsigned import selfSigned
from muccore.net.tls import END_POINT, EXPORTER, UNIQUE, ChannelBindings, ServerTLS, endPointBinding
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

EXPORTER_LABEL = b"EXPORTER-Channel-Binding"


class ChannelBindingTests(SynchronousTestCase):
    """Server and client compute the same data."""

    def bindings(self, version: int, key: object = None, algorithm: object = SHA256) -> ChannelBindings:
        """Perform a handshake, and return the bindings of the server."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        tls = ServerTLS(*writePair(self.mktemp(), makeCertificate(key, algorithm), key=key))
        self.client, server = connect(tls, clientContext(version))
        return tls.channelBindings(Transport(server))

    def test_tls13(self) -> None:
        """Under TLS 1.3 both types are available, C{tls-exporter} first."""
        bindings = self.bindings(SSL.TLS1_3_VERSION)
        self.assertEqual(bindings.types(), (EXPORTER, END_POINT))
        # RFC 9266 §2: no context is the same as an empty one here.
        exported = self.client.export_keying_material(EXPORTER_LABEL, 32)
        self.assertEqual(bindings.data(EXPORTER), exported)
        self.assertEqual(bindings.data(END_POINT), presented(self.client))

    def test_tls12(self) -> None:
        """Under TLS 1.2 only C{tls-server-end-point} is available."""
        bindings = self.bindings(SSL.TLS1_2_VERSION)
        self.assertEqual(bindings.types(), (END_POINT,))
        self.assertEqual(bindings.data(END_POINT), presented(self.client))
        for other in (EXPORTER, ""):
            with self.assertRaises(KeyError):
                bindings.data(other)

    def test_unique(self) -> None:
        """
        C{tls-unique} is available but not announced. It fails for a resumed session, where the client uses the server's
        Finished message (RFC 5929 §3.1).
        """
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            bindings = self.bindings(version)
            self.assertNotIn(UNIQUE, bindings.types())
            self.assertEqual(bindings.data(UNIQUE), self.client.get_finished())
        tls, context = ServerTLS(*goodPair(self.mktemp())), clientContext(SSL.TLS1_2_VERSION)
        client, _ = connect(tls, context)
        client, server = connect(tls, context, client.get_session())
        self.assertTrue(reused(server))
        self.assertNotEqual(tls.channelBindings(Transport(server)).data(UNIQUE), client.get_peer_finished())

    def test_exporterIsUnique(self) -> None:
        """C{tls-exporter} differs between connections, also if a session is resumed."""
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
        """C{tls-server-end-point} is undefined for Ed25519, which names no hash function, and thus not offered."""
        key = ed25519.Ed25519PrivateKey.generate()
        self.assertEqual(self.bindings(SSL.TLS1_3_VERSION, key, None).types(), (EXPORTER,))
        self.assertEqual(self.bindings(SSL.TLS1_2_VERSION, key, None).types(), ())

    def test_hashes(self) -> None:
        """The hash function is that of the signature (RFC 5929 §4.1)."""
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

    def test_otherSignatures(self) -> None:
        """For MD5 and SHA-1 it is SHA-256; a signature with two hash functions, or an unknown one, has none."""
        for old in (hashes.MD5(), hashes.SHA1()):
            self.assertEqual(endPointBinding(Signed(old)), b"sha256")
        self.assertIsNone(endPointBinding(Signed(hashes.SHA256(), UnsupportedAlgorithm("two hashes"))))


class Signed:
    """The signature of a certificate. Today's libraries do not sign with old hash functions any more."""

    def __init__(self, algorithm: hashes.HashAlgorithm, error: Exception | None = None) -> None:
        self.signature_hash_algorithm = algorithm
        self._error = error

    @property
    def signature_algorithm_parameters(self) -> None:
        """The parameters, which may be unsupported."""
        if self._error is not None:
            raise self._error

    def fingerprint(self, algorithm: hashes.HashAlgorithm) -> bytes:
        """The name of the hash function, as fingerprint."""
        return algorithm.name.encode()


@implementer(IHandshakeListener)
class BindingsProtocol(Protocol):
    """Starts TLS at the client's first byte, and then sends the channel bindings."""

    def dataReceived(self, data: bytes) -> None:
        """Answer, and start TLS."""
        self.transport.write(b"y")
        self.transport.startTLS(self.factory.tls)

    def handshakeCompleted(self) -> None:
        """Send the bindings."""
        bindings = self.factory.tls.channelBindings(self.transport)
        lines = [f"{type} {bindings.data(type).hex()}" for type in (*bindings.types(), UNIQUE)]
        self.transport.write("\n".join([*lines, "\n"]).encode())

    def connectionLost(self, reason: object) -> None:
        """Notify the test."""
        self.factory.lost.callback(None)


def readBindings(read: object) -> dict[str, bytes]:
    """Read what a L{BindingsProtocol} sends."""
    text = b""
    while not text.endswith(b"\n\n"):
        text += read(1000)
    return {type: bytes.fromhex(data) for type, data in (line.split() for line in text.decode().split("\n") if line)}


class LoopbackTests(TestCase):
    """C{startTLS} on sockets, with the clients of Python and OpenSSL."""

    timeout = 20

    @inlineCallbacks
    def setUp(self) -> None:
        """Listen with a self-signed certificate."""
        folder = self.mktemp()
        os.mkdir(folder)
        self.certificate, key = os.path.join(folder, "c.pem"), os.path.join(folder, "k.pem")
        selfSigned(["localhost"], self.certificate, key)
        factory = Factory.forProtocol(BindingsProtocol)
        factory.tls = ServerTLS(self.certificate, key)
        self.lost = factory.lost = Deferred()
        port = yield endpoints.TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self.addCleanup(port.stopListening)
        self.address = ("127.0.0.1", port.getHost().port)

    def connect(self) -> socket.socket:
        """Connect a socket, with a timeout, on which the server has started TLS."""
        plain = socket.create_connection(self.address, 10)
        plain.sendall(b"x")
        self.assertEqual(plain.recv(1), b"y")
        plain.settimeout(None)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 10, 0))
        return plain

    def standardClient(self, version: ssl.TLSVersion) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """Connect by Python's ssl, with the certificate as trust anchor and strict checks."""
        context = ssl.create_default_context(cafile=self.certificate)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.maximum_version = version
        with self.connect() as plain, context.wrap_socket(plain, server_hostname="localhost") as secured:
            hashed = hashlib.sha256(secured.getpeercert(True)).digest()
            return readBindings(secured.recv), {END_POINT: hashed, UNIQUE: secured.get_channel_binding()}

    def opensslClient(self) -> tuple[dict[str, bytes], bytes]:
        """Connect by OpenSSL, which can export keying material."""
        with self.connect() as plain:
            secured = SSL.Connection(clientContext(), plain)
            secured.set_connect_state()
            secured.do_handshake()
            bindings = readBindings(secured.recv)
            secured.shutdown()
            return bindings, secured.export_keying_material(EXPORTER_LABEL, 32)

    @inlineCallbacks
    def standard(self, version: ssl.TLSVersion) -> object:
        """Check the bindings that Python's client knows."""
        bindings, seen = yield deferToThread(self.standardClient, version)
        bindings.pop(EXPORTER, None)
        self.assertEqual(bindings, seen)
        yield self.lost

    def test_standard12(self) -> object:
        """Under TLS 1.2, C{tls-server-end-point} and Python's C{tls-unique} are the same on both sides."""
        return self.standard(ssl.TLSVersion.TLSv1_2)

    def test_standard13(self) -> object:
        """The same holds under TLS 1.3, where slixmpp up to 1.8.3 uses C{tls-unique}."""
        return self.standard(ssl.TLSVersion.TLSv1_3)

    @inlineCallbacks
    def test_exporter(self) -> None:
        """The exported key is the same on both sides."""
        bindings, seen = yield deferToThread(self.opensslClient)
        self.assertEqual(bindings[EXPORTER], seen)
        yield self.lost
