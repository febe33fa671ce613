# -*- test-case-name: tests.muc.model.test_roomsize -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What a room takes in the store, in bytes: its list of affiliations with nicks and reasons, its configuration, its
subject, and what extensions keep, such as registrations.

Texts count as UTF-8, and a room, each entry and each row have a fixed part for what they need besides.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from muccore.interfaces import Affiliate, RoomChange, RoomRecord, Subject

if TYPE_CHECKING:
    from muccore.muc.model.room import Room

ROOM: Final = 512
"""The fixed part of a room."""

ENTRY: Final = 32
"""The fixed part of an entry of the list of affiliations, and of a row."""


def sizeOf(record: RoomRecord) -> int:
    """The size of a room as it is stored."""
    size = ROOM + jsonSize(dict(record.settings)) + _subjectSize(record.subject)
    size += sum(_affiliateSize(jid, entry) for jid, entry in record.affiliates.items())
    return size + sum(_rowSize(key, value) for rows in record.states.values() for key, value in rows.items())


def growthBy(room: Room, change: RoomChange) -> int:
    """How much a change adds to the size of a room; less than 0 if it becomes smaller."""
    entry, states = room.affiliations.entry, room.states
    growth = sum(_affiliateSize(jid, new) - _affiliateSize(jid, entry(jid)) for jid, new in change.affiliates.items())
    for (name, key), value in change.states.items():
        growth += _rowSize(key, value) - _rowSize(key, states.get(name, {}).get(key))
    if change.settings is not None:
        growth += jsonSize(dict(change.settings)) - jsonSize(room.settings.stored()["settings"])
    if change.subject is not None:
        growth += _subjectSize(change.subject) - _subjectSize(room.subject)
    return growth


def jsonSize(value: Any) -> int:
    """The size of a JSON value."""
    return _textSize(json.dumps(value, ensure_ascii=False))


def _textSize(text: str | None) -> int:
    if text is None:
        return 0
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _affiliateSize(jid: str, entry: Affiliate | None) -> int:
    return 0 if entry is None else ENTRY + _textSize(jid) + _textSize(entry.nick) + _textSize(entry.reason)


def _rowSize(key: str, value: Any) -> int:
    return 0 if value is None else ENTRY + _textSize(key) + jsonSize(value)


def _subjectSize(subject: Subject | None) -> int:
    return 0 if subject is None else sum(map(_textSize, (subject.text, subject.nick, subject.language, subject.author)))
