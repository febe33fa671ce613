# -*- test-case-name: tests.stream.bosh.test_connection -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.bosh.connection}."""

from __future__ import annotations

from twisted.logger import LogLevel

from muccore.net.outbox import HIGH, PIECE
from muccore.stream.bosh.body import WRAPPER_SIZE
from muccore.stream.bosh.stream import BACKLOG
from muccore.stream.bosh.terms import INACTIVITY, WAIT
from muccore.stream.framing import BULK_SIZE
from muccore.xmpp import ns
from muccore.xmpp.rendering import OwnStanzas, Rendered
from tests.stream.bosh import MESSAGE, Answer
from tests.stream.bosh.cases import Client
from tests.stream.bosh.test_stream import StreamCase


def element(size: int) -> bytes:
    """An element of so many bytes."""
    start, end = b"<a xmlns='urn:x'>", b"</a>"
    return start + b"x" * (size - len(start) - len(end)) + end


class ConnectionTests(StreamCase):
    """The outbox, its limits, and time."""

    def write(self, client: Client, *elements: bytes) -> None:
        """Send elements in one turn."""
        write = client.connection.write
        self.flusher.run(lambda: [write(each) for each in elements])

    def fetch(self, client: Client) -> list[Answer]:
        """Take what waits, with as many requests as that needs."""
        found = []
        while True:
            responder = client.post(MESSAGE)
            self.turn()
            if responder.answer is None:
                return found
            found.append(responder.answer)

    def assertTold(self, client: Client, condition: str) -> None:
        """Check that the client is told of an error of the stream, and nothing that waited."""
        self.turn()
        answer = client.ask()
        self.assertEqual((answer.end, answer.names), ("remote-stream-error", ["error"]))
        self.assertEqual(answer.element[0][0].tag, f"{{{ns.STREAM_ERRORS}}}{condition}")
        self.assertEqual(self.binder.sessions[-1].lost, [False])

    def test_turns(self) -> None:
        """What is written in one turn leaves in one answer at its end."""
        client = self.user()
        held = client.post()
        client.connection.write(element(50))
        client.connection.writeParts(b"<b xmlns='urn:x'", b" to='c'", b"/>")
        self.assertIsNone(held.answer)
        self.flusher.flush()
        assert held.answer is not None
        self.assertEqual(held.answer.names, ["a", "b"])

    def test_pieces(self) -> None:
        """Much is divided between answers, at the end of an element."""
        client = self.user()
        self.write(client, *[element(PIECE // 3)] * 8)
        found = self.fetch(client)
        self.assertEqual([len(answer.names) for answer in found], [4, 4])
        for answer in found:
            self.assertLess(len(answer.data), 2 * PIECE)

    def test_bulk(self) -> None:
        """Bulk is made as it is taken, and does not count for the limit."""
        self.sessions.outboxLimit = PIECE
        client = self.user()
        made = []

        def pieces() -> object:
            for number in range(10):
                made.append(number)
                yield element(PIECE // 2)

        self.flusher.run(client.connection.writeBulk, pieces(), 5 * PIECE)
        self.write(client, element(100))
        self.assertEqual(made, [])
        self.assertEqual(len(client.ask(MESSAGE).names), 2)
        self.assertEqual(made, [0, 1])
        names = [len(answer.names) for answer in self.fetch(client)]
        self.assertEqual((sum(names), len(made)), (9, 10))

    def test_limit(self) -> None:
        """Above the limit the session ends; what waited is dropped, and the client is told."""
        self.sessions.outboxLimit = 2 * PIECE
        client = self.user()
        self.write(client, *[element(PIECE)] * 2)
        self.write(client, element(10))
        self.write(client, element(PIECE))
        self.assertTold(client, "policy-violation")
        self.assertIn("outbox-overflow", "".join(self.logged.lines(LogLevel.info)))
        self.assertEqual(self.outboxes.total, 0)

    def test_limitOfAll(self) -> None:
        """If all outboxes together exceed their limit, the largest ends; answers that are kept count."""
        self.outboxes.limit = 6 * PIECE
        small, large = self.user(), self.user()
        self.write(small, element(PIECE))
        self.write(large, *[element(PIECE)] * 3)
        # What is kept is the same again.
        client = self.user()
        self.write(client, element(PIECE))
        client.post(MESSAGE)
        self.assertGreater(self.outboxes.total, 5 * PIECE)
        self.write(client, element(PIECE))
        self.turn()
        self.assertEqual(large.ask().end, "remote-stream-error")
        self.assertEqual(self.fetch(small)[0].names, ["a"])

    def test_limitOfAllAndBulk(self) -> None:
        """Bulk that was made for one client counts for all together; what is shared does not."""
        self.outboxes.limit = 2 * PIECE
        stanza = Rendered(b"<message", b"><body>" + b"x" * PIECE + b"</body></message>")
        shared = self.user()
        self.flusher.run(shared.stream.sendAll, [stanza] * 3, b"")
        self.assertEqual(self.outboxes.total, 0)
        self.assertEqual(shared.ask(MESSAGE).end, None)
        own = self.user()
        self.flusher.run(own.stream.sendAll, OwnStanzas([stanza] * 3), b"")
        self.assertTold(own, "resource-constraint")
        large = Rendered(b"<message", b"><body>" + b"x" * BULK_SIZE + b"</body></message>")
        own = self.user()
        self.flusher.run(own.stream.send, large, b"")
        self.assertTold(own, "resource-constraint")

    def test_congested(self) -> None:
        """With much to read, a client is not handled; it gets everything, and then goes on."""
        client = self.user()
        self.write(client, *[element(HIGH // 2)] * 8)
        session = self.binder.sessions[-1]
        names = []
        for _ in range(4):
            names += client.ask(MESSAGE).names
        self.assertEqual(names, ["a"] * 8)
        self.turn()
        self.assertEqual(len(session.stanzas), 4)
        self.assertFalse(client.stream.isHeld)

    def test_backlog(self) -> None:
        """What a client sends meanwhile has a limit."""
        self.configure(stanzaSize=10_000)
        self.sessions.outboxLimit = 1 << 30
        client = self.user()
        big = MESSAGE.replace("hi", "x" * 9000)
        self.write(client, *[element(HIGH)] * 20)
        answers = [client.post(big).answer for _ in range(BACKLOG * (10_000 + WRAPPER_SIZE) // 9000 + 2)]
        ends = [answer.end for answer in answers if answer is not None]
        self.assertIn("remote-stream-error", ends)
        self.assertIn("Too much was sent", "".join(self.logged.lines(LogLevel.info)))

    def test_wait(self) -> None:
        """A request is never kept waiting for longer than the client wants; the session lives on."""
        client = self.user()
        for _ in range(5):
            held = client.post()
            self.advance(WAIT - 2)
            self.assertIsNone(held.answer)
            self.advance(2)
            assert held.answer is not None
            self.assertEqual((held.answer.names, held.answer.end), ([], None))
        client = Client(self)
        client.create(wait=1)
        held = client.post()
        self.advance(1)
        self.assertIsNotNone(held.answer)

    def test_pause(self) -> None:
        """A client may pause for longer, or shorter, than it may be inactive."""
        client = self.user()
        held = client.post()
        client.ask(pause=100)
        self.assertIsNotNone(held.answer)
        self.advance(95)
        self.assertTrue(client.exists)
        client.post()
        client.ask(pause=3)
        self.advance(5)
        self.assertFalse(client.exists)

    def test_lost(self) -> None:
        """When the last connection is lost, the time of inactivity begins."""
        client = self.user()
        held = client.post()
        self.advance(30)
        held.lose()
        self.advance(INACTIVITY - 2)
        self.assertTrue(client.exists)
        self.advance(4)
        self.assertFalse(client.exists)

    def test_early(self) -> None:
        """A request for which one is missing is answered when the session ends."""
        client = self.user()
        early = client.post(rid=client.rid + 2)
        self.advance(INACTIVITY + 2)
        self.assertEnded(early.answer, "item-not-found")

    def test_farewell(self) -> None:
        """What was written before the end is in the last answer; bulk is not, and nothing after it."""
        client = self.user()
        connection = client.connection
        connection.write(element(100))
        connection.writeBulk(iter([element(50)]), 50)
        self.flusher.run(connection.loseConnection)
        connection.write(element(70))
        answer = client.ask()
        self.assertEqual((answer.end, answer.names), ("", ["a"]))
        self.turn()
        self.assertFalse(client.exists)
