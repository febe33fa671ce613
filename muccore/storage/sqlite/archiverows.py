# -*- test-case-name: tests.storage.test_sqlite_archive -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Writing of message archives in SQLite.

Whole groups go to SQLite at once, as JSON or as many rows of one statement, for the reason given in
L{muccore.storage.sqlite.rooms}.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final

from muccore.storage.rows.archiverows import PLACES, ArchiveRows, Row, findArchive, sumUp
from muccore.storage.sqlite.archiveschema import tokens

MERGED_AT_ONCE: Final = 64
"""Pages of the search index that one step writes, in a few milliseconds."""

_ROW: Final = "(?, ?, ?, ?, ?, ?, ?)"

_INSERTS: Final = [
    (count, "INSERT INTO item (key, id, time, sender, author, stanza, words) VALUES " + ", ".join([_ROW] * count))
    for count in (256, 64, 16, 4, 1)
]
"""Statements for so many rows each, the largest first. JSON would be taken apart once a column."""

_INDEX: Final = (
    f"INSERT INTO search (rowid, words) SELECT item.key, {tokens('item')}"
    " FROM json_each(?) AS new CROSS JOIN item ON item.key = new.value"
)

_SUM_UP: Final = (
    "INSERT INTO block SELECT "
    + ", ".join(f"json_extract(value, '$[{column}]')" for column in range(4))
    + " FROM json_each(?) WHERE true ON CONFLICT (number) DO UPDATE SET count = count + excluded.count,"
    " earliest = min(earliest, excluded.earliest), latest = max(latest, excluded.latest)"
)


def dumps(value: Any) -> str:
    """Encode JSON for SQLite, without escapes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class SQLiteArchiveRows(ArchiveRows[sqlite3.Connection]):
    """The statements for SQLite. A step deletes, or merges of the search index, what takes a few milliseconds."""

    deletedAtOnce = 250

    def conflict(self, connection: sqlite3.Connection, error: Exception) -> bool | None:
        """See L{ArchiveRows.conflict}."""
        return True if isinstance(error, sqlite3.IntegrityError) else None

    def lastKeys(self, connection: sqlite3.Connection, names: Sequence[str]) -> dict[str, int]:
        """See L{ArchiveRows.lastKeys}."""
        wanted = dumps(names)
        connection.execute(
            "INSERT INTO archive (name) SELECT value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING", (wanted,)
        )
        last = (
            f"SELECT max(key) FROM item WHERE key BETWEEN archive.id << {PLACES} AND (archive.id + 1 << {PLACES}) - 1"
        )
        (found,) = connection.execute(
            f"SELECT json_group_object(name, coalesce(({last}), id << {PLACES}))"
            " FROM archive WHERE name IN (SELECT value FROM json_each(?))",
            (wanted,),
        ).fetchone()
        keys: dict[str, int] = json.loads(found)
        return keys

    def insert(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        """See L{ArchiveRows.insert}."""
        begin = 0
        for count, statement in _INSERTS:
            while len(rows) - begin >= count:
                connection.execute(statement, [*chain.from_iterable(rows[begin : begin + count])])
                begin += count
        connection.execute(_INDEX, (dumps([row[0] for row in rows]),))
        connection.execute(_SUM_UP, (dumps(sumUp(rows)),))

    def getPosition(self, connection: sqlite3.Connection) -> int:
        """See L{ArchiveRows.getPosition}."""
        (position,) = connection.execute("SELECT position FROM journal").fetchone()
        return int(position)

    def setPosition(self, connection: sqlite3.Connection, position: int) -> None:
        """See L{ArchiveRows.setPosition}."""
        connection.execute("UPDATE journal SET position = ?", (position,))

    def retractItems(self, connection: sqlite3.Connection, name: str, tombstones: Sequence[tuple[str, str]]) -> int:
        """See L{ArchiveRows.retractItems}."""
        changed = connection.execute(
            "UPDATE item SET stanza = tombstone.stanza, words = '', retracted = 1 FROM ("
            " SELECT item.key AS key, json_extract(value, '$[1]') AS stanza FROM json_each(?1)"
            f" JOIN item ON item.id = json_extract(value, '$[0]') AND item.key >> {PLACES} = ?2 ORDER BY item.key"
            ") AS tombstone WHERE item.key = tombstone.key",
            (dumps(tombstones), findArchive(connection, name)),
        ).rowcount
        return _removed(connection, changed)

    def removeItems(self, connection: sqlite3.Connection, name: str, ids: Sequence[str]) -> int:
        """See L{ArchiveRows.removeItems}."""
        deleted = connection.execute(
            "DELETE FROM item WHERE key IN (SELECT item.key FROM json_each(?1)"
            f" JOIN item ON item.id = value AND item.key >> {PLACES} = ?2)",
            (dumps(ids), findArchive(connection, name)),
        ).rowcount
        return _removed(connection, deleted)

    def deleteRange(self, connection: sqlite3.Connection, low: int, high: int) -> int:
        """See L{ArchiveRows.deleteRange}."""
        deleted = connection.execute("DELETE FROM item WHERE key BETWEEN ? AND ?", (low, high)).rowcount
        return _removed(connection, deleted)

    def mustErase(self, connection: sqlite3.Connection) -> bool:
        """See L{ArchiveRows.mustErase}."""
        (found,) = connection.execute(
            "SELECT EXISTS (SELECT 1 FROM archive WHERE name IS NULL) OR EXISTS (SELECT 1 FROM erasure)"
        ).fetchone()
        return bool(found)

    def eraser(self) -> Callable[[sqlite3.Connection], bool]:
        """
        See L{ArchiveRows.eraser}. It erases the items of archives, then what the search index still has in parts of it.
        """
        merging: int | None = None

        def erase(connection: sqlite3.Connection) -> bool:
            # The last of the removals that the merge of the search index which has begun will erase.
            nonlocal merging
            if self.eraseArchive(connection):
                return True
            (last,) = connection.execute("SELECT max(id) FROM erasure").fetchone()
            if last is None:
                merging = None
                return False
            pages = MERGED_AT_ONCE
            if merging is None:
                # Negative: begin to merge all parts.
                merging, pages = last, -pages
            before = connection.total_changes
            connection.execute("INSERT INTO search (search, rank) VALUES ('merge', ?)", (pages,))
            if connection.total_changes - before < 2:
                # Nothing was left to be merged.
                connection.execute("DELETE FROM erasure WHERE id <= ?", (merging,))
                merging = None
            return True

        return erase


def _removed(connection: sqlite3.Connection, count: int) -> int:
    """Note that some items were removed, which must be erased from the search index."""
    if count:
        connection.execute("INSERT INTO erasure DEFAULT VALUES")
    return count
