# -*- test-case-name: tests.storage.test_memoryroster -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{memory:}, rosters that are lost when the server ends, for tests."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from muccore.interfaces import IRosterStore, RosterChange, StoredRoster
from muccore.storage.memory import whileOpen


@implementer(IRosterStore)
class MemoryRosters:
    """Rosters in a dictionary."""

    def __init__(self) -> None:
        self.isOpen = False
        self._rosters: dict[str, StoredRoster] = {}

    def open(self) -> Deferred[None]:
        """See L{IRosterStore.open}."""
        self.isOpen = True
        return succeed(None)

    def close(self) -> Deferred[None]:
        """See L{IRosterStore.close}."""
        self.isOpen = False
        return succeed(None)

    @whileOpen
    def accounts(self, after: str, limit: int) -> list[str]:
        """See L{IRosterStore.accounts}."""
        return sorted(account for account in self._rosters if account > after)[:limit]

    @whileOpen
    def load(self, account: str) -> StoredRoster:
        """See L{IRosterStore.load}."""
        return self._rosters.get(account, StoredRoster())

    @whileOpen
    def change(self, account: str, change: RosterChange) -> None:
        """See L{IRosterStore.change}."""
        old = self._rosters.get(account, StoredRoster())
        rows = {jid: row for jid, row in old.rows.items() if jid not in change.forgotten}
        rows.update((jid, (change.version, item)) for jid, item in change.rows.items())
        self._rosters[account] = StoredRoster(change.epoch, change.version, change.floor, rows)

    @whileOpen
    def delete(self, account: str) -> None:
        """See L{IRosterStore.delete}."""
        self._rosters.pop(account, None)
