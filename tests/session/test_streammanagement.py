# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.session.streammanagement}."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muccore.interfaces import IStreamManagement
from muccore.session.streammanagement import ACK_TIMEOUT, REQUEST_AFTER, ManagementSettings, StreamManagement
from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import Rendered, toAttribute
from tests.routing.helpers import FakeStream, xml

TO = toAttribute("romeo@localhost/orchard")
REQUEST = "<r xmlns='urn:xmpp:sm:3'/>"


class Case(SynchronousTestCase):
    """Stream management of at most 200 stanzas and 6000 bytes."""

    def setUp(self) -> None:
        """Create it."""
        self.clock = Clock()
        self.clock.advance(1_000_000_000)
        self.stream = FakeStream()
        self.overflows: list[int] = []
        self.management = StreamManagement(
            self.clock, ManagementSettings(300, 200, 6000), "localhost", self.stream, lambda: self.overflows.append(1)
        )

    def send(self, *numbers: int, text: str = "", type: str = "chat") -> None:
        """Send messages with these ids."""
        for number in numbers:
            self.management.send(Rendered.of(xml(f"<message id='{number}' type='{type}'>{text}</message>")), TO)

    def countFrom(self, start: int) -> None:
        """Pretend that as many were sent and acknowledged before."""
        self.management._sent = self.management._acknowledged = start

    def sent(self, stream: FakeStream | None = None) -> list[int | str]:
        """The ids of the messages on a stream; C{"r"} for a request."""
        elements = [xml(text) for text in (stream or self.stream).take()]
        return [int(e["id"]) if e.name == "message" else e.name for e in elements]

    def kept(self) -> list[int]:
        """The ids of the messages that are not acknowledged."""
        return [int(stanza.element["id"]) for stanza, _, _, _ in self.management.unacknowledged()]

    def assertTooHigh(self, h: int, sent: int) -> None:
        """A counter ends the stream."""
        error = self.assertRaises(StreamError, self.management.acknowledge, h)
        self.assertEqual(error.condition, "undefined-condition")
        rendered = error.render().decode()
        self.assertIn(f"<handled-count-too-high xmlns='urn:xmpp:sm:3' h='{h}' send-count='{sent}'/>", rendered)


class AcknowledgementTests(Case):
    """The queue and the counters."""

    def test_interface(self) -> None:
        """It provides its interface, and has no dictionary."""
        self.assertTrue(verifyObject(IStreamManagement, self.management))
        self.assertFalse(hasattr(self.management, "__dict__"))

    def test_several(self) -> None:
        """Stanzas sent at once count one by one, and are requested to be acknowledged after all of them."""
        self.send(1, type="groupchat")
        several = [Rendered.of(xml(f"<message id='{n}' type='groupchat'/>")) for n in range(2, REQUEST_AFTER + 3)]
        self.management.sendAll(several, TO)
        self.management.sendAll([], TO)
        self.assertEqual(self.sent(), [*range(1, REQUEST_AFTER + 3), "r"])
        self.management.acknowledge(5)
        self.assertEqual(self.kept(), list(range(6, REQUEST_AFTER + 3)))
        self.management.detach()
        self.management.sendAll(several[:2], TO)
        self.assertEqual(self.kept()[-2:], [2, 3])
        self.assertEqual(self.sent(), [])

    def test_tooManyAtOnce(self) -> None:
        """Of more presence than is kept, sent at once, the oldest is forgotten."""
        presences = [Rendered.of(xml(f"<presence id='{number}'/>")) for number in range(300)]
        self.management.sendAll(presences, TO)
        self.assertEqual((self.overflows, self.kept()[-1]), ([], 299))
        self.assertLess(len(self.management), 200)

    def test_acknowledge(self) -> None:
        """What is acknowledged is dropped; the same counter again changes nothing."""
        self.send(1, 2, 3)
        self.assertEqual(self.sent(), [1, "r", 2, 3])
        for h, kept in ((0, [1, 2, 3]), (2, [3]), (2, [3]), (3, [])):
            self.management.acknowledge(h)
            self.assertEqual((self.kept(), len(self.management)), (kept, len(kept)))

    def test_lostCount(self) -> None:
        """A client that acknowledges the same number again and again is not asked for tracked stanzas without end."""
        for number in (1, 2):
            self.management.sendTracked(Rendered.of(xml(f"<message id='{number}'/>")), TO, str(number))
        self.assertEqual(self.sent(), [1, "r", 2])
        asked = []
        for _ in range(3):
            self.management.acknowledge(1)
            asked.append(self.sent())
        self.assertEqual(asked, [["r"], [], []])
        self.assertTrue(self.management.checkAcknowledgements(1, 1))
        self.assertEqual(self.sent(), ["r"])

    def test_badCounters(self) -> None:
        """A counter above what was sent, or below an earlier one, is handled-count-too-high."""
        self.assertTooHigh(1, 0)
        self.send(1, 2, 3)
        self.assertTooHigh(4, 3)
        self.management.acknowledge(2)
        self.assertTooHigh(1, 3)
        self.assertEqual(self.kept(), [3])

    def test_wrap(self) -> None:
        """The counter is reset to zero after 2^32-1."""
        self.countFrom(2**32 - 2)
        self.send(1, 2, 3, 4)
        self.management.acknowledge(2**32 - 1)
        self.assertEqual(self.kept(), [2, 3, 4])
        self.management.acknowledge(0)
        self.assertEqual(self.kept(), [3, 4])
        self.assertTooHigh(3, 2)
        self.management.acknowledge(2)
        self.assertEqual(self.kept(), [])

    # The first example may be slow on a busy machine.
    @settings(suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))), st.integers(0, 2**32 - 1))
    def test_counting(self, steps: list[tuple[int, int]], start: int) -> None:
        """Whatever is sent and acknowledged, the rest is kept, in order, from any start."""
        self.setUp()
        self.countFrom(start)
        sent, acknowledged = 0, 0
        for more, handled in steps:
            for _ in range(more):
                self.send(sent)
                sent += 1
            acknowledged = min(sent, acknowledged + handled)
            self.management.acknowledge((start + acknowledged) % 2**32)
            expected = list(range(acknowledged, sent))
            self.assertEqual(self.kept(), expected[-200:])


