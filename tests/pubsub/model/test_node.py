# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.model.node} and L{muccore.pubsub.model.affiliations}."""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import NodeChange, StoredSubscription
from muccore.pubsub.model.affiliations import PRIVILEGES, TRANSITIONS
from muccore.pubsub.model.configuration import Limits, NodeConfiguration, toStored
from muccore.pubsub.model.node import Node, Update
from muccore.pubsub.model.subscriptions import Subscription, SubscriptionOptions
from tests.pubsub.model.helpers import GUEST, OWNER, makeNode

LIMITS = Limits(5, 100, 1000, None, subscriptions=4, affiliations=4)
NAMES = [OWNER, GUEST, "a@localhost", "b@localhost", "c@localhost", "localhost"]
changes = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(sorted(PRIVILEGES)), max_size=6)


class NodeTests(SynchronousTestCase):
    """Nodes."""

    def test_created(self) -> None:
        """Its creator owns it, unless they own all of the service."""
        node = Node.create("pubsub.localhost", "a", NodeConfiguration(), GUEST, 5.0, "")
        self.assertEqual((node.affiliates(), node.created, node.creator), ({GUEST: "owner"}, 5.0, GUEST))
        node = Node.create(OWNER, "a", NodeConfiguration(), OWNER, 5.0, OWNER)
        self.assertEqual((node.affiliations, node.affiliates()), ({}, {OWNER: "owner"}))
        self.assertEqual((node.affiliationOf(OWNER), node.affiliationOf(GUEST)), ("owner", "none"))

    def test_stored(self) -> None:
        """What was stored comes back."""
        node = makeNode("member", "pending", title="A")
        node.subscriptions[GUEST] = Subscription("2", "subscribed", SubscriptionOptions(False))
        again = Node.fromStored(OWNER, "node", node.stored, OWNER)
        for name in Node.__slots__:
            self.assertEqual(getattr(again, name), getattr(node, name))
        self.assertEqual(node.stored.subscriptions[GUEST], StoredSubscription("2", "subscribed", {"deliver": ["0"]}))

    def test_update(self) -> None:
        """A change makes of a node in memory what it makes of that in the store."""
        node = makeNode("member", "subscribed")
        new = Subscription("2", "pending")
        configuration = NodeConfiguration(maxItems=3)
        update = Update(configuration, {GUEST: "none", "a@localhost": "outcast"}, {f"{GUEST}/pc": None, GUEST: new})
        self.assertEqual(
            update.stored(LIMITS),
            NodeChange(
                toStored(configuration), {GUEST: None, "a@localhost": "outcast"},
                {f"{GUEST}/pc": None, GUEST: new.stored}, 3,
            ),
        )  # fmt: skip
        node.apply(update)
        self.assertEqual((node.affiliations, node.subscriptions), ({"a@localhost": "outcast"}, {GUEST: new}))
        self.assertIs(node.configuration, configuration)
        node.apply(Update())
        self.assertIs(node.configuration, configuration)

    def test_subscriptions(self) -> None:
        """Subscriptions are found by bare JID; only those that are not pending count."""
        node = makeNode(state="pending")
        node.subscriptions[GUEST + "x"] = Subscription("2", "subscribed")
        self.assertEqual(list(node.subscriptionsOf(GUEST)), [f"{GUEST}/pc"])
        self.assertEqual((node.isSubscribed(GUEST), node.isSubscribed(GUEST + "x")), (False, True))


