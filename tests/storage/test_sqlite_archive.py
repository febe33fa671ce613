# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.sqlite.archive} and its modules."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase, TestCase

import tests
from muccore.interfaces import ArchiveItem, ArchiveQuery, RoomRecord, StoreUnavailable
from muccore.storage.rows import archive as archiveModule
from muccore.storage.rows import archivequeries, archiverows
from muccore.storage.rows.archiverows import span
from muccore.storage.sqlite import archivequeries as sqliteQueries
from muccore.storage.sqlite import archiverows as sqliteRows
from muccore.storage.sqlite.archive import SQLiteArchive
from muccore.storage.sqlite.archivequeries import SQLiteArchiveQueries
from muccore.storage.sqlite.archiverows import SQLiteArchiveRows
from muccore.storage.sqlite.archiveschema import SCHEMA
from muccore.storage.sqlite.connection import connect
from muccore.storage.sqlite.database import Database
from muccore.storage.sqlite.rooms import SQLiteRooms
from muccore.storage.sqlite.schema import Schema
from muccore.testing.contracts import ArchiveStoreContract
from muccore.testing.contracts.archivequeries import CAVE, NOON, item, message, series
from muccore.xmpp.rendering import Rendered
from tests.storage import archivemodel
from tests.storage.archivemodel import AtOnce
from tests.storage.databases import sqliteError

ROWS = SQLiteArchiveRows()
QUERIES = SQLiteArchiveQueries()


class SQLiteArchiveContractTests(ArchiveStoreContract, TestCase):
    """Archives in SQLite pass the contract suite."""

    def makeStore(self, place: FilePath[str]) -> SQLiteArchive:
        """A store on a file."""
        return SQLiteArchive(place, reactor)


class ErasingContractTests(SQLiteArchiveContractTests):
    """They pass it while what was removed is erased, in the smallest steps."""

    def setUp(self) -> None:
        """Erase at once."""
        super().setUp()
        self.patch(SQLiteArchive, "eraseDelay", 0.0)
        self.patch(SQLiteArchive, "erasePause", 0.0)
        self.patch(sqliteRows, "MERGED_AT_ONCE", 1)
        self.patch(SQLiteArchiveRows, "deletedAtOnce", 100)


