# Copyright (c) The muccore authors. See LICENSE for details.
"""What every connection promises about TLS, whether its writes are opportunistic or not."""

from __future__ import annotations

from typing import Any

from twisted.internet import error
from twisted.internet.interfaces import IOpenSSLContextFactory, ISSLTransport
from zope.interface import implementer

from tests.net.sockets import Producer, serverContext


class TLSContract:
    """What every connection promises about starting TLS."""

    opportunistic = False

    def test_nothingLeaksInPlain(self: Any) -> None:
        """
        After C{startTLS} everything on the socket is TLS records, whatever was still waiting to be sent in plain;
        and it comes after that.
        """
        before = b"<proceed/>" * 20_000
        transport, protocol, spy, peer = self.connect(opportunistic=self.opportunistic, sendBuffer=4096)
        transport.write(before)
        transport.startTLS(serverContext())
        self.until(lambda: peer.take(5000) < 0 or len(peer.received) == len(before))
        peer.startTLS()
        self.until(lambda: peer.take() < 0 or peer._shaken)
        peer.send(b"!")
        self.until(lambda: protocol.received)
        for n in range(100):
            transport.write(b"secret %d" % n * 300)
            self.turnOnce()
            peer.take(3000)
        transport.loseConnection()
        self.until(lambda: peer.take() < 0 or peer.end)
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

    def test_writtenBeforeTheHandshake(self: Any) -> None:
        """What is written between C{startTLS} and the handshake is kept and sent encrypted."""
        transport, _, spy, peer = self.connect(opportunistic=self.opportunistic)
        transport.startTLS(serverContext())
        transport.write(b"early secret")
        self.turnOnce()
        peer.startTLS()
        self.until(lambda: peer.take() < 0 or peer.received == b"early secret")
        self.assertNotIn(b"early", b"".join(spy.sent))

    def test_limitBeforeTheHandshake(self: Any) -> None:
        """What waits for a handshake that never comes counts as well."""
        transport, protocol, _, _ = self.connect(opportunistic=self.opportunistic, outboxLimit=100_000)
        transport.startTLS(serverContext())
        for _ in range(200):
            transport.write(b"x" * 1000)
            self.turnOnce()
        self.untilLost(protocol)
        self.assertTrue(protocol.reasons[0].check(error.ConnectionAborted))

    def test_startedInsideDataReceived(self: Any) -> None:
        """
        TLS can be started by what is read; what came in plain behind that is the caller's to drop, and is not
        believed.
        """
        transport, protocol, _, peer = self.connect(opportunistic=self.opportunistic)

        def starttls(data: bytes) -> None:
            transport.write(b"<proceed/>")
            transport.startTLS(serverContext())

        protocol.onData = starttls
        peer.send(b"<starttls/><injected/>")
        self.until(lambda: peer.take() < 0 or peer.received)
        self.assertEqual(peer.received, b"<proceed/>")
        protocol.onData = transport.write
        peer.startTLS()
        self.until(lambda: peer.take() < 0 or peer._shaken)
        peer.send(b"inside")
        self.until(lambda: peer.take() < 0 or peer.received.endswith(b"inside"))
        self.assertEqual(protocol.chunks, [b"<starttls/><injected/>", b"inside"])

    def test_alert(self: Any) -> None:
        """One whose handshake is no good gets an alert and the end, and the protocol hears of it."""
        transport, protocol, _, peer = self.connect(opportunistic=self.opportunistic)
        transport.startTLS(serverContext())
        peer.send(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")
        self.until(lambda: peer.take() < 0 or peer.end)
        self.assertEqual((peer.raw[:2], peer.end), (b"\x15\x03", "eof"))
        self.untilLost(protocol)

    def test_closeAnswered(self: Any) -> None:
        """The peer's close_notify is answered with ours, and the connection ends."""
        _, protocol, _, peer = self.connectTLS(opportunistic=self.opportunistic)
        peer.sayGoodbye()
        self.until(lambda: peer.take() < 0 or peer.end)
        self.assertEqual(peer.end, "close_notify")
        self.untilLost(protocol)
        self.assertTrue(protocol.reasons[0].check(error.ConnectionDone))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_closedByPeerWhoDoesNotRead(self: Any) -> None:
        """A peer who says goodbye but leaves unread what was sent before cannot keep the connection open."""
        transport, protocol, _, peer = self.connectTLS(
            opportunistic=self.opportunistic, sendBuffer=4096, closeTimeout=5.0
        )
        producer = Producer()
        transport.registerProducer(producer, True)
        transport.write(b"x" * 1_000_000)
        self.turnOnce()
        peer.sayGoodbye()
        self.until(lambda: producer.log[-1:] == ["stop"])
        self.now += 5.1
        self.untilLost(protocol)

    def test_brokenRecord(self: Any) -> None:
        """Garbage inside TLS ends the connection with an alert."""
        _, protocol, _, peer = self.connectTLS(opportunistic=self.opportunistic)
        peer.sock.sendall(b"\x17\x03\x03\x00\x40" + b"g" * 64)
        self.until(lambda: peer.take() < 0 or peer.end)
        self.assertEqual(peer.end, "alert")
        self.untilLost(protocol)

    def test_certificateAndInterface(self: Any) -> None:
        """The transport says that it is TLS, and gives its TLS connection to who asks."""
        transport, *_ = self.connectTLS(opportunistic=self.opportunistic)
        self.assertTrue(ISSLTransport.providedBy(transport))
        self.assertTrue(transport.getHandle().get_protocol_version_name().startswith("TLSv1."))
        self.assertIsNone(transport.getPeerCertificate())

    def test_plainIsNoTLS(self: Any) -> None:
        """Without TLS the transport does not say that it is."""
        transport, *_ = self.connect(opportunistic=self.opportunistic)
        self.assertFalse(ISSLTransport.providedBy(transport))

    def test_twice(self: Any) -> None:
        """TLS is started once."""
        transport, *_ = self.connectTLS(opportunistic=self.opportunistic)
        self.assertRaises(RuntimeError, transport.startTLS, serverContext())

    def test_onEndingConnection(self: Any) -> None:
        """On a connection that is closing, aborted or lost, starting TLS does nothing."""
        for end in ("loseConnection", "abortConnection"):
            transport, protocol, _, _ = self.connect(opportunistic=self.opportunistic)
            getattr(transport, end)()
            transport.startTLS(serverContext())
            self.assertFalse(transport.TLS)
            self.untilLost(protocol)
            transport.startTLS(serverContext())
            self.assertFalse(transport.TLS)

    def test_uselessContext(self: Any) -> None:
        """
        If TLS cannot be started, the caller gets the error, nothing is sent in plain, and the protocol hears of the
        end.
        """

        @implementer(IOpenSSLContextFactory)
        class Context:
            """A context that cannot be had."""

            def getContext(self) -> Any:
                raise OSError("no such file")

        # Twisted finds out about the one when it meets it, about the other when it makes the TLS connection.
        for context, trouble in ((object(), TypeError), (Context(), OSError)):
            transport, protocol, spy, _ = self.connect(opportunistic=self.opportunistic)
            producer = Producer()
            transport.registerProducer(producer, True)
            with self.assertRaises(trouble):
                transport.startTLS(context)
            transport.write(b"secret")
            self.untilLost(protocol)
            self.assertEqual((spy.sent, producer.log), ([], ["stop"]))
        self.assertEqual(len(self.flushWarnings()), 1)

    def test_producerIsCarriedOver(self: Any) -> None:
        """A producer that was registered before TLS is the producer afterwards."""
        transport, protocol, _, peer = self.connect(opportunistic=self.opportunistic, sendBuffer=4096)
        producer = Producer()
        transport.registerProducer(producer, True)
        self.shakeHands(transport, protocol, peer)
        producer.log.clear()
        transport.write(b"x" * 1_000_000)
        self.turnOnce()
        self.turnOnce()
        self.assertEqual(producer.log, ["pause"])


__all__ = ["TLSContract"]
