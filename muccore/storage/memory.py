# -*- test-case-name: tests.storage.test_memory -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{memory:}, accounts and rooms that are lost when the server ends, for tests. They pass the contract suites.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred, execute, fail, succeed
from zope.interface import implementer

from muccore.interfaces import (
    Affiliate,
    IRoomStore,
    NoSuchUser,
    PublicRooms,
    RoomChange,
    RoomRecord,
    StoreError,
    StoreUnavailable,
    UserExists,
)
from muccore.storage.scramaccounts import ScramAccountStore
from muccore.xmpp.scramkeys import ScramKeys

_T = TypeVar("_T")


class _OpenState:
    """Runs requests while the store is open, and refuses them before and after; C{what} it has is for the error."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.isOpen = False

    def run(self, work: Callable[..., _T], *arguments: Any) -> Deferred[_T]:
        """Call C{work}; its result or exception becomes the Deferred's."""
        if not self.isOpen:
            return fail(StoreUnavailable(f"memory: the {self.what} are not open"))
        return execute(work, *arguments)


class MemoryAccounts(ScramAccountStore):
    """Accounts in a dictionary."""

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor)
        self._state = _OpenState("accounts")
        self._keys: dict[str, dict[str, ScramKeys]] = {}

    def open(self) -> Deferred[None]:
        """See L{ScramAccountStore.open}."""
        self._state.isOpen = True
        self._closed = False
        return succeed(None)

    def scramKeys(self, account: str, hashName: str) -> Deferred[ScramKeys | None]:
        """See L{ScramAccountStore.scramKeys}."""
        return self._state.run(lambda: self._keys.get(account, {}).get(hashName))

    def users(self, host: str | None = None) -> Deferred[list[str]]:
        """See L{ScramAccountStore.users}."""
        return self._state.run(lambda: sorted(jid for jid in self._keys if host is None or _domain(jid) == host))

    def _add(self, account: str, keys: Sequence[ScramKeys]) -> Deferred[None]:
        def add() -> None:
            if account in self._keys:
                raise UserExists(f"there is an account {account} already")
            self._keys[account] = {key.hashName: key for key in keys}

        return self._state.run(add)

    def _replace(self, account: str, keys: Sequence[ScramKeys]) -> Deferred[None]:
        def replaceKeys() -> None:
            if account not in self._keys:
                raise NoSuchUser(f"there is no account {account}")
            self._keys[account] = {key.hashName: key for key in keys}

        return self._state.run(replaceKeys)

    def _remove(self, account: str) -> Deferred[None]:
        def remove() -> None:
            if self._keys.pop(account, None) is None:
                raise NoSuchUser(f"there is no account {account}")

        return self._state.run(remove)

    def _finish(self) -> Deferred[None]:
        self._state.isOpen = False
        return succeed(None)


@implementer(IRoomStore)
class MemoryRooms:
    """Rooms in a dictionary, with a sorted list of the public rooms of each domain."""

    def __init__(self) -> None:
        self._state = _OpenState("rooms")
        self._rooms: dict[str, RoomRecord] = {}
        self._public: dict[str, list[str]] = {}

    def open(self) -> Deferred[None]:
        """See L{IRoomStore.open}."""
        self._state.isOpen = True
        return succeed(None)

    def close(self) -> Deferred[None]:
        """See L{IRoomStore.close}."""
        self._state.isOpen = False
        return succeed(None)

    def load(self, room: str) -> Deferred[RoomRecord | None]:
        """See L{IRoomStore.load}."""
        return self._state.run(self._load, room)

    def save(self, room: str, record: RoomRecord) -> Deferred[None]:
        """See L{IRoomStore.save}."""
        return self._state.run(self._save, room, record)

    def change(self, room: str, change: RoomChange) -> Deferred[None]:
        """See L{IRoomStore.change}."""
        return self._state.run(self._change, room, change)

    def destroy(self, room: str) -> Deferred[None]:
        """See L{IRoomStore.destroy}."""
        return self._state.run(self._destroy, room)

    def publicRooms(self, domain: str, after: str | None, before: str | None, limit: int) -> Deferred[PublicRooms]:
        """See L{IRoomStore.publicRooms}."""
        return self._state.run(self._publicRooms, domain, after, before, limit)

    def temporaryRooms(self, domain: str) -> Deferred[list[str]]:
        """See L{IRoomStore.temporaryRooms}."""
        return self._state.run(
            lambda: sorted(name for name, room in self._rooms.items() if room.temporary and _domain(name) == domain)
        )

    def _load(self, name: str) -> RoomRecord | None:
        room = self._rooms.get(name)
        return None if room is None else _copy(room)

    def _save(self, name: str, record: RoomRecord) -> None:
        self._put(name, _copy(record))

    def _change(self, name: str, change: RoomChange) -> None:
        room = self._rooms.get(name)
        if room is None:
            raise StoreError(f"the room {name} is not stored")
        if change.settings is not None:
            settings = _copySettings(change.settings)
            room = replace(room, settings=settings, name=change.name, public=change.public, temporary=change.temporary)
        if change.subject is not None:
            room = replace(room, subject=change.subject)
        affiliates = cast(dict[str, Affiliate], room.affiliates)
        for jid, affiliate in change.affiliates.items():
            if affiliate is None:
                affiliates.pop(jid, None)
            else:
                affiliates[jid] = affiliate
        self._put(name, room)

    def _destroy(self, name: str) -> None:
        room = self._rooms.pop(name, None)
        self._list(name, room is not None and room.public, False)

    def _put(self, name: str, room: RoomRecord) -> None:
        old = self._rooms.get(name)
        self._rooms[name] = room
        self._list(name, old is not None and old.public, room.public)

    def _list(self, name: str, was: bool, isNow: bool) -> None:
        if was == isNow:
            return
        names = self._public.setdefault(_domain(name), [])
        if isNow:
            insort(names, name)
        else:
            del names[bisect_left(names, name)]

    def _publicRooms(self, domain: str, after: str | None, before: str | None, limit: int) -> PublicRooms:
        names = self._public.get(domain, [])
        if after is not None:
            start = bisect_right(names, after)
            end = start + limit
        elif before is not None:
            end = bisect_left(names, before) if before else len(names)
            start = max(0, end - limit)
        else:
            start, end = 0, limit
        page = [(name, self._rooms[name].name) for name in names[start:end]]
        return PublicRooms(page, start if page else 0, len(names))


def _domain(room: str) -> str:
    return room.rpartition("@")[2]


def _copySettings(settings: Mapping[str, Any]) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(dict(settings)))
    return copied


def _copy(room: RoomRecord) -> RoomRecord:
    """Copy a room, so that callers and the store do not share what can be changed."""
    return replace(room, settings=_copySettings(room.settings), affiliates=dict(room.affiliates))