def atOnce(schema: Schema = SCHEMA) -> AtOnce:
    """An archive in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection, ":memory:")
    return AtOnce(connection, ROWS, QUERIES)


class ModelTests(SynchronousTestCase):
    """Comparison of archives in SQLite and in memory."""

    def setUp(self) -> None:
        """Make steps and blocks small."""
        self.patch(SQLiteArchiveRows, "deletedAtOnce", 2)
        self.patch(sqliteRows, "MERGED_AT_ONCE", 1)
        migrations = [
            [str(step).replace(f">> {archiverows.BLOCK}", ">> 1") for step in steps] for steps in SCHEMA.migrations
        ]
        self.schema = Schema("archive", migrations)
        for module in (archivequeries, archiverows, sqliteQueries):
            self.patch(module, "BLOCK", 1)
        self.patch(archivequeries, "READ_AT_ONCE", 2)

    @settings(max_examples=150)
    @given(st.lists(archivemodel.CALLS, max_size=12), st.lists(archivemodel.SEARCHES, max_size=12))
    def test_same(self, calls: list[tuple[Any, ...]], queries: list[tuple[str, ArchiveQuery]]) -> None:
        """Both give the same results for arbitrary requests, and the same pages of the same items."""
        store = atOnce(self.schema)
        archivemodel.compare(self, store, calls, queries)
        store.connection.execute("INSERT INTO search (search) VALUES ('integrity-check')")
        store.connection.close()


class AppendTests(SynchronousTestCase):
    """Appending of groups."""

    def test_sizes(self) -> None:
        """Groups of any size are stored, counted and indexed as a whole."""
        for count in (1, 2, 8, 9, 65, 512, 513, 1100):
            store = atOnce()
            ids = [f"m{n}" for n in range(count)]
            store.append(CAVE, [item(id) for id in ids])
            page = store.query(CAVE, ArchiveQuery(limit=1200, counted=True, start=NOON))
            self.assertEqual(([each.id for each in page.items], page.count), (ids, count))
            self.assertEqual(store.query(CAVE, ArchiveQuery(sender=CAVE, limit=0, counted=True)).count, count)


class MigrationTests(SynchronousTestCase):
    """An archive whose items were indexed by a trigger."""

    def test_indexedOnce(self) -> None:
        """What it has and what is appended is found, each once."""
        store = atOnce(Schema(SCHEMA.kind, SCHEMA.migrations[:2]))
        store.connection.execute("INSERT INTO archive (id, name) VALUES (1, ?)", (CAVE,))
        store.connection.execute(
            "INSERT INTO item (key, id, time, sender, author, stanza, words) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (1 << archiverows.PLACES, "old", NOON, ":/Hecate", "hecate@x", "<message/>", "hail"),
        )
        # What is copied before: an empty database.
        path = FilePath(self.mktemp())
        path.touch()
        SCHEMA.migrate(store.connection, path.path)
        store.append(CAVE, [item("new", text="Hail")])
        for query in (ArchiveQuery(counted=True), ArchiveQuery(text="hail", author="hecate@x", counted=True)):
            page = store.query(CAVE, query)
            self.assertEqual(([each.id for each in page.items], page.count), (["old", "new"], 2))
        store.connection.execute("INSERT INTO search (search) VALUES ('integrity-check')")


class LongPageTests(SynchronousTestCase):
    """Pages of long messages."""

    def test_bounded(self) -> None:
        """They have fewer items than requested; those who follow the pages find all."""
        self.patch(archivequeries, "READ_AT_ONCE", 2)
        self.patch(archivequeries, "PAGE_SIZE", 1000)
        store = atOnce()
        store.append(CAVE, [item(f"m{n}", NOON + n, text="x" * 400) for n in range(9)])
        for wanted in ({}, {"text": "x" * 64}, {"ids": [f"m{n}" for n in range(9)]}):
            forwards, backwards = ArchiveQuery(limit=7, **wanted), ArchiveQuery(limit=7, before="", **wanted)  # type: ignore[arg-type]
            for query in (forwards, backwards):
                found: list[str] = []
                sizes = []
                while True:
                    page = store.query(CAVE, query)
                    ids = [each.id for each in page.items]
                    sizes.append(len(ids))
                    found = found + ids if query.before is None else ids + found
                    if page.complete:
                        break
                    last = {"after": ids[-1]} if query.before is None else {"before": ids[0]}
                    query = replace(query, **last)
                self.assertEqual(found, [f"m{n}" for n in range(9)], wanted)
                self.assertLessEqual(max(sizes), 4)
        store.connection.close()


class PlanTests(SynchronousTestCase):
    """Costs of queries."""

    def setUp(self) -> None:
        """Open a database that records its statements."""
        self.executed = executed = [0]

        class CountingConnection(sqlite3.Connection):
            """Counts executions."""

            def execute(self, *arguments: Any) -> sqlite3.Cursor:
                executed[0] += 1
                return super().execute(*arguments)

        self.connection = connect(self.mktemp(), SCHEMA, 5.0, CountingConnection)
        self.addCleanup(self.connection.close)
        items = [item(f"m{n}", NOON + n, "AB"[n % 2], text="odd" if n % 2 else "even") for n in range(5000)]
        ROWS.appendItems(self.connection, [(CAVE, items)])
        self.statements: list[str] = []
        self.connection.set_trace_callback(self.statements.append)

    def recorded(self) -> list[str]:
        """The statements since the last call, without those within others."""
        found = [statement for statement in self.statements if not statement.startswith("--")]
        self.statements.clear()
        return found

    def plans(self) -> list[str]:
        """The query plans of the recorded statements."""
        return [
            detail
            for statement in self.recorded()
            for *_, detail in self.connection.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]

    def test_pages(self) -> None:
        """A page is read in the order of keys or of the search index, in both directions, never sorted or scanned."""
        for filters in (
            {}, {"start": NOON + 9}, {"end": NOON}, {"sender": f"{CAVE}/A"}, {"author": "hecate@x"}, {"text": "odd"},
            {"text": "odd even", "sender": CAVE, "start": NOON + 9}, {"ids": ["m7", "m9"], "text": "odd"},
            {"afterId": "m5", "beforeId": "m4000"},
        ):  # fmt: skip
            for page in {}, {"before": ""}, {"before": "m400"}, {"after": "m400"}:
                found = QUERIES.findPage(self.connection, CAVE, ArchiveQuery(**filters, **page))
                plans = self.plans()
                reading = [plan for plan in plans if re.search("SCAN|TEMP", plan) or plan.startswith("USE")]
                # FTS5 searches by an expression (M), in the order of rowids, from one to another (> and <).
                allowed = r"SCAN json_each |SCAN search VIRTUAL TABLE INDEX \d+:M1><$|SCAN \(subquery-\d+\)"
                self.assertEqual([plan for plan in reading if not re.match(allowed, plan)], [], plans)
                name = "search" if filters.keys() & {"sender", "author", "text"} else "item USING INTEGER PRIMARY KEY"
                self.assertTrue(any(name in plan for plan in plans) or not found.items, plans)

    def test_fewSteps(self) -> None:
        """A page takes few statements of one row each, since every row waits for the interpreter lock."""
        self.executed[0] = 0
        limit = archivequeries.READ_AT_ONCE - 1
        query = ArchiveQuery(start=NOON + 9, text="odd", after="m3", limit=limit, counted=True)
        QUERIES.findPage(self.connection, CAVE, query)
        self.assertEqual(self.executed, [6])
        ROWS.appendItems(self.connection, [(CAVE, [item(f"n{n}")]) for n in range(500)])
        self.assertEqual(self.executed, [6 + 6 + 8])

    def test_blocks(self) -> None:
        """A query by time reads the blocks that have such times only."""
        self.assertEqual(QUERIES.findPage(self.connection, CAVE, ArchiveQuery(start=NOON + 4990)).items[0].id, "m4990")
        [reading] = [statement for statement in self.recorded() if "FROM item WHERE key BETWEEN" in statement]
        low = int(re.search(r"key BETWEEN (\d+)", reading)[1])  # type: ignore[index]
        self.assertEqual(low - span(1)[0], 4096)

    def test_countGivesUp(self) -> None:
        """What has to be looked at item by item is counted up to a limit; everything else however much it is."""
        self.patch(archivequeries, "COUNT_LIMIT", 2499)
        for filters, index, count in [
            ({"text": "odd"}, None, None),
            ({"text": "odd", "afterId": "m1"}, 2499 - 50, 2499),
            ({"sender": f"{CAVE}/A"}, None, None),
            ({}, 4950, 5000),
            ({"start": NOON + 1}, 4949, 4999),
        ]:
            page = QUERIES.findPage(self.connection, CAVE, ArchiveQuery(**filters, before="", counted=True))
            self.assertEqual((page.index, page.count), (index, count), filters)

    def test_noUnusedIndex(self) -> None:
        """There are no indexes but that of ids, and of the archives' names."""
        found = self.connection.execute(
            "SELECT name FROM sqlite_master"
            " WHERE type = 'index' AND tbl_name IN ('archive', 'item', 'block', 'erasure') ORDER BY name"
        ).fetchall()
        self.assertEqual(found, [("item_id",), ("sqlite_autoindex_archive_1",)])


