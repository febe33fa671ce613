# -*- test-case-name: tests.muc.model.test_roomrecord -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What is stored of a room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from muccore.interfaces import RoomRecord
from muccore.muc.model.roomsize import sizeOf

if TYPE_CHECKING:
    from muccore.muc.model.affiliations import Changes
    from muccore.muc.model.room import Room
    from muccore.muc.model.roomsettings import RoomSettings


def recordOf(
    room: Room, settings: RoomSettings, changes: Changes, rows: Mapping[tuple[str, str], Any]
) -> RoomRecord:
    """
    The room as it is stored with a configuration and some changes of affiliations.

    @param rows: all rows of extensions that change with them, as in L{putRows}.
    """
    affiliates = {**room.affiliations.entries(), **changes}
    states = {name: dict(rows) for name, rows in room.states.items()}
    _update(states, rows)
    record = RoomRecord(
        affiliates={jid: entry for jid, entry in affiliates.items() if entry is not None},
        subject=room.subject,
        states={name: rows for name, rows in states.items() if rows},
        creator=room.creator,
        **settings.stored(),
    )
    return replace(record, size=sizeOf(record))


def putRows(room: Room, rows: Mapping[tuple[str, str], Any]) -> None:
    """Put rows of extensions, by name of the extension and key; C{None} removes one."""
    _update(room.states, rows)


def _update(states: dict[str, dict[str, Any]], rows: Mapping[tuple[str, str], Any]) -> None:
    """Put rows into the states of a room, as L{putRows}."""
    for (name, key), value in rows.items():
        if value is not None:
            states.setdefault(name, {})[key] = value
        elif name in states:
            states[name].pop(key, None)
