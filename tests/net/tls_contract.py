# Copyright (c) The muccore authors. See LICENSE for details.
"""The behaviour of TLS on every connection, with opportunistic writes or without."""

from __future__ import annotations

from typing import Any

from twisted.internet import error
from twisted.internet.interfaces import IOpenSSLContextFactory, ISSLTransport
from zope.interface import implementer

from tests.net.sockets import Producer, serverContext


class TLSContract:
    """Starting TLS on every connection."""

    opportunistic = False

    def test_nothingIsSentInTheClear(self: Any) -> None:
        """What was written before C{startTLS} is sent in the clear; after it come TLS records only."""
        before = b"<proceed/>" * 20_000
        transport, protocol, spy, peer = self.connect(opportunistic=self.opportunistic, sendBuffer=4096)
        transport.write(before)
        transport.startTLS(serverContext())
        self.until(lambda: peer.take(5000) < 0 or len(peer.received) == len(before))
        peer.startTLS()
        self.receive(peer, lambda: peer.handshakeDone)
        peer.send(b"!")
        self.until(lambda: protocol.received)
        for n in range(100):
            transport.write(b"secret %d" % n * 300)
            self.runTurn()
            peer.take(3000)
        transport.loseConnection()
        self.receive(peer, lambda: peer.end)
        everything = b"".join(spy.sent)
        self.assertTrue(everything.startswith(before))
        self.assertTrue(peer.received.endswith(b"secret 99" * 300))
        records = everything[len(before) :]
        self.assertNotIn(b"secret", records)
        kinds = set()
        while records:
            self.assertIn((records[0], records[1]), [(kind, 3) for kind in (20, 21, 22, 23)])
            kinds.add(records[0])
            records = records[5 + int.from_bytes(records[3:5], "big") :]
        self.assertTrue({22, 23} <= kinds)

    def test_writesBeforeTheHandshake(self: Any) -> None:
        """What is written between C{startTLS} and the handshake is sent encrypted."""
        transport, _, spy, peer = self.connect(opportunistic=self.opportunistic)
        transport.startTLS(serverContext())
        transport.write(b"early secret")
        self.runTurn()
        peer.startTLS()
        self.receive(peer, lambda: peer.received == b"early secret")
        self.assertNotIn(b"early", b"".join(spy.sent))

    def test_encryptedBytesAreCounted(self: Any) -> None:
        """Bytes read under TLS are counted as they come, even if they contain nothing; in the clear none are."""
        transport, protocol, _, peer = self.connect(opportunistic=self.opportunistic)
        counted: list[int] = []
        transport.countEncrypted = counted.append
        peer.send(b"clear")
        self.until(lambda: protocol.received == b"clear")
        self.assertEqual(counted, [])
        transport.startTLS(serverContext())
        peer.startTLS()
        self.receive(peer, lambda: peer.handshakeDone)
        peer.send(b"!")
        self.until(lambda: protocol.received == b"clear!")
        self.assertGreater(sum(counted), 100)
        counted.clear()
        peer.send(b"x" * 100)
        self.until(lambda: len(protocol.received) == 106)
        self.assertGreater(sum(counted), 100)
        counted.clear()
        # The beginning of a record.
        peer.sock.sendall(b"\x17\x03\x03\x40\x00" + bytes(1000))
        self.until(lambda: counted)
        self.assertEqual((sum(counted), len(protocol.received)), (1005, 106))

    def test_limitBeforeTheHandshake(self: Any) -> None:
        """What waits for a handshake counts towards the limit."""
        transport, protocol, _, _ = self.connect(opportunistic=self.opportunistic, outboxLimit=100_000)
        transport.startTLS(serverContext())
        for _ in range(200):
            transport.write(b"x" * 1000)
            self.runTurn()
        self.untilLost(protocol)
        self.assertTrue(protocol.reasons[0].check(error.ConnectionAborted))

    def test_startedInsideDataReceived(self: Any) -> None:
        """TLS can be started in C{dataReceived}; data behind the request is passed with it, and not again."""
        transport, protocol, _, peer = self.connect(opportunistic=self.opportunistic)

        def starttls(data: bytes) -> None:
            transport.write(b"<proceed/>")
            transport.startTLS(serverContext())

        protocol.onData = starttls
        peer.send(b"<starttls/><injected/>")
        self.receive(peer, lambda: peer.received)
        self.assertEqual(peer.received, b"<proceed/>")
        protocol.onData = transport.write
        peer.startTLS()
        self.receive(peer, lambda: peer.handshakeDone)
        peer.send(b"inside")
        self.receive(peer, lambda: peer.received.endswith(b"inside"))
        self.assertEqual(protocol.chunks, [b"<starttls/><injected/>", b"inside"])

    def test_alert(self: Any) -> None:
        """A bad handshake is answered with an alert, and ends the connection."""
        transport, protocol, _, peer = self.connect(opportunistic=self.opportunistic)
        transport.startTLS(serverContext())
        peer.send(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")
        self.receive(peer, lambda: peer.end)
        self.assertEqual((peer.raw[:2], peer.end), (b"\x15\x03", "eof"))
        self.untilLost(protocol)

    def test_closeAnswered(self: Any) -> None:
        """The peer's close_notify is answered, and ends the connection."""
        _, protocol, _, peer = self.connectTLS(opportunistic=self.opportunistic)
        peer.sendCloseNotify()
        self.receive(peer, lambda: peer.end)
        self.assertEqual(peer.end, "close_notify")
        self.untilLost(protocol)
        self.assertTrue(protocol.reasons[0].check(error.ConnectionDone))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_closedByPeerThatDoesNotRead(self: Any) -> None:
        """A peer that sends close_notify but does not read cannot keep the connection open."""
        transport, protocol, _, peer = self.connectTLS(
            opportunistic=self.opportunistic, sendBuffer=4096, closeTimeout=5.0
        )
        producer = Producer()
        transport.registerProducer(producer, True)
        transport.write(b"x" * 1_000_000)
        self.runTurn()
        peer.sendCloseNotify()
        self.until(lambda: producer.log[-1:] == ["stop"])
        self.now += 5.1
        self.untilLost(protocol)

    def test_brokenRecord(self: Any) -> None:
        """An invalid record ends the connection with an alert."""
        _, protocol, _, peer = self.connectTLS(opportunistic=self.opportunistic)
        peer.sock.sendall(b"\x17\x03\x03\x00\x40" + b"g" * 64)
        self.receive(peer, lambda: peer.end)
        self.assertEqual(peer.end, "alert")
        self.untilLost(protocol)

    def test_providesISSLTransport(self: Any) -> None:
        """Under TLS only, the transport provides ISSLTransport and its TLS connection."""
        transport, *_ = self.connect(opportunistic=self.opportunistic)
        self.assertFalse(ISSLTransport.providedBy(transport))
        transport, *_ = self.connectTLS(opportunistic=self.opportunistic)
        self.assertTrue(ISSLTransport.providedBy(transport))
        self.assertTrue(transport.getHandle().get_protocol_version_name().startswith("TLSv1."))
        self.assertIsNone(transport.getPeerCertificate())

    def test_startedTwice(self: Any) -> None:
        """Starting TLS again raises RuntimeError."""
        transport, *_ = self.connectTLS(opportunistic=self.opportunistic)
        self.assertRaises(RuntimeError, transport.startTLS, serverContext())

    def test_onEndingConnection(self: Any) -> None:
        """On a closing, aborted or lost connection, starting TLS does nothing."""
        for end in ("loseConnection", "abortConnection"):
            transport, protocol, _, _ = self.connect(opportunistic=self.opportunistic)
            getattr(transport, end)()
            transport.startTLS(serverContext())
            self.assertFalse(transport.TLS)
            self.untilLost(protocol)
            transport.startTLS(serverContext())
            self.assertFalse(transport.TLS)

    def test_unusableContext(self: Any) -> None:
        """If TLS cannot be started, the error is raised, nothing is sent, and the connection is lost."""

        @implementer(IOpenSSLContextFactory)
        class Context:
            """A context that cannot be created."""

            def getContext(self) -> Any:
                raise OSError("no such file")

        # Twisted detects the first when it creates the layer, the second when it creates the TLS connection.
        for context, expected in ((object(), TypeError), (Context(), OSError)):
            transport, protocol, spy, _ = self.connect(opportunistic=self.opportunistic)
            producer = Producer()
            transport.registerProducer(producer, True)
            with self.assertRaises(expected):
                transport.startTLS(context)
            transport.write(b"secret")
            self.untilLost(protocol)
            self.assertEqual((spy.sent, producer.log), ([], ["stop"]))
        self.assertEqual(len(self.flushWarnings()), 1)

    def test_producerIsKept(self: Any) -> None:
        """A producer registered before TLS is paused as before."""
        transport, protocol, _, peer = self.connect(opportunistic=self.opportunistic, sendBuffer=4096)
        producer = Producer()
        transport.registerProducer(producer, True)
        self.handshake(transport, protocol, peer)
        producer.log.clear()
        transport.write(b"x" * 1_000_000)
        self.runTurn()
        self.runTurn()
        self.assertEqual(producer.log, ["pause"])


__all__ = ["TLSContract"]
