# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.sqlite.rooms}."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase, TestCase

import tests
from muccore.interfaces import (
    Affiliate,
    RoomChange,
    RoomRecord,
    RoomSearch,
    Subject,
)
from muccore.muc.model.roomsize import sizeOf
from muccore.storage.rows.tombstones import loadTombstone
from muccore.storage.sqlite import rooms as roomsModule
from muccore.storage.sqlite.connection import connect
from muccore.storage.sqlite.rooms import (
    SCHEMA,
    SQLiteRoomRows,
    SQLiteRooms,
)
from muccore.storage.sqlite.schema import Schema
from muccore.testing.contracts import RoomStoreContract
from muccore.testing.contracts.rooms import CAVE
from tests.storage import roommodel

ROWS = SQLiteRoomRows()


class SQLiteRoomsContractTests(RoomStoreContract, TestCase):
    """Rooms in SQLite pass the contract suite."""

    def makeStore(self, place: FilePath[str]) -> SQLiteRooms:
        """A store on a file."""
        return SQLiteRooms(place, reactor)


class SmallPagesContractTests(SQLiteRoomsContractTests):
    """They pass it wherever the pages of lists end."""

    def setUp(self) -> None:
        """Let a page have three entries."""
        super().setUp()
        self.patch(roomsModule, "_PAGE", 3)


class ModelTests(SynchronousTestCase):
    """Comparison of rooms in SQLite and in memory."""

    @settings(max_examples=120)
    @given(st.lists(roommodel.CALLS, max_size=25))
    def test_same(self, calls: list[tuple[Any, ...]]) -> None:
        """Both give the same results for arbitrary requests, and have the same rooms afterwards."""
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.execute("PRAGMA foreign_keys = ON")
        SCHEMA.migrate(connection, ":memory:")
        roommodel.compare(self, connection, ROWS, calls)
        self.assertEqual(connection.execute("PRAGMA foreign_key_check").fetchall(), [])
        connection.close()


class MigrationTests(SynchronousTestCase):
    """Databases of earlier versions."""

    def test_subject(self) -> None:
        """Subjects of version 1 come without a language and an author; they can be replaced by one with both."""
        path = self.mktemp()
        connection = connect(path, Schema("rooms", SCHEMA.migrations[:1]), 5.0)
        connection.execute(
            "INSERT INTO room (jid, domain, name, public, temporary, settings, subject_text, subject_nick,"
            " subject_stamp) VALUES ('a@x', 'x', '', 1, 0, '{}', 'Fire', 'Hecate', 1.5)"
        )
        connection.close()
        connection = connect(path, SCHEMA, 5.0)
        self.addCleanup(connection.close)
        new = Subject("Feuer", "Hecate", 2.5, "de", "hecate@x")
        for subject in (Subject("Fire", "Hecate", 1.5), new):
            found = ROWS.load(connection, "a@x")
            assert found is not None
            self.assertEqual(replace(found, size=0), RoomRecord({}, {}, subject))
            ROWS.change(connection, "a@x", RoomChange(subject=new), None, {})


    def test_usage(self) -> None:
        """
        The sizes of rooms of version 6 are those that the model counts; who is the only owner counts as creator.
        """
        path = self.mktemp()
        connection = connect(path, Schema("rooms", SCHEMA.migrations[:6]), 5.0)
        owners = {"a@x": Affiliate("owner"), "b@x": Affiliate("owner")}
        records = {"cave@x": CAVE, "plain@x": RoomRecord({}, {}), "two@y": RoomRecord({"a": "ä"}, owners)}
        for number, (jid, record) in enumerate(records.items(), 1):
            subject = record.subject or Subject("", "", 0)
            connection.execute(
                "INSERT INTO room (id, jid, domain, name, public, temporary, settings, subject_text, subject_nick,"
                " subject_stamp, subject_language, subject_author) VALUES (?, ?, ?, '', 1, 0, ?, ?, ?, ?, ?, ?)",
                (
                    number, jid, jid[-1], json.dumps(dict(record.settings)), subject.text, subject.nick, subject.stamp,
                    subject.language, subject.author,
                ),
            )  # fmt: skip
            for user, entry in record.affiliates.items():
                row = (number, user, entry.affiliation, entry.nick, entry.reason)
                connection.execute("INSERT INTO affiliate VALUES (?, ?, ?, ?, ?)", row)
            for name, rows in record.states.items():
                for key, value in rows.items():
                    row = (number, name, key, json.dumps(value))
                    connection.execute("INSERT INTO extension_state VALUES (?, ?, ?, ?)", row)
        connection.close()
        connection = connect(path, SCHEMA, 5.0)
        self.addCleanup(connection.close)
        for jid, creator in (("cave@x", "crone1@shakespeare.lit"), ("plain@x", ""), ("two@y", "")):
            found = ROWS.load(connection, jid)
            assert found is not None
            self.assertEqual((found.creator, found.size), (creator, sizeOf(records[jid])), jid)
        expected = {"crone1@shakespeare.lit": (1, sizeOf(CAVE)), "": (1, sizeOf(records["plain@x"]))}
        self.assertEqual(ROWS.usage(connection, "x"), expected)

    def test_searched(self) -> None:
        """Rooms of version 4 are found by the texts in their settings."""
        path = self.mktemp()
        connection = connect(path, Schema("rooms", SCHEMA.migrations[:4]), 5.0)
        rows = [("a@x", "Straße", {"description": "HEATH", "language": "de", "name": "Straße"}), ("b@x", "", {})]
        for jid, name, stored in rows:
            connection.execute(
                "INSERT INTO room (jid, domain, name, public, temporary, settings) VALUES (?, 'x', ?, 1, 0, ?)",
                (jid, name, json.dumps(stored)),
            )
        connection.execute("INSERT INTO affiliate VALUES (1, 'u@z', 'member', NULL, NULL)")
        connection.close()
        connection = connect(path, SCHEMA, 5.0)
        self.addCleanup(connection.close)
        for search, expected in (
            (RoomSearch(["STRASSE", "heath", "A@X"], language="de"), ["a@x"]),
            (RoomSearch(), ["a@x", "b@x"]),
        ):
            found = ROWS.searchRooms(connection, "x", search, None, None, 9)
            self.assertEqual([room for room, _ in found.rooms], expected)
        record = ROWS.load(connection, "a@x")
        assert record is not None
        self.assertEqual((record.description, record.language), ("HEATH", "de"))
        mine = ROWS.affiliatedRooms(connection, "x", "u@z", ["member"], None, None, 9)
        self.assertEqual(mine.rooms, [("a@x", "Straße", "member")])
        self.assertIsNone(loadTombstone(connection, "a@x"))


