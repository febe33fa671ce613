# -*- test-case-name: tests.storage.test_sqlite_accounts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Accounts in an SQLite database."""

from __future__ import annotations

import sqlite3
from typing import Any

from twisted.python.filepath import FilePath

from muccore.interfaces import StoreUnavailable
from muccore.storage.rows.accounts import RowAccounts
from muccore.storage.sqlite.databasepair import DatabasePair
from muccore.storage.sqlite.schema import Schema


def schema(host: str | None) -> Schema:
    """The tables for accounts; C{host} is the domain of accounts created before version 2, which kept names only."""

    def addHost(connection: sqlite3.Connection) -> None:
        if host is None:
            if connection.execute("SELECT 1 FROM account").fetchone():
                (path,) = connection.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchone()
                raise StoreUnavailable(
                    f"{path}: the domain of its accounts is not known; open it with the server or muccorectl"
                )
            return
        # Names have no @. Keys refer to their account again when the transaction is committed.
        connection.execute("PRAGMA defer_foreign_keys = ON")
        connection.execute("UPDATE account SET jid = jid || '@' || ?", (host,))
        connection.execute("UPDATE account_key SET account = account || '@' || ?", (host,))

    return Schema(
        "accounts",
        (
            (
                "CREATE TABLE account (name TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID",
                """
                CREATE TABLE account_key (
                    account TEXT NOT NULL REFERENCES account ON DELETE CASCADE,
                    hash TEXT NOT NULL,
                    salt BLOB NOT NULL,
                    iterations INTEGER NOT NULL,
                    stored_key BLOB NOT NULL,
                    server_key BLOB NOT NULL,
                    PRIMARY KEY (account, hash)
                ) WITHOUT ROWID
                """,
            ),
            ("ALTER TABLE account RENAME COLUMN name TO jid", addHost),
        ),
    )


class SQLiteAccounts(RowAccounts):
    """
    Accounts in an SQLite database.

    @ivar location: see L{IStore<muccore.interfaces.stores.IStore>}.
    """

    def __init__(self, path: FilePath[str], reactor: Any) -> None:
        """@param reactor: for threads and time."""
        super().__init__(DatabasePair(path, schema(None), reactor), reactor)
        self._path = path
        self.location = path.realpath().path

    def setHost(self, host: str) -> None:
        """See L{IStore<muccore.interfaces.stores.IStore>}."""
        self.database = DatabasePair(self._path, schema(host), self._reactor)
