# -*- test-case-name: tests.storage.test_memory -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{memory:}, accounts, rooms and places, lost when the server ends; for tests. They pass the contract suites."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from twisted.internet.defer import Deferred, execute, fail, succeed
from zope.interface import implementer

from muccore.interfaces import (
    Affiliate,
    AffiliatedRooms,
    FoundRooms,
    IOccupantStore,
    IRoomStore,
    NoSuchUser,
    Place,
    PublicRooms,
    RoomChange,
    RoomRecord,
    RoomSearch,
    StoreError,
    StoreUnavailable,
    Tombstone,
    UserExists,
)
from muccore.storage.folding import fold, matchesLanguage
from muccore.storage.scramaccounts import ScramAccountStore
from muccore.xmpp.scramkeys import HASHES, ScramKeys


class _Openable(Protocol):
    isOpen: bool


_S = TypeVar("_S", bound=_Openable)
_P = ParamSpec("_P")
_T = TypeVar("_T")
_K = TypeVar("_K")


def whileOpen(method: Callable[Concatenate[_S, _P], _T]) -> Callable[Concatenate[_S, _P], Deferred[_T]]:
    """Refuse a request unless the store is open; its result or exception becomes the Deferred's."""

    @wraps(method)
    def request(self: _S, /, *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_T]:
        if not self.isOpen:
            return fail(StoreUnavailable("memory: the store is not open"))
        return execute(method, self, *args, **kwargs)

    return request


class MemoryAccounts(ScramAccountStore):
    """Accounts in a dictionary."""

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor)
        self.isOpen = False
        self._keys: dict[str, dict[str, ScramKeys]] = {}

    def open(self) -> Deferred[None]:
        """See L{ScramAccountStore.open}."""
        self.isOpen = True
        self._closed = False
        return succeed(None)

    @whileOpen
    def scramKeys(self, account: str, hashName: str) -> ScramKeys | None:
        """See L{ScramAccountStore.scramKeys}."""
        return self._keys.get(account, {}).get(hashName)

    @whileOpen
    def users(self, host: str | None = None) -> list[str]:
        """See L{ScramAccountStore.users}."""
        return sorted(jid for jid in self._keys if host is None or _domain(jid) == host)

    @whileOpen
    def _add(self, account: str, keys: Sequence[ScramKeys]) -> None:
        if account in self._keys:
            raise UserExists(f"there is an account {account} already")
        self._keys[account] = {key.hashName: key for key in keys}

    @whileOpen
    def _replace(self, account: str, keys: Sequence[ScramKeys]) -> None:
        if account not in self._keys:
            raise NoSuchUser(f"there is no account {account}")
        self._keys[account] = {key.hashName: key for key in keys}

    @whileOpen
    def _addMissing(self, account: str, keys: Sequence[ScramKeys], known: ScramKeys) -> bool:
        own = self._keys.get(account, {})
        if own.get(known.hashName) != known:
            return False
        for key in keys:
            own.setdefault(key.hashName, key)
        return True

    @whileOpen
    def _findMissing(self) -> frozenset[str]:
        return frozenset(name for name in HASHES if any(name not in own for own in self._keys.values()))

    @whileOpen
    def _remove(self, account: str) -> None:
        if self._keys.pop(account, None) is None:
            raise NoSuchUser(f"there is no account {account}")

    def _finish(self) -> Deferred[None]:
        self.isOpen = False
        return succeed(None)


