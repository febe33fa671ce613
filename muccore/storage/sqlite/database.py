# -*- test-case-name: tests.storage.test_sqlite_database -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""An SQLite database with its own thread."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from twisted.python.filepath import FilePath

from muccore.interfaces import StoreUnavailable
from muccore.storage.rows.batching import BatchingDatabase
from muccore.storage.sqlite.connection import connect, toStoreError
from muccore.storage.sqlite.schema import Schema

BUSY_TIMEOUT: Final = 5.0
"""Seconds to wait for locks of other processes."""


class Database(BatchingDatabase[sqlite3.Connection]):
    """A connection to a file, and its thread."""

    connectionClass: type[sqlite3.Connection] = sqlite3.Connection
    errors = sqlite3.Error

    def __init__(self, path: FilePath[str], schema: Schema, reactor: Any, timeout: float = BUSY_TIMEOUT) -> None:
        """
        @param reactor: fires the Deferreds, in its thread.
        @param timeout: seconds to wait for locks of other processes.
        """
        super().__init__(path.path, schema.kind, reactor)
        self._schema = schema
        self._timeout = timeout

    def connect(self) -> sqlite3.Connection:
        """See L{BatchingDatabase.connect}. The file is created if missing."""
        return connect(self.path, self._schema, self._timeout, self.connectionClass)

    def disconnect(self, connection: sqlite3.Connection) -> None:
        """See L{BatchingDatabase.disconnect}. If it fails, the next connection reads the log."""
        connection.close()

    def begin(self, connection: sqlite3.Connection, writes: bool) -> None:
        """See L{BatchingDatabase.begin}."""
        connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")

    def inTransaction(self, connection: sqlite3.Connection) -> bool:
        """See L{BatchingDatabase.inTransaction}."""
        return connection.in_transaction

    def explain(self, error: Exception) -> StoreUnavailable:
        """See L{BatchingDatabase.explain}."""
        assert isinstance(error, sqlite3.Error)
        return toStoreError(self.path, error)
