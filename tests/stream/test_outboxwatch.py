# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.stream.outboxwatch}, and for sending several stanzas."""

from __future__ import annotations

from collections.abc import Iterator

from muccore.stream.framing import BULK_SIZE, SEVERAL_SIZE, TCPFraming
from muccore.stream.websocketframing import WebSocketFraming
from muccore.xmpp.rendering import OwnStanzas, Rendered
from tests.stream.test_c2s import END, Case

TO = b" to='romeo@localhost/r'"


class BackPressureTests(Case):
    """A client that has much to read is not read."""

    def setUp(self) -> None:
        """Log in a client."""
        super().setUp()
        self.stream, self.transport = self.login()
        self.session = self.binder.sessions[-1]

    def ids(self) -> list[str]:
        """The stanzas handled so far."""
        return [stanza.attributes["id"] for stanza in self.session.stanzas]

    def test_paused(self) -> None:
        """It is not read until its outbox has drained."""
        self.stream.outboxFilled()
        self.assertTrue(self.transport.paused)
        self.stream.outboxDrained()
        self.clock.advance(0)
        self.assertFalse(self.transport.paused)
        self.stream.dataReceived(b"<iq id='1'/>")
        self.assertEqual(self.ids(), ["1"])

    def test_arriving(self) -> None:
        """What arrives still, because it was decrypted already, waits too."""
        self.stream.outboxFilled()
        self.stream.dataReceived(b"<iq id='1'/>")
        self.clock.advance(1)
        self.assertEqual(self.ids(), [])
        self.stream.outboxDrained()
        self.clock.advance(0)
        self.assertEqual((self.ids(), self.transport.paused), (["1"], False))

    def test_charged(self) -> None:
        """A client that also has to pay for what it caused goes on after both, whichever ends first."""
        for drained, paid in ((1, 5), (5, 1)):
            self.stream.outboxFilled()
            self.stream.charge(0, paid)
            self.stream.dataReceived(b"<iq id='1'/>")
            self.clock.callLater(drained, self.stream.outboxDrained)
            self.clock.pump([1] * 4)
            self.assertEqual((self.ids(), self.transport.paused), ([], True))
            self.clock.pump([1, 0])
            self.assertEqual((self.ids(), self.transport.paused), (["1"], False))
            self.session.stanzas.clear()

    def test_silence(self) -> None:
        """While it is not read, and just after, it is not taken for silent."""
        self.configure(idleTimeout=30, keepalive=0)
        stream, transport = self.login()
        stream.outboxFilled()
        self.clock.pump([1] * 100)
        stream.outboxDrained()
        self.clock.pump([1] * 20)
        self.assertFalse(transport.ended)
        self.clock.pump([1] * 30)
        self.assertTrue(transport.ended)

    def test_rest(self) -> None:
        """What was read already waits behind the stanza that filled the outbox, and is handled in order."""
        received = self.session.stanzaReceived

        def fill(element: object) -> None:
            received(element)  # type: ignore[arg-type]
            self.stream.outboxFilled()

        self.session.stanzaReceived = fill  # type: ignore[method-assign]
        self.stream.dataReceived(b"<iq id='1'/><iq id='2'/><iq id='3'/>")
        for expected in (["1"], ["1", "2"], ["1", "2", "3"]):
            self.assertEqual((self.ids(), self.transport.paused), (expected, True))
            self.clock.advance(1)
            self.assertEqual(self.ids(), expected)
            self.stream.outboxDrained()
            self.assertEqual(self.ids(), expected)
            self.clock.advance(0)
        self.assertFalse(self.transport.paused)

    def test_lost(self) -> None:
        """After the end of the stream nothing of it is handled."""
        received = self.session.stanzaReceived

        def fill(element: object) -> None:
            received(element)  # type: ignore[arg-type]
            self.stream.outboxFilled()

        self.session.stanzaReceived = fill  # type: ignore[method-assign]
        self.stream.dataReceived(b"<iq id='1'/><iq id='2'/>")
        self.lose(self.stream)
        self.stream.outboxDrained()
        self.clock.advance(0)
        self.assertEqual((self.ids(), self.clock.getDelayedCalls()), (["1"], []))

    def test_exceeded(self) -> None:
        """A stream error says why it ends; the session can be resumed."""
        self.stream.outboxExceeded("policy-violation", "left more than 7 bytes unread")
        self.assertIn(b"<policy-violation ", self.transport.value)
        self.assertIn(b"Left more than 7 bytes unread.", self.transport.value)
        self.assertEqual(self.transport.log[-2:], [END, "lose"])
        self.assertEqual(self.session.lost, [False])

    def test_exceededAtTheEnd(self) -> None:
        """A stream that is closing is aborted."""
        self.stream.close(None)
        self.stream.outboxExceeded("policy-violation", "left more than 7 bytes unread")
        self.assertEqual(self.transport.log[-1], "abort")


