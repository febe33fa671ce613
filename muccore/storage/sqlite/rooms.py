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
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.python.filepath import FilePath
from zope.interface import implementer

from muccore.interfaces import (
    Affiliate,
    AffiliatedRooms,
    FoundRooms,
    IRoomStore,
    PublicRooms,
    RoomChange,
    RoomRecord,
    RoomSearch,
    StoreError,
    Subject,
    Tombstone,
)
from muccore.storage.sqlite.database import Database
from muccore.storage.sqlite.preferences import PREFERENCE_SCHEMA, loadPreferences, putPreference
from muccore.storage.sqlite.roomsearch import SEARCH_SCHEMA, affiliatedRooms, searchRooms, setTexts
from muccore.storage.sqlite.roomusage import USAGE_SCHEMA, loadUsage
from muccore.storage.sqlite.schema import Schema
from muccore.storage.sqlite.tombstones import TOMBSTONE_SCHEMA, loadTombstone, replaceTombstone

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
    ),
)
"""The tables for rooms."""

_K = TypeVar("_K")

_PAGE: Final = 4096
"""Entries in one JSON document, whose coding holds up the reactor thread."""


@implementer(IRoomStore)
class SQLiteRooms:
    """Rooms in an SQLite database."""

    def __init__(self, path: FilePath[str], reactor: Any) -> None:
        """@param reactor: for threads and time."""
        self.database = Database(path, SCHEMA, reactor)

    def probe(self) -> None:
        """See L{Database.probe}."""
        self.database.probe()

    def open(self) -> Deferred[None]:
        """See L{IRoomStore.open}."""
        return self.database.open()

    def close(self) -> Deferred[None]:
        """See L{IRoomStore.close}."""
        return self.database.close()

    def load(self, room: str) -> Deferred[RoomRecord | None]:
        """See L{IRoomStore.load}."""
        return self.database.read(lambda connection: loadRoom(connection, room))

    def save(self, room: str, record: RoomRecord) -> Deferred[None]:
        """See L{IRoomStore.save}."""
        # The caller may change the mappings after the call.
        try:
            settings = json.dumps(dict(record.settings))
            states = [(name, *row) for name, rows in record.states.items() for row in _dumped(rows)]
        except (TypeError, ValueError) as e:
            return fail(e)
        affiliates = dict(record.affiliates)
        return self.database.write(lambda connection: saveRoom(connection, room, record, settings, affiliates, states))

    def change(self, room: str, change: RoomChange) -> Deferred[None]:
        """See L{IRoomStore.change}."""
        try:
            settings = None if change.settings is None else json.dumps(dict(change.settings))
            states = [(*key, value) for key, value in _dumped(change.states)]
        except (TypeError, ValueError) as e:
            return fail(e)
        affiliates = dict(change.affiliates)
        return self.database.write(
            lambda connection: changeRoom(connection, room, change, settings, affiliates, states)
        )

    def destroy(self, room: str, tombstone: Tombstone | None = None) -> Deferred[None]:
        """See L{IRoomStore.destroy}."""
        return self.database.write(lambda connection: destroyRoom(connection, room, tombstone))

    def tombstone(self, room: str) -> Deferred[Tombstone | None]:
        """See L{IRoomStore.tombstone}."""
        return self.database.read(lambda connection: loadTombstone(connection, room))

    def publicRooms(self, domain: str, after: str | None, before: str | None, limit: int) -> Deferred[PublicRooms]:
        """See L{IRoomStore.publicRooms}."""
        return self.database.read(lambda connection: listPublicRooms(connection, domain, after, before, limit))

    def searchRooms(
        self, domain: str, search: RoomSearch, after: str | None, before: str | None, limit: int
    ) -> Deferred[FoundRooms]:
        """See L{IRoomStore.searchRooms}."""
        return self.database.read(lambda connection: searchRooms(connection, domain, search, after, before, limit))

    def affiliatedRooms(
        self, domain: str, user: str, affiliations: Collection[str], after: str | None, before: str | None, limit: int
    ) -> Deferred[AffiliatedRooms]:
        """See L{IRoomStore.affiliatedRooms}."""
        arguments = domain, user, affiliations, after, before, limit
        return self.database.read(lambda connection: affiliatedRooms(connection, *arguments))

    def temporaryRooms(self, domain: str) -> Deferred[list[str]]:
        """See L{IRoomStore.temporaryRooms}."""
        return self.database.read(lambda connection: listTemporaryRooms(connection, domain))

    def usage(self, domain: str) -> Deferred[dict[str, tuple[int, int]]]:
        """See L{IRoomStore.usage}."""
        return self.database.read(lambda connection: loadUsage(connection, domain))

    def preferences(self, name: str) -> Deferred[dict[str, Any]]:
        """See L{IRoomStore.preferences}."""
        return self.database.read(lambda connection: loadPreferences(connection, name))

    def setPreference(self, name: str, user: str, value: Any) -> Deferred[None]:
        """See L{IRoomStore.setPreference}."""
        try:
            text = None if value is None else json.dumps(value)
        except (TypeError, ValueError) as e:
            return fail(e)
        return self.database.write(lambda connection: putPreference(connection, name, user, text))


