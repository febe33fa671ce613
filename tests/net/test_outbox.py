# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.net.outbox}, and for what connections do with it."""

from __future__ import annotations

from typing import Any

from twisted.internet import error
from twisted.trial.unittest import SynchronousTestCase

from muccore.net import transport as transportModule
from muccore.net.outbox import HIGH, LOW, PIECE, Bulk, Outboxes
from tests.net.sockets import Peer, Recorder, SocketTestCase, serverContext, waiting

SMALL = 16_384
"""A kernel buffer that takes little."""


class BulkTests(SynchronousTestCase):
    """L{Bulk}"""

    def test_take(self) -> None:
        """Pieces are made when they are taken, as many as are asked for, each whole."""
        made: list[int] = []

        def pieces() -> Any:
            for number in range(5):
                made.append(number)
                yield b"%d" % number * 10

        bulk = Bulk(pieces(), 50)
        self.assertEqual(made, [])
        self.assertEqual((bulk.take(11), made, bulk.size), (b"0" * 10 + b"1" * 10, [0, 1], 30))
        self.assertEqual(bulk.take(1), b"2" * 10)
        self.assertEqual(bulk.take(1000), b"3" * 10 + b"4" * 10)
        self.assertEqual((bulk.take(1), bulk.size), (b"", 0))


class Connection:
    """What reports to L{Outboxes}."""

    def __init__(self, outboxes: Outboxes) -> None:
        self.outboxes = outboxes
        self.ended: list[int] = []
        self.left = 0

    def endForAll(self, limit: int) -> None:
        """See L{Waiting<muccore.net.outbox.Waiting>}."""
        self.ended.append(limit)
        self.outboxes.report(self, self.left)


class OutboxesTests(SynchronousTestCase):
    """L{Outboxes}"""

    def setUp(self) -> None:
        """Make some connections."""
        self.outboxes = Outboxes(100)
        self.connections = [Connection(self.outboxes) for _ in range(4)]

    def report(self, *sizes: int) -> list[bool]:
        """Let each connection report a size; return which are ended by that."""
        for connection, size in zip(self.connections, sizes, strict=True):
            self.outboxes.report(connection, size)
        ended = [bool(connection.ended) for connection in self.connections]
        for connection in self.connections:
            connection.ended.clear()
        return ended

    def test_within(self) -> None:
        """Up to the limit nobody is ended, and what is sent counts no more."""
        self.assertEqual(self.report(25, 25, 25, 25), [False] * 4)
        self.assertEqual(self.report(0, 50, 25, 25), [False] * 4)
        self.assertEqual(self.report(0, 0, 0, 0), [False] * 4)
        self.assertEqual(self.outboxes.total, 0)

    def test_largest(self) -> None:
        """Above it the largest is ended, whoever has exceeded it, and so many as are necessary."""
        self.assertEqual(self.report(10, 60, 20, 11), [False, True, False, False])
        self.assertEqual(self.outboxes.total, 41)
        self.assertEqual(self.report(10, 0, 40, 200), [False, False, False, True])
        self.outboxes.limit = 15
        self.assertEqual(self.report(10, 20, 16, 0), [False, True, True, False])
        self.assertEqual(self.outboxes.total, 10)

    def test_leftOver(self) -> None:
        """One that cannot drop everything is ended once, and counts no more."""
        self.connections[0].left = 90
        self.assertEqual(self.report(101, 0, 0, 0), [True, False, False, False])
        self.assertEqual(self.outboxes.total, 0)


