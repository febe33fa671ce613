# -*- test-case-name: tests.storage.test_sqlite_rooms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Searches of rooms in an SQLite database: of the public ones by their texts, and of those in which a user has an
affiliation.

A search reads the index C{room_search}, which has the texts as they are compared, in the order of the result. Rows of
the table, with their settings, are read only for the rooms of the page.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from typing import Any, Final

from muccore.interfaces import AffiliatedRooms, FoundRooms, RoomChange, RoomRecord, RoomSearch
from muccore.storage.folding import fold


def foldStoredRooms(connection: sqlite3.Connection) -> None:
    """Fill in the texts of rooms that were stored without."""
    connection.create_function("fold", 1, fold, deterministic=True)
    connection.execute(
        "UPDATE room SET description = coalesce(json_extract(settings, '$.description'), ''),"
        " language = coalesce(json_extract(settings, '$.language'), '')"
    )
    connection.execute(
        "UPDATE room SET folded_jid = fold(jid), folded_name = fold(name), folded_description = fold(description)"
    )
    connection.create_function("fold", 1, None)


SEARCH_SCHEMA: Final = (
    "ALTER TABLE room ADD COLUMN description TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE room ADD COLUMN language TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE room ADD COLUMN folded_jid TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE room ADD COLUMN folded_name TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE room ADD COLUMN folded_description TEXT NOT NULL DEFAULT ''",
    foldStoredRooms,
    "CREATE INDEX room_search ON room (domain, jid, folded_jid, folded_name, folded_description, language)"
    " WHERE public = 1",
    "CREATE INDEX affiliate_jid ON affiliate (jid, affiliation)",
)
"""The migration that adds what searches need."""


def setTexts(connection: sqlite3.Connection, identifier: int, jid: str, texts: RoomRecord | RoomChange) -> None:
    """Set the texts of a stored room by which it is found."""
    name, description, language = texts.name, texts.description, texts.language
    connection.execute(
        "UPDATE room SET description = ?, language = ?, folded_jid = ?, folded_name = ?, folded_description = ?"
        " WHERE id = ?",
        (description, language, fold(jid), fold(name), fold(description), identifier),
    )


def searchRooms(
    connection: sqlite3.Connection, domain: str, search: RoomSearch, after: str | None, before: str | None, limit: int
) -> FoundRooms:
    """List a page of the public rooms that a search finds; see L{IRoomStore.searchRooms}."""
    condition, bounds = _condition(domain, search)
    first: Any
    last: Any
    if search.among is None:
        source, position, first, last = "room INDEXED BY room_search", "jid", after, before
    else:
        # CROSS JOIN, so that the rooms are looked up in the order of the list.
        source, position = "json_each(?) AS ranked CROSS JOIN room INDEXED BY room_search", "ranked.key"
        condition += " AND jid = ranked.value"
        first, last = after and search.among.index(after), before and search.among.index(before)
        bounds = (json.dumps(search.among), *bounds)
    source = f"{source} WHERE {condition}"
    rows, index, count = _page(connection, source, bounds, position, "settings", first, last, limit)
    return FoundRooms([(jid, json.loads(settings)) for jid, settings in rows], index, count)


def _condition(domain: str, search: RoomSearch) -> tuple[str, tuple[Any, ...]]:
    """The condition that rooms fulfil, and its parameters."""
    conditions, bounds = ["domain = ?", "public = 1"], [domain]
    columns = ((search.inAddress, "jid"), (search.inName, "name"), (search.inDescription, "description"))
    searched = [f"folded_{name}" for wanted, name in columns if wanted]
    for term in search.terms:
        conditions.append(f"({' OR '.join(f'instr({name}, ?)' for name in searched) or 'false'})")
        bounds += [fold(term)] * len(searched)
    if search.language:
        conditions.append("instr(lower(language) || '-', ?) = 1")
        bounds.append(f"{search.language.lower()}-")
    if search.without:
        conditions.append("jid NOT IN (SELECT value FROM json_each(?))")
        bounds.append(json.dumps(list(search.without)))
    return " AND ".join(conditions), tuple(bounds)


def _page(
    connection: sqlite3.Connection,
    source: str,
    bounds: tuple[Any, ...],
    position: str,
    columns: str,
    after: Any,
    before: Any,
    limit: int,
) -> tuple[list[tuple[Any, ...]], int, int]:
    """
    Read a page of rooms.

    @param source: what follows C{FROM}, with a condition.
    @param position: the column by which they are sorted.
    @param columns: what is read of each, besides its bare JID.
    @return: the rows, the number of rooms before them, and of all.
    """
    edge, order = "", ""
    limits: tuple[Any, ...] = ()
    if after is not None:
        edge, limits = f" AND {position} > ?", (after,)
    elif before is not None:
        order = " DESC"
        if before != "":
            edge, limits = f" AND {position} < ?", (before,)
    rows = connection.execute(
        f"SELECT {position}, room.jid, {columns} FROM {source}{edge} ORDER BY {position}{order} LIMIT ?",
        (*bounds, *limits, limit),
    ).fetchall()
    if order:
        rows.reverse()
    if after is None and before is None and len(rows) < limit:
        # They are all, and need not be counted.
        return [row[1:] for row in rows], 0, len(rows)
    first = rows[0][0] if rows else None
    index, count = connection.execute(
        f"SELECT count(*) FILTER (WHERE {position} < ?), count(*) FROM {source}", (first, *bounds)
    ).fetchone()
    return [row[1:] for row in rows], index, count


def affiliatedRooms(
    connection: sqlite3.Connection,
    domain: str,
    user: str,
    affiliations: Collection[str],
    after: str | None,
    before: str | None,
    limit: int,
) -> AffiliatedRooms:
    """List a page of the rooms in which a user has an affiliation; see L{IRoomStore.affiliatedRooms}."""
    source = (
        "affiliate INDEXED BY affiliate_jid CROSS JOIN room ON room.id = affiliate.room"
        " WHERE affiliate.jid = ? AND affiliation IN (SELECT value FROM json_each(?)) AND domain = ?"
    )
    bounds = (user, json.dumps(list(affiliations)), domain)
    return AffiliatedRooms(*_page(connection, source, bounds, "room.jid", "name, affiliation", after, before, limit))
