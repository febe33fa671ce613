# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.net.transport}."""

from __future__ import annotations

import errno
import random
import socket
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from muccore.net.transport import OpportunisticConnection, installOnPort, transportClass
from tests.net.connection_contract import ConnectionContract
from tests.net.sockets import Peer, Producer, Recorder, SocketTestCase, Spy, reset, serverContext, wrapSocket
from tests.net.tls_contract import TLSContract

EVENTS = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=60).map(lambda data: ("write", data)),
        st.sampled_from([("flush", 0), ("turn", 0), ("take", 7), ("take", 1000)]),
        st.integers(0, 50).map(lambda size: ("plan", size)),
    ),
    max_size=60,
)
"""What may happen to a connection."""


class PlainTests(ConnectionContract, SocketTestCase):
    """What every connection promises, with opportunistic writes in plain."""

    opportunistic = True


class EncryptedTests(ConnectionContract, SocketTestCase):
    """What every connection promises, with opportunistic writes under TLS."""

    opportunistic = True
    tls = True


class StartTLSTests(TLSContract, SocketTestCase):
    """What every connection promises about starting TLS, with opportunistic writes."""

    opportunistic = True


class SameTurnContract:
    """
    What is written leaves in the turn in which it was written. The reactor's poller is asked only where a test says
    so.
    """

    tls = False

    def make(self: Any, **settings: Any) -> tuple[Any, Recorder, Spy, Peer]:
        """Make a connection, and have a poller that must not be asked any more."""
        connection = (self.connectTLS if self.tls else self.connect)(**settings)
        self.runTurn()
        return connection

    def test_afterEvent(self: Any) -> None:
        """What is written when something was read leaves before the next poll."""
        transport, protocol, spy, peer = self.make()
        protocol.onData = lambda data: transport.write(b"answer")
        peer.send(b"question")
        self.reactor.doIteration(5)
        self.assertEqual((protocol.received, spy.sent), (b"question", []))
        self.reactor.runUntilCurrent()
        peer.takeWhenReady()
        self.assertEqual(peer.received, b"answer")

    def test_fromTimer(self: Any) -> None:
        """What is written by a timed call leaves when the call returns."""
        transport, _, _, peer = self.make()
        self.flusher.callLater(3, transport.write, b"tick")
        self.now += 3
        self.reactor.runUntilCurrent()
        peer.takeWhenReady()
        self.assertEqual(peer.received, b"tick")

    def test_fromDeferred(self: Any) -> None:
        """What is written when a result arrives from another thread leaves in that turn."""
        transport, _, _, peer = self.make()
        d: Deferred[bytes] = Deferred()
        d.addCallback(transport.write)
        self.reactor.callFromThread(d.callback, b"result")
        self.reactor.runUntilCurrent()
        peer.takeWhenReady()
        self.assertEqual(peer.received, b"result")

    def test_fromRun(self: Any) -> None:
        """What is written inside C{Turn.run} has left when it returns, without the reactor at all."""
        transport, _, _, peer = self.make()
        d: Deferred[bytes] = Deferred()
        d.addCallback(transport.write)
        self.flusher.run(d.callback, b"result")
        peer.takeWhenReady()
        self.assertEqual(peer.received, b"result")

    def test_joined(self: Any) -> None:
        """The writes of one turn are one C{send}."""
        transport, _, spy, peer = self.make()
        for n in range(500):
            transport.write(b"<presence from='%d'/>" % n)
        self.assertEqual(spy.sent, [])
        self.flusher.flush()
        self.assertEqual(len(spy.sent), 1)
        peer.takeWhenReady()
        self.assertEqual(peer.received, b"".join(b"<presence from='%d'/>" % n for n in range(500)))

    def test_joinedWhenLarge(self: Any) -> None:
        """One C{send} it is also for more than a TLS record takes."""
        transport, _, spy, peer = self.make()
        transport.write(b"x" * 40_000)
        transport.write(b"y" * 40_000)
        self.flusher.flush()
        self.assertEqual(len(spy.sent), 1)
        self.receive(peer, lambda: len(peer.received) == 80_000)
        self.assertEqual(peer.received, b"x" * 40_000 + b"y" * 40_000)

    def test_sequenceNotCopied(self: Any) -> None:
        """The pieces of a sequence wait as they are, so that what goes to many is kept once."""
        transport, _, spy, peer = self.make()
        shared = b"x" * 10_000
        transport.writeSequence((b"a", shared))
        self.assertIs(transport._outbox[-1], shared)
        self.flusher.flush()
        self.assertEqual(len(spy.sent), 1)
        self.receive(peer, lambda: peer.received == b"a" + shared)

    def test_nothingWritten(self: Any) -> None:
        """Without a write, or with an empty one, nothing is sent."""
        transport, _, spy, _ = self.make()
        self.flusher.flush()
        transport.write(b"")
        transport.writeSequence([])
        self.flusher.flush()
        transport.flush()
        self.assertEqual(spy.sent, [])

    def test_flushedOnce(self: Any) -> None:
        """Whoever writes often in a turn is noted in it once, and so is who wrote under TLS."""
        transport, *_ = self.make()
        noted = []
        self.patch(self.flusher, "schedule", noted.append)
        transport.write(b"a")
        transport.write(b"b")
        transport.flush()
        self.assertEqual(noted, [transport])

    def test_partial(self: Any) -> None:
        """What the kernel does not take goes before whatever is written later."""
        transport, _, spy, peer = self.make()
        spy.plan = [4]
        transport.write(b"0123456789")
        self.flusher.flush()
        transport.write(b"abc")
        self.flusher.flush()
        self.assertEqual([len(sent) for sent in spy.sent], [4])
        self.receive(peer, lambda: len(peer.received) == 13)
        self.assertEqual(peer.received, b"0123456789abc")

    def test_directAgainWhenDrained(self: Any) -> None:
        """When the poller has sent what was buffered, writes leave in their turn again."""
        transport, _, spy, peer = self.make()
        spy.plan = [4]
        transport.write(b"0123456789")
        self.flusher.flush()
        self.receive(peer, lambda: len(peer.received) == 10)
        self.runTurn()
        transport.write(b"abc")
        self.flusher.flush()
        peer.takeWhenReady()
        self.assertEqual(peer.received, b"0123456789abc")

    def test_full(self: Any) -> None:
        """When the kernel takes nothing at all, the poller sees to it."""
        transport, protocol, spy, peer = self.make()
        spy.plan = [BlockingIOError(errno.EAGAIN, "full")]
        transport.write(b"data")
        self.flusher.flush()
        self.assertEqual(spy.sent, [])
        self.receive(peer, lambda: peer.received == b"data")
        self.assertEqual(protocol.reasons, [])

    def test_brokenSocket(self: Any) -> None:
        """An error of the socket is left for the reactor to find: the write ends as if nothing had happened."""
        transport, protocol, spy, _ = self.make()
        spy.plan = [ConnectionResetError(errno.ECONNRESET, "reset"), BrokenPipeError(errno.EPIPE, "pipe")]
        transport.write(b"data")
        self.flusher.flush()
        self.assertEqual(protocol.reasons, [])
        self.runTurn(1)
        self.assertEqual(len(protocol.reasons), 1)

    def test_limitCountsWhatTheKernelLeft(self: Any) -> None:
        """More than the limit in one turn is no reason to end a connection whose kernel takes it."""
        transport, protocol, _, peer = self.make(outboxLimit=10_000)
        for _ in range(30):
            transport.write(b"x" * 1000)
        self.flusher.flush()
        self.receive(peer, lambda: len(peer.received) == 30_000)
        self.assertEqual(protocol.reasons, [])

    def test_limitCountsTogether(self: Any) -> None:
        """
        What was written in this turn and what is buffered from earlier ones is together never more than the limit.
        """
        transport, protocol, spy, _ = self.make(outboxLimit=10_000)
        spy.plan = [0] * 1000
        for n in range(20):
            transport.write(b"x" * 900)
            self.assertTrue(sum(map(len, transport._outbox)) + transport._buffered() <= 10_000)
            if n == 4:
                self.flusher.flush()
        self.untilLost(protocol)

    def test_joinedForEver(self: Any) -> None:
        """What has been sent counts no more: however much that was, the writes of a turn are still joined."""
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
        """When a producer has gone, the writes of a turn are joined as before it came, however large they are."""
        transport, _, spy, _ = self.make()
        transport.registerProducer(Producer(), True)
        transport.unregisterProducer()
        for _ in range(100):
            transport.write(b"x" * 1000)
        self.assertEqual(spy.sent, [])
        self.flusher.flush()
        self.assertEqual(len(spy.sent), 1)

    def test_halfCloseSendsFirst(self: Any) -> None:
        """What was written goes out before the writing side is closed, also if the turn does not end in between."""
        transport, _, _, peer = self.make()
        transport.write(b"last words")
        transport.loseWriteConnection()
        self.reactor.doIteration(5)
        while not peer.end:
            peer.takeWhenReady()
        self.assertEqual((bytes(peer.received), peer.end), (b"last words", "eof"))

    def test_limitInsideOneTurn(self: Any) -> None:
        """
        Within one turn, too, an outbox does not grow beyond the limit: writing to it is over, though not the
        connection.
        """
        transport, protocol, spy, _ = self.make(outboxLimit=10_000)
        spy.plan = [0] * 1000
        for _ in range(50):
            transport.write(b"x" * 1000)
            self.assertTrue(sum(map(len, transport._outbox)) + transport._buffered() <= 10_000)
        self.assertEqual((protocol.reasons, transport._outbox, transport._buffered()), ([], [], 0))
        self.untilLost(protocol)

    def checkOrder(self: Any, events: list[tuple[str, Any]]) -> None:
        """Let these events happen to a connection, which is used for all the examples of a test."""
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
    """In plain."""

    @settings(max_examples=25, deadline=None)
    @given(EVENTS)
    def test_anyOrderOfEvents(self, events: list[tuple[str, Any]]) -> None:
        """However writes, flushes, turns, reads and partial sends follow each other, the bytes arrive in order."""
        self.checkOrder(events)

    def test_pullProducer(self) -> None:
        """A pull producer is asked again and again, though nothing it writes needs the poller."""
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

    @settings(max_examples=25, deadline=None)
    @given(EVENTS)
    def test_anyOrderOfEvents(self, events: list[tuple[str, Any]]) -> None:
        """However writes, flushes, turns, reads and partial sends follow each other, the bytes arrive in order."""
        self.checkOrder(events)

    def test_handshakeIsFlushed(self) -> None:
        """
        What the TLS layer itself has to say leaves in the turn as well: the answer to a ClientHello is one C{send}.
        """
        transport, _, spy, peer = self.connect()
        transport.startTLS(serverContext())
        peer.startTLS()
        self.reactor.doIteration(5)
        self.reactor.runUntilCurrent()
        self.assertEqual(len(spy.sent), 1)
        peer.takeWhenReady()
        self.assertTrue(peer.handshakeDone)

    def test_goodbyeIsFlushed(self) -> None:
        """Everything that was written and close_notify leave when the connection is closed, in the turn."""
        transport, _, _, peer = self.make()
        transport.write(b"last")
        self.flusher.run(transport.loseConnection)
        while not peer.end:
            peer.takeWhenReady()
        self.assertEqual((bytes(peer.received), peer.end), (b"last", "close_notify"))


