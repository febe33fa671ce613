# Copyright (c) The muccore authors. See LICENSE for details.
"""Helpers for tests of SQLite stores: a small schema, connections that record statements and fail."""

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
    Makes databases whose statements are recorded in C{self.statements}.

    @ivar broken: statements that fail once, to their errors.
    """

    def setUp(self) -> None:
        """Choose a path."""
        self.path = FilePath(self.mktemp())
        self.statements: list[str] = []
        self.broken: dict[str, sqlite3.Error] = {}
        case = self

        class RecordingConnection(sqlite3.Connection):
            """Records statements, and fails those in C{broken}."""

            def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
                case.statements.append(sql)
                if sql in case.broken:
                    raise case.broken.pop(sql)
                return super().execute(sql, *arguments)

        self.connectionClass = RecordingConnection

    def database(self, schema: Schema = SCHEMA, timeout: float = 5.0) -> Database:
        """Make a database; it is closed after the test."""
        database = Database(self.path, schema, reactor, timeout)
        database.connectionClass = self.connectionClass
        self.addCleanup(database.close)
        return database

    async def opened(self, **options: Any) -> Database:
        """Open a database."""
        database = self.database(**options)
        await database.open()
        self.statements.clear()
        return database

    def count(self, statement: str) -> int:
        """Count executions of a statement since the database was opened."""
        return self.statements.count(statement)


def sqliteError(code: int, text: str) -> sqlite3.OperationalError:
    """Make an error as SQLite raises it."""
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error
