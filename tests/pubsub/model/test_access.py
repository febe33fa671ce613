# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.model.access} and the errors that it raises."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.pubsub.model.access import (
    STRANGER,
    Relation,
    checkOwner,
    checkPublish,
    checkRetract,
    checkRetrieve,
    checkSubscribe,
    mayAccess,
)
from muccore.pubsub.model.affiliations import PRIVILEGES
from muccore.pubsub.model.node import Node
from muccore.xmpp.errors import StanzaError
from tests.pubsub.model.helpers import GUEST, OWNER, errorOf, makeNode
from tests.pubsub.model.test_configuration import MODELS, configured

FRIEND = Relation(True, frozenset(["Friends"]))
COLLEAGUE = Relation(True, frozenset(["Work", "x"]))
relations = st.sampled_from([STRANGER, FRIEND, COLLEAGUE, Relation(False, frozenset(["Work"]))])
affiliations = st.sampled_from(sorted(PRIVILEGES))
states = st.sampled_from(["", "pending", "subscribed"])


def outcome(call: Callable[..., object], *arguments: object) -> str:
    """What a call returns, C{"ok"} for nothing, or its error."""
    try:
        return str(call(*arguments) or "ok")
    except StanzaError as e:
        return errorOf(e)


class AccessTests(SynchronousTestCase):
    """What entities without an affiliation may do."""

    def test_models(self) -> None:
        """The access model decides (§4.5, §6.1.3, §6.5.9)."""
        presence = "auth not-authorized presence-subscription-required"
        group, closed = "auth not-authorized not-in-roster-group", "cancel not-allowed closed-node"
        for model, relation, subscribe, retrieve in (
            ("open", STRANGER, "subscribed", "ok"), ("presence", STRANGER, presence, presence),
            ("presence", FRIEND, "subscribed", "ok"), ("roster", STRANGER, group, group),
            ("roster", FRIEND, group, group), ("roster", COLLEAGUE, "subscribed", "ok"),
            ("roster", Relation(False, frozenset(["Work"])), group, group),
            ("authorize", FRIEND, "pending", "auth not-authorized not-subscribed"),
            ("whitelist", COLLEAGUE, closed, closed),
        ):  # fmt: skip
            node = makeNode(accessModel=model, rosterGroups=("Work",))
            self.assertEqual(outcome(checkSubscribe, node, GUEST, relation), subscribe, model)
            self.assertEqual(outcome(checkRetrieve, node, GUEST, relation), retrieve, model)

    def test_authorized(self) -> None:
        """Who was approved may retrieve items, who waits for that may not."""
        for state, expected in (("pending", "auth not-authorized not-subscribed"), ("subscribed", "ok")):
            node = makeNode(state=state, accessModel="authorize")
            self.assertEqual(outcome(checkRetrieve, node, GUEST, STRANGER), expected)

    def test_affiliations(self) -> None:
        """Affiliations decide before that (§4.1)."""
        for affiliation, subscribe, publish in (
            ("owner", "subscribed", "ok"), ("publisher", "subscribed", "ok"), ("member", "subscribed", None),
            ("publish-only", "auth forbidden", "ok"), ("outcast", "auth forbidden", "auth forbidden"),
        ):  # fmt: skip
            for model in MODELS:
                node = makeNode(affiliation, accessModel=model)
                self.assertEqual(outcome(checkSubscribe, node, GUEST, STRANGER), subscribe)
                retrieve = "ok" if subscribe == "subscribed" else subscribe
                self.assertEqual(outcome(checkRetrieve, node, GUEST, FRIEND), retrieve)
            for model, allowed in (("publishers", "auth forbidden"), ("open", "ok")):
                node = makeNode(affiliation, publishModel=model)
                self.assertEqual(outcome(checkPublish, node, GUEST), publish or allowed)

    def test_publishing(self) -> None:
        """Without an affiliation, the publish model decides: subscribers, or everybody."""
        for model, state, expected in (
            ("publishers", "subscribed", "auth forbidden"), ("subscribers", "", "auth forbidden"),
            ("subscribers", "pending", "auth forbidden"), ("subscribers", "subscribed", "ok"), ("open", "", "ok"),
        ):  # fmt: skip
            node = makeNode(state=state, publishModel=model)
            self.assertEqual(outcome(checkPublish, node, GUEST), expected)

    def test_notSubscribable(self) -> None:
        """A node may take no subscriptions (§6.1.3.10)."""
        node = makeNode(subscribe=False)
        expected = "cancel feature-not-implemented unsupported subscribe"
        self.assertEqual(outcome(checkSubscribe, node, GUEST, STRANGER), expected)
        node = makeNode("outcast", subscribe=False)
        self.assertEqual(outcome(checkSubscribe, node, GUEST, STRANGER), "auth forbidden")

    def test_retracting(self) -> None:
        """Owners retract everything; others what they have published, as long as they may publish."""
        for affiliation, model, publisher, expected in (
            ("owner", "publishers", OWNER, "ok"), ("publisher", "publishers", GUEST, "ok"),
            ("publisher", "publishers", OWNER, "auth forbidden"), ("publish-only", "publishers", GUEST, "ok"),
            ("none", "open", GUEST, "ok"), ("none", "open", OWNER, "auth forbidden"),
            ("none", "publishers", GUEST, "auth forbidden"), ("outcast", "open", GUEST, "auth forbidden"),
        ):  # fmt: skip
            node = makeNode(affiliation, publishModel=model)
            self.assertEqual(outcome(checkRetract, node, GUEST, publisher), expected, (affiliation, model))

    @settings(max_examples=60)
    @given(configured, affiliations, states, relations)
    def test_always(self, configuration: object, affiliation: str, state: str, relation: Relation) -> None:
        """The owner may do everything, an outcast nothing; a check agrees with what may be done."""
        node: Node = makeNode(affiliation, state)
        node.configuration = configuration  # type: ignore[assignment]
        self.assertTrue(mayAccess(node, OWNER, STRANGER))
        for call in (checkPublish, checkOwner):
            self.assertEqual(outcome(call, node, OWNER), "ok")
        allowed = mayAccess(node, GUEST, relation)
        self.assertEqual(outcome(checkRetrieve, node, GUEST, relation) == "ok", allowed)
        if affiliation == "outcast":
            self.assertFalse(allowed)
            for call in (checkPublish, checkOwner):
                self.assertEqual(outcome(call, node, GUEST), "auth forbidden")
        self.assertEqual(outcome(checkOwner, node, GUEST) == "ok", affiliation == "owner")
        subscribed = outcome(checkSubscribe, node, GUEST, relation) == "subscribed"
        # Who may subscribe at once may read.
        self.assertLessEqual(subscribed, allowed)
