# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Documents of users as rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from twisted.internet.defer import Deferred
from zope.interface import implementer

from muccore.interfaces import DataTooLarge, IUserDataStore
from muccore.storage.rows.batching import RowConnection
from muccore.storage.rows.store import RowStore, namesFrom


@implementer(IUserDataStore)
class RowUserData(RowStore):
    """
    Documents of users in a database.

    @cvar keySize: the number of bytes of a key, in SQL.
    """

    keySize: ClassVar[str]

    def accounts(self, after: str, limit: int) -> Deferred[list[str]]:
        """See L{IUserDataStore.accounts}."""
        return self.database.read(lambda connection: namesFrom(connection, "user_document", "account", after, limit))

    def kinds(self, account: str) -> Deferred[list[str]]:
        """See L{IUserDataStore.kinds}."""

        def load(connection: RowConnection) -> list[str]:
            rows = connection.execute(
                "SELECT DISTINCT kind FROM user_document WHERE account = ? ORDER BY kind", (account,)
            )
            return [kind for (kind,) in rows]

        return self.database.read(load)

    def get(self, account: str, kind: str, key: str) -> Deferred[bytes | None]:
        """See L{IUserDataStore.get}."""

        def load(connection: RowConnection) -> bytes | None:
            row = connection.execute(
                "SELECT content FROM user_document WHERE account = ? AND kind = ? AND key = ?", (account, kind, key)
            ).fetchone()
            return None if row is None else bytes(row[0])

        return self.database.read(load, account)

    def keys(self, account: str, kind: str) -> Deferred[list[str]]:
        """See L{IUserDataStore.keys}."""

        def load(connection: RowConnection) -> list[str]:
            rows = connection.execute(
                "SELECT key FROM user_document WHERE account = ? AND kind = ? ORDER BY key", (account, kind)
            )
            return [key for (key,) in rows]

        return self.database.read(load, account)

    def size(self, account: str, kind: str) -> Deferred[int]:
        """See L{IUserDataStore.size}."""
        return self.database.read(lambda connection: sumSizes(connection, account, kind, self.keySize), account)

    def change(
        self, account: str, changes: Mapping[tuple[str, str], bytes | None], limits: Mapping[str, int] | None = None
    ) -> Deferred[None]:
        """See L{IUserDataStore.change}."""
        copied, bounds = dict(changes), dict(limits or {})
        return self.database.write(
            lambda connection: changeDocuments(connection, account, copied, bounds, self.keySize), account
        )

    def removeAccount(self, account: str) -> Deferred[None]:
        """See L{IUserDataStore.removeAccount}."""

        def remove(connection: RowConnection) -> None:
            connection.execute("DELETE FROM user_document WHERE account = ?", (account,))

        return self.database.write(remove, account)


def sumSizes(connection: RowConnection, account: str, kind: str, keySize: str) -> int:
    """See L{IUserDataStore.size}. The length of a document is known without reading it."""
    (size,) = connection.execute(
        f"SELECT coalesce(sum({keySize} + length(content)), 0) FROM user_document WHERE account = ? AND kind = ?",
        (account, kind),
    ).fetchone()
    return int(size)


def changeDocuments(
    connection: RowConnection,
    account: str,
    changes: Mapping[tuple[str, str], bytes | None],
    limits: Mapping[str, int],
    keySize: str,
) -> None:
    """See L{IUserDataStore.change}."""
    before = {kind: sumSizes(connection, account, kind, keySize) for kind in limits}
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
        if limit < sumSizes(connection, account, kind, keySize) > before[kind]:
            raise DataTooLarge(f"more than {limit} bytes of kind {kind}")
