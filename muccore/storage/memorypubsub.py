# -*- test-case-name: tests.storage.test_memorypubsub -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{memory:}, publish-subscribe nodes that are lost when the server ends, for tests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from muccore.interfaces import (
    IPubSubStore,
    ItemPage,
    ItemQuery,
    NodeChange,
    NodeExists,
    NoSuchNode,
    PubSubItem,
    StoredNode,
    StoredSubscription,
    TooManyItems,
    TooManyNodes,
)
from muccore.storage.memory import whileOpen


@dataclass
class _Node:
    content: StoredNode
    items: dict[str, PubSubItem] = field(default_factory=dict)


@implementer(IPubSubStore)
class MemoryPubSub:
    """Nodes in dictionaries, by service and name; their items in the order of publication."""

    def __init__(self) -> None:
        self.isOpen = False
        self._services: dict[str, dict[str, _Node]] = {}

    def open(self) -> Deferred[None]:
        """See L{IPubSubStore.open}."""
        self.isOpen = True
        return succeed(None)

    def close(self) -> Deferred[None]:
        """See L{IPubSubStore.close}."""
        self.isOpen = False
        return succeed(None)

    @whileOpen
    def services(self, after: str, limit: int) -> list[str]:
        """See L{IPubSubStore.services}."""
        return sorted(service for service, nodes in self._services.items() if nodes and service > after)[:limit]

    @whileOpen
    def nodes(self, service: str, limit: int, after: str = "") -> list[str]:
        """See L{IPubSubStore.nodes}."""
        return sorted(node for node in self._services.get(service, ()) if node > after)[:limit]

    @whileOpen
    def configured(self, service: str, name: str, value: str) -> list[str]:
        """See L{IPubSubStore.configured}."""
        nodes = self._services.get(service, {})
        return sorted(node for node, each in nodes.items() if list(each.content.configuration.get(name, ())) == [value])

    @whileOpen
    def load(self, service: str, node: str) -> StoredNode | None:
        """See L{IPubSubStore.load}."""
        found = self._services.get(service, {}).get(node)
        return None if found is None else found.content

    @whileOpen
    def create(self, service: str, node: str, content: StoredNode, limit: int) -> None:
        """See L{IPubSubStore.create}."""
        self._create(service, node, content, limit)

    def _create(self, service: str, node: str, content: StoredNode, limit: int) -> None:
        nodes = self._services.get(service, {})
        if node in nodes:
            raise NodeExists(f"{service}: there is a node {node!r}")
        if len(nodes) >= limit:
            raise TooManyNodes(f"{service}: more than {limit} nodes")
        copied = replace(
            content,
            configuration=_copied(content.configuration),
            affiliations=dict(content.affiliations),
            subscriptions=dict(content.subscriptions),
        )
        self._services.setdefault(service, {})[node] = _Node(copied)

    def _get(self, service: str, node: str) -> _Node:
        try:
            return self._services[service][node]
        except KeyError:
            raise NoSuchNode(f"{service}: no node {node!r}") from None

    @whileOpen
    def change(self, service: str, node: str, change: NodeChange) -> None:
        """See L{IPubSubStore.change}."""
        found = self._get(service, node)
        old = found.content
        configuration = old.configuration if change.configuration is None else _copied(change.configuration)
        affiliations = _merged(old.affiliations, change.affiliations)
        subscriptions = _merged(old.subscriptions, change.subscriptions)
        found.content = replace(
            old, configuration=configuration, affiliations=affiliations, subscriptions=subscriptions
        )
        if change.keep is not None:
            _trim(found.items, change.keep)

    @whileOpen
    def delete(self, service: str, node: str) -> None:
        """See L{IPubSubStore.delete}."""
        self._get(service, node)
        del self._services[service][node]

    @whileOpen
    def affiliations(self, service: str, jid: str) -> dict[str, str]:
        """See L{IPubSubStore.affiliations}."""
        found = {name: each.content.affiliations.get(jid) for name, each in self._services.get(service, {}).items()}
        return {name: affiliation for name, affiliation in found.items() if affiliation is not None}

    @whileOpen
    def subscriptions(self, service: str, jid: str) -> list[tuple[str, str, StoredSubscription]]:
        """See L{IPubSubStore.subscriptions}."""
        return sorted(
            (
                (name, address, subscription)
                for name, each in self._services.get(service, {}).items()
                for address, subscription in each.content.subscriptions.items()
                if address.partition("/")[0] == jid
            ),
            key=lambda found: found[:2],
        )

    @whileOpen
    def publish(
        self,
        service: str,
        node: str,
        item: PubSubItem,
        keep: int,
        since: float = 0.0,
        limit: int | None = None,
        create: tuple[StoredNode, int] | None = None,
    ) -> None:
        """See L{IPubSubStore.publish}."""
        if create is not None:
            self._create(service, node, *create)
        found = self._get(service, node)
        before = self._size(service)
        old = dict(found.items)
        found.items = {id: each for id, each in old.items() if each.time >= since and id != item.id}
        found.items[item.id] = item
        _trim(found.items, keep)
        if limit is not None and limit < self._size(service) > before:
            found.items = old
            if create is not None:
                del self._services[service][node]
            raise TooManyItems(f"{service}: items of more than {limit} bytes")

    def _size(self, service: str) -> int:
        nodes = self._services.get(service, {}).values()
        return sum(len(id.encode()) + len(item.payload) for node in nodes for id, item in node.items.items())

    @whileOpen
    def retract(self, service: str, node: str, ids: Collection[str]) -> None:
        """See L{IPubSubStore.retract}."""
        items = self._itemsOf(service, node)
        for id in ids:
            items.pop(id, None)

    @whileOpen
    def purge(self, service: str, node: str) -> None:
        """See L{IPubSubStore.purge}."""
        self._itemsOf(service, node).clear()

    def _itemsOf(self, service: str, node: str) -> dict[str, PubSubItem]:
        found = self._services.get(service, {}).get(node)
        return {} if found is None else found.items

    @whileOpen
    def items(self, service: str, node: str, query: ItemQuery) -> ItemPage | None:
        """See L{IPubSubStore.items}."""
        items = [each for each in self._itemsOf(service, node).values() if each.time >= query.since]
        ids = [each.id for each in items]
        start, end, backward = query.index or 0, len(items), query.newest or query.before is not None
        edge = query.after if query.after is not None else query.before
        if edge is not None:
            if edge not in ids:
                return None
            if query.before is None:
                start = ids.index(edge) + 1
            else:
                end = ids.index(edge)
        chosen = list(range(start, end))
        chosen = chosen[::-1][: query.limit] if backward else chosen[: query.limit]
        size, kept = query.size, 0
        for number in chosen:
            size -= len(items[number].id.encode()) + len(items[number].payload)
            if size < 0 and kept:
                break
            kept += 1
        chosen = sorted(chosen[:kept])
        return ItemPage(tuple(items[number] for number in chosen), chosen[0] if chosen else 0, len(items))

    @whileOpen
    def find(self, service: str, node: str, ids: Sequence[str], since: float = 0.0) -> list[PubSubItem]:
        """See L{IPubSubStore.find}."""
        items = self._itemsOf(service, node)
        return [items[id] for id in ids if id in items and items[id].time >= since]

    @whileOpen
    def latest(self, services: Collection[str], nodes: Collection[str]) -> list[tuple[str, str, str]]:
        """See L{IPubSubStore.latest}."""
        found = []
        for service in sorted(set(services)):
            for node in sorted(set(nodes)):
                items = self._itemsOf(service, node)
                if items:
                    found.append((service, node, next(reversed(items))))
        return found

    @whileOpen
    def removeService(self, service: str) -> None:
        """See L{IPubSubStore.removeService}."""
        self._services.pop(service, None)

    @whileOpen
    def removeEntity(self, jid: str) -> None:
        """See L{IPubSubStore.removeEntity}."""
        for nodes in self._services.values():
            for each in nodes.values():
                content = each.content
                affiliations = {other: value for other, value in content.affiliations.items() if other != jid}
                subscriptions = {
                    other: value for other, value in content.subscriptions.items() if other.partition("/")[0] != jid
                }
                each.content = replace(content, affiliations=affiliations, subscriptions=subscriptions)


def _copied(configuration: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    return {name: list(values) for name, values in configuration.items()}


def _merged(old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {jid: value for jid, value in {**old, **changes}.items() if value is not None}


def _trim(items: dict[str, PubSubItem], keep: int) -> None:
    for id in list(items)[: max(0, len(items) - keep)]:
        del items[id]