class StallTests(Case):
    """L{StreamSettings.stallTimeout}"""

    def setUp(self) -> None:
        """Log in a client that is to read something every 40 seconds."""
        super().setUp()
        self.configure(stallTimeout=40, keepalive=0)
        self.stream, self.transport = self.login()

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.pump([1.0] * seconds)

    def test_ended(self) -> None:
        """A client that takes nothing is told why it is ended, instead of what waits; the session can be resumed."""
        self.transport.waiting = True
        self.wait(40)
        self.assertFalse(self.transport.ended)
        self.wait(40 + 15)
        self.assertEqual(self.transport.log[0], "drop")
        self.assertIn(b"<connection-timeout ", self.transport.value)
        self.assertEqual(self.transport.log[-2:], [END, "lose"])
        self.assertEqual(self.binder.sessions[-1].lost, [False])

    def test_slow(self) -> None:
        """One that takes little of much is not ended."""
        self.transport.waiting = True
        for _ in range(20):
            self.wait(30)
            self.transport.progress += 1
        self.assertFalse(self.transport.ended)

    def test_idle(self) -> None:
        """One for which nothing waits is not ended, nor one for which something waits now and then."""
        for _ in range(10):
            self.wait(30)
            self.transport.waiting = not self.transport.waiting
        self.assertFalse(self.transport.ended)


class SendAllTests(Case):
    """L{IStream.sendAll}"""

    def sendSeveral(self, count: int, size: int, head: bytes = b"<presence") -> None:
        """Send stanzas at once, and check what is sent."""
        stream, transport = self.login()
        stanzas = [Rendered(head, b" id='%d'>%s</presence>" % (n, b"x" * size)) for n in range(count)]
        stanzas += [Rendered(b"<message", b"/>")] * (head == b"<iq")
        stream.sendAll(stanzas, TO)
        self.assertEqual(transport.value, b"".join(stanza.addressed(TO) for stanza in stanzas))

    def test_each(self) -> None:
        """However many and large they are, each is sent whole, in order."""
        for count, size in ((0, 0), (1, 10), (10, 10), (1, SEVERAL_SIZE), (10, SEVERAL_SIZE), (5000, 30)):
            self.sendSeveral(count, size)

    def test_mixed(self) -> None:
        """They may be of several kinds."""
        self.sendSeveral(3, 10, b"<iq")

    def test_own(self) -> None:
        """What was made for the reader is marked."""
        bulk: list[bool] = []
        stanzas = [Rendered(b"<message", b">" + b"x" * SEVERAL_SIZE + b"</message>")] * 3
        for framingClass in TCPFraming, WebSocketFraming:

            class Framing(framingClass):  # type: ignore[misc, valid-type]
                """One that can be made."""

            framing = Framing()
            framing._ended = False
            framing.transport = self.login()[1]
            self.patch(framing.transport, "writeBulk", lambda pieces, size, own: bulk.append(own))
            framing.sendAll(stanzas, TO)
            framing.sendAll(OwnStanzas(stanzas), TO)
        self.assertEqual(bulk, [False, True] * 2)

    def test_large(self) -> None:
        """One large answer is sent as it is read."""
        stream, transport = self.login()
        bulk: list[int] = []

        def writeBulk(pieces: Iterator[bytes], size: int, own: bool) -> None:
            """Record it."""
            self.assertTrue(own)
            bulk.append(len(b"".join(pieces)))

        self.patch(transport, "writeBulk", writeBulk)
        stanza = Rendered(b"<iq", b">" + b"x" * BULK_SIZE + b"</iq>")
        stream.send(stanza, TO)
        self.assertEqual(bulk, [len(stanza.addressed(TO))])
