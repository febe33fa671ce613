# -*- test-case-name: tests.storage.test_sqlite_archive -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Writing of message archives, within transactions.

Whole groups go to SQLite at once, as JSON or as many rows of one statement, for the reason given in
L{muccore.storage.sqlite.rooms}.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from muccore.interfaces import ArchiveItem, ItemExists
from muccore.storage.fulltext import words
from muccore.storage.sqlite.archivejournal import JournaledCall
from muccore.storage.sqlite.archiveschema import BLOCK, PLACES, tokens

Call = tuple[str, Sequence[ArchiveItem]]
"""An archive, and items to append to it."""

DELETED_AT_ONCE: Final = 250
"""Items that one step deletes, in a few milliseconds."""

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

_Row = tuple[int, str, int, str, str, str, str]
"""Key, id, time, sender, author, stanza, words."""


def dumps(value: Any) -> str:
    """Encode JSON for SQLite, without escapes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def findArchive(connection: sqlite3.Connection, name: str) -> int | None:
    """Find the number of an archive."""
    row = connection.execute("SELECT id FROM archive WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def span(archive: int) -> tuple[int, int]:
    """The lowest and the highest key that items of an archive can have."""
    return archive << PLACES, (archive + 1 << PLACES) - 1


def relative(sender: str, archive: str) -> str:
    """A sender as it is stored: with C{:} for the JID of the archive, with which no JID begins."""
    rest = sender[len(archive) :]
    return f":{rest}" if sender.startswith(archive) and rest[:1] in ("", "/") else sender


def absolute(sender: str, archive: str) -> str:
    """The sender that L{relative} has shortened."""
    return archive + sender[1:] if sender.startswith(":") else sender


def appendItems(connection: sqlite3.Connection, calls: Sequence[Call]) -> list[Exception | None]:
    """
    Append the items of several calls.

    @return: for each call the reason why it was refused, or C{None}.
    """
    if _tried(connection, calls) is None:
        return [None] * len(calls)
    # At least one of them is bad.
    return [_tried(connection, [call]) for call in calls]


def _tried(connection: sqlite3.Connection, calls: Sequence[Call]) -> Exception | None:
    connection.execute("SAVEPOINT append")
    refused: Exception | None = None
    try:
        _append(connection, calls)
    except sqlite3.IntegrityError:
        refused = ItemExists(f"{calls[0][0]}: an id is in the archive already")
    except (TypeError, ValueError) as e:
        # Not text, or no valid Unicode.
        refused = e
    if refused is not None:
        connection.execute("ROLLBACK TO append")
    connection.execute("RELEASE append")
    return refused


def _append(connection: sqlite3.Connection, calls: Sequence[Call]) -> None:
    wanted = dumps(list(dict.fromkeys(name for name, items in calls if items)))
    connection.execute(
        "INSERT INTO archive (name) SELECT value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING", (wanted,)
    )
    last = f"SELECT max(key) FROM item WHERE key BETWEEN archive.id << {PLACES} AND (archive.id + 1 << {PLACES}) - 1"
    (found,) = connection.execute(
        f"SELECT json_group_object(name, coalesce(({last}), id << {PLACES}))"
        " FROM archive WHERE name IN (SELECT value FROM json_each(?))",
        (wanted,),
    ).fetchone()
    keys: dict[str, int] = json.loads(found)
    rows: list[_Row] = []
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
    _insert(connection, rows)
    connection.execute(_INDEX, (dumps([row[0] for row in rows]),))
    connection.execute(_SUM_UP, (dumps(_blocks(rows)),))


def _insert(connection: sqlite3.Connection, rows: Sequence[_Row]) -> None:
    begin = 0
    for count, statement in _INSERTS:
        while len(rows) - begin >= count:
            connection.execute(statement, [*chain.from_iterable(rows[begin : begin + count])])
            begin += count


def _blocks(rows: Iterable[_Row]) -> list[tuple[int, int, int, int]]:
    """Sum up rows for C{block}."""
    times: dict[int, list[int]] = {}
    for row in rows:
        times.setdefault(row[0] >> BLOCK, []).append(row[2])
    return [(number, len(each), min(each), max(each)) for number, each in times.items()]


def getPosition(connection: sqlite3.Connection) -> int:
    """The position of the last call that was committed; see L{muccore.storage.sqlite.archivejournal}."""
    (position,) = connection.execute("SELECT position FROM journal").fetchone()
    return int(position)


def setPosition(connection: sqlite3.Connection, position: int) -> None:
    """Set the position of the last call, in the transaction that commits it."""
    connection.execute("UPDATE journal SET position = ?", (position,))


def replayCalls(connection: sqlite3.Connection, journaled: Iterable[JournaledCall]) -> tuple[int, int]:
    """
    Append what a journal has and the database does not.

    @return: the position of the last call that is committed with this, and the number of items.
    """
    committed = position = getPosition(connection)
    calls = []
    for position, archive, items in journaled:
        if position > committed:
            calls.append((archive, items))
    refused = appendItems(connection, calls)
    position = max(committed, position)
    setPosition(connection, position)
    count = sum([len(items) for (_, items), reason in zip(calls, refused, strict=True) if reason is None])
    return position, count


def retractItems(connection: sqlite3.Connection, name: str, tombstones: Sequence[tuple[str, str]]) -> int:
    """
    Replace items by tombstones.

    @param tombstones: ids and stanzas.
    @return: the number of items that were there.
    """
    changed = connection.execute(
        "UPDATE item SET stanza = tombstone.stanza, words = '', retracted = 1 FROM ("
        " SELECT item.key AS key, json_extract(value, '$[1]') AS stanza FROM json_each(?1)"
        f" JOIN item ON item.id = json_extract(value, '$[0]') AND item.key >> {PLACES} = ?2 ORDER BY item.key"
        ") AS tombstone WHERE item.key = tombstone.key",
        (dumps(tombstones), findArchive(connection, name)),
    ).rowcount
    if changed:
        _markErasure(connection)
    return changed


def removeItems(connection: sqlite3.Connection, name: str, ids: Sequence[str]) -> int:
    """Delete items with these ids; return how many there were."""
    deleted = connection.execute(
        "DELETE FROM item WHERE key IN (SELECT item.key FROM json_each(?1)"
        f" JOIN item ON item.id = value AND item.key >> {PLACES} = ?2)",
        (dumps(ids), findArchive(connection, name)),
    ).rowcount
    if deleted:
        _markErasure(connection)
    return deleted


def expireItems(connection: sqlite3.Connection, name: str, before: int) -> tuple[int, bool]:
    """
    Delete some of the oldest items, if they are older than a time.

    @return: the number deleted, and whether there may be more.
    """
    archive = findArchive(connection, name)
    if archive is None:
        return 0, False
    low, high = span(archive)
    newest, kept = connection.execute(
        "SELECT max(key), min(key) FILTER (WHERE time >= ?3)"
        " FROM (SELECT key, time FROM item WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT ?4)",
        (low, high, before, DELETED_AT_ONCE),
    ).fetchone()
    if newest is None:
        return 0, False
    end = newest if kept is None else kept - 1
    deleted = connection.execute("DELETE FROM item WHERE key BETWEEN ? AND ?", (low, end)).rowcount
    if deleted:
        _markErasure(connection)
    return deleted, kept is None


def trimItems(connection: sqlite3.Connection, name: str, count: int) -> tuple[int, bool]:
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
    surplus = found - count
    if surplus <= 0:
        return 0, False
    deleted = _deleteOldest(connection, archive, min(surplus, DELETED_AT_ONCE))
    return deleted, deleted < surplus


def _deleteOldest(connection: sqlite3.Connection, archive: int, count: int) -> int:
    """Delete so many of the oldest items, or all; return their number."""
    deleted = connection.execute(
        "DELETE FROM item WHERE key BETWEEN ?1 AND coalesce("
        "(SELECT key FROM item WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT 1 OFFSET ?3), ?2)",
        (*span(archive), count - 1),
    ).rowcount
    if deleted:
        _markErasure(connection)
    return deleted


def deleteArchive(connection: sqlite3.Connection, name: str) -> bool:
    """Make an archive inaccessible, to be erased by L{erase}. Return whether there was one."""
    return bool(connection.execute("UPDATE archive SET name = NULL WHERE name = ?", (name,)).rowcount)


@dataclass
class Erasure:
    """
    How far L{erase} has come.

    @ivar merging: the last of the removals that the merge of the search index which has begun will erase.
    """

    merging: int | None = None


def mustErase(connection: sqlite3.Connection) -> bool:
    """Whether anything is left to be erased."""
    (found,) = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM archive WHERE name IS NULL) OR EXISTS (SELECT 1 FROM erasure)"
    ).fetchone()
    return bool(found)


def erase(connection: sqlite3.Connection, state: Erasure) -> bool:
    """
    Erase some of what has been deleted: the items of archives, then what the search index still has in parts of it.

    @return: whether there is more.
    """
    row = connection.execute("SELECT id FROM archive WHERE name IS NULL LIMIT 1").fetchone()
    if row is not None:
        _eraseArchive(connection, row[0])
        return True
    (last,) = connection.execute("SELECT max(id) FROM erasure").fetchone()
    if last is None:
        state.merging = None
        return False
    pages = MERGED_AT_ONCE
    if state.merging is None:
        # Negative: begin to merge all parts.
        state.merging, pages = last, -pages
    before = connection.total_changes
    connection.execute("INSERT INTO search (search, rank) VALUES ('merge', ?)", (pages,))
    if connection.total_changes - before < 2:
        # Nothing was left to be merged.
        connection.execute("DELETE FROM erasure WHERE id <= ?", (state.merging,))
        state.merging = None
    return True


def _eraseArchive(connection: sqlite3.Connection, archive: int) -> None:
    if not _deleteOldest(connection, archive, DELETED_AT_ONCE):
        connection.execute("DELETE FROM archive WHERE id = ?", (archive,))


def _markErasure(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO erasure DEFAULT VALUES")
