# -*- test-case-name: tests.storage.test_sqlite_archive -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Reading of message archives as rows (design/0014)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic

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
from muccore.storage.rows.archiverows import BLOCK, absolute, findArchive, relative, span
from muccore.storage.rows.batching import C
from muccore.xmpp.rendering import Rendered

COUNT_LIMIT: Final = 10_000
"""Items found by words, sender or author that are counted; of more, the number stays unknown."""

READ_AT_ONCE: Final = 64
"""Items that are read in one step."""

PAGE_SIZE: Final = 4 * 1024 * 1024
"""Characters of stanzas on a page, after which no further step is made."""

EVER: Final = 2**63 - 1
"""The latest time; the earliest is its negative."""

_NAME: Final = len("<message")

Range = tuple[int, int]
"""The lowest and the highest of neighbouring keys, or the earliest and the latest time."""

ItemRow = Sequence[Any]
"""Key, id, time, sender, author, stanza, and whether it is retracted."""


@dataclass(frozen=True)
class Filter:
    """
    What a query lets through.

    @ivar ranges: the keys that can match, ascending.
    @ivar times: the earliest and the latest time, or C{None} for any.
    @ivar match: the expression for the search index, or C{None} if it is not needed.
    """

    ranges: Sequence[Range]
    times: Range | None
    match: str | None


