# -*- test-case-name: tests.storage.test_sqlite_archive -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Reading of message archives. Pages come from SQLite as JSON, as rows go there."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from muccore.interfaces import (
    IDS_LIMIT,
    ArchiveItem,
    ArchiveMetadata,
    ArchivePage,
    ArchiveQuery,
    NoSuchItem,
    QueryRefused,
)
from muccore.storage.fulltext import queryWords
from muccore.storage.sqlite.archiverows import absolute, dumps, findArchive, relative, span
from muccore.storage.sqlite.archiveschema import BLOCK, PLACES, token
from muccore.xmpp.rendering import Rendered

COUNT_LIMIT: Final = 10_000
"""Items found by words, sender or author that are counted; of more, the number stays unknown."""

READ_AT_ONCE: Final = 64
"""Items that are read in one step."""

PAGE_SIZE: Final = 4 * 1024 * 1024
"""Characters of stanzas on a page, after which no further step is made."""

_EVER: Final = 2**63 - 1
_NAME: Final = len("<message")
_ITEM: Final = "json_array(key, id, time, sender, author, stanza, retracted)"

Range = tuple[int, int]
"""The lowest and the highest of neighbouring keys."""


def itemOf(row: Sequence[Any], archive: str) -> ArchiveItem:
    """Make an item from the values of L{_ITEM}."""
    _, id, time, sender, author, stanza, retracted = row
    data = stanza.encode()
    return ArchiveItem(
        id, time, absolute(sender, archive), author, Rendered(data[:_NAME], data[_NAME:]), retracted=bool(retracted)
    )


def listArchives(connection: sqlite3.Connection, after: str, limit: int) -> list[str]:
    """List archives; see L{IArchiveStore.names<muccore.interfaces.IArchiveStore.names>}."""
    (found,) = connection.execute(
        "SELECT json_group_array(name) FROM (SELECT name FROM archive WHERE name > ? ORDER BY name LIMIT ?)",
        (after, limit),
    ).fetchone()
    names: list[str] = json.loads(found)
    return names


def getItem(connection: sqlite3.Connection, name: str, id: str) -> ArchiveItem | None:
    """Read one item."""
    row = connection.execute(
        f"SELECT {_ITEM} FROM item WHERE id = ? AND key >> {PLACES} = ?", (id, findArchive(connection, name))
    ).fetchone()
    return None if row is None else itemOf(json.loads(row[0]), name)


def getMetadata(connection: sqlite3.Connection, name: str) -> ArchiveMetadata | None:
    """Read the ends of an archive."""
    archive = findArchive(connection, name)
    if archive is None:
        return None
    ends = [
        connection.execute(
            f"SELECT id, time FROM item WHERE key BETWEEN ? AND ? ORDER BY key {order} LIMIT 1", span(archive)
        ).fetchone()
        for order in ("ASC", "DESC")
    ]
    return None if ends[0] is None else ArchiveMetadata(*ends[0], *ends[1])


def findPage(connection: sqlite3.Connection, name: str, query: ArchiveQuery) -> ArchivePage:
    """Find a page; see L{IArchiveStore.query<muccore.interfaces.IArchiveStore.query>}."""
    if len(query.ids or ()) > IDS_LIMIT:
        raise QueryRefused(f"the query has {len(query.ids or ())} ids; {IDS_LIMIT} are allowed")
    given = {id for id in (query.afterId, query.beforeId, query.after, query.before or None) if id is not None}
    archive = findArchive(connection, name)
    keys = _findKeys(connection, archive, given.union(query.ids or ()))
    if archive is None:
        return ArchivePage([], True, None, 0 if query.counted else None)
    matching = _Filter.of(connection, archive, name, query, keys)
    page = span(archive)
    if query.after is not None:
        page = keys[query.after] + 1, page[1]
    if query.before:
        page = page[0], keys[query.before] - 1
    found, isFull = matching.find(page, query.limit + 1, query.before is not None)
    complete = len(found) <= query.limit and not isFull
    del found[query.limit :]
    if query.before is not None:
        found.reverse()
    index = count = None
    if query.counted:
        count = matching.count(span(archive))
        if found and count is not None:
            index = matching.count((span(archive)[0], found[0][0] - 1))
    return ArchivePage([itemOf(row, name) for row in found], complete, index, count)


def _findKeys(connection: sqlite3.Connection, archive: int | None, ids: Iterable[str]) -> dict[str, int]:
    """
    Find the keys of items.

    @raise NoSuchItem: if one is not in the archive.
    """
    wanted = list(ids)
    if not wanted:
        return {}
    (found,) = connection.execute(
        "SELECT json_group_object(id, key) FROM item"
        f" WHERE id IN (SELECT value FROM json_each(?)) AND key >> {PLACES} = ?",
        (dumps(wanted), archive),
    ).fetchone()
    keys: dict[str, int] = json.loads(found)
    for id in wanted:
        if id not in keys:
            raise NoSuchItem(f"{id!r} is not in the archive")
    return keys


