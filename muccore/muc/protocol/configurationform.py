# -*- test-case-name: tests.muc.protocol.test_configurationform -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The fields of the configuration form that stand for settings: how they are offered, read and checked (XEP-0045 §10.1.3,
§16.5.3), their defaults, and those that owners cannot change. Every refusal is C{not-acceptable} and names the field.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol, cast

from muccore.muc.model.extension import ExtensionField
from muccore.muc.model.roomsettings import MAX_USERS_CHOICES, NO_LIMIT, ConfigField, RoomSettings
from muccore.xmpp import dataforms, ns
from muccore.xmpp.dataforms import Value
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.uris import addressIn

PASSWORD_FIELDS: Final = ("muc#roomconfig_passwordprotectedroom", "muc#roomconfig_roomsecret")
"""The two fields of the password, which L{muccore.muc.protocol.owner} offers and reads."""

_TEXT_LIMITS: Final = {"name": 256, "description": 1024, "language": 64, "pubsubNode": 1024}
_CONTACTS_LIMIT: Final = 20
_LANGUAGE_TAG: Final = re.compile("([A-Za-z]{2,8}|[xi](?=-))(-[A-Za-z0-9]{1,8})*")
"""A language tag by its characters and lengths (RFC 5646 §2.1), without a look at the registry of subtags."""


class RoomLimits(Protocol):
    """What bounds the settings of every room: the settings of the service, or the section of the configuration."""

    @property
    def maxUsersLimit(self) -> int:
        """Maximum number of occupants; 0 for no limit."""

    @property
    def historyLimit(self) -> int:
        """Maximum history length, in messages."""


def formField(row: ConfigField, settings: RoomSettings, limits: RoomLimits) -> dataforms.Field:
    """The form field of a setting, as it is offered with these settings."""
    if row.setting != "maxUsers":
        bounds = row.bounds
        if bounds is not None and row.limit:
            bounds = (bounds[0], min(bounds[1], getattr(limits, row.limit, 0) or bounds[1]))
        return dataforms.Field(row.kind, row.var, row.label, row.options, desc=row.desc, bounds=bounds)
    limit = limits.maxUsersLimit
    offered = {choice for choice in MAX_USERS_CHOICES if not limit or choice <= limit}
    offered |= {settings.maxUsers or limit, limit} - {0}
    choices = [(str(choice), str(choice)) for choice in sorted(offered)]
    if not limit:
        choices.append((NO_LIMIT, "No limit"))
    return dataforms.Field(row.kind, row.var, row.label, tuple(choices), open=True)


def formRow(
    row: ConfigField, settings: RoomSettings, limits: RoomLimits
) -> tuple[dataforms.Field, bool | str | tuple[str, ...]]:
    """The field with its value, within its bounds: they may have become narrower since the value was set."""
    made, value = formField(row, settings, limits), row.valueIn(settings)
    if made.bounds is not None:
        least, greatest = made.bounds
        value = str(min(max(least, int(cast(str, value))), greatest))
    return made, value


def acceptedFields(rows: Iterable[ConfigField], settings: RoomSettings, limits: RoomLimits) -> list[dataforms.Field]:
    """The form fields of these settings under each of their names, as a submission may have them."""
    fields = []
    for row in rows:
        fields.append(formField(row, settings, limits))
        fields += [dataforms.Field(row.kind, alias) for alias in row.aliases]
    return fields


def settingsIn(
    rows: Iterable[ConfigField], current: RoomSettings, values: Mapping[str, Value], limits: RoomLimits
) -> dict[str, Any]:
    """
    The settings in a submitted form, those of extensions added to the current ones.

    @param values: by field, from L{dataforms.submitted} with L{acceptedFields}.
    @raise StanzaError: for the first value that is not allowed.
    """
    extended = dict(current.extensions)
    found: dict[str, Any] = {"extensions": extended}
    for row in rows:
        var = next((var for var in (row.var, *row.aliases) if var in values), None)
        if var is None:
            continue
        if isinstance(row, ExtensionField):
            value = _parsed(row, values[var])
            if value != row.get(current):
                extended[row.setting] = value
        else:
            found[row.setting] = _setting(row, values[var], limits)
    return found