def _dumped(values: Mapping[_K, Any]) -> Iterator[tuple[_K, str | None]]:
    return ((key, None if value is None else json.dumps(value)) for key, value in values.items())


def loadRoom(connection: sqlite3.Connection, room: str) -> RoomRecord | None:
    """Read a room; see L{IRoomStore.load}."""
    row = connection.execute(
        "SELECT id, name, public, temporary, description, language, creator, size, settings,"
        " subject_text, subject_nick, subject_stamp, subject_language, subject_author FROM room WHERE jid = ?",
        (room,),
    ).fetchone()
    if row is None:
        return None
    identifier, name, public, temporary, description, language, creator, size, settings, text, *subject = row
    return RoomRecord(
        settings=json.loads(settings),
        affiliates=_loadAffiliates(connection, identifier),
        subject=None if text is None else Subject(text, *subject),
        name=name,
        public=bool(public),
        temporary=bool(temporary),
        states=_loadStates(connection, identifier),
        description=description,
        language=language,
        creator=creator,
        size=size,
    )


def _loadStates(connection: sqlite3.Connection, identifier: int) -> dict[str, dict[str, Any]]:
    states: dict[str, dict[str, Any]] = {}
    rows = connection.execute(
        "SELECT json_group_array(json_array(extension, key, json(value))) FROM extension_state WHERE room = ?",
        (identifier,),
    )
    for name, key, value in json.loads(rows.fetchone()[0]):
        states.setdefault(name, {})[key] = value
    return states


def _loadAffiliates(connection: sqlite3.Connection, identifier: int) -> dict[str, Affiliate]:
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
        affiliates.update({jid: plain(affiliation) for jid, affiliation in json.loads(words).items()})
        affiliates.update({jid: Affiliate(*entry) for jid, *entry in json.loads(others)})
    return affiliates


def saveRoom(
    connection: sqlite3.Connection,
    room: str,
    record: RoomRecord,
    settings: str,
    affiliates: Mapping[str, Affiliate],
    states: Iterable[tuple[str, str, str | None]] = (),
) -> None:
    """Write a whole room; see L{IRoomStore.save}."""
    destroyRoom(connection, room)
    cursor = connection.execute(
        "INSERT INTO room (jid, domain, name, public, temporary, settings, creator, size)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            room, room.rpartition("@")[2], record.name, record.public, record.temporary, settings, record.creator,
            record.size,
        ),
    )  # fmt: skip
    identifier = cursor.lastrowid
    assert identifier is not None
    setTexts(connection, identifier, room, record)
    if record.subject is not None:
        _setSubject(connection, identifier, record.subject)
    _putAffiliates(connection, identifier, affiliates)
    _putStates(connection, identifier, states)


