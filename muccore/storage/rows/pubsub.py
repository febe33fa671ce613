# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Publish-subscribe nodes as rows; L{muccore.storage.rows.pubsubitems} has their items."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
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
    TooManyNodes,
)
from muccore.storage.rows import pubsubitems
from muccore.storage.rows.batching import RowConnection
from muccore.storage.rows.store import RowStore


@implementer(IPubSubStore)
class RowPubSub(RowStore):
    """
    Publish-subscribe nodes in a database.

    @cvar elements: a table with the elements of a JSON array, the parameter, as text in the column C{value}, in SQL.
    """

    elements: ClassVar[str]

    def services(self, after: str, limit: int) -> Deferred[list[str]]:
        """See L{IPubSubStore.services}."""

        def load(connection: RowConnection) -> list[str]:
            rows = connection.execute(
                "SELECT DISTINCT service FROM pubsub_node WHERE service > ? ORDER BY service LIMIT ?", (after, limit)
            )
            return [service for (service,) in rows]

        return self.database.read(load)

    def nodes(self, service: str, limit: int, after: str = "") -> Deferred[list[str]]:
        """See L{IPubSubStore.nodes}."""

        def load(connection: RowConnection) -> list[str]:
            rows = connection.execute(
                "SELECT node FROM pubsub_node WHERE service = ? AND node > ? ORDER BY node LIMIT ?",
                (service, after, limit),
            )
            return [node for (node,) in rows]

        return self.database.read(load)

    def configured(self, service: str, name: str, value: str) -> Deferred[list[str]]:
        """See L{IPubSubStore.configured}."""
        # Inside of other values, quotes are escaped.
        part = _dumped({name: [value]})[1:-1]

        def load(connection: RowConnection) -> list[str]:
            rows = connection.execute(
                "SELECT node, configuration FROM pubsub_node WHERE service = ? ORDER BY node", (service,)
            )
            return [node for node, configuration in rows if part in configuration]

        return self.database.read(load)

    def load(self, service: str, node: str) -> Deferred[StoredNode | None]:
        """See L{IPubSubStore.load}."""
        return self.database.read(lambda connection: loadNode(connection, service, node))

    def create(self, service: str, node: str, content: StoredNode, limit: int) -> Deferred[None]:
        """See L{IPubSubStore.create}."""
        return self.database.write(lambda connection: createNode(connection, service, node, content, limit))

    def change(self, service: str, node: str, change: NodeChange) -> Deferred[None]:
        """See L{IPubSubStore.change}."""
        configuration = None if change.configuration is None else dict(change.configuration)
        copied = NodeChange(configuration, dict(change.affiliations), dict(change.subscriptions), change.keep)
        return self.database.write(lambda connection: changeNode(connection, service, node, copied))

    def delete(self, service: str, node: str) -> Deferred[None]:
        """See L{IPubSubStore.delete}."""

        def delete(connection: RowConnection) -> None:
            requireNode(connection, service, node)
            for table in _TABLES:
                connection.execute(f"DELETE FROM {table} WHERE service = ? AND node = ?", (service, node))

        return self.database.write(delete)

    def affiliations(self, service: str, jid: str) -> Deferred[dict[str, str]]:
        """See L{IPubSubStore.affiliations}."""

        def load(connection: RowConnection) -> dict[str, str]:
            rows = connection.execute(
                "SELECT node, affiliation FROM pubsub_affiliation WHERE jid = ? AND service = ? ORDER BY node",
                (jid, service),
            )
            return dict(rows.fetchall())

        return self.database.read(load)

    def subscriptions(self, service: str, jid: str) -> Deferred[list[tuple[str, str, StoredSubscription]]]:
        """See L{IPubSubStore.subscriptions}."""

        def load(connection: RowConnection) -> list[tuple[str, str, StoredSubscription]]:
            rows = connection.execute(
                "SELECT node, jid, subid, state, options FROM pubsub_subscription WHERE bare = ? AND service = ?"
                " ORDER BY node, jid",
                (jid, service),
            )
            return [(node, full, _subscription(*values)) for node, full, *values in rows]

        return self.database.read(load)

    def publish(
        self,
        service: str,
        node: str,
        item: PubSubItem,
        keep: int,
        since: float = 0.0,
        limit: int | None = None,
        create: tuple[StoredNode, int] | None = None,
    ) -> Deferred[None]:
        """See L{IPubSubStore.publish}."""

        def publish(connection: RowConnection) -> None:
            if create is None:
                requireNode(connection, service, node)
            else:
                createNode(connection, service, node, *create)
            pubsubitems.publish(connection, service, node, item, keep, since, limit)

        return self.database.write(publish)

    def retract(self, service: str, node: str, ids: Collection[str]) -> Deferred[None]:
        """See L{IPubSubStore.retract}."""
        rows = [(service, node, id) for id in ids]

        def retract(connection: RowConnection) -> None:
            connection.executemany("DELETE FROM pubsub_item WHERE service = ? AND node = ? AND id = ?", rows)

        return self.database.write(retract)

    def purge(self, service: str, node: str) -> Deferred[None]:
        """See L{IPubSubStore.purge}."""
        return self.database.write(lambda connection: pubsubitems.trim(connection, service, node, 0))

    def items(self, service: str, node: str, query: ItemQuery) -> Deferred[ItemPage | None]:
        """See L{IPubSubStore.items}."""
        return self.database.read(lambda connection: pubsubitems.findPage(connection, service, node, query))

    def find(self, service: str, node: str, ids: Sequence[str], since: float = 0.0) -> Deferred[list[PubSubItem]]:
        """See L{IPubSubStore.find}."""
        wanted = list(ids)
        return self.database.read(lambda connection: pubsubitems.find(connection, service, node, wanted, since))

    def latest(self, services: Collection[str], nodes: Collection[str]) -> Deferred[list[tuple[str, str, str]]]:
        """See L{IPubSubStore.latest}."""
        wanted = (json.dumps(list(services)), json.dumps(list(nodes)))
        return self.database.read(partial(pubsubitems.findLatest, wanted=wanted, elements=self.elements))

    def removeService(self, service: str) -> Deferred[None]:
        """See L{IPubSubStore.removeService}."""

        def remove(connection: RowConnection) -> None:
            for table in _TABLES:
                connection.execute(f"DELETE FROM {table} WHERE service = ?", (service,))

        return self.database.write(remove)

    def removeEntity(self, jid: str) -> Deferred[None]:
        """See L{IPubSubStore.removeEntity}."""

        def remove(connection: RowConnection) -> None:
            connection.execute("DELETE FROM pubsub_affiliation WHERE jid = ?", (jid,))
            connection.execute("DELETE FROM pubsub_subscription WHERE bare = ?", (jid,))

        return self.database.write(remove)


