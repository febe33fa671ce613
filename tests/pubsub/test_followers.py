# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.followers} and L{muccore.pubsub.lastitems} (XEP-0163 §4, §7.1, XEP-0060 §9)."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from muccore.testing.inmemory import Client, parseStanza
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID, parse
from tests.pubsub.helpers import JULIET, ROMEO, TUNE, PEPTestCase, capabilities, form, told

MOOD = "http://jabber.org/protocol/mood"
LAST = f"items {TUNE} item a tune delayed"


class PresenceTests(PEPTestCase):
    """Sessions that come online."""

    def setUp(self) -> None:
        """Juliet has published something for Romeo."""
        super().setUp()
        self.juliet, self.romeo = self.login("juliet", "romeo")
        self.befriend(JULIET, ROMEO, "both")
        self.befriend(ROMEO, JULIET, "both")
        self.publish(self.juliet, id="a")
        self.publish(self.juliet, MOOD, id="m")

    def last(self, client: Client, *nodes: str) -> list[str]:
        """Let a client become available; return what it is told."""
        return [told(stanza) for stanza in self.present(client, *nodes)]

    def test_lastItems(self) -> None:
        """Who comes online gets the last items of contacts, whether these are there or not, and of the own account."""
        self.assertEqual(self.last(self.romeo, TUNE), [LAST])
        self.assertEqual(self.last(self.juliet, TUNE, "none"), [LAST])
        self.juliet.dropConnection()
        [phone] = self.login("romeo/phone")
        [message] = self.present(phone, TUNE)
        self.assertEqual((message["from"], message["to"], message["type"]), (JULIET, f"{ROMEO}/phone", "headline"))
        delay = message.child("delay", ns.DELAY)
        assert delay is not None
        self.assertEqual(delay["stamp"], "2001-09-09T01:46:40Z")

    def test_onlyWanted(self) -> None:
        """Who wants nothing gets nothing; who wants more later gets that only."""
        self.assertEqual(self.last(self.romeo), [])
        self.assertEqual(self.last(self.romeo, TUNE), [LAST])
        self.assertEqual(self.last(self.romeo, TUNE), [])
        self.assertEqual(self.last(self.romeo, TUNE, MOOD), [f"items {MOOD} item m tune delayed"])
        self.assertEqual(self.last(self.romeo, MOOD), [])
        self.romeo.sends("<presence type='unavailable'/>")
        self.romeo.received()
        self.assertEqual(self.romeo.session.notifiedNodes, frozenset())
        self.assertEqual(len(self.last(self.romeo, MOOD, TUNE)), 2)

    def test_answeredLate(self) -> None:
        """An answer that comes when the client is gone, or has other capabilities, does not count."""
        for later in ("<presence type='unavailable'/>", f"<presence>{capabilities('x')[0]}</presence>"):
            caps, query = capabilities(f"{TUNE}+notify", later[:12])
            self.romeo.sends(f"<presence>{caps}</presence>")
            [request] = [each for each in self.romeo.received() if each.name == "iq"]
            self.romeo.sends(later)
            self.romeo.sends(f"<iq type='result' id='{request['id']}' to='{request['from']}'>{query}</iq>")
            self.assertEqual(self.romeo.session.notifiedNodes, frozenset())
            self.romeo.sends("<presence type='unavailable'/>")
            self.romeo.received()

    def test_access(self) -> None:
        """Nobody gets what they may not have, nor what is not for that (§4.3.4)."""
        for values, expected in (
            ({"access_model": "whitelist"}, []), ({"access_model": "open"}, [LAST]),
            ({"access_model": "roster", "roster_groups_allowed": "Friends"}, []),
            ({"access_model": "presence", "send_last_published_item": "on_sub"}, []),
            ({"send_last_published_item": "on_sub_and_presence", "deliver_notifications": "0"}, []),
            ({"deliver_notifications": "1", "item_expire": "1"}, [LAST]),
        ):  # fmt: skip
            text = form("pubsub#node_config", dict(values))
            self.own(self.juliet, "set", f"<configure node='{TUNE}'>{text}</configure>")
            self.assertEqual(self.last(self.romeo, TUNE), expected, values)
            self.romeo.sends("<presence type='unavailable'/>")
        self.server.clock.advance(10)
        self.assertEqual(self.last(self.romeo, TUNE), [])

    def test_strangers(self) -> None:
        """Who has no subscription to the presence of an account gets nothing of it."""
        self.befriend(JULIET, ROMEO, "to")
        self.assertEqual(self.last(self.romeo, TUNE), [])
        self.befriend(JULIET, ROMEO, "from")
        self.befriend(ROMEO, JULIET, "from")
        self.romeo.sends("<presence type='unavailable'/>")
        self.romeo.received()
        self.assertEqual(self.last(self.romeo, TUNE), [])

    def test_comesAndGoes(self) -> None:
        """Who comes online again and again gets the last items once for each time that they stay, and pays for them."""
        held: list[Deferred[Any]] = []
        find = self.store.latest

        def finding(*arguments: Any) -> Deferred[Any]:
            waiting: Deferred[Any] = Deferred()
            held.append(waiting)
            return waiting.addCallback(lambda _: find(*arguments))

        self.store.latest = finding
        for _ in range(3):
            self.present(self.romeo, TUNE)
            self.romeo.sends("<presence type='unavailable'/>")
        self.present(self.romeo, TUNE)
        self.romeo.charged.clear()
        for waiting in held:
            waiting.callback(None)
        self.assertEqual((len(held), self.heard(self.romeo)), (4, [LAST]))
        self.assertTrue(sum(sent for sent, _ in self.romeo.charged) > 100)

    def test_manyContacts(self) -> None:
        """However many contacts there are, each of their items comes once."""
        for number in range(120):
            account = f"user{number}@localhost"
            self.befriend(ROMEO, account, "both")
            if number % 10 == 0:
                [client] = self.login(f"user{number}")
                self.befriend(account, ROMEO, "both")
                self.publish(client, id=str(number))
                client.dropConnection()
        got = self.present(self.romeo, TUNE)
        self.assertEqual(len({stanza["from"] for stanza in got}), 13)
        self.assertEqual(len(got), 13)


