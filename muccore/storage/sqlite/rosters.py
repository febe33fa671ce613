# -*- test-case-name: tests.storage.test_sqlite_rosters -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Rosters in an SQLite database, which may be that of the rooms."""

from __future__ import annotations

from typing import Any, Final

from twisted.python.filepath import FilePath

from muccore.storage.rows.rosters import RowRosters
from muccore.storage.sqlite.databasepair import DatabasePair
from muccore.storage.sqlite.schema import Schema

SCHEMA: Final = Schema(
    "rosters",
    (
        (
            """
            CREATE TABLE roster (
                account TEXT NOT NULL PRIMARY KEY,
                epoch TEXT NOT NULL,
                version INTEGER NOT NULL,
                floor INTEGER NOT NULL
            ) WITHOUT ROWID
            """,
            # The item is a JSON array, NULL for a contact that was removed.
            """
            CREATE TABLE roster_item (
                account TEXT NOT NULL,
                jid TEXT NOT NULL,
                version INTEGER NOT NULL,
                item TEXT,
                PRIMARY KEY (account, jid)
            ) WITHOUT ROWID
            """,
        ),
    ),
)
"""The tables."""


class SQLiteRosters(RowRosters):
    """Rosters in an SQLite database."""

    def __init__(self, path: FilePath[str], reactor: Any) -> None:
        """@param reactor: for threads and time."""
        super().__init__(DatabasePair(path, SCHEMA, reactor))