class QueryTests(SynchronousTestCase):
    """Costs of queries."""

    def setUp(self) -> None:
        """Open a database that records its statements."""
        self.connection = connect(self.mktemp(), SCHEMA, 5.0)
        self.addCleanup(self.connection.close)
        self.statements: list[str] = []
        self.connection.set_trace_callback(self.statements.append)

    def plans(self) -> list[str]:
        """The query plans of the recorded statements."""
        self.connection.set_trace_callback(None)
        return [
            detail
            for statement in self.statements
            for *_, detail in self.connection.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]

    def test_listsByIndex(self) -> None:
        """Pages of public rooms, in both directions, and temporary rooms are read in the order of an index."""
        ROWS.save(self.connection, "a@x", RoomRecord({}, {}), "{}", {})
        self.statements.clear()
        for after, before in [(None, None), ("", None), (None, ""), (None, "b@x")]:
            self.assertEqual(ROWS.publicRooms(self.connection, "x", after, before, 5).rooms, [("a@x", "")])
        ROWS.temporaryRooms(self.connection, "x")
        plans = [plan for plan in self.plans() if re.search(r"\broom(_count)?\b", plan)]
        self.assertEqual(len(plans), 4 * 3 + 1)
        for plan in plans:
            self.assertRegex(
                plan, r"^SEARCH (room USING (COVERING )?INDEX room_(public|temporary)|room_count USING PRIMARY KEY) "
                r"\(domain=\?"
            )  # fmt: skip

    def steps(self, *arguments: Any) -> tuple[int, int | None, int]:
        """How many hundreds of steps of SQLite's machine a list of public rooms takes, with its index and count."""
        steps: list[None] = []
        self.connection.set_progress_handler(lambda: steps.append(None), 100)
        found = ROWS.publicRooms(self.connection, "x", *arguments)
        self.connection.set_progress_handler(None, 100)
        return len(steps), found.index, found.count

    def test_manyRooms(self) -> None:
        """
        Of 100,000 rooms a page and the count are read without passing the others; the place of a page is told if few
        are before it or behind it.
        """
        self.connection.execute("BEGIN")
        self.connection.executemany(
            "INSERT INTO room (jid, domain, name, public, temporary, settings) VALUES (?, 'x', '', 1, 0, '{}')",
            ((f"{number:06}@x",) for number in range(100_000)),
        )
        self.connection.execute("COMMIT")
        for arguments, most, index in (
            ((None, None, 50), 10, 0), ((None, None, 0), 1, 0), (("000049@x", None, 50), 15, 50),
            ((None, "", 50), 1000, 99_950), (("050000@x", None, 50), 2000, None), ((None, "001000@x", 50), 150, 950),
        ):  # fmt: skip
            steps, *found = self.steps(*arguments)
            self.assertEqual(found, [index, 100_000], arguments)
            self.assertLessEqual(steps, most, arguments)

    def test_searchesByIndex(self) -> None:
        """A search reads the index of the texts; rows of a user's rooms are found by the user."""
        ROWS.save(self.connection, "a@x", RoomRecord({}, {}), "{}", {})
        self.statements.clear()
        for search in (RoomSearch(["a"]), RoomSearch(["a"], without=["b@x"]), RoomSearch(["a"], among=["a@x"])):
            ROWS.searchRooms(self.connection, "x", search, None, "", 5)
        ROWS.affiliatedRooms(self.connection, "x", "u@z", ["member"], None, "", 5)
        plans = self.plans()
        rooms = [plan for plan in plans if " room " in plan and "INTEGER PRIMARY KEY" not in plan]
        self.assertEqual(len(rooms), 6)
        for plan in rooms:
            self.assertRegex(plan, r"^SEARCH room USING (COVERING )?INDEX room_search \(domain=\?")
        affiliates = [plan for plan in plans if " affiliate " in plan]
        self.assertEqual(len(affiliates), 2)
        for plan in affiliates:
            self.assertRegex(plan, r"^SEARCH affiliate USING (COVERING )?INDEX affiliate_jid \(jid=\?")

    def test_oneRow(self) -> None:
        """A change of an affiliation writes one row, however long the list is."""
        affiliates = {f"user{n}@z": Affiliate("member") for n in range(1000)}
        ROWS.save(self.connection, "a@x", RoomRecord({}, {}), "{}", affiliates)
        before = self.connection.total_changes
        change = {"user7@z": Affiliate("admin")}
        ROWS.change(self.connection, "a@x", RoomChange(change), None, change)
        self.assertEqual(self.connection.total_changes - before, 1)

    def test_fewSteps(self) -> None:
        """A long list is loaded with few statements of one row each, since every row waits for the interpreter lock."""
        affiliates = {f"user{n}@z": Affiliate("member", f"nick{n}") for n in range(10_000)}
        ROWS.save(self.connection, "a@x", RoomRecord({}, {}), "{}", affiliates)
        self.statements.clear()
        record = ROWS.load(self.connection, "a@x")
        assert record is not None
        self.assertEqual(len(record.affiliates), 10_000)
        self.assertEqual(len(self.statements), 1 + 3 + 1)

    def test_shared(self) -> None:
        """Equal entries without nick and reason are one object."""
        affiliates = {f"user{n}@z": Affiliate("member") for n in range(10_000)}
        ROWS.save(self.connection, "a@x", RoomRecord({}, {}), "{}", affiliates)
        record = ROWS.load(self.connection, "a@x")
        assert record is not None
        self.assertEqual(len({id(affiliate) for affiliate in record.affiliates.values()}), 1)


class KillTests(SynchronousTestCase):
    """The database of a killed server."""

    def test_killed(self) -> None:
        """After a kill, every change that was answered is there, and each group is there as a whole or not at all."""
        path = os.path.abspath(self.mktemp())
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.storage.writer", path],
            stdout=subprocess.PIPE,
            cwd=os.path.dirname(os.path.dirname(os.path.abspath(tests.__file__))),
        )
        try:
            assert process.stdout is not None
            answered = [process.stdout.readline() for _ in range(500)]
        finally:
            process.kill()
        # communicate() would miss what is in the buffer of stdout.
        answered += process.stdout.read().splitlines()
        process.stdout.close()
        process.wait(60)
        self.assertNotIn(b"", answered)
        connection = connect(path, SCHEMA, 5.0)
        self.addCleanup(connection.close)
        self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        record = ROWS.load(connection, "cave@chat.lit")
        assert record is not None
        self.assertEqual({line.decode().strip() for line in answered} - set(record.affiliates), set())
        self.assertEqual(len(record.affiliates) % 7, 0)
