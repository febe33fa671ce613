# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.subscribing} and L{muccore.pubsub.notices} (XEP-0060 §5.6, §5.7, §6.1 to §6.4)."""

from __future__ import annotations

from muccore.testing.inmemory import Client
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import render
from tests.pubsub.helpers import JULIET, ROMEO, TUNE, PEPTestCase, form, refused, told

FULL = f"{ROMEO}/pc"


def subscription(answer: Element) -> str:
    """The subscription in an answer: node, JID and state; or the error."""
    if answer["type"] == "error":
        return refused(answer)
    pubsub = next(answer.childElements())
    found = pubsub.child("subscription")
    assert found is not None
    assert found.get("subid")
    return f"{found['node']} {found['jid']} {found['subscription']}"


class SubscribeTests(PEPTestCase):
    """Subscribing and unsubscribing."""

    def setUp(self) -> None:
        """Juliet has a node that is open to all."""
        super().setUp()
        self.juliet, self.romeo, self.nurse = self.login("juliet", "romeo", "nurse")
        self.publish(self.juliet, id="a", access_model="open")

    def subscribe(self, jid: str = FULL, node: str = TUNE, client: Client | None = None, options: str = "") -> str:
        """Subscribe; return the outcome."""
        text = f"<subscribe node='{node}' jid='{jid}'/>{options}"
        return subscription(self.ask(client or self.romeo, "set", text, JULIET))

    def unsubscribe(self, jid: str = FULL, extra: str = "", node: str = TUNE) -> str:
        """Unsubscribe; return the outcome."""
        answer = self.ask(self.romeo, "set", f"<unsubscribe node='{node}' jid='{jid}'{extra}/>", JULIET)
        return subscription(answer)

    def configure(self, node: str = TUNE, **values: str) -> None:
        """Configure Juliet's node."""
        configured = form("pubsub#node_config", dict(values))
        answer = self.own(self.juliet, "set", f"<configure node='{node}'>{configured}</configure>")
        self.assertEqual(answer["type"], "result")

    def test_subscribed(self) -> None:
        """The subscriber gets the last item, and from then on what is published (§6.1.2, §6.1.7)."""
        self.assertEqual(self.subscribe(), f"{TUNE} {FULL} subscribed")
        self.assertEqual([told(each) for each in self.further], [f"items {TUNE} item a tune delayed"])
        self.publish(self.juliet, id="b")
        self.assertEqual(self.heard(self.romeo), [f"items {TUNE} item b tune"])
        self.assertEqual(self.unsubscribe(), f"{TUNE} {FULL} none")
        self.publish(self.juliet, id="c")
        self.assertEqual(self.heard(self.romeo), [])

    def test_bare(self) -> None:
        """A bare JID hears at all of its resources that are there."""
        self.assertEqual(self.subscribe(ROMEO), f"{TUNE} {ROMEO} subscribed")
        [phone] = self.login("romeo/phone")
        for client in (self.romeo, phone):
            client.sends("<presence/>")
            client.received()
        self.publish(self.juliet, id="b")
        self.assertEqual([self.heard(client) for client in (self.romeo, phone)], [[f"items {TUNE} item b tune"]] * 2)

    def test_again(self) -> None:
        """Nobody has two subscriptions of one JID: the one that there is, is returned (§6.1.6)."""
        first = render(self.ask(self.romeo, "set", f"<subscribe node='{TUNE}' jid='{FULL}'/>", JULIET))
        again = self.ask(self.romeo, "set", f"<subscribe node='{TUNE}' jid='{FULL}'/>", JULIET)
        self.assertEqual(render(again), first)
        self.assertEqual(self.further, [])

    def test_refused(self) -> None:
        """Each mistake has its error (§6.1.3)."""
        invalid = "modify bad-request invalid-jid"
        for jid in ("nurse@localhost", "", "@", f"{ROMEO}/{'x' * 1000}"):
            self.assertEqual(self.subscribe(jid), invalid)
        self.assertEqual(self.subscribe(node=""), "modify bad-request nodeid-required")
        self.assertEqual(self.subscribe(node="other"), "cancel item-not-found")
        self.configure(subscribe="0")
        self.assertEqual(self.subscribe(), "cancel feature-not-implemented unsupported subscribe")
        self.configure(subscribe="1", access_model="presence")
        self.assertEqual(self.subscribe(), "auth not-authorized presence-subscription-required")
        self.befriend(JULIET, ROMEO, groups=["Friends"])
        self.assertEqual(self.subscribe(), f"{TUNE} {FULL} subscribed")
        self.configure(access_model="roster", roster_groups_allowed="Work")
        self.assertEqual(self.subscribe(ROMEO), "auth not-authorized not-in-roster-group")
        self.configure(access_model="whitelist")
        self.assertEqual(self.subscribe(ROMEO), "cancel not-allowed closed-node")

    def test_tooMany(self) -> None:
        """One bare JID has some subscriptions to one node by its resources, and a node some in all (§6.1.3.9)."""
        for number in range(20):
            self.assertIn("subscribed", self.subscribe(f"{ROMEO}/{number}"))
        many = "wait policy-violation too-many-subscriptions"
        self.assertEqual(self.subscribe(), many)
        for number in range(10):
            self.assertIn("subscribed", self.subscribe(f"nurse@localhost/{number}", client=self.nurse))
        self.assertEqual(self.subscribe("nurse@localhost", client=self.nurse), many)
        self.assertIn("none", self.unsubscribe(f"{ROMEO}/1"))
        self.assertIn("subscribed", self.subscribe())

    def test_unsubscribeRefused(self) -> None:
        """Each mistake has its error (§6.2.3)."""
        self.assertEqual(self.unsubscribe(), "cancel unexpected-request not-subscribed")
        self.assertEqual(self.unsubscribe("nurse@localhost"), "auth forbidden")
        self.assertEqual(self.unsubscribe(""), "modify bad-request jid-required")
        self.assertEqual(self.unsubscribe(node="other"), "cancel item-not-found")
        self.subscribe()
        self.assertEqual(self.unsubscribe(extra=" subid='x'"), "modify not-acceptable invalid-subid")

    def test_noLastItem(self) -> None:
        """The last item is sent only if the node is configured so and has one."""
        self.configure(send_last_published_item="on_sub")
        self.subscribe()
        self.assertEqual(len(self.further), 1)
        self.configure(send_last_published_item="never")
        self.subscribe(ROMEO)
        self.assertEqual(self.further, [])
        self.publish(self.juliet, "empty", access_model="open")
        self.own(self.juliet, "set", "<purge node='empty'/>")
        self.subscribe(node="empty")
        self.assertEqual(self.further, [])

    def test_ownersTold(self) -> None:
        """Owners hear of subscriptions that begin and end, if they want to."""
        self.juliet.sends("<presence/>")
        self.juliet.received()
        self.configure(notify_sub="1")
        self.subscribe()
        self.unsubscribe()
        self.assertEqual(
            self.heard(self.juliet), [f"subscription {TUNE} {FULL} subscribed", f"subscription {TUNE} {FULL} none"]
        )

    def test_options(self) -> None:
        """A subscriber says whether they are notified (§6.3)."""
        self.subscribe()
        request = f"<options node='{TUNE}' jid='{FULL}'"
        answer = self.ask(self.romeo, "get", f"{request}/>", JULIET)
        self.assertIn("<field type='boolean' var='pubsub#deliver'", render(answer).decode())
        for value, heard in (("0", []), ("1", [f"items {TUNE} item x tune"])):
            x = form("pubsub#subscribe_options", {"deliver": value})
            self.assertEqual(self.ask(self.romeo, "set", f"{request}>{x}</options>", JULIET)["type"], "result")
            self.publish(self.juliet, id="x")
            self.assertEqual(self.heard(self.romeo), heard)

    def test_optionsRefused(self) -> None:
        """Each mistake has its error (§6.3.4)."""
        for type in ("get", "set"):
            for attributes, expected in (
                (f"node='{TUNE}' jid='{FULL}'", "modify unexpected-request not-subscribed"),
                (f"node='{TUNE}'", "modify bad-request jid-required"),
                (f"node='{TUNE}' jid='nurse@localhost'", "auth forbidden"),
                (f"node='other' jid='{FULL}'", "cancel item-not-found"),
                (f"jid='{FULL}'", "modify bad-request nodeid-required"),
            ):
                self.assertEqual(refused(self.ask(self.romeo, type, f"<options {attributes}/>", JULIET)), expected)
        self.subscribe()
        invalid = "modify bad-request invalid-options"
        x = form("pubsub#subscribe_options", {"deliver": "maybe"})
        for inside in ("", x):
            text = f"<options node='{TUNE}' jid='{FULL}'>{inside}</options>"
            self.assertEqual(refused(self.ask(self.romeo, "set", text, JULIET)), invalid)
        text = f"<options node='{TUNE}' jid='{FULL}' subid='x'/>"
        self.assertEqual(refused(self.ask(self.romeo, "get", text, JULIET)), "modify not-acceptable invalid-subid")

    def test_subscribeWithOptions(self) -> None:
        """Options may come with the subscription (§6.3.7); the answer has them."""
        x = form("pubsub#subscribe_options", {"deliver": "0"})
        answer = self.ask(self.romeo, "set", f"<subscribe node='{TUNE}' jid='{FULL}'/><options>{x}</options>", JULIET)
        self.assertIn("<options><x xmlns='jabber:x:data' type='result'>", render(answer).decode())
        self.publish(self.juliet, id="x")
        self.assertEqual(self.heard(self.romeo), [])
        for options in (f"<options node='{TUNE}'>{x}</options>", f"<options jid='{FULL}'>{x}</options>"):
            self.assertEqual(self.subscribe(ROMEO, options=options), "modify bad-request")
        self.assertEqual(self.subscribe(ROMEO, options="<options/>"), "modify bad-request invalid-options")

    def test_defaults(self) -> None:
        """The options of new subscriptions can be asked for, of a node or of all (§6.4)."""
        for attribute in ("", f" node='{TUNE}'"):
            answer = self.ask(self.romeo, "get", f"<default{attribute}/>", JULIET)
            self.assertIn(f"<default{attribute}><x xmlns='jabber:x:data' type='form'>", render(answer).decode())
        self.assertEqual(refused(self.ask(self.romeo, "get", "<default node='x'/>", JULIET)), "cancel item-not-found")


