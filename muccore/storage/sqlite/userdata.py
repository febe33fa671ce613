# -*- test-case-name: tests.storage.test_sqlite_userdata -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Documents of users in an SQLite database, which may be that of the accounts."""

from __future__ import annotations

from typing import Any, Final

from twisted.python.filepath import FilePath

from muccore.storage.rows.userdata import RowUserData
from muccore.storage.sqlite.databasepair import DatabasePair
from muccore.storage.sqlite.schema import Schema

SCHEMA: Final = Schema(
    "userdata",
    (
        (
            # With rowids: documents may be large, and searches for keys need not pass them.
            """
            CREATE TABLE user_document (
                account TEXT NOT NULL,
                kind TEXT NOT NULL,
                key TEXT NOT NULL,
                content BLOB NOT NULL
            )
            """,
            "CREATE UNIQUE INDEX user_document_key ON user_document (account, kind, key)",
        ),
    ),
)
"""The table."""


class SQLiteUserData(RowUserData):
    """
    Documents of users in an SQLite database.

    @ivar location: see L{IStore<muccore.interfaces.stores.IStore>}.
    """

    keySize = "length(CAST(key AS BLOB))"

    def __init__(self, path: FilePath[str], reactor: Any) -> None:
        """@param reactor: for threads and time."""
        super().__init__(DatabasePair(path, SCHEMA, reactor))
        self.location = path.realpath().path
