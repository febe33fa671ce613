# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Rooms as rows: a row for each room, a row for each entry of its list."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from muccore.interfaces import (
    AffiliatedRooms,
    FoundRooms,
    IRoomStore,
    PublicRooms,
    RoomChange,
    RoomRecord,
    RoomSearch,
    Tombstone,
)
from muccore.storage.rows.batching import RowDatabase
from muccore.storage.rows.preferences import listPreferences, putPreference
from muccore.storage.rows.roomrows import RoomRows
from muccore.storage.rows.store import RowStore, namesFrom
from muccore.storage.rows.tombstones import loadTombstone

_K = TypeVar("_K")


@implementer(IRoomStore)
class RowRooms(RowStore):
    """Rooms in a database."""

    def __init__(self, database: RowDatabase, rows: RoomRows) -> None:
        """
        @param database: has the tables, or makes them when it is opened.
        @param rows: the statements of its dialect.
        """
        super().__init__(database)
        self._rows = rows

    def load(self, room: str) -> Deferred[RoomRecord | None]:
        """See L{IRoomStore.load}."""
        return self.database.read(lambda connection: self._rows.load(connection, room), room)

    def save(self, room: str, record: RoomRecord) -> Deferred[None]:
        """See L{IRoomStore.save}."""
        # The caller may change the mappings after the call.
        try:
            settings = json.dumps(dict(record.settings))
            states = [(name, *row) for name, rows in record.states.items() for row in _dumped(rows)]
        except (TypeError, ValueError) as e:
            return fail(e)
        affiliates = dict(record.affiliates)
        return self.database.write(
            lambda connection: self._rows.save(connection, room, record, settings, affiliates, states), room
        )

    def change(self, room: str, change: RoomChange) -> Deferred[None]:
        """See L{IRoomStore.change}."""
        try:
            settings = None if change.settings is None else json.dumps(dict(change.settings))
            states = [(*key, value) for key, value in _dumped(change.states)]
        except (TypeError, ValueError) as e:
            return fail(e)
        affiliates = dict(change.affiliates)
        return self.database.write(
            lambda connection: self._rows.change(connection, room, change, settings, affiliates, states), room
        )

    def destroy(self, room: str, tombstone: Tombstone | None = None) -> Deferred[None]:
        """See L{IRoomStore.destroy}."""
        return self.database.write(lambda connection: self._rows.destroy(connection, room, tombstone), room)

    def tombstone(self, room: str) -> Deferred[Tombstone | None]:
        """See L{IRoomStore.tombstone}."""
        return self.database.read(lambda connection: loadTombstone(connection, room), room)

    def publicRooms(self, domain: str, after: str | None, before: str | None, limit: int) -> Deferred[PublicRooms]:
        """See L{IRoomStore.publicRooms}."""
        return self.database.readCommitted(
            lambda connection: self._rows.publicRooms(connection, domain, after, before, limit)
        )

    def searchRooms(
        self, domain: str, search: RoomSearch, after: str | None, before: str | None, limit: int
    ) -> Deferred[FoundRooms]:
        """See L{IRoomStore.searchRooms}."""
        return self.database.readCommitted(
            lambda connection: self._rows.searchRooms(connection, domain, search, after, before, limit)
        )

    def affiliatedRooms(
        self, domain: str, user: str, affiliations: Collection[str], after: str | None, before: str | None, limit: int
    ) -> Deferred[AffiliatedRooms]:
        """See L{IRoomStore.affiliatedRooms}."""
        arguments = domain, user, affiliations, after, before, limit
        return self.database.read(lambda connection: self._rows.affiliatedRooms(connection, *arguments))

    def temporaryRooms(self, domain: str) -> Deferred[list[str]]:
        """See L{IRoomStore.temporaryRooms}."""
        return self.database.read(lambda connection: self._rows.temporaryRooms(connection, domain))

    def usage(self, domain: str) -> Deferred[dict[str, tuple[int, int]]]:
        """See L{IRoomStore.usage}."""
        return self.database.read(lambda connection: self._rows.usage(connection, domain))

    def names(self, after: str, limit: int) -> Deferred[list[str]]:
        """See L{IRoomStore.names}."""
        return self.database.read(lambda connection: namesFrom(connection, "room", "jid", after, limit))

    def tombstones(self, after: str, limit: int) -> Deferred[list[str]]:
        """See L{IRoomStore.tombstones}."""
        return self.database.read(lambda connection: namesFrom(connection, "tombstone", "room", after, limit))

    def preferenceNames(self) -> Deferred[list[str]]:
        """See L{IRoomStore.preferenceNames}."""
        return self.database.read(listPreferences)

    def preferences(self, name: str) -> Deferred[dict[str, Any]]:
        """See L{IRoomStore.preferences}."""
        return self.database.read(lambda connection: self._rows.preferences(connection, name))

    def setPreference(self, name: str, user: str, value: Any) -> Deferred[None]:
        """See L{IRoomStore.setPreference}."""
        try:
            text = None if value is None else json.dumps(value)
        except (TypeError, ValueError) as e:
            return fail(e)
        return self.database.write(lambda connection: putPreference(connection, name, user, text), user)


def _dumped(values: Mapping[_K, Any]) -> Iterator[tuple[_K, str | None]]:
    return ((key, None if value is None else json.dumps(value)) for key, value in values.items())
