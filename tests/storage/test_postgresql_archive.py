# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.postgresql.archive} and its modules."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase, TestCase

import tests
from muccore.interfaces import ArchiveItem, ArchiveQuery, BadDescription, ItemExists, StoreUnavailable
from muccore.log.logger import Logger
from muccore.storage.numberedjournal import NumberedJournal
from muccore.storage.postgresql import archive as archiveModule
from muccore.storage.postgresql import archivequeries as postgresqlQueries
from muccore.storage.postgresql import archiverows as postgresqlRows
from muccore.storage.postgresql import archiveschema
from muccore.storage.postgresql import database as databaseModule
from muccore.storage.postgresql.address import Address
from muccore.storage.postgresql.archive import PostgreSQLArchive
from muccore.storage.postgresql.archivequeries import Parts, PostgreSQLArchiveQueries
from muccore.storage.postgresql.archiverows import PostgreSQLArchiveRows
from muccore.storage.postgresql.archiveschema import SCHEMA
from muccore.storage.postgresql.connection import PostgreSQLError
from muccore.storage.postgresql.database import Link
from muccore.storage.rows import archive as rowArchive
from muccore.storage.rows import archivequeries, archiverows
from muccore.testing.contracts import ArchiveStoreContract
from muccore.testing.contracts.archivequeries import CAVE, HEATH, NOON, item, message
from tests.storage import archivemodel
from tests.storage.archivemodel import AtOnce
from tests.storage.postgres import Server, missing, server, stoppable


class PostgreSQLArchiveContractTests(ArchiveStoreContract, TestCase):
    """Archives in PostgreSQL pass the contract suite."""

    skip = missing()

    def setUp(self) -> None:
        """No database is made yet."""
        super().setUp()
        self._addresses: dict[str, Address] = {}

    def makeStore(self, place: FilePath[str]) -> PostgreSQLArchive:
        """A store in a database."""
        if place.path not in self._addresses:
            self._addresses[place.path] = server().emptyDatabase(self, journal=place.path)
        return PostgreSQLArchive(self._addresses[place.path], reactor)


class ModelTests(SynchronousTestCase):
    """Comparison of archives in PostgreSQL and in memory."""

    skip = missing()

    def setUp(self) -> None:
        """Make steps, blocks and parts small."""
        self.patch(PostgreSQLArchiveRows, "deletedAtOnce", 2)
        for module in (archivequeries, archiverows, postgresqlQueries, postgresqlRows):
            self.patch(module, "BLOCK", 1)
        self.patch(postgresqlRows, "_DELETE", postgresqlRows._DELETE.replace(">> 10", ">> 1"))
        self.patch(archivequeries, "READ_AT_ONCE", 2)
        for module in (archiveschema, postgresqlQueries):
            self.patch(module, "LEVELS", (1, 2, 3))
        self.link = Link(server().emptyDatabase(self), SCHEMA, 10)
        self.addCleanup(self.link.close)
        self.link.connect()

    @settings(max_examples=60)
    @given(st.lists(archivemodel.CALLS, max_size=12), st.lists(archivemodel.SEARCHES, max_size=12))
    def test_same(self, calls: list[tuple[Any, ...]], queries: list[tuple[str, ArchiveQuery]]) -> None:
        """Both give the same results for arbitrary requests, and the same pages of the same items."""
        self.link.execute("BEGIN")
        store = AtOnce(self.link, PostgreSQLArchiveRows(NumberedJournal("")), PostgreSQLArchiveQueries())
        archivemodel.compare(self, store, calls, queries)
        self.link.execute("ROLLBACK")


