# -*- test-case-name: tests.operations.transfer.test_storewriter -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Rooms into the stores of a server that does not run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from muccore.config.schema import Settings
from muccore.interfaces import RoomChange, RoomRecord
from muccore.muc.extensions.vcards import VCARD_ROWS, vCardRows
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.roomsettings import RoomSettings
from muccore.muc.model.roomsize import sizeOf
from muccore.operations.transfer.records import Problem, Room
from muccore.server.handlers import mucOptions
from muccore.server.stores import ServerStores
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID


class RoomWriter:
    """Writes rooms, one after the other."""

    def __init__(self, stores: ServerStores, settings: Settings, dryRun: bool) -> None:
        """@param dryRun: whether nothing is to be changed."""
        self._stores = stores
        self._dryRun = dryRun
        self._services = [service for host in settings.hosts for service in host.roomServices]
        self._defaults = mucOptions(settings, settings.server.domain).defaults
        self._pending: Room | None = None
        self._old: RoomRecord | None = None

    async def findProblem(self, address: JID) -> str | None:
        """Why a room cannot come at all; C{None} if it can."""
        if address.domain in self._services:
            return None
        return f"the rooms of this server are at {', '.join(self._services)}"

    async def exists(self, room: str) -> bool:
        """Whether there is a room."""
        return await self._stores.rooms.load(room) is not None

    async def begin(self, room: str, exists: bool) -> None:
        """Begin with a room. What was said in an earlier one of this name is removed."""
        self._pending = Room(room=room)
        self._old = await self._stores.rooms.load(room) if exists else None
        archive = self._stores.archive
        if not exists and not self._dryRun and archive is not None and await archive.metadata(room) is not None:
            await archive.delete(room)

    async def add(self, room: Room) -> list[Problem]:
        """
        Add what a record has.

        @return: what cannot come.
        """
        pending = self._pending
        assert pending is not None, "it has begun"
        states = {name: dict(rows) for name, rows in pending.states.items()}
        for name, rows in room.states.items():
            states.setdefault(name, {}).update(rows)
        problems = []
        if room.vCard is not None:
            try:
                states[VCARD_ROWS] = vCardRows(room.vCard)
            except StanzaError as e:
                problems.append(Problem(room.room, "the vCard", e.text or e.condition))
        self._pending = replace(
            pending,
            settings={**pending.settings, **room.settings},
            affiliates={**pending.affiliates, **room.affiliates},
            subject=room.subject or pending.subject,
            states=states,
            creator=room.creator or pending.creator,
        )
        return problems

    async def finish(self) -> list[Problem]:
        """
        Store the room, or what it did not have.

        @return: what of it cannot come.
        @raise StoreError: if it cannot be written.
        """
        pending, old = self._pending, self._old
        self._pending = self._old = None
        assert pending is not None, "it has begun"
        problems = []
        if old is not None:
            await self._change(pending, old)
            return []
        owner = Affiliation.OWNER.xmlName
        if owner not in (each.affiliation for each in pending.affiliates.values()):
            problems.append(Problem(pending.room, "an owner", "there is none, so that nobody can configure the room"))
        try:
            record = self._record(pending)
        except (TypeError, ValueError) as e:
            return [Problem(pending.room, "all of it", f"its settings cannot be understood: {e}", True)]
        if not self._dryRun:
            await self._stores.rooms.save(pending.room, record)
        return problems

    def _record(self, room: Room) -> RoomRecord:
        settings: dict[str, Any] = RoomSettings.fromMapping(room.settings, self._defaults).stored()
        states = {name: rows for name, rows in room.states.items() if rows}
        record = RoomRecord(
            affiliates=room.affiliates, subject=room.subject, states=states, creator=room.creator, **settings
        )
        return replace(record, size=sizeOf(record))

    async def _change(self, room: Room, old: RoomRecord) -> None:
        """Add what a room that exists does not have; its settings stay."""
        affiliates = {jid: entry for jid, entry in room.affiliates.items() if jid not in old.affiliates}
        states = {
            (name, key): value
            for name, rows in room.states.items()
            for key, value in rows.items()
            if key not in old.states.get(name, {})
        }
        if VCARD_ROWS in old.states:
            states = {place: value for place, value in states.items() if place[0] != VCARD_ROWS}
        subject = room.subject if old.subject is None else None
        new = replace(
            old, affiliates={**old.affiliates, **affiliates}, subject=old.subject or subject,
            states={name: {**old.states.get(name, {}), **_rowsOf(name, states)} for name in
                    {*old.states, *(name for name, _ in states)}},
        )  # fmt: skip
        change = RoomChange(affiliates, subject=subject, states=states, growth=sizeOf(new) - sizeOf(old))
        if not self._dryRun and (affiliates or states or subject is not None):
            await self._stores.rooms.change(room.room, change)


def _rowsOf(name: str, states: dict[tuple[str, str], Any]) -> dict[str, Any]:
    return {key: value for (extension, key), value in states.items() if extension == name}
