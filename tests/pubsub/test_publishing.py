# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.publishing}, and of what failures of the store mean (XEP-0060 §7)."""

from __future__ import annotations

from muccore.xmpp import ns
from muccore.xmpp.rendering import render
from tests.pubsub.helpers import JULIET, PAYLOAD, ROMEO, TUNE, PEPTestCase, form, refused, told


class PublishTests(PEPTestCase):
    """Publishing."""

    def setUp(self) -> None:
        """Juliet hears of her own tunes."""
        super().setUp()
        self.juliet, self.romeo = self.login("juliet", "romeo")
        self.present(self.juliet, TUNE)

    def test_published(self) -> None:
        """The answer has the id of the item, and comes before the notification, which has the item."""
        answer = self.ask(self.juliet, "set", f"<publish node='{TUNE}'><item id='1'>{PAYLOAD}</item></publish>")
        self.assertEqual(
            render(next(answer.childElements())).decode(),
            f"<pubsub xmlns='{ns.PUBSUB}'><publish node='{TUNE}'><item id='1'/></publish></pubsub>",
        )
        [message] = self.further
        self.assertEqual((message["from"], message["to"], message["type"]), (JULIET, "juliet@localhost/pc", "headline"))
        self.assertTrue(message["id"])
        event = f"<event xmlns='{ns.PUBSUB_EVENT}'><items node='{TUNE}'><item id='1'>{PAYLOAD}</item></items></event>"
        addresses = f"<addresses xmlns='{ns.ADDRESSES}'><address type='replyto' jid='juliet@localhost/pc'/></addresses>"
        self.assertEqual([render(child).decode() for child in message.childElements()], [event, addresses])

    def test_idGenerated(self) -> None:
        """Without an id the service makes one, another one for each item."""
        ids = set()
        for _ in range(2):
            answer = self.ask(self.juliet, "set", f"<publish node='{TUNE}'><item>{PAYLOAD}</item></publish>")
            ids.add(render(answer).decode())
            self.assertEqual(told(self.further[0]).split()[:3], ["items", TUNE, "item"])
        self.assertEqual(len(ids), 2)

    def test_replaced(self) -> None:
        """The newest items stay, and one with the same id is replaced and the newest."""
        values = {"max_items": "2"}
        for id in "abcb":
            self.assertEqual(self.publish(self.juliet, id=id, **values), "result")
        self.assertEqual(self.items(self.juliet), "c b")

    def test_preconditions(self) -> None:
        """Options are those of a new node, and preconditions of one that exists (§7.1.5)."""
        self.assertEqual(self.publish(self.juliet, access_model="open", max_items="max"), "result")
        self.assertEqual(self.publish(self.juliet, access_model="open", persist_items="true"), "result")
        conflict = "cancel conflict precondition-not-met"
        for values in ({"access_model": "presence"}, {"max_items": "1"}, {"color": "red"}):
            self.assertEqual(self.publish(self.juliet, **values), conflict)
            self.assertEqual(self.publish(self.juliet, "new", color="red"), conflict)
        unsupported = "modify not-acceptable unsupported-access-model"
        self.assertEqual(self.publish(self.juliet, "new", access_model="x"), unsupported)
        self.assertIsNone(self.successResultOf(self.store.load(JULIET, "new")))

    def test_optionsMalformed(self) -> None:
        """Options are in a form, behind the item."""
        item = f"<publish node='{TUNE}'><item>{PAYLOAD}</item></publish>"
        self.assertEqual(refused(self.ask(self.juliet, "set", f"{item}<publish-options/>")), "modify bad-request")
        before = f"<publish-options>{form('pubsub#publish-options', {})}</publish-options>{item}"
        self.assertEqual(refused(self.ask(self.juliet, "set", before)), "modify bad-request")

    def test_others(self) -> None:
        """Others publish only where they may; to an account without nodes they create none."""
        item = f"<publish node='{TUNE}'><item id='r'>{PAYLOAD}</item></publish>"
        for to in (JULIET, "nobody@localhost"):
            self.assertEqual(refused(self.ask(self.romeo, "set", item, to)), "cancel item-not-found")
        self.publish(self.juliet, publish_model="open", access_model="open", max_items="5")
        self.assertEqual(refused(self.ask(self.romeo, "set", item, JULIET)), "result")
        self.assertEqual(self.heard(self.juliet), [f"items {TUNE} item r tune"])
        [found] = self.successResultOf(self.store.find(JULIET, TUNE, ["r"]))
        self.assertEqual(found.publisher, ROMEO)
        self.publish(self.juliet, "closed")
        item = f"<publish node='closed'><item>{PAYLOAD}</item></publish>"
        self.assertEqual(refused(self.ask(self.romeo, "set", item, JULIET)), "auth forbidden")

    def test_transient(self) -> None:
        """Items of a transient node are not kept; one without payloads has notifications without items."""
        self.publish(self.juliet, id="1", persist_items="0")
        self.assertEqual([told(each) for each in self.further], [f"items {TUNE} item 1 tune"])
        self.assertEqual(self.items(self.juliet), "cancel feature-not-implemented unsupported persistent-items")
        refusal = self.publish(self.juliet, "bare", persist_items="0", deliver_payloads="0")
        self.assertEqual(refusal, "modify bad-request item-forbidden")
        self.assertIsNone(self.successResultOf(self.store.load(JULIET, "bare")))
        configured = form("pubsub#node_config", {"persist_items": "0", "deliver_payloads": "0"})
        self.ask(self.juliet, "set", f"<create node='{TUNE}2'/><configure>{configured}</configure>")
        self.present(self.juliet, f"{TUNE}2")
        answer = self.ask(self.juliet, "set", f"<publish node='{TUNE}2'/>")
        self.assertEqual((refused(answer), [told(each) for each in self.further]), ("result", [f"items {TUNE}2"]))

    def test_withoutPayload(self) -> None:
        """A node may notify without payloads, which it keeps; or not at all."""
        self.publish(self.juliet, id="1", deliver_payloads="0")
        self.assertEqual([told(each) for each in self.further], [f"items {TUNE} item 1"])
        answer = self.ask(self.juliet, "get", f"<items node='{TUNE}'/>")
        self.assertIn(PAYLOAD, render(answer).decode())
        self.publish(self.juliet, "silent", deliver_notifications="0")
        self.present(self.juliet, "silent")
        self.publish(self.juliet, "silent")
        self.assertEqual(self.further, [])

    def test_limits(self) -> None:
        """There are as many nodes and bytes as an account may have (resource-constraint beyond)."""
        for number in range(5):
            self.assertEqual(self.publish(self.juliet, f"n{number}"), "result")
        self.assertEqual(self.publish(self.juliet, "n5"), "wait resource-constraint")
        large = f"<a xmlns='urn:x'>{'x' * 400}</a>"
        outcomes = [self.publish(self.juliet, "n0", str(number), large) for number in range(3)]
        self.assertEqual(outcomes, ["result"] * 3)
        configured = form("pubsub#node_config", {"max_items": "max"})
        self.own(self.juliet, "set", f"<configure node='n0'>{configured}</configure>")
        outcomes = [self.publish(self.juliet, "n0", str(number), large) for number in range(20)]
        self.assertEqual(set(outcomes), {"result"})
        self.own(self.juliet, "set", f"<configure node='n1'>{configured}</configure>")
        outcomes = [self.publish(self.juliet, "n1", str(number), large) for number in range(9)]
        self.assertEqual(outcomes[-1], "wait resource-constraint")
        # What does not grow is taken.
        self.assertEqual(self.publish(self.juliet, "n0", "19", large), "result")

    def test_names(self) -> None:
        """A node has a name, which is not too long."""
        self.assertEqual(self.publish(self.juliet, ""), "modify bad-request nodeid-required")
        self.assertEqual(self.publish(self.juliet, "x" * 513), "modify not-acceptable")
        self.assertEqual(self.publish(self.juliet, "x" * 512), "result")

    def test_expired(self) -> None:
        """Items expire."""
        self.publish(self.juliet, id="1", item_expire="60", max_items="5")
        self.server.clock.advance(50)
        self.publish(self.juliet, id="2")
        self.server.clock.advance(20)
        self.assertEqual(self.items(self.juliet), "2")
        self.assertEqual(self.items(self.juliet, inside="<item id='1'/>"), "")
        self.server.clock.advance(60)
        self.assertEqual(self.items(self.juliet), "")

    def test_storeFails(self) -> None:
        """If the store fails, nobody is told of anything, and the operator is once in a while."""
        self.publish(self.juliet, id="1")
        self.store.close()
        self.assertEqual(self.publish(self.juliet, id="2"), "wait internal-server-error")
        self.assertEqual(self.further, [])
        self.store.open()
        self.assertEqual(self.items(self.juliet), "1")


