# -*- test-case-name: tests.stream.test_flowcontrol -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.stream.flowcontrol}."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.net.flush import FlushScheduler
from muccore.stream.flowcontrol import SMALL, TIME_SLICE, InputQueue
from muccore.xmpp.element import Element
from tests.stream.doubles import END, Transport
from tests.stream.test_c2s import LOGIN, Case

HOST = "192.0.2.1"
SMALLEST = b"<iq/>"


class FlowCase(Case):
    """Streams of clients that are not exempt."""

    def log(self, stream: Any) -> list[Element]:
        """The stanzas that the session of a stream has handled."""
        return next(each for each in self.binder.sessions if each.stream is stream).stanzas

    def limited(self, **settings: Any) -> tuple[Any, Transport]:
        """Log a client in whose rates are limited by C{settings}, and let it rest."""
        self.configure(**settings)
        stream, transport = self.send(LOGIN, host=HOST)
        self.passTime(50, 0.1)
        self.assertIsNotNone(stream.session)
        transport.take()
        return stream, transport

    def passTime(self, seconds: float, step: float = 0.01) -> None:
        """Let time pass in small steps, so that each wait ends when it should."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)


class StanzaCostTests(FlowCase):
    """L{StreamSettings.stanzaCost}"""

    def test_counted(self) -> None:
        """The smallest stanzas in one read are handled at the rate that their number allows, in order."""
        stream, transport = self.limited(rate=1000, burst=5000, stanzaCost=100, addressRate=0)
        stream.dataReceived(b"".join(b"<iq id='%02d'/>" % n for n in range(100)))
        handled = self.log(stream)
        # The bytes are paid first: 13 each.
        self.assertEqual(len(handled), (5000 - 1300) // 100 + 1)
        self.assertTrue(transport.paused)
        self.passTime(1)
        self.assertIn(len(handled), (47, 48, 49))
        self.passTime(6)
        self.assertEqual([each.attributes["id"] for each in handled], [f"{n:02}" for n in range(100)])
        self.assertFalse(transport.paused)

    def test_nonzas(self) -> None:
        """Elements that are no stanzas count as well."""
        stream, transport = self.limited(rate=1000, burst=2000, stanzaCost=1000, addressRate=0)
        stream.dataReceived(b"<x xmlns='urn:x'/>" * 5)
        self.assertLess(transport.value.count(b"<y/>"), 4)
        self.passTime(5)
        self.assertEqual(transport.value.count(b"<y/>"), 5)

    def test_beforeLogin(self) -> None:
        """Elements before the log-in count as well, and the log-in goes on when they are paid."""
        self.configure(rate=1000, burst=1024, stanzaCost=1000, addressRate=0)
        stream, _ = self.connect(HOST)
        stream.dataReceived(LOGIN)
        self.assertIsNone(stream.session)
        self.passTime(10)
        self.assertIsNotNone(stream.session)

    def test_ended(self) -> None:
        """What a client has sent before the end of its stream is handled, then the end."""
        stream, transport = self.limited(rate=1000, burst=2000, stanzaCost=1000, addressRate=0)
        session = self.binder.sessions[-1]
        stream.dataReceived(SMALLEST * 4 + END)
        self.assertEqual(session.lost, [])
        self.passTime(8)
        self.assertEqual((len(session.stanzas), session.lost), (4, [True]))
        self.assertTrue(transport.ended)

    def test_lost(self) -> None:
        """What waits when the connection is lost is not handled, and leaves no timer."""
        stream, _ = self.limited(rate=1000, burst=2000, stanzaCost=1000, addressRate=0)
        session = self.binder.sessions[-1]
        stream.dataReceived(SMALLEST * 40)
        handled = len(session.stanzas)
        self.lose(stream)
        self.passTime(10)
        self.assertEqual(len(session.stanzas), handled)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_boundedMemory(self) -> None:
        """Of what was read and has to wait, little is parsed."""
        stream, _ = self.limited(rate=1000, burst=2000, stanzaCost=1000, addressRate=0)
        stream.dataReceived(SMALLEST * 12_000)
        self.assertGreater(stream._parser.buffer(b""), 12_000 * len(SMALLEST) - 5000)

    def test_notIdle(self) -> None:
        """A client that waits is not silent: it is neither asked for acknowledgements in vain nor disconnected."""
        stream, transport = self.limited(rate=100, burst=1024, stanzaCost=1024, addressRate=0)
        stream.dataReceived(b" ")
        self.configure(idleTimeout=8)
        self.clock.pump([1] * 7)
        stream.dataReceived(SMALLEST * 4)
        self.clock.pump([1] * 30)
        self.assertFalse(transport.ended)
        self.assertLess(len(self.log(stream)), 5)


class AddressRateTests(FlowCase):
    """L{StreamSettings.addressRate}"""

    def test_together(self) -> None:
        """Streams of one address share a rate, fairly, whatever their number; others are not slowed down."""
        limits = {"rate": 0, "stanzaCost": 100, "addressRate": 1000, "addressBurst": 1000}
        streams = [self.limited(**limits)[0] for _ in range(10)]
        other, _ = self.login("192.0.2.2")
        self.passTime(30)
        for stream in streams:
            stream.dataReceived(SMALLEST * 100)
        counts = [len(self.log(stream)) for stream in streams]
        self.passTime(30)
        more = [len(self.log(stream)) - count for stream, count in zip(streams, counts, strict=True)]
        # 30 s of 1000 bytes, and debts to begin with.
        self.assertGreater(sum(more), 180)
        self.assertLessEqual(sum(more), 300)
        self.assertLessEqual(max(more) - min(more), 12)
        other.dataReceived(SMALLEST * 5)
        self.assertEqual(len(self.log(other)), 5)

    def test_reconnecting(self) -> None:
        """Connecting anew brings no new allowance."""
        self.configure(rate=0, stanzaCost=100, addressRate=100, addressBurst=2000)
        handled = []
        for _ in range(3):
            stream, _ = self.send(LOGIN + SMALLEST * 20, host=HOST)
            handled.append(len(self.log(stream)) if stream.session is not None else 0)
            self.lose(stream)
        self.assertGreater(handled[0], 10)
        self.assertEqual(handled[1:], [0, 0])

    def test_exempt(self) -> None:
        """Exempt networks have no such limit."""
        self.configure(rate=0, stanzaCost=100, addressRate=100, addressBurst=1024)
        stream, transport = self.login()
        stream.dataReceived(SMALLEST * 1000)
        self.assertEqual(len(self.log(stream)), 1000)
        self.assertFalse(transport.paused)


class ChargeTests(FlowCase):
    """L{muccore.interfaces.IStream.charge}"""

    def charging(self, sent: int, delay: float, host: str = "127.0.0.1") -> tuple[Any, Transport, list[Element]]:
        """Log in a client who is charged for each stanza."""
        stream, transport = self.login(host)
        session = self.binder.sessions[-1]
        received = session.stanzaReceived

        def charge(element: Element) -> None:
            received(element)
            stream.charge(sent, delay)

        session.stanzaReceived = charge  # type: ignore[method-assign]
        return stream, transport, session.stanzas

    def test_next(self) -> None:
        """The next stanza is handled, and more is read, when the delay is over; on exempt networks, too."""
        stream, transport, handled = self.charging(0, 2)
        stream.dataReceived(SMALLEST * 2)
        stream.dataReceived(SMALLEST)
        for count in (1, 2, 3):
            self.assertEqual((len(handled), transport.paused), (count, True))
            self.clock.advance(1)
            self.assertEqual((len(handled), transport.paused), (count, True))
            self.clock.advance(1)
        self.assertEqual((len(handled), transport.paused), (3, False))

    def test_later(self) -> None:
        """What is charged after the stanza was handled holds the stream from then on; the longest delay counts."""
        stream, transport = self.login()
        stream.charge(0, 1)
        stream.charge(0, 3)
        stream.charge(0, 2)
        stream.dataReceived(SMALLEST)
        self.clock.advance(2.9)
        self.assertEqual((self.log(stream), transport.paused), ([], True))
        self.clock.advance(0.2)
        self.assertEqual((len(self.log(stream)), transport.paused), (1, False))

    def test_address(self) -> None:
        """What a client causes to be sent counts for its address."""
        self.configure(rate=0, stanzaCost=0, addressRate=1000, addressBurst=1024)
        stream, _, handled = self.charging(32 * 1000, 0, HOST)
        self.clock.advance(10)
        stream.dataReceived(SMALLEST * 100)
        self.passTime(10)
        self.assertIn(len(handled), (11, 12, 13))

    def test_closed(self) -> None:
        """A closed stream is not held."""
        stream, _ = self.login()
        stream.close(None)
        stream.charge(0, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class EncryptedTests(FlowCase):
    """L{muccore.stream.flowcontrol.FlowControl.countEncrypted}"""

    def test_withoutData(self) -> None:
        """Encrypted bytes count even if they contain nothing."""
        stream, transport = self.limited(rate=1000, burst=5000, stanzaCost=0, addressRate=0)
        for _ in range(3):
            transport.countEncrypted(4096)
        self.assertTrue(transport.paused)
        self.passTime(20)
        self.assertFalse(transport.paused)
        self.assertIsNotNone(stream.session)

    def test_once(self) -> None:
        """What they contain does not count again."""
        stream, transport = self.limited(rate=1000, burst=5000, stanzaCost=0, addressRate=0)
        transport.countEncrypted(4500)
        stream.dataReceived(b" " * 4000)
        self.assertFalse(transport.paused)


class Held:
    """A stream that does some work when it goes on, of which it has a number of pieces."""

    def __init__(self, clock: Clock, log: list[tuple[str, float]], name: str, work: float, pieces: int = 1) -> None:
        self.clock, self.log, self.name, self.work, self.pieces = clock, log, name, work, pieces
        self.queue: Any = None

    def goOn(self) -> None:
        """Work."""
        self.log.append((self.name, self.clock.seconds()))
        self.clock.rightNow += self.work
        self.pieces -= 1
        if self.pieces:
            self.queue.hold(self, self.clock.seconds())


class InputQueueTests(SynchronousTestCase):
    """L{InputQueue}"""

    def setUp(self) -> None:
        """Create one."""
        self.clock = Clock()
        self.queue = InputQueue(self.clock)
        self.log: list[tuple[str, float]] = []

    def hold(self, name: str, delay: float, work: float = 0, pieces: int = 1) -> Any:
        """Hold a stream."""
        held: Any = Held(self.clock, self.log, name, work, pieces)
        held.queue = self.queue
        return self.queue.hold(held, self.clock.seconds() + delay)

    def names(self) -> str:
        """Who has gone on."""
        return "".join(name for name, _ in self.log)

    def test_shared(self) -> None:
        """What begins later in a turn has what is left."""
        until = self.queue.begin(self.clock.seconds())
        self.assertEqual(until, TIME_SLICE)
        self.assertEqual(self.queue.begin(TIME_SLICE / 2), until)

    def test_used(self) -> None:
        """Once it is used up, nothing is left until the next turn."""
        until = self.queue.begin(0)
        self.queue.used = True
        self.hold("a", 0)
        self.clock.rightNow = 1
        self.assertEqual(self.queue.begin(1), until)
        self.clock.advance(0)
        self.assertEqual(self.queue.begin(1), 1 + TIME_SLICE)

    def test_otherTurn(self) -> None:
        """One that is over without having been used up was of an earlier turn; so is one far in the future."""
        self.queue.begin(0)
        for now in (5, 1):
            self.assertEqual(self.queue.begin(now), now + TIME_SLICE)

    def test_order(self) -> None:
        """Streams go on when they are due, by one timer."""
        for name, delay in (("c", 3), ("a", 1), ("b", 2), ("d", 3)):
            self.hold(name, delay)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        for expected in ("a", "ab", "abcd"):
            self.clock.advance(1)
            self.assertEqual(self.names(), expected)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slice(self) -> None:
        """What does not fit into a slice waits for the next turn, behind what was due before; then in order."""
        for name in "abc":
            self.hold(name, 0, TIME_SLICE * 0.7, 3)
        turns = []
        while self.clock.getDelayedCalls():
            [call] = self.clock.getDelayedCalls()
            self.clock.calls.remove(call)
            call.func(*call.args, **call.kw)
            turns.append(self.names())
        self.assertEqual(turns, ["ab", "abca", "abcabc", "abcabcab", "abcabcabc"])

    def test_behind(self) -> None:
        """While a flush has had no time for everything, nothing goes on, for some turns at most."""

        class Slow:
            """Is never done."""

            TLS = False

            def flush(self) -> None:
                """Be written to again."""
                flusher.schedule(self)

        flusher = FlushScheduler(self.clock)
        queue = InputQueue(flusher)
        held: Any = Held(self.clock, self.log, "a", 0)
        flusher.schedule(Slow())
        queue.hold(held, 0)
        for turns in range(20):
            self.assertLess(turns, 15)
            due, self.clock.calls = list(self.clock.calls), []
            for call in due:
                call.func(*call.args, **call.kw)
            if self.log:
                break
        self.assertGreater(turns, 3)

    def test_released(self) -> None:
        """What is released does not go on; with the last one the timer goes."""
        first, second = self.hold("a", 1), self.hold("b", 2)
        self.hold("c", 3)
        self.queue.release(first)
        self.clock.advance(2)
        self.assertEqual(self.names(), "b")
        self.assertEqual(second, [])
        third = self.hold("d", 1)
        self.clock.advance(1)
        self.assertEqual(sorted(self.names()), ["b", "c", "d"])
        self.assertEqual(third, [])
        last = self.hold("e", 1)
        self.queue.release(last)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ManyTests(FlowCase):
    """Many streams that have much to do in one turn."""

    def test_turn(self) -> None:
        """All together use one slice, and then one stanza each; everything is handled in the end, in order."""
        busy = 20
        streams = [self.login()[0] for _ in range(busy)]
        sessions = self.binder.sessions[-busy:]
        for session in sessions:
            received = session.stanzaReceived

            def slowly(element: Element, received: Any = received) -> None:
                received(element)
                self.clock.rightNow += TIME_SLICE / 10

            session.stanzaReceived = slowly  # type: ignore[method-assign]
        began = self.clock.seconds()
        for stream in streams:
            stream.dataReceived(b"".join(b"<iq id='%d'/>" % n for n in range(50)))
        # The first one uses the slice; the others have sent little.
        self.assertLess(self.clock.seconds() - began, TIME_SLICE * 3.2)
        for _ in range(busy * 50):
            self.clock.advance(0)
        for session in sessions:
            self.assertEqual([each.attributes["id"] for each in session.stanzas], [str(n) for n in range(50)])

    def test_large(self) -> None:
        """Once the slice is used up, what is more than a stanza is not even parsed; a stanza is handled at once."""
        (first, _), (second, _), (third, _) = (self.login() for _ in range(3))
        session = self.binder.sessions[-3]
        received = session.stanzaReceived

        def slowly(element: Element) -> None:
            received(element)
            self.clock.rightNow += TIME_SLICE * 2

        session.stanzaReceived = slowly  # type: ignore[method-assign]
        first.dataReceived(SMALLEST * 2)
        large = SMALLEST * SMALL
        second.dataReceived(large)
        for _ in range(3):
            # With nothing left to be handled it is not held.
            third.dataReceived(SMALLEST)
        self.assertEqual([len(self.log(each)) for each in (first, second, third)], [1, 0, 3])
        self.assertEqual(second._parser.buffer(b""), len(large))
        self.clock.pump([0, 0])
        self.assertEqual([len(self.log(each)) for each in (first, second, third)], [2, SMALL, 3])
