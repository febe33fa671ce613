# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.session.redelivery}, with the domain of the accounts."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces.filters import CONSUMED, STORE
from muccore.routing.handler import Handler
from muccore.session.redelivery import BATCH
from muccore.xmpp.element import Element
from tests.routing.helpers import Client, Server, conditions

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

    def turn(self) -> None:
        """Do what is due in one turn of the reactor."""
        for call in self.server.clock.getDelayedCalls():
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

    def test_bounced(self) -> None:
        """Without another resource it is returned with C{service-unavailable}, as is an IQ."""
        self.send("romeo@localhost")
        self.juliet.send("<iq type='get' id='1' to='romeo@localhost/phone'><x xmlns='urn:x'/></iq>")
        self.end()
        self.assertEqual(conditions(self.juliet.take()), ["service-unavailable"] * 2)

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
        """What another resource was sent as well is not sent to it twice; what only it can get now, it gets."""
        for before, after in ((0, 0), (-1, 0), (-1, 5), (1, 1), (None, 0)):
            for held in (False, True):
                self.setUp()
                self.phone.send("<presence><priority>-1</priority></presence>")
                laptop = self.connect("laptop", before) if before is not None else None
                self.server.clock.advance(1000)
                self.phone.send("<presence/>")
                if held:
                    self.phone.vanish()
                self.juliet.send("<message to='romeo@localhost' type='chat'/>")
                self.server.clock.advance(10)
                laptop = laptop or self.connect("laptop", after)
                laptop.send(f"<presence><priority>{after}</priority></presence>")
                self.end()
                messages = [text for text in laptop.take() if text.startswith("<message")]
                self.assertEqual((len(messages), self.juliet.take()), (1, []))

    def test_batches(self) -> None:
        """Much of it takes several turns of the reactor, or none if the server ends."""
        for flush in (False, True):
            self.setUp()
            for _ in range(BATCH + 1):
                self.send("romeo@localhost")
            self.phone.session.end()
            self.turn()
            self.assertEqual(len(self.juliet.take()), BATCH)
            if flush:
                self.server.sessions.redelivery.flush()
            else:
                self.turn()
            self.assertEqual(len(self.juliet.take()), 1)
            self.server.clock.advance(1)
            self.assertEqual(self.juliet.take(), [])

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
