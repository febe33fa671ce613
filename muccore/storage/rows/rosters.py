# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Rosters as rows."""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred
from zope.interface import implementer

from muccore.interfaces import IRosterStore, RosterChange, RosterItem, StoredRoster
from muccore.storage.rows.batching import RowConnection
from muccore.storage.rows.store import RowStore, namesFrom


@implementer(IRosterStore)
class RowRosters(RowStore):
    """Rosters in a database."""

    def accounts(self, after: str, limit: int) -> Deferred[list[str]]:
        """See L{IRosterStore.accounts}."""
        return self.database.read(lambda connection: namesFrom(connection, "roster", "account", after, limit))

    def load(self, account: str) -> Deferred[StoredRoster]:
        """See L{IRosterStore.load}."""
        return self.database.read(lambda connection: loadRoster(connection, account), account)

    def change(self, account: str, change: RosterChange) -> Deferred[None]:
        """See L{IRosterStore.change}."""
        rows = [
            (account, jid, change.version, None if item is None else _dumped(item)) for jid, item in change.rows.items()
        ]
        return self.database.write(lambda connection: changeRoster(connection, account, change, rows), account)

    def delete(self, account: str) -> Deferred[None]:
        """See L{IRosterStore.delete}."""
        return self.database.write(lambda connection: deleteRoster(connection, account), account)


def _dumped(item: RosterItem) -> str:
    request = None if item.request is None else item.request.decode()
    values = [item.name, item.groups, item.subscription, item.ask, item.approved, request, item.listed]
    return json.dumps(values, ensure_ascii=False)


def _parsed(text: str) -> RosterItem:
    name, groups, subscription, ask, approved, request, listed = json.loads(text)
    waiting = None if request is None else request.encode()
    return RosterItem(name, tuple(groups), subscription, ask, approved, waiting, listed)


def loadRoster(connection: RowConnection, account: str) -> StoredRoster:
    """Load a roster; see L{IRosterStore.load}."""
    head = connection.execute("SELECT epoch, version, floor FROM roster WHERE account = ?", (account,)).fetchone()
    if head is None:
        return StoredRoster()
    found = connection.execute("SELECT jid, version, item FROM roster_item WHERE account = ?", (account,))
    rows = {jid: (version, None if item is None else _parsed(item)) for jid, version, item in found}
    epoch, version, floor = head
    return StoredRoster(epoch, version, floor, rows)


def changeRoster(
    connection: RowConnection, account: str, change: RosterChange, rows: list[tuple[str, str, int, str | None]]
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
    connection.executemany(
        "INSERT INTO roster_item VALUES (?, ?, ?, ?) ON CONFLICT (account, jid) DO UPDATE"
        " SET version = excluded.version, item = excluded.item",
        rows,
    )


def deleteRoster(connection: RowConnection, account: str) -> None:
    """Delete a roster; see L{IRosterStore.delete}."""
    connection.execute("DELETE FROM roster WHERE account = ?", (account,))
    connection.execute("DELETE FROM roster_item WHERE account = ?", (account,))