class BroadcastTests(SocketTestCase):
    """A room whose occupants vanish."""

    def broadcastToBroken(self, count: int, opportunistic: bool) -> None:
        """Reset many connections at once while a broadcast is under way; each end makes another broadcast."""
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
        heard = bytes(witnessPeer.received).split(b";")
        self.assertEqual(heard[:2], [b"first", b"second"])
        self.assertEqual(sorted(heard[2:-1]), sorted(b"left %d" % n for n in range(count)))
        self.assertEqual(depth[1], 1, "connectionLost was called from inside connectionLost")

    def test_opportunistic(self) -> None:
        """The witness sees exactly as many leave as were there, and no end happens inside another."""
        self.broadcastToBroken(300, True)

    def test_buffered(self) -> None:
        """So it is through the poller."""
        self.broadcastToBroken(100, False)


class InstallTests(SocketTestCase):
    """Ports whose connections are of our kind."""

    def listen(self, **settings: Any) -> tuple[tcp.Port, list[Recorder]]:
        """Listen on loopback."""
        protocols: list[Recorder] = []

        class Accepting(Factory):
            """Accepts whoever comes."""

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

    def test_accepted(self) -> None:
        """An accepted connection has the settings that were given, and TCP_NODELAY."""
        port, protocols = self.listen(outboxLimit=12345, closeTimeout=3.5)
        self.client(port)
        self.until(lambda: protocols)
        transport: Any = protocols[0].transport
        self.assertIsInstance(transport, OpportunisticConnection)
        self.assertEqual((transport.flusher, transport.outboxLimit, transport.closeTimeout), (self.flusher, 12345, 3.5))
        self.assertTrue(transport.getTcpNoDelay())

    def test_off(self) -> None:
        """Switched off, the connections write through the poller."""
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

    def test_portsAreApart(self) -> None:
        """The settings of one port are not those of another."""
        one, _ = self.listen(outboxLimit=1)
        two, _ = self.listen(outboxLimit=2)
        self.assertEqual((one.transport.outboxLimit, two.transport.outboxLimit), (1, 2))

    def test_directTLS(self) -> None:
        """A protocol that starts TLS as soon as it is connected speaks TLS from the first byte."""
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

    def test_oneLayerFactory(self) -> None:
        """The connections of a port share what makes their TLS layers, for as long as the context is the same."""
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
        """A port that is not TCP stays as it is."""
        port = self.reactor.listenUNIX(self.mktemp(), Factory())
        self.addCleanup(lambda: (port.stopListening(), self.reactor.runUntilCurrent()))
        before = port.transport
        self.assertFalse(installOnPort(port, transportClass(self.flusher)))
        self.assertIs(port.transport, before)

    def test_clientSide(self) -> None:
        """A connected socket can be wrapped on either side; the client's side starts TLS as client."""
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


class RandomTests(SocketTestCase):
    """Many connections at once."""

    def test_manyReaders(self) -> None:
        """
        One broadcast after another to readers of different speed: each gets everything in order, under TLS or not.
        """
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