class ErasureTests(SynchronousTestCase):
    """What remains of retracted and deleted items in the file."""

    def setUp(self) -> None:
        """Append an item with a secret between others."""
        self.path = self.mktemp()
        self.connection = connect(self.path, SCHEMA, 5.0)
        self.addCleanup(self.connection.close)
        for n in range(40):
            text = "abracadabra" if n == 20 else f"nothing {n}"
            each = ArchiveItem(f"m{n}", NOON, CAVE, "", message(text), text)
            self.assertEqual(ROWS.appendItems(self.connection, [(CAVE, [each])]), [None])
        # In the stanza, among the words, and in the index.
        self.assertEqual(self.traces(), 3)

    def traces(self) -> int:
        """Count the secret in the file."""
        self.connection.execute("PRAGMA wal_checkpoint (TRUNCATE)")
        with open(self.path, "rb") as file:
            # The index leaves out what a word has in common with the one before.
            return file.read().count(b"racadabra")

    def erase(self) -> int:
        """Erase all. Return the number of steps."""
        erase, steps = ROWS.eraser(), 0
        while erase(self.connection):
            steps += 1
        self.assertFalse(ROWS.mustErase(self.connection))
        return steps

    def test_nothingToDo(self) -> None:
        """Without removals, nothing is done."""
        self.assertFalse(ROWS.mustErase(self.connection))
        self.assertEqual(self.erase(), 0)

    def test_retracted(self) -> None:
        """Of a tombstone's former text nothing is left."""
        self.assertEqual(ROWS.retractItems(self.connection, CAVE, [("m20", "<message/>")]), 1)
        self.assertTrue(ROWS.mustErase(self.connection))
        self.erase()
        self.assertEqual(self.traces(), 0)

    def test_expired(self) -> None:
        """Of expired items nothing is left."""
        self.assertEqual(ROWS.expireItems(self.connection, CAVE, NOON + 1), (40, True))
        self.erase()
        self.assertEqual(self.traces(), 0)

    def test_deleted(self) -> None:
        """Of a deleted archive nothing is left, and it is erased step by step."""
        self.patch(SQLiteArchiveRows, "deletedAtOnce", 10)
        ROWS.appendItems(self.connection, [("heath@x", [item("m0", text="nothing")])])
        self.assertTrue(ROWS.deleteArchive(self.connection, CAVE))
        self.assertGreater(self.erase(), 5)
        self.assertEqual(self.traces(), 0)
        self.assertEqual(QUERIES.listArchives(self.connection, "", 9), ["heath@x"])
        tables = [self.connection.execute(f"SELECT count(*) FROM {name}").fetchone() for name in ("item", "block")]
        self.assertEqual(tables, [(1,), (1,)])

    def test_anotherMeanwhile(self) -> None:
        """What is removed while others are being erased is erased after them."""
        self.patch(sqliteRows, "MERGED_AT_ONCE", 1)
        ROWS.retractItems(self.connection, CAVE, [("m3", "<message/>")])
        self.assertGreater(self.traces(), 0)
        erase = ROWS.eraser()
        self.assertTrue(erase(self.connection))
        ROWS.expireItems(self.connection, CAVE, NOON + 1)
        while erase(self.connection):
            pass
        self.assertFalse(ROWS.mustErase(self.connection))
        self.assertEqual(self.traces(), 0)


