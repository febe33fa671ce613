# -*- test-case-name: tests.operations.transfer.ejabberd.test_nodes -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What accounts of ejabberd publish: rows of its tables C{pubsub_node}, C{pubsub_state} and C{pubsub_item}, which name a
node by a number. The rows of items are in no order, and are read when their account comes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from muccore.interfaces import PubSubItem, StoredNode, StoredSubscription
from muccore.operations.transfer.documentsource import AT_ONCE, SIZE_AT_ONCE
from muccore.operations.transfer.ejabberd.tables import ITEMS, Range, TablesFile
from muccore.operations.transfer.ejabberd.terms import Atom, Term
from muccore.operations.transfer.ejabberd.values import addressOf, elementOf, textOf, timeOf
from muccore.operations.transfer.foreignelements import checkText, shown
from muccore.operations.transfer.nodeforms import configurationIn
from muccore.operations.transfer.nodeparts import ENTRIES, checkNode
from muccore.operations.transfer.pieces import DataError
from muccore.operations.transfer.records import NodeItems, Problem, UserNode
from muccore.pubsub.model.affiliations import NONE, PRIVILEGES
from muccore.pubsub.model.publication import NAME_LIMIT
from muccore.pubsub.model.subscriptions import PENDING, SUBSCRIBED
from muccore.xmpp import ns
from muccore.xmpp.archivequeries import MICROSECONDS
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import render
from muccore.xmpp.uniqueids import newId

NODES: Final = "pubsub_node"
"""The table of nodes."""

STATES: Final = "pubsub_state"
"""The table of affiliations and subscriptions."""

_MEANINGLESS: Final = frozenset(("presence_based_delivery", "itemreply", "collection", "node_type", "rsm"))
"""Options that nodes of accounts have always the same."""


@dataclass
class _Node:
    """
    A node.

    @ivar items: when its items were published, and where their rows are.
    """

    account: str
    name: str
    content: StoredNode
    affiliations: dict[str, str] = field(default_factory=dict)
    subscriptions: dict[str, StoredSubscription] = field(default_factory=dict)
    items: list[tuple[int, TablesFile, Range]] = field(default_factory=list)


