# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.domain}."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from muccore.im.userstate import UserState
from muccore.net import slices
from muccore.pubsub.domain import PubSubDomainHandler, ServiceSettings
from muccore.pubsub.model.configuration import Limits
from muccore.services.disco import DiscoHandler
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.errors import conditionOf
from muccore.xmpp.jid import parse
from muccore.xmpp.rendering import Rendered, render
from tests.pubsub.helpers import JULIET, PAYLOAD, ROMEO, PEPTestCase, form, refused, told

SERVICE = "pubsub.localhost"
NODE = "musings"
EVENT = f"items {NODE} item a tune"


class DomainTests(PEPTestCase):
    """A service in which Juliet has a node."""

    def setUp(self) -> None:
        """Make it."""
        super().setUp()
        limits = Limits(6, 5, 500, None, subscriptions=50)
        settings = ServiceSettings("Service", limits, 2, lambda sender: sender.bare != "nobody@localhost")
        self.service = PubSubDomainHandler(self.store, settings)
        for handler in (DiscoHandler(), self.service):
            self.server.addHandler(handler, SERVICE)
        self.juliet, self.romeo = self.login("juliet", "romeo")
        self.assertEqual(self.create(self.juliet), "result")

    def create(self, client: Client, node: str = NODE, **values: str) -> str:
        """Create a node; return the outcome."""
        configure = f"<configure>{form('pubsub#node_config', dict(values))}</configure>"
        return refused(self.ask(client, "set", f"<create node='{node}'/>{configure}", SERVICE))

    def publishTo(self, client: Client, node: str = NODE, id: str = "a") -> str:
        """Publish an item; return the outcome."""
        item = f"<publish node='{node}'><item id='{id}'>{PAYLOAD}</item></publish>"
        return refused(self.ask(client, "set", item, SERVICE))

    def subscribe(self, client: Client, jid: str, node: str = NODE) -> str:
        """Subscribe; return the outcome."""
        return refused(self.ask(client, "set", f"<subscribe node='{node}' jid='{jid}'/>", SERVICE))

    def test_published(self) -> None:
        """Subscribers hear of what is published, at the addresses that have subscribed, and get the last item first."""
        self.publishTo(self.juliet, id="0")
        self.assertEqual(self.subscribe(self.romeo, f"{ROMEO}/pc"), "result")
        self.assertEqual([told(each) for each in self.further], [f"items {NODE} item 0 tune delayed"])
        self.romeo.sends("<presence/>")
        self.subscribe(self.romeo, ROMEO)
        self.romeo.received()
        self.assertEqual(self.publishTo(self.juliet), "result")
        [full, bare] = self.romeo.received()
        self.assertEqual([full["to"], bare["to"]], [f"{ROMEO}/pc", ROMEO])
        self.assertEqual((told(full), told(bare), full["from"]), (EVENT, EVENT, SERVICE))
        self.assertEqual(self.juliet.received(), [])
        self.assertEqual(self.items(self.romeo, NODE, SERVICE), "0 a")

    def test_creation(self) -> None:
        """Only some may create nodes, each so many, and all together so many."""
        [nobody] = self.login("nobody")
        self.assertEqual(self.create(nobody, "x"), "auth forbidden")
        self.assertEqual(self.publishTo(nobody, "x"), "cancel item-not-found")
        self.assertEqual(self.publishTo(self.juliet, "second"), "result")
        for outcome in (self.create(self.juliet, "third"), self.publishTo(self.juliet, "third")):
            self.assertEqual(outcome, "wait resource-constraint")
        for name in ("a", "b"):
            [client] = self.login(name)
            self.assertEqual([self.create(client, f"{name}{number}") for number in range(2)], ["result"] * 2)
        self.assertEqual(self.create(self.romeo, "x"), "wait resource-constraint")

    def test_configuration(self) -> None:
        """What needs presence or a roster is not offered (§8.2)."""
        text = render(self.own(self.juliet, "get", "<default/>", SERVICE)).decode()
        models = ("<value>presence</value>", "<value>roster</value>")
        for absent in (*models, "roster_groups", "purge_offline", "on_sub_and"):
            self.assertNotIn(absent, text)
        for model in ("presence", "roster"):
            expected = "modify not-acceptable unsupported-access-model"
            self.assertEqual(self.create(self.juliet, "x", access_model=model), expected)
        self.assertEqual(
            self.create(self.juliet, "x", send_last_published_item="on_sub_and_presence"), "modify not-acceptable"
        )

    def test_owners(self) -> None:
        """Who has created a node owns it, as long as there is no other owner."""
        none = f"<affiliations node='{NODE}'><affiliation jid='{JULIET}' affiliation='none'/></affiliations>"
        self.assertEqual(refused(self.own(self.juliet, "set", none, SERVICE)), "modify not-acceptable")
        owner = f"<affiliations node='{NODE}'><affiliation jid='{ROMEO}' affiliation='owner'/></affiliations>"
        self.assertEqual(refused(self.own(self.juliet, "set", owner, SERVICE)), "result")
        self.assertEqual(refused(self.own(self.juliet, "set", none, SERVICE)), "result")
        self.assertEqual(self.publishTo(self.juliet), "auth forbidden")
        self.assertEqual(self.publishTo(self.romeo), "result")

    def test_approval(self) -> None:
        """Owners approve subscriptions by messages to the service; other messages are refused."""
        self.create(self.juliet, "approved", access_model="authorize")
        self.juliet.sends("<presence/>")
        self.juliet.received()
        self.subscribe(self.romeo, f"{ROMEO}/pc", "approved")
        [question] = self.juliet.received()
        x = question.child("x", ns.DATA)
        assert x is not None
        subid = next(each.childText("value") for each in x.childElements() if each.get("var") == "pubsub#subid")
        values = {"allow": "1", "node": "approved", "subscriber_jid": f"{ROMEO}/pc", "subid": subid}
        answer = form("pubsub#subscribe_authorization", values)
        self.romeo.sends(f"<message to='{SERVICE}' id='x'>{answer}</message>")
        self.assertEqual([conditionOf(each) for each in self.romeo.received()], ["forbidden"])
        self.juliet.sends(f"<message to='{SERVICE}' id='x'>{answer}</message>")
        self.assertEqual(self.heard(self.romeo), [f"subscription approved {ROMEO}/pc subscribed"])
        self.juliet.sends(f"<message to='{SERVICE}'><body>Hi</body></message>")
        self.assertEqual([conditionOf(each) for each in self.juliet.received()], ["service-unavailable"])

    def test_blocked(self) -> None:
        """Who blocks the service gets nothing of it."""
        self.subscribe(self.romeo, f"{ROMEO}/pc")
        self.romeo.session.userState = UserState(parse(ROMEO), {SERVICE}, None)
        self.publishTo(self.juliet)
        self.assertEqual(self.romeo.received(), [])

    def test_notWanted(self) -> None:
        """Who wants no notifications, may not have them, or waits for approval gets none."""
        for jid, client in ((f"{ROMEO}/pc", self.romeo), (f"{JULIET}/pc", self.juliet)):
            self.assertEqual(self.subscribe(client, jid), "result")
        x = form("pubsub#subscribe_options", {"deliver": "0"})
        self.ask(self.juliet, "set", f"<options node='{NODE}' jid='{JULIET}/pc'>{x}</options>", SERVICE)
        x = form("pubsub#node_config", {"access_model": "whitelist"})
        self.own(self.juliet, "set", f"<configure node='{NODE}'>{x}</configure>", SERVICE)
        self.publishTo(self.juliet)
        self.assertEqual((self.romeo.received(), self.further), ([], []))

    def test_many(self) -> None:
        """Many subscribers are told in slices, and the publisher pays."""
        clients = []
        for number in range(30):
            clients += self.login(f"user{number}")
            self.subscribe(clients[-1], f"user{number}@localhost/pc")
        self.patch(slices, "SLICE", 200)
        self.juliet.charged.clear()
        self.publishTo(self.juliet)
        for _ in range(5):
            self.server.clock.advance(0)
        messages = [client.received() for client in clients]
        self.assertEqual([[told(each) for each in each] for each in messages], [[EVENT]] * 30)
        self.assertEqual(sum(sent for sent, _ in self.juliet.charged), 30 * Rendered.of(messages[0][0]).size)

    def test_discovery(self) -> None:
        """The service and its nodes are discovered (§5)."""
        self.publishTo(self.juliet)
        self.create(self.juliet, "closed", access_model="whitelist")

        def ask(kind: str, node: str = "") -> str:
            attribute = f" node='{node}'" if node else ""
            return render(self.request(self.romeo, "get", f"<query xmlns='{kind}'{attribute}/>", SERVICE)).decode()

        self.assertIn("<identity category='pubsub' type='service' name='Service'/>", ask(ns.DISCO_INFO))
        self.assertNotIn("#last-published", ask(ns.DISCO_INFO))
        self.assertIn(f"<item jid='{SERVICE}' node='{NODE}'/></query>", ask(ns.DISCO_ITEMS))
        self.assertIn(f"<item jid='{SERVICE}' name='a'/></query>", ask(ns.DISCO_ITEMS, NODE))
        self.assertIn("<identity category='pubsub' type='leaf'/>", ask(ns.DISCO_INFO, NODE))
        for node in ("closed", "none"):
            self.assertIn("item-not-found", ask(ns.DISCO_INFO, node))

    def test_accountRemoved(self) -> None:
        """The nodes that only a removed account owned go, and subscribers are told; so does what it has with others."""
        self.create(self.juliet, "shared")
        owner = f"<affiliations node='shared'><affiliation jid='{ROMEO}' affiliation='owner'/></affiliations>"
        self.own(self.juliet, "set", owner, SERVICE)
        for node in (NODE, "shared"):
            self.subscribe(self.romeo, f"{ROMEO}/pc", node)
            self.subscribe(self.juliet, JULIET, node)
        self.romeo.received()
        self.successResultOf(Deferred.fromCoroutine(self.service.forgetEntity(parse(JULIET))))
        self.assertEqual(self.heard(self.romeo), [f"delete {NODE}"])
        self.assertEqual(self.items(self.romeo, NODE, SERVICE), "cancel item-not-found")
        for what in ("affiliations", "subscriptions"):
            answer = self.own(self.romeo, "get", f"<{what} node='shared'/>", SERVICE)
            self.assertNotIn(JULIET, render(answer).decode())

    def test_reconfigured(self) -> None:
        """New settings count at once."""
        limits = Limits(6, 5, 10, None)
        self.service.reconfigure(ServiceSettings("Other", limits, 2, lambda sender: False))
        self.assertEqual(self.publishTo(self.juliet), "modify not-acceptable payload-too-big")
        self.assertEqual(self.create(self.juliet, "x"), "auth forbidden")