class RequestTests(Case):
    """When an acknowledgement is requested."""

    def test_many(self) -> None:
        """After many stanzas it is requested at once, and again only after an answer."""
        self.send(*range(REQUEST_AFTER - 1), type="groupchat")
        self.assertNotIn("r", self.sent())
        self.send(998, 999, type="groupchat")
        self.assertEqual(self.sent(), [998, "r", 999])
        self.management.acknowledge(1)
        self.send(1000, type="groupchat")
        self.assertEqual(self.sent(), [1000, "r"])

    def test_personal(self) -> None:
        """
        After what goes elsewhere if the client does not get it, it is requested at once, and again only after an
        answer: who logs out without one would get it again.
        """
        other = (
            *(f"<message id='1' type='{type}'/>" for type in ("groupchat", "headline", "error")),
            *("<presence id='1'/>", "<presence id='1' type='subscribe'/>"),
            *("<iq id='1' type='result'/>", "<iq id='1' type='error'/>"),
        )
        personal = (
            *("<message id='1'/>", "<message id='1' type='normal'/>"),
            "<message id='1' type='chat'><body type='error'/></message>",
            *("<iq id='1' type='get'/>", "<iq id='1' type='set'/>"),
        )
        for text in (*other, *personal):
            self.setUp()
            self.management.send(Rendered.of(xml(text)), TO)
            self.management.sendAll([Rendered.of(xml(text))], TO)
            requests = self.sent().count("r")
            self.assertEqual(requests, 1 if text in personal else 0, text)
            self.management.acknowledge(2)
            self.management.sendAll([Rendered.of(xml(each)) for each in (text, other[0])], TO)
            self.assertEqual(self.sent()[2:], ["r"] * requests, text)

    def test_byTime(self) -> None:
        """What is not acknowledged for some time is requested once; nothing is if nothing was sent."""
        self.assertTrue(self.management.checkAcknowledgements(1, 0))
        self.assertEqual(self.sent(), [])
        self.send(1, type="groupchat")
        for tick in (2, 3):
            self.assertTrue(self.management.checkAcknowledgements(tick, 0))
        self.assertEqual(self.sent(), [1, "r"])

    def test_overdue(self) -> None:
        """A client that answers no request, and is silent, is overdue."""
        for send in (1, REQUEST_AFTER):
            self.setUp()
            self.send(*range(send))
            check = self.management.checkAcknowledgements
            self.assertTrue(check(5, 99))
            self.assertTrue(check(4 + ACK_TIMEOUT, 99))
            self.assertTrue(check(5 + ACK_TIMEOUT, 3))
            self.assertFalse(check(5 + ACK_TIMEOUT, 99))
            self.management.acknowledge(0)
            self.assertTrue(check(5 + ACK_TIMEOUT, 99))


