# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.sqlite.backup}, with the accounts of the first schema."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing

from twisted.internet import reactor
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.interfaces import StoreUnavailable
from muccore.storage.sqlite.accounts import SQLiteAccounts
from muccore.xmpp.scramkeys import HASHES, ScramKeys

FIRST_SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE muccore_schema (purpose TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
CREATE TABLE account (name TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE account_key (
    account TEXT NOT NULL REFERENCES account ON DELETE CASCADE,
    hash TEXT NOT NULL,
    salt BLOB NOT NULL,
    iterations INTEGER NOT NULL,
    stored_key BLOB NOT NULL,
    server_key BLOB NOT NULL,
    PRIMARY KEY (account, hash)
) WITHOUT ROWID;
INSERT INTO muccore_schema VALUES ('accounts', 1);
"""

KILLED = """
import os, signal, sys
from muccore.storage.sqlite import accounts, connection, schema
original = schema.backUp
def backUp(*arguments):
    if sys.argv[2] == "after":
        original(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
schema.backUp = backUp
connection.connect(sys.argv[1], accounts.schema("chat.lit"), 5.0)
"""
"""Migrates a database, and kills itself before or after the copy is made."""


class MigrationTests(TestCase):
    """A database of the first schema, whose accounts had no domain."""

    def setUp(self) -> None:
        """Create one with two accounts."""
        folder = FilePath(self.mktemp())
        folder.makedirs()
        self.path = folder.child("accounts.db")
        with closing(sqlite3.connect(self.path.path)) as connection:
            connection.executescript(FIRST_SCHEMA)
            for name in ("juliet", "ärzte"):
                connection.execute("INSERT INTO account VALUES (?)", (name,))
                for key in (ScramKeys.derive(hashName, f"{name}'s") for hashName in HASHES):
                    row = (name, key.hashName, key.salt, key.iterations, key.storedKey, key.serverKey)
                    connection.execute("INSERT INTO account_key VALUES (?, ?, ?, ?, ?, ?)", row)
            connection.commit()
        self.old = self.dump(self.path)

    def store(self, host: str | None = "chat.lit") -> SQLiteAccounts:
        """Make a store of the database; it is closed after the test."""
        store = SQLiteAccounts(self.path, reactor)
        if host is not None:
            store.setHost(host)
        self.addCleanup(store.close)
        return store

    def dump(self, file: FilePath[str]) -> list[str]:
        """The whole content of a database."""
        with closing(sqlite3.connect(file.path)) as connection:
            self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            return list(connection.iterdump())

    def files(self) -> list[str]:
        """The files beside the database."""
        return sorted(name for name in os.listdir(self.path.dirname()) if name != "accounts.db")

    async def test_migrated(self) -> None:
        """The accounts are those of the host, with their passwords; each can be changed, listed and deleted."""
        store = self.store()
        await store.open()
        self.assertEqual(await store.users(), ["juliet@chat.lit", "ärzte@chat.lit"])
        self.assertEqual(await store.users("chat.lit"), ["juliet@chat.lit", "ärzte@chat.lit"])
        self.assertTrue(await store.checkPassword("ärzte@chat.lit", "ärzte's"))
        self.assertIsNotNone(await store.scramKeys("juliet@chat.lit", "SHA-1"))
        await store.setPassword("juliet@chat.lit", "new")
        await store.delete("ärzte@chat.lit")
        await store.create("juliet@other.lit", "other")
        await store.close()
        with closing(sqlite3.connect(self.path.path)) as connection:
            self.assertEqual(connection.execute("PRAGMA foreign_key_check").fetchall(), [])
            self.assertEqual(connection.execute("SELECT count(*) FROM account_key").fetchone(), (6,))

    async def test_copied(self) -> None:
        """A whole copy from before is kept for its owner alone. The next start makes none."""
        for _ in range(2):
            store = self.store("chat.lit")
            await store.open()
            await store.close()
            self.assertEqual(self.files(), ["accounts.db.accounts-v1.bak"])
        copy = self.path.sibling("accounts.db.accounts-v1.bak")
        self.assertEqual(os.stat(copy.path).st_mode & 0o777, 0o600)
        self.assertEqual(self.dump(copy), self.old)

    async def test_neverOverwritten(self) -> None:
        """Other copies stay as they are; one that was not finished is made anew."""
        taken = [self.path.sibling(f"accounts.db.accounts-v1{number}.bak") for number in ("", ".2")]
        for file in [*taken, self.path.sibling("accounts.db.accounts-v1.bak.new")]:
            file.setContent(b"other")
        await self.store().open()
        self.assertEqual([file.getContent() for file in taken], [b"other"] * 2)
        self.assertEqual(self.dump(self.path.sibling("accounts.db.accounts-v1.3.bak")), self.old)
        self.assertFalse(self.path.sibling("accounts.db.accounts-v1.bak.new").exists())

    async def test_newDatabase(self) -> None:
        """A new database is not copied, even if its host is not known."""
        self.path.remove()
        store = self.store(None)
        await store.open()
        await store.close()
        self.assertEqual(self.files(), [])

    async def test_noHost(self) -> None:
        """Without a host, accounts without domain are refused and unchanged."""
        with self.assertRaisesRegex(StoreUnavailable, r"accounts\.db: the domain of its accounts is not known"):
            await self.store(None).open()
        self.assertEqual(self.dump(self.path), self.old)

    async def test_cannotCopy(self) -> None:
        """If the copy cannot be made, nothing is migrated, and the line says what is missing."""
        self.path.sibling("accounts.db.accounts-v1.bak.new").makedirs()
        with self.assertRaisesRegex(StoreUnavailable, r"accounts\.db: it cannot be copied to .*\.bak\.new before"):
            await self.store().open()
        self.assertEqual(self.dump(self.path), self.old)

    async def test_killed(self) -> None:
        """A process that is killed while it migrates leaves the old database whole, and the next one migrates it."""
        for moment, copies in (("before", 0), ("after", 1)):
            done = subprocess.run([sys.executable, "-c", KILLED, self.path.path, moment], timeout=60)
            self.assertEqual(done.returncode, -9)
            self.assertEqual(self.dump(self.path), self.old)
            self.assertEqual(len([name for name in self.files() if name.endswith(".bak")]), copies)
        store = self.store()
        await store.open()
        self.assertTrue(await store.checkPassword("juliet@chat.lit", "juliet's"))
