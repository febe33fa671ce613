# -*- test-case-name: tests.storage.test_sqlite_accounts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Accounts in an SQLite database."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.filepath import FilePath

from muccore.interfaces import NoSuchUser, UserExists
from muccore.storage.scramaccounts import ScramAccountStore
from muccore.storage.sqlite.database import Database
from muccore.storage.sqlite.schema import Schema
from muccore.xmpp.scramkeys import ScramKeys

SCHEMA: Final = Schema(
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
    ),
)
"""The tables for accounts."""


class SQLiteAccounts(ScramAccountStore):
    """Accounts in an SQLite database."""

    def __init__(self, path: FilePath[str], reactor: Any) -> None:
        """
        @param path: the file.
        @param reactor: for threads and time.
        """
        super().__init__(reactor)
        self.database = Database(path, SCHEMA, reactor)

    def probe(self) -> None:
        """See L{Database.probe}."""
        self.database.probe()

    def open(self) -> Deferred[None]:
        """See L{ScramAccountStore.open}."""
        return self.database.open()

    def scramKeys(self, user: str, hashName: str) -> Deferred[ScramKeys | None]:
        """See L{ScramAccountStore.scramKeys}."""

        def load(connection: sqlite3.Connection) -> ScramKeys | None:
            row = connection.execute(
                "SELECT hash, salt, iterations, stored_key, server_key FROM account_key WHERE account = ? AND hash = ?",
                (user, hashName),
            ).fetchone()
            return ScramKeys(*row) if row else None

        return self.database.read(load)

    def users(self) -> Deferred[list[str]]:
        """See L{ScramAccountStore.users}."""
        return self.database.read(
            lambda connection: [name for (name,) in connection.execute("SELECT name FROM account ORDER BY name")]
        )

    def _add(self, user: str, keys: Sequence[ScramKeys]) -> Deferred[None]:
        def add(connection: sqlite3.Connection) -> None:
            if not connection.execute("INSERT INTO account VALUES (?) ON CONFLICT DO NOTHING", (user,)).rowcount:
                raise UserExists(f"there is an account {user} already")
            _insert(connection, user, keys)

        return self.database.write(add)

    def _replace(self, user: str, keys: Sequence[ScramKeys]) -> Deferred[None]:
        def replace(connection: sqlite3.Connection) -> None:
            if connection.execute("SELECT 1 FROM account WHERE name = ?", (user,)).fetchone() is None:
                raise NoSuchUser(f"there is no account {user}")
            connection.execute("DELETE FROM account_key WHERE account = ?", (user,))
            _insert(connection, user, keys)

        return self.database.write(replace)

    def _remove(self, user: str) -> Deferred[None]:
        def remove(connection: sqlite3.Connection) -> None:
            if not connection.execute("DELETE FROM account WHERE name = ?", (user,)).rowcount:
                raise NoSuchUser(f"there is no account {user}")

        return self.database.write(remove)

    def _finish(self) -> Deferred[None]:
        return self.database.close()


def _insert(connection: sqlite3.Connection, user: str, keys: Sequence[ScramKeys]) -> None:
    connection.executemany(
        "INSERT INTO account_key VALUES (?, ?, ?, ?, ?, ?)",
        [(user, key.hashName, key.salt, key.iterations, key.storedKey, key.serverKey) for key in keys],
    )