class StreamTests(Case):
    """Without a stream, and with another one."""

    def test_again(self) -> None:
        """A new stream is sent what was not acknowledged, then everything else, and is asked for an acknowledgement."""
        self.send(1, 2)
        self.management.acknowledge(1)
        self.sent()
        self.management.detach()
        self.send(3)
        self.assertEqual(self.sent(), [])
        new = FakeStream()
        self.management.attach(new)
        self.send(4)
        self.assertEqual(self.sent(new), [2, 3, "r", 4])
        self.assertEqual(self.sent(), [])
        self.management.acknowledge(4)
        self.management.attach(new)
        self.assertEqual(self.sent(new), [])

    def test_manyAgain(self) -> None:
        """When many are sent again, acknowledgements are requested in between."""
        self.management.detach()
        self.send(*range(REQUEST_AFTER + 1))
        new = FakeStream()
        self.management.attach(new)
        self.assertEqual(self.sent(new), [*range(REQUEST_AFTER), "r", REQUEST_AFTER, "r"])

    def test_delay(self) -> None:
        """
        Messages that are sent again have the time of the first loss, or of their arrival after it. They were sent at
        the earliest when the queue was last empty.
        """
        self.clock.advance(5)
        self.management.checkAcknowledgements(1, 0)
        self.send(1)
        self.clock.advance(95)
        self.management.checkAcknowledgements(1, 0)
        self.management.detach()
        self.clock.advance(20)
        self.send(2)
        stamps, earliest = [], []
        for _ in range(2):
            new = FakeStream()
            self.clock.advance(500)
            self.management.attach(new)
            delays = [xml(text).child("delay", "urn:xmpp:delay") for text in new.take()]
            stamps.append([(delay["from"], delay["stamp"]) for delay in delays if delay is not None])
            self.management.detach()
            earliest.append([when - 1_000_000_000 for _, _, when, _ in self.management.unacknowledged()])
        expected = [("localhost", "2001-09-09T01:48:20Z"), ("localhost", "2001-09-09T01:48:40Z")]
        self.assertEqual((stamps, earliest), ([expected] * 2, [[5, 120]] * 2))

    def test_marks(self) -> None:
        """
        What was sent after a mark was sent at its time at the earliest, whatever is not acknowledged from before; of
        two marks in the same instant, what is between them is not later.
        """
        self.send(1)
        for number in (2, 3):
            self.clock.advance(10)
            self.management.mark()
            self.send(number)
        self.management.mark()
        self.send(4)
        self.management.detach()
        found = [when - 1_000_000_000 for _, _, when, _ in self.management.unacknowledged()]
        self.assertEqual([round(when, 3) for when in found], [0, 10, 20, 20])
        later = [when > mark for when, mark in zip(found, (0, 10, 20, 20), strict=True)]
        self.assertEqual(later, [False, True, False, True])

    def test_forgotten(self) -> None:
        """
        Above the limits, the oldest presences and messages of rooms are forgotten, an eighth of the limit; their
        acknowledgement is still expected, and nothing can be resumed from before.
        """
        self.send(0)
        self.send(*range(1, 50), type="groupchat")
        for number in range(50, 201):
            self.management.send(Rendered.of(xml(f"<presence id='{number}'/>")), TO)
        self.assertEqual(self.kept(), [0, *range(27, 201)])
        self.assertEqual([self.management.mayResumeFrom(h) for h in (0, 1, 26, 27, 201)], [False] * 3 + [True] * 2)
        self.management.acknowledge(10)
        self.assertEqual(self.kept(), list(range(27, 201)))
        self.management.acknowledge(30)
        self.assertEqual(self.kept(), list(range(30, 201)))
        self.assertTooHigh(202, 201)
        self.assertRaises(StreamError, self.management.mayResumeFrom, 202)
        self.assertEqual(self.overflows, [])

    def test_forgottenBytes(self) -> None:
        """So are those above the limit of bytes, even if nothing is left; the client is still asked."""
        self.send(1, 2, text="x" * 2500, type="groupchat")
        self.assertEqual(self.kept(), [1, 2])
        self.send(3, text="x" * 1200, type="groupchat")
        self.assertEqual(self.kept(), [2, 3])
        self.send(4, text="x" * 7000, type="groupchat")
        self.assertEqual(self.kept(), [])
        self.sent()
        self.management.checkAcknowledgements(1, 0)
        self.assertEqual(self.sent(), ["r"])
        self.management.acknowledge(4)
        self.send(5, 6, text="x" * 2500)
        self.assertEqual(self.kept(), [5, 6])
        self.assertEqual((self.overflows, self.management.isFull()), ([], False))

    def test_tooManyWithStream(self) -> None:
        """Others are never forgotten: the overflow is reported, once."""
        self.send(*range(180))
        self.send(*range(180, 201), type="groupchat")
        self.assertEqual((self.overflows, self.kept()), ([1], list(range(180))))
        self.send(*range(201, 230))
        self.assertEqual((self.overflows, self.management.isFull()), ([1], True))
        self.management.acknowledge(200)
        self.assertFalse(self.management.isFull())
        self.send(*range(230, 500))
        self.assertEqual(self.overflows, [1, 1])

    def test_memory(self) -> None:
        """No element is kept, which is larger than its bytes."""
        stanza = Rendered.of(xml("<message/>"))
        self.management.send(stanza, TO)
        self.assertIsNone(stanza.parsed)

    def test_tooManyWithoutStream(self) -> None:
        """Without a stream nothing is forgotten; the overflow is reported once."""
        self.management.detach()
        self.send(*range(210))
        self.assertEqual((self.overflows, self.kept()), ([1], list(range(210))))
        self.management.attach(self.stream)
        self.management.acknowledge(30)
        self.management.detach()
        self.send(*range(210, 250))
        self.assertEqual(self.overflows, [1, 1])
