# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.guests}, and of what others do about guests."""

from __future__ import annotations

from muccore.im.guests import GuestHandler
from muccore.im.lastactivity import LastActivityHandler
from muccore.im.offline import OfflineHandler
from muccore.interfaces import ISession
from muccore.services.disco import AccountDiscoHandler
from muccore.storage.insecure import InsecureAuth
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.xmpp import ns
from muccore.xmpp.guestnames import newGuestName
from tests.im.imhelpers import IMTestCase
from tests.routing.helpers import xml

DISCO = f"<query xmlns='{ns.DISCO_INFO}'/>"


class GuestTests(IMTestCase):
    """A guest on C{localhost}, whose backend says of everybody that they exist."""

    def start(self) -> None:
        """Add the handlers."""
        super().start()
        self.data = MemoryUserData()
        self.data.open()
        self.ended: list[ISession] = []
        self.handler = GuestHandler(["localhost", "conference.localhost"], False)
        self.handler.endObserver = self.ended.append
        self.disco = AccountDiscoHandler()
        self.activity = LastActivityHandler(self.data, self.presence)
        self.disco.guests = self.activity.guests = True
        offline = OfflineHandler(self.data, InsecureAuth(), self.presence, 10_000)
        for handler in (self.disco, self.activity, offline, self.handler):
            handler.setHandlerParent(self.users)
        self.name = newGuestName()
        self.guest = self.connect(self.name, False)
        self.romeo = self.connect("romeo")
        self.address = f"{self.name}@localhost"

    def answer(self, text: str) -> str:
        """The last answer to a stanza of the guest: C{""}, C{result} or C{error CONDITION}."""
        self.guest.send(text)
        received = self.received(self.guest)
        return received[-1].removeprefix("iq ").split(" from ")[0] if received else ""

    def test_messages(self) -> None:
        """Guests and users of their host send each other messages."""
        self.guest.send("<message type='chat' to='romeo@localhost'><body>hi</body></message>")
        self.romeo.send(f"<message type='chat' to='{self.address}'><body>ho</body></message>")
        for client, body in ((self.romeo, "hi"), (self.guest, "ho")):
            self.assertIn(f"body:{body}", self.received(client)[-1])

    def test_otherDomains(self) -> None:
        """Nothing of theirs gets to other domains, unless they may."""
        stanzas = [
            "<message to='paris@remote.lit'><body/></message>", "<presence to='room@remote.lit/a'/>",
            "<iq type='get' id='1' to='remote.lit'><query xmlns='jabber:iq:version'/></iq>",
        ]  # fmt: skip
        for text in stanzas:
            self.assertEqual(self.answer(text), "error not-allowed")
            self.romeo.send(text)
        self.assertEqual(len(self.remote.received), 3)
        self.handler.otherDomains = True
        for text in stanzas:
            self.assertEqual(self.answer(text), "")
        self.assertEqual(len(self.remote.received), 6)

    def test_subscriptions(self) -> None:
        """They neither request nor accept subscriptions, and one to them is refused, as by themselves."""
        for type in ("subscribe", "subscribed", "unsubscribe", "unsubscribed"):
            self.assertEqual(self.answer(f"<presence type='{type}' to='romeo@localhost'/>"), "error not-allowed")
        self.assertEqual(self.received(self.romeo), [])
        for guest in (self.address, f"{newGuestName()}@localhost"):
            self.subscription(self.romeo, "subscribe", guest)
            received = self.received(self.romeo)
            self.assertIn(f"unsubscribed from {guest} to romeo@localhost", received)
            self.assertEqual(self.state("romeo", guest), "NONE")
            self.subscription(self.romeo, "subscribed", guest)
        self.assertEqual(self.received(self.guest), [])
        self.assertEqual(self.state(self.name, "romeo@localhost"), "NONE")

    def test_nothingStored(self) -> None:
        """What would be stored is refused, and registration; questions are answered."""
        for payload in (
            "<query xmlns='jabber:iq:roster'><item jid='romeo@localhost'/></query>",
            "<query xmlns='jabber:iq:private'><x xmlns='urn:y'/></query>", f"<block xmlns='{ns.BLOCKING}'/>",
            "<query xmlns='urn:xmpp:mam:2'/>", "<query xmlns='jabber:iq:register'/>",
        ):  # fmt: skip
            for to in ("", f" to='{self.address}'"):
                self.assertEqual(self.answer(f"<iq type='set' id='1'{to}>{payload}</iq>"), "error not-allowed", payload)
        for to in ("", " to='localhost'", " to='room@conference.localhost'"):
            for type in ("get", "set"):
                text = f"<iq type='{type}' id='1'{to}><query xmlns='jabber:iq:register'/></iq>"
                self.assertEqual(self.answer(text), "error not-allowed")
        self.assertEqual(self.get(self.guest), ["roster"])
        self.assertEqual(self.answer(f"<iq type='get' id='1'>{DISCO}</iq>"), "result")

    def test_disco(self) -> None:
        """XEP-0175 §5: everybody is told that it is an anonymous account, while it is there."""
        for client in (self.guest, self.romeo):
            (answer,) = client.ask(f"<iq type='get' id='1' to='{self.address}'>{DISCO}</iq>")
            query = xml(answer).child("query", ns.DISCO_INFO)
            identity = query and query.child("identity")
            assert identity is not None, answer
            self.assertEqual((identity.get("category"), identity.get("type")), ("account", "anonymous"))
        for account in (f"{newGuestName()}@localhost", "juliet@localhost"):
            self.romeo.send(f"<iq type='get' id='1' to='{account}'>{DISCO}</iq>")
            self.assertEqual(self.received(self.romeo), ["error service-unavailable"])
        (answer,) = self.romeo.ask(f"<iq type='get' id='1' to='romeo@localhost'>{DISCO}</iq>")
        self.assertIn('type="registered"', answer.replace("'", '"'))

    def test_gone(self) -> None:
        """Of a guest who has left nothing is kept, and messages to them are returned."""
        self.guest.vanish()
        self.assertEqual([session.account.bare for session in self.ended], [self.address])
        self.clock.advance(60)
        self.romeo.send(f"<message type='chat' to='{self.address}'><body>x</body></message>")
        self.assertEqual(self.received(self.romeo), ["error service-unavailable"])
        self.romeo.vanish()
        self.clock.advance(60)
        for account, stored in ((self.address, []), ("romeo@localhost", ["unavailable"])):
            kinds = ("last-activity", "offline")
            found = [key for kind in kinds for key in self.successResultOf(self.data.keys(account, kind))]
            self.assertEqual(found, stored)
