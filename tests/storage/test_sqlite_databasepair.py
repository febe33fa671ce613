# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.storage.sqlite.databasepair}, and of the stores that are kept in such pairs."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.interfaces import (
    Affiliate,
    AuditEntry,
    AuditQuery,
    RoomChange,
    RoomRecord,
    RosterChange,
    RosterItem,
    StoreUnavailable,
)
from muccore.storage.sqlite.accounts import SQLiteAccounts
from muccore.storage.sqlite.audit import SQLiteAudit
from muccore.storage.sqlite.databasepair import DatabasePair
from muccore.storage.sqlite.rooms import SQLiteRooms
from muccore.storage.sqlite.rosters import SQLiteRosters
from muccore.storage.sqlite.userdata import SQLiteUserData
from tests.storage.databases import SCHEMA, add, words

ROOM = RoomRecord({}, {"romeo@x": Affiliate("owner")}, name="Verona")


class LockedTestCase(TestCase):
    """A file, on which another connection may hold the lock for writes."""

    timeout = 120

    def setUp(self) -> None:
        """Choose the path."""
        self.path = FilePath(self.mktemp())

    def lock(self) -> sqlite3.Connection:
        """Hold the lock, until the transaction ends."""
        other = sqlite3.connect(self.path.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        return other


class PairTests(LockedTestCase):
    """A pair with a table of words."""

    async def opened(self, timeout: float = 60.0) -> DatabasePair:
        """Open it."""
        pair = DatabasePair(self.path, SCHEMA, reactor, timeout)
        self.addCleanup(pair.close)
        await pair.open()
        return pair

    async def test_locked(self) -> None:
        """While another process has the lock, only writes wait, and reads of what they change."""
        pair = await self.opened()
        await pair.write(add("a"), "a")
        other = self.lock()
        write = pair.write(add("b"), "b")
        self.assertEqual(await pair.read(words, "a"), ["a"])
        self.assertEqual(await pair.readCommitted(words), ["a"])
        behind = [pair.read(words, "b"), pair.read(words, "a", "b"), pair.read(words)]
        self.assertEqual(await pair.read(words, "a"), ["a"])
        self.assertEqual([each.called for each in (write, *behind)], [False] * 4)
        other.execute("ROLLBACK")
        self.assertEqual(await gatherResults([write, *behind]), [None, *[["a", "b"]] * 3])

    async def test_everything(self) -> None:
        """All reads are behind a write that may change anything."""
        pair = await self.opened()
        other = self.lock()
        write, read = pair.write(add("a")), pair.read(words, "b")
        self.assertEqual(await pair.readCommitted(words), [])
        self.assertFalse(read.called)
        other.execute("ROLLBACK")
        self.assertEqual(await gatherResults([write, read]), [None, ["a"]])

    async def test_refused(self) -> None:
        """A write that is refused after a time ends the wait of the reads behind it, and is forgotten."""
        pair = await self.opened(0.05)
        other = self.lock()
        write, read = pair.write(add("a"), "a"), pair.read(words, "a")
        with self.assertRaisesRegex(StoreUnavailable, "locked by another process"):
            await write
        self.assertEqual(await read, [])
        self.assertEqual(await pair.read(words, "a"), [])
        other.execute("ROLLBACK")
        await pair.write(add("b"), "a")
        self.assertEqual(await pair.read(words, "a"), ["b"])

    async def test_order(self) -> None:
        """Requests of one key are carried out and answered in order, a write behind an earlier read too."""
        pair = await self.opened()
        go, begun = threading.Event(), threading.Event()

        def slowly(connection: sqlite3.Connection) -> list[str]:
            begun.set()
            go.wait(60)
            return words(connection)

        answered: list[int] = []
        requests: list[Deferred[Any]] = [
            pair.read(slowly, "a"), pair.write(add("1"), "a"), pair.read(words, "a"), pair.write(add("2")),
            pair.read(words, "a"),
        ]  # fmt: skip
        for number, request in enumerate(requests):
            request.addCallback(lambda result, number=number: (answered.append(number), result)[1])
        reactor.callLater(0.1, go.set)  # type: ignore[attr-defined]
        results = await gatherResults(requests)
        self.assertTrue(begun.is_set())
        self.assertEqual(answered, [0, 1, 2, 3, 4])
        self.assertEqual(results, [[], None, ["1"], None, ["1", "2"]])

    async def test_shuffled(self) -> None:
        """Requests of several keys and of none: those of one key see each other, and are answered in order."""
        pair = await self.opened()
        chosen = random.Random(7)
        requests: list[Deferred[Any]] = []
        expected: list[Any] = []
        answered: dict[str, list[int]] = {}
        results: dict[int, Any] = {}
        written = dict.fromkeys("abc", 0)

        def count(key: str) -> Callable[[sqlite3.Connection], int]:
            return lambda connection: len([word for word in words(connection) if word.startswith(key)])

        def note(result: Any, keys: tuple[str, ...], number: int) -> None:
            results[number] = result
            for key in keys:
                answered.setdefault(key, []).append(number)

        for number in range(600):
            key = chosen.choice("abc")
            keys = () if chosen.random() < 0.1 else (key,)
            if chosen.random() < 0.4:
                written[key] += 1
                request: Deferred[Any] = pair.write(add(f"{key}{written[key]}"), *keys)
                expected.append(None)
            else:
                request = pair.read(count(key), *keys)
                expected.append(written[key])
            request.addCallback(note, keys, number)
            requests.append(request)
            if chosen.random() < 0.1:
                await chosen.choice(requests)
        await gatherResults(requests)
        self.assertEqual([results[number] for number in range(len(requests))], expected)
        for numbers in answered.values():
            self.assertEqual(numbers, sorted(numbers))

    async def test_own(self) -> None:
        """Whoever has been told that a write is done reads it, each time."""
        pair = await self.opened()
        for number in range(50):
            await pair.write(add(str(number)), "a")
            self.assertEqual(len(await pair.read(words, "a")), number + 1)
            self.assertEqual(len(await pair.readCommitted(words)), number + 1)

    async def test_cancelled(self) -> None:
        """Cancelling drops the result, not the request."""
        pair = await self.opened()
        write, read = pair.write(add("a"), "a"), pair.read(words, "b")
        for each in (write, read):
            each.cancel()
            with self.assertRaises(CancelledError):
                await each
        self.assertEqual(await pair.read(words, "a"), ["a"])
        await pair.write(add("b"), "b")

    async def test_readsOnly(self) -> None:
        """The connection for reads writes nothing."""
        pair = await self.opened()
        with self.assertRaisesRegex(StoreUnavailable, "readonly"):
            await pair.read(add("a"), "a")
        self.assertEqual(await pair.read(words, "a"), [])

    async def test_close(self) -> None:
        """What was accepted is carried out; then nothing is."""
        pair = DatabasePair(self.path, SCHEMA, reactor)
        opening = pair.open()
        early = pair.read(words, "a")
        await opening
        self.assertEqual(await early, [])
        requests = [pair.read(words, "b"), pair.write(add("a"), "b"), pair.read(words, "b")]
        await pair.close()
        await pair.close()
        self.assertEqual(await gatherResults(requests), [[], None, ["a"]])
        for request in (pair.read(words, "a"), pair.readCommitted(words), pair.write(add("b"), "b")):
            with self.assertRaises(StoreUnavailable):
                await request

    async def test_cannotBeOpened(self) -> None:
        """If one connection cannot be made, nothing stays open."""
        pair = DatabasePair(self.path, SCHEMA, reactor)
        self.patch(pair.reader, "connect", lambda: (_ for _ in ()).throw(StoreUnavailable("test")))
        with self.assertRaisesRegex(StoreUnavailable, "test"):
            await pair.open()
        with self.assertRaises(StoreUnavailable):
            await pair.write(add("a"))


class LockedStoreTests(LockedTestCase):
    """Stores in one file whose lock another process has: reads go on, writes wait, and are done when it is released."""

    async def opened(self, store: Any) -> Any:
        """Open a store."""
        self.addCleanup(store.close)
        await store.open()
        return store

    async def check(
        self, write: Callable[[], Deferred[Any]], reads: Callable[[], list[Deferred[Any]]], behind: Callable[[], Any]
    ) -> None:
        """
        Check it.

        @param write: makes a write.
        @param reads: make reads of other things.
        @param behind: makes a read of what it changes.
        """
        other = self.lock()
        before = await gatherResults(reads())
        writing = write()
        after = behind()
        self.assertEqual(await gatherResults(reads()), before)
        self.assertFalse(writing.called or after.called)
        other.execute("ROLLBACK")
        await writing
        self.assertTrue(await after)
        other.close()

    async def test_accounts(self) -> None:
        """Others log in."""
        store = await self.opened(SQLiteAccounts(self.path, reactor))
        for account in ("romeo@x", "juliet@x"):
            await store.create(account, "secret")
        await self.check(
            lambda: store.delete("juliet@x"),
            lambda: [
                store.scramKeys("romeo@x", "SHA-256"), store.hasAccount("romeo@x"), store.checkPassword("romeo@x", "no")
            ],
            store.users,
        )  # fmt: skip

    async def test_rooms(self) -> None:
        """Other rooms are entered, and rooms are listed."""
        store = await self.opened(SQLiteRooms(self.path, reactor))
        await store.save("verona@y", ROOM)
        await store.save("mantua@y", ROOM)
        await self.check(
            lambda: store.change("mantua@y", RoomChange({"juliet@x": Affiliate("member")})),
            lambda: [
                store.load("verona@y"), store.tombstone("padua@y"), store.publicRooms("y", None, None, 10),
                store.publicRooms("y", None, None, 0),
            ],
            lambda: store.load("mantua@y"),
        )  # fmt: skip

    async def test_rosters(self) -> None:
        """Others get their contacts."""
        store = await self.opened(SQLiteRosters(self.path, reactor))
        await store.change("romeo@x", RosterChange("e", 1, 0, {"nurse@x": RosterItem()}))
        await self.check(
            lambda: store.change("juliet@x", RosterChange("e", 1, 0, {"nurse@x": RosterItem()})),
            lambda: [store.load("romeo@x")],
            lambda: store.load("juliet@x"),
        )

    async def test_userData(self) -> None:
        """Others get their documents."""
        store = await self.opened(SQLiteUserData(self.path, reactor))
        await store.change("romeo@x", {("private", "k"): b"1"})
        await self.check(
            lambda: store.change("juliet@x", {("private", "k"): b"1"}),
            lambda: [
                store.get("romeo@x", "private", "k"), store.keys("romeo@x", "private"), store.size("romeo@x", "private")
            ],
            lambda: store.get("juliet@x", "private", "k"),
        )  # fmt: skip

    async def test_audit(self) -> None:
        """Other rooms' owners read their trails."""
        store = await self.opened(SQLiteAudit(self.path, reactor))
        await store.append([AuditEntry("verona@y", "1", 1, "ban")])
        await self.check(
            lambda: store.append([AuditEntry("mantua@y", "1", 1, "ban")]),
            lambda: [store.query(AuditQuery(room="verona@y"))],
            lambda: store.query(AuditQuery(room="mantua@y")),
        )