class PartsTests(SynchronousTestCase):
    """Tests for L{Parts}."""

    @given(st.integers(0, 2**40), st.integers(0, 2**21), st.booleans(), st.lists(st.booleans(), min_size=10))
    def test_parts(self, low: int, size: int, backwards: bool, full: list[bool]) -> None:
        """They are the whole range, in order, and each is within a part of the archive, which has the token."""
        parts = Parts((low, low + size), backwards)
        found = []
        for isFull in [*full, *[False] * 100]:
            part = parts.next()
            if part is None:
                break
            found.append(part)
            parts.found(100 * isFull, 100)
        self.assertIsNone(parts.next())
        ordered = found[::-1] if backwards else found
        self.assertEqual((ordered[0][0][0], ordered[-1][0][1]), (low, low + size))
        for ((_, end), _), ((begin, _), _) in pairwise(ordered):
            self.assertEqual(begin, end + 1)
        for (begin, end), token in found:
            level, number = token.split("=")
            self.assertEqual([begin >> int(level), end >> int(level)], [int(number, 16)] * 2)

    def test_growing(self) -> None:
        """They grow while little is found; the first ones may be small."""
        parts = Parts((1000, 1 << 20))
        sizes = []
        for count in (0, 0, 50, 50, 0, 0, 0):
            part = parts.next()
            assert part is not None
            sizes.append(part[0][1] - part[0][0] + 1)
            parts.found(count, 50)
        self.assertEqual(sizes, [24, 1024, 16384 - 2048, 16384, 16384, 262144 - 49152, 262144])


class StoreTestCase(TestCase):
    """Makes archives in one database, each with its own journal."""

    skip = missing()

    def setUp(self) -> None:
        """Make a database; try again soon."""
        self.patch(databaseModule, "LONGEST_PAUSE", 0.05)
        self.patch(databaseModule, "FIRST_PAUSE", 0.01)
        self.patch(archiveModule, "RETRY", 0.05)
        self.folder = FilePath(self.mktemp())
        self.server = self.makeServer()
        self.address = self.server.emptyDatabase(self)
        self.lines: list[str] = []
        self.patch(Logger, "threshold", LogLevel.info)
        observer = lambda event: self.lines.append(str(formatEvent(event)))
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def makeServer(self) -> Server:
        """The server."""
        return server()

    async def opened(self, journal: str = "journal") -> PostgreSQLArchive:
        """An open archive."""
        store = PostgreSQLArchive(replace(self.address, journal=self.folder.child(journal).path), reactor)
        self.addCleanup(store.close)
        await store.open()
        return store

    async def ids(self, store: PostgreSQLArchive, archive: str = CAVE, **filters: Any) -> list[str]:
        """The ids of the items in an archive."""
        page = await store.query(archive, ArchiveQuery(limit=1000, **filters))
        return [each.id for each in page.items]

    def told(self, text: str) -> int:
        """How many lines of the log have a text."""
        return len([line for line in self.lines if text in line])