class NodeTables:
    """The nodes of all accounts."""

    def __init__(self) -> None:
        self._nodes: dict[Term, _Node] = {}
        self._accounts: dict[str, list[_Node]] = {}
        self._services: Counter[str] = Counter()
        self._others: set[Term] = set()
        self._problems: list[Problem] = []

    def prepare(self, files: Sequence[TablesFile], each: Callable[..., Iterator[Problem]]) -> Iterator[Problem]:
        """
        Read all but the items.

        @param each: adds the rows of a table by a function, and yields what is wrong with them.
        """
        for table, add in ((NODES, self._addNode), (STATES, self._addState)):
            for file in files:
                yield from each(file, table, add)
        yield from self._problems
        for file in files:
            for place in file.places(ITEMS):
                try:
                    index, when = _placed(next(file.rowsAt(place), ()))
                    if index not in self._others:
                        self._nodes[index].items.append((when, file, place))
                except KeyError:
                    yield Problem("", f"a row of {ITEMS}", "there is no such node in the export")
                except ValueError as error:
                    yield Problem("", f"a row of {ITEMS}", str(error))

    def of(self, account: str) -> Iterator[UserNode | NodeItems | Problem]:
        """The nodes of an account, then their items; once."""
        nodes = self._accounts.pop(account, [])
        for node in nodes:
            content = replace(node.content, affiliations=node.affiliations, subscriptions=node.subscriptions)
            yield UserNode(account, node.name, content)
        for node in nodes:
            yield from self._items(node)

    def left(self) -> Iterator[Problem]:
        """What belongs to no account, or does not come."""
        for account, nodes in self._accounts.items():
            yield Problem(account, f"{len(nodes)} nodes", "there is no such account in the export")
        for service, count in sorted(self._services.items()):
            yield Problem(shown(service), f"{count} nodes", "only those of accounts come")

    def _addNode(self, row: tuple[Term, ...]) -> None:
        _, key, index, _, _, _, options = row
        if not (isinstance(key, tuple) and len(key) == 2 and isinstance(index, (int, bytes))):
            raise DataError("it is no node")
        host, name = key
        if isinstance(host, bytes):
            self._services[textOf(host)] += 1
            self._others.add(index)
            return
        account, node = addressOf(host).bare, checkNode(textOf(name))
        configuration, problems = configurationIn(node, _form(options))
        for var, reason in problems:
            self._problems.append(Problem(account, f"the setting {shown(var)} of the node {shown(node)}", reason))
        made = _Node(account, node, StoredNode(configuration, {}, {}, account, time.time()))
        self._nodes[index] = made
        self._accounts.setdefault(account, []).append(made)

    def _addState(self, row: tuple[Term, ...]) -> None:
        _, key, _, _, affiliation, subscriptions = row
        if not (isinstance(key, tuple) and len(key) == 2 and isinstance(subscriptions, list)):
            raise DataError("it is no state")
        index = key[1]
        if not isinstance(index, (int, bytes)):
            raise DataError("it is no state")
        if index in self._others:
            return
        address, node = addressOf(key[0]), self._nodes.get(index)
        if node is None:
            raise DataError("there is no such node in the export")
        name = str(affiliation).replace("_", "-")
        if name not in PRIVILEGES:
            raise DataError("its affiliation is not known")
        if max(len(node.affiliations), len(node.subscriptions)) >= ENTRIES:
            raise DataError(f"there are more than {ENTRIES}")
        if name != NONE and address.bare != node.account:
            node.affiliations[address.bare] = name
        for each in subscriptions:
            if not (isinstance(each, tuple) and len(each) == 2):
                raise DataError("its subscription is not known")
            if each[0] in (SUBSCRIBED, PENDING):
                node.subscriptions[address.full] = StoredSubscription(textOf(each[1]) or newId(), str(each[0]))

    def _items(self, node: _Node) -> Iterator[NodeItems | Problem]:
        items: list[PubSubItem] = []
        size = 0
        for _, file, place in sorted(node.items, key=lambda each: each[0]):
            try:
                item = _item(next(file.rowsAt(place), ()), node.account)
            except ValueError as error:
                yield Problem(node.account, f"an item of the node {shown(node.name)}", str(error))
                continue
            items.append(item)
            size += len(item.payload)
            if len(items) == AT_ONCE or size > SIZE_AT_ONCE:
                yield NodeItems(node.account, node.name, tuple(items))
                items, size = [], 0
        if items:
            yield NodeItems(node.account, node.name, tuple(items))


def _placed(row: tuple[Term, ...]) -> tuple[Term, int]:
    """The number of the node of an item, and when it was published."""
    _, key, _, _, modification, _ = row
    if not (isinstance(key, tuple) and len(key) == 2 and isinstance(key[1], (int, bytes))):
        raise DataError("it is no item")
    if not (isinstance(modification, tuple) and len(modification) == 2):
        raise DataError("its time is not known")
    return key[1], timeOf(modification[0])


def _item(row: tuple[Term, ...], account: str) -> PubSubItem:
    _, key, _, _, modification, payload = row
    assert isinstance(key, tuple) and isinstance(modification, tuple), "it was placed"
    id = textOf(key[0])
    if not id or len(id.encode()) > NAME_LIMIT:
        raise DataError(f"its id has not from 1 to {NAME_LIMIT} bytes")
    if not isinstance(payload, list) or len(payload) > 1:
        raise DataError("it has not one payload")
    by = modification[1]
    publisher = account if isinstance(by, Atom) else addressOf(by).bare
    content = render(elementOf(payload[0]), None) if payload else b""
    return PubSubItem(id, publisher, timeOf(modification[0]) / MICROSECONDS, content)


def _form(options: Term) -> Element:
    """The configuration as a form."""
    x = Element((ns.DATA, "x"), None, {"type": "submit"})
    for option in options if isinstance(options, list) else []:
        if not (isinstance(option, tuple) and len(option) == 2 and isinstance(option[0], Atom)):
            raise DataError("its options are not known")
        name, value = str(option[0]), option[1]
        if name in _MEANINGLESS:
            continue
        field = x.add("field", var=f"pubsub#{checkText(name)}")
        for each in value if isinstance(value, list) else [value]:
            text = checkText(str(each)) if isinstance(each, (Atom, int)) else textOf(each)
            field.add("value", text=text)
    return x