class ContactTests(PEPTestCase):
    """Contacts that come and go (XEP-0163 §7.1)."""

    def setUp(self) -> None:
        """Juliet has a node for contacts, and one for some of them; Romeo wants both."""
        super().setUp()
        self.juliet, self.romeo = self.login("juliet", "romeo")
        self.publish(self.juliet, id="a")
        self.publish(self.juliet, MOOD, id="m", access_model="roster", roster_groups_allowed="Friends")
        self.present(self.romeo, TUNE, MOOD)

    def test_gained(self) -> None:
        """Who gets a subscription, or into a group, gets the last items that they could not have before."""
        self.befriend(JULIET, ROMEO)
        self.assertEqual(self.heard(self.romeo), [LAST])
        self.befriend(JULIET, ROMEO, "both")
        self.assertEqual(self.heard(self.romeo), [])
        self.befriend(JULIET, ROMEO, "both", ["Work", "Friends"])
        self.assertEqual(self.heard(self.romeo), [f"items {MOOD} item m tune delayed"])

    def test_lost(self) -> None:
        """Who loses access loses the subscriptions that depend on it, and is told so."""
        self.publish(self.juliet, "open", access_model="open")
        self.befriend(JULIET, ROMEO, "both", ["Friends"])
        for node in (TUNE, MOOD, "open"):
            self.ask(self.romeo, "set", f"<subscribe node='{node}' jid='{ROMEO}/pc'/>", JULIET)
        self.romeo.received()
        self.befriend(JULIET, ROMEO, "both", ["Work"])
        self.assertEqual(self.heard(self.romeo), [f"subscription {MOOD} {ROMEO}/pc none"])
        self.befriend(JULIET, ROMEO, "to", ["Work"])
        self.assertEqual(self.heard(self.romeo), [f"subscription {TUNE} {ROMEO}/pc none"])
        for node, expected in ((TUNE, []), ("open", ["items open item x tune"])):
            self.publish(self.juliet, node, id="x")
            self.assertEqual(self.heard(self.romeo), expected)

    def test_storeFails(self) -> None:
        """If the store fails, access is lost nevertheless."""
        self.befriend(JULIET, ROMEO)
        self.ask(self.romeo, "set", f"<subscribe node='{TUNE}' jid='{ROMEO}/pc'/>", JULIET)
        self.store.close()
        self.befriend(JULIET, ROMEO, "none")
        self.store.open()
        self.romeo.received()
        self.publish(self.juliet, id="b")
        self.assertEqual(self.heard(self.romeo), [])


