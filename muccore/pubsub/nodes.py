# -*- test-case-name: tests.pubsub.test_nodes -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The nodes in memory: without their items, those that were used last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from muccore.interfaces import IPubSubStore
from muccore.pubsub.model.configuration import Limits
from muccore.pubsub.model.node import Node, Update, bareOf

CACHED: Final = 4096
"""Nodes that are kept in memory."""

_Key = tuple[str, str]


class Nodes:
    """
    Loads nodes, and changes them.

    Whoever changes a node has the turn of it. Since the store answers in the order of the calls, what is loaded before
    a change is here when the change is made, and the same object is changed.
    """

    def __init__(self, store: IPubSubStore, ownerOf: Callable[[str], str], size: int = CACHED) -> None:
        """@param ownerOf: the bare JID that always owns the nodes of a service, or C{""}."""
        self._store = store
        self._ownerOf = ownerOf
        self._size = size
        self._nodes: OrderedDict[_Key, Node] = OrderedDict()

    async def get(self, service: str, name: str) -> Node | None:
        """Get a node, or C{None} if there is none; fails with L{StoreError<muccore.interfaces.StoreError>}."""
        found = self._nodes.get((service, name))
        if found is not None:
            self._nodes.move_to_end((service, name))
            return found
        stored = await self._store.load(service, name)
        # Somebody else may have loaded it meanwhile.
        found = self._nodes.get((service, name))
        if found is None and stored is not None:
            found = Node.fromStored(service, name, stored, self._ownerOf(service))
            self.put(found)
        return found

    async def change(self, node: Node, update: Update, limits: Limits) -> None:
        """Change a node; fails with L{StoreError<muccore.interfaces.StoreError>}, and then it is as before."""
        await self._store.change(node.service, node.name, update.stored(limits))
        node.apply(update)
        # It may have been dropped, and loaded as it was before.
        self.put(node)

    def put(self, node: Node) -> None:
        """Keep a node that was stored."""
        key = (node.service, node.name)
        self._nodes[key] = node
        self._nodes.move_to_end(key)
        if len(self._nodes) > self._size:
            self._nodes.popitem(last=False)

    def forget(self, service: str, name: str) -> None:
        """Keep nothing of a node that was deleted."""
        self._nodes.pop((service, name), None)

    def forgetService(self, service: str) -> None:
        """Keep nothing of a service that was removed."""
        for key in [key for key in self._nodes if key[0] == service]:
            del self._nodes[key]

    def forgetEntity(self, jid: str) -> None:
        """Keep no affiliations and subscriptions of a bare JID that were removed."""
        for node in self._nodes.values():
            node.affiliations.pop(jid, None)
            for each in [each for each in node.subscriptions if bareOf(each) == jid]:
                del node.subscriptions[each]