@implementer(IRoomStore)
class MemoryRooms:
    """Rooms in a dictionary, with a sorted list of the public rooms of each domain."""

    def __init__(self) -> None:
        self.isOpen = False
        self._rooms: dict[str, RoomRecord] = {}
        self._public: dict[str, list[str]] = {}
        self._tombstones: dict[str, Tombstone] = {}
        self._preferences: dict[str, dict[str, Any]] = {}

    def open(self) -> Deferred[None]:
        """See L{IRoomStore.open}."""
        self.isOpen = True
        return succeed(None)

    def close(self) -> Deferred[None]:
        """See L{IRoomStore.close}."""
        self.isOpen = False
        return succeed(None)

    @whileOpen
    def load(self, room: str) -> RoomRecord | None:
        """See L{IRoomStore.load}."""
        record = self._rooms.get(room)
        return None if record is None else _copy(record)

    @whileOpen
    def save(self, room: str, record: RoomRecord) -> None:
        """See L{IRoomStore.save}."""
        self._put(room, _copy(record))
        self._tombstones.pop(room, None)

    @whileOpen
    def change(self, room: str, change: RoomChange) -> None:
        """See L{IRoomStore.change}."""
        record = self._rooms.get(room)
        if record is None:
            raise StoreError(f"the room {room} is not stored")
        if change.settings is not None:
            record = replace(
                record,
                settings=_copySettings(change.settings),
                name=change.name,
                public=change.public,
                temporary=change.temporary,
                description=change.description,
                language=change.language,
            )
        if change.subject is not None:
            record = replace(record, subject=change.subject)
        record = replace(record, size=record.size + change.growth)
        for (name, key), value in _copySettings(change.states).items():
            rows = cast(dict[str, dict[str, Any]], record.states).setdefault(name, {})
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value
        affiliates = cast(dict[str, Affiliate], record.affiliates)
        for jid, affiliate in change.affiliates.items():
            if affiliate is None:
                affiliates.pop(jid, None)
            else:
                affiliates[jid] = affiliate
        self._put(room, record)

    @whileOpen
    def destroy(self, room: str, tombstone: Tombstone | None = None) -> None:
        """See L{IRoomStore.destroy}."""
        record = self._rooms.pop(room, None)
        self._list(room, record is not None and record.public, False)
        self._tombstones.pop(room, None)
        if tombstone is not None:
            kept = {name: each for name, each in self._tombstones.items() if each.expires > tombstone.destroyed}
            self._tombstones = {**kept, room: replace(tombstone, affiliates=dict(tombstone.affiliates))}

    @whileOpen
    def tombstone(self, room: str) -> Tombstone | None:
        """See L{IRoomStore.tombstone}."""
        return self._tombstones.get(room)

    @whileOpen
    def publicRooms(self, domain: str, after: str | None, before: str | None, limit: int) -> PublicRooms:
        """See L{IRoomStore.publicRooms}."""
        names = self._public.get(domain, [])
        start, end = _page(names, after, before, limit)
        page = [(name, self._rooms[name].name) for name in names[start:end]]
        return PublicRooms(page, start if page else 0, len(names))

    @whileOpen
    def searchRooms(
        self, domain: str, search: RoomSearch, after: str | None, before: str | None, limit: int
    ) -> FoundRooms:
        """See L{IRoomStore.searchRooms}."""
        public = self._public.get(domain, [])
        listed = frozenset(public)
        order = {name: place for place, name in enumerate(search.among)} if search.among is not None else None
        candidates = public if order is None else [name for name in order if name in listed]
        terms, without = [fold(term) for term in search.terms], frozenset(search.without)
        found = [name for name in candidates if name not in without and self._matches(name, terms, search)]
        if order is None:
            start, end = _page(found, after, before, limit)
        else:
            places = [order[name] for name in found]
            start, end = _page(places, after and order[after], before and order[before], limit)
        page = [(name, _copySettings(self._rooms[name].settings)) for name in found[start:end]]
        return FoundRooms(page, start if page else 0, len(found))

    def _matches(self, name: str, terms: Sequence[str], search: RoomSearch) -> bool:
        room = self._rooms[name]
        columns = ((search.inAddress, name), (search.inName, room.name), (search.inDescription, room.description))
        texts = [fold(text) for wanted, text in columns if wanted]
        found = all(any(term in text for text in texts) for term in terms)
        return found and matchesLanguage(room.language, search.language)

    @whileOpen
    def affiliatedRooms(
        self, domain: str, user: str, affiliations: Collection[str], after: str | None, before: str | None, limit: int
    ) -> AffiliatedRooms:
        """See L{IRoomStore.affiliatedRooms}."""
        found = {
            name: (name, room.name, room.affiliates[user].affiliation)
            for name, room in self._rooms.items()
            if _domain(name) == domain and user in room.affiliates
        }
        names = sorted(name for name, (_, _, affiliation) in found.items() if affiliation in affiliations)
        start, end = _page(names, after, before, limit)
        page = [found[name] for name in names[start:end]]
        return AffiliatedRooms(page, start if page else 0, len(names))

    @whileOpen
    def temporaryRooms(self, domain: str) -> list[str]:
        """See L{IRoomStore.temporaryRooms}."""
        return sorted(name for name, room in self._rooms.items() if room.temporary and _domain(name) == domain)

    @whileOpen
    def usage(self, domain: str) -> dict[str, tuple[int, int]]:
        """See L{IRoomStore.usage}."""
        found: dict[str, tuple[int, int]] = {}
        for name, room in self._rooms.items():
            if _domain(name) == domain:
                count, size = found.get(room.creator, (0, 0))
                found[room.creator] = count + 1, size + room.size
        return found

    @whileOpen
    def names(self, after: str, limit: int) -> list[str]:
        """See L{IRoomStore.names}."""
        return sorted(name for name in self._rooms if name > after)[:limit]

    @whileOpen
    def tombstones(self, after: str, limit: int) -> list[str]:
        """See L{IRoomStore.tombstones}."""
        return sorted(name for name in self._tombstones if name > after)[:limit]

    @whileOpen
    def preferenceNames(self) -> list[str]:
        """See L{IRoomStore.preferenceNames}."""
        return sorted(name for name, chosen in self._preferences.items() if chosen)

    @whileOpen
    def preferences(self, name: str) -> dict[str, Any]:
        """See L{IRoomStore.preferences}."""
        return _copySettings(self._preferences.get(name, {}))

    @whileOpen
    def setPreference(self, name: str, user: str, value: Any) -> None:
        """See L{IRoomStore.setPreference}."""
        chosen = self._preferences.setdefault(name, {})
        chosen.update(_copySettings({user: value}))
        if value is None:
            del chosen[user]

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