class SharerTests(PEPTestCase):
    """Presence from elsewhere, and directed presence."""

    def setUp(self) -> None:
        """Juliet has a node for contacts, and one for all."""
        super().setUp()
        [self.juliet] = self.login("juliet")
        self.present(self.juliet)
        self.publish(self.juliet, id="a")
        self.publish(self.juliet, MOOD, id="m", access_model="open")
        self.caps, self.query = capabilities(f"{TUNE}+notify", f"{MOOD}+notify")
        self.sent: list[Element] = []
        route = self.server.router.route

        def routed(element: Element, to: JID) -> None:
            if to.domain == "montague.lit":
                self.sent.append(element)
            else:
                route(element, to)

        self.patch(self.server.router, "route", routed)

    def receive(self, text: str) -> None:
        """Let a stanza come from elsewhere."""
        element = parseStanza(text)
        self.server.router.route(element, parse(element["to"]))

    def arrive(self, full: str = "romeo@montague.lit/pc") -> list[str]:
        """Let presence come from elsewhere; return what is sent there."""
        self.sent.clear()
        self.receive(f"<presence from='{full}' to='{JULIET}'>{self.caps}</presence>")
        asked, self.sent[:] = list(self.sent), []
        for request in asked:
            attributes = f"type='result' id='{request['id']}' from='{full}' to='{request['from']}'"
            self.receive(f"<iq {attributes}>{self.query}</iq>")
        return self.told()

    def told(self) -> list[str]:
        """What is sent there."""
        sent, self.sent[:] = [each for each in self.sent if each.name == "message"], []
        return [f"{each['to'].removeprefix('romeo@montague.lit/')} {told(each)}" for each in sent]

    def test_contact(self) -> None:
        """A contact elsewhere gets the last items, and hears of what is published until they are gone."""
        self.befriend(JULIET, "romeo@montague.lit")
        mood = f"pc items {MOOD} item m tune delayed"
        self.assertEqual(self.arrive(), [mood, f"pc {LAST}"])
        self.assertEqual(self.arrive(), [])
        self.publish(self.juliet, id="b")
        self.assertEqual(self.told(), [f"pc items {TUNE} item b tune"])
        self.befriend(JULIET, "romeo@montague.lit", "none")
        self.publish(self.juliet, id="c")
        self.assertEqual(self.told(), [])
        self.befriend(JULIET, "romeo@montague.lit")
        self.assertEqual(self.told(), [f"pc items {TUNE} item c tune delayed"])
        self.receive(f"<presence type='unavailable' from='romeo@montague.lit/pc' to='{JULIET}'/>")
        self.publish(self.juliet, id="d")
        self.assertEqual(self.told(), [])

    def test_stranger(self) -> None:
        """Who is no contact, but has sent presence, hears of what is open to all (XEP-0060 §9.1.3)."""
        self.assertEqual(self.arrive(), [f"pc items {MOOD} item m tune delayed"])
        self.publish(self.juliet, id="b")
        self.publish(self.juliet, MOOD, id="n")
        self.assertEqual(self.told(), [f"pc items {MOOD} item n tune"])
        self.pep.domainLost("montague.lit")
        self.publish(self.juliet, MOOD, id="o")
        self.assertEqual(self.told(), [])

    def test_goneBefore(self) -> None:
        """Who goes before their capabilities are known hears nothing."""
        self.receive(f"<presence from='romeo@montague.lit/pc' to='{JULIET}'>{self.caps}</presence>")
        [request] = self.sent
        self.receive(f"<presence type='unavailable' from='romeo@montague.lit/pc' to='{JULIET}'/>")
        self.sent.clear()
        answer = f"<iq type='result' id='{request['id']}' from='romeo@montague.lit/pc' to='localhost'>{self.query}</iq>"
        self.receive(answer)
        self.assertEqual(self.told(), [])
        self.publish(self.juliet, MOOD, id="n")
        self.assertEqual(self.told(), [])

    def test_directed(self) -> None:
        """So it is with directed presence here; other presence is noted once."""
        [nurse] = self.login("nurse")
        nurse.sends(f"<presence to='{JULIET}'>{self.caps}</presence>")
        [request] = nurse.received()
        nurse.sends(f"<iq type='result' id='{request['id']}' to='{request['from']}'>{self.query}</iq>")
        self.assertEqual(self.heard(nurse), [f"items {MOOD} item m tune delayed"])
        self.befriend(JULIET, "nurse@localhost")
        self.befriend("nurse@localhost", JULIET, "to")
        self.present(nurse, TUNE, MOOD)
        nurse.received()
        self.publish(self.juliet, MOOD, id="n")
        self.assertEqual(self.heard(nurse), [f"items {MOOD} item n tune"])
        nurse.sends(f"<presence to='{JULIET}' type='unavailable'/>")
        self.assertEqual(self.pep.followers.sharers.get(JULIET, "nurse@localhost/pc"), None)

    def test_purgeOffline(self) -> None:
        """Nodes may be purged when the last client of the account goes offline."""
        self.befriend(JULIET, "romeo@montague.lit")
        self.arrive()
        self.publish(self.juliet, "away", purge_offline="1")
        text = form("pubsub#node_config", {"purge_offline": "1"})
        self.own(self.juliet, "set", f"<configure node='{TUNE}'>{text}</configure>")
        [phone] = self.login("juliet/phone")
        phone.sends("<presence/>")
        self.juliet.sends("<presence type='unavailable'/>")
        self.assertEqual((self.items(self.juliet), self.told()), ("a", []))
        phone.dropConnection()
        self.assertEqual((self.items(self.juliet), self.items(self.juliet, MOOD)), ("", "m"))
        self.assertEqual(self.told(), [f"pc purge {TUNE}"])