class OwnTests(PEPTestCase):
    """Lists of what one has (§5.6, §5.7)."""

    def setUp(self) -> None:
        """Juliet has nodes, and Romeo subscriptions."""
        super().setUp()
        self.juliet, self.romeo = self.login("juliet", "romeo")
        for node in ("a", "b", "c"):
            self.publish(self.juliet, node, access_model="open")
        for node, jid in (("a", ROMEO), ("b", FULL), ("a", FULL)):
            self.ask(self.romeo, "set", f"<subscribe node='{node}' jid='{jid}'/>", JULIET)
        member = f"<affiliation jid='{ROMEO}' affiliation='member'/>"
        self.own(self.juliet, "set", f"<affiliations node='b'>{member}</affiliations>")

    def listed(self, client: Client, request: str, *names: str) -> list[str]:
        """Ask for a list; return attributes of its elements."""
        answer = self.ask(client, "get", request, JULIET)
        if answer["type"] == "error":
            return [refused(answer)]
        listed = next(next(answer.childElements()).childElements())
        return [" ".join(each.attributes[name] for name in names) for each in listed.childElements()]

    def test_subscriptions(self) -> None:
        """Subscriptions are those of all resources, to all nodes or to one."""
        names = ("node", "jid", "subscription")
        a, full, b = f"a {ROMEO} subscribed", f"a {FULL} subscribed", f"b {FULL} subscribed"
        self.assertEqual(self.listed(self.romeo, "<subscriptions/>", *names), [a, full, b])
        self.assertEqual(self.listed(self.romeo, "<subscriptions node='b'/>", *names), [b])
        self.assertEqual(self.listed(self.juliet, "<subscriptions/>", *names), [])
        self.assertEqual(self.listed(self.romeo, "<subscriptions node='x'/>"), ["cancel item-not-found"])

    def test_affiliations(self) -> None:
        """So it is with affiliations; the account owns all of its nodes."""
        names = ("node", "affiliation")
        self.assertEqual(self.listed(self.romeo, "<affiliations/>", *names), ["b member"])
        self.assertEqual(self.listed(self.romeo, "<affiliations node='b'/>", *names), ["b member"])
        self.assertEqual(self.listed(self.romeo, "<affiliations node='a'/>", *names), [])
        self.assertEqual(self.listed(self.juliet, "<affiliations/>", *names), ["a owner", "b owner", "c owner"])
        self.assertEqual(self.listed(self.romeo, "<affiliations node='x'/>"), ["cancel item-not-found"])
