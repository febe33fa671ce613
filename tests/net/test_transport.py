# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.net.transport}."""

from __future__ import annotations

import errno
import gc
import random
import socket
import sys
from typing import Any
from weakref import ref

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet import error, tcp
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from muccore.net.transport import OpportunisticConnection, installOnPort, transportClass
from tests.net.connection_contract import ConnectionContract
from tests.net.sockets import Peer, Producer, Recorder, SocketTestCase, Spy, reset, serverContext, waiting, wrapSocket
from tests.net.tls_contract import TLSContract

EVENTS = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=60).map(lambda data: ("write", data)),
        st.sampled_from([("flush", 0), ("turn", 0), ("take", 7), ("take", 1000)]),
        st.integers(0, 50).map(lambda size: ("plan", size)),
    ),
    max_size=60,
)
"""Random operations on a connection."""


class PlainTests(ConnectionContract, SocketTestCase):
    """Opportunistic writes in the clear."""

    opportunistic = True


class EncryptedTests(ConnectionContract, SocketTestCase):
    """Opportunistic writes under TLS."""

    opportunistic = True
    tls = True


class StartTLSTests(TLSContract, SocketTestCase):
    """Starting TLS with opportunistic writes."""

    opportunistic = True

    def test_freedAtOnce(self) -> None:
        """
        A connection that ends is freed without the garbage collector, however it ends: thousands at once would be one
        long run of it.
        """
        for end in (lambda peer: peer.sock.close(), Peer.sendCloseNotify, lambda peer: reset(peer.sock)):
            transport, protocol, _, peer = self.connectTLS()
            layer = ref(transport.protocol)
            gc.collect()
            gc.disable()
            self.addCleanup(gc.enable)
            end(peer)
            self.untilLost(protocol)
            self.assertTrue(protocol.reasons[0].check(error.ConnectionLost, error.ConnectionDone))
            self.transports.remove(transport)
            # That of a test; the server drops it as well.
            protocol.transport = None
            freed = ref(transport)
            del transport
            self.assertIsNone(layer())
            self.assertIsNone(freed())