class StoreTestCase(TestCase):
    """Makes stores of a file, whose databases record and fail statements."""

    def setUp(self) -> None:
        """Choose a path."""
        self.path = FilePath(self.mktemp())
        self.statements: list[str] = []
        self.broken: dict[str, sqlite3.Error] = {}
        case = self

        class RecordingConnection(sqlite3.Connection):
            """Records statements of the writer, and fails those in C{broken}."""

            def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
                case.statements.append(sql)
                if sql in case.broken:
                    raise case.broken[sql]
                return super().execute(sql, *arguments)

        self.connectionClass = RecordingConnection

    async def opened(self, timeout: float = 5.0) -> SQLiteArchive:
        """Open a store; it is closed after the test."""
        store = SQLiteArchive(self.path, reactor)
        store.writer = Database(self.path, SCHEMA, reactor, timeout)
        store.writer.connectionClass = self.connectionClass
        await store.open()
        self.addCleanup(store.close)
        self.statements.clear()
        return store

    async def ids(self, store: SQLiteArchive) -> list[str]:
        """The ids of the archive."""
        page = await store.query(CAVE, ArchiveQuery())
        return [each.id for each in page.items]

    def logged(self) -> list[str]:
        """The lines logged since the last call."""
        events = [formatEvent(event) for event in self.log]
        self.log.clear()
        return events

    def recordLog(self) -> None:
        """Record what is logged."""
        self.log: list[Any] = []
        globalLogPublisher.addObserver(self.log.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.log.append)