class ArchiveQueries(ABC, Generic[C]):
    """The statements that read archives."""

    # For subclasses to implement

    @abstractmethod
    def listArchives(self, connection: C, after: str, limit: int) -> list[str]:
        """List archives; see L{IArchiveStore.names<muccore.interfaces.IArchiveStore.names>}."""

    @abstractmethod
    def rowOf(self, connection: C, archive: int | None, id: str) -> ItemRow | None:
        """Read one item."""

    @abstractmethod
    def keysOf(self, connection: C, archive: int | None, ids: Sequence[str]) -> dict[str, int]:
        """Find the keys of items by their ids, of those that are there."""

    @abstractmethod
    def token(self, kind: str, text: str) -> str:
        """
        The token in the search index of a sender or author; it is no word.

        @param kind: C{from} for a whole JID, C{bare} for its bare JID, C{author}.
        """

    @abstractmethod
    def matchOf(self, tokens: Sequence[str]) -> str:
        """The expression for the search index that all these tokens match."""

    @abstractmethod
    def blocksOf(self, connection: C, keys: Range, times: Range) -> list[int]:
        """The numbers of the blocks that have items with these keys and times, ascending."""

    @abstractmethod
    def read(self, connection: C, wanted: Filter, keys: Range, limit: int, backwards: bool) -> Sequence[ItemRow]:
        """Read the first items with these keys, or backwards the last ones, the last one first."""

    @abstractmethod
    def countMatches(self, connection: C, wanted: Filter, keys: Range, limit: int) -> int:
        """Count the items with these keys by the search index; of more than C{limit} any number that is greater."""

    @abstractmethod
    def countBlocks(self, connection: C, keys: Range, times: Range) -> int:
        """Count the items with these keys and times: add up the blocks that match as a whole, and count in others."""

    # Common to all

    def getItem(self, connection: C, name: str, id: str) -> ArchiveItem | None:
        """Read one item."""
        row = self.rowOf(connection, findArchive(connection, name), id)
        return None if row is None else _itemOf(row, name)

    def getMetadata(self, connection: C, name: str) -> ArchiveMetadata | None:
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

    def findPage(self, connection: C, name: str, query: ArchiveQuery) -> ArchivePage:
        """Find a page; see L{IArchiveStore.query<muccore.interfaces.IArchiveStore.query>}."""
        if len(query.ids or ()) > IDS_LIMIT:
            raise QueryRefused(f"the query has {len(query.ids or ())} ids; {IDS_LIMIT} are allowed")
        given = {id for id in (query.afterId, query.beforeId, query.after, query.before or None) if id is not None}
        archive = findArchive(connection, name)
        keys = self._findKeys(connection, archive, list(given.union(query.ids or ())))
        if archive is None:
            return ArchivePage([], True, None, 0 if query.counted else None)
        whole = span(archive)
        wanted = self._filterOf(connection, archive, name, query, keys)
        page = whole
        if query.after is not None:
            page = keys[query.after] + 1, page[1]
        if query.before:
            page = page[0], keys[query.before] - 1
        found, isFull = self._find(connection, wanted, page, query.limit + 1, query.before is not None)
        complete = len(found) <= query.limit and not isFull
        del found[query.limit :]
        if query.before is not None:
            found.reverse()
        index = count = None
        if query.counted:
            count = self._count(connection, wanted, whole)
            if found and count is not None:
                index = self._count(connection, wanted, (whole[0], found[0][0] - 1))
        return ArchivePage([_itemOf(row, name) for row in found], complete, index, count)

    def _findKeys(self, connection: C, archive: int | None, ids: Sequence[str]) -> dict[str, int]:
        """
        Find the keys of items.

        @raise NoSuchItem: if one is not in the archive.
        """
        keys = self.keysOf(connection, archive, ids) if ids else {}
        for id in ids:
            if id not in keys:
                raise NoSuchItem(f"{id!r} is not in the archive")
        return keys

    def _filterOf(
        self, connection: C, archive: int, name: str, query: ArchiveQuery, keys: Mapping[str, int]
    ) -> Filter:
        """@param keys: those of all ids in the query."""
        low, high = span(archive)
        if query.afterId is not None:
            low = keys[query.afterId] + 1
        if query.beforeId is not None:
            high = keys[query.beforeId] - 1
        times = None
        if query.start is not None or query.end is not None:
            start, end = query.start, query.end
            times = (-EVER if start is None else max(start, -EVER), EVER if end is None else min(end, EVER))
        tokens = []
        if query.sender is not None:
            tokens.append(self.token("from" if "/" in query.sender else "bare", relative(query.sender, name)))
        if query.author is not None:
            tokens.append(self.token("author", query.author))
        found = [] if query.text is None else queryWords(query.text)
        tokens += found
        ranges: Iterable[Range] = [(low, high)]
        if query.text is not None and not found:
            ranges = []
        elif query.ids is not None:
            ranges = [(key, key) for key in sorted({keys[id] for id in query.ids})]
        elif times is not None:
            ranges = _merged(self.blocksOf(connection, (low, high), times))
        return Filter(list(_clip(ranges, (low, high))), times, self.matchOf(tokens) if tokens else None)

    def _find(
        self, connection: C, wanted: Filter, page: Range, limit: int, backwards: bool
    ) -> tuple[list[ItemRow], bool]:
        """
        Find items.

        @param page: the keys that they may have.
        @return: the items; backwards: the last ones, the last one first; and whether there may be more than these
            because of L{PAGE_SIZE}.
        """
        found: list[ItemRow] = []
        size = 0
        ranges = list(_clip(wanted.ranges, page))
        for low, high in reversed(ranges) if backwards else ranges:
            while len(found) < limit:
                if size > PAGE_SIZE:
                    return found, True
                count = min(limit - len(found), READ_AT_ONCE)
                rows = self.read(connection, wanted, (low, high), count, backwards)
                found += rows
                size += sum([len(stanza) for _, _, _, _, _, stanza, _ in rows])
                if len(rows) < count:
                    break
                low, high = (low, rows[-1][0] - 1) if backwards else (rows[-1][0] + 1, high)
        return found, False

    def _count(self, connection: C, wanted: Filter, page: Range) -> int | None:
        """Count the items with these keys; C{None} if there are more than L{COUNT_LIMIT} and each must be looked at."""
        count = 0
        for keys in _clip(wanted.ranges, page):
            if wanted.match is None:
                count += self.countBlocks(connection, keys, wanted.times or (-EVER, EVER))
                continue
            count += self.countMatches(connection, wanted, keys, COUNT_LIMIT)
            if count > COUNT_LIMIT:
                return None
        return count


def _itemOf(row: ItemRow, archive: str) -> ArchiveItem:
    _, id, time, sender, author, stanza, retracted = row
    data = stanza.encode()
    return ArchiveItem(
        id, time, absolute(sender, archive), author, Rendered(data[:_NAME], data[_NAME:]), retracted=bool(retracted)
    )


def _merged(blocks: Iterable[int]) -> list[Range]:
    """The keys of blocks; neighbouring blocks are one range."""
    merged: list[list[int]] = []
    for number in blocks:
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
