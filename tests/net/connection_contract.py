# Copyright (c) The muccore authors. See LICENSE for details.
"""The behaviour of every connection, with opportunistic writes or without."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet import error

from muccore.net.connection import BoundedConnection
from tests.net.sockets import Peer, Producer, Recorder, Spy, waiting


class ConnectionContract:
    """
    The behaviour of every connection, in the clear and under TLS.

    @cvar opportunistic: whether writes are opportunistic.
    @cvar tls: whether to start TLS first.
    """

    opportunistic = False
    tls = False

    def make(self: Any, **settings: Any) -> tuple[BoundedConnection, Recorder, Spy, Peer]:
        """Make a connection."""
        connect = self.connectTLS if self.tls else self.connect
        return connect(opportunistic=self.opportunistic, **settings)

    def test_writesArriveInOrder(self: Any) -> None:
        """Thousands of writes of all sizes arrive in order, with a small kernel buffer and irregular reads."""
        choose = random.Random(7)
        transport, protocol, _, peer = self.make(sendBuffer=4096, outboxLimit=1 << 30)
        expected = b""
        for n in range(3000):
            data = b"%d;" % n * choose.choice((1, 1, 1, 20, 400))
            expected += data
            if choose.random() < 0.2:
                transport.writeSequence([data[:3], data[3:]])
            elif choose.random() < 0.2:
                transport.writeParts(data[:3], data[3:5], data[5:])
            else:
                transport.write(data)
            if choose.random() < 0.2:
                self.flusher.flush()
            if choose.random() < 0.3:
                self.runTurn()
            if choose.random() < 0.3:
                peer.take(choose.randrange(1, 20000))
        self.receive(peer, lambda: len(peer.received) >= len(expected))
        self.assertTrue(peer.received == expected)
        self.assertEqual(protocol.reasons, [])

    def test_preparations(self: Any) -> None:
        """However something is sent, what must be done before is done: after an event, in mid-turn, at the end."""
        for write in (
            lambda transport: transport.write(b"x" * 10),
            lambda transport: transport.write(b"x" * 3_000_000),
            lambda transport: transport.writeBulk(iter([b"x" * 100_000] * 30), 3_000_000),
            lambda transport: (transport.write(b"x"), transport.loseConnection()),
            # The poller has noticed both in one turn.
            lambda transport: (transport.write(b"x"), transport.doWrite()),
        ):
            transport, protocol, spy, peer = self.make(sendBuffer=8192, outboxLimit=1 << 30)
            spy.sent.clear()
            done: list[int] = []

            def prepared(spy: Spy = spy, done: list[int] = done) -> None:
                done.append(len(spy.sent))

            def act(data: bytes, transport: Any = transport, write: Any = write, prepared: Any = prepared) -> None:
                self.flusher.callBeforeSending(prepared)
                write(transport)

            protocol.onData = act
            peer.send(b"go")
            self.receive(peer, lambda peer=peer: peer.received)
            self.assertEqual(done, [0])
            if not peer.end:
                peer.sock.close()
                self.untilLost(protocol)

    def test_writesFromDataReceivedAreSent(self: Any) -> None:
        """A protocol can echo what it receives."""
        transport, protocol, _, peer = self.make()
        protocol.onData = transport.write
        peer.send(b"hello")
        self.receive(peer, lambda: peer.received == b"hello")
        self.assertEqual(protocol.received, b"hello")

    def test_switchProtocol(self: Any) -> None:
        """Another protocol gets the connection; the first one is not told of its end."""
        transport, protocol, _, peer = self.make()
        successor, producer = Recorder(), Producer()
        transport.registerProducer(producer, True)
        transport.pauseProducing()
        transport.write(b"1")
        transport.switchProtocol(successor)
        successor.transport.write(b"2")
        peer.send(b"hello")
        self.until(lambda: successor.received == b"hello")
        self.receive(peer, lambda: peer.received == b"12")
        self.assertIsNone(transport.producer)
        peer.sock.close()
        self.untilLost(successor)
        self.assertEqual((protocol.received, protocol.reasons), (b"", []))

    def test_textIsRefused(self: Any) -> None:
        """Writing text raises TypeError."""
        transport, *_ = self.make()
        self.assertRaises(TypeError, transport.write, "text")

    def test_closeDeliversEverything(self: Any) -> None:
        """C{loseConnection} first sends everything written before to a slow reader, in order."""
        transport, protocol, _, peer = self.make(sendBuffer=8192, outboxLimit=1 << 30)
        data = random.Random(1).randbytes(3_000_000)
        for start in range(0, len(data), 100_000):
            transport.write(data[start : start + 100_000])
        transport.loseConnection()
        self.receive(peer, lambda: peer.end)
        self.assertTrue(peer.received == data)
        self.assertEqual(peer.end, "close_notify" if self.tls else "eof")
        if self.tls:
            peer.sendCloseNotify()
        self.untilLost(protocol)
        self.assertTrue(protocol.reasons[0].check(error.ConnectionDone))
        self.assertEqual(self.reactor.getDelayedCalls(), [], "the timer of closing still runs")

    def test_closeDropsLaterWrites(self: Any) -> None:
        """Writes after C{loseConnection} are dropped silently."""
        transport, _, _, peer = self.make()
        transport.write(b"before")
        transport.loseConnection()
        transport.write(b"after")
        transport.writeSequence([b"after"])
        self.receive(peer, lambda: peer.end)
        self.assertEqual(peer.received, b"before")

    def test_closeTwice(self: Any) -> None:
        """Another C{loseConnection}, before or after the end, changes nothing."""
        transport, protocol, _, peer = self.make()
        transport.loseConnection()
        transport.loseConnection()
        self.assertEqual(len(self.reactor.getDelayedCalls()) - self.opportunistic * self.tls, 1)
        peer.sock.close()
        self.untilLost(protocol)
        transport.loseConnection()
        self.assertEqual((len(protocol.reasons), self.reactor.getDelayedCalls()), (1, []))

    def test_closeStopsPausedProducer(self: Any) -> None:
        """A paused producer is stopped when the connection is closed, and does not keep it open."""
        transport, protocol, _, peer = self.make(sendBuffer=4096)
        producer = Producer()
        transport.registerProducer(producer, True)
        transport.write(b"x" * 300_000)
        self.runTurn()
        self.runTurn()
        self.assertEqual(producer.log, ["pause"])
        transport.loseConnection()
        self.assertEqual(producer.log, ["pause", "stop"])
        self.receive(peer, lambda: peer.end)
        if self.tls:
            peer.sendCloseNotify()
        self.untilLost(protocol)
        self.assertEqual((len(peer.received), producer.log), (300_000, ["pause", "stop"]))

    def test_closeIsBounded(self: Any) -> None:
        """A peer that does not read keeps a closing connection open for C{closeTimeout} seconds at most."""
        transport, protocol, _, _ = self.make(sendBuffer=4096, closeTimeout=30.0)
        transport.write(b"x" * 1_000_000)
        transport.loseConnection()
        self.now += 29.9
        for _ in range(5):
            self.runTurn(0.001)
        self.assertEqual(protocol.reasons, [])
        self.now += 0.2
        self.untilLost(protocol)
        self.assertTrue(protocol.reasons[0].check(error.ConnectionAborted))

    def test_closeWhileReadingIsPaused(self: Any) -> None:
        """A connection can be closed while reading is paused."""
        transport, protocol, _, peer = self.make()
        transport.pauseProducing()
        transport.write(b"bye")
        transport.loseConnection()
        transport.pauseProducing()
        self.receive(peer, lambda: peer.end)
        self.assertEqual(peer.received, b"bye")
        if self.tls:
            peer.sendCloseNotify()
        self.untilLost(protocol)
        self.assertTrue(protocol.reasons[0].check(error.ConnectionDone))

    def test_pauseReading(self: Any) -> None:
        """Data received between C{pauseProducing} and C{resumeProducing} is delivered afterwards; writing goes on."""
        transport, protocol, _, peer = self.make()
        transport.pauseProducing()
        peer.send(b"held")
        transport.write(b"meanwhile")
        self.receive(peer, lambda: peer.received == b"meanwhile")
        self.assertEqual(protocol.received, b"")
        transport.resumeProducing()
        self.until(lambda: protocol.received == b"held")

    def test_slowReaderIsAborted(self: Any) -> None:
        """A connection with more unread bytes than the limit is aborted, not inside the write; others are not."""
        slow, slowProtocol, _, _ = self.make(sendBuffer=4096, outboxLimit=200_000)
        other, otherProtocol, _, peer = self.make(outboxLimit=200_000)
        lostInsideWrite = []
        for _ in range(400):
            for transport in (slow, other):
                transport.write(b"x" * 1000)
                self.flusher.flush()
                lostInsideWrite += slowProtocol.reasons
            if not slowProtocol.reasons:
                self.assertLessEqual(waiting(slow), 200_000)
            self.runTurn()
            peer.take()
            if slowProtocol.reasons:
                break
        self.untilLost(slowProtocol)
        self.assertEqual(lostInsideWrite, [])
        self.assertTrue(slowProtocol.reasons[0].check(error.ConnectionAborted))
        self.assertIn("200000", str(slowProtocol.reasons[0].value))
        other.write(b"last")
        self.receive(peer, lambda: peer.received.endswith(b"last"))
        self.assertEqual(otherProtocol.reasons, [])

    def test_abortReleasesMemory(self: Any) -> None:
        """A connection above the limit drops its buffer at once, and buffers nothing more."""
        transport, protocol, _, _ = self.make(sendBuffer=4096, outboxLimit=100_000)
        for _ in range(10):
            transport.write(b"x" * 1_000_000)
            self.flusher.flush()
        self.reactor.runUntilCurrent()
        transport.write(b"more")
        self.assertEqual(waiting(transport), 0)
        self.untilLost(protocol)
        transport.write(b"more")
        self.flusher.flush()
        self.assertEqual(waiting(transport), 0)

    def test_writesAfterEndAreDropped(self: Any) -> None:
        """Writes to a lost connection are dropped silently."""
        transport, protocol, _, peer = self.make()
        peer.sock.close()
        self.untilLost(protocol)
        transport.write(b"late")
        transport.writeSequence([b"late", b"r"])
        self.flusher.flush()
        self.assertEqual((waiting(transport), len(protocol.reasons)), (0, 1))

    def test_abort(self: Any) -> None:
        """C{abortConnection} calls C{connectionLost} once, in a later turn, and sends nothing more."""
        transport, protocol, _, peer = self.make(sendBuffer=4096)
        transport.write(b"x" * 500_000)
        self.flusher.flush()
        transport.abortConnection()
        transport.abortConnection()
        self.assertEqual(protocol.reasons, [])
        self.reactor.runUntilCurrent()
        self.assertEqual(len(protocol.reasons), 1)
        self.assertTrue(protocol.reasons[0].check(error.ConnectionAborted))
        self.receive(peer, lambda: peer.end)
        self.assertEqual(peer.end, "reset")

    def test_abortStopsDelivery(self: Any) -> None:
        """A protocol that aborts receives nothing more, although more has arrived."""
        transport, protocol, _, peer = self.make()
        protocol.onData = lambda data: transport.abortConnection()
        peer.send(b"first")
        if self.tls:
            peer.send(b"second")
        self.untilLost(protocol)
        self.assertEqual(protocol.chunks, [b"first"])

    def test_producerIsPausedAndResumed(self: Any) -> None:
        """A push producer is paused before the limit, and resumed when everything was sent."""
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
        self.receive(peer, lambda: "resume" in producer.log)
        self.receive(peer, lambda: len(peer.received) == written)
        transport.unregisterProducer()
        transport.write(b"y" * 100_000)
        self.receive(peer, lambda: peer.received.endswith(b"y" * 100_000))
        self.assertEqual(producer.log, ["pause", "resume"])

    def test_producerAbortsWhenPaused(self: Any) -> None:
        """A producer may abort the connection when it is paused, which is inside a write."""
        transport, protocol, _, _ = self.make(sendBuffer=4096)
        producer = Producer()
        producer.onPause = transport.abortConnection
        transport.registerProducer(producer, True)
        transport.write(b"x" * 1_000_000)
        self.flusher.flush()
        self.assertEqual((producer.log, self.reactor.getWriters()), (["pause"], []))
        self.untilLost(protocol)
        self.assertEqual((producer.log, len(protocol.reasons)), (["pause", "stop"], 1))

    def test_halfClosed(self: Any) -> None:
        """C{loseWriteConnection} first sends everything written, and ends the connection in a later turn."""
        transport, protocol, _, peer = self.make()
        transport.write(b"last words")
        if self.tls and not self.opportunistic:
            # Twisted's own TLS layer delays it by a turn.
            self.runTurn()
        transport.loseWriteConnection()
        self.receive(peer, lambda: peer.end)
        self.assertEqual((bytes(peer.received), peer.end), (b"last words", "eof"))
        transport.loseConnection()
        self.assertEqual(protocol.reasons, [])
        if self.tls:
            peer.sendCloseNotify()
            self.reactor.doIteration(5)
            self.assertEqual(protocol.reasons, [])
        self.untilLost(protocol)


__all__ = ["ConnectionContract"]