class StoreTests(StoreTestCase):
    """Properties that are not in the contract."""

    def test_needsJournal(self) -> None:
        """The address must name a journal."""
        with self.assertRaisesRegex(BadDescription, "journal=PATH"):
            PostgreSQLArchive(self.address, reactor)

    async def test_refusedAlone(self) -> None:
        """An item that PostgreSQL cannot keep is refused, and those of other calls are not."""
        store = await self.opened()
        long = random.Random(1).randbytes(5000).hex()
        bad = [item(long), item("a\0b"), item("\ud800"), item("t", 2**63), item("good0")]
        appending = []
        for n, each in enumerate(bad):
            appending += [store.append(CAVE, [item(f"good{n}")]), store.append(CAVE, [each])]
        for n, each in enumerate(appending):
            if n % 2:
                with self.assertRaises(ItemExists if n == 9 else ValueError):
                    await each
            else:
                await each
        self.assertEqual(await self.ids(store), [f"good{n}" for n in range(5)])

    async def test_twoServers(self) -> None:
        """Servers on several machines, each with its journal, append to one archive; none loses or repeats anything."""
        stores = [await self.opened(f"{n}") for n in range(3)]
        await gatherResults(
            [store.append(CAVE, [item(f"{n}-{each}")]) for each in range(40) for n, store in enumerate(stores)]
        )
        found = await self.ids(stores[0])
        for n in range(3):
            self.assertEqual([id for id in found if id.startswith(f"{n}-")], [f"{n}-{each}" for each in range(40)])
        self.assertEqual(len(found), 120)
        for store in stores:
            await store.close()
        self.assertEqual(await self.ids(await self.opened("1")), found)

    async def test_oneProcess(self) -> None:
        """Two processes, or two archives, cannot use one journal."""
        first = await self.opened()
        with self.assertRaisesRegex(StoreUnavailable, "another process uses it"):
            await self.opened()
        await first.append(CAVE, [item("a")])
        await first.close()
        self.assertEqual(await self.ids(await self.opened()), ["a"])

    async def test_readsDoNotWait(self) -> None:
        """While another session locks the tables for writing, archives can be read; what is appended waits."""
        store = await self.opened()
        await store.append(HEATH, [item("a")])
        other = Link(self.address, SCHEMA, 10)
        self.addCleanup(other.close)
        other.connect()
        other.execute("BEGIN")
        other.execute("LOCK TABLE item IN SHARE MODE")
        appending = store.append(CAVE, [item("b")])
        await deferLater(reactor, 0.2)
        self.assertEqual(await self.ids(store, HEATH), ["a"])
        self.assertFalse(appending.called)
        other.execute("COMMIT")
        await appending

    async def test_largeGroup(self) -> None:
        """More than some megabytes are written by several statements, in order."""
        store = await self.opened()
        items = [ArchiveItem(f"m{n}", NOON, CAVE, "", message("x" * 200_000)) for n in range(50)]
        await gatherResults([store.append(CAVE, [each]) for each in items])
        self.assertEqual(len({each.id for each in await self.all(store)}), 50)

    async def all(self, store: PostgreSQLArchive) -> list[ArchiveItem]:
        """All items, in pages."""
        found: list[ArchiveItem] = []
        complete = False
        while not complete:
            page = await store.query(CAVE, ArchiveQuery(limit=1000, after=found[-1].id if found else None))
            found += page.items
            complete = page.complete
        self.assertEqual([each.id for each in found], [f"m{n}" for n in range(len(found))])
        return found

    async def test_retracted(self) -> None:
        """Of a message that was retracted, the table has neither text nor words, but it is found by who sent it."""
        store = await self.opened()
        await store.append(CAVE, [item("a", author="hag@x", text="abracadabra"), item("b", text="abracadabra")])
        await store.retract(CAVE, {"a": message("gone")})
        self.assertEqual(await self.ids(store, text="abracadabra"), ["b"])
        self.assertEqual(await self.ids(store, author="hag@x"), ["a"])
        rows = await store.reader.read(
            lambda link: link.execute("SELECT item::text FROM item WHERE id = 'a'").fetchall()
        )
        self.assertNotIn("abracadabra", str(rows))

    async def test_lostCommit(self) -> None:
        """If it never becomes known whether a group was committed, it is there once all the same."""
        self.patch(databaseModule, "DOUBT", 0.0)
        original = Link.execute
        store = await self.opened()
        for n, committed in enumerate((True, False)):

            def lose(link: Link, sql: str, parameters: Any = (), committed: bool = committed) -> Any:
                if sql == "COMMIT" and link.transaction is not None:
                    self.patch(Link, "execute", original)
                    if committed:
                        original(link, sql, parameters)
                    link.close()
                    raise PostgreSQLError("08006", "lost")
                return original(link, sql, parameters)

            self.patch(Link, "execute", lose)
            await gatherResults([store.append(CAVE, [item(f"{n}{each}")]) for each in "abc"])
        self.assertEqual(await self.ids(store), ["0a", "0b", "0c", "1a", "1b", "1c"])

    async def test_failedGroup(self) -> None:
        """What was requested after a group that failed is not done before it."""
        store = await self.opened()
        await store.append(CAVE, [item("a")])
        original = PostgreSQLArchiveRows.appendItems
        failing = [True]

        def appendItems(rows: Any, link: Link, calls: Any) -> Any:
            if failing[0]:
                raise PostgreSQLError("53100", "no space")
            return original(rows, link, calls)

        self.patch(PostgreSQLArchiveRows, "appendItems", appendItems)
        first = store.append(CAVE, [item("b")])
        store.writeGroup()
        second = store.append(CAVE, [item("c")])
        for request in (store.trim(CAVE, 0), store.retract(CAVE, {"a": message("")}), store.delete(CAVE)):
            with self.assertRaises(StoreUnavailable):
                await request
        self.assertEqual((first.called, second.called), (False, False))
        failing[0] = False
        await gatherResults([first, second])
        self.assertEqual(await self.ids(store), ["a", "b", "c"])
        self.assertEqual((self.told("messages wait in the journal"), self.told("that had to wait")), (1, 1))
        self.assertEqual(await store.trim(CAVE, 1), 2)


