# -*- test-case-name: tests.operations.transfer.test_nodewriter -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Nodes of accounts into a store. A node that was there before stays as it is, and gets the items that it lacks as long as
there is room for them: none of its own has to go.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import DeferredList

from muccore.interfaces import (
    IPubSubStore,
    ItemQuery,
    NodeChange,
    PubSubItem,
    StoredNode,
    TooManyItems,
)
from muccore.operations.transfer.records import NodeItems, Problem, UserNode
from muccore.pubsub.model.configuration import Limits, fromStored, toStored
from muccore.pubsub.pepdefaults import defaultsFor


@dataclass
class _Target:
    """
    A node that is being written.

    @ivar isNew: whether it was not there before.
    @ivar keep: how many items it may have.
    @ivar count: how many it has.
    """

    isNew: bool
    keep: int
    count: int = 0


class NodeWriter:
    """Writes the nodes of one account."""

    def __init__(self, store: IPubSubStore | None, account: str, limits: Limits, dryRun: bool) -> None:
        """
        @param store: where they are kept; C{None} without one.
        @param limits: how much the account may have.
        @param dryRun: whether nothing is to be changed.
        """
        self._store = store
        self._account = account
        self._limits = limits
        self._dryRun = dryRun
        self._nodes: dict[str, _Target | None] = {}
        self._number: int | None = None
        self._size = 0

    async def removeAll(self) -> None:
        """Remove what is there of an account that does not exist."""
        if self._store is not None and not self._dryRun and await self._store.nodes(self._account, 1):
            await self._store.removeService(self._account)

    async def add(self, record: UserNode | NodeItems) -> list[Problem]:
        """
        Add a node, or items of one.

        @return: what cannot come.
        @raise StoreError: if it cannot be written.
        """
        if self._store is None:
            text = "there is no store for it; set [storage] pubsub"
            return [Problem(self._account, f"the node {record.node}", text)]
        if isinstance(record, UserNode):
            return await self._addNode(self._store, record)
        return await self._addItems(self._store, record)

    async def _addNode(self, store: IPubSubStore, record: UserNode) -> list[Problem]:
        known = self._nodes.get(record.node)
        if record.node not in self._nodes:
            return await self._begin(store, record.node, record.content)
        if known is None or not known.isNew:
            return []
        content = record.content
        configuration = content.configuration if record.isConfigured else None
        if configuration is not None:
            known.keep = self._kept(content)
        if not self._dryRun:
            keep = None if configuration is None else known.keep
            await store.change(
                self._account, record.node,
                NodeChange(configuration, content.affiliations, content.subscriptions, keep),
            )  # fmt: skip
        return []

    def _kept(self, content: StoredNode) -> int:
        return fromStored(content.configuration).kept(self._limits)

    async def _begin(self, store: IPubSubStore, node: str, content: StoredNode) -> list[Problem]:
        """Create a node, unless it exists."""
        existing = await store.load(self._account, node)
        if existing is not None:
            page = await store.items(self._account, node, ItemQuery(limit=1, size=0))
            self._nodes[node] = _Target(False, self._kept(existing), 0 if page is None else page.count)
            return []
        if self._number is None:
            self._number = len(await store.nodes(self._account, self._limits.nodes))
        if self._number >= self._limits.nodes:
            self._nodes[node] = None
            text = f"[users] pubsub_nodes allows {self._limits.nodes} nodes"
            return [Problem(self._account, f"the node {node}", text)]
        self._number += 1
        self._nodes[node] = _Target(True, self._kept(content))
        if not self._dryRun:
            await store.create(self._account, node, content, self._limits.nodes)
        return []

    async def _addItems(self, store: IPubSubStore, record: NodeItems) -> list[Problem]:
        problems = []
        if record.node not in self._nodes:
            stored = toStored(defaultsFor(record.node))
            content = StoredNode(stored, {}, {}, self._account, time.time())
            problems += await self._begin(store, record.node, content)
        target = self._nodes[record.node]
        if target is None:
            return problems
        items, refused = await self._possible(store, record, target)
        if not self._dryRun:
            refused += await self._publish(store, record.node, items, target)
        return problems + [Problem(self._account, f"an item of the node {record.node}", why) for why in refused]

    async def _possible(
        self, store: IPubSubStore, record: NodeItems, target: _Target
    ) -> tuple[list[PubSubItem], list[str]]:
        """The items that can come, and for each other one why not."""
        present: set[str] = set()
        if not target.isNew:
            found = await store.find(self._account, record.node, [item.id for item in record.items])
            present = {item.id for item in found}
        possible, refused = [], []
        for item in record.items:
            size = len(item.id.encode()) + len(item.payload)
            if item.id in present:
                continue
            if len(item.payload) > self._limits.itemSize:
                refused.append(f"[users] pubsub_item_size allows {self._limits.itemSize} bytes")
            elif not target.keep:
                refused.append("the node keeps no items")
            elif not target.isNew and target.count >= target.keep:
                refused.append(f"the node here has {target.keep} items already, as many as it keeps")
            elif self._dryRun and self._limits.totalSize is not None and self._size + size > self._limits.totalSize:
                refused.append(self._tooMuch)
            else:
                self._size += size
                target.count += 1
                if target.count > target.keep:
                    refused.append(f"the node keeps the newest {target.keep} only")
                possible.append(item)
        return possible, refused

    @property
    def _tooMuch(self) -> str:
        return f"[users] pubsub_data allows {self._limits.totalSize} bytes"

    async def _publish(self, store: IPubSubStore, node: str, items: Sequence[PubSubItem], target: _Target) -> list[str]:
        """Publish items, which databases commit together; return for each that there is no room for why."""
        waiting = [
            store.publish(self._account, node, item, target.keep, limit=self._limits.totalSize) for item in items
        ]
        refused = []
        results: Any = await DeferredList(waiting, consumeErrors=True)
        for success, failure in results:
            if not success:
                if not failure.check(TooManyItems):
                    failure.raiseException()
                refused.append(self._tooMuch)
        return refused
