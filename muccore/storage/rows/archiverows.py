# -*- test-case-name: tests.storage.test_sqlite_archive -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Writing of message archives as rows, within transactions (design/0014).

The key of an item has the number of its archive above the L{PLACES} bits of its place in the archive, so items are
stored in the order of pages. A table C{block} sums up each L{BLOCK} bits of places.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Final, Generic

from muccore.interfaces import ArchiveItem, ItemExists
from muccore.storage.archivejournal import JournaledCall
from muccore.storage.fulltext import words
from muccore.storage.rows.batching import C, RowConnection

PLACES: Final = 32
"""Bits of a key for the place in the archive."""

BLOCK: Final = 10
"""Bits of a place that are left out in the number of its block."""

Call = tuple[str, Sequence[ArchiveItem]]
"""An archive, and items to append to it."""

Row = tuple[int, str, int, str, str, str, str]
"""Key, id, time, sender, author, stanza, and words with a space between them."""


def span(archive: int) -> tuple[int, int]:
    """The lowest and the highest key that items of an archive can have."""
    return archive << PLACES, (archive + 1 << PLACES) - 1


def findArchive(connection: RowConnection, name: str) -> int | None:
    """Find the number of an archive."""
    row = connection.execute("SELECT id FROM archive WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def relative(sender: str, archive: str) -> str:
    """A sender as it is stored: with C{:} for the JID of the archive, with which no JID begins."""
    rest = sender[len(archive) :]
    return f":{rest}" if sender.startswith(archive) and rest[:1] in ("", "/") else sender


def absolute(sender: str, archive: str) -> str:
    """The sender that L{relative} has shortened."""
    return archive + sender[1:] if sender.startswith(":") else sender


def sumUp(rows: Iterable[Row]) -> list[tuple[int, int, int, int]]:
    """Sum up rows for C{block}: number, count, earliest and latest time."""
    times: dict[int, list[int]] = {}
    for row in rows:
        times.setdefault(row[0] >> BLOCK, []).append(row[2])
    return [(number, len(each), min(each), max(each)) for number, each in times.items()]


class ArchiveRows(ABC, Generic[C]):
    """
    The statements that write archives.

    @cvar deletedAtOnce: items that one step deletes.
    """

    deletedAtOnce: ClassVar[int]

    # For subclasses to implement

    @abstractmethod
    def conflict(self, connection: C, error: Exception) -> bool | None:
        """
        Whether an exception means that there is a row of this key or id already; C{False} if a row cannot be kept for
        another reason. C{None} for all others, which say nothing about the rows.
        """

    @abstractmethod
    def lastKeys(self, connection: C, names: Sequence[str]) -> dict[str, int]:
        """Make these archives if need be; find the highest key of each, or the lowest that it could have."""

    @abstractmethod
    def insert(self, connection: C, rows: Sequence[Row]) -> None:
        """Insert rows, ascending by key, and sum them up."""

    @abstractmethod
    def getPosition(self, connection: C) -> int:
        """The position of the last call that was committed; see L{muccore.storage.archivejournal}."""

    @abstractmethod
    def setPosition(self, connection: C, position: int) -> None:
        """Set the position of the last call, in the transaction that commits it."""

    @abstractmethod
    def retractItems(self, connection: C, name: str, tombstones: Sequence[tuple[str, str]]) -> int:
        """
        Replace items by tombstones.

        @param tombstones: ids and stanzas.
        @return: the number of items that were there.
        """

    @abstractmethod
    def removeItems(self, connection: C, name: str, ids: Sequence[str]) -> int:
        """Delete items with these ids; return how many there were."""

    @abstractmethod
    def deleteRange(self, connection: C, low: int, high: int) -> int:
        """Delete items from one key to another; return how many there were."""

    @abstractmethod
    def mustErase(self, connection: C) -> bool:
        """Whether anything is left to be erased."""

    @abstractmethod
    def eraser(self) -> Callable[[C], bool]:
        """Make an operation that erases some of what has been deleted, and returns whether there is more."""

    # Common to all

    def appendItems(self, connection: C, calls: Sequence[Call]) -> list[Exception | None]:
        """
        Append the items of several calls.

        @return: for each call the reason why it was refused, or C{None}.
        """
        if self._tried(connection, calls) is None:
            return [None] * len(calls)
        # At least one of them is bad.
        return [self._tried(connection, [call]) for call in calls]

    def _tried(self, connection: C, calls: Sequence[Call]) -> Exception | None:
        connection.execute("SAVEPOINT append")
        refused: Exception | None = None
        try:
            self._append(connection, calls)
        except (TypeError, ValueError) as e:
            # Not text, or no valid Unicode.
            refused = e
        except Exception as e:
            isThere = self.conflict(connection, e)
            if isThere is None:
                raise
            refused = ItemExists(f"{calls[0][0]}: an id is in the archive already") if isThere else ValueError(str(e))
        if refused is not None:
            connection.execute("ROLLBACK TO append")
        connection.execute("RELEASE append")
        return refused

    def _append(self, connection: C, calls: Sequence[Call]) -> None:
        keys = self.lastKeys(connection, list(dict.fromkeys(name for name, items in calls if items)))
        rows: list[Row] = []
        text = found = ""
        for name, items in calls:
            for item in items:
                keys[name] += 1
                stanza = (item.stanza.head + item.stanza.tail).decode()
                sender = relative(item.sender, name)
                if item.text != text:
                    # The archives of sender and recipient get it one after the other.
                    text, found = item.text, " ".join(words(item.text))
                if not (isinstance(item.id, str) and isinstance(item.author, str)):
                    # SQLite would take it.
                    raise TypeError("an id or author is no text")
                rows.append((keys[name], item.id, item.time, sender, item.author, stanza, found))
        # FTS5 writes a part of its index whenever keys do not ascend.
        rows.sort()
        self.insert(connection, rows)

    def replayCalls(self, connection: C, journaled: Iterable[JournaledCall]) -> tuple[int, int]:
        """
        Append what a journal has and the database does not.

        @return: the position of the last call that is committed with this, and the number of items.
        """
        committed = position = self.getPosition(connection)
        calls = []
        for position, archive, items in journaled:
            if position > committed:
                calls.append((archive, items))
        refused = self.appendItems(connection, calls)
        position = max(committed, position)
        self.setPosition(connection, position)
        count = sum([len(items) for (_, items), reason in zip(calls, refused, strict=True) if reason is None])
        return position, count

    def expireItems(self, connection: C, name: str, before: int) -> tuple[int, bool]:
        """
        Delete some of the oldest items, if they are older than a time.

        @return: the number deleted, and whether there may be more.
        """
        archive = findArchive(connection, name)
        if archive is None:
            return 0, False
        low, high = span(archive)
        newest, kept = connection.execute(
            "SELECT max(key), min(key) FILTER (WHERE time >= ?)"
            " FROM (SELECT key, time FROM item WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?) AS oldest",
            (before, low, high, self.deletedAtOnce),
        ).fetchone()
        if newest is None:
            return 0, False
        return self.deleteRange(connection, low, newest if kept is None else kept - 1), kept is None

    def trimItems(self, connection: C, name: str, count: int) -> tuple[int, bool]:
        """
        Delete some of the oldest items, if there are more than C{count}.

        @return: the number deleted, and whether there may be more.
        """
        archive = findArchive(connection, name)
        if archive is None:
            return 0, False
        low, high = span(archive)
        (found,) = connection.execute(
            "SELECT coalesce(sum(count), 0) FROM block WHERE number BETWEEN ? AND ?", (low >> BLOCK, high >> BLOCK)
        ).fetchone()
        surplus = int(found) - count
        if surplus <= 0:
            return 0, False
        deleted = self._deleteOldest(connection, archive, min(surplus, self.deletedAtOnce))
        return deleted, 0 < deleted < surplus

    def _deleteOldest(self, connection: C, archive: int, count: int) -> int:
        """Delete so many of the oldest items, or all; return their number."""
        low, high = span(archive)
        row = connection.execute(
            "SELECT key FROM item WHERE key BETWEEN ? AND ? ORDER BY key LIMIT 1 OFFSET ?", (low, high, count - 1)
        ).fetchone()
        return self.deleteRange(connection, low, high if row is None else row[0])

    def deleteArchive(self, connection: C, name: str) -> bool:
        """Make an archive inaccessible, to be erased by L{eraser}. Return whether there was one."""
        return bool(connection.execute("UPDATE archive SET name = NULL WHERE name = ?", (name,)).rowcount)

    def eraseArchive(self, connection: C) -> bool:
        """Erase some of an archive that was made inaccessible; return whether there was one."""
        row = connection.execute("SELECT id FROM archive WHERE name IS NULL LIMIT 1").fetchone()
        if row is None:
            return False
        if not self._deleteOldest(connection, row[0], self.deletedAtOnce):
            connection.execute("DELETE FROM archive WHERE id = ?", (row[0],))
        return True
