# Copyright (c) The muccore authors. See LICENSE for details.
"""What every connection promises, whether its writes are opportunistic or not."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet import error

from muccore.net.connection import BoundedConnection
from tests.net.sockets import Peer, Producer, Recorder, Spy


class ConnectionContract:
    """
    What every connection promises, in plain and under TLS.

    @cvar opportunistic: which kind of transport.
    @cvar tls: whether TLS is started first.
    """

    opportunistic = False
    tls = False

    def make(self: Any, **settings: Any) -> tuple[BoundedConnection, Recorder, Spy, Peer]:
        """Make a connection."""
        connect = self.connectTLS if self.tls else self.connect
        return connect(opportunistic=self.opportunistic, **settings)

    def test_order(self: Any) -> None:
        """
        Thousands of writes of all sizes, with a small kernel buffer and a reader who reads when he likes, arrive in
        order.
        """
        choose = random.Random(7)
        transport, protocol, _, peer = self.make(sendBuffer=4096, outboxLimit=1 << 30)
        expected = b""
        for n in range(3000):
            data = b"%d;" % n * choose.choice((1, 1, 1, 20, 400))
            expected += data
            if choose.random() < 0.2:
                transport.writeSequence([data[:3], data[3:]])
            else:
                transport.write(data)
            if choose.random() < 0.2:
                self.turn.flush()
            if choose.random() < 0.3:
                self.turnOnce()
            if choose.random() < 0.3:
                peer.take(choose.randrange(1, 20000))
        self.until(lambda: peer.take() < 0 or len(peer.received) >= len(expected))
        self.assertTrue(peer.received == expected)
        self.assertEqual(protocol.reasons, [])

    def test_echo(self: Any) -> None:
        """What comes in is delivered, what is written from there goes out."""
        transport, protocol, _, peer = self.make()
        protocol.onData = transport.write
        peer.send(b"hello")
        self.until(lambda: peer.take() < 0 or peer.received == b"hello")
        self.assertEqual(protocol.received, b"hello")

    def test_onlyBytes(self: Any) -> None:
        """Text is refused where it is written."""
        transport, *_ = self.make()
        self.assertRaises(TypeError, transport.write, "text")

    def test_closeDeliversEverything(self: Any) -> None:
        """C{loseConnection} lets a slow reader have everything that was written before, in order, and then the end."""
        transport, protocol, _, peer = self.make(sendBuffer=8192, outboxLimit=1 << 30)
        data = random.Random(1).randbytes(3_000_000)
        for start in range(0, len(data), 100_000):
            transport.write(data[start : start + 100_000])
        transport.loseConnection()
        self.until(lambda: peer.take() < 0 or peer.end)
        self.assertTrue(peer.received == data)
        self.assertEqual(peer.end, "close_notify" if self.tls else "eof")
        if self.tls:
            peer.sayGoodbye()
        self.untilLost(protocol)
        self.assertTrue(protocol.reasons[0].check(error.ConnectionDone))
        self.assertEqual(self.reactor.getDelayedCalls(), [], "the timer of the closing is left over")

    def test_closeDropsLaterWrites(self: Any) -> None:
        """What is written after C{loseConnection} is dropped silently."""
        transport, _, _, peer = self.make()
        transport.write(b"before")
        transport.loseConnection()
        transport.write(b"after")
        transport.writeSequence([b"after"])
        self.until(lambda: peer.take() < 0 or peer.end)
        self.assertEqual(peer.received, b"before")

    def test_closeTwice(self: Any) -> None:
        """A second C{loseConnection} changes nothing, also after the end."""
        transport, protocol, _, peer = self.make()
        transport.loseConnection()
        transport.loseConnection()
        self.assertEqual(len(self.reactor.getDelayedCalls()) - self.opportunistic * self.tls, 1)
        peer.sock.close()
        self.untilLost(protocol)
        transport.loseConnection()
        self.assertEqual((len(protocol.reasons), self.reactor.getDelayedCalls()), (1, []))

    def test_closeStopsPausedProducer(self: Any) -> None:
        """A producer that is paused does not keep the connection open: it is stopped, and the connection ends."""
        transport, protocol, _, peer = self.make(sendBuffer=4096)
        producer = Producer()
        transport.registerProducer(producer, True)
        transport.write(b"x" * 300_000)
        self.turnOnce()
        self.turnOnce()
        self.assertEqual(producer.log, ["pause"])
        transport.loseConnection()
        self.assertEqual(producer.log, ["pause", "stop"])
        self.until(lambda: peer.take() < 0 or peer.end)
        if self.tls:
            peer.sayGoodbye()
        self.untilLost(protocol)
        self.assertEqual((len(peer.received), producer.log), (300_000, ["pause", "stop"]))

    def test_closeIsBounded(self: Any) -> None:
        """A peer who never reads keeps a closing connection open for C{closeTimeout} seconds and no longer."""
        transport, protocol, _, _ = self.make(sendBuffer=4096, closeTimeout=30.0)
        transport.write(b"x" * 1_000_000)
        transport.loseConnection()
        self.now += 29.9
        for _ in range(5):
            self.turnOnce(0.001)
        self.assertEqual(protocol.reasons, [])
        self.now += 0.2
        self.untilLost(protocol)
        self.assertTrue(protocol.reasons[0].check(error.ConnectionAborted))

    def test_closeWhileReadingIsPaused(self: Any) -> None:
        """A connection that does not read at the moment can be closed all the same."""
        transport, protocol, _, peer = self.make()
        transport.pauseProducing()
        transport.write(b"bye")
        transport.loseConnection()
        transport.pauseProducing()
        self.until(lambda: peer.take() < 0 or peer.end)
        self.assertEqual(peer.received, b"bye")
        if self.tls:
            peer.sayGoodbye()
        self.untilLost(protocol)
        self.assertTrue(protocol.reasons[0].check(error.ConnectionDone))

    def test_pauseReading(self: Any) -> None:
        """
        Between C{pauseProducing} and C{resumeProducing} nothing is delivered, and afterwards all of it; writing goes
        on.
        """
        transport, protocol, _, peer = self.make()
        transport.pauseProducing()
        peer.send(b"held")
        transport.write(b"meanwhile")
        self.until(lambda: peer.take() < 0 or peer.received == b"meanwhile")
        self.assertEqual(protocol.received, b"")
        transport.resumeProducing()
        self.until(lambda: protocol.received == b"held")

    def test_slowReaderIsCutOff(self: Any) -> None:
        """
        One who does not read is aborted when more waits for him than the limit: not inside the write, and only him.
        """
        slow, slowProtocol, _, _ = self.make(sendBuffer=4096, outboxLimit=200_000)
        other, otherProtocol, _, peer = self.make(outboxLimit=200_000)
        lostInsideWrite = []
        for _ in range(400):
            for transport in (slow, other):
                transport.write(b"x" * 1000)
                self.turn.flush()
                lostInsideWrite += slowProtocol.reasons
            if not slowProtocol.reasons:
                self.assertTrue(slow._buffered() <= 200_000)
            self.turnOnce()
            peer.take()
            if slowProtocol.reasons:
                break
        self.untilLost(slowProtocol)
        self.assertEqual(lostInsideWrite, [])
        self.assertTrue(slowProtocol.reasons[0].check(error.ConnectionAborted))
        self.assertIn("200000", str(slowProtocol.reasons[0].value))
        other.write(b"last")
        self.until(lambda: peer.take() < 0 or peer.received.endswith(b"last"))
        self.assertEqual(otherProtocol.reasons, [])

    def test_cutOffReleasesMemory(self: Any) -> None:
        """From the moment in which a connection is cut off it holds nothing, and takes nothing more."""
        transport, protocol, _, _ = self.make(sendBuffer=4096, outboxLimit=100_000)
        for _ in range(10):
            transport.write(b"x" * 1_000_000)
            self.turn.flush()
        self.reactor.runUntilCurrent()
        transport.write(b"more")
        self.assertEqual((transport._buffered(), getattr(transport, "_outbox", [])), (0, []))
        self.untilLost(protocol)
        transport.write(b"more")
        self.turn.flush()
        self.assertEqual((transport._buffered(), getattr(transport, "_outbox", [])), (0, []))

    def test_writeAfterEnd(self: Any) -> None:
        """Writes after the connection was lost are dropped silently."""
        transport, protocol, _, peer = self.make()
        peer.sock.close()
        self.untilLost(protocol)
        transport.write(b"late")
        transport.writeSequence([b"late", b"r"])
        self.turn.flush()
        self.assertEqual(transport._buffered(), 0)
        self.assertEqual(len(protocol.reasons), 1)

    def test_abort(self: Any) -> None:
        """C{abortConnection} ends the connection in a later turn, once, without sending what waits."""
        transport, protocol, _, peer = self.make(sendBuffer=4096)
        transport.write(b"x" * 500_000)
        self.turn.flush()
        transport.abortConnection()
        transport.abortConnection()
        self.assertEqual(protocol.reasons, [])
        self.reactor.runUntilCurrent()
        self.assertEqual(len(protocol.reasons), 1)
        self.assertTrue(protocol.reasons[0].check(error.ConnectionAborted))
        self.until(lambda: peer.take() < 0 or peer.end)
        self.assertEqual(peer.end, "reset")

    def test_abortStopsDelivery(self: Any) -> None:
        """A protocol that aborts gets nothing more, though more has arrived already."""
        transport, protocol, _, peer = self.make()
        protocol.onData = lambda data: transport.abortConnection()
        peer.send(b"first")
        if self.tls:
            peer.send(b"second")
        self.untilLost(protocol)
        self.assertEqual(protocol.chunks, [b"first"])

    def test_producerIsPausedAndResumed(self: Any) -> None:
        """A push producer that writes until it is told to stop is told so in time, and to go on when all is sent."""
        transport, _, _, peer = self.make(sendBuffer=4096)
        producer = Producer()
        transport.registerProducer(producer, True)
        written = 0
        while not producer.log and written < 2_000_000:
            transport.write(b"x" * 1000)
            written += 1000
            if not self.opportunistic:
                self.reactor.runUntilCurrent()
        self.assertEqual(producer.log, ["pause"])
        self.until(lambda: peer.take() < 0 or "resume" in producer.log)
        self.until(lambda: peer.take() < 0 or len(peer.received) == written)
        transport.unregisterProducer()
        transport.write(b"y" * 100_000)
        self.until(lambda: peer.take() < 0 or peer.received.endswith(b"y" * 100_000))
        self.assertEqual(producer.log, ["pause", "resume"])

    def test_abortFromWithinFlush(self: Any) -> None:
        """A producer that aborts the connection when it is paused, which is inside a write, gets just that."""
        transport, protocol, _, _ = self.make(sendBuffer=4096)
        producer = Producer()
        producer.onPause = transport.abortConnection
        transport.registerProducer(producer, True)
        transport.write(b"x" * 1_000_000)
        self.turn.flush()
        self.assertEqual((producer.log, self.reactor.getWriters()), (["pause"], []))
        self.untilLost(protocol)
        self.assertEqual((producer.log, len(protocol.reasons)), (["pause", "stop"], 1))

    def test_halfClosed(self: Any) -> None:
        """
        A connection whose writing side is closed first has sent everything by then, and ends in a turn of its own.
        """
        transport, protocol, _, peer = self.make()
        transport.write(b"last words")
        if self.tls and not self.opportunistic:
            # Twisted's own TLS layer holds it back for a turn.
            self.turnOnce()
        transport.loseWriteConnection()
        self.until(lambda: peer.take() < 0 or peer.end)
        self.assertEqual((bytes(peer.received), peer.end), (b"last words", "eof"))
        transport.loseConnection()
        self.assertEqual(protocol.reasons, [])
        if self.tls:
            peer.sayGoodbye()
            self.reactor.doIteration(5)
            self.assertEqual(protocol.reasons, [])
        self.untilLost(protocol)


__all__ = ["ConnectionContract"]
