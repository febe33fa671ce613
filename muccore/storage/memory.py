# -*- test-case-name: tests.storage.test_memory -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{memory:}, accounts and rooms that are gone when the server ends. For tests and for trying things out.

They keep the same promises as the durable ones while they last, by the same contract suites.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

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
    Subject,
    UserExists,
)
from muccore.storage.scramaccounts import ScramAccountStore
from muccore.xmpp.scramkeys import ScramKeys

_T = TypeVar("_T")


class _OpenState:
    """
    Answers while it is open, and refuses before and after.

    @ivar what: what is open, for the refusal.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.isOpen = False

    def run(self, work: Callable[..., _T], *arguments: Any) -> Deferred[_T]:
        """Call C{work}; its result, or what it raises, becomes the Deferred's."""
        if not self.isOpen:
            return fail(StoreUnavailable(f"memory: the {self.what} are not open"))
        return execute(work, *arguments)


class MemoryAccounts(ScramAccountStore):
    """Accounts in a dictionary."""

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor)
        self._lifetime = _OpenState("accounts")
        self._keys: dict[str, dict[str, ScramKeys]] = {}

    def open(self) -> Deferred[None]:
        """See L{ScramAccountStore.open}."""
        self._lifetime.isOpen = True
        self._closed = False
        return succeed(None)

    def scramKeys(self, user: str, hashName: str) -> Deferred[ScramKeys | None]:
        """See L{ScramAccountStore.scramKeys}."""
        return self._lifetime.run(lambda: self._keys.get(user, {}).get(hashName))

    def users(self) -> Deferred[list[str]]:
        """See L{ScramAccountStore.users}."""
        return self._lifetime.run(lambda: sorted(self._keys))

    def _add(self, user: str, keys: Sequence[ScramKeys]) -> Deferred[None]:
        def add() -> None:
            if user in self._keys:
                raise UserExists(f"there is an account {user} already")
            self._keys[user] = {key.hashName: key for key in keys}

        return self._lifetime.run(add)

    def _replace(self, user: str, keys: Sequence[ScramKeys]) -> Deferred[None]:
        def replaceKeys() -> None:
            if user not in self._keys:
                raise NoSuchUser(f"there is no account {user}")
            self._keys[user] = {key.hashName: key for key in keys}

        return self._lifetime.run(replaceKeys)

    def _remove(self, user: str) -> Deferred[None]:
        def remove() -> None:
            if self._keys.pop(user, None) is None:
                raise NoSuchUser(f"there is no account {user}")

        return self._lifetime.run(remove)

    def _finish(self) -> Deferred[None]:
        self._lifetime.isOpen = False
        return succeed(None)


@dataclass(frozen=True)
class _Room:
    """A room as it is kept here: shares nothing with the caller that the caller could change."""

    settings: str
    affiliates: dict[str, Affiliate]
    subject: Subject | None
    name: str
    public: bool
    temporary: bool


@implementer(IRoomStore)
class MemoryRooms:
    """Rooms in a dictionary, and the names of the public ones of each domain in a sorted list."""

    def __init__(self) -> None:
        self._lifetime = _OpenState("rooms")
        self._rooms: dict[str, _Room] = {}
        self._public: dict[str, list[str]] = {}

    def open(self) -> Deferred[None]:
        """See L{IRoomStore.open}."""
        self._lifetime.isOpen = True
        return succeed(None)

    def close(self) -> Deferred[None]:
        """See L{IRoomStore.close}."""
        self._lifetime.isOpen = False
        return succeed(None)

    def load(self, room: str) -> Deferred[RoomRecord | None]:
        """See L{IRoomStore.load}."""
        return self._lifetime.run(self._load, room)

    def save(self, room: str, record: RoomRecord) -> Deferred[None]:
        """See L{IRoomStore.save}."""
        return self._lifetime.run(self._save, room, record)

    def change(self, room: str, change: RoomChange) -> Deferred[None]:
        """See L{IRoomStore.change}."""
        return self._lifetime.run(self._change, room, change)

    def destroy(self, room: str) -> Deferred[None]:
        """See L{IRoomStore.destroy}."""
        return self._lifetime.run(self._destroy, room)

    def publicRooms(self, domain: str, after: str | None, before: str | None, limit: int) -> Deferred[PublicRooms]:
        """See L{IRoomStore.publicRooms}."""
        return self._lifetime.run(self._publicRooms, domain, after, before, limit)

    def temporaryRooms(self, domain: str) -> Deferred[list[str]]:
        """See L{IRoomStore.temporaryRooms}."""
        return self._lifetime.run(
            lambda: sorted(name for name, room in self._rooms.items() if room.temporary and _domain(name) == domain)
        )

    def _load(self, name: str) -> RoomRecord | None:
        room = self._rooms.get(name)
        if room is None:
            return None
        return RoomRecord(
            settings=json.loads(room.settings),
            affiliates=dict(room.affiliates),
            subject=room.subject,
            name=room.name,
            public=room.public,
            temporary=room.temporary,
        )

    def _save(self, name: str, record: RoomRecord) -> None:
        room = _Room(
            settings=_dump(record.settings),
            affiliates=dict(record.affiliates),
            subject=record.subject,
            name=record.name,
            public=record.public,
            temporary=record.temporary,
        )
        self._put(name, room)

    def _change(self, name: str, change: RoomChange) -> None:
        room = self._rooms.get(name)
        if room is None:
            raise StoreError(f"the room {name} is not stored")
        if change.settings is not None:
            room = replace(
                room,
                settings=_dump(change.settings),
                name=change.name,
                public=change.public,
                temporary=change.temporary,
            )
        if change.subject is not None:
            room = replace(room, subject=change.subject)
        for jid, affiliate in change.affiliates.items():
            if affiliate is None:
                room.affiliates.pop(jid, None)
            else:
                room.affiliates[jid] = affiliate
        self._put(name, room)

    def _destroy(self, name: str) -> None:
        room = self._rooms.pop(name, None)
        self._list(name, room is not None and room.public, False)

    def _put(self, name: str, room: _Room) -> None:
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


def _dump(settings: Mapping[str, Any]) -> str:
    return json.dumps(dict(settings))
