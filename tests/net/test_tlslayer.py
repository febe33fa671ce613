# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.net.tlslayer}, in memory. On sockets, it is under the tests of both kinds of transports."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muccore.net import tlslayer
from muccore.net.tlslayer import TLSLayer
from tests.net.handshake import clientContext
from tests.net.sockets import serverContext


class Receiver(Protocol):
    """Records what it gets."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.reasons: list[Failure] = []

    def dataReceived(self, data: bytes) -> None:
        """Record it."""
        self.chunks.append(data)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        """Record the reason."""
        self.reasons.append(reason)


class Pair:
    """A layer and a client of OpenSSL, in memory, after the handshake."""

    def __init__(self, version: int = SSL.TLS1_3_VERSION, shaken: bool = True) -> None:
        self.receiver = Receiver()
        self.transport = StringTransport()
        self.layer = TLSLayer(TLSMemoryBIOFactory(serverContext(), False, Factory()), self.receiver)
        self.layer.makeConnection(self.transport)
        self.client = SSL.Connection(clientContext(version), None)
        self.client.set_connect_state()
        for _ in range(4 if shaken else 0):
            with contextlib.suppress(SSL.WantReadError):
                self.client.do_handshake()
            self.deliver(self.output())
            self.fromLayer()

    def output(self) -> bytes:
        """What the client has to send."""
        try:
            records: bytes = self.client.bio_read(1 << 20)
        except SSL.WantReadError:
            return b""
        return records

    def deliver(self, data: bytes) -> None:
        """Pass bytes to the layer."""
        if data:
            self.layer.dataReceived(data)

    def send(self, data: bytes) -> bytes:
        """Let the client encrypt; return the records."""
        self.client.sendall(data)
        return self.output()

    def fromLayer(self) -> None:
        """Pass what the layer wrote to the client."""
        data = self.transport.value()
        self.transport.clear()
        if data:
            self.client.bio_write(data)

    def read(self, records: bytes | None) -> bytes:
        """Let the client decrypt everything there is."""
        if records:
            self.client.bio_write(records)
        read = b""
        with contextlib.suppress(SSL.WantReadError):
            while True:
                read += self.client.recv(1 << 20)
        return read


class TLSLayerTests(SynchronousTestCase):
    """Decrypting and encrypting."""

    versions = SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION

    def test_bothWays(self) -> None:
        """Records are decrypted one by one, and what is sent is encrypted; nothing is written by the layer itself."""
        for version in self.versions:
            pair = Pair(version)
            pair.deliver(pair.send(b"one") + pair.send(b"two"))
            self.assertEqual(pair.receiver.chunks, [b"one", b"two"])
            self.assertEqual(pair.read(pair.layer.encrypt(b"answer")), b"answer")
            self.assertEqual(pair.transport.value(), b"")

    def test_large(self) -> None:
        """Large data arrives whole in both directions, and so does what follows."""
        data = bytes(range(256)) * 2000
        for version in self.versions:
            pair = Pair(version)
            for sent in (data, b"after", data[:16385], b"", data[:16384]):
                self.assertEqual(pair.read(pair.layer.encrypt(sent)), sent)
            for sent in (data, b"after"):
                pair.deliver(pair.send(sent))
            self.assertEqual(b"".join(pair.receiver.chunks), data + b"after")

    def test_sendsWhileReading(self) -> None:
        """A protocol that gets something may send much at once: the memory that this frees is not looked at again."""
        pair = Pair()
        connection = pair.layer._tlsConnection
        received = pair.receiver.dataReceived
        waiting = tlslayer._waiting
        answers: list[bytes] = []

        def answer(data: bytes) -> None:
            received(data)
            answers.append(pair.layer.encrypt(bytes(10_000)) or b"")

        def checkLive(bio: Any, data: Any) -> Any:
            self.assertIn(bio, (connection._into_ssl, connection._from_ssl))
            return waiting(bio, data)

        self.patch(tlslayer, "_waiting", checkLive)
        pair.receiver.dataReceived = answer  # type: ignore[method-assign]
        pair.client.send(b"first")
        pair.client.send(b"second")
        pair.deliver(pair.output())
        self.assertEqual((pair.receiver.chunks, len(answers)), ([b"first", b"second"], 2))

    def test_nothing(self) -> None:
        """To encrypt nothing gives nothing: not what another connection has sent."""
        other, pair = Pair(), Pair()
        other.layer.encrypt(b"x" * 1000)
        self.assertEqual(pair.layer.encrypt(b""), b"")
        self.assertEqual(pair.read(pair.layer.encrypt(b"next")), b"next")

    @settings(max_examples=30)
    @given(st.lists(st.binary(max_size=200) | st.just(b"y" * 20_000), max_size=8), st.lists(st.integers(0, 50_000)))
    def test_anyPieces(self, written: list[bytes], cuts: list[int]) -> None:
        """What arrives does not depend on how the network cuts the records."""
        pair = Pair()
        records = b"".join(map(pair.send, written))
        places = sorted({0, len(records), *(cut % (len(records) + 1) for cut in cuts)})
        for begin, end in itertools.pairwise(places):
            pair.deliver(records[begin:end])
        self.assertEqual(b"".join(pair.receiver.chunks), b"".join(written))
        self.assertEqual(pair.read(pair.layer.encrypt(b"answer")), b"answer")

    def test_beforeTheHandshake(self) -> None:
        """Before the end of the handshake nothing can be encrypted; C{write} keeps it until then."""
        pair = Pair(shaken=False)
        self.assertIsNone(pair.layer.encrypt(b"early"))
        pair.layer.write(b"early")
        for _ in range(4):
            with contextlib.suppress(SSL.WantReadError):
                pair.client.do_handshake()
            pair.deliver(pair.output())
            pair.fromLayer()
        self.assertEqual(pair.read(pair.layer.encrypt(b" late")), b"early late")

    def test_closed(self) -> None:
        """A close_notify behind data ends the connection after the data, and is answered."""
        pair = Pair()
        records = pair.send(b"last")
        pair.client.shutdown()
        pair.deliver(records + pair.output())
        self.assertEqual(pair.receiver.chunks, [b"last"])
        self.assertTrue(pair.transport.disconnecting)
        self.assertIsNone(pair.layer.encrypt(b"too late"))
        pair.fromLayer()
        self.assertRaises(SSL.ZeroReturnError, pair.client.recv, 1)

    def test_closing(self) -> None:
        """After C{loseConnection} nothing is encrypted any more, but input is still passed on until the peer's end."""
        pair = Pair()
        pair.layer.loseConnection()
        self.assertIsNone(pair.layer.encrypt(b"too late"))
        pair.deliver(pair.send(b"still"))
        self.assertEqual(pair.receiver.chunks, [b"still"])

    def test_aborted(self) -> None:
        """After an abort, also one by what was received before, nothing is passed on."""
        pair = Pair()
        transport: Any = pair.transport
        transport.abortConnection = lambda: None
        received = pair.receiver.dataReceived

        def abort(data: bytes) -> None:
            received(data)
            pair.layer.abortConnection()

        pair.receiver.dataReceived = abort  # type: ignore[method-assign]
        pair.deliver(pair.send(b"one") + pair.send(b"two"))
        pair.deliver(pair.send(b"three"))
        self.assertEqual(pair.receiver.chunks, [b"one"])

    def test_broken(self) -> None:
        """An invalid record is answered with an alert, and ends the connection; what came before it was passed on."""
        pair = Pair()
        pair.deliver(pair.send(b"fine") + b"\x17\x03\x03\x00\x40" + b"g" * 64)
        self.assertEqual(pair.receiver.chunks, [b"fine"])
        self.assertTrue(pair.transport.disconnecting)
        self.assertIsNone(pair.layer.encrypt(b"too late"))
        pair.fromLayer()
        self.assertRaises(SSL.Error, pair.client.recv, 1)
        pair.layer.connectionLost(Failure(ConnectionDone()))
        self.assertEqual([reason.type for reason in pair.receiver.reasons], [SSL.Error])
        # No error is left to be found by another connection.
        other = Pair()
        other.deliver(other.send(b"fine")[:-1])
        self.assertEqual(other.layer.encrypt(b"") or other.receiver.chunks, [])

    def test_lost(self) -> None:
        """The loss of the connection reaches the protocol once."""
        pair = Pair()
        pair.layer.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(len(pair.receiver.reasons), 1)

    def test_protocolReplaced(self) -> None:
        """The rest of what was received goes to the protocol that has replaced the first."""
        pair = Pair()
        second = Receiver()

        def replace(data: bytes) -> None:
            pair.layer.wrappedProtocol = second

        pair.receiver.dataReceived = replace  # type: ignore[method-assign]
        pair.deliver(pair.send(b"one") + pair.send(b"two"))
        self.assertEqual(second.chunks, [b"two"])