class Owner(Recorder):
    """A protocol that is told about its outbox."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []
        self.inside = False

    def outboxFilled(self) -> None:
        """Record it."""
        self.told.append("filled")

    def outboxDrained(self) -> None:
        """Record it."""
        self.told.append("drained")

    def outboxExceeded(self, condition: str, text: str) -> None:
        """Say why, and close."""
        assert not self.inside
        self.told.append((condition, text))
        transport: Any = self.transport
        transport.write(condition.encode())
        transport.loseConnection()


class OutboxContract:
    """What connections do, in the clear and under TLS."""

    tls = False

    def make(self: Any, **settings: Any) -> tuple[Any, Owner, Any, Peer]:
        """Make a connection with a slow reader."""
        settings = {"sendBuffer": SMALL, "protocol": Owner(), **settings}
        return (self.connectTLS if self.tls else self.connect)(**settings)

    def test_order(self: Any) -> None:
        """Bulk arrives between what was written before and after it, whatever the reader takes at a time."""
        for size in (1, 1500):
            transport, owner, _, peer = self.make(outboxLimit=100_000)
            transport.write(b"<")
            transport.writeBulk((b"%6d" % number * 100 for number in range(size)), size * 600)
            transport.write(b">")
            transport.writeBulk(iter((b"last",)), 4)
            self.flusher.flush()
            transport.write(b"!")
            expected = b"<" + b"".join(b"%6d" % number * 100 for number in range(size)) + b">last!"
            self.receive(peer, lambda peer=peer, expected=expected: len(peer.received) >= len(expected))
            self.assertTrue(peer.received == expected)
            self.assertEqual(owner.reasons, [])
            self.assertFalse(transport.isWaiting())

    def test_endOfBulk(self: Any) -> None:
        """Bulk that ends with a piece, and nothing after it, is followed by nothing, such as an empty record of TLS."""
        transport, owner, _, peer = self.make(sendBuffer=0)
        for _ in range(3):
            transport.writeBulk(iter((bytes(PIECE),)), PIECE)
            self.flusher.flush()
        transport.writeBulk(iter(()), 0)
        transport.write(b"")
        self.flusher.flush()
        self.receive(peer, lambda: len(peer.received) == 3 * PIECE)
        transport.write(b"more")
        self.receive(peer, lambda: peer.received.endswith(b"more"))
        self.assertEqual((peer.end, owner.reasons), ("", []))

    def test_madeAsRead(self: Any) -> None:
        """Bulk is made piece by piece as the reader takes it."""
        transport, _, _, peer = self.make()
        made = [0]

        def pieces() -> Any:
            for _ in range(100):
                made[0] += 1
                yield bytes(PIECE // 8)

        transport.writeBulk(pieces(), 100 * PIECE // 8)
        self.flusher.flush()
        for _ in range(5):
            self.runTurn()
        self.assertLess(made[0], 30)
        self.assertTrue(transport.isWaiting())
        self.receive(peer, lambda: made[0] > 50)
        self.assertLess(transport._buffered(), 2 * PIECE)
        self.receive(peer, lambda: len(peer.received) == 100 * PIECE // 8)

    def test_bulkIsNoOverflow(self: Any) -> None:
        """Bulk does not count for the limit, neither at once nor while pieces of it are being sent."""
        transport, owner, _, peer = self.make(outboxLimit=20_000)
        transport.writeBulk((bytes(1000) for _ in range(3000)), 3_000_000)
        transport.writeBulk(iter((bytes(1_000_000),)), 1_000_000)
        for _ in range(10):
            transport.write(bytes(1000))
            self.flusher.flush()
            self.runTurn()
        self.receive(peer, lambda: len(peer.received) == 4_010_000)
        self.assertEqual((owner.told[:2], owner.reasons), (["filled", "drained"], []))

    def test_backPressure(self: Any) -> None:
        """The protocol is told once that much waits, and once that it does not any more."""
        for bulk in (False, True):
            transport, owner, _, peer = self.make()
            if bulk:
                transport.writeBulk((bytes(1000) for _ in range(4000)), 4_000_000)
            for _ in range(0 if bulk else 40):
                transport.write(bytes(50_000))
            self.flusher.flush()
            self.assertEqual(owner.told, ["filled"])
            transport.write(b"more")
            self.flusher.flush()
            self.receive(peer, lambda owner=owner: len(owner.told) > 1)
            self.assertEqual(owner.told, ["filled", "drained"])
            self.assertLess(waiting(transport), LOW)

    def test_littleWaits(self: Any) -> None:
        """The protocol is not told of less, nor of what the kernel takes at once."""
        transport, owner, _, peer = self.make()
        transport.write(bytes(HIGH // 2))
        self.flusher.flush()
        self.receive(peer, lambda: len(peer.received) == HIGH // 2)
        fast, fastOwner, *_ = self.make(sendBuffer=0)
        fast.write(bytes(HIGH + 1))
        self.assertEqual((owner.told, fastOwner.told), ([], []))

    def test_exceeded(self: Any) -> None:
        """Above the limit what waits is dropped, and the protocol says why in a later turn; that arrives next."""
        transport, owner, _, peer = self.make(outboxLimit=300_000)
        owner.inside = True
        for _ in range(60):
            transport.write(bytes(10_000))
            self.flusher.flush()
        self.assertLessEqual(waiting(transport), PIECE + 10_000)
        owner.inside = False
        self.reactor.runUntilCurrent()
        self.assertIn(("policy-violation", "left more than 300000 bytes unread"), owner.told)
        transport.write(b"late")
        self.receive(peer, lambda: peer.end)
        self.assertTrue(peer.received.endswith(b"\0policy-violation"))
        self.assertLess(len(peer.received), 600_000)

    def test_exceededAndLost(self: Any) -> None:
        """If the connection is lost first, the protocol is not told."""
        transport, owner, _, _ = self.make(outboxLimit=300_000)
        for _ in range(60):
            transport.write(bytes(10_000))
        transport.abortConnection()
        self.untilLost(owner)
        self.assertEqual(owner.told, ["filled"])

    def test_all(self: Any) -> None:
        """Above the limit of all outboxes together, the one with the most is ended, and the others are not."""
        outboxes = Outboxes(1_000_000)
        made = [self.make(outboxes=outboxes) for _ in range(3)]
        for size, (transport, *_) in zip((300_000, 600_000, 400_000), made, strict=True):
            transport.write(bytes(size))
            self.flusher.flush()
        self.reactor.runUntilCurrent()
        ended = [[each[0] for each in owner.told if isinstance(each, tuple)] for _, owner, *_ in made]
        self.assertEqual(ended, [[], ["resource-constraint"], []])
        self.assertLess(outboxes.total, 1_000_000)
        for transport, owner, *_ in made:
            transport.abortConnection()
            self.untilLost(owner)
        self.assertEqual(outboxes.total, 0)

    def test_allWithBulk(self: Any) -> None:
        """Bulk that was made for one reader counts for the limit of all; of others there is one copy."""
        outboxes = Outboxes(1_200_000)
        made = [self.make(outboxes=outboxes) for _ in range(3)]
        for size, own, (transport, *_) in zip((900_000, 600_000, 700_000), (False, True, True), made, strict=True):
            transport.writeBulk((bytes(1000) for _ in range(size // 1000)), size, own)
            self.flusher.flush()
        self.reactor.runUntilCurrent()
        ended = [[each[0] for each in owner.told if isinstance(each, tuple)] for _, owner, *_ in made]
        self.assertEqual(ended, [[], [], ["resource-constraint"]])
        peer = made[1][-1]
        self.assertGreater(outboxes.total, 300_000)
        self.receive(peer, lambda: len(peer.received) == 600_000)
        self.assertLess(outboxes.total, PIECE)

    def test_closeDropsBulk(self: Any) -> None:
        """Closing sends what was written, without bulk that nobody has read yet."""
        transport, _, _, peer = self.make()
        transport.writeBulk((b"bulk" * 1000 for _ in range(4000)), 16_000_000)
        transport.write(b"</stream>")
        transport.loseConnection()
        transport.writeBulk(iter((b"late",)), 4)
        self.receive(peer, lambda: peer.end)
        self.assertTrue(peer.received.endswith(b"bulk</stream>"))
        self.assertLess(len(peer.received), 1_000_000)

    def test_progress(self: Any) -> None:
        """It shows whether the reader takes anything while something waits."""
        transport, _, spy, peer = self.make()
        spy.plan = [100, *[0] * 1000]
        transport.write(bytes(1_000_000))
        self.flusher.flush()
        before = transport.progress
        for _ in range(20):
            self.runTurn(0.001)
        self.assertEqual((transport.isWaiting(), transport.progress), (True, before))
        spy.plan.clear()
        self.receive(peer, lambda: transport.progress > before)

    def test_abortsOthers(self: Any) -> None:
        """A protocol that is not told anything has its connection aborted."""
        transport, protocol, _, _ = self.make(protocol=Recorder(), outboxLimit=100_000)
        transport.write(bytes(200_000))
        self.flusher.flush()
        self.untilLost(protocol)
        self.assertTrue(protocol.reasons[0].check(error.ConnectionAborted))


class PlainOutboxTests(OutboxContract, SocketTestCase):
    """In the clear."""

    def test_startTLS(self) -> None:
        """What was written before TLS is sent in the clear, though the kernel does not take it at once."""
        transport, _, _, peer = self.make()
        transport.write(bytes(500_000))
        transport.startTLS(serverContext())
        self.receive(peer, lambda: len(peer.received) == 500_000)
        self.assertTrue(transport.TLS)

    def test_partsAreShared(self) -> None:
        """What waits is kept in parts: not more than a piece of it is copied."""
        transport, _, _, _ = self.make(outboxLimit=1 << 30)
        taken: list[int] = []
        take = transport._take
        self.patch(transportModule.OpportunisticConnection, "_take", lambda each, limit: taken.append(1) or take(limit))
        for _ in range(200):
            transport.write(bytes(100_000))
        self.flusher.flush()
        self.assertLess(transport._buffered(), 2 * PIECE)
        self.assertLess(len(taken), 4)


class EncryptedOutboxTests(OutboxContract, SocketTestCase):
    """Under TLS."""

    tls = True


class PolledTests(SocketTestCase):
    """Without opportunistic writes."""

    def test_bulk(self) -> None:
        """Bulk is sent in order."""
        transport, _, _, peer = self.connect(opportunistic=False)
        transport.write(b"<")
        transport.writeBulk(iter((b"a", b"b")), 2)
        transport.write(b">")
        self.assertTrue(transport.isWaiting())
        self.receive(peer, lambda: peer.received == b"<ab>")
        self.assertFalse(transport.isWaiting())