class GroupTests(StoreTestCase):
    """Groups of appends."""

    async def test_oneCommit(self) -> None:
        """What is appended within some milliseconds, to several archives, is one transaction."""
        # Longer than the reactor may be held on a busy machine.
        self.patch(archiveModule, "GATHER", 1.0)
        store = await self.opened()
        appended = [store.append(f"{n % 3}@x", [item(f"m{n}")]) for n in range(100)]
        await deferLater(reactor, 0.01)
        appended += [store.append(f"{n % 3}@x", [item(f"n{n}")]) for n in range(100)]
        self.assertNotIn("COMMIT", self.statements)
        await gatherResults(appended)
        self.assertEqual(self.statements.count("COMMIT"), 1)

    async def test_joinsTheNext(self) -> None:
        """Appends while a group is being committed join the next one, whatever the number of turns."""
        store = await self.opened()
        started, go = threading.Event(), threading.Event()
        busy = store.writer.write(lambda connection: started.set() or go.wait(60))
        await deferToThread(started.wait, 60)
        appended = []
        for n in range(4):
            appended.append(store.append(CAVE, [item(f"m{n}")]))
            await deferLater(reactor, archiveModule.GATHER * 1.5)
        go.set()
        await gatherResults([busy, *appended])
        self.assertEqual(self.statements.count("COMMIT"), 2)
        self.assertEqual(await self.ids(store), ["m0", "m1", "m2", "m3"])

    async def test_threads(self) -> None:
        """Items are coded and written, and pages read, in other threads than the reactor's."""
        store = await self.opened()
        threads: list[threading.Thread] = []

        class Tail(bytes):
            """Notes where it is decoded."""

            def decode(self, *arguments: Any) -> str:
                threads.append(threading.current_thread())
                return super().decode(*arguments)

            def __radd__(self, other: bytes) -> Tail:
                return Tail(other + bytes(self))

        class Head(bytes):
            """Makes a L{Tail} when it is completed."""

            def __add__(self, other: bytes) -> bytes:
                return Tail(bytes(self) + other)

        await store.append(CAVE, [ArchiveItem("a", NOON, CAVE, "", Rendered(Head(b"<message"), b"/>"))])
        [thread] = threads
        self.assertIsNot(thread, threading.main_thread())

    async def test_queryDoesNotWait(self) -> None:
        """A query has what was appended to its archive written at once, and does not wait for other archives."""
        store = await self.opened()
        self.patch(archiveModule, "GATHER", 60.0)
        await store.append("other@x", [item("a")]).addTimeout(0, reactor, lambda *_: None)
        self.assertEqual(await self.ids(store), [])
        self.assertNotIn("COMMIT", self.statements)
        appended = store.append(CAVE, [item("a")])
        self.assertEqual(await self.ids(store), ["a"])
        self.successResultOf(appended)

    async def test_waiting(self) -> None:
        """More than may wait is refused at once; what waits is written."""
        store = await self.opened()
        self.recordLog()
        self.patch(archiveModule, "WAITING_LIMIT", 1000)
        large = ArchiveItem("large", NOON, CAVE, "", message("x" * 2000))
        appended = store.append(CAVE, [large])
        refused = self.failureResultOf(store.append(CAVE, [item("a")]), StoreUnavailable)
        self.assertIn(self.path.path, refused.getErrorMessage())
        await appended
        await store.append(CAVE, [item("b")])
        self.assertEqual(await self.ids(store), ["large", "b"])
        [lost, over] = self.logged()
        self.assertIn("is the disk too slow?", lost)
        self.assertIn("; 1 messages are missing", over)

    async def test_badItem(self) -> None:
        """What is no text is refused alone."""
        store = await self.opened()
        appended = [
            store.append(CAVE, [item("a")]),
            store.append(CAVE, [item("\ud800")]),
            store.append(CAVE, [ArchiveItem(b"b", NOON, CAVE, "", message(""))]),  # type: ignore[arg-type]
            store.append(CAVE, [ArchiveItem("c", NOON, CAVE, "", Rendered(b"<message", b"\xff/>"))]),
            store.append(CAVE, [item("d")]),
        ]
        await appended[0]
        for bad, error in zip(appended[1:4], [UnicodeEncodeError, TypeError, UnicodeDecodeError], strict=True):
            with self.assertRaises(error):
                await bad
        await appended[4]
        self.assertEqual(await self.ids(store), ["a", "d"])


