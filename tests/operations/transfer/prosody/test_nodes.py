# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.prosody.nodes}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer.prosody.nodes import PublishedNodes
from muccore.operations.transfer.records import NodeItems, UserNode
from muccore.pubsub.model.configuration import fromStored
from tests.operations.transfer.prosody.datafolder import WrittenFolder, element, problems, stored

ROMEO = "romeo@montague.lit"


class PublishedNodesTests(SynchronousTestCase):
    """What Romeo publishes."""

    def setUp(self) -> None:
        """Begin with nothing."""
        self.folder = WrittenFolder(self)
        self.problems: list[str] = []

    def read(self, nodes: str, **items: str) -> tuple[list[UserNode], list[NodeItems]]:
        """The nodes and items in files."""
        self.folder.put("montague.lit/pep/romeo.dat", nodes)
        for node, content in items.items():
            self.folder.put(f"montague.lit/pep_{node}/romeo.list", content)
        records = list(PublishedNodes(self.folder, "montague.lit", "romeo", ROMEO).records())
        self.problems = problems(records)
        found = [each for each in records if isinstance(each, UserNode)]
        return found, [each for each in records if isinstance(each, NodeItems)]

    def test_nothing(self) -> None:
        """Without a file there is nothing."""
        self.assertEqual(list(PublishedNodes(self.folder, "montague.lit", "romeo", ROMEO).records()), [])

    def test_node(self) -> None:
        """A node comes with its configuration, affiliations and subscriptions, of which those of the owner follow."""
        (node,), _ = self.read(
            '{["n"] = {["name"] = "n", ["config"] = {["access_model"] = "whitelist", ["max_items"] = 17, '
            '["persist_items"] = true, ["payload_type"] = "urn:x", ["notify_items"] = false, '
            '["include_payload"] = false, ["send_last_published_item"] = "never", ["_defaults_only"] = true}, '
            '["affiliations"] = {["romeo@montague.lit"] = "owner", ["Juliet@capulet.lit"] = "publisher"}, '
            '["subscribers"] = {["juliet@capulet.lit/b"] = true, ["c@d"] = {["pubsub#include_body"] = true}}}}'
        )
        self.assertEqual(self.problems, [])
        found = fromStored(node.content.configuration)
        self.assertEqual((found.accessModel, found.maxItems, found.type), ("whitelist", 17, "urn:x"))
        self.assertEqual((found.deliverNotifications, found.deliverPayloads, found.sendLast), (False, False, "never"))
        self.assertEqual(node.content.affiliations, {"juliet@capulet.lit": "publisher"})
        self.assertEqual({jid: each.state for jid, each in node.content.subscriptions.items()},
                         {"juliet@capulet.lit/b": "subscribed", "c@d": "subscribed"})  # fmt: skip

    def test_defaults(self) -> None:
        """What a node does not say is as Prosody takes it, also in the form of older versions."""
        nodes, _ = self.read('{["a"] = true, ["urn:xmpp:bookmarks:1"] = {}, ["deleted"] = false}')
        self.assertEqual([each.node for each in nodes], ["a", "urn:xmpp:bookmarks:1"])
        for node in nodes:
            found = fromStored(node.content.configuration)
            self.assertEqual((found.accessModel, found.maxItems, found.sendLast),
                             ("presence", 1, "on_sub_and_presence"))  # fmt: skip

    def test_items(self) -> None:
        """Items come in pieces, with ids, times and who has published them."""
        tune = element("tune", '"x"', xmlns="urn:x")
        content = "".join(stored(tune, 1700000000.5, f"i{n}", f"{ROMEO}/orchard") for n in range(201))
        _, (first, second) = self.read('{["n"] = true}', n=content + stored(tune, 5))
        self.assertEqual((len(first.items), len(second.items)), (200, 2))
        item = first.items[0]
        self.assertEqual((item.id, item.publisher, item.time), ("i0", ROMEO, 1700000000.5))
        self.assertEqual(item.payload, b"<tune xmlns='urn:x'>x</tune>")
        self.assertEqual((second.items[1].publisher, second.items[1].time), (ROMEO, 5.0))

    def test_problems(self) -> None:
        """What cannot come is told; the rest comes."""
        nodes, items = self.read(
            '{["n"] = {["config"] = {["access_model"] = "friends", ["strange"] = 1}, ["affiliations"] = {["@"] = '
            '"owner", ["a@b"] = "king"}, ["subscribers"] = {["@"] = true}}, ["\\1"] = {}}',
            n=stored(element("x"), 1, "a") + stored(element("<"), 1, "b") + stored(element("x"), 1, "i" * 513)
            + stored(element("x"), 1, "c", "@") + "item({",
        )  # fmt: skip
        self.assertEqual([fromStored(each.content.configuration).accessModel for each in nodes], ["whitelist"])
        self.assertEqual([[item.id for item in each.items] for each in items], [["a"]])
        self.assertEqual(len(self.problems), 10, self.problems)
        self.assertIn(f"{ROMEO}: an item of node n: its id has more than 512 bytes", self.problems)

    def test_damaged(self) -> None:
        """A file that cannot be read is told."""
        self.assertEqual(self.read("{"), ([], []))
        self.assertEqual(len(self.problems), 1)
