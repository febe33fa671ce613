# -*- test-case-name: tests.storage.test_memoryuserdata -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{memory:}, documents of users that are lost when the server ends, for tests."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from muccore.interfaces import DataTooLarge, IUserDataStore
from muccore.storage.memory import whileOpen


@implementer(IUserDataStore)
class MemoryUserData:
    """Documents in dictionaries: by account, then by kind and key."""

    def __init__(self) -> None:
        self.isOpen = False
        self._documents: dict[str, dict[tuple[str, str], bytes]] = {}

    def open(self) -> Deferred[None]:
        """See L{IUserDataStore.open}."""
        self.isOpen = True
        return succeed(None)

    def close(self) -> Deferred[None]:
        """See L{IUserDataStore.close}."""
        self.isOpen = False
        return succeed(None)

    @whileOpen
    def accounts(self, after: str, limit: int) -> list[str]:
        """See L{IUserDataStore.accounts}."""
        return sorted(account for account in self._documents if account > after)[:limit]

    @whileOpen
    def kinds(self, account: str) -> list[str]:
        """See L{IUserDataStore.kinds}."""
        return sorted({kind for kind, _ in self._documents.get(account, {})})

    @whileOpen
    def get(self, account: str, kind: str, key: str) -> bytes | None:
        """See L{IUserDataStore.get}."""
        return self._documents.get(account, {}).get((kind, key))

    @whileOpen
    def keys(self, account: str, kind: str) -> list[str]:
        """See L{IUserDataStore.keys}."""
        return sorted(key for found, key in self._documents.get(account, {}) if found == kind)

    @whileOpen
    def size(self, account: str, kind: str) -> int:
        """See L{IUserDataStore.size}."""
        return _size(self._documents.get(account, {}), kind)

    @whileOpen
    def change(
        self, account: str, changes: Mapping[tuple[str, str], bytes | None], limits: Mapping[str, int] | None = None
    ) -> None:
        """See L{IUserDataStore.change}."""
        old = self._documents.get(account, {})
        merged = {place: value for place, value in {**old, **changes}.items() if value is not None}
        for kind, limit in (limits or {}).items():
            if limit < _size(merged, kind) > _size(old, kind):
                raise DataTooLarge(f"memory: more than {limit} bytes of kind {kind}")
        if merged:
            self._documents[account] = merged
        else:
            self._documents.pop(account, None)

    @whileOpen
    def removeAccount(self, account: str) -> None:
        """See L{IUserDataStore.removeAccount}."""
        self._documents.pop(account, None)


def _size(documents: Mapping[tuple[str, str], bytes], kind: str) -> int:
    return sum(len(key.encode()) + len(value) for (found, key), value in documents.items() if found == kind)
