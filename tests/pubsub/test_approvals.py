# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.approvals} (XEP-0060 §8.6)."""

from __future__ import annotations

from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import conditionOf
from muccore.xmpp.rendering import render
from tests.pubsub.helpers import JULIET, ROMEO, TUNE, PEPTestCase, form, refused, told

FULL = f"{ROMEO}/pc"


class ApprovalTests(PEPTestCase):
    """Juliet approves subscriptions."""

    def setUp(self) -> None:
        """Romeo wants to subscribe."""
        super().setUp()
        self.juliet, self.romeo, self.nurse = self.login("juliet", "romeo", "nurse")
        self.present(self.juliet)
        self.publish(self.juliet, id="a", access_model="authorize")
        self.question = self.subscribe()

    def subscribe(self) -> Element:
        """Let Romeo ask; return what Juliet is asked."""
        answer = self.ask(self.romeo, "set", f"<subscribe node='{TUNE}' jid='{FULL}'/>", JULIET)
        self.assertIn("subscription='pending'", render(answer).decode())
        [question] = self.juliet.received()
        return question

    def answer(self, allow: str = "1", client: Client | None = None, type: str = "submit", **changes: str) -> str:
        """Let an owner answer; return the error, if there is one, or what the client is told."""
        x = self.question.child("x", ns.DATA)
        assert x is not None
        values = {field.attributes.get("var", ""): field.childText("value") or "" for field in x.childElements()}
        values = {name.removeprefix("pubsub#"): value for name, value in values.items() if name.startswith("pubsub#")}
        values.update(allow=allow, **changes)
        text = form("pubsub#subscribe_authorization", dict(values), type)
        sender = client or self.juliet
        sender.sends(f"<message to='{JULIET}' id='{self.question['id']}'>{text}</message>")
        return " ".join(conditionOf(each) or told(each) for each in sender.received() if each.name == "message")

    def test_asked(self) -> None:
        """The owner gets a form, with a body so that it waits for them; the subscriber has nothing yet."""
        addresses = (self.question["from"], self.question["to"])
        self.assertEqual((addresses, self.question.get("type")), ((JULIET, JULIET), None))
        self.assertEqual(self.question.childText("body"), f"{FULL} would like to subscribe to {TUNE}.")
        self.assertIn("<field type='boolean' var='pubsub#allow'", render(self.question).decode())
        self.publish(self.juliet, id="b")
        self.assertEqual(self.heard(self.romeo), [])
        self.assertEqual(self.items(self.romeo, to=JULIET), "auth not-authorized not-subscribed")
        again = self.ask(self.romeo, "set", f"<subscribe node='{TUNE}' jid='{FULL}'/>", JULIET)
        self.assertEqual(refused(again), "auth not-authorized pending-subscription")

    def test_approved(self) -> None:
        """Who is approved is told so, and gets the last item and all others."""
        self.assertEqual(self.answer(), "")
        self.assertEqual(
            self.heard(self.romeo), [f"subscription {TUNE} {FULL} subscribed", f"items {TUNE} item a tune delayed"]
        )
        self.assertEqual(self.items(self.romeo, to=JULIET), "a")
        self.publish(self.juliet, id="b")
        self.assertEqual(self.heard(self.romeo), [f"items {TUNE} item b tune"])
        # Another client of Juliet's comes too late.
        self.assertEqual(self.answer("0"), "")
        self.assertEqual(self.items(self.romeo, to=JULIET), "b")

    def test_denied(self) -> None:
        """Who is denied is told so, and may ask again."""
        self.assertEqual(self.answer("0"), "")
        self.assertEqual(self.heard(self.romeo), [f"subscription {TUNE} {FULL} none"])
        self.assertEqual(self.answer(), "item-not-found")
        self.question = self.subscribe()
        self.answer("true")
        self.assertEqual(self.items(self.romeo, to=JULIET), "a")

    def test_cancelled(self) -> None:
        """If the form is cancelled, the request waits on."""
        self.assertEqual(self.answer(type="cancel"), "")
        self.assertEqual(self.heard(self.romeo), [])
        self.assertEqual(self.answer(), "")
        self.assertEqual(len(self.heard(self.romeo)), 2)

    def test_refused(self) -> None:
        """Only owners answer, and only requests that there are."""
        self.assertEqual(self.answer(client=self.nurse), "forbidden")
        for changes in ({"node": "x"}, {"subscriber_jid": "nurse@localhost"}, {"subid": "x"}):
            self.assertEqual(self.answer(**changes), "item-not-found")
        for changes in ({"allow": ""}, {"node": ""}, {"subscriber_jid": "@"}):
            self.assertEqual(self.answer(**{"allow": "1", **changes}), "not-acceptable")
        self.assertEqual(self.heard(self.romeo), [])

    def test_otherMessages(self) -> None:
        """Other messages are delivered."""
        for inside in ("<body>Hi</body>", form("muc#request", {}), form("pubsub#subscribe_authorization", {}, "form")):
            self.romeo.sends(f"<message to='{JULIET}' id='x'>{inside}</message>")
            self.assertEqual([each["id"] for each in self.juliet.received()], ["x"])

    def test_coOwner(self) -> None:
        """All owners are asked; who approves by the list approves, too."""
        owner = "<affiliation jid='nurse@localhost' affiliation='owner'/>"
        self.own(self.juliet, "set", f"<affiliations node='{TUNE}'>{owner}</affiliations>")
        self.nurse.sends("<presence/>")
        self.nurse.received()
        self.answer("0")
        self.question = self.subscribe()
        [request] = self.nurse.received()
        self.assertEqual(request["from"], JULIET)
        self.assertEqual(self.answer(client=self.nurse), "")
        self.assertEqual(self.items(self.romeo, to=JULIET), "a")
