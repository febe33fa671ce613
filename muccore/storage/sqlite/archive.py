# -*- test-case-name: tests.storage.test_sqlite_archive -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Message archives in an SQLite database (design/0014).

L{muccore.storage.sqlite.archiveschema} has the tables, L{muccore.storage.sqlite.archiverows} and
L{muccore.storage.sqlite.archivequeries} what is done with them.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from twisted.python.filepath import FilePath

from muccore.storage.archivejournal import ArchiveJournal
from muccore.storage.rows.archive import RowArchive
from muccore.storage.sqlite.archivequeries import SQLiteArchiveQueries
from muccore.storage.sqlite.archiverows import SQLiteArchiveRows
from muccore.storage.sqlite.archiveschema import SCHEMA
from muccore.storage.sqlite.database import Database


class SQLiteArchive(RowArchive[sqlite3.Connection]):
    """Message archives in an SQLite database, with the journal beside it."""

    def __init__(self, path: FilePath[str], reactor: Any) -> None:
        """@param reactor: for threads and time."""
        super().__init__(
            Database(path, SCHEMA, reactor), Database(path, SCHEMA, reactor), SQLiteArchiveRows(),
            SQLiteArchiveQueries(), ArchiveJournal(path.path), reactor,
        )  # fmt: skip

    def unopened(self) -> Database | None:
        """See L{RowArchive.unopened}."""
        path = FilePath(self.writer.path)
        # It is for the server to create it.
        return Database(path, SCHEMA, self._reactor) if path.exists() else None
