# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.nodes}."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import StoreUnavailable
from muccore.pubsub.model.configuration import Limits, NodeConfiguration
from muccore.pubsub.model.node import Node, Update
from muccore.pubsub.model.subscriptions import Subscription
from muccore.pubsub.nodes import Nodes
from muccore.storage.memorypubsub import MemoryPubSub
from tests.pubsub.helpers import JULIET, ROMEO

LIMITS = Limits(5, 5, 100, None)


class NodesTests(SynchronousTestCase):
    """Nodes in memory."""

    def setUp(self) -> None:
        """Romeo has three nodes; two are kept."""
        self.store: Any = MemoryPubSub()
        self.store.open()
        for name in "abc":
            node = Node.create(ROMEO, name, NodeConfiguration(), ROMEO, 0.0, ROMEO)
            node.affiliations[JULIET] = "member"
            node.subscriptions[f"{JULIET}/pc"] = Subscription("1", "subscribed")
            self.store.create(ROMEO, name, node.stored, 10)
        self.nodes = Nodes(self.store, lambda service: service, 2)
        self.loaded: list[str] = []
        load = self.store.load

        def loading(service: str, name: str) -> Deferred[Any]:
            self.loaded.append(name)
            return load(service, name)

        self.store.load = loading

    def get(self, name: str) -> Any:
        """Get a node."""
        return self.successResultOf(Deferred.fromCoroutine(self.nodes.get(ROMEO, name)))

    def test_kept(self) -> None:
        """The nodes that were used last are kept; those that do not exist are not."""
        for name in "abacaxx":
            self.get(name)
        self.assertEqual("".join(self.loaded), "abcxx")
        self.get("b")
        self.assertEqual(self.loaded[-1], "b")
        self.assertIsNone(self.get("x"))
        self.assertEqual(self.get("a").permanentOwner, ROMEO)

    def test_changed(self) -> None:
        """A change is in memory and in the store, or nowhere."""
        node = self.get("a")
        update = Update(affiliations={JULIET: "none"})
        self.store.close()
        self.failureResultOf(Deferred.fromCoroutine(self.nodes.change(node, update, LIMITS)), StoreUnavailable)
        self.assertEqual(node.affiliations, {JULIET: "member"})
        self.store.open()
        self.successResultOf(Deferred.fromCoroutine(self.nodes.change(node, update, LIMITS)))
        self.assertEqual(node.affiliations, {})
        self.nodes.forget(ROMEO, "a")
        self.assertEqual(self.get("a").affiliations, {})

    def test_dropped(self) -> None:
        """A node that was dropped and loaded again while it was being changed is not kept as it was before."""
        node = self.get("a")
        for name in "bc":
            self.get(name)
        before = self.get("a")
        self.assertIsNot(before, node)
        update = Update(affiliations={JULIET: "none"})
        self.successResultOf(Deferred.fromCoroutine(self.nodes.change(node, update, LIMITS)))
        self.assertIs(self.get("a"), node)

    def test_forgotten(self) -> None:
        """Nothing stays of services and entities that are removed."""
        node = self.get("a")
        self.nodes.forgetEntity(JULIET)
        self.assertEqual((node.affiliations, node.subscriptions), ({}, {}))
        self.nodes.forgetService(ROMEO)
        self.assertIsNot(self.get("a"), node)
