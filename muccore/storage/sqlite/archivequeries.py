# -*- test-case-name: tests.storage.test_sqlite_archive -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Reading of message archives in SQLite. Pages come from it as JSON, as rows go there."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Final

from muccore.storage.rows.archivequeries import ArchiveQueries, Filter, ItemRow, Range
from muccore.storage.rows.archiverows import BLOCK, PLACES
from muccore.storage.sqlite.archiverows import dumps
from muccore.storage.sqlite.archiveschema import token

_ITEM: Final = "json_array(key, id, time, sender, author, stanza, retracted)"


class SQLiteArchiveQueries(ArchiveQueries[sqlite3.Connection]):
    """The statements for SQLite."""

    def listArchives(self, connection: sqlite3.Connection, after: str, limit: int) -> list[str]:
        """See L{ArchiveQueries.listArchives}."""
        (found,) = connection.execute(
            "SELECT json_group_array(name) FROM (SELECT name FROM archive WHERE name > ? ORDER BY name LIMIT ?)",
            (after, limit),
        ).fetchone()
        names: list[str] = json.loads(found)
        return names

    def rowOf(self, connection: sqlite3.Connection, archive: int | None, id: str) -> ItemRow | None:
        """See L{ArchiveQueries.rowOf}."""
        found = connection.execute(
            f"SELECT {_ITEM} FROM item WHERE id = ? AND key >> {PLACES} = ?", (id, archive)
        ).fetchone()
        row: ItemRow | None = None if found is None else json.loads(found[0])
        return row

    def keysOf(self, connection: sqlite3.Connection, archive: int | None, ids: Sequence[str]) -> dict[str, int]:
        """See L{ArchiveQueries.keysOf}."""
        (found,) = connection.execute(
            "SELECT json_group_object(id, key) FROM item"
            f" WHERE id IN (SELECT value FROM json_each(?)) AND key >> {PLACES} = ?",
            (dumps(ids), archive),
        ).fetchone()
        keys: dict[str, int] = json.loads(found)
        return keys

    def token(self, kind: str, text: str) -> str:
        """See L{ArchiveQueries.token}."""
        return token(kind, text)

    def matchOf(self, tokens: Sequence[str]) -> str:
        """See L{ArchiveQueries.matchOf}."""
        return " ".join(f'"{token}"' for token in tokens)

    def blocksOf(self, connection: sqlite3.Connection, keys: Range, times: Range) -> list[int]:
        """See L{ArchiveQueries.blocksOf}."""
        (found,) = connection.execute(
            "SELECT json_group_array(number) FROM (SELECT number FROM block"
            " WHERE number BETWEEN ? AND ? AND latest >= ? AND earliest <= ? ORDER BY number)",
            (keys[0] >> BLOCK, keys[1] >> BLOCK, *times),
        ).fetchone()
        numbers: list[int] = json.loads(found)
        return numbers

    def read(
        self, connection: sqlite3.Connection, wanted: Filter, keys: Range, limit: int, backwards: bool
    ) -> Sequence[ItemRow]:
        """See L{ArchiveQueries.read}."""
        key, order = "item.key" if wanted.match is None else "search.rowid", "DESC" if backwards else "ASC"
        (found,) = connection.execute(
            f"SELECT json_group_array({_ITEM}) FROM (SELECT key, id, time, sender, author, stanza, retracted"
            f" FROM {_source(wanted, True)} ORDER BY {key} {order} LIMIT ?)",
            (*_values(wanted, keys), limit),
        ).fetchone()
        rows: list[ItemRow] = json.loads(found)
        return rows

    def countMatches(self, connection: sqlite3.Connection, wanted: Filter, keys: Range, limit: int) -> int:
        """See L{ArchiveQueries.countMatches}."""
        (count,) = connection.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM {_source(wanted, False)} LIMIT ?)",
            (*_values(wanted, keys), limit + 1),
        ).fetchone()
        return int(count)

    def countBlocks(self, connection: sqlite3.Connection, keys: Range, times: Range) -> int:
        """See L{ArchiveQueries.countBlocks}."""
        low, high = keys
        whole = "number BETWEEN ?5 AND ?6 AND earliest >= ?3 AND latest <= ?4"
        (count,) = connection.execute(
            f"SELECT (SELECT coalesce(sum(count), 0) FROM block WHERE {whole}) + (SELECT count(*) FROM block"
            f" CROSS JOIN item ON item.key BETWEEN max(?1, number << {BLOCK}) AND min(?2, (number + 1 << {BLOCK}) - 1)"
            f" WHERE number BETWEEN ?1 >> {BLOCK} AND ?2 >> {BLOCK} AND latest >= ?3 AND earliest <= ?4"
            f" AND NOT ({whole}) AND item.time BETWEEN ?3 AND ?4)",
            (low, high, *times, low + (1 << BLOCK) - 1 >> BLOCK, (high + 1 >> BLOCK) - 1),
        ).fetchone()
        return int(count)


def _source(wanted: Filter, withItems: bool) -> str:
    """The tables from which items are read in the order of C{key}, and the condition of L{_values}."""
    time = "" if wanted.times is None else " AND item.time BETWEEN ? AND ?"
    if wanted.match is None:
        return f"item WHERE key BETWEEN ? AND ?{time}"
    items = " CROSS JOIN item ON item.key = search.rowid" if withItems or time else ""
    return f"search{items} WHERE search MATCH ? AND search.rowid BETWEEN ? AND ?{time}"


def _values(wanted: Filter, keys: Range) -> tuple[object, ...]:
    return (*(() if wanted.match is None else (wanted.match,)), *keys, *(wanted.times or ()))
