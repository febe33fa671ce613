# -*- test-case-name: tests.storage.test_postgresql -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Rooms in a PostgreSQL database.

Lists are read and written in pages, so that no statement takes long, nor the interpreter lock for one result.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import cache
from itertools import islice
from typing import Any, Final

from muccore.interfaces import Affiliate
from muccore.storage.postgresql.address import Address
from muccore.storage.postgresql.database import Database
from muccore.storage.postgresql.schema import Schema
from muccore.storage.rows.batching import RowConnection
from muccore.storage.rows.roomrows import RoomRows
from muccore.storage.rows.rooms import RowRooms

SCHEMA: Final = Schema(
    "rooms",
    (
        (
            """
            CREATE TABLE room (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                jid text COLLATE "C" NOT NULL UNIQUE,
                domain text COLLATE "C" NOT NULL,
                name text NOT NULL,
                public boolean NOT NULL,
                temporary boolean NOT NULL,
                settings text NOT NULL,
                subject_text text,
                subject_nick text,
                subject_stamp double precision,
                subject_language text,
                subject_author text NOT NULL DEFAULT '',
                description text NOT NULL DEFAULT '',
                language text COLLATE "C" NOT NULL DEFAULT '',
                folded_jid text COLLATE "C" NOT NULL DEFAULT '',
                folded_name text COLLATE "C" NOT NULL DEFAULT '',
                folded_description text COLLATE "C" NOT NULL DEFAULT '',
                creator text COLLATE "C" NOT NULL,
                size bigint NOT NULL
            )
            """,
            # Texts are too long for an index.
            "CREATE INDEX room_public ON room (domain, jid) WHERE public",
            "CREATE INDEX room_temporary ON room (domain, jid) WHERE temporary",
            """
            CREATE TABLE affiliate (
                room bigint NOT NULL REFERENCES room ON DELETE CASCADE,
                jid text COLLATE "C" NOT NULL,
                affiliation text COLLATE "C" NOT NULL,
                nick text,
                reason text,
                PRIMARY KEY (room, jid)
            )
            """,
            "CREATE INDEX affiliate_jid ON affiliate (jid)",
            """
            CREATE TABLE extension_state (
                room bigint NOT NULL REFERENCES room ON DELETE CASCADE,
                extension text COLLATE "C" NOT NULL,
                key text COLLATE "C" NOT NULL,
                value text NOT NULL,
                PRIMARY KEY (room, extension, key)
            )
            """,
            """
            CREATE TABLE tombstone (
                room text COLLATE "C" PRIMARY KEY,
                destroyed double precision NOT NULL,
                expires double precision NOT NULL,
                venue text,
                reason text,
                open boolean NOT NULL,
                affiliates text NOT NULL
            )
            """,
            "CREATE INDEX tombstone_expires ON tombstone (expires)",
            """
            CREATE TABLE preference (
                name text COLLATE "C" NOT NULL,
                "user" text COLLATE "C" NOT NULL,
                value text NOT NULL,
                PRIMARY KEY (name, "user")
            )
            """,
        ),
        (
            # As L{muccore.storage.sqlite.roomcounts} does.
            'CREATE TABLE room_count (domain text COLLATE "C" PRIMARY KEY, public bigint NOT NULL)',
            "INSERT INTO room_count SELECT domain, count(*) FROM room WHERE public GROUP BY domain",
            """
            CREATE FUNCTION count_public_rooms() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF TG_OP <> 'INSERT' AND OLD.public THEN
                    UPDATE room_count SET public = room_count.public - 1 WHERE domain = OLD.domain;
                END IF;
                IF TG_OP <> 'DELETE' AND NEW.public THEN
                    INSERT INTO room_count VALUES (NEW.domain, 1)
                        ON CONFLICT (domain) DO UPDATE SET public = room_count.public + 1;
                END IF;
                RETURN NULL;
            END
            $$
            """,
            "CREATE TRIGGER room_counted AFTER INSERT OR DELETE OR UPDATE OF public ON room"
            " FOR EACH ROW EXECUTE FUNCTION count_public_rooms()",
        ),
    ),
)
"""The tables for rooms."""

_PAGE: Final = 4096
"""Entries that one statement reads or writes."""


class PostgreSQLRoomRows(RoomRows):
    """The statements for PostgreSQL."""

    isPublic = "public"
    isTemporary = "temporary"
    publicSource = "room"
    publicCount = "SELECT public FROM room_count WHERE domain = ?"
    searchSource = "room"
    affiliateSource = "affiliate"
    rankedSource = "unnest(?::text[]) WITH ORDINALITY AS ranked (value, key)"
    rankedPosition = "ranked.key - 1"
    among = "= ANY (?::text[])"
    position = "strpos({}, ?)"

    def listed(self, values: Collection[str]) -> list[str]:
        """See L{RoomRows.listed}."""
        return list(values)

    def loadAffiliates(self, connection: RowConnection, identifier: int) -> dict[str, Affiliate]:
        """See L{RoomRows.loadAffiliates}."""
        affiliates: dict[str, Affiliate] = {}
        # Most entries of a long list have neither nick nor reason, and share one object for each affiliation.
        plain = cache(Affiliate)
        last = ""
        while True:
            rows = connection.execute(
                "SELECT jid, affiliation, nick, reason FROM affiliate WHERE room = ? AND jid > ? ORDER BY jid LIMIT ?",
                (identifier, last, _PAGE),
            ).fetchall()
            for jid, affiliation, nick, reason in rows:
                isPlain = nick is None and reason is None
                affiliates[jid] = plain(affiliation) if isPlain else Affiliate(affiliation, nick, reason)
            if len(rows) < _PAGE:
                return affiliates
            last = rows[-1][0]

    def loadStates(self, connection: RowConnection, identifier: int) -> dict[str, dict[str, Any]]:
        """See L{RoomRows.loadStates}."""
        states: dict[str, dict[str, Any]] = {}
        for name, key, value in connection.execute(
            "SELECT extension, key, value FROM extension_state WHERE room = ?", (identifier,)
        ):
            states.setdefault(name, {})[key] = json.loads(value)
        return states

    def putAffiliates(self, connection: RowConnection, identifier: int, affiliates: Mapping[str, Affiliate]) -> None:
        """See L{RoomRows.putAffiliates}."""
        entries = iter(affiliates.items())
        while page := [(jid, a.affiliation, a.nick, a.reason) for jid, a in islice(entries, _PAGE)]:
            connection.execute(
                "INSERT INTO affiliate SELECT ?, * FROM unnest(?::text[], ?::text[], ?::text[], ?::text[])"
                " ON CONFLICT (room, jid) DO UPDATE"
                " SET affiliation = excluded.affiliation, nick = excluded.nick, reason = excluded.reason",
                (identifier, *map(list, zip(*page, strict=True))),
            )

    def preferences(self, connection: RowConnection, name: str) -> dict[str, Any]:
        """See L{RoomRows.preferences}."""
        rows = connection.execute('SELECT "user", value FROM preference WHERE name = ?', (name,))
        return {user: json.loads(value) for user, value in rows}


class PostgreSQLRooms(RowRooms):
    """Rooms in a PostgreSQL database."""

    def __init__(self, address: Address, reactor: Any) -> None:
        """@param reactor: for threads and time."""
        super().__init__(Database(address, SCHEMA, reactor), PostgreSQLRoomRows())
