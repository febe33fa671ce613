# -*- test-case-name: tests.storage.test_sqlite_accounts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Accounts in an SQLite database."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.filepath import FilePath

from muccore.interfaces import NoSuchUser, StoreUnavailable, UserExists
from muccore.storage.scramaccounts import ScramAccountStore
from muccore.storage.sqlite.database import Database
from muccore.storage.sqlite.schema import Schema
from muccore.xmpp.scramkeys import HASHES, ScramKeys


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


_KEYS_FROM: Final = """
    SELECT account, hash, salt, iterations, stored_key, server_key FROM account_key
    WHERE account >= ? AND hash = ? ORDER BY account LIMIT 1
"""

_LACKING: Final = """
    SELECT 1 FROM account WHERE NOT EXISTS (SELECT 1 FROM account_key WHERE account = jid AND hash = ?) LIMIT 1
"""


class SQLiteAccounts(ScramAccountStore):
    """
    Accounts in an SQLite database.

    @ivar location: see L{IStore<muccore.interfaces.stores.IStore>}.
    """

    def __init__(self, path: FilePath[str], reactor: Any) -> None:
        """@param reactor: for threads and time."""
        super().__init__(reactor)
        self._path = path
        self.location = path.realpath().path
        self.database = Database(path, schema(None), reactor)

    def setHost(self, host: str) -> None:
        """See L{IStore<muccore.interfaces.stores.IStore>}."""
        self.database = Database(self._path, schema(host), self._reactor)

    def probe(self) -> None:
        """See L{Database.probe}."""
        self.database.probe()

    def open(self) -> Deferred[None]:
        """See L{ScramAccountStore.open}."""
        return self.database.open().addCallback(lambda _: Deferred.fromCoroutine(self._updateHashes()))

    def scramKeys(self, account: str, hashName: str) -> Deferred[ScramKeys | None]:
        """
        See L{ScramAccountStore.scramKeys}. For an unknown account those of the next one are read, or of the first, so
        that the time does not reveal whether there is an account.
        """

        def load(connection: sqlite3.Connection) -> ScramKeys | None:
            for start in (account, ""):
                row = connection.execute(_KEYS_FROM, (start, hashName)).fetchone()
                if row is not None:
                    keys = ScramKeys(*row[1:])
                    return keys if row[0] == account else None
            return None

        return self.database.read(load)

    def users(self, host: str | None = None) -> Deferred[list[str]]:
        """See L{ScramAccountStore.users}."""

        def load(connection: sqlite3.Connection) -> list[str]:
            rows = connection.execute(
                "SELECT jid FROM account WHERE ?1 IS NULL OR substr(jid, instr(jid, '@') + 1) = ?1 ORDER BY jid",
                (host,),
            )
            return [jid for (jid,) in rows]

        return self.database.read(load)

    def _add(self, account: str, keys: Sequence[ScramKeys]) -> Deferred[None]:
        def add(connection: sqlite3.Connection) -> None:
            if not connection.execute("INSERT INTO account VALUES (?) ON CONFLICT DO NOTHING", (account,)).rowcount:
                raise UserExists(f"there is an account {account} already")
            _insert(connection, account, keys)

        return self.database.write(add)

    def _replace(self, account: str, keys: Sequence[ScramKeys]) -> Deferred[None]:
        def replace(connection: sqlite3.Connection) -> None:
            if connection.execute("SELECT 1 FROM account WHERE jid = ?", (account,)).fetchone() is None:
                raise NoSuchUser(f"there is no account {account}")
            connection.execute("DELETE FROM account_key WHERE account = ?", (account,))
            _insert(connection, account, keys)

        return self.database.write(replace)

    def _addMissing(self, account: str, keys: Sequence[ScramKeys], known: ScramKeys) -> Deferred[bool]:
        def add(connection: sqlite3.Connection) -> bool:
            found = connection.execute(
                "SELECT 1 FROM account_key WHERE account = ? AND hash = ? AND salt = ? AND stored_key = ?",
                (account, known.hashName, known.salt, known.storedKey),
            ).fetchone()
            if found is not None:
                _insert(connection, account, keys, " ON CONFLICT DO NOTHING")
            return found is not None

        return self.database.write(add)

    def _findMissing(self) -> Deferred[frozenset[str]]:
        def find(connection: sqlite3.Connection) -> frozenset[str]:
            return frozenset(name for name in HASHES if connection.execute(_LACKING, (name,)).fetchone() is not None)

        return self.database.read(find)

    def _remove(self, account: str) -> Deferred[None]:
        def remove(connection: sqlite3.Connection) -> None:
            if not connection.execute("DELETE FROM account WHERE jid = ?", (account,)).rowcount:
                raise NoSuchUser(f"there is no account {account}")

        return self.database.write(remove)

    def _finish(self) -> Deferred[None]:
        return self.database.close()


def _insert(
    connection: sqlite3.Connection, account: str, keys: Sequence[ScramKeys], onConflict: str = ""
) -> None:
    connection.executemany(
        "INSERT INTO account_key VALUES (?, ?, ?, ?, ?, ?)" + onConflict,
        [(account, key.hashName, key.salt, key.iterations, key.storedKey, key.serverKey) for key in keys],
    )