def changeRoom(
    connection: sqlite3.Connection,
    room: str,
    change: RoomChange,
    settings: str | None,
    affiliates: Mapping[str, Affiliate | None],
    states: Iterable[tuple[str, str, str | None]] = (),
) -> None:
    """Change a stored room; see L{IRoomStore.change}."""
    row = connection.execute("SELECT id FROM room WHERE jid = ?", (room,)).fetchone()
    if row is None:
        raise StoreError(f"the room {room} is not stored")
    (identifier,) = row
    if settings is not None:
        connection.execute(
            "UPDATE room SET name = ?, public = ?, temporary = ?, settings = ? WHERE id = ?",
            (change.name, change.public, change.temporary, settings, identifier),
        )
        setTexts(connection, identifier, room, change)
    if change.subject is not None:
        _setSubject(connection, identifier, change.subject)
    if change.growth:
        connection.execute("UPDATE room SET size = size + ? WHERE id = ?", (change.growth, identifier))
    _putStates(connection, identifier, states)
    gone = [jid for jid, affiliate in affiliates.items() if affiliate is None]
    if gone:
        connection.execute(
            "DELETE FROM affiliate WHERE room = ? AND jid IN (SELECT value FROM json_each(?))",
            (identifier, json.dumps(gone)),
        )
    _putAffiliates(connection, identifier, {jid: kept for jid, kept in affiliates.items() if kept is not None})


def _setSubject(connection: sqlite3.Connection, identifier: int, subject: Subject) -> None:
    connection.execute(
        "UPDATE room SET subject_text = ?, subject_nick = ?, subject_stamp = ?, subject_language = ?,"
        " subject_author = ? WHERE id = ?",
        (subject.text, subject.nick, subject.stamp, subject.language, subject.author, identifier),
    )


def _putStates(
    connection: sqlite3.Connection, identifier: int, states: Iterable[tuple[str, str, str | None]]
) -> None:
    for name, key, value in states:
        if value is None:
            connection.execute(
                "DELETE FROM extension_state WHERE room = ? AND extension = ? AND key = ?", (identifier, name, key)
            )
        else:
            connection.execute("REPLACE INTO extension_state VALUES (?, ?, ?, ?)", (identifier, name, key, value))


def _putAffiliates(connection: sqlite3.Connection, identifier: int, affiliates: Mapping[str, Affiliate]) -> None:
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


def destroyRoom(connection: sqlite3.Connection, room: str, tombstone: Tombstone | None = None) -> None:
    """Delete a room; see L{IRoomStore.destroy}."""
    connection.execute("DELETE FROM room WHERE jid = ?", (room,))
    replaceTombstone(connection, room, tombstone)


def listPublicRooms(
    connection: sqlite3.Connection, domain: str, after: str | None, before: str | None, limit: int
) -> PublicRooms:
    """List a page of the public rooms; see L{IRoomStore.publicRooms}."""
    # The other index with public rooms is larger.
    listed = "room INDEXED BY room_public WHERE domain = ? AND public = 1"
    condition, order = "", ""
    bounds: tuple[str, ...] = (domain,)
    if after is not None:
        condition, bounds = " AND jid > ?", (domain, after)
    elif before is not None:
        order = " DESC"
        if before:
            condition, bounds = " AND jid < ?", (domain, before)
    rooms = connection.execute(
        f"SELECT jid, name FROM {listed}{condition} ORDER BY jid{order} LIMIT ?", (*bounds, limit)
    ).fetchall()
    if order:
        rooms.reverse()
    index = 0
    if rooms:
        preceding = (domain, rooms[0][0])
        (index,) = connection.execute(f"SELECT count(*) FROM {listed} AND jid < ?", preceding).fetchone()
    (count,) = connection.execute(f"SELECT count(*) FROM {listed}", (domain,)).fetchone()
    return PublicRooms(rooms, index, count)


def listTemporaryRooms(connection: sqlite3.Connection, domain: str) -> list[str]:
    """List the temporary rooms; see L{IRoomStore.temporaryRooms}."""
    rows = connection.execute("SELECT jid FROM room WHERE domain = ? AND temporary = 1 ORDER BY jid", (domain,))
    return [jid for (jid,) in rows]
