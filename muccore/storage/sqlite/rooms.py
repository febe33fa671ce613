# -*- test-case-name: tests.storage.test_sqlite_rooms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Rooms in an SQLite database: a row for each room, a row for each entry of its list.

Lists are passed between Python and SQLite as JSON, some thousand entries at a time: C{sqlite3} releases the interpreter
lock for every row and waits for the reactor thread to get it back, which would make 100,000 rows take minutes in a busy
server.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import cache
from itertools import islice
from operator import itemgetter
from typing import Any, Final

from twisted.python.filepath import FilePath

from muccore.interfaces import Affiliate
from muccore.storage.rows.batching import RowConnection
from muccore.storage.rows.roomrows import RoomRows
from muccore.storage.rows.rooms import RowRooms
from muccore.storage.sqlite.databasepair import DatabasePair
from muccore.storage.sqlite.preferences import PREFERENCE_SCHEMA, loadPreferences
from muccore.storage.sqlite.roomcounts import COUNT_SCHEMA
from muccore.storage.sqlite.roomsearch import SEARCH_SCHEMA
from muccore.storage.sqlite.roomusage import USAGE_SCHEMA
from muccore.storage.sqlite.schema import Schema
from muccore.storage.sqlite.tombstones import TOMBSTONE_SCHEMA

SCHEMA: Final = Schema(
    "rooms",
    (
        (
            """
            CREATE TABLE room (
                id INTEGER PRIMARY KEY,
                jid TEXT NOT NULL UNIQUE,
                domain TEXT NOT NULL,
                name TEXT NOT NULL,
                public INTEGER NOT NULL,
                temporary INTEGER NOT NULL,
                settings TEXT NOT NULL,
                subject_text TEXT,
                subject_nick TEXT,
                subject_stamp REAL
            )
            """,
            "CREATE INDEX room_public ON room (domain, jid) WHERE public = 1",
            "CREATE INDEX room_temporary ON room (domain, jid) WHERE temporary = 1",
            """
            CREATE TABLE affiliate (
                room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
                jid TEXT NOT NULL,
                affiliation TEXT NOT NULL,
                nick TEXT,
                reason TEXT,
                PRIMARY KEY (room, jid)
            ) WITHOUT ROWID
            """,
        ),
        ("ALTER TABLE room ADD COLUMN subject_language TEXT",),
        ("ALTER TABLE room ADD COLUMN subject_author TEXT NOT NULL DEFAULT ''",),
        (
            """
            CREATE TABLE extension_state (
                room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
                extension TEXT NOT NULL,
                key TEXT NOT NULL,
                value TEXT NOT NULL,
                PRIMARY KEY (room, extension, key)
            ) WITHOUT ROWID
            """,
        ),
        (*SEARCH_SCHEMA, *TOMBSTONE_SCHEMA),
        PREFERENCE_SCHEMA,
        USAGE_SCHEMA,
        COUNT_SCHEMA,
    ),
)
"""The tables for rooms."""

_PAGE: Final = 4096
"""Entries in one JSON document, whose coding holds up the reactor thread."""


class SQLiteRoomRows(RoomRows):
    """The statements for SQLite."""

    isPublic = "public = 1"
    isTemporary = "temporary = 1"
    # The other index with public rooms is larger.
    publicSource = "room INDEXED BY room_public"
    publicCount = "SELECT public FROM room_count WHERE domain = ?"
    searchSource = "room INDEXED BY room_search"
    affiliateSource = "affiliate INDEXED BY affiliate_jid"
    # Joined by CROSS JOIN, so that the rooms are looked up in the order of the list.
    rankedSource = "json_each(?) AS ranked"
    rankedPosition = "ranked.key"
    among = "IN (SELECT value FROM json_each(?))"
    position = "instr({}, ?)"

    def listed(self, values: Collection[str]) -> str:
        """See L{RoomRows.listed}."""
        return json.dumps(list(values))

    def loadAffiliates(self, connection: RowConnection, identifier: int) -> dict[str, Affiliate]:
        """See L{RoomRows.loadAffiliates}."""
        affiliates: dict[str, Affiliate] = {}
        # Entries without nick and reason, one for each affiliation: most of a long list share one object.
        plain = cache(Affiliate)
        last: str | None = ""
        while last is not None:
            words, others, last = connection.execute(
                "SELECT json_group_object(jid, affiliation),"
                " json_group_array(json_array(jid, affiliation, nick, reason))"
                " FILTER (WHERE nick IS NOT NULL OR reason IS NOT NULL),"
                " CASE count(*) WHEN ?3 THEN max(jid) END"
                " FROM (SELECT * FROM affiliate WHERE room = ?1 AND jid > ?2 ORDER BY jid LIMIT ?3)",
                (identifier, last, _PAGE),
            ).fetchone()
            page = {jid: plain(affiliation) for jid, affiliation in json.loads(words).items()}
            found = {jid: Affiliate(*entry) for jid, *entry in json.loads(others)}
            affiliates.update(sorted((page | found).items(), key=itemgetter(0)) if found else page)
        return affiliates

    def loadStates(self, connection: RowConnection, identifier: int) -> dict[str, dict[str, Any]]:
        """See L{RoomRows.loadStates}."""
        states: dict[str, dict[str, Any]] = {}
        rows = connection.execute(
            "SELECT json_group_array(json_array(extension, key, json(value))) FROM extension_state WHERE room = ?",
            (identifier,),
        )
        for name, key, value in json.loads(rows.fetchone()[0]):
            states.setdefault(name, {})[key] = value
        return states

    def putAffiliates(self, connection: RowConnection, identifier: int, affiliates: Mapping[str, Affiliate]) -> None:
        """See L{RoomRows.putAffiliates}."""
        entries = iter(affiliates.items())
        while page := [(jid, a.affiliation, a.nick, a.reason) for jid, a in islice(entries, _PAGE)]:
            # WHERE true, since SQLite would parse ON as part of a join.
            connection.execute(
                "INSERT INTO affiliate SELECT ?, json_extract(value, '$[0]'), json_extract(value, '$[1]'),"
                " json_extract(value, '$[2]'), json_extract(value, '$[3]') FROM json_each(?) WHERE true"
                " ON CONFLICT (room, jid) DO UPDATE"
                " SET affiliation = excluded.affiliation, nick = excluded.nick, reason = excluded.reason",
                (identifier, json.dumps(page)),
            )

    def preferences(self, connection: RowConnection, name: str) -> dict[str, Any]:
        """See L{RoomRows.preferences}."""
        return loadPreferences(connection, name)


class SQLiteRooms(RowRooms):
    """Rooms in an SQLite database."""

    def __init__(self, path: FilePath[str], reactor: Any) -> None:
        """@param reactor: for threads and time."""
        super().__init__(DatabasePair(path, SCHEMA, reactor), SQLiteRoomRows())
