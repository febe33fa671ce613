# -*- test-case-name: tests.storage.test_postgresql_archive -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Reading of message archives in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from muccore.storage.postgresql.archiveschema import LEVELS, partToken, token
from muccore.storage.postgresql.database import Link
from muccore.storage.rows.archivequeries import ArchiveQueries, Filter, ItemRow, Range
from muccore.storage.rows.archiverows import BLOCK, PLACES

_ITEM: Final = "key, id, time, sender, author, stanza, retracted"

_MATCHES: Final = "tokens @@ ?::tsquery AND tokens @@ ?::tsquery AND key + 0 BETWEEN ? AND ?"
"""What matches in a part. As a condition of its own, the part lets GIN skip what is before it."""


class Parts:
    """
    Divides a range of keys into parts, each within one of L{LEVELS}, from its beginning, or backwards from its end.

    They grow while little is found in them: most pages are full soon, but there may be few matches in an archive.
    """

    def __init__(self, keys: Range, backwards: bool = False, size: int = 0) -> None:
        """@param size: the index of the level of the first part."""
        self._low, self._high = keys
        self._backwards = backwards
        self._size = size
        self._isWhole = False

    def next(self) -> tuple[Range, str] | None:
        """The next part: its keys, and the token of what it is within; C{None} at the end."""
        low, high = self._low, self._high
        if low > high:
            return None
        level = LEVELS[self._size]
        if self._backwards:
            token, low = partToken(level, high), max(low, high >> level << level)
            self._high = low - 1
        else:
            token, high = partToken(level, low), min(high, ((low >> level) + 1 << level) - 1)
            self._low = high + 1
        self._isWhole = high - low >= 1 << level - 1
        return (low, high), token

    def found(self, count: int, missing: int) -> None:
        """
        Learn how many items the last part had.

        @param missing: how many are still to be found.
        """
        if self._isWhole and count * 4 < missing:
            self._size = min(self._size + 1, len(LEVELS) - 1)


class PostgreSQLArchiveQueries(ArchiveQueries[Link]):
    """
    The statements for PostgreSQL.

    The index of tokens is to be used for what matches, not that of keys: looking for few matches in the order of keys
    would take as long as the archive is. So the planner sees no order there (C{OFFSET 0}), and no range (C{key + 0}).
    """

    def listArchives(self, connection: Link, after: str, limit: int) -> list[str]:
        """See L{ArchiveQueries.listArchives}."""
        found = connection.execute("SELECT name FROM archive WHERE name > ? ORDER BY name LIMIT ?", (after, limit))
        return [name for (name,) in found]

    def rowOf(self, connection: Link, archive: int | None, id: str) -> ItemRow | None:
        """See L{ArchiveQueries.rowOf}."""
        row: ItemRow | None = connection.execute(
            f"SELECT {_ITEM} FROM item WHERE id = ? AND key >> {PLACES} = ?", (id, archive)
        ).fetchone()
        return row

    def keysOf(self, connection: Link, archive: int | None, ids: Sequence[str]) -> dict[str, int]:
        """See L{ArchiveQueries.keysOf}."""
        condition = f"id = ANY (?::text[]) AND key >> {PLACES} = ?"
        return dict(connection.execute(f"SELECT id, key FROM item WHERE {condition}", (list(ids), archive)))

    def token(self, kind: str, text: str) -> str:
        """See L{ArchiveQueries.token}."""
        return token(kind, text)

    def matchOf(self, tokens: Sequence[str]) -> str:
        """See L{ArchiveQueries.matchOf}. No token has a quotation mark."""
        return " & ".join(f"'{token}'" for token in tokens)

    def blocksOf(self, connection: Link, keys: Range, times: Range) -> list[int]:
        """See L{ArchiveQueries.blocksOf}."""
        found = connection.execute(
            "SELECT number FROM block WHERE number BETWEEN ? AND ? AND latest >= ? AND earliest <= ? ORDER BY number",
            (keys[0] >> BLOCK, keys[1] >> BLOCK, *times),
        )
        return [number for (number,) in found]

    def read(self, connection: Link, wanted: Filter, keys: Range, limit: int, backwards: bool) -> Sequence[ItemRow]:
        """See L{ArchiveQueries.read}."""
        order = "DESC" if backwards else "ASC"
        time, times = ("", ()) if wanted.times is None else (" AND time BETWEEN ? AND ?", wanted.times)
        found: list[ItemRow] = []
        if wanted.match is None:
            found += connection.execute(
                f"SELECT {_ITEM} FROM item WHERE key BETWEEN ? AND ?{time} ORDER BY key {order} LIMIT ?",
                (*keys, *times, limit),
            )
            return found
        parts = Parts(_ends(connection, keys), backwards)
        while len(found) < limit and (part := parts.next()) is not None:
            rows = connection.execute(
                f"SELECT {_ITEM} FROM (SELECT {_ITEM} FROM item"
                f" WHERE {_MATCHES}{time} OFFSET 0) AS matching ORDER BY key {order} LIMIT ?",
                (f"'{part[1]}'", wanted.match, *part[0], *times, limit - len(found)),
            ).fetchall()
            found += rows
            parts.found(len(rows), limit - len(found))
        return found

    def countMatches(self, connection: Link, wanted: Filter, keys: Range, limit: int) -> int:
        """See L{ArchiveQueries.countMatches}."""
        time, times = ("", ()) if wanted.times is None else (" AND time BETWEEN ? AND ?", wanted.times)
        count = 0
        parts = Parts(_ends(connection, keys), size=1)
        while count <= limit and (part := parts.next()) is not None:
            (more,) = connection.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM item WHERE {_MATCHES}{time} LIMIT ?) AS matching",
                (f"'{part[1]}'", wanted.match, *part[0], *times, limit + 1 - count),
            ).fetchone()
            count += more
            parts.found(more, limit - count)
        return count

    def countBlocks(self, connection: Link, keys: Range, times: Range) -> int:
        """See L{ArchiveQueries.countBlocks}."""
        low, high = keys
        whole = "number BETWEEN ? AND ? AND earliest >= ? AND latest <= ?"
        wholes = (low + (1 << BLOCK) - 1 >> BLOCK, (high + 1 >> BLOCK) - 1, *times)
        (count,) = connection.execute(f"SELECT coalesce(sum(count), 0) FROM block WHERE {whole}", wholes).fetchone()
        (more,) = connection.execute(
            "SELECT count(*) FROM block JOIN item"
            f" ON item.key BETWEEN greatest(?, number << {BLOCK}) AND least(?, (number + 1 << {BLOCK}) - 1)"
            f" WHERE number BETWEEN ? AND ? AND latest >= ? AND earliest <= ? AND NOT ({whole})"
            " AND item.time BETWEEN ? AND ?",
            (low, high, low >> BLOCK, high >> BLOCK, *times, *wholes, *times),
        ).fetchone()
        return int(count) + int(more)


def _ends(connection: Link, keys: Range) -> Range:
    """The lowest and the highest key that there is of these: an archive ends long before its last possible key."""
    if keys[0] == keys[1]:
        return keys
    low, high = connection.execute("SELECT min(key), max(key) FROM item WHERE key BETWEEN ? AND ?", keys).fetchone()
    return (0, -1) if low is None else (low, high)
