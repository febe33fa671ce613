# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Items of publish-subscribe nodes as rows.

Each has a position in its node, which grows with every publication. What does not concern payloads is read from the
index of positions alone, which has the times and sizes, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from muccore.interfaces import ItemPage, ItemQuery, PubSubItem, TooManyItems
from muccore.storage.rows.batching import RowConnection

_OF_NODE = "FROM pubsub_item WHERE service = ? AND node = ?"

_COLUMNS = "id, publisher, time, payload"


def publish(
    connection: RowConnection, service: str, node: str, item: PubSubItem, keep: int, since: float, limit: int | None
) -> None:
    """See L{IPubSubStore.publish}."""
    place = (service, node)
    before = 0 if limit is None else _size(connection, service)
    connection.execute(f"DELETE {_OF_NODE} AND time < ?", (*place, since))
    connection.execute(f"DELETE {_OF_NODE} AND id = ?", (*place, item.id))
    (last,) = connection.execute(f"SELECT max(position) {_OF_NODE}", place).fetchone()
    size = len(item.id.encode()) + len(item.payload)
    connection.execute(
        "INSERT INTO pubsub_item (service, node, id, position, time, size, publisher, payload)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (*place, item.id, (last or 0) + 1, item.time, size, item.publisher, item.payload),
    )
    trim(connection, service, node, keep)
    if limit is not None and limit < _size(connection, service) > before:
        raise TooManyItems(f"{service}: items of more than {limit} bytes")


def _size(connection: RowConnection, service: str) -> int:
    found = connection.execute("SELECT coalesce(sum(size), 0) FROM pubsub_item WHERE service = ?", (service,))
    return int(found.fetchone()[0])


def trim(connection: RowConnection, service: str, node: str, keep: int) -> None:
    """Remove all items of a node but the newest ones."""
    connection.execute(
        f"DELETE {_OF_NODE} AND position <= (SELECT position {_OF_NODE} ORDER BY position DESC LIMIT 1 OFFSET ?)",
        (service, node, service, node, keep),
    )


def findPage(connection: RowConnection, service: str, node: str, query: ItemQuery) -> ItemPage | None:
    """See L{IPubSubStore.items}."""
    place: tuple[Any, ...] = (service, node, query.since)
    count = _count(connection, place)
    condition, order, values = "", "ASC", place
    edge = query.after if query.after is not None else query.before
    if edge is not None:
        found = connection.execute(f"SELECT position {_OF_NODE} AND time >= ? AND id = ?", (*place, edge)).fetchone()
        if found is None:
            return None
        condition, values = (" AND position > ?" if query.before is None else " AND position < ?"), (*place, found[0])
    if query.before is not None or query.newest:
        order = "DESC"
    heads = connection.execute(
        f"SELECT position, size {_OF_NODE} AND time >= ?{condition} ORDER BY position {order} LIMIT ? OFFSET ?",
        (*values, query.limit, query.index or 0),
    )
    positions = _within(heads, query.size)
    if not positions:
        return ItemPage((), 0, count)
    least, greatest = min(positions), max(positions)
    rows = connection.execute(
        f"SELECT {_COLUMNS} {_OF_NODE} AND time >= ? AND position >= ? AND position <= ? ORDER BY position",
        (*place, least, greatest),
    )
    items = tuple(_item(*row) for row in rows)
    (index,) = connection.execute(
        f"SELECT count(*) {_OF_NODE} AND time >= ? AND position < ?", (*place, least)
    ).fetchone()
    return ItemPage(items, int(index), count)


def _count(connection: RowConnection, place: tuple[Any, ...]) -> int:
    (count,) = connection.execute(f"SELECT count(*) {_OF_NODE} AND time >= ?", place).fetchone()
    return int(count)


def _within(heads: Iterable[Any], size: int) -> list[int]:
    """The positions of the first items, as far as their sizes are within a limit, but at least one."""
    positions: list[int] = []
    for position, each in heads:
        size -= each
        if size < 0 and positions:
            break
        positions.append(position)
    return positions


def _item(id: str, publisher: str, time: float, payload: Any) -> PubSubItem:
    return PubSubItem(id, publisher, float(time), bytes(payload))


def find(connection: RowConnection, service: str, node: str, ids: Sequence[str], since: float) -> list[PubSubItem]:
    """See L{IPubSubStore.find}."""
    found = []
    for id in ids:
        row = connection.execute(
            f"SELECT {_COLUMNS} {_OF_NODE} AND id = ? AND time >= ?", (service, node, id, since)
        ).fetchone()
        if row is not None:
            found.append(_item(*row))
    return found


def findLatest(connection: RowConnection, wanted: tuple[str, str], elements: str) -> list[tuple[str, str, str]]:
    """
    See L{IPubSubStore.latest}.

    @param wanted: the services and the names, as JSON.
    @param elements: the elements of such an array, in SQL.
    """
    rows = connection.execute(
        f"SELECT item.service, item.node, item.id FROM {elements} AS service"
        f" CROSS JOIN {elements} AS node"
        " JOIN pubsub_item AS item ON item.service = service.value AND item.node = node.value"
        " WHERE item.position = (SELECT max(position) FROM pubsub_item AS other"
        " WHERE other.service = service.value AND other.node = node.value)"
        " ORDER BY item.service, item.node",
        wanted,
    )
    return [(service, node, id) for service, node, id in rows]