class SameTurnContract:
    """Writes are sent in the reactor turn in which they were made. The poller runs only where a test calls it."""

    tls = False

    def make(self: Any, **settings: Any) -> tuple[Any, Recorder, Spy, Peer]:
        """Make a connection, and run the poller a last time."""
        connection = (self.connectTLS if self.tls else self.connect)(**settings)
        self.runTurn()
        return connection

    def test_afterEvent(self: Any) -> None:
        """Writes from C{dataReceived} are sent before the next poll."""
        transport, protocol, spy, peer = self.make()
        protocol.onData = lambda data: transport.write(b"answer")
        peer.send(b"question")
        self.reactor.doIteration(5)
        self.assertEqual((protocol.received, spy.sent), (b"question", []))
        self.reactor.runUntilCurrent()
        peer.takeWhenReady()
        self.assertEqual(peer.received, b"answer")

    def test_fromTimer(self: Any) -> None:
        """Writes from a timed call are sent when it returns."""
        transport, _, _, peer = self.make()
        self.flusher.callLater(3, transport.write, b"tick")
        self.now += 3
        self.reactor.runUntilCurrent()
        peer.takeWhenReady()
        self.assertEqual(peer.received, b"tick")

    def test_fromDeferred(self: Any) -> None:
        """Writes on a result from another thread are sent in that turn."""
        transport, _, _, peer = self.make()
        d: Deferred[bytes] = Deferred()
        d.addCallback(transport.write)
        self.reactor.callFromThread(d.callback, b"result")
        self.reactor.runUntilCurrent()
        peer.takeWhenReady()
        self.assertEqual(peer.received, b"result")

    def test_fromRun(self: Any) -> None:
        """Writes inside C{FlushScheduler.run} are sent when it returns, without the reactor."""
        transport, _, _, peer = self.make()
        d: Deferred[bytes] = Deferred()
        d.addCallback(transport.write)
        self.flusher.run(d.callback, b"result")
        peer.takeWhenReady()
        self.assertEqual(peer.received, b"result")

    def test_joined(self: Any) -> None:
        """The writes of one turn are one C{send}, also if they fill several TLS records."""
        for pieces in ([b"<presence from='%d'/>" % n for n in range(500)], [b"x" * 40_000, b"y" * 40_000]):
            transport, _, spy, peer = self.make()
            for piece in pieces:
                transport.write(piece)
            self.assertEqual(spy.sent, [])
            self.flusher.flush()
            self.assertEqual(len(spy.sent), 1)
            self.receive(peer, lambda pieces=pieces, peer=peer: peer.received == b"".join(pieces))

    def test_sequenceNotCopied(self: Any) -> None:
        """The pieces of a sequence are kept as they are: large data for many recipients is kept once."""
        transport, _, spy, peer = self.make()
        shared = b"x" * 10_000
        before = sys.getrefcount(shared)
        transport.writeSequence((b"a", shared))
        self.assertEqual(sys.getrefcount(shared), before + 1)
        self.flusher.flush()
        self.assertEqual(len(spy.sent), 1)
        self.receive(peer, lambda: peer.received == b"a" + shared)

    def test_partsNotCopied(self: Any) -> None:
        """The parts of a stanza are kept as they are until it is sent, however small, in order with other writes."""
        transport, _, spy, peer = self.make()
        head, tail = b"<message"[:], bytes(bytearray(b"><body>hi</body></message>"))
        before = sys.getrefcount(tail)
        transport.write(b"<a/>")
        for number in range(3):
            transport.writeParts(head, b" to='%d'" % number, tail)
        transport.write(b"<b/>")
        self.assertEqual(sys.getrefcount(tail), before + 3)
        self.flusher.flush()
        self.assertEqual((len(spy.sent), sys.getrefcount(tail)), (1, before))
        expected = b"<a/>" + b"".join(head + b" to='%d'" % number + tail for number in range(3)) + b"<b/>"
        self.receive(peer, lambda: peer.received == expected)

    def test_nothingWritten(self: Any) -> None:
        """Without a write, or after empty ones, nothing is sent."""
        transport, _, spy, _ = self.make()
        self.flusher.flush()
        transport.write(b"")
        transport.writeSequence([])
        self.flusher.flush()
        transport.flush()
        self.assertEqual(spy.sent, [])

    def test_scheduledOnce(self: Any) -> None:
        """A connection with several writes in a turn is scheduled once."""
        transport, *_ = self.make()
        scheduled = []
        self.patch(self.flusher, "schedule", scheduled.append)
        transport.write(b"a")
        transport.write(b"b")
        transport.flush()
        self.assertEqual(scheduled, [transport])

    def test_partialSend(self: Any) -> None:
        """What the kernel does not take precedes later writes; after it, writes are sent in their turn again."""
        transport, _, spy, peer = self.make()
        spy.plan = [4]
        transport.write(b"0123456789")
        self.flusher.flush()
        transport.write(b"abc")
        self.flusher.flush()
        self.assertEqual([len(sent) for sent in spy.sent], [4])
        self.receive(peer, lambda: len(peer.received) == 13)
        self.runTurn()
        transport.write(b"def")
        self.flusher.flush()
        peer.takeWhenReady()
        self.assertEqual(peer.received, b"0123456789abcdef")

    def test_kernelTakesNothing(self: Any) -> None:
        """What the kernel does not take at all is sent by the poller."""
        transport, protocol, spy, peer = self.make()
        spy.plan = [BlockingIOError(errno.EAGAIN, "full")]
        transport.write(b"data")
        self.flusher.flush()
        self.assertEqual(spy.sent, [])
        self.receive(peer, lambda: peer.received == b"data")
        self.assertEqual(protocol.reasons, [])

    def test_brokenSocket(self: Any) -> None:
        """An error of C{send} is left to the reactor: C{connectionLost} runs in a later turn."""
        transport, protocol, spy, _ = self.make()
        spy.plan = [ConnectionResetError(errno.ECONNRESET, "reset"), BrokenPipeError(errno.EPIPE, "pipe")]
        transport.write(b"data")
        self.flusher.flush()
        self.assertEqual(protocol.reasons, [])
        self.runTurn(1)
        self.assertEqual(len(protocol.reasons), 1)

    def test_limitAppliesAfterSending(self: Any) -> None:
        """Writes above the limit in one turn are allowed if the kernel takes them."""
        transport, protocol, _, peer = self.make(outboxLimit=10_000)
        for _ in range(30):
            transport.write(b"x" * 1000)
        self.flusher.flush()
        self.receive(peer, lambda: len(peer.received) == 30_000)
        self.assertEqual(protocol.reasons, [])

    def test_limit(self: Any) -> None:
        """The writes of this turn and the buffered earlier ones never exceed the limit, even within a turn."""
        for flushAt in (4, None):
            transport, protocol, spy, _ = self.make(outboxLimit=10_000)
            spy.plan = [0] * 1000
            for n in range(20):
                transport.write(b"x" * 900)
                self.assertLessEqual(waiting(transport), 10_000)
                if n == flushAt:
                    self.flusher.flush()
            self.assertEqual((protocol.reasons, waiting(transport)), ([], 0))
            self.untilLost(protocol)

    def test_sentBytesDoNotCount(self: Any) -> None:
        """Bytes that were sent count no more: the writes of a turn are still joined."""
        transport, _, spy, peer = self.make(outboxLimit=10_000)
        for _ in range(30):
            transport.write(b"x" * 1000)
            self.flusher.flush()
            peer.takeWhenReady()
        spy.sent.clear()
        transport.write(b"one")
        transport.write(b"two")
        self.assertEqual(spy.sent, [])
        self.flusher.flush()
        self.assertEqual(len(spy.sent), 1)

    def test_joinedAfterProducer(self: Any) -> None:
        """After a producer is unregistered, the writes of a turn are joined as before."""
        transport, _, spy, _ = self.make()
        transport.registerProducer(Producer(), True)
        transport.unregisterProducer()
        for _ in range(100):
            transport.write(b"x" * 1000)
        self.assertEqual(spy.sent, [])
        self.flusher.flush()
        self.assertEqual(len(spy.sent), 1)

    def test_loseWriteConnectionFlushes(self: Any) -> None:
        """C{loseWriteConnection} sends what was written in the same turn first."""
        transport, _, _, peer = self.make()
        transport.write(b"last words")
        transport.loseWriteConnection()
        self.reactor.doIteration(5)
        while not peer.end:
            peer.takeWhenReady()
        self.assertEqual((bytes(peer.received), peer.end), (b"last words", "eof"))

    @settings(max_examples=25, suppress_health_check=[HealthCheck.differing_executors])
    @given(EVENTS)
    def test_orderOfBytes(self: Any, events: list[tuple[str, Any]]) -> None:
        """The bytes arrive in order for any sequence of writes, flushes, turns, reads and partial sends."""
        if not hasattr(self, "_shared"):
            self._shared = self.make()
        transport, protocol, spy, peer = self._shared
        spy.plan.clear()
        peer.received.clear()
        expected = b""
        for event, value in events:
            if event == "write":
                transport.write(value)
                expected += value
            elif event == "flush":
                self.flusher.flush()
            elif event == "turn":
                self.runTurn()
            elif event == "take":
                peer.take(value)
            else:
                spy.plan.append(value)
        self.flusher.flush()
        self.receive(peer, lambda: len(peer.received) >= len(expected))
        self.assertEqual(peer.received, expected)
        self.assertEqual(protocol.reasons, [])