class RetractTests(PEPTestCase):
    """Retracting."""

    def setUp(self) -> None:
        """Juliet has items."""
        super().setUp()
        self.juliet, self.romeo = self.login("juliet", "romeo")
        self.present(self.juliet, TUNE)
        self.befriend(JULIET, ROMEO)
        for id in "abc":
            self.publish(self.juliet, id=id, max_items="5")
        self.juliet.received()

    def retract(self, id: str, notify: str = "", client: str = "juliet", node: str = TUNE) -> tuple[str, list[str]]:
        """Retract an item; return the outcome, and what Juliet is told."""
        attribute = f" notify='{notify}'" if notify else ""
        sender = self.juliet if client == "juliet" else self.romeo
        text = f"<retract node='{node}'{attribute}><item id='{id}'/></retract>"
        outcome = refused(self.ask(sender, "set", text, JULIET))
        further = self.further if sender is self.juliet else self.juliet.received()
        return outcome, [told(stanza) for stanza in further]

    def test_retracted(self) -> None:
        """Subscribers are told, as the request says, or else the node (§7.2.2)."""
        event = [f"items {TUNE} retract a"]
        self.assertEqual(self.retract("a", "true"), ("result", event))
        self.assertEqual(self.retract("b", "0"), ("result", []))
        self.assertEqual(self.retract("c"), ("result", [f"items {TUNE} retract c"]))
        self.assertEqual(self.items(self.juliet), "")
        configured = form("pubsub#node_config", {"notify_retract": "0"})
        self.own(self.juliet, "set", f"<configure node='{TUNE}'>{configured}</configure>")
        self.publish(self.juliet, id="d")
        self.assertEqual(self.retract("d"), ("result", []))
        self.publish(self.juliet, id="e")
        self.assertEqual(self.retract("e", "1"), ("result", [f"items {TUNE} retract e"]))

    def test_refused(self) -> None:
        """Each mistake has its error (§7.2.3)."""
        self.assertEqual(self.retract("x")[0], "cancel item-not-found")
        self.assertEqual(self.retract("a", node="other")[0], "cancel item-not-found")
        self.assertEqual(self.retract("a", client="romeo")[0], "auth forbidden")
        self.assertEqual(self.retract("x", client="romeo")[0], "auth forbidden")
        required = "modify bad-request item-required"
        self.assertEqual(self.retract("")[0], required)
        for text in (f"<retract node='{TUNE}'/>", f"<retract node='{TUNE}'><item id='a'/><item id='b'/></retract>"):
            self.assertEqual(refused(self.ask(self.juliet, "set", text)), required)
        answer = self.ask(self.juliet, "set", "<retract><item id='a'/></retract>")
        self.assertEqual(refused(answer), "modify bad-request nodeid-required")
        self.publish(self.juliet, "transient", persist_items="0")
        unsupported = "cancel feature-not-implemented unsupported persistent-items"
        self.assertEqual(self.retract("a", node="transient")[0], unsupported)
        self.assertEqual(self.items(self.juliet), "a b c")