class AffiliationTests(SynchronousTestCase):
    """Changes of affiliations (§8.9)."""

    def planned(self, node: Node, wanted: dict[str, str]) -> list[str]:
        """Plan and make a change; return who was refused."""
        update, refused = node.planAffiliations(wanted.items(), LIMITS)
        node.apply(update)
        return refused

    def test_transitions(self) -> None:
        """An affiliation becomes what the state chart says (§4.1)."""
        for old in PRIVILEGES:
            for new in PRIVILEGES:
                node = makeNode(old)
                refused = self.planned(node, {GUEST: new})
                allowed = old == new or new in TRANSITIONS[old]
                self.assertEqual((refused, node.affiliationOf(GUEST)), ([], new) if allowed else ([GUEST], old))

    def test_permanentOwner(self) -> None:
        """The owner of a service stays one."""
        node = makeNode("owner")
        self.assertEqual(self.planned(node, {OWNER: "none"}), [OWNER])
        self.assertEqual(self.planned(node, {OWNER: "owner"}), [])

    def test_lastOwner(self) -> None:
        """The last owner stays one, unless there is another one by the same request, before."""
        node = makeNode("owner", permanentOwner="")
        self.assertEqual(self.planned(node, {GUEST: "none"}), [GUEST])
        self.assertEqual(self.planned(node, {GUEST: "none", "a@localhost": "owner"}), [GUEST])
        self.assertEqual(self.planned(node, {"b@localhost": "owner", GUEST: "none", "a@localhost": "none"}), [])
        self.assertEqual(node.affiliations, {"b@localhost": "owner"})

    def test_subscriptionsEnd(self) -> None:
        """Who may not subscribe any more is not subscribed any more."""
        for affiliation, model, stays in (
            ("outcast", "open", False), ("publish-only", "open", False), ("none", "open", True),
            ("none", "whitelist", False), ("publisher", "whitelist", True),
        ):  # fmt: skip
            node = makeNode("member", "subscribed", accessModel=model)
            node.subscriptions["a@localhost"] = Subscription("2", "subscribed")
            self.planned(node, {GUEST: affiliation})
            self.assertEqual((f"{GUEST}/pc" in node.subscriptions, len(node.subscriptions)), (stays, 1 + stays))

    @settings(max_examples=60)
    @given(changes, changes)
    def test_any(self, before: dict[str, str], wanted: dict[str, str]) -> None:
        """Whatever is asked for, somebody owns the node, there are not too many, and the rest is as asked for."""
        node = makeNode(permanentOwner="")
        node.affiliations = {jid: each for jid, each in before.items() if each != "none"} or {OWNER: "owner"}
        node.affiliations.setdefault("localhost", "owner")
        owned = "owner" in node.affiliations.values()
        number = len(node.affiliations)
        old = dict(node.affiliations)
        refused = self.planned(node, wanted)
        self.assertLessEqual(owned, "owner" in node.affiliations.values())
        self.assertLessEqual(len(node.affiliations), max(number, LIMITS.affiliations))
        self.assertNotIn("none", node.affiliations.values())
        for jid in NAMES:
            expected = old.get(jid, "none") if jid in refused else wanted.get(jid, old.get(jid, "none"))
            self.assertEqual(node.affiliationOf(jid), expected)


class SubscriptionTests(SynchronousTestCase):
    """Changes of subscriptions by owners (§8.8)."""

    def planned(self, node: Node, *wanted: tuple[str, str | None, str]) -> tuple[dict[str, Any], list[str]]:
        """Plan a change; return the states that change, and who was refused."""
        ids = count()
        update, refused = node.planSubscriptions(wanted, lambda: f"new{next(ids)}", LIMITS)
        states = {jid: None if each is None else (each.subid, each.state) for jid, each in update.subscriptions.items()}
        return states, refused

    def test_changes(self) -> None:
        """Requests are approved, subscriptions begin and end."""
        node = makeNode(state="pending")
        full = f"{GUEST}/pc"
        self.assertEqual(self.planned(node, (full, None, "subscribed")), ({full: ("1", "subscribed")}, []))
        self.assertEqual(self.planned(node, (full, "1", "none")), ({full: None}, []))
        self.assertEqual(
            self.planned(node, ("a@localhost", None, "subscribed"), (full, None, "none")),
            ({"a@localhost": ("new0", "subscribed"), full: None}, []),
        )
        node.subscriptions[full] = Subscription("1", "subscribed")
        self.assertEqual(self.planned(node, (full, None, "subscribed")), ({}, []))

    def test_refused(self) -> None:
        """What is not possible is refused, and the rest is done."""
        node = makeNode("outcast", "subscribed")
        full = f"{GUEST}/pc"
        for wanted in (
            (full, "2", "none"), ("a@localhost", None, "none"), (full, None, "pending"), (full, None, "unconfigured"),
            ("a@localhost", None, "pending"), ("a@localhost", "1", "subscribed"), (GUEST, None, "subscribed"),
            ("a@localhost", None, "x"),
        ):  # fmt: skip
            states, refused = self.planned(node, wanted, ("b@localhost", None, "subscribed"))
            self.assertEqual((states, refused), ({"b@localhost": ("new0", "subscribed")}, [wanted[0]]))
        twice = self.planned(node, (full, None, "none"), (full, None, "subscribed"))
        self.assertEqual(twice, ({full: None}, [full]))

    def test_limit(self) -> None:
        """There are as many as there may be; one that ends makes room."""
        node = makeNode(state="subscribed")
        new = [(f"{letter}@localhost", None, "subscribed") for letter in "abcd"]
        self.assertEqual(self.planned(node, *new)[1], ["d@localhost"])
        self.assertEqual(self.planned(node, (f"{GUEST}/pc", None, "none"), *new)[1], [])
