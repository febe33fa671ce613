# -*- test-case-name: tests.storage.test_sqlite_rosters -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Rosters in an SQLite database, which may be that of the rooms."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.filepath import FilePath
from zope.interface import implementer

from muccore.interfaces import IRosterStore, RosterChange, RosterItem, StoredRoster
from muccore.storage.sqlite.database import Database
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


@implementer(IRosterStore)
class SQLiteRosters:
    """Rosters in an SQLite database."""

    def __init__(self, path: FilePath[str], reactor: Any) -> None:
        """@param reactor: for threads and time."""
        self.database = Database(path, SCHEMA, reactor)

    def probe(self) -> None:
        """See L{Database.probe}."""
        self.database.probe()

    def open(self) -> Deferred[None]:
        """See L{IRosterStore.open}."""
        return self.database.open()

    def close(self) -> Deferred[None]:
        """See L{IRosterStore.close}."""
        return self.database.close()

    def load(self, account: str) -> Deferred[StoredRoster]:
        """See L{IRosterStore.load}."""
        return self.database.read(lambda connection: loadRoster(connection, account))

    def change(self, account: str, change: RosterChange) -> Deferred[None]:
        """See L{IRosterStore.change}."""
        rows = [
            (account, jid, change.version, None if item is None else _dumped(item)) for jid, item in change.rows.items()
        ]
        return self.database.write(lambda connection: changeRoster(connection, account, change, rows))

    def delete(self, account: str) -> Deferred[None]:
        """See L{IRosterStore.delete}."""
        return self.database.write(lambda connection: deleteRoster(connection, account))


def _dumped(item: RosterItem) -> str:
    request = None if item.request is None else item.request.decode()
    values = [item.name, item.groups, item.subscription, item.ask, item.approved, request, item.listed]
    return json.dumps(values, ensure_ascii=False)


def _parsed(text: str) -> RosterItem:
    name, groups, subscription, ask, approved, request, listed = json.loads(text)
    waiting = None if request is None else request.encode()
    return RosterItem(name, tuple(groups), subscription, ask, approved, waiting, listed)


def loadRoster(connection: sqlite3.Connection, account: str) -> StoredRoster:
    """Load a roster; see L{IRosterStore.load}."""
    head = connection.execute("SELECT epoch, version, floor FROM roster WHERE account = ?", (account,)).fetchone()
    if head is None:
        return StoredRoster()
    found = connection.execute("SELECT jid, version, item FROM roster_item WHERE account = ?", (account,))
    rows = {jid: (version, None if item is None else _parsed(item)) for jid, version, item in found}
    epoch, version, floor = head
    return StoredRoster(epoch, version, floor, rows)


def changeRoster(
    connection: sqlite3.Connection, account: str, change: RosterChange, rows: list[tuple[str, str, int, str | None]]
) -> None:
    """Change a roster; see L{IRosterStore.change}."""
    connection.execute(
        "INSERT INTO roster VALUES (?, ?, ?, ?) ON CONFLICT (account) DO UPDATE"
        " SET epoch = excluded.epoch, version = excluded.version, floor = excluded.floor",
        (account, change.epoch, change.version, change.floor),
    )
    connection.executemany(
        "DELETE FROM roster_item WHERE account = ? AND jid = ?", [(account, jid) for jid in change.forgotten]
    )
    connection.executemany("INSERT OR REPLACE INTO roster_item VALUES (?, ?, ?, ?)", rows)


def deleteRoster(connection: sqlite3.Connection, account: str) -> None:
    """Delete a roster; see L{IRosterStore.delete}."""
    connection.execute("DELETE FROM roster WHERE account = ?", (account,))
    connection.execute("DELETE FROM roster_item WHERE account = ?", (account,))