def _parsed(row: ExtensionField, value: Value) -> Any:
    try:
        return row.parse(value)
    except ValueError as e:
        raise _refuse(row, str(e)) from None


def withDefaults(
    rows: Collection[ConfigField], settings: RoomSettings, defaults: Iterable[tuple[str, str]], limits: RoomLimits
) -> RoomSettings:
    """
    Change settings to what an operator wrote.

    @param defaults: names of fields and their values; the values of a C{-multi} field with spaces between them.
    @raise StanzaError: for the first value that is not allowed.
    """
    x = Element((ns.DATA, "x"))
    x.attributes["type"] = "submit"
    kinds = {row.var: row.kind for row in rows}
    for var, text in defaults:
        field = x.add("field", var=var)
        for value in text.split() if kinds[var].endswith("-multi") else (text,):
            field.add("value", text=value)
    values = dataforms.submitted(x, ns.MUC_ROOMCONFIG, acceptedFields(rows, settings, limits))
    return replace(settings, **settingsIn(rows, settings, values or {}, limits))


def lockedText(row: ConfigField, settings: RoomSettings) -> str:
    """What the form shows instead of a field that owners cannot change."""
    value = row.valueIn(settings)
    if isinstance(value, bool):
        shown = "yes" if value else "no"
    else:
        labels = dict(row.options)
        shown = ", ".join(labels.get(each, each) for each in ((value,) if isinstance(value, str) else value)) or "-"
    return f"{row.label}: {shown} (set by the operator of this service)"


def checkLocked(
    rows: Iterable[ConfigField], current: RoomSettings, wanted: RoomSettings, locked: Collection[str]
) -> None:
    """
    Check that a form changes no field that owners cannot change; it may repeat the value.

    @param locked: the names of these fields; each of L{PASSWORD_FIELDS} stands for both.
    @raise StanzaError: for the first field that would change.
    """
    changed = [row.var for row in rows if row.valueIn(wanted) != row.valueIn(current)]
    if wanted.password != current.password:
        changed += PASSWORD_FIELDS
    for var in changed:
        if var in locked:
            raise StanzaError("not-acceptable", text=f"{var}: set by the operator of this service")


def _refuse(row: ConfigField, why: str) -> StanzaError:
    return StanzaError("not-acceptable", text=f"{row.var}: {why}")


def _setting(row: ConfigField, value: Value, limits: RoomLimits) -> Any:
    if row.trueValue:
        return value == row.trueValue
    if row.kind == "list-multi":
        return tuple(option for option, _ in row.options if option in cast("tuple[str, ...]", value))
    if row.kind == "jid-multi":
        contacts = tuple(each.full for each in cast("tuple[JID, ...]", value))
        if len(contacts) > _CONTACTS_LIMIT:
            raise _refuse(row, f"more than {_CONTACTS_LIMIT} addresses")
        return contacts
    if row.setting == "maxUsers":
        limit = limits.maxUsersLimit
        # COMPAT: "0" and "" stood for "no limit" before "none" did.
        wanted = 0 if value in (NO_LIMIT, "0", "") else _number(row, value)
        return min(wanted or limit, limit) if limit else wanted
    if row.setting == "historyLength":
        return min(_number(row, value), limits.historyLimit)
    return _text(row, value) if row.setting in _TEXT_LIMITS else value


def _number(row: ConfigField, value: Value) -> int:
    text = cast(str, value).strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise _refuse(row, "not a number")
    return int(text)


def _text(row: ConfigField, value: Value) -> str:
    text, longest = cast(str, value), _TEXT_LIMITS[row.setting]
    if len(text) > longest:
        raise _refuse(row, f"longer than {longest} characters")
    if row.setting == "language":
        text = text.strip()
        if text and not _LANGUAGE_TAG.fullmatch(text):
            raise _refuse(row, "not a language tag such as en or pt-BR")
    elif row.setting == "pubsubNode":
        text = text.strip()
        if text and addressIn(text) is None:
            raise _refuse(row, "not an XMPP URI such as xmpp:pubsub.example.org?;node=news")
    return text
