# -*- test-case-name: tests.server.test_accounts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What is kept about the accounts of a host and outlives them: which are being removed, which were removed a short time
ago, and which are disabled. These are documents of the host's own address, which no account has.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from muccore.interfaces import IUserDataStore

REMOVAL: Final = "account-removal"
"""The kind of the removals that are not finished, by local part: JSON, see L{Removal}."""

TOMBSTONE: Final = "account-tombstone"
"""The kind of the tombstones, by local part: until when nobody may register the name, in seconds since the epoch."""

DISABLED: Final = "account-disabled"
"""The kind of the accounts that are disabled, by local part; their contents are empty."""


@dataclass(frozen=True)
class Removal:
    """
    A removal that is not finished.

    @ivar credentials: whether the account itself is left to be removed; otherwise only what is kept of it besides, and
        there may be a new account of that name already.
    """

    credentials: bool


class AccountRecords:
    """The documents of one host."""

    def __init__(self, store: IUserDataStore, host: str) -> None:
        self._store = store
        self._host = host

    async def removal(self, local: str) -> Removal | None:
        """The removal of an account that is not finished, or C{None}."""
        content = await self._store.get(self._host, REMOVAL, local)
        return None if content is None else Removal(bool(json.loads(content)["credentials"]))

    async def removals(self) -> list[str]:
        """The local parts of the accounts whose removal is not finished."""
        return await self._store.keys(self._host, REMOVAL)

    async def beginRemoval(self, local: str, until: float) -> None:
        """
        Write down that an account is to be removed.

        @param until: how long nobody may register its name, in seconds since the epoch.
        """
        content, time = json.dumps({"credentials": True}).encode(), str(int(until)).encode()
        changes = {(REMOVAL, local): content, (TOMBSTONE, local): time, (DISABLED, local): None}
        await self._store.change(self._host, changes)

    async def credentialsRemoved(self, local: str) -> None:
        """Write down that the account itself is removed."""
        content = json.dumps({"credentials": False}).encode()
        await self._store.change(self._host, {(REMOVAL, local): content})

    async def endRemoval(self, local: str) -> None:
        """Write down that nothing is left to be removed."""
        await self._store.change(self._host, {(REMOVAL, local): None})

    async def isReserved(self, local: str, now: float) -> bool:
        """Whether an account of this name was removed a short time ago."""
        content = await self._store.get(self._host, TOMBSTONE, local)
        return content is not None and int(content) > now

    async def clearTombstone(self, local: str) -> None:
        """Remove a tombstone, if there is one: there is an account of this name again."""
        await self._store.change(self._host, {(TOMBSTONE, local): None})

    async def expireTombstones(self, now: float) -> None:
        """Remove the tombstones whose time is over."""
        for local in await self._store.keys(self._host, TOMBSTONE):
            content = await self._store.get(self._host, TOMBSTONE, local)
            if content is not None and int(content) <= now:
                await self.clearTombstone(local)

    async def setDisabled(self, local: str, disabled: bool) -> None:
        """Write down that an account is disabled, or that it is not."""
        await self._store.change(self._host, {(DISABLED, local): b"" if disabled else None})

    async def disabled(self) -> list[str]:
        """The local parts of the disabled accounts."""
        return await self._store.keys(self._host, DISABLED)