_TABLES = ("pubsub_node", "pubsub_affiliation", "pubsub_subscription", "pubsub_item")


def requireNode(connection: RowConnection, service: str, node: str) -> None:
    """@raise NoSuchNode: if there is no such node."""
    if not _exists(connection, service, node):
        raise NoSuchNode(f"{service}: no node {node!r}")


def _exists(connection: RowConnection, service: str, node: str) -> bool:
    found = connection.execute("SELECT 1 FROM pubsub_node WHERE service = ? AND node = ?", (service, node))
    return found.fetchone() is not None


def _subscription(subid: str, state: str, options: str) -> StoredSubscription:
    return StoredSubscription(subid, state, json.loads(options))


def _dumped(values: Mapping[str, Sequence[str]]) -> str:
    return json.dumps({name: list(each) for name, each in values.items()}, ensure_ascii=False)


def loadNode(connection: RowConnection, service: str, node: str) -> StoredNode | None:
    """See L{IPubSubStore.load}."""
    place = (service, node)
    found = connection.execute(
        "SELECT configuration, creator, created FROM pubsub_node WHERE service = ? AND node = ?", place
    ).fetchone()
    if found is None:
        return None
    affiliations = connection.execute(
        "SELECT jid, affiliation FROM pubsub_affiliation WHERE service = ? AND node = ? ORDER BY jid", place
    ).fetchall()
    subscriptions = connection.execute(
        "SELECT jid, subid, state, options FROM pubsub_subscription WHERE service = ? AND node = ? ORDER BY jid", place
    ).fetchall()
    configuration, creator, created = found
    return StoredNode(
        json.loads(configuration),
        dict(affiliations),
        {jid: _subscription(*values) for jid, *values in subscriptions},
        creator,
        float(created),
    )


def createNode(connection: RowConnection, service: str, node: str, content: StoredNode, limit: int) -> None:
    """See L{IPubSubStore.create}."""
    if _exists(connection, service, node):
        raise NodeExists(f"{service}: there is a node {node!r}")
    (count,) = connection.execute("SELECT count(*) FROM pubsub_node WHERE service = ?", (service,)).fetchone()
    if count >= limit:
        raise TooManyNodes(f"{service}: more than {limit} nodes")
    connection.execute(
        "INSERT INTO pubsub_node (service, node, configuration, creator, created) VALUES (?, ?, ?, ?, ?)",
        (service, node, _dumped(content.configuration), content.creator, content.created),
    )
    _setAffiliations(connection, service, node, content.affiliations)
    _setSubscriptions(connection, service, node, content.subscriptions)


def changeNode(connection: RowConnection, service: str, node: str, change: NodeChange) -> None:
    """See L{IPubSubStore.change}."""
    requireNode(connection, service, node)
    if change.configuration is not None:
        connection.execute(
            "UPDATE pubsub_node SET configuration = ? WHERE service = ? AND node = ?",
            (_dumped(change.configuration), service, node),
        )
    _setAffiliations(connection, service, node, change.affiliations)
    _setSubscriptions(connection, service, node, change.subscriptions)
    if change.keep is not None:
        pubsubitems.trim(connection, service, node, change.keep)


def _setAffiliations(connection: RowConnection, service: str, node: str, changes: Mapping[str, str | None]) -> None:
    _deleteFrom(connection, "pubsub_affiliation", service, node, changes)
    connection.executemany(
        "INSERT INTO pubsub_affiliation (service, node, jid, affiliation) VALUES (?, ?, ?, ?)",
        [(service, node, jid, affiliation) for jid, affiliation in changes.items() if affiliation is not None],
    )


def _setSubscriptions(
    connection: RowConnection, service: str, node: str, changes: Mapping[str, StoredSubscription | None]
) -> None:
    _deleteFrom(connection, "pubsub_subscription", service, node, changes)
    rows: list[Any] = [
        (service, node, jid, jid.partition("/")[0], each.subid, each.state, _dumped(each.options))
        for jid, each in changes.items()
        if each is not None
    ]
    connection.executemany(
        "INSERT INTO pubsub_subscription (service, node, jid, bare, subid, state, options)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def _deleteFrom(connection: RowConnection, table: str, service: str, node: str, jids: Collection[str]) -> None:
    connection.executemany(
        f"DELETE FROM {table} WHERE service = ? AND node = ? AND jid = ?", [(service, node, jid) for jid in jids]
    )
