# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.audience} (XEP-0163 §4.3, XEP-0060 §9.1)."""

from __future__ import annotations

from muccore.im.userstate import UserState
from muccore.net import slices
from muccore.xmpp import ns
from muccore.xmpp.jid import parse
from muccore.xmpp.rendering import Rendered
from tests.pubsub.helpers import JULIET, PAYLOAD, ROMEO, TUNE, PEPTestCase

EVENT = f"items {TUNE} item a tune"


class AudienceTests(PEPTestCase):
    """Who hears of an event."""

    def setUp(self) -> None:
        """Juliet publishes."""
        super().setUp()
        self.juliet, self.romeo, self.nurse = self.login("juliet", "romeo", "nurse")

    def test_contacts(self) -> None:
        """All resources of the account and its contacts that want it hear of it, once; nobody else does."""
        [phone, silent, other] = self.login("romeo/phone", "romeo/silent", "juliet/other")
        self.befriend(JULIET, ROMEO)
        for client in (self.romeo, phone, other, self.nurse):
            self.present(client, TUNE)
        self.present(silent)
        self.present(self.juliet, "x")
        self.ask(self.romeo, "set", f"<subscribe node='{TUNE}' jid='{ROMEO}/pc'/>", JULIET)
        self.publish(self.juliet, id="a")
        heard = [self.heard(each) for each in (self.romeo, phone, silent, other, self.juliet, self.nurse)]
        self.assertEqual(heard, [[EVENT], [EVENT], [], [EVENT], [], []])

    def test_subscribers(self) -> None:
        """Who has subscribed and is reached by presence hears of it once; else at the address that has subscribed."""
        self.publish(self.juliet, access_model="open", send_last_published_item="never")
        self.befriend(JULIET, ROMEO)
        for client, jid in ((self.romeo, ROMEO), (self.romeo, f"{ROMEO}/pc"), (self.nurse, "nurse@localhost/pc")):
            self.ask(client, "set", f"<subscribe node='{TUNE}' jid='{jid}'/>", JULIET)
        self.present(self.romeo, TUNE)
        self.publish(self.juliet, id="a")
        self.assertEqual((self.heard(self.romeo), self.heard(self.nurse)), ([EVENT], [EVENT]))
        self.present(self.romeo)
        self.publish(self.juliet, id="a")
        # To the bare JID, and to the full one.
        self.assertEqual(self.heard(self.romeo), [EVENT, EVENT])

    def test_replyTo(self) -> None:
        """Who shares presence with the owner learns which resource has published; others do not (XEP-0163 §4.3.1)."""
        self.publish(self.juliet, access_model="open", publish_model="open", send_last_published_item="never")
        self.befriend(JULIET, ROMEO)
        self.present(self.romeo, TUNE)
        self.ask(self.nurse, "set", f"<subscribe node='{TUNE}' jid='nurse@localhost/pc'/>", JULIET)
        for client, shown in ((self.juliet, ["juliet@localhost/pc"]), (self.nurse, [])):
            self.romeo.received()
            self.nurse.received()
            item = f"<publish node='{TUNE}'><item id='a'>{PAYLOAD}</item></publish>"
            self.ask(client, "set", item, JULIET)
            [message] = self.romeo.received()
            addresses = message.child("addresses", ns.ADDRESSES)
            found = [] if addresses is None else [each["jid"] for each in addresses.childElements()]
            self.assertEqual(found, shown)
            others = self.nurse.received() if client is self.juliet else self.further
            self.assertEqual([each.child("addresses", ns.ADDRESSES) for each in others], [None])

    def test_accessLost(self) -> None:
        """Who may not access the node any more hears nothing, though they are subscribed still."""
        self.publish(self.juliet, access_model="open")
        self.ask(self.nurse, "set", f"<subscribe node='{TUNE}' jid='nurse@localhost/pc'/>", JULIET)
        self.own(
            self.juliet, "set",
            f"<configure node='{TUNE}'><x xmlns='jabber:x:data' type='submit'><field var='pubsub#access_model'>"
            "<value>presence</value></field></x></configure>",
        )  # fmt: skip
        self.nurse.received()
        self.publish(self.juliet, id="a")
        self.assertEqual(self.heard(self.nurse), [])

    def test_whitelist(self) -> None:
        """Members of a white list hear of it without subscribing, if they share presence and want it."""
        self.publish(self.juliet, access_model="whitelist")
        member = f"<affiliation jid='{ROMEO}' affiliation='member'/>"
        self.own(self.juliet, "set", f"<affiliations node='{TUNE}'>{member}</affiliations>")
        self.befriend(JULIET, ROMEO)
        self.befriend(JULIET, "nurse@localhost")
        for client in (self.romeo, self.nurse):
            self.present(client, TUNE)
        self.publish(self.juliet, id="a")
        self.assertEqual((self.heard(self.romeo), self.heard(self.nurse)), ([EVENT], []))

    def test_blocked(self) -> None:
        """Nobody hears of it who is blocked by the account, or blocks it (XEP-0191)."""
        for account in (ROMEO, "nurse@localhost"):
            self.befriend(JULIET, account)
        for client in (self.romeo, self.nurse):
            self.present(client, TUNE)
        self.juliet.session.userState = UserState(parse(JULIET), {ROMEO}, None)
        self.nurse.session.userState = UserState(parse("nurse@localhost"), {JULIET}, None)
        self.ask(self.romeo, "set", f"<subscribe node='{TUNE}' jid='{ROMEO}'/>", JULIET)
        self.publish(self.juliet, id="a")
        self.assertEqual((self.heard(self.romeo), self.heard(self.nurse)), ([], []))
        self.juliet.session.userState = self.nurse.session.userState = None
        self.publish(self.juliet, id="a")
        self.assertEqual((self.heard(self.romeo), self.heard(self.nurse)), ([EVENT], [EVENT]))

    def test_charged(self) -> None:
        """The publisher is charged for what is delivered."""
        for number in range(60):
            self.befriend(JULIET, f"user{number}@localhost")
            [client] = self.login(f"user{number}")
            self.present(client, TUNE)
        client.received()
        self.juliet.charged.clear()
        self.publish(self.juliet, id="a")
        [message] = client.received()
        self.assertEqual(sum(sent for sent, _ in self.juliet.charged), 60 * Rendered.of(message).size)

    def test_slices(self) -> None:
        """What is too much for a turn is delivered in slices; events stay in order."""
        self.patch(slices, "SLICE", 10)
        clients = []
        for number in range(25):
            self.befriend(JULIET, f"user{number}@localhost")
            clients += self.login(f"user{number}")
            self.present(clients[-1], TUNE)
        for id in "ab":
            publish = f"<publish node='{TUNE}'><item id='{id}'>{PAYLOAD}</item></publish>"
            self.juliet.sends(f"<iq type='set' id='{id}'><pubsub xmlns='{ns.PUBSUB}'>{publish}</pubsub></iq>")
        self.assertEqual([stanza["id"] for stanza in self.juliet.received()], ["a"])
        heard = [self.heard(client) for client in clients]
        self.assertEqual(heard.count([]), 15)
        for _ in range(9):
            self.server.clock.advance(0)
        for client, first in zip(clients, heard, strict=True):
            self.assertEqual(first + self.heard(client), [EVENT, f"items {TUNE} item b tune"])

    def test_shutDown(self) -> None:
        """When the server ends, what is left is delivered."""
        self.patch(slices, "SLICE", 1)
        for account in (ROMEO, "nurse@localhost"):
            self.befriend(JULIET, account)
        for client in (self.romeo, self.nurse):
            self.present(client, TUNE)
        self.publish(self.juliet, id="a")
        self.pep.shutDown(True)
        self.publish(self.juliet, id="a")
        self.assertEqual((len(self.heard(self.romeo)), len(self.heard(self.nurse))), (2, 2))
