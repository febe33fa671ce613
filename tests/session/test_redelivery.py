# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.session.redelivery}, with the domain of the accounts."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.im.carbons import CarbonsHandler
from muccore.interfaces.filters import ARCHIVE, CONSUMED, STORE
from muccore.routing.handler import Handler
from muccore.session.redelivery import BATCH, TIME_SLICE
from muccore.xmpp import ns, rendering
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered, toAttribute
from tests.routing.helpers import Client, FakeStream, Server, conditions, xml

DELAY = "<delay from='localhost' stamp='2001-09-09T01:46:40Z' xmlns='urn:xmpp:delay'/>"


class Store(Handler):
    """An offline store."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: list[Element] = []

    def onOffline(self, element: Element, to: object) -> object:
        """Store a message."""
        self.stored.append(element)
        return CONSUMED

    offline = {("message", STORE): onOffline}


class Seen(Handler):
    """Notes who gets messages."""

    def __init__(self) -> None:
        super().__init__()
        self.recipients: list[Any] = []

    def onMessage(self, element: Element, to: JID, recipients: Any) -> Element:
        """Note them."""
        self.recipients.append(recipients)
        return element

    inbound = {("message", ARCHIVE): onMessage}


class RedeliveryTests(SynchronousTestCase):
    """Juliet sends; Romeo's phone does not acknowledge."""

    def setUp(self) -> None:
        """Connect both."""
        self.server = Server()
        self.server.clock.advance(1_000_000_000)
        self.juliet = self.server.connect("juliet@localhost/balcony")
        self.phone = self.connect("phone")
        self.phone.session.enableManagement(True, None)

    def connect(self, resource: str, priority: int = 0) -> Client:
        """Connect a client of Romeo."""
        presence = f"<presence><priority>{priority}</priority></presence>"
        return self.server.connect(f"romeo@localhost/{resource}", presence)

    def send(self, to: str, type: str = "chat") -> None:
        """Send a message, which reaches the phone."""
        self.juliet.send(f"<message type='{type}' to='{to}'><body>hi</body></message>")
        self.assertIn(b"hi", self.phone.stream.data)

    def end(self) -> None:
        """End the session of the phone."""
        self.phone.vanish()
        self.phone.session.end()
        self.server.clock.advance(0)

    def acknowledge(self, client: Client | None = None) -> None:
        """Acknowledge everything that the phone, or another client, was sent."""
        management = (client or self.phone).session.management
        assert management is not None
        management.acknowledge(len(management))

    def turn(self) -> None:
        """Do what is due in one turn of the reactor."""
        for call in list(self.server.clock.getDelayedCalls()):
            function: Any = call.func  # type: ignore[attr-defined]
            call.cancel()
            function()

    def test_otherResource(self) -> None:
        """A chat message goes to another resource, with a delay stamp."""
        laptop = self.connect("laptop", -1)
        for to in ("romeo@localhost", "romeo@localhost/phone"):
            self.setUp()
            laptop = self.connect("laptop", -1)
            self.send(to)
            laptop.send("<presence><priority>1</priority></presence>")
            laptop.take()
            self.end()
            [_, message] = laptop.take()
            self.assertIn('stamp="2001-09-09T01:46:40Z"', message)
            self.assertEqual(self.juliet.take(), [])

    def copying(self) -> Client:
        """Connect a client that gets copies, and never a message that is addressed to the account."""
        self.server.add("localhost", CarbonsHandler())
        laptop = self.connect("laptop", -1)
        laptop.ask(f"<iq type='set' id='1'><enable xmlns='{ns.CARBONS}'/></iq>")
        self.server.clock.advance(1)
        return laptop

    def test_copied(self) -> None:
        """What another client has got a copy of (XEP-0280) is not sent to it again, whoever it was addressed to."""
        laptop = self.copying()
        self.phone.session.management = None
        self.phone.session.enableManagement(True, None)
        for to in ("romeo@localhost", "romeo@localhost/phone"):
            self.send(to)
        self.assertEqual(len(laptop.take()), 2)
        laptop.send("<presence/>")
        laptop.take()
        self.end()
        self.assertEqual([each for each in laptop.take() if "hi" in each], [])
        self.assertEqual(self.juliet.take(), [])

    def test_copyLost(self) -> None:
        """
        If the other client has not acknowledged the copy either, the message is not lost with it, nor told twice to a
        third one, which has.
        """
        for third in (False, True):
            self.setUp()
            store = Store()
            self.server.add("localhost", store)
            laptop = self.copying()
            laptop.session.enableManagement(True, None)
            for client in (self.phone, laptop):
                self.acknowledge(client)
            if third:
                tablet = self.connect("tablet", -1)
                tablet.ask(f"<iq type='set' id='1'><enable xmlns='{ns.CARBONS}'/></iq>")
                self.server.clock.advance(1)
                for client in (self.phone, laptop):
                    self.acknowledge(client)
            laptop.vanish()
            for to in ("romeo@localhost", "romeo@localhost/phone", "Romeo@localhost/phone"):
                self.send(to)
            self.end()
            self.assertEqual(store.stored, [])
            laptop.session.end()
            self.server.clock.advance(0)
            self.assertEqual([each.childText("body") for each in store.stored], [] if third else ["hi"] * 3)
            self.assertEqual(self.juliet.take(), [])

    def test_copyResumed(self) -> None:
        """If it resumes its session after all, it gets the message in place of the copy, once."""
        laptop = self.copying()
        management = laptop.session.enableManagement(True, None)
        for client in (self.phone, laptop):
            self.acknowledge(client)
        laptop.vanish()
        self.send("romeo@localhost/phone")
        self.server.clock.advance(1)
        self.end()
        assert management.id is not None
        stream = FakeStream()
        self.server.sessions.resume(laptop.session.account, management.id, 0, stream)
        management.attach(stream)
        [message] = [each for each in map(xml, stream.take()) if each.name == "message"]
        self.assertEqual((message["to"], message.childText("body")), ("romeo@localhost/phone", "hi"))

    def test_forgedCopies(self) -> None:
        """What only looks like a copy, since its sender has written one, is redelivered like any message."""
        laptop = self.copying()
        laptop.session.enableManagement(True, None)
        for client in (self.phone, laptop):
            self.acknowledge(client)
        forward = f"<forwarded xmlns='{ns.FORWARD}'><message xmlns='{ns.CLIENT}' to='a@b'><body/></message></forwarded>"
        forged = ("", "<forwarded/>", f"<forwarded xmlns='{ns.FORWARD}'/>", forward, f"<x/>{forward}")
        for inside in forged:
            copy = f"<received xmlns='{ns.CARBONS}'>{inside}</received><body>hi</body>"
            for resource in ("phone", "laptop"):
                self.juliet.send(f"<message to='romeo@localhost/{resource}'>{copy}</message>")
        self.juliet.send("<message to='romeo@localhost/phone' type='chat'><body>real</body></message>")
        store = Store()
        self.server.add("localhost", store)
        for client in (self.phone, laptop):
            client.vanish()
            client.session.end()
            self.server.clock.advance(0)
        self.assertEqual(conditions(self.juliet.take()), ["service-unavailable"] * 2 * len(forged))
        self.assertEqual([each.childText("body") for each in store.stored], ["real"])

    def test_notCopied(self) -> None:
        """What is older than its wish for copies, or must not be copied, is sent to it."""
        self.send("romeo@localhost/phone")
        laptop = self.copying()
        self.juliet.send(
            f"<message type='chat' to='romeo@localhost/phone'><body>hi</body><private xmlns='{ns.CARBONS}'/></message>"
        )
        laptop.send("<presence/>")
        self.assertEqual([each for each in laptop.take() if "hi" in each], [])
        self.end()
        self.assertEqual(len([each for each in laptop.take() if "hi" in each]), 2)

    def test_copies(self) -> None:
        """Copies are not redelivered: who was sent the message has it."""
        self.server.add("localhost", CarbonsHandler())
        self.phone.send(f"<iq type='set' id='1'><enable xmlns='{ns.CARBONS}'/></iq>")
        laptop = self.connect("laptop")
        self.juliet.send("<message type='chat' to='romeo@localhost/laptop'><body>hi</body></message>")
        self.assertIn(b"hi", self.phone.stream.data)
        laptop.take()
        self.end()
        self.assertEqual([each for each in laptop.take() if "hi" in each], [])
        self.assertEqual(self.juliet.take(), [])

    def test_bounced(self) -> None:
        """Without another resource it is returned with C{service-unavailable}, as is an IQ."""
        self.send("romeo@localhost")
        self.end()
        self.assertEqual(conditions(self.juliet.take()), ["service-unavailable"])

    def test_requests(self) -> None:
        """Requests are returned, and results dropped, also if a new session has the resource."""
        self.juliet.send("<iq type='get' id='1' to='romeo@localhost/phone'><x xmlns='urn:x'/></iq>")
        self.juliet.send("<iq type='result' id='2' to='romeo@localhost/phone'/>")
        new = self.connect("phone")
        self.server.clock.advance(0)
        self.assertEqual(conditions(self.juliet.take()), ["service-unavailable"])
        self.assertEqual(new.take(), [])

    def test_order(self) -> None:
        """What arrives meanwhile comes after it, requests included."""
        for _ in range(2 * BATCH):
            self.send("romeo@localhost/phone")
        new = self.connect("phone")
        self.turn()
        self.juliet.send("<message to='romeo@localhost/phone' id='last'/>")
        self.juliet.send("<iq type='get' id='question' to='romeo@localhost/phone'><x xmlns='urn:x'/></iq>")
        self.turn()
        self.turn()
        received = [xml(text).get("id") for text in new.take()]
        self.assertEqual(received, [None] * 2 * BATCH + ["last", "question"])
        self.juliet.send("<message to='romeo@localhost/phone'/>")
        self.assertEqual(len(new.take()), 1)

    def test_filteredLater(self) -> None:
        """Filters get what arrives meanwhile when it is delivered, once, with the sessions that get it by then."""
        seen = Seen()
        self.server.add("localhost", seen)
        for _ in range(2 * BATCH):
            self.send("romeo@localhost/phone")
        earlier = len(seen.recipients)
        self.phone.session.end()
        self.juliet.send("<message type='chat' to='romeo@localhost/phone' id='last'/>")
        self.assertEqual(len(seen.recipients), earlier)
        new = self.connect("phone")
        self.server.clock.pump([0] * 4)
        self.assertEqual(seen.recipients[earlier:], [(new.session,)])
        self.assertEqual(xml(new.take()[-1]).get("id"), "last")

    def test_stored(self) -> None:
        """The offline filters get what may be stored."""
        store = Store()
        self.server.add("localhost", store)
        self.send("romeo@localhost", "normal")
        self.send("romeo@localhost/phone")
        self.end()
        self.assertEqual([e.child("delay", "urn:xmpp:delay") is not None for e in store.stored], [True, True])
        self.assertEqual(self.juliet.take(), [])

    def test_notRedelivered(self) -> None:
        """Presence, group chat, headlines and answers are dropped."""
        self.juliet.send("<presence to='romeo@localhost/phone'/>")
        for type in ("groupchat", "headline", "error"):
            self.send("romeo@localhost/phone", type)
        self.juliet.send("<iq type='result' id='1' to='romeo@localhost/phone'/>")
        self.end()
        self.assertEqual(self.juliet.take(), [])

    def test_acknowledged(self) -> None:
        """What was acknowledged is not redelivered."""
        self.send("romeo@localhost")
        self.send("romeo@localhost")
        assert self.phone.session.management is not None
        self.phone.session.management.acknowledge(1)
        self.end()
        self.assertEqual(conditions(self.juliet.take()), ["service-unavailable"])

    def test_sentToOthers(self) -> None:
        """What another resource was certainly sent as well is not sent to it twice."""
        laptop = self.connect("laptop")
        for held in (False, True):
            self.setUp()
            laptop = self.connect("laptop")
            self.server.clock.advance(1)
            self.acknowledge()
            if held:
                self.phone.vanish()
            self.juliet.send("<message to='romeo@localhost' type='chat'/>")
            self.end()
            self.assertEqual(len([text for text in laptop.take() if text.startswith("<message")]), 1)
            self.assertEqual(self.juliet.take(), [])

    def test_sentWhileOthersWait(self) -> None:
        """
        What another resource was certainly sent as well is not sent to it twice, even if something older was never
        acknowledged: the phone sleeps, and the other one has come meanwhile.
        """
        for copying in (False, True):
            self.setUp()
            self.send("romeo@localhost/phone")
            self.server.clock.advance(1)
            laptop = self.copying() if copying else self.connect("laptop")
            laptop.take()
            self.juliet.send("<message to='romeo@localhost' type='chat' id='later'/>")
            self.assertEqual(len([text for text in laptop.take() if "later" in text]), 1)
            laptop.send("<presence/>")
            laptop.take()
            self.end()
            self.assertEqual([xml(text).get("id") for text in laptop.take() if text.startswith("<message")], [None])
            self.assertEqual(self.juliet.take(), [])

    def test_sentToOne(self) -> None:
        """What it was not sent, or perhaps not, is sent to it: it came, or priorities have changed, meanwhile."""
        for phone, laptop, laterPhone, laterLaptop in (
            (5, 3, 0, 3), (0, -1, 0, 0), (0, -1, 0, 5), (0, None, 0, 0), (0, None, 0, 5),
        ):  # fmt: skip
            for held in (False, True):
                self.setUp()
                self.phone.send(f"<presence><priority>{phone}</priority></presence>")
                other = None if laptop is None else self.connect("laptop", laptop)
                self.server.clock.advance(1000)
                if held:
                    self.phone.vanish()
                self.juliet.send("<message to='romeo@localhost' type='chat'/>")
                self.server.clock.advance(100)
                if laterPhone != phone:
                    self.phone.send(f"<presence><priority>{laterPhone}</priority></presence>")
                other = other or self.connect("laptop", laterLaptop)
                other.send(f"<presence><priority>{laterLaptop}</priority></presence>")
                self.end()
                messages = [text for text in other.take() if text.startswith("<message")]
                self.assertEqual((len(messages), self.juliet.take()), (1, []))

    def test_lateNotCopied(self) -> None:
        """
        Of what came late to it, from the offline filters or by redelivery, no other client has got a copy: it is
        stored again.
        """
        store = Store()
        self.server.add("localhost", store)
        self.copying()
        self.phone.session.management = None
        self.phone.session.enableManagement(True, None)
        message = f"<message from='juliet@localhost/b' type='chat'><body>hi</body>{DELAY}</message>"
        self.phone.session.deliver(Rendered.of(xml(message)), toAttribute("romeo@localhost"))
        self.end()
        self.assertEqual([each.childText("body") for each in store.stored], ["hi"])

    def test_lateToSeveral(self) -> None:
        """What was redelivered to several clients is not sent to one of them again when another one ends."""
        self.send("romeo@localhost/phone")
        self.server.clock.advance(1)
        tablet, laptop = self.connect("tablet"), self.connect("laptop")
        self.server.clock.advance(1)
        tablet.session.enableManagement(True, None)
        for client in (tablet, laptop):
            client.take()
        self.end()
        for client in (tablet, laptop):
            self.assertEqual(len([each for each in client.take() if "hi" in each]), 1)
        tablet.vanish()
        tablet.session.end()
        self.server.clock.advance(0)
        self.assertEqual([each for each in laptop.take() if "hi" in each], [])
        self.assertEqual(self.juliet.take(), [])

    def test_toItself(self) -> None:
        """What was sent to it alone is sent to the others, however its address was written."""
        laptop = self.connect("laptop")
        self.server.clock.advance(1)
        self.acknowledge()
        for to in ("romeo@localhost/phone", "Romeo@LOCALHOST/phone"):
            self.send(to)
        laptop.take()
        self.end()
        self.assertEqual(len([each for each in laptop.take() if "hi" in each]), 2)

    def test_bothLost(self) -> None:
        """If all who were sent it end, it is returned once."""
        laptop = self.connect("laptop")
        self.server.clock.advance(1)
        laptop.session.enableManagement(True, None)
        self.acknowledge()
        self.send("romeo@localhost")
        laptop.vanish()
        self.phone.vanish()
        self.server.sessions.resumptions.endAll()
        self.server.clock.advance(0)
        self.assertEqual(conditions(self.juliet.take()), ["service-unavailable"])

    def test_batches(self) -> None:
        """Much of it takes several turns of the reactor; one can wait for the end of it."""
        redelivery = self.server.sessions.redelivery
        self.assertIsNone(self.successResultOf(redelivery.flush()))
        for _ in range(BATCH + 1):
            self.send("romeo@localhost")
        self.phone.session.end()
        waiting = redelivery.flush()
        self.turn()
        self.assertEqual(len(self.juliet.take()), BATCH)
        self.assertNoResult(waiting)
        self.turn()
        self.assertEqual(len(self.juliet.take()), 1)
        self.assertIsNone(self.successResultOf(waiting))

    def test_parsing(self) -> None:
        """What must be parsed to decide whether another client has got a copy is parsed in the same slices."""
        parsed: list[bytes] = []
        parse = rendering.parseRendered

        def counting(data: bytes) -> Element:
            parsed.append(data)
            return parse(data)

        laptop = self.copying()
        self.acknowledge()
        for _ in range(3 * BATCH):
            self.send("romeo@localhost/phone")
        self.assertEqual(len(laptop.take()), 3 * BATCH)
        self.patch(rendering, "parseRendered", counting)
        self.phone.vanish()
        self.phone.session.end()
        self.assertEqual(len(parsed), 0)
        for turn in range(1, 4):
            self.turn()
            self.assertEqual(len(parsed), turn * BATCH)
        self.turn()
        self.assertEqual(self.juliet.take() + [each for each in laptop.take() if "hi" in each], [])

    def test_slow(self) -> None:
        """A turn ends early if it takes long."""
        redeliver = self.server.users.redeliver

        def slowly(element: Element, to: object) -> None:
            self.server.clock.rightNow += TIME_SLICE
            redeliver(element, to)  # type: ignore[arg-type]

        self.patch(self.server.users, "redeliver", slowly)
        for _ in range(5):
            self.send("romeo@localhost")
        self.phone.session.end()
        for expected in (2, 2, 1):
            self.turn()
            self.assertEqual(len(self.juliet.take()), expected)

    def test_failure(self) -> None:
        """A stanza that cannot be redelivered is logged; the others are redelivered."""
        redeliver = self.server.users.redeliver
        failing = iter((True, False))

        def once(element: Element, to: object) -> None:
            if next(failing):
                raise ZeroDivisionError()
            redeliver(element, to)  # type: ignore[arg-type]

        self.patch(self.server.users, "redeliver", once)
        self.send("romeo@localhost")
        self.send("romeo@localhost")
        self.end()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(conditions(self.juliet.take()), ["service-unavailable"])
