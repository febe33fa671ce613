# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of nodes in documents: C{muccore.operations.transfer.nodeparts}, C{nodeforms} and C{nodeelements}."""

from __future__ import annotations

import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer.documentsource import DocumentSource
from muccore.operations.transfer.records import NodeItems, Problem, UserNode
from muccore.pubsub.model.configuration import NodeConfiguration, fromStored, toStored
from muccore.pubsub.pepdefaults import defaultsFor
from muccore.xmpp import ns

BOOKMARKS = "urn:xmpp:bookmarks:1"
ROMEO = "romeo@capulet.lit"


def configure(node: str, **values: str) -> str:
    """The configuration of a node as in the text."""
    fields = "".join(f"<field var='pubsub#{var}'><value>{value}</value></field>" for var, value in values.items())
    kind = f"<field var='FORM_TYPE' type='hidden'><value>{ns.PUBSUB_NODE_CONFIG}</value></field>"
    return f"<configure node='{node}'><x xmlns='jabber:x:data' type='form'>{kind}{fields}</x></configure>"


class NodePartsTests(SynchronousTestCase):
    """Documents with nodes."""

    def read(self, owner: str = "", published: str = "") -> list[Any]:
        """The nodes and items in a document, and the texts of problems."""
        document = (
            f"<server-data xmlns='{ns.PIE}'><host jid='capulet.lit'><user name='romeo'>"
            f"<pubsub xmlns='{ns.PUBSUB_OWNER}'>{owner}</pubsub><pubsub xmlns='{ns.PUBSUB}'>{published}</pubsub>"
            "</user></host></server-data>"
        )
        path = os.path.abspath(self.mktemp())
        with open(path, "w", encoding="utf-8") as file:
            file.write(document)
        _, *records = DocumentSource(path).records()
        return [str(each) if isinstance(each, Problem) else each for each in records]

    def node(self, owner: str) -> tuple[UserNode, NodeConfiguration, list[str]]:
        """The only node, its configuration, and the problems."""
        found = self.read(owner)
        (node,) = [each for each in found if isinstance(each, UserNode)]
        return node, fromStored(node.content.configuration), [each for each in found if isinstance(each, str)]

    def test_example(self) -> None:
        """The example of the text: what it does not say is as for a new node of this name."""
        found = self.read(
            configure(BOOKMARKS, access_model="whitelist")
            + f"<affiliations node='{BOOKMARKS}'><affiliation jid='Mercutio@example.net' affiliation='member'/>"
            "</affiliations>"
            f"<subscriptions node='{BOOKMARKS}'><subscription jid='mercutio@example.net' subscription='subscribed' "
            "subid='123-abc'/></subscriptions>" + configure("http://jabber.org/protocol/nick", access_model="open"),
            f"<items node='{BOOKMARKS}'><item id='a@b'>\n<conference xmlns='{BOOKMARKS}' autojoin='1'/></item>"
            "<item id='c@d'/></items><items node='n'><item><x xmlns='urn:x'/></item></items>",
        )
        bookmarks, nick, items, other = found
        self.assertEqual(bookmarks.content.affiliations, {"mercutio@example.net": "member"})
        self.assertEqual(bookmarks.content.subscriptions["mercutio@example.net"].subid, "123-abc")
        self.assertEqual(bookmarks.content.configuration, toStored(defaultsFor(BOOKMARKS)))
        self.assertEqual((bookmarks.content.creator, bookmarks.isConfigured), (ROMEO, True))
        self.assertEqual((nick.node, nick.content.configuration["access_model"]), (
            "http://jabber.org/protocol/nick", ["open"]))  # fmt: skip
        self.assertEqual([(each.id, each.publisher, each.payload) for each in items.items], [
            ("a@b", ROMEO, b"<conference xmlns='urn:xmpp:bookmarks:1' autojoin='1'/>"), ("c@d", ROMEO, b""),
        ])  # fmt: skip
        assert isinstance(other, NodeItems)
        self.assertEqual((other.node, bool(other.items[0].id)), ("n", True))

    def test_settings(self) -> None:
        """Options that are unknown or invalid are told one by one, the others come."""
        _, configuration, problems = self.node(
            configure("n", title="T", notify_config="true", max_items="max", x="1", persist_items="maybe",
                      item_expire="0", send_last_published_item="often")
        )  # fmt: skip
        self.assertEqual((configuration.title, configuration.notifyConfiguration, configuration.maxItems),
                         ("T", True, None))  # fmt: skip
        self.assertEqual(len(problems), 4, problems)
        self.assertIn(f"{ROMEO}: the setting pubsub#x of the node n: this server does not know it", problems)

    def test_secure(self) -> None:
        """With an access model that is not known, a node is for its owner alone."""
        _, configuration, problems = self.node(configure("n", access_model="friends"))
        self.assertEqual((configuration.accessModel, len(problems)), ("whitelist", 1))
        _, configuration, problems = self.node(configure("n", purge_offline="1", publish_model="open"))
        self.assertEqual((configuration.purgeOffline, len(problems)), (False, 1))

    def test_entries(self) -> None:
        """Entries that are invalid are told; the affiliation of the owner follows."""
        node, _, problems = self.node(
            "<affiliations node='n'><affiliation jid='a@b' affiliation='king'/><affiliation affiliation='member'/>"
            f"<affiliation jid='{ROMEO}' affiliation='owner'/><affiliation jid='c@d' affiliation='none'/>"
            "<affiliation jid='@' affiliation='member'/></affiliations><subscriptions node='n'>"
            "<subscription jid='a@b/c' subscription='pending'/><subscription jid='a@b' subscription='unconfigured'/>"
            f"<subscription xmlns:d='{ns.MUCCORE_DATA}' d:options='[1]' jid='a@b' subscription='subscribed'/>"
            "</subscriptions>"
        )
        self.assertEqual((node.content.affiliations, list(node.content.subscriptions)), ({}, ["a@b/c"]))
        self.assertEqual((len(problems), node.isConfigured), (5, False), problems)

    def test_strange(self) -> None:
        """What is not known, or has no name or one that is too long, is told."""
        data = f"xmlns:d='{ns.MUCCORE_DATA}'"
        found = self.read(
            f"<configure/><x node='n'/><configure node='{'n' * 513}'/>",
            f"<x node='n'/><items/><items node='n'><x/><item id='{'i' * 513}'/><item publisher='@'/>"
            f"<item {data} d:time='nan'/><item {data} d:time='x'/>"
            "<item><a xmlns='urn:a'/><b xmlns='urn:b'/></item></items>",
        )
        self.assertEqual([each for each in found if not isinstance(each, str)], [])
        self.assertEqual(len(found), 11, found)

    def test_pieces(self) -> None:
        """Many items come in pieces."""
        items = "".join(f"<item id='{number}'/>" for number in range(450))
        found = self.read("", f"<items node='n'>{items}</items>")
        self.assertEqual([len(each.items) for each in found], [200, 200, 50])
