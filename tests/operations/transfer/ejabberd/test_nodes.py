# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.ejabberd.nodes}."""

from __future__ import annotations

import os
import shutil

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer.ejabberd.source import EjabberdSource
from muccore.operations.transfer.records import Messages, NodeItems, Problem, Record, User, UserNode
from muccore.pubsub.model.configuration import fromStored
from tests.operations.transfer.ejabberd.tablefiles import address, archived, message, write

ROMEO = "romeo@montague.lit"
OPTIONS = """[{deliver_payloads,true},{notify_config,false},{persist_items,true},{max_items,7},{title,<<"T">>},
  {access_model,roster},{roster_groups_allowed,[<<"Friends">>]},{publish_model,publishers},
  {presence_based_delivery,true},{itemreply,none}]"""


def owner(name: str = "romeo", resource: str = "") -> str:
    """An address with a resource."""
    return f'{{<<"{name}">>,<<"montague.lit">>,<<"{resource}">>}}'


def node(index: int, name: str, options: str = OPTIONS, host: str = owner()) -> str:
    """A row of a node."""
    return f'{{pubsub_node,{{{host},<<"{name}">>}},{index},[],<<"pep">>,[{owner()}],{options}}}'


def state(index: int, jid: str, affiliation: str, subscriptions: str = "[]") -> str:
    """A row of a state."""
    return f"{{pubsub_state,{{{jid},{index}}},{index},[],{affiliation},{subscriptions}}}"


def item(index: int, id: str, seconds: int, payload: str = "x", by: str = owner(resource="orchard")) -> str:
    """A row of an item."""
    element = f'{{xmlel,<<"{payload}">>,[{{<<"xmlns">>,<<"urn:x">>}}],[]}}'
    when = f"{{{{0,{seconds},5}},{by}}}"
    return f'{{pubsub_item,{{<<"{id}">>,{index}}},{index},{{{{0,0,0}},{owner()}}},{when},[{element}]}}'


class NodeTests(SynchronousTestCase):
    """What Romeo publishes."""

    def read(self, *rows: str) -> list[Record]:
        """The records of an export."""
        folder = os.path.abspath(self.mktemp())
        os.makedirs(folder)
        with open(os.path.join(folder, "users.xml"), "w", encoding="utf-8") as file:
            file.write(
                "<server-data xmlns='urn:xmpp:pie:0'><host jid='montague.lit'><user name='romeo' password='secret'/>"
                "</host></server-data>"
            )
        shutil.move(write(self, *rows), os.path.join(folder, "tables.txt"))
        return list(EjabberdSource(folder).records())

    def test_nodes(self) -> None:
        """Nodes come with what belongs to them, wherever it is in the file; items in the order of publication."""
        juliet = '{<<"juliet">>,<<"capulet.lit">>,<<"b">>}'
        user, one, other, items, messages = self.read(
            item(1, "late", 20), archived(address("romeo", "montague.lit"), message("Hi")), item(1, "early", 10),
            state(1, owner(), "owner"), state(1, owner("nurse"), "publish_only"),
            state(1, juliet, "none", '[{subscribed,<<"s1">>},{none,<<>>}]'), node(1, "n"), node(2, "m", "[]"),
        )  # fmt: skip
        assert isinstance(user, User) and isinstance(messages, Messages) and isinstance(items, NodeItems)
        assert isinstance(one, UserNode) and isinstance(other, UserNode)
        self.assertEqual((one.account, one.node, other.node), (ROMEO, "n", "m"))
        found = fromStored(one.content.configuration)
        self.assertEqual((found.accessModel, found.rosterGroups, found.maxItems, found.title),
                         ("roster", ("Friends",), 7, "T"))  # fmt: skip
        self.assertEqual(one.content.affiliations, {"nurse@montague.lit": "publish-only"})
        [(jid, subscription)] = one.content.subscriptions.items()
        self.assertEqual((jid, subscription.subid, subscription.state), ("juliet@capulet.lit/b", "s1", "subscribed"))
        self.assertEqual((items.node, [each.id for each in items.items]), ("n", ["early", "late"]))
        first = items.items[0]
        self.assertEqual((first.publisher, first.time, first.payload), (ROMEO, 10.000005, b"<x xmlns='urn:x'/>"))

    def test_many(self) -> None:
        """Many items come in pieces."""
        records = self.read(node(1, "n"), *(item(1, f"i{n}", n) for n in range(201)))
        self.assertEqual([len(each.items) for each in records if isinstance(each, NodeItems)], [200, 1])

    def test_problems(self) -> None:
        """What cannot come is told: of nodes of services one line, whatever they have."""
        records = self.read(
            node(1, "n", "[{access_model,friends},{strange,1}]"), node(2, ""), node(3, "n", "[x]"),
            node(4, "n", host=owner("nobody")), node(5, "news", host='<<"pubsub.montague.lit">>'),
            node(6, "other", host='<<"pubsub.montague.lit">>'), item(5, "a", 1), state(5, owner(), "owner"),
            item(9, "a", 1), state(9, owner(), "owner"), state(1, owner(), "king"), "{pubsub_item,x}",
            "{pubsub_node,x}", "{pubsub_state,x}",
            f"{{pubsub_state,{{{owner()},[]}},1,[],none,[]}}", item(1, "", 1), item(1, "a", 1, "<"), item(1, "b", 1),
            item(1, "c", 1, by="unknown"),
        )  # fmt: skip
        problems = [str(each) for each in records if isinstance(each, Problem)]
        self.assertEqual(len(problems), 15, problems)
        self.assertIn("pubsub.montague.lit: 2 nodes: only those of accounts come", problems)
        self.assertIn("nobody@montague.lit: 1 nodes: there is no such account in the export", problems)
        self.assertIn("a row of pubsub_item: there is no such node in the export", problems)
        [found] = [each for each in records if isinstance(each, UserNode)]
        self.assertEqual(fromStored(found.content.configuration).accessModel, "whitelist")
        [items] = [each for each in records if isinstance(each, NodeItems)]
        self.assertEqual([(each.id, each.publisher) for each in items.items], [("b", ROMEO), ("c", ROMEO)])
