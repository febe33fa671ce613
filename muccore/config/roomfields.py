# -*- test-case-name: tests.config.test_roomfields -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The configuration of new rooms, and types of values that name fields of its form (XEP-0045 §16.5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from twisted.python.filepath import FilePath

from muccore.config.errors import InvalidValue, suggestion
from muccore.config.types import Type
from muccore.muc.extensions import STANDARD_FIELDS
from muccore.muc.model.roomsettings import FIELDS, ConfigField, RoomSettings
from muccore.muc.protocol.configurationform import PASSWORD_FIELDS, withDefaults

if TYPE_CHECKING:
    from muccore.config.mucsection import MUCSection

ROWS: Final[tuple[ConfigField, ...]] = (*FIELDS, *STANDARD_FIELDS)
"""The fields of every room; handlers may add others."""

OWN_KEYS: Final[Mapping[str, str]] = {
    "muc#roomconfig_publicroom": "default_public",
    "muc#roomconfig_persistentroom": "default_persistent",
    "muc#roomconfig_membersonly": "default_members_only",
    "muc#roomconfig_moderatedroom": "default_moderated",
    "muc#roomconfig_whois": "default_whois",
    "muc#roomconfig_enablelogging": "default_archive",
    "muc#maxhistoryfetch": "history",
}
"""The fields whose default is a key of its own, by name."""


def _checkName(name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        why = "no such field of the configuration form of a room" if name else ""
        raise InvalidValue(why, suggestion(name, names))


class FieldName(Type[str]):
    """The name of a field."""

    allowed = "the name of a field of the configuration form of a room, such as muc#roomconfig_persistentroom"

    def parse(self, text: str, base: FilePath[str]) -> str:
        """See L{Type.parse}."""
        _checkName(text, (*(row.var for row in ROWS), *PASSWORD_FIELDS))
        return text


class FieldDefault(Type[tuple[str, str]]):
    """The name of a field and its value, which L{muccore.config.validation} checks."""

    allowed = "a field of the configuration form of a room and its value, such as muc#roomconfig_changesubject = 1"

    def parse(self, text: str, base: FilePath[str]) -> tuple[str, str]:
        """See L{Type.parse}."""
        name, equals, value = (part.strip() for part in text.partition("="))
        _checkName(name, tuple(row.var for row in ROWS))
        if name in OWN_KEYS:
            raise InvalidValue(f"the key {OWN_KEYS[name]} is for this field")
        if not equals:
            raise InvalidValue("its value is missing")
        return name, value


def newRoom(muc: MUCSection, archived: bool) -> RoomSettings:
    """
    Return the configuration of a new room.

    @param archived: whether its messages are archived.
    @raise StanzaError: for a value that is not allowed.
    """
    settings = RoomSettings(
        public=muc.defaultPublic,
        persistent=muc.defaultPersistent,
        membersOnly=muc.defaultMembersOnly,
        moderated=muc.defaultModerated,
        nonAnonymous=muc.defaultWhois == "anyone",
        logged=archived,
        historyLength=muc.history,
    )
    return withDefaults(ROWS, settings, muc.roomDefaults, muc)