class FaultTests(StoreTestCase):
    """What becomes of messages when PostgreSQL fails."""

    def makeServer(self) -> Server:
        """One that is stopped."""
        return stoppable()

    async def test_stopped(self) -> None:
        """While PostgreSQL is stopped, what is appended waits; when it is there again, that is written, in order."""
        store = await self.opened()
        await store.append(CAVE, [item("m0")])
        self.server.stop()
        waiting = []
        for n in range(1, 30):
            waiting.append(store.append(CAVE, [item(f"m{n}")]))
            await deferLater(reactor, 0.01)
        for request in (store.query(CAVE, ArchiveQuery()), store.delete(CAVE)):
            with self.assertRaises(StoreUnavailable):
                await request
        self.assertFalse(any(each.called for each in waiting))
        self.server.start()
        await gatherResults(waiting)
        self.assertEqual(await self.ids(store), [f"m{n}" for n in range(30)])
        self.assertEqual(self.told("messages wait in the journal"), 1)
        self.assertEqual(self.told("messages are lost"), 0)

    async def test_unreachable(self) -> None:
        """
        Without PostgreSQL, an archive opens, keeps what is appended, and leaves it to the next start if it is closed.
        """
        await (await self.opened()).close()
        self.server.stop()
        for n in range(2):
            store = await self.opened()
            appending = store.append(CAVE, [item(f"m{n}")])
            await deferLater(reactor, 0.15)
            refused = self.assertFailure(appending, StoreUnavailable)
            await store.close()
            await refused
        self.server.start()
        store = await self.opened()
        self.assertEqual(await self.ids(store), ["m0", "m1"])
        await store.append(CAVE, [item("m2")])
        await store.close()
        self.assertEqual(await self.ids(await self.opened()), ["m0", "m1", "m2"])

    async def test_tooMany(self) -> None:
        """Only so many messages wait; more are refused, which is logged once, and with their number at the end."""
        self.patch(rowArchive, "WAITING_LIMIT", 2000)
        store = await self.opened()
        self.server.stop()
        waiting, refused = [], 0
        for n in range(60):
            appending = store.append(CAVE, [item(f"m{n}")])
            if appending.called:
                await self.assertFailure(appending, StoreUnavailable)
                refused += 1
            else:
                waiting.append(appending)
        self.assertGreater(refused, 10)
        self.server.start()
        await gatherResults(waiting)
        self.assertEqual(await self.ids(store), [f"m{n}" for n in range(60 - refused)])
        self.assertEqual(self.told("messages are lost"), 1)
        self.assertEqual(self.told(f"{refused} messages are missing"), 1)

    async def test_killed(self) -> None:
        """
        After a kill of the process that appends, before which PostgreSQL was killed, every append that was called is
        there, in order, and each call as a whole.
        """
        place = self.address.place.replace("//muccore@", "//muccore:s3cret@")
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.storage.archivewriter", f"{place}?journal={self.folder.path}/journal"],
            stdout=subprocess.PIPE,
            cwd=os.path.dirname(os.path.dirname(os.path.abspath(tests.__file__))),
        )
        try:
            assert process.stdout is not None
            called = [process.stdout.readline() for _ in range(400)]
            self.server.stop(signal.SIGQUIT)
            called += [process.stdout.readline() for _ in range(200)]
        finally:
            process.kill()
        # communicate() would miss what is in the buffer of stdout.
        called += process.stdout.read().splitlines()
        process.stdout.close()
        process.wait(60)
        self.server.start()
        store = await self.opened()
        for room in range(3):
            archive = f"room{room}@x"
            page = await store.query(archive, ArchiveQuery(limit=10**6, counted=True, text="word"))
            found = [each.id for each in page.items]
            expected = [line.decode().split()[1] for line in called if line.startswith(archive.encode())]
            self.assertEqual(found[: len(expected)], expected)
            self.assertEqual(found, [f"m{n}" for n in range(len(found))])
            self.assertEqual((len(found) % 2, page.count), (0, len(found)))
