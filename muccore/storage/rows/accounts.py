# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Accounts as rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred

from muccore.interfaces import NoSuchUser, UserExists
from muccore.storage.rows.batching import RowConnection, RowDatabase
from muccore.storage.scramaccounts import ScramAccountStore
from muccore.xmpp.scramkeys import HASHES, ScramKeys

_KEYS_FROM: Final = """
    SELECT account, hash, salt, iterations, stored_key, server_key FROM account_key
    WHERE account >= ? AND hash = ? ORDER BY account LIMIT 1
"""

_LACKING: Final = """
    SELECT 1 FROM account WHERE NOT EXISTS (SELECT 1 FROM account_key WHERE account = jid AND hash = ?) LIMIT 1
"""


class RowAccounts(ScramAccountStore):
    """Accounts in a database."""

    def __init__(self, database: RowDatabase, reactor: Any) -> None:
        """
        @param database: has the tables, or makes them when it is opened.
        @param reactor: for threads and time.
        """
        super().__init__(reactor)
        self.database = database

    def probe(self) -> None:
        """See L{RowDatabase.probe}."""
        self.database.probe()

    def open(self) -> Deferred[None]:
        """See L{ScramAccountStore.open}. If the database opens, but cannot be read yet, it is read later."""
        return self.database.open().addCallback(lambda _: Deferred.fromCoroutine(self._updateHashes()))

    def scramKeys(self, account: str, hashName: str) -> Deferred[ScramKeys | None]:
        """
        See L{ScramAccountStore.scramKeys}. For an unknown account those of the next one are read, or of the first, so
        that the time does not reveal whether there is an account.
        """

        def load(connection: RowConnection) -> ScramKeys | None:
            for start in (account, ""):
                row = connection.execute(_KEYS_FROM, (start, hashName)).fetchone()
                if row is not None:
                    keys = ScramKeys(*row[1:])
                    return keys if row[0] == account else None
            return None

        if self.hashesAreKnown:
            return self.database.read(load, account)
        return Deferred.fromCoroutine(self._readHashesFirst(load, account))

    async def _readHashesFirst(
        self, load: Callable[[RowConnection], ScramKeys | None], account: str
    ) -> ScramKeys | None:
        await self._requireHashes()
        return await self.database.read(load, account)

    def users(self, host: str | None = None) -> Deferred[list[str]]:
        """See L{ScramAccountStore.users}."""

        def load(connection: RowConnection) -> list[str]:
            if host is None:
                rows = connection.execute("SELECT jid FROM account ORDER BY jid")
            else:
                # The domain, and what separates it from the name.
                rows = connection.execute(
                    "SELECT jid FROM account WHERE substr(jid, length(jid) - ?) = ? ORDER BY jid",
                    (len(host), f"@{host}"),
                )
            return [jid for (jid,) in rows]

        return self.database.read(load)

    def _add(self, account: str, keys: Sequence[ScramKeys]) -> Deferred[None]:
        def add(connection: RowConnection) -> None:
            if not connection.execute("INSERT INTO account VALUES (?) ON CONFLICT DO NOTHING", (account,)).rowcount:
                raise UserExists(f"there is an account {account} already")
            _insert(connection, account, keys)

        return self.database.write(add, account)

    def _replace(self, account: str, keys: Sequence[ScramKeys]) -> Deferred[None]:
        def replace(connection: RowConnection) -> None:
            if connection.execute("SELECT 1 FROM account WHERE jid = ?", (account,)).fetchone() is None:
                raise NoSuchUser(f"there is no account {account}")
            connection.execute("DELETE FROM account_key WHERE account = ?", (account,))
            _insert(connection, account, keys)

        return self.database.write(replace, account)

    def _addMissing(self, account: str, keys: Sequence[ScramKeys], known: ScramKeys) -> Deferred[bool]:
        def add(connection: RowConnection) -> bool:
            found = connection.execute(
                "SELECT 1 FROM account_key WHERE account = ? AND hash = ? AND salt = ? AND stored_key = ?",
                (account, known.hashName, known.salt, known.storedKey),
            ).fetchone()
            if found is not None:
                _insert(connection, account, keys, " ON CONFLICT DO NOTHING")
            return found is not None

        return self.database.write(add, account)

    def _findMissing(self) -> Deferred[frozenset[str]]:
        def find(connection: RowConnection) -> frozenset[str]:
            return frozenset(name for name in HASHES if connection.execute(_LACKING, (name,)).fetchone() is not None)

        return self.database.read(find)

    def _remove(self, account: str) -> Deferred[None]:
        def remove(connection: RowConnection) -> None:
            if not connection.execute("DELETE FROM account WHERE jid = ?", (account,)).rowcount:
                raise NoSuchUser(f"there is no account {account}")

        return self.database.write(remove, account)

    def _finish(self) -> Deferred[None]:
        return self.database.close()


def _insert(connection: RowConnection, account: str, keys: Sequence[ScramKeys], onConflict: str = "") -> None:
    connection.executemany(
        "INSERT INTO account_key VALUES (?, ?, ?, ?, ?, ?)" + onConflict,
        [(account, key.hashName, key.salt, key.iterations, key.storedKey, key.serverKey) for key in keys],
    )