def _page(keys: Sequence[Any], after: Any, before: Any, limit: int) -> tuple[int, int]:
    """Where a page of sorted keys begins and ends; a C{before} of C{""} requests the last one."""
    if after is not None:
        start = bisect_right(keys, after)
        return start, start + limit
    if before is not None:
        end = len(keys) if before == "" else bisect_left(keys, before)
        return max(0, end - limit), end
    return 0, limit


@implementer(IOccupantStore)
class MemoryOccupants:
    """Places of occupants in a dictionary. They survive closing, so that tests can restart a server."""

    def __init__(self) -> None:
        self.isOpen = False
        self._rooms: dict[str, dict[str, Place]] = {}
        self._put: set[tuple[str, str]] = set()
        self._sessions: list[bytes] = []

    def open(self) -> Deferred[None]:
        """See L{IOccupantStore.open}."""
        self.isOpen = True
        for room, kept in self._rooms.items():
            for jid, place in kept.items():
                kept[jid] = place._replace(stale=(room, jid) not in self._put)
        self._put.clear()
        return succeed(None)

    def close(self) -> Deferred[None]:
        """See L{IOccupantStore.close}."""
        self.isOpen = False
        return succeed(None)

    def put(self, room: str, *places: Place) -> None:
        """See L{IOccupantStore.put}."""
        if self.isOpen and places:
            kept = self._rooms.setdefault(room, {})
            for place in places:
                kept.pop(place.jid, None)
                kept[place.jid] = place
                if place.stale:
                    self._put.discard((room, place.jid))
                else:
                    self._put.add((room, place.jid))

    def remove(self, room: str, *jids: str) -> None:
        """See L{IOccupantStore.remove}."""
        kept = self._rooms.get(room)
        if self.isOpen and kept is not None:
            for jid in jids:
                kept.pop(jid, None)
            if not kept:
                del self._rooms[room]

    def removeRoom(self, room: str) -> None:
        """See L{IOccupantStore.removeRoom}."""
        if self.isOpen:
            self._rooms.pop(room, None)

    def places(self) -> dict[str, Sequence[Place]]:
        """See L{IOccupantStore.places}."""
        return {room: list(kept.values()) for room, kept in self._rooms.items() if self.isOpen}

    @whileOpen
    def saveSessions(self, sessions: Sequence[bytes]) -> None:
        """See L{IOccupantStore.saveSessions}."""
        self._sessions = list(sessions)

    @whileOpen
    def takeSessions(self) -> list[bytes]:
        """See L{IOccupantStore.takeSessions}."""
        taken, self._sessions = self._sessions, []
        return taken


def _domain(room: str) -> str:
    return room.rpartition("@")[2]


def _copySettings(settings: Mapping[_K, Any]) -> dict[_K, Any]:
    return {name: json.loads(json.dumps(value)) for name, value in settings.items()}


def _copy(room: RoomRecord) -> RoomRecord:
    """Copy a room, so that callers and the store do not share what can be changed."""
    states = {name: _copySettings(rows) for name, rows in room.states.items() if rows}
    return replace(room, settings=_copySettings(room.settings), affiliates=dict(room.affiliates), states=states)
