# -*- test-case-name: tests.muc.service.test_rooms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What a stored room gets of extensions that it has not met yet."""

from __future__ import annotations

from dataclasses import replace

from muccore.interfaces import RoomChange, RoomRecord
from muccore.muc.model.extensionpoints import RoomExtensions
from muccore.muc.model.roomsettings import EXTENSION_PREFIX, RoomSettings
from muccore.muc.model.roomsize import jsonSize


def addMissingStates(
    record: RoomRecord, extensions: RoomExtensions, defaults: RoomSettings
) -> tuple[RoomRecord, RoomChange] | None:
    """Add the states of extensions that a room does not have; return it with what is to be stored, if there is any."""
    missing = extensions.missingStates(RoomSettings.fromMapping(record.settings, defaults).extensions)
    if not missing:
        return None
    settings = {**record.settings, **{EXTENSION_PREFIX + name: state for name, state in missing.items()}}
    growth = jsonSize(settings) - jsonSize(dict(record.settings))
    change = RoomChange(
        growth=growth, settings=settings, name=record.name, public=record.public, temporary=record.temporary,
        description=record.description, language=record.language,
    )  # fmt: skip
    return replace(record, settings=settings, size=record.size + growth), change