class PlainSameTurnTests(SameTurnContract, SocketTestCase):
    """In the clear."""

    def test_pullProducer(self) -> None:
        """A pull producer is resumed repeatedly, although its writes do not need the poller."""
        transport, _, _, peer = self.make()
        pieces = [b"one", b"two", b"three"]
        producer = Producer()
        producer.onResume = lambda: transport.write(pieces.pop(0)) if pieces else transport.unregisterProducer()
        transport.registerProducer(producer, False)
        self.until(lambda: len(producer.log) == 4)
        self.receive(peer, lambda: peer.received == b"onetwothree")
        for _ in range(3):
            self.runTurn()
        self.assertEqual(producer.log, ["resume"] * 4)


class EncryptedSameTurnTests(SameTurnContract, SocketTestCase):
    """Under TLS."""

    tls = True

    def test_handshakeIsFlushed(self) -> None:
        """The output of the TLS layer is sent in the turn: the answer to a ClientHello is one C{send}."""
        transport, _, spy, peer = self.connect()
        transport.startTLS(serverContext())
        peer.startTLS()
        self.reactor.doIteration(5)
        self.reactor.runUntilCurrent()
        self.assertEqual(len(spy.sent), 1)
        peer.takeWhenReady()
        self.assertTrue(peer.handshakeDone)

    def test_closeNotifyIsFlushed(self) -> None:
        """C{loseConnection} sends everything written and close_notify in the turn."""
        transport, _, _, peer = self.make()
        transport.write(b"last")
        self.flusher.run(transport.loseConnection)
        while not peer.end:
            peer.takeWhenReady()
        self.assertEqual((bytes(peer.received), peer.end), (b"last", "close_notify"))


