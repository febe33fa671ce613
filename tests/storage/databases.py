# Copyright (c) The muccore authors. See LICENSE for details.
"""What the tests of SQLite stores share: a small schema, connections that count and fail."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.storage.sqlite.database import Database
from muccore.storage.sqlite.schema import Schema

SCHEMA = Schema("tests", (("CREATE TABLE word (text TEXT NOT NULL UNIQUE)",),))
"""One table of words."""


def add(text: str) -> Callable[[sqlite3.Connection], Any]:
    """An operation that writes a word."""
    return lambda connection: connection.execute("INSERT INTO word VALUES (?)", (text,)) and None


def words(connection: sqlite3.Connection) -> list[str]:
    """An operation that reads all words."""
    return [text for (text,) in connection.execute("SELECT text FROM word ORDER BY rowid")]


class DatabaseTestCase(TestCase):
    """
    Makes databases whose statements are noted in C{self.statements}.

    @ivar broken: statements that fail once, to what SQLite says then.
    """

    def setUp(self) -> None:
        """No file yet."""
        self.path = FilePath(self.mktemp())
        self.statements: list[str] = []
        self.broken: dict[str, sqlite3.Error] = {}
        case = self

        class NotingConnection(sqlite3.Connection):
            """Notes what it is asked, and fails where it is told to."""

            def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
                case.statements.append(sql)
                if sql in case.broken:
                    raise case.broken.pop(sql)
                return super().execute(sql, *arguments)

        self.connectionClass = NotingConnection

    def database(self, schema: Schema = SCHEMA, timeout: float = 5.0) -> Database:
        """A database that is not open and will be closed."""
        database = Database(self.path, schema, reactor, timeout)
        database.connectionClass = self.connectionClass
        self.addCleanup(database.close)
        return database

    async def opened(self, **options: Any) -> Database:
        """A database that is open."""
        database = self.database(**options)
        await database.open()
        self.statements.clear()
        return database

    def count(self, statement: str) -> int:
        """How often a statement was executed since the database was opened."""
        return self.statements.count(statement)


def sqliteError(code: int, text: str) -> sqlite3.OperationalError:
    """An error as SQLite raises it."""
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error
