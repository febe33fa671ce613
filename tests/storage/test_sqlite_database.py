# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.sqlite.database}."""

from __future__ import annotations

import sqlite3
import threading

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from muccore.interfaces import StoreUnavailable
from muccore.storage.rows import batching as databaseModule
from tests.storage.databases import DatabaseTestCase, add, sqliteError, words


class GroupTests(DatabaseTestCase):
    """Commits of groups."""

    async def test_oneCommitForOneTurn(self) -> None:
        """A thousand writes of one turn are one transaction, which begins after the turn, however long that lasts."""
        database = await self.opened()
        begun = threading.Event()
        requests = [database.write(lambda connection: begun.set())]
        self.assertFalse(begun.wait(0.05))
        requests += [database.write(add(f"word {n}")) for n in range(1000)]
        await gatherResults(requests)
        self.assertEqual((self.count("BEGIN IMMEDIATE"), self.count("COMMIT")), (1, 1))
        self.assertEqual(len(await database.read(words)), 1000)

    async def test_oneCommitForEachTurn(self) -> None:
        """Writes of different turns have separate commits."""
        database = await self.opened()
        for text in ("a", "b", "c"):
            await database.write(add(text))
        self.assertEqual(self.count("COMMIT"), 3)

    async def test_gathersWhileBusy(self) -> None:
        """Requests of several turns, made while the thread is busy, are committed together."""
        database = await self.opened()
        started, go = threading.Event(), threading.Event()

        def busy(connection: sqlite3.Connection) -> None:
            started.set()
            go.wait(60)

        requests = [database.write(busy)]
        await deferToThread(started.wait, 60)
        for n in range(5):
            requests.append(database.write(add(f"word {n}")))
            turn: Deferred[None] = Deferred()
            reactor.callLater(0, turn.callback, None)
            await turn
        go.set()
        await gatherResults(requests)
        self.assertEqual(self.count("COMMIT"), 2)

    async def test_answersInOrderAfterTheCommit(self) -> None:
        """The Deferreds fire in order, reads included, in the reactor thread, after the commit."""
        database = await self.opened()
        seen: list[tuple[str, object, bool, list[str]]] = []

        def note(result: object, name: str) -> None:
            other = sqlite3.connect(self.path.path)
            seen.append((name, result, threading.current_thread() is threading.main_thread(), words(other)))
            other.close()

        await gatherResults(
            [
                database.write(add("a")).addCallback(note, "write a"),
                database.read(words).addCallback(note, "read a"),
                database.write(add("b")).addCallback(note, "write b"),
                database.read(words).addCallback(note, "read b"),
            ]
        )
        both = ["a", "b"]
        self.assertEqual(
            seen,
            [
                ("write a", None, True, both),
                ("read a", ["a"], True, both),
                ("write b", None, True, both),
                ("read b", both, True, both),
            ],
        )

    async def test_readsAlone(self) -> None:
        """A group of reads takes no lock against writes of other processes."""
        database = await self.opened()
        other = sqlite3.connect(self.path.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        self.assertEqual(await gatherResults([database.read(words), database.read(words)]), [[], []])

    async def test_failsAlone(self) -> None:
        """A request that fails is rolled back alone, with its own exception; the others are committed."""
        database = await self.opened()

        def half(connection: sqlite3.Connection) -> None:
            add("half")(connection)
            raise LookupError("no more")

        requests = [database.write(add("a")), database.write(half), database.write(add("a")), database.write(add("b"))]
        await requests[0]
        with self.assertRaisesRegex(LookupError, "no more"):
            await requests[1]
        with self.assertRaises(StoreUnavailable):
            await requests[2]
        await requests[3]
        self.assertEqual(self.count("COMMIT"), 1)
        self.assertEqual(await database.read(words), ["a", "b"])

    async def test_readFails(self) -> None:
        """A read that fails does not affect other requests."""
        database = await self.opened()
        bad = database.read(lambda connection: connection.execute("SELECT * FROM nowhere"))
        good = database.write(add("a"))
        with self.assertRaises(StoreUnavailable) as caught:
            await bad
        self.assertIn(self.path.path, str(caught.exception))
        await good

    async def test_commitFails(self) -> None:
        """If a commit fails, all writes of its group fail, and its reads see nothing of them. The next group runs."""
        database = await self.opened()
        await database.write(add("a"))
        self.broken["COMMIT"] = sqliteError(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error")
        first = database.write(add("b"))
        read = database.read(words)
        second = database.write(add("c"))
        for write in (first, second):
            with self.assertRaises(StoreUnavailable) as caught:
                await write
            self.assertIn(self.path.path, str(caught.exception))
            self.assertIn("check the disk", str(caught.exception))
        self.assertEqual(await read, ["a"])
        await database.write(add("d"))
        self.assertEqual(await database.read(words), ["a", "d"])

    async def test_beginFails(self) -> None:
        """If a group cannot begin, its writes fail and its reads are answered."""
        database = await self.opened(timeout=0.05)
        await database.write(add("a"))
        other = sqlite3.connect(self.path.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        write, read = database.write(add("b")), database.read(words)
        with self.assertRaises(StoreUnavailable) as caught:
            await write
        self.assertIn(self.path.path, str(caught.exception))
        self.assertIn("locked by another process", str(caught.exception))
        self.assertEqual(await read, ["a"])
        other.execute("ROLLBACK")
        await database.write(add("c"))

    async def test_rolledBackBySQLite(self) -> None:
        """If SQLite rolls back the transaction by itself, all writes of the group fail."""
        database = await self.opened()

        def undone(connection: sqlite3.Connection) -> None:
            connection.execute("ROLLBACK")
            raise sqliteError(sqlite3.SQLITE_FULL, "database or disk is full")

        requests = [database.write(add("a")), database.write(undone), database.read(words), database.write(add("b"))]
        for request in (requests[0], requests[1], requests[3]):
            with self.assertRaises(StoreUnavailable) as caught:
                await request
            self.assertIn("free some space", str(caught.exception))
        self.assertEqual(await requests[2], [])

    async def test_full(self) -> None:
        """A write that does not fit on the disk fails; one that fits succeeds afterwards."""
        database = await self.opened()
        await database.read(lambda connection: connection.execute("PRAGMA max_page_count = 8") and None)
        await database.write(add("a"))
        with self.assertRaises(StoreUnavailable) as caught:
            await database.write(add("x" * 100_000))
        self.assertIn("free some space", str(caught.exception))
        await database.write(add("b"))
        self.assertEqual(await database.read(words), ["a", "b"])


class LifecycleTests(DatabaseTestCase):
    """Opening, closing, threads and limits."""

    async def test_settings(self) -> None:
        """The connection has a write-ahead log, synchronous commits, foreign keys, secure deletion and the timeout."""
        database = await self.opened(timeout=7.0)
        names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
        values = [
            await database.read(lambda connection, name=name: connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in names
        ]
        self.assertEqual(values, ["wal", 2, 1, 1, 7000])

    async def test_ownThread(self) -> None:
        """A database has one thread, named after it, which ends when it is closed."""
        database = await self.opened()
        threads = {
            await request
            for request in (
                database.read(lambda connection: threading.current_thread()),
                database.write(lambda connection: threading.current_thread()),
            )
        }
        (thread,) = threads
        self.assertEqual(thread.name, f"muccore tests {self.path.path}")
        self.assertTrue(thread.is_alive())
        await database.close()
        self.assertFalse(thread.is_alive())

    async def test_closeFinishes(self) -> None:
        """Requests before C{close} are durable when it fires, even those of the same turn as C{open}."""
        database = self.database()
        opened = database.open()
        written = [database.write(add(f"word {n}")) for n in range(10)]
        await database.close()
        self.successResultOf(opened)
        self.assertEqual([self.successResultOf(write) for write in written], [None] * 10)
        other = sqlite3.connect(self.path.path)
        self.assertEqual(len(words(other)), 10)
        other.close()

    async def test_closedLeavesOneFile(self) -> None:
        """A closed database is one file, without log and index."""
        database = await self.opened()
        await database.write(add("a"))
        self.assertEqual(len(self.path.parent().globChildren(self.path.basename() + "*")), 3)
        await database.close()
        self.assertEqual(self.path.parent().globChildren(self.path.basename() + "*"), [self.path])

    async def test_onceOnly(self) -> None:
        """A database cannot be opened twice, even after it was closed."""
        database = await self.opened()
        with self.assertRaises(StoreUnavailable):
            await database.open()
        await database.close()
        with self.assertRaises(StoreUnavailable):
            await database.open()
        unopened = self.database()
        await unopened.close()
        with self.assertRaises(StoreUnavailable):
            await unopened.open()

    async def test_openFails(self) -> None:
        """If opening fails, waiting requests fail, closing succeeds, and no thread is left."""
        self.path.setContent(b"This is certainly not an SQLite database." * 100)
        database = self.database()
        opened = database.open()
        first = database.write(add("a"))
        closed = [database.close(), database.close()]
        with self.assertRaises(StoreUnavailable):
            await opened
        with self.assertRaises(StoreUnavailable):
            await first
        await gatherResults(closed)
        with self.assertRaises(StoreUnavailable):
            await database.read(words)
        self.assertNotIn(f"muccore tests {self.path.path}", [thread.name for thread in threading.enumerate()])

    async def test_probe(self) -> None:
        """A probe creates and closes the database, leaves no thread, and the database can be opened afterwards."""
        threads = threading.enumerate()
        database = self.database()
        database.probe()
        self.assertEqual(threading.enumerate(), threads)
        self.assertEqual(self.path.parent().globChildren(self.path.basename() + "*"), [self.path])
        await database.open()
        self.assertEqual(await database.read(words), [])

    def test_probeFails(self) -> None:
        """A probe raises the error of opening."""
        self.path.makedirs()
        self.assertIn("it is a folder", str(self.assertRaises(StoreUnavailable, self.database().probe)))

    async def test_bounded(self) -> None:
        """Requests above the limit are refused with a line that names the file, until others have been answered."""
        self.patch(databaseModule, "WAITING_LIMIT", 2)
        database = await self.opened()
        first, second = database.write(add("a")), database.write(add("b"))
        with self.assertRaises(StoreUnavailable) as caught:
            await database.write(add("c"))
        self.assertIn(self.path.path, str(caught.exception))
        await gatherResults([first, second])
        await database.write(add("d"))
        self.assertEqual(await database.read(words), ["a", "b", "d"])

    async def test_cancelled(self) -> None:
        """A cancelled request, waiting or running, is carried out and does not affect others."""
        database = await self.opened()
        started, go = threading.Event(), threading.Event()

        def busy(connection: sqlite3.Connection) -> None:
            started.set()
            go.wait(60)

        underWay, waiting = database.write(busy), database.write(add("a"))
        last = database.write(add("b"))
        await deferToThread(started.wait, 60)
        for request in (underWay, waiting):
            request.addErrback(lambda failure: None)
            request.cancel()
        go.set()
        await last
        self.assertEqual(await database.read(words), ["a", "b"])

    async def test_cancelledOpenAndClose(self) -> None:
        """Cancelling the Deferreds of C{open} and C{close} stops neither."""
        database = self.database()
        for request in (database.open(), database.close()):
            request.addErrback(lambda failure: None)
            request.cancel()
        await database.close()
        self.assertTrue(self.path.exists())

    async def test_answerAsksAgain(self) -> None:
        """A callback can make requests."""
        database = await self.opened()
        await database.write(add("a")).addCallback(lambda ignored: database.write(add("b")))
        self.assertEqual(await database.read(words), ["a", "b"])

    async def test_twoOnOneFile(self) -> None:
        """Two databases with one file, opened and written at once, wait for each other."""
        pair = [self.database(), self.database()]
        await gatherResults([database.open() for database in pair])
        await gatherResults([pair[n % 2].write(add(f"word {n}")) for n in range(100)])
        for database in pair:
            self.assertEqual(len(await database.read(words)), 100)

    async def test_bugIsShown(self) -> None:
        """An unexpected exception keeps its traceback."""
        database = await self.opened()

        def faulty(connection: sqlite3.Connection) -> None:
            raise ZeroDivisionError

        (traceback,) = await database.write(faulty).addErrback(lambda failure: [failure.getTraceback()])
        self.assertIn("faulty", traceback)
        self.assertIn("test_sqlite_database.py", traceback)
