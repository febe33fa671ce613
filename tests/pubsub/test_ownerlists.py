# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.ownerlists} (XEP-0060 §8.8, §8.9)."""

from __future__ import annotations

from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from tests.pubsub.helpers import JULIET, ROMEO, TUNE, PEPTestCase, refused

NURSE = "nurse@localhost"


class ListTestCase(PEPTestCase):
    """
    A node of Juliet's, to which Romeo has subscribed.

    @cvar listName: what the list is called.
    @cvar name: what one of its elements is called, and its state.
    """

    listName = "subscriptions"
    name = "subscription"

    def setUp(self) -> None:
        """Make it."""
        super().setUp()
        self.juliet, self.romeo, self.nurse = self.login("juliet", "romeo", "nurse")
        self.publish(self.juliet, access_model="open", send_last_published_item="never")
        self.ask(self.romeo, "set", f"<subscribe node='{TUNE}' jid='{ROMEO}/pc'/>", JULIET)

    def listed(self, client: Client | None = None, node: str = TUNE) -> list[str]:
        """The list, as C{JID state}."""
        answer = self.own(client or self.juliet, "get", f"<{self.listName} node='{node}'/>", JULIET)
        if answer["type"] == "error":
            return [refused(answer)]
        listed = next(next(answer.childElements()).childElements())
        return [f"{each['jid']} {each[self.name]}" for each in listed.childElements()]

    def change(self, *wanted: str, client: Client | None = None, node: str = TUNE) -> list[str]:
        """Change it: C{JID state}, and perhaps more attributes; return what was refused, or C{result}."""
        items = []
        for each in wanted:
            jid, _, rest = each.partition(" ")
            state, _, more = rest.partition(" ")
            attribute = f" {self.name}='{state}'" if state else ""
            items.append(f"<{self.name} jid='{jid}'{attribute} {more}/>")
        text = f"<{self.listName} node='{node}'>{''.join(items)}</{self.listName}>"
        answer = self.own(client or self.juliet, "set", text, JULIET)
        if answer["type"] == "result":
            return ["result"]
        pubsub = answer.child("pubsub", ns.PUBSUB_OWNER)
        assert pubsub is not None
        found = [f"{each['jid']} {each[self.name]}" for list in pubsub.childElements() for each in list.childElements()]
        return [refused(answer), *found] if "not-acceptable" in refused(answer) else [refused(answer)]


class SubscriptionTests(ListTestCase):
    """Subscriptions."""

    def test_changed(self) -> None:
        """They begin and end, and who has them is told (§8.8)."""
        self.nurse.sends("<presence/>")
        self.nurse.received()
        self.assertEqual(self.listed(), [f"{ROMEO}/pc subscribed"])
        self.assertEqual(self.change(f"{NURSE} subscribed", f"{ROMEO}/pc none"), ["result"])
        self.assertEqual(self.listed(), [f"{NURSE} subscribed"])
        self.assertEqual(self.heard(self.nurse), [f"subscription {TUNE} {NURSE} subscribed"])
        self.assertEqual(self.heard(self.romeo), [f"subscription {TUNE} {ROMEO}/pc none"])
        self.publish(self.juliet, id="x")
        self.assertEqual(self.heard(self.nurse), [f"items {TUNE} item x tune"])
        self.assertEqual(self.change(f"{NURSE}"), ["result"])

    def test_refused(self) -> None:
        """What is not possible comes back as it is; the rest is done (§8.8.2.4)."""
        wrong = (f"{ROMEO}/pc subscribed subid='x'", f"{NURSE} pending", "@ none")
        outcome = self.change(*wrong, "a@localhost subscribed")
        self.assertEqual(
            outcome, ["modify not-acceptable", "@ none", f"{ROMEO}/pc subscribed", f"{NURSE} none"]
        )
        self.assertEqual(self.listed(), [f"{ROMEO}/pc subscribed", "a@localhost subscribed"])

    def test_others(self) -> None:
        """Only owners do that."""
        for client, node, expected in (
            (self.romeo, TUNE, "auth forbidden"), (self.juliet, "x", "cancel item-not-found"),
            (self.juliet, "", "modify bad-request nodeid-required"),
        ):  # fmt: skip
            self.assertEqual(self.listed(client, node), [expected])
            self.assertEqual(self.change(client=client, node=node), [expected])


class AffiliationTests(ListTestCase):
    """Affiliations."""

    listName = "affiliations"
    name = "affiliation"

    def test_changed(self) -> None:
        """They are what was said last (§8.9), and count at once."""
        self.assertEqual(self.listed(), [f"{JULIET} owner"])
        self.assertEqual(self.change(f"{NURSE} publisher", f"{ROMEO} member"), ["result"])
        self.assertEqual(self.listed(), [f"{JULIET} owner", f"{NURSE} publisher", f"{ROMEO} member"])
        item = "<item id='n'><tune xmlns='http://jabber.org/protocol/tune'/></item>"
        answer = self.ask(self.nurse, "set", f"<publish node='{TUNE}'>{item}</publish>", JULIET)
        self.assertEqual(refused(answer), "result")
        self.assertEqual(self.heard(self.romeo), [f"items {TUNE} item n tune"])
        self.assertEqual(self.change(f"{NURSE} none", f"{ROMEO}"), ["result"])
        self.assertEqual(self.listed(), [f"{JULIET} owner", f"{ROMEO} member"])
        self.assertEqual(self.change(f"{NURSE} owner"), ["result"])
        self.assertEqual(self.listed(self.nurse), [f"{JULIET} owner", f"{ROMEO} member", f"{NURSE} owner"])

    def test_outcast(self) -> None:
        """Who is banned is not subscribed any more, is told so, and gets nothing (§4.1)."""
        self.assertEqual(self.change(f"{ROMEO} outcast"), ["result"])
        self.assertEqual(self.heard(self.romeo), [f"subscription {TUNE} {ROMEO}/pc none"])
        self.assertEqual(self.items(self.romeo, to=JULIET), "auth forbidden")
        answer = self.ask(self.romeo, "set", f"<subscribe node='{TUNE}' jid='{ROMEO}'/>", JULIET)
        self.assertEqual(refused(answer), "auth forbidden")

    def test_refused(self) -> None:
        """What is not possible comes back as it is; the rest is done (§8.9.2.4)."""
        self.change(f"{NURSE} publisher")
        outcome = self.change(
            f"{JULIET} none", f"{NURSE} member", f"{ROMEO}/pc member", f"{ROMEO} king", "@ none", "a@localhost member"
        )
        refusals = [f"{ROMEO}/pc none", f"{ROMEO} none", "@ none", f"{JULIET} owner", f"{NURSE} publisher"]
        self.assertEqual(outcome, ["modify not-acceptable", *refusals])
        self.assertEqual(self.listed(), [f"{JULIET} owner", f"{NURSE} publisher", "a@localhost member"])
        self.assertEqual(self.change(f"{ROMEO} member", f"{ROMEO} none"), ["modify bad-request"])

    def test_others(self) -> None:
        """Only owners do that."""
        self.change(f"{NURSE} publisher")
        for client, node, expected in (
            (self.nurse, TUNE, "auth forbidden"), (self.juliet, "x", "cancel item-not-found"),
            (self.juliet, "", "modify bad-request nodeid-required"),
        ):  # fmt: skip
            self.assertEqual(self.listed(client, node), [expected])
            self.assertEqual(self.change(client=client, node=node), [expected])