class BroadcastTests(SocketTestCase):
    """Broadcasts to connections that are lost."""

    def broadcastToBroken(self, count: int, opportunistic: bool) -> None:
        """Reset many connections at once during a broadcast; each lost connection causes another broadcast."""
        room: list[Any] = []
        depth = [0, 0]

        def enter(name: bytes) -> tuple[Any, Peer]:
            transport, protocol, _, peer = self.connect(opportunistic=opportunistic)
            room.append(transport)

            def left() -> None:
                depth[0] += 1
                depth[1] = max(depth)
                room.remove(transport)
                for other in room:
                    other.write(b"left %s;" % name)
                depth[0] -= 1

            protocol.onLost = left
            return transport, peer

        _, witnessPeer = enter(b"witness")
        peers = [enter(b"%d" % n)[1] for n in range(count)]
        for other in room:
            other.write(b"first;")
        for peer in peers[: count // 2]:
            reset(peer.sock)
        self.flusher.flush()
        for other in room:
            other.write(b"second;")
        for peer in peers[count // 2 :]:
            reset(peer.sock)
        self.flusher.flush()
        self.assertEqual(len(room), count + 1, "a connection was lost inside a write")
        self.until(lambda: len(room) == 1)
        self.receive(witnessPeer, lambda: witnessPeer.received.count(b"left ") >= count)
        received = bytes(witnessPeer.received).split(b";")
        self.assertEqual(received[:2], [b"first", b"second"])
        self.assertEqual(sorted(received[2:-1]), sorted(b"left %d" % n for n in range(count)))
        self.assertEqual(depth[1], 1, "connectionLost was called from inside connectionLost")

    def test_opportunistic(self) -> None:
        """Each lost connection is broadcast once, and none is lost inside another's C{connectionLost}."""
        self.broadcastToBroken(300, True)

    def test_throughThePoller(self) -> None:
        """The same holds for writes through the poller."""
        self.broadcastToBroken(100, False)


class InstallOnPortTests(SocketTestCase):
    """L{installOnPort} and L{transportClass}"""

    def listen(self, **settings: Any) -> tuple[tcp.Port, list[Recorder]]:
        """Listen on loopback."""
        protocols: list[Recorder] = []

        class Accepting(Factory):
            """Accepts every connection."""

            noisy = False

            def buildProtocol(self, addr: object) -> Recorder:
                protocols.append(Recorder())
                return protocols[-1]

        port = self.reactor.listenTCP(0, Accepting(), interface="127.0.0.1")
        self.assertTrue(installOnPort(port, transportClass(self.flusher, **settings)))

        def stop() -> None:
            for protocol in protocols:
                if protocol.transport is not None:
                    protocol.transport.abortConnection()
            port.stopListening()
            self.reactor.runUntilCurrent()

        self.addCleanup(stop)
        return port, protocols

    def client(self, port: tcp.Port) -> Peer:
        """Connect to a port."""
        sock = socket.create_connection(("127.0.0.1", port.getHost().port))
        self.sockets.append(sock)
        return Peer(sock)

    def test_settings(self) -> None:
        """An accepted connection has the settings of the class, and TCP_NODELAY."""
        port, protocols = self.listen(outboxLimit=12345, closeTimeout=3.5)
        self.client(port)
        self.until(lambda: protocols)
        transport: Any = protocols[0].transport
        self.assertIsInstance(transport, OpportunisticConnection)
        self.assertEqual((transport.flusher, transport.outboxLimit, transport.closeTimeout), (self.flusher, 12345, 3.5))
        self.assertTrue(transport.getTcpNoDelay())

    def test_notOpportunistic(self) -> None:
        """Without opportunistic writes, connections write through the poller."""
        port, protocols = self.listen(opportunistic=False)
        peer = self.client(port)
        self.until(lambda: protocols)
        self.assertNotIsInstance(protocols[0].transport, OpportunisticConnection)
        protocols[0].transport.write(b"data")
        self.flusher.flush()
        self.reactor.runUntilCurrent()
        self.assertEqual(peer.take(), 0)
        self.reactor.doIteration(1)
        peer.takeWhenReady()
        self.assertEqual(peer.received, b"data")

    def test_settingsPerPort(self) -> None:
        """Each port has its own settings."""
        one, _ = self.listen(outboxLimit=1)
        two, _ = self.listen(outboxLimit=2)
        self.assertEqual((one.transport.outboxLimit, two.transport.outboxLimit), (1, 2))

    def test_directTLS(self) -> None:
        """A protocol that starts TLS in C{makeConnection} uses TLS from the first byte."""
        port, _ = self.listen()
        connected = Recorder.makeConnection

        def makeConnection(protocol: Recorder, transport: Any) -> None:
            connected(protocol, transport)
            transport.startTLS(serverContext())
            protocol.onData = transport.write

        self.patch(Recorder, "makeConnection", makeConnection)
        peer = self.client(port)
        peer.startTLS()
        self.receive(peer, lambda: peer.handshakeDone)
        peer.send(b"echo")
        self.receive(peer, lambda: peer.received == b"echo")

    def test_tlsFactoryIsShared(self) -> None:
        """The connections of a port share the factory of their TLS layers while the context is the same."""
        port, protocols = self.listen()
        factories = []
        for context in (serverContext(), serverContext(), serverContext.__wrapped__()):
            self.client(port)
            self.until(lambda: len(protocols) == len(factories) + 1)
            protocols[-1].transport.startTLS(context)
            factories.append(protocols[-1].transport.protocol.factory)
        self.assertIs(factories[0], factories[1])
        self.assertIsNot(factories[0], factories[2])

    def test_unixPort(self) -> None:
        """A port that is not TCP is not changed."""
        port = self.reactor.listenUNIX(self.mktemp(), Factory())
        self.addCleanup(lambda: (port.stopListening(), self.reactor.runUntilCurrent()))
        before = port.transport
        self.assertFalse(installOnPort(port, transportClass(self.flusher)))
        self.assertIs(port.transport, before)

    def test_clientSide(self) -> None:
        """A connection can be the client of the TLS handshake."""
        one, two = self.socketPair()
        made = transportClass(self.flusher)
        served, connecting = Recorder(), Recorder()
        server = wrapSocket(one, served, made, self.reactor)
        client = wrapSocket(two, connecting, made, self.reactor)
        self.transports += [server, client]
        server.startTLS(serverContext())
        client.startTLS(serverContext(), normal=False)
        client.write(b"hello")
        self.until(lambda: served.received == b"hello")
        client.loseConnection()
        self.untilLost(served)
        self.untilLost(connecting)


class ReaderSpeedTests(SocketTestCase):
    """Readers of different speed."""

    def test_broadcasts(self) -> None:
        """All readers receive all broadcasts in order, with and without TLS."""
        choose = random.Random(3)
        connections = [
            (self.connectTLS if n % 2 else self.connect)(sendBuffer=4096, outboxLimit=1 << 30) for n in range(8)
        ]
        expected = b""
        for n in range(400):
            data = b"<%d>" % n * choose.randrange(1, 100)
            expected += data
            for transport, *_ in connections:
                transport.write(data)
            self.runTurn()
            for speed, (*_, peer) in enumerate(connections):
                peer.take(1 + speed * 200)
        for *_, peer in connections:
            self.receive(peer, lambda peer=peer: len(peer.received) >= len(expected))
            self.assertTrue(peer.received == expected)
