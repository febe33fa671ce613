# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.sqlite.schema}."""

from __future__ import annotations

import sqlite3

from twisted.internet.defer import gatherResults
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import SchemaTooNew, StoreUnavailable
from muccore.storage.sqlite.accounts import schema as accountsSchema
from muccore.storage.sqlite.connection import connect
from muccore.storage.sqlite.rooms import SCHEMA as ROOMS
from muccore.storage.sqlite.schema import Schema
from tests.storage.databases import DatabaseTestCase, add, words


def _shout(connection: sqlite3.Connection) -> None:
    for (text,) in connection.execute("SELECT text FROM word").fetchall():
        connection.execute("UPDATE word SET text = ? WHERE text = ?", (text.upper(), text))


ACCOUNTS = accountsSchema(None)
VERSIONS = (
    ("CREATE TABLE word (text TEXT NOT NULL UNIQUE)",),
    ("ALTER TABLE word ADD COLUMN length INTEGER", "UPDATE word SET length = length(text)", _shout),
    ("CREATE INDEX word_length ON word (length)",),
)
"""Three versions of a schema."""


def schema(version: int) -> Schema:
    """The schema up to a version."""
    return Schema("tests", VERSIONS[:version])


class SchemaTests(SynchronousTestCase):
    """Migrations."""

    def setUp(self) -> None:
        """Choose a path."""
        self.path = self.mktemp()

    def connect(self, known: Schema) -> sqlite3.Connection:
        """Connect as a program with this schema."""
        connection = connect(self.path, known, 5.0)
        self.addCleanup(connection.close)
        return connection

    def version(self, connection: sqlite3.Connection) -> dict[str, int]:
        """The stored versions."""
        return dict(connection.execute("SELECT purpose, version FROM muccore_schema").fetchall())

    def test_new(self) -> None:
        """A new database goes through all versions."""
        connection = self.connect(schema(3))
        self.assertEqual(self.version(connection), {"tests": 3})
        self.assertEqual(connection.execute("SELECT text, length FROM word").fetchall(), [])

    def test_fromEachOlder(self) -> None:
        """A database of any older version is migrated with its content, by SQL and by functions."""
        for old in (1, 2):
            self.path = self.mktemp()
            connection = self.connect(schema(old))
            connection.execute("INSERT INTO word (text) VALUES ('tomorrow')")
            connection.close()
            connection = self.connect(schema(3))
            self.assertEqual(self.version(connection), {"tests": 3})
            expected = ("TOMORROW", 8) if old == 1 else ("tomorrow", None)
            self.assertEqual(connection.execute("SELECT text, length FROM word").fetchall(), [expected])

    def test_current(self) -> None:
        """A database of the current version is unchanged."""
        self.connect(schema(3)).close()
        with open(self.path, "rb") as file:
            content = file.read()
        self.connect(schema(3)).close()
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), content)

    def test_newer(self) -> None:
        """A newer database is refused with one line that names file and versions, and is unchanged."""
        self.connect(schema(3)).close()
        with open(self.path, "rb") as file:
            content = file.read()
        line = str(self.assertRaises(SchemaTooNew, connect, self.path, schema(2), 5.0))
        self.assertIn(f"{self.path}: its schema for tests is version 3, and this muccore knows only up to 2", line)
        self.assertNotIn("\n", line)
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), content)

    def test_newerMeanwhile(self) -> None:
        """A database that becomes newer between check and migration is refused."""
        connection = self.connect(schema(3))
        self.assertRaises(SchemaTooNew, schema(2).migrate, connection, self.path)
        self.assertFalse(connection.in_transaction)

    def test_allOrNothing(self) -> None:
        """A migration that fails changes nothing; corrected, it is done."""
        add("tomorrow")(self.connect(schema(1)))
        broken = Schema("tests", (*VERSIONS[:2], ("CREATE TABLE other (a)", "CREATE NONSENSE")))
        self.assertRaises(StoreUnavailable, connect, self.path, broken, 5.0)
        connection = self.connect(schema(1))
        self.assertEqual(self.version(connection), {"tests": 1})
        self.assertEqual(words(connection), ["tomorrow"])
        self.assertEqual(self.version(self.connect(schema(3))), {"tests": 3})

    def test_separateVersions(self) -> None:
        """Each schema in a file has its own version; one that is too new does not affect another."""
        self.connect(ROOMS).close()
        connection = self.connect(ACCOUNTS)
        self.assertEqual(
            self.version(connection), {"rooms": len(ROOMS.migrations), "accounts": len(ACCOUNTS.migrations)}
        )
        connection.execute("UPDATE muccore_schema SET version = 99 WHERE purpose = 'rooms'")
        connection.close()
        self.connect(ACCOUNTS)
        self.assertRaises(SchemaTooNew, connect, self.path, ROOMS, 5.0)


class OpenTests(DatabaseTestCase):
    """Migrations when a database is opened."""

    async def test_newer(self) -> None:
        """Opening a newer database fails."""
        connect(self.path.path, schema(2), 5.0).close()
        with self.assertRaises(SchemaTooNew):
            await self.database(schema(1)).open()

    async def test_migratesOnce(self) -> None:
        """Two that open an old database at once migrate it once."""
        connection = connect(self.path.path, schema(1), 5.0)
        add("tomorrow")(connection)
        connection.close()
        pair = [self.database(schema(3)), self.database(schema(3))]
        await gatherResults([database.open() for database in pair])
        self.assertEqual(await pair[0].read(words), ["TOMORROW"])
