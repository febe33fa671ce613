# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.sqlite.audit}."""

from __future__ import annotations

import sqlite3

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.interfaces import AuditQuery, RoomRecord
from muccore.storage.sqlite.audit import SQLiteAudit
from muccore.storage.sqlite.rooms import SQLiteRooms
from muccore.testing.contracts import AuditStoreContract
from muccore.testing.contracts.audit import CAVE, entry


class SQLiteAuditContractTests(AuditStoreContract, TestCase):
    """Audit trails in SQLite pass the contract suite."""

    def makeStore(self, place: FilePath[str]) -> SQLiteAudit:
        """A store in a file."""
        return SQLiteAudit(place, reactor)


class SQLiteAuditTests(TestCase):
    """Properties that are not in the contract."""

    async def test_withRooms(self) -> None:
        """Rooms and their trails are in one file, are opened and written at once, and the trails outlive the rooms."""
        place = FilePath(self.mktemp())
        rooms, trails = SQLiteRooms(place, reactor), SQLiteAudit(place, reactor)
        for store in (rooms, trails):
            self.addCleanup(store.close)
        await gatherResults([rooms.open(), trails.open()])
        writes = [rooms.save(f"r{n}@chat.lit", RoomRecord({}, {})) for n in range(20)]
        await gatherResults([*writes, *(trails.append([entry(n)]) for n in range(20))])
        await rooms.destroy(CAVE)
        self.assertEqual(len((await trails.query(AuditQuery(room=CAVE))).entries), 20)

    async def test_indexes(self) -> None:
        """What is asked of one room, and its oldest entries of a kind, are found without reading the whole table."""
        place = FilePath(self.mktemp())
        store = SQLiteAudit(place, reactor)
        await store.open()
        await store.close()
        connection = sqlite3.connect(place.path)
        self.addCleanup(connection.close)
        for condition in ("room = 'a'", "room = 'a' AND kind = 'b'", "room = 'a' AND id < 5 AND instance = 'c'"):
            query = f"EXPLAIN QUERY PLAN SELECT * FROM audit_entry WHERE {condition} ORDER BY id DESC LIMIT 5"
            [row] = connection.execute(query).fetchall()
            self.assertRegex(row[3], "SEARCH audit_entry USING INDEX")
