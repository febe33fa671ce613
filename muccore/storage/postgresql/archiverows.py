# -*- test-case-name: tests.storage.test_postgresql_archive -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Writing of message archives in PostgreSQL. Whole groups go there at once, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from muccore.storage.numberedjournal import NumberedJournal
from muccore.storage.postgresql.archiveschema import tokens
from muccore.storage.postgresql.connection import PostgreSQLError
from muccore.storage.postgresql.database import Link
from muccore.storage.rows.archiverows import BLOCK, PLACES, ArchiveRows, Row, findArchive, sumUp

_DELETE = (
    "WITH gone AS (DELETE FROM item WHERE {} RETURNING key),"
    f" less AS (SELECT key >> {BLOCK} AS number, count(*) AS count FROM gone GROUP BY 1),"
    " changed AS (UPDATE block SET count = block.count - less.count FROM less WHERE block.number = less.number"
    " RETURNING block.number, block.count)"
    " SELECT (SELECT count(*) FROM gone), (SELECT array_agg(number) FROM changed WHERE count = 0)"
)
"""Delete items by a condition, and subtract them from their blocks; return their number, and blocks that are empty."""


class PostgreSQLArchiveRows(ArchiveRows[Link]):
    """The statements for PostgreSQL."""

    deletedAtOnce = 2000

    def __init__(self, journal: NumberedJournal) -> None:
        """@param journal: whose position is kept."""
        self._journal = journal

    def conflict(self, connection: Link, error: Exception) -> bool | None:
        """See L{ArchiveRows.conflict}."""
        if not isinstance(error, PostgreSQLError) or not connection.inTransaction:
            return None
        if error.code == "23505":
            return True
        # Invalid data, violated constraints, and what is too large for an index.
        return False if error.code[:2] in ("22", "23", "54") else None

    def lastKeys(self, connection: Link, names: Sequence[str]) -> dict[str, int]:
        """See L{ArchiveRows.lastKeys}. Other servers wait until the transaction ends."""
        wanted = (list(names),)
        # ON CONFLICT alone would take a number for each name.
        connection.execute(
            "INSERT INTO archive (name) SELECT name FROM unnest(?::text[]) AS new (name)"
            " WHERE NOT EXISTS (SELECT 1 FROM archive WHERE archive.name = new.name) ON CONFLICT DO NOTHING",
            wanted,
        )
        connection.execute("SELECT 1 FROM archive WHERE name = ANY (?::text[]) ORDER BY name FOR UPDATE", wanted)
        # A new statement, which sees what others have committed until then.
        found = connection.execute(
            "SELECT name, coalesce((SELECT key FROM item"
            f" WHERE key BETWEEN archive.id << {PLACES} AND (archive.id + 1 << {PLACES}) - 1"
            f" ORDER BY key DESC LIMIT 1), id << {PLACES}) FROM archive WHERE name = ANY (?::text[])",
            wanted,
        )
        return dict(found)

    def insert(self, connection: Link, rows: Sequence[Row]) -> None:
        """See L{ArchiveRows.insert}."""
        if not rows:
            return
        given = []
        for key, id, time, sender, author, stanza, words in rows:
            if "\0" in id or "\0" in sender or "\0" in author or "\0" in stanza:
                raise ValueError("a NUL in text")
            given.append((key, id, time, sender, author, stanza, tokens(key, sender, author, words)))
        connection.execute(
            "INSERT INTO item (key, id, time, sender, author, stanza, tokens)"
            " SELECT key, id, time, sender, author, stanza, array_to_tsvector(string_to_array(tokens, ' '))"
            " FROM unnest(?::bigint[], ?::text[], ?::bigint[], ?::text[], ?::text[], ?::text[], ?::text[])"
            " AS new (key, id, time, sender, author, stanza, tokens)",
            [list(column) for column in zip(*given, strict=True)],
        )
        connection.execute(
            "INSERT INTO block SELECT * FROM unnest(?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[])"
            " ON CONFLICT (number) DO UPDATE SET count = block.count + excluded.count,"
            " earliest = least(block.earliest, excluded.earliest), latest = greatest(block.latest, excluded.latest)",
            [list(column) for column in zip(*sumUp(rows), strict=True)],
        )

    def getPosition(self, connection: Link) -> int:
        """See L{ArchiveRows.getPosition}."""
        row = connection.execute("SELECT position FROM journal WHERE id = ?", (self._journal.id,)).fetchone()
        return 0 if row is None else int(row[0])

    def setPosition(self, connection: Link, position: int) -> None:
        """See L{ArchiveRows.setPosition}."""
        connection.execute(
            "INSERT INTO journal VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET position = excluded.position",
            (self._journal.id, position),
        )

    def retractItems(self, connection: Link, name: str, tombstones: Sequence[tuple[str, str]]) -> int:
        """See L{ArchiveRows.retractItems}. Of the tokens, the words go."""
        changed: int = connection.execute(
            "UPDATE item SET stanza = tombstone.stanza, retracted = true, tokens = array_to_tsvector(ARRAY("
            "SELECT token FROM unnest(tsvector_to_array(tokens)) AS token WHERE strpos(token, '=') > 0))"
            " FROM unnest(?::text[], ?::text[]) AS tombstone (id, stanza)"
            f" WHERE item.id = tombstone.id AND key >> {PLACES} = ?",
            ([id for id, _ in tombstones], [stanza for _, stanza in tombstones], findArchive(connection, name)),
        ).rowcount
        return changed

    def removeItems(self, connection: Link, name: str, ids: Sequence[str]) -> int:
        """See L{ArchiveRows.removeItems}."""
        condition = f"id = ANY (?::text[]) AND key >> {PLACES} = ?"
        return _delete(connection, condition, list(ids), findArchive(connection, name))

    def deleteRange(self, connection: Link, low: int, high: int) -> int:
        """See L{ArchiveRows.deleteRange}."""
        return _delete(connection, "key BETWEEN ? AND ?", low, high)

    def mustErase(self, connection: Link) -> bool:
        """See L{ArchiveRows.mustErase}."""
        (found,) = connection.execute("SELECT EXISTS (SELECT 1 FROM archive WHERE name IS NULL)").fetchone()
        return bool(found)

    def eraser(self) -> Callable[[Link], bool]:
        """See L{ArchiveRows.eraser}. What the index has of items goes when PostgreSQL vacuums the table."""
        return self.eraseArchive


def _delete(connection: Link, condition: str, *values: object) -> int:
    count, empty = connection.execute(_DELETE.format(condition), values).fetchone()
    if empty:
        connection.execute("DELETE FROM block WHERE number = ANY (?::bigint[]) AND count = 0", (empty,))
    return int(count)
