# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.nodewriter}."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import IPubSubStore, ItemQuery
from muccore.operations.transfer.nodewriter import NodeWriter
from muccore.operations.transfer.records import NodeItems, UserNode
from muccore.pubsub.model.configuration import Limits, fromStored
from muccore.storage.memorypubsub import MemoryPubSub
from tests.operations.transfer.transferstores import JULIET, now, pubSubItem, storedNode

LIMITS = Limits(2, 5, 100, 500)


class NodeWriterTests(SynchronousTestCase):
    """Nodes of one account."""

    def setUp(self) -> None:
        """Open a store."""
        self.store = MemoryPubSub()
        self.store.open()

    def put(self, *records: Any, limits: Limits = LIMITS, dryRun: bool = False, store: bool = True) -> list[str]:
        """Write records; return the problems."""
        kept: IPubSubStore | None = self.store if store else None
        writer = NodeWriter(kept, JULIET, limits, dryRun)
        return [problem.reason for record in records for problem in now(writer.add(record))]

    def items(self, node: str) -> list[str]:
        """The ids of the items of a node."""
        return [item.id for item in now(self.store.items(JULIET, node, ItemQuery(100, 10000))).items]

    def test_parts(self) -> None:
        """Items may come before their node is known, and parts of it one after the other."""
        self.put(
            NodeItems(JULIET, "n", (pubSubItem("a"),)),
            UserNode(JULIET, "n", storedNode({"a@b": "member"}), False),
            UserNode(JULIET, "n", storedNode({"c@d": "owner"}, accessModel="open", maxItems=3)),
            NodeItems(JULIET, "n", (pubSubItem("b"),)),
        )
        node = now(self.store.load(JULIET, "n"))
        self.assertEqual((fromStored(node.configuration).accessModel, node.affiliations),
                         ("open", {"a@b": "member", "c@d": "owner"}))  # fmt: skip
        self.assertEqual(self.items("n"), ["a", "b"])

    def test_existing(self) -> None:
        """A node that is there stays as it is, and gets the items that it lacks while it has room for them."""
        self.put(UserNode(JULIET, "n", storedNode(maxItems=2)), NodeItems(JULIET, "n", (pubSubItem("a"),)))
        before = now(self.store.load(JULIET, "n"))
        other = (pubSubItem("a", b"<x xmlns='y'/>"), pubSubItem("b"), pubSubItem("c"))
        for dryRun in (True, False):
            problems = self.put(
                UserNode(JULIET, "n", storedNode({"a@b": "owner"}, accessModel="open")), NodeItems(JULIET, "n", other),
                UserNode(JULIET, "n", storedNode({"a@b": "owner"})), dryRun=dryRun,
            )  # fmt: skip
            self.assertEqual(problems, ["the node here has 2 items already, as many as it keeps"])
        self.assertEqual((now(self.store.load(JULIET, "n")), self.items("n")), (before, ["a", "b"]))
        self.assertNotEqual(now(self.store.find(JULIET, "n", ["a"]))[0].payload, b"<x xmlns='y'/>")

    def test_limits(self) -> None:
        """What is above the limits of the server is told, and told before as well."""
        big, many = pubSubItem("big", b"x" * 101), tuple(pubSubItem(str(n), b"x" * 10) for n in range(7))
        records = [
            UserNode(JULIET, "n", storedNode(maxItems=None)), UserNode(JULIET, "m", storedNode(persistItems=False)),
            UserNode(JULIET, "o", storedNode()), NodeItems(JULIET, "o", many), NodeItems(JULIET, "n", (big, *many)),
            NodeItems(JULIET, "m", (pubSubItem("a"),)),
        ]  # fmt: skip
        expected = [
            "[users] pubsub_nodes allows 2 nodes", "[users] pubsub_item_size allows 100 bytes",
            *["the node keeps the newest 5 only"] * 2, "the node keeps no items",
        ]  # fmt: skip
        self.assertEqual(self.put(*records, dryRun=True), expected)
        self.assertEqual(now(self.store.services("", 9)), [])
        self.assertEqual(self.put(*records), expected)
        self.assertEqual((now(self.store.nodes(JULIET, 9)), self.items("n")), (["m", "n"], list("23456")))

    def test_size(self) -> None:
        """There is a limit for all items."""
        records = UserNode(JULIET, "n", storedNode(maxItems=None)), NodeItems(
            JULIET, "n", (pubSubItem("a", b"x" * 90), pubSubItem("b", b"x" * 90)))  # fmt: skip
        limits = Limits(2, 5, 100, 100)
        for dryRun in (True, False):
            problems = self.put(*records, limits=limits, dryRun=dryRun)
            self.assertEqual(problems, ["[users] pubsub_data allows 100 bytes"])
        self.assertEqual(self.items("n"), ["a"])

    def test_nowhere(self) -> None:
        """Without a store, that is told."""
        problems = self.put(UserNode(JULIET, "n", storedNode()), store=False)
        self.assertEqual(problems, ["there is no store for it; set [storage] pubsub"])

    def test_removed(self) -> None:
        """What an account of this name has left is removed."""
        self.put(UserNode(JULIET, "n", storedNode()))
        now(NodeWriter(self.store, JULIET, LIMITS, True).removeAll())
        self.assertEqual(now(self.store.nodes(JULIET, 9)), ["n"])
        now(NodeWriter(self.store, JULIET, LIMITS, False).removeAll())
        self.assertEqual(now(self.store.nodes(JULIET, 9)), [])
