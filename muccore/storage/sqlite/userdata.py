# -*- test-case-name: tests.storage.test_sqlite_userdata -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Documents of users in an SQLite database, which may be that of the accounts."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.filepath import FilePath
from zope.interface import implementer

from muccore.interfaces import DataTooLarge, IUserDataStore
from muccore.storage.sqlite.database import Database
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


@implementer(IUserDataStore)
class SQLiteUserData:
    """
    Documents of users in an SQLite database.

    @ivar location: see L{IStore<muccore.interfaces.stores.IStore>}.
    """

    def __init__(self, path: FilePath[str], reactor: Any) -> None:
        """@param reactor: for threads and time."""
        self.location = path.realpath().path
        self.database = Database(path, SCHEMA, reactor)

    def probe(self) -> None:
        """See L{Database.probe}."""
        self.database.probe()

    def open(self) -> Deferred[None]:
        """See L{IUserDataStore.open}."""
        return self.database.open()

    def close(self) -> Deferred[None]:
        """See L{IUserDataStore.close}."""
        return self.database.close()

    def get(self, account: str, kind: str, key: str) -> Deferred[bytes | None]:
        """See L{IUserDataStore.get}."""

        def load(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute(
                "SELECT content FROM user_document WHERE account = ? AND kind = ? AND key = ?", (account, kind, key)
            ).fetchone()
            return None if row is None else bytes(row[0])

        return self.database.read(load)

    def keys(self, account: str, kind: str) -> Deferred[list[str]]:
        """See L{IUserDataStore.keys}."""

        def load(connection: sqlite3.Connection) -> list[str]:
            rows = connection.execute(
                "SELECT key FROM user_document WHERE account = ? AND kind = ? ORDER BY key", (account, kind)
            )
            return [key for (key,) in rows]

        return self.database.read(load)

    def size(self, account: str, kind: str) -> Deferred[int]:
        """See L{IUserDataStore.size}."""
        return self.database.read(lambda connection: sumSizes(connection, account, kind))

    def change(
        self, account: str, changes: Mapping[tuple[str, str], bytes | None], limits: Mapping[str, int] | None = None
    ) -> Deferred[None]:
        """See L{IUserDataStore.change}."""
        copied, bounds = dict(changes), dict(limits or {})
        return self.database.write(lambda connection: changeDocuments(connection, account, copied, bounds))

    def removeAccount(self, account: str) -> Deferred[None]:
        """See L{IUserDataStore.removeAccount}."""

        def remove(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM user_document WHERE account = ?", (account,))

        return self.database.write(remove)


def sumSizes(connection: sqlite3.Connection, account: str, kind: str) -> int:
    """See L{IUserDataStore.size}. SQLite knows the length of a document without reading it."""
    (size,) = connection.execute(
        "SELECT coalesce(sum(length(CAST(key AS BLOB)) + length(content)), 0) FROM user_document"
        " WHERE account = ? AND kind = ?",
        (account, kind),
    ).fetchone()
    return int(size)


def changeDocuments(
    connection: sqlite3.Connection,
    account: str,
    changes: Mapping[tuple[str, str], bytes | None],
    limits: Mapping[str, int],
) -> None:
    """See L{IUserDataStore.change}."""
    before = {kind: sumSizes(connection, account, kind) for kind in limits}
    connection.executemany(
        "DELETE FROM user_document WHERE account = ? AND kind = ? AND key = ?",
        [(account, *place) for place, content in changes.items() if content is None],
    )
    connection.executemany(
        "INSERT INTO user_document VALUES (?, ?, ?, ?)"
        " ON CONFLICT (account, kind, key) DO UPDATE SET content = excluded.content",
        [(account, *place, content) for place, content in changes.items() if content is not None],
    )
    for kind, limit in limits.items():
        if limit < sumSizes(connection, account, kind) > before[kind]:
            raise DataTooLarge(f"more than {limit} bytes of kind {kind}")
