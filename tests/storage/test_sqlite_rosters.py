# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.sqlite.rosters}."""

from __future__ import annotations

import sqlite3

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.interfaces import RoomRecord, RosterChange, RosterItem
from muccore.storage.sqlite.rooms import SQLiteRooms
from muccore.storage.sqlite.rosters import SCHEMA, SQLiteRosters
from muccore.testing.contracts import RosterStoreContract
from muccore.testing.contracts.rosters import JULIET, ROMEO


class SQLiteRostersContractTests(RosterStoreContract, TestCase):
    """Rosters in SQLite pass the contract suite."""

    def makeStore(self, place: FilePath[str]) -> SQLiteRosters:
        """A store in a file."""
        return SQLiteRosters(place, reactor)


class SQLiteRostersTests(TestCase):
    """Properties that are not in the contract."""

    async def test_withRooms(self) -> None:
        """Rooms and rosters are in one file, and are opened and written at once."""
        place = FilePath(self.mktemp())
        rooms, rosters = SQLiteRooms(place, reactor), SQLiteRosters(place, reactor)
        for store in (rooms, rosters):
            self.addCleanup(store.close)
        await gatherResults([rooms.open(), rosters.open()])
        change = RosterChange("e", 1, 0, {JULIET: RosterItem()})
        writes = [rosters.change(f"{n}@x", change) for n in range(20)]
        await gatherResults([*writes, *(rooms.save(f"r{n}@chat.lit", RoomRecord({}, {})) for n in range(20))])
        self.assertEqual((await rosters.load("7@x")).rows, {JULIET: (1, RosterItem())})

    def test_fewSteps(self) -> None:
        """A roster is read by its key: what others have does not count."""
        connection = sqlite3.connect(":memory:")
        self.addCleanup(connection.close)
        for statement in SCHEMA.migrations[0]:
            connection.execute(str(statement))
        plan = connection.execute("EXPLAIN QUERY PLAN SELECT * FROM roster_item WHERE account = ?", (ROMEO,)).fetchall()
        self.assertIn("USING PRIMARY KEY", plan[0][3])
