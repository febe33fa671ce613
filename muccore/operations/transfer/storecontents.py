# -*- test-case-name: tests.operations.transfer.test_migrating -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What stores of each kind have, piece by piece: how it is listed, read, compared and written to another store.

Archives and audit trails, which only grow, are in L{muccore.operations.transfer.storelogs}.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any, ClassVar

from muccore.interfaces import IAccountStore, IRoomStore, IRosterStore, IUserDataStore, NoSuchUser, RosterChange
from muccore.operations.transfer.storereader import loadDocuments, paged
from muccore.xmpp.scramkeys import HASHES


class Contents(ABC):
    """
    What a kind of stores has. A piece is what is read and written at once.

    @cvar unit: what the pieces are, for people.
    """

    unit: ClassVar[str]

    @abstractmethod
    def names(self, store: Any) -> AsyncIterator[str]:
        """List the pieces of a store, each once."""

    @abstractmethod
    async def load(self, store: Any, name: str) -> Any:
        """Read a piece, or what stands for it; C{None} if there is nothing."""

    @abstractmethod
    def encode(self, value: Any) -> bytes:
        """What L{load} has returned as bytes: the same for the same."""

    @abstractmethod
    async def copy(self, source: Any, target: Any, name: str) -> None:
        """Copy a piece, unless the same is there already; another one of its name is replaced."""


class Pieces(Contents):
    """Pieces that are read at once."""

    @abstractmethod
    async def put(self, store: Any, name: str, value: Any) -> None:
        """Write a piece, in place of another one of its name."""

    async def copy(self, source: Any, target: Any, name: str) -> None:
        """See L{Contents.copy}."""
        wanted = await self.load(source, name)
        if wanted is not None and await self.load(target, name) != wanted:
            await self.put(target, name, wanted)


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


class Accounts(Pieces):
    """Accounts, with their keys."""

    unit = "accounts"

    async def names(self, store: IAccountStore) -> AsyncIterator[str]:
        """See L{Contents.names}."""
        for account in await store.users():
            yield account

    async def load(self, store: IAccountStore, name: str) -> Any:
        """See L{Contents.load}."""
        found = [await store.scramKeys(name, hashName) for hashName in HASHES]
        return [keys for keys in found if keys is not None] or None

    async def put(self, store: IAccountStore, name: str, value: Any) -> None:
        """See L{Pieces.put}."""
        with suppress(NoSuchUser):
            await store.delete(name)
        await store.createWithKeys(name, value)

    def encode(self, value: Any) -> bytes:
        """See L{Contents.encode}."""
        return _json(
            [[each.hashName, each.salt.hex(), each.iterations, each.storedKey.hex(), each.serverKey.hex()]
             for each in value]
        )  # fmt: skip


class Documents(Pieces):
    """What users store: all documents of an account are a piece."""

    unit = "accounts with data"

    def names(self, store: IUserDataStore) -> AsyncIterator[str]:
        """See L{Contents.names}."""
        return paged(store.accounts)

    async def load(self, store: IUserDataStore, name: str) -> Any:
        """See L{Contents.load}."""
        return await loadDocuments(store, name) or None

    async def put(self, store: IUserDataStore, name: str, value: Any) -> None:
        """See L{Pieces.put}."""
        there = await loadDocuments(store, name)
        await store.change(name, {**dict.fromkeys(there), **value})

    def encode(self, value: Any) -> bytes:
        """See L{Contents.encode}."""
        return _json([[*place, content.hex()] for place, content in sorted(value.items())])


class Rosters(Pieces):
    """Rosters, with their versions."""

    unit = "rosters"

    def names(self, store: IRosterStore) -> AsyncIterator[str]:
        """See L{Contents.names}."""
        return paged(store.accounts)

    async def load(self, store: IRosterStore, name: str) -> Any:
        """See L{Contents.load}."""
        found = await store.load(name)
        return found if found.epoch else None

    async def put(self, store: IRosterStore, name: str, value: Any) -> None:
        """See L{Pieces.put}. Each contact gets the number of the change that made it what it is."""
        await store.delete(name)
        numbers = sorted({number for number, _ in value.rows.values()} | {value.version})
        for number in numbers:
            rows = {jid: item for jid, (changed, item) in value.rows.items() if changed == number}
            await store.change(name, RosterChange(value.epoch, number, value.floor, rows))

    def encode(self, value: Any) -> bytes:
        """See L{Contents.encode}."""
        rows = [
            [jid, number, None if item is None else {**asdict(item), "request": (item.request or b"").hex()}]
            for jid, (number, item) in sorted(value.rows.items())
        ]
        return _json([value.epoch, value.version, value.floor, rows])


class Rooms(Pieces):
    """Rooms."""

    unit = "rooms"

    def names(self, store: IRoomStore) -> AsyncIterator[str]:
        """See L{Contents.names}."""
        return paged(store.names)

    async def load(self, store: IRoomStore, name: str) -> Any:
        """See L{Contents.load}."""
        return await store.load(name)

    async def put(self, store: IRoomStore, name: str, value: Any) -> None:
        """See L{Pieces.put}."""
        await store.save(name, value)

    def encode(self, value: Any) -> bytes:
        """See L{Contents.encode}."""
        return _json(asdict(value))


class Tombstones(Pieces):
    """What is kept of rooms that were destroyed, as long as it counts."""

    unit = "destroyed rooms"

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    async def names(self, store: IRoomStore) -> AsyncIterator[str]:
        """See L{Contents.names}."""
        async for name in paged(store.tombstones):
            if await self.load(store, name) is not None:
                yield name

    async def load(self, store: IRoomStore, name: str) -> Any:
        """See L{Contents.load}."""
        found = await store.tombstone(name)
        return found if found is not None and found.expires > self._now() else None

    async def put(self, store: IRoomStore, name: str, value: Any) -> None:
        """See L{Pieces.put}."""
        await store.destroy(name, value)

    def encode(self, value: Any) -> bytes:
        """See L{Contents.encode}."""
        return _json(asdict(value))


class Preferences(Pieces):
    """What users have chosen for all rooms: what they have under one name is a piece."""

    unit = "kinds of choices"

    async def names(self, store: IRoomStore) -> AsyncIterator[str]:
        """See L{Contents.names}."""
        for name in await store.preferenceNames():
            yield name

    async def load(self, store: IRoomStore, name: str) -> Any:
        """See L{Contents.load}."""
        return await store.preferences(name) or None

    async def put(self, store: IRoomStore, name: str, value: Any) -> None:
        """See L{Pieces.put}."""
        there = await store.preferences(name)
        for user, chosen in {**dict.fromkeys(there), **value}.items():
            if chosen != there.get(user):
                await store.setPreference(name, user, chosen)

    def encode(self, value: Any) -> bytes:
        """See L{Contents.encode}."""
        return _json(value)