class FaultTests(StoreTestCase):
    """Failing disks and locks."""

    async def test_commitFails(self) -> None:
        """If a group cannot be committed, all its appends fail. That is logged once, and again when it is over."""
        store = await self.opened()
        await store.append(CAVE, [item("a")])
        self.recordLog()
        self.broken["COMMIT"] = sqliteError(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error")
        for n in range(3):
            appended = [store.append(CAVE, [item(f"m{n}"), item(f"n{n}")]), store.append("b@x", [item(f"m{n}")])]
            for each in appended:
                with self.assertRaisesRegex(StoreUnavailable, "check the disk"):
                    await each
        self.assertEqual(await self.ids(store), ["a"])
        [line] = self.logged()
        self.assertRegex(line, rf"messages are lost for the archives: {self.path.path}: .*check the disk")
        self.broken.clear()
        await store.append(CAVE, [item("b")])
        await store.append(CAVE, [item("c")])
        self.assertEqual(await self.ids(store), ["a", "b", "c"])
        [line] = self.logged()
        self.assertEqual(line, f"{self.path.path}: it can be written again; 9 messages are missing in the archives")
        self.assertEqual(await store.names("", 5), [CAVE])

    async def test_full(self) -> None:
        """What does not fit on the disk fails; what fits succeeds afterwards."""
        store = await self.opened()
        pages = await store.writer.read(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
        await store.writer.read(lambda c: c.execute(f"PRAGMA max_page_count = {pages + 20}") and None)
        await store.append(CAVE, [item("a")])
        with self.assertRaisesRegex(StoreUnavailable, "free some space"):
            await store.append(CAVE, [ArchiveItem("large", NOON, CAVE, "", message("x" * 200_000))])
        await store.append(CAVE, [item("b")])
        self.assertEqual(await self.ids(store), ["a", "b"])

    async def test_locked(self) -> None:
        """While another process holds the lock, pages are read, and appends fail after a while; then they succeed."""
        store = await self.opened(timeout=0.05)
        await store.append(CAVE, [item("a")])
        other = sqlite3.connect(self.path.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        self.assertEqual(await self.ids(store), ["a"])
        appended = store.append(CAVE, [item("b")])
        found = self.ids(store)
        with self.assertRaisesRegex(StoreUnavailable, "locked by another process"):
            await appended
        self.assertEqual(await found, ["a"])
        for request in store.retract(CAVE, {"a": message("")}), store.expire(CAVE, NOON + 1), store.delete(CAVE):
            with self.assertRaises(StoreUnavailable):
                await request
        other.execute("ROLLBACK")
        await store.append(CAVE, [item("b")])
        self.assertEqual(await self.ids(store), ["a", "b"])

    async def test_cannotOpen(self) -> None:
        """A file that is no database is named in the error, and nothing is left running."""
        self.path.setContent(b"no database" * 1000)
        store = SQLiteArchive(self.path, reactor)
        for open in (store.open, lambda: deferToThread(store.probe)):
            with self.assertRaisesRegex(StoreUnavailable, f"{self.path.path}: it is not an SQLite database"):
                await open()
        await store.close()
        self.assertEqual([t for t in threading.enumerate() if self.path.path in t.name], [])


class EraserTests(StoreTestCase):
    """When what was removed is erased."""

    async def erased(self, store: SQLiteArchive) -> None:
        """Wait until nothing is left to be erased."""
        while await store.reader.read(ROWS.mustErase):
            await deferLater(reactor, 0.01)

    async def test_afterRemoval(self) -> None:
        """It is begun some time after a removal, and ends by itself."""
        store = await self.opened()
        store.eraseDelay = store.erasePause = 0.0
        await store.append(CAVE, series(600))
        for removal in (
            lambda: store.retract(CAVE, {"m5": message("")}),
            lambda: store.expire(CAVE, NOON + 10 * 1_000_000),
            lambda: store.delete(CAVE),
        ):
            await removal()
            await self.erased(store)
        self.assertEqual(await store.reader.read(lambda c: c.execute("SELECT count(*) FROM item").fetchone()[0]), 0)

    async def test_afterStart(self) -> None:
        """What an earlier process has left is erased."""
        store = await self.opened()
        await store.append(CAVE, series(3))
        await store.delete(CAVE)
        await store.close()
        self.patch(SQLiteArchive, "eraseDelay", 0.0)
        await self.erased(await self.opened())

    async def test_fails(self) -> None:
        """If it fails, that is logged, and it is tried again after the next removal."""
        store = await self.opened(timeout=0.05)
        store.eraseDelay = 0.0
        await store.append(CAVE, series(3))
        self.recordLog()
        sql = "INSERT INTO search (search, rank) VALUES ('merge', ?)"
        self.broken[sql] = sqliteError(sqlite3.SQLITE_IOERR, "disk I/O error")
        await store.retract(CAVE, {"m0": message("")})
        while not self.log:
            await deferLater(reactor, 0.01)
        self.assertRegex(self.logged()[0], "what was removed from the archives is not yet erased: .*check the disk")
        self.broken.clear()
        await store.retract(CAVE, {"m1": message("")})
        await self.erased(store)


class SharedFileTests(StoreTestCase):
    """Rooms and their messages in one file."""

    async def test_shared(self) -> None:
        """Both stores find their own, after each other and at once."""
        for _ in range(2):
            rooms, store = SQLiteRooms(self.path, reactor), await self.opened()
            await rooms.open()
            self.addCleanup(rooms.close)
            await gatherResults([rooms.save(CAVE, RoomRecord({}, {})), store.retract(CAVE, {"a": message("")})])
            await store.delete(CAVE)
            await store.append(CAVE, [item("a")])
            self.assertEqual((await self.ids(store), await rooms.load(CAVE)), (["a"], RoomRecord({}, {})))
            await gatherResults([rooms.close(), store.close()])


class KillTests(TestCase):
    """The database of a killed server."""

    async def test_killed(self) -> None:
        """After a kill, every append that was called is there, in order, and each call as a whole or not at all."""
        path = os.path.abspath(self.mktemp())
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.storage.archivewriter", f"sqlite:{path}"],
            stdout=subprocess.PIPE,
            cwd=os.path.dirname(os.path.dirname(os.path.abspath(tests.__file__))),
        )
        try:
            assert process.stdout is not None
            called = [process.stdout.readline() for _ in range(500)]
        finally:
            process.kill()
        # communicate() would miss what is in the buffer of stdout.
        called += process.stdout.read().splitlines()
        process.stdout.close()
        process.wait(60)
        self.assertNotIn(b"", called)
        store = SQLiteArchive(FilePath(path), reactor)
        await store.open()
        await store.close()
        connection = connect(path, SCHEMA, 5.0)
        self.addCleanup(connection.close)
        self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        connection.execute("INSERT INTO search (search) VALUES ('integrity-check')")
        for room in range(3):
            archive = f"room{room}@x"
            page = QUERIES.findPage(connection, archive, ArchiveQuery(limit=10**6, counted=True, text="word"))
            found = [each.id for each in page.items]
            expected = [line.decode().split()[1] for line in called if line.startswith(archive.encode())]
            self.assertEqual(found[: len(expected)], expected)
            self.assertEqual(found, [f"m{n}" for n in range(len(found))])
            self.assertEqual((len(found) % 2, page.count), (0, len(found)))
