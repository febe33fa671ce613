# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Audit trails as rows (design/0016)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from muccore.interfaces import ENTRIES_LIMIT, AuditEntry, AuditPage, AuditQuery, IAuditStore
from muccore.storage.rows.batching import RowConnection
from muccore.storage.rows.store import RowStore

_COLUMNS: Final = "room, instance, time, kind, actor, target, reason, details"

_STEP: Final = 1000
"""Entries that are deleted in one transaction."""


@implementer(IAuditStore)
class RowAudit(RowStore):
    """Audit trails in a database."""

    def append(self, entries: Sequence[AuditEntry]) -> Deferred[None]:
        """See L{IAuditStore.append}."""
        rows = [
            (each.room, each.instance, each.time, each.kind, each.actor, each.target, each.reason, _dumped(each))
            for each in entries
        ]
        return self.database.write(lambda connection: appendEntries(connection, rows), *{each.room for each in entries})

    def query(self, query: AuditQuery) -> Deferred[AuditPage]:
        """See L{IAuditStore.query}."""
        keys = () if query.room is None else (query.room,)
        return self.database.read(lambda connection: findEntries(connection, query), *keys)

    def expire(self, before: int) -> Deferred[int]:
        """See L{IAuditStore.expire}."""
        return Deferred.fromCoroutine(self._expire(before))

    async def _expire(self, before: int) -> int:
        count = 0
        while True:
            deleted = await self.database.write(lambda connection: expireEntries(connection, before))
            count += deleted
            if deleted < _STEP:
                return count


def _dumped(entry: AuditEntry) -> str:
    return json.dumps(dict(entry.details), ensure_ascii=False)


def appendEntries(connection: RowConnection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Append rows without ids; see L{IAuditStore.append}."""
    connection.executemany(f"INSERT INTO audit_entry ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    for room, kind in {(row[0], row[3]) for row in rows}:
        connection.execute(
            "DELETE FROM audit_entry WHERE room = ? AND kind = ? AND id <="
            " (SELECT id FROM audit_entry WHERE room = ? AND kind = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (room, kind, room, kind, ENTRIES_LIMIT),
        )


def findEntries(connection: RowConnection, query: AuditQuery) -> AuditPage:
    """Find a page; see L{IAuditStore.query}."""
    conditions: list[str] = []
    values: list[Any] = []
    for condition, value in (
        ("room = ?", query.room), ("instance = ?", query.instance), ("kind = ?", query.kind),
        ("time >= ?", query.since), ("id < ?", query.before),
    ):  # fmt: skip
        if value is not None:
            conditions.append(condition)
            values.append(value)
    if query.who is not None:
        conditions.append("(actor = ? OR target = ?)")
        values += (query.who, query.who)
    rows = connection.execute(
        f"SELECT {_COLUMNS}, id FROM audit_entry WHERE {' AND '.join(conditions) or 'true'} ORDER BY id DESC LIMIT ?",
        (*values, query.limit + 1),
    ).fetchall()
    entries = [
        AuditEntry(room, instance, time, kind, actor, target, reason, json.loads(details), id)
        for room, instance, time, kind, actor, target, reason, details, id in rows[: query.limit]
    ]
    return AuditPage(entries, len(rows) <= query.limit)


def expireEntries(connection: RowConnection, before: int) -> int:
    """Delete some of the oldest entries; see L{IAuditStore.expire}."""
    old = []
    for id, time in connection.execute("SELECT id, time FROM audit_entry ORDER BY id LIMIT ?", (_STEP,)):
        if time >= before:
            break
        old.append(id)
    if old:
        connection.execute("DELETE FROM audit_entry WHERE id <= ?", (old[-1],))
    return len(old)
