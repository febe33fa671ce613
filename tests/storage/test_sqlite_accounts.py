# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.sqlite.accounts}."""

from __future__ import annotations

import sqlite3
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.interfaces import RoomRecord
from muccore.storage.rows import accounts
from muccore.storage.sqlite.accounts import SQLiteAccounts
from muccore.storage.sqlite.rooms import SQLiteRooms
from muccore.testing.contracts import AccountStoreContract
from muccore.xmpp.scramkeys import ScramKeys


class SQLiteAccountsContractTests(AccountStoreContract, TestCase):
    """Accounts in SQLite pass the contract suite."""

    def makeStore(self, place: FilePath[str]) -> SQLiteAccounts:
        """A store on a file."""
        return SQLiteAccounts(place, reactor)


class SQLiteAccountsTests(TestCase):
    """Properties of accounts in SQLite that are not in the contract."""

    def setUp(self) -> None:
        """Choose a path."""
        self.path = FilePath(self.mktemp())

    async def test_sameWork(self) -> None:
        """Keys are read for an unknown account as for a known one, also before the first and behind the last."""
        made: list[ScramKeys] = []

        def counting(*arguments: Any) -> ScramKeys:
            made.append(ScramKeys(*arguments))
            return made[-1]

        store = SQLiteAccounts(self.path, reactor)
        self.addCleanup(store.close)
        await store.open()
        self.assertIsNone(await store.scramKeys("juliet@chat.lit", "SHA-256"))
        await store.create("juliet@chat.lit", "wherefore-art-thou")
        self.patch(accounts, "ScramKeys", counting)
        for hashName in ("SHA-1", "SHA-256", "SHA-512"):
            keys = await store.scramKeys("juliet@chat.lit", hashName)
            self.assertEqual(made, [keys])
            for name in ("a@chat.lit", "juliet", "romeo@chat.lit"):
                self.assertIsNone(await store.scramKeys(name, hashName))
                self.assertEqual(made[1:], [keys], name)
                del made[1:]
            made.clear()

    async def test_noPasswords(self) -> None:
        """Passwords are not in the file, its log or the error about an existing user."""
        store = SQLiteAccounts(self.path, reactor)
        self.addCleanup(store.close)
        await store.open()
        await store.create("juliet@chat.lit", "wherefore-art-thou")
        again = store.create("juliet@chat.lit", "wherefore-art-thou")
        report = await again.addErrback(lambda failure: failure.getTraceback(detail="verbose"))
        self.assertIn("UserExists", report)
        self.assertNotIn("wherefore", report)
        for file in self.path.parent().globChildren(self.path.basename() + "*"):
            self.assertNotIn(b"wherefore", file.getContent())
        await store.close()
        self.assertIn(b"juliet", self.path.getContent())
        self.assertNotIn(b"wherefore", self.path.getContent())

    async def test_anotherProcess(self) -> None:
        """Changes by another process are seen: accounts are managed while the server runs."""
        server, command = SQLiteAccounts(self.path, reactor), SQLiteAccounts(self.path, reactor)
        for store in (server, command):
            self.addCleanup(store.close)
            await store.open()
        self.assertFalse(await server.checkPassword("juliet@chat.lit", "r0m30"))
        await command.create("juliet@chat.lit", "r0m30")
        self.assertTrue(await server.checkPassword("juliet@chat.lit", "r0m30"))
        await command.setPassword("juliet@chat.lit", "p4ris")
        self.assertTrue(await server.checkPassword("juliet@chat.lit", "p4ris"))
        await command.delete("juliet@chat.lit")
        self.assertIsNone(await server.scramKeys("juliet@chat.lit", "SHA-256"))

    async def test_earlierVersion(self) -> None:
        """Accounts of a version without SHA-512 get these keys with a log-in; then they count after every start."""
        store = SQLiteAccounts(self.path, reactor)
        await store.open()
        await store.create("juliet@chat.lit", "r0m30")
        await store.close()
        connection = sqlite3.connect(self.path.path)
        with connection:
            connection.execute("DELETE FROM account_key WHERE hash = 'SHA-512'")
        connection.close()
        for hashes in ({"SHA-1", "SHA-256"}, {"SHA-1", "SHA-256", "SHA-512"}):
            store = SQLiteAccounts(self.path, reactor)
            await store.open()
            self.assertEqual(store.hashes, hashes)
            self.assertTrue(await store.checkPassword("juliet@chat.lit", "r0m30"))
            self.assertEqual(store.missingHashes, set())
            await store.close()

    async def test_deletedWithKeys(self) -> None:
        """No row of a deleted account is left."""
        store = SQLiteAccounts(self.path, reactor)
        self.addCleanup(store.close)
        await store.open()
        await store.create("juliet@chat.lit", "r0m30")
        await store.delete("juliet@chat.lit")
        await store.close()
        connection = sqlite3.connect(self.path.path)
        self.addCleanup(connection.close)
        self.assertEqual(connection.execute("SELECT count(*) FROM account_key").fetchall(), [(0,)])

    async def test_sharedFile(self) -> None:
        """Accounts and rooms can share one file, opened and written at once."""
        accounts, rooms = SQLiteAccounts(self.path, reactor), SQLiteRooms(self.path, reactor)
        self.addCleanup(accounts.close)
        self.addCleanup(rooms.close)
        await gatherResults([accounts.open(), rooms.open()])
        await gatherResults([accounts.create("juliet@chat.lit", "r0m30"), rooms.save("a@chat.lit", RoomRecord({}, {}))])
        self.assertEqual(await accounts.users(), ["juliet@chat.lit"])
        self.assertEqual(await rooms.load("a@chat.lit"), RoomRecord({}, {}))