@dataclass(frozen=True)
class _Filter:
    """
    What a query lets through.

    @ivar ranges: the keys that can match, ascending.
    @ivar times: the earliest and the latest time, or C{None} for any.
    @ivar match: the expression for the search index, or C{None} if it is not needed.
    """

    connection: sqlite3.Connection
    ranges: Sequence[Range]
    times: Range | None
    match: str | None

    @classmethod
    def of(
        cls, connection: sqlite3.Connection, archive: int, name: str, query: ArchiveQuery, keys: Mapping[str, int]
    ) -> _Filter:
        """@param keys: those of all ids in the query."""
        low, high = span(archive)
        if query.afterId is not None:
            low = keys[query.afterId] + 1
        if query.beforeId is not None:
            high = keys[query.beforeId] - 1
        times = None
        if query.start is not None or query.end is not None:
            start, end = query.start, query.end
            times = (-_EVER if start is None else max(start, -_EVER), _EVER if end is None else min(end, _EVER))
        tokens = []
        if query.sender is not None:
            tokens.append(token("from" if "/" in query.sender else "bare", relative(query.sender, name)))
        if query.author is not None:
            tokens.append(token("author", query.author))
        found = [] if query.text is None else queryWords(query.text)
        tokens += found
        ranges: Iterable[Range] = [(low, high)]
        if query.text is not None and not found:
            ranges = []
        elif query.ids is not None:
            ranges = [(key, key) for key in sorted({keys[id] for id in query.ids})]
        elif times is not None:
            ranges = _blocks(connection, low, high, times)
        match = " ".join(f'"{token}"' for token in tokens)
        return cls(connection, list(_clip(ranges, (low, high))), times, match or None)

    def find(self, page: Range, limit: int, backwards: bool) -> tuple[list[list[Any]], bool]:
        """
        Find items.

        @param page: the keys that they may have.
        @return: the values of L{_ITEM}; backwards: of the last ones, the last one first; and whether there may be more
            than these because of L{PAGE_SIZE}.
        """
        found: list[list[Any]] = []
        size = 0
        ranges = list(_clip(self.ranges, page))
        for low, high in reversed(ranges) if backwards else ranges:
            while len(found) < limit:
                if size > PAGE_SIZE:
                    return found, True
                wanted = min(limit - len(found), READ_AT_ONCE)
                rows = self._read((low, high), wanted, "DESC" if backwards else "ASC")
                found += rows
                size += sum([len(stanza) for _, _, _, _, _, stanza, _ in rows])
                if len(rows) < wanted:
                    break
                low, high = (low, rows[-1][0] - 1) if backwards else (rows[-1][0] + 1, high)
        return found, False

    def count(self, page: Range) -> int | None:
        """Count the items with these keys; C{None} if there are more than L{COUNT_LIMIT} and each must be looked at."""
        count = 0
        for each in _clip(self.ranges, page):
            count += self._countBlocks(each) if self.match is None else self._countMatches(each)
            if self.match is not None and count > COUNT_LIMIT:
                return None
        return count

    def _source(self, withItems: bool) -> str:
        """The tables from which items are read in the order of C{key}, and the condition of L{_values}."""
        time = "" if self.times is None else " AND item.time BETWEEN ? AND ?"
        if self.match is None:
            return f"item WHERE key BETWEEN ? AND ?{time}"
        items = " CROSS JOIN item ON item.key = search.rowid" if withItems or time else ""
        return f"search{items} WHERE search MATCH ? AND search.rowid BETWEEN ? AND ?{time}"

    def _values(self, keys: Range) -> tuple[Any, ...]:
        return (*(() if self.match is None else (self.match,)), *keys, *(self.times or ()))

    def _read(self, keys: Range, limit: int, order: str) -> list[list[Any]]:
        key = "item.key" if self.match is None else "search.rowid"
        (found,) = self.connection.execute(
            f"SELECT json_group_array({_ITEM}) FROM (SELECT key, id, time, sender, author, stanza, retracted"
            f" FROM {self._source(True)} ORDER BY {key} {order} LIMIT ?)",
            (*self._values(keys), limit),
        ).fetchone()
        rows: list[list[Any]] = json.loads(found)
        return rows

    def _countMatches(self, keys: Range) -> int:
        (count,) = self.connection.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM {self._source(False)} LIMIT ?)",
            (*self._values(keys), COUNT_LIMIT + 1),
        ).fetchone()
        return int(count)

    def _countBlocks(self, keys: Range) -> int:
        """Add up the blocks that match as a whole, and count the items of the others."""
        low, high = keys
        start, end = self.times or (-_EVER, _EVER)
        whole = "number BETWEEN ?5 AND ?6 AND earliest >= ?3 AND latest <= ?4"
        (count,) = self.connection.execute(
            f"SELECT (SELECT coalesce(sum(count), 0) FROM block WHERE {whole}) + (SELECT count(*) FROM block"
            f" CROSS JOIN item ON item.key BETWEEN max(?1, number << {BLOCK}) AND min(?2, (number + 1 << {BLOCK}) - 1)"
            f" WHERE number BETWEEN ?1 >> {BLOCK} AND ?2 >> {BLOCK} AND latest >= ?3 AND earliest <= ?4"
            f" AND NOT ({whole}) AND item.time BETWEEN ?3 AND ?4)",
            (low, high, start, end, low + (1 << BLOCK) - 1 >> BLOCK, (high + 1 >> BLOCK) - 1),
        ).fetchone()
        return int(count)


def _blocks(connection: sqlite3.Connection, low: int, high: int, times: Range) -> list[Range]:
    """The keys of the blocks that have items of these times; neighbouring blocks are one range."""
    (found,) = connection.execute(
        "SELECT json_group_array(number) FROM (SELECT number FROM block"
        " WHERE number BETWEEN ? AND ? AND latest >= ? AND earliest <= ? ORDER BY number)",
        (low >> BLOCK, high >> BLOCK, *times),
    ).fetchone()
    merged: list[list[int]] = []
    for number in json.loads(found):
        if merged and number == merged[-1][1] + 1:
            merged[-1][1] = number
        else:
            merged.append([number, number])
    return [(first << BLOCK, (last + 1 << BLOCK) - 1) for first, last in merged]


def _clip(ranges: Iterable[Range], bounds: Range) -> Iterator[Range]:
    """The parts of ranges that are within bounds."""
    for low, high in ranges:
        low, high = max(low, bounds[0]), min(high, bounds[1])
        if low <= high:
            yield low, high
