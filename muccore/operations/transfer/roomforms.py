# -*- test-case-name: tests.operations.transfer.test_documentsource -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The configuration of a room as the form that its owner would submit (XEP-0045 §16.5.3), which every server knows, and
back. What no field stands for is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, Final, cast

from muccore.muc.model.roomsettings import FIELDS, RoomSettings
from muccore.muc.protocol.configurationform import PASSWORD_FIELDS, acceptedFields, settingsIn
from muccore.xmpp import dataforms, ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError

_BARE: Final = RoomSettings(
    persistent=False, public=True, membersOnly=False, moderated=False, nonAnonymous=False, historyLength=0
)

_ROWS: Final = {var: row for row in FIELDS for var in (row.var, *row.aliases)}

_LISTS: Final = frozenset(["muc#roomconfig_roomadmins", "muc#roomconfig_roomowners"])
"""Fields that repeat what is in the list of affiliations."""


class _Unlimited:
    """No limit: those of this server are applied when a room is loaded."""

    maxUsersLimit = 0
    historyLimit = 10**9


def formOf(settings: Mapping[str, Any]) -> tuple[Element, dict[str, Any]]:
    """
    Make the form of a configuration.

    @return: the form, and the settings that are not in it.
    """
    left = dict(settings)
    x = Element((ns.DATA, "x"), None, {"type": "submit"})
    _addField(x, dataforms.FORM_TYPE, ns.MUC_ROOMCONFIG)
    for row in FIELDS:
        if row.setting in left:
            value = left.pop(row.setting)
            given = tuple(value) if isinstance(value, list) else value
            shown = row.valueIn(cast(RoomSettings, SimpleNamespace(**{row.setting: given})))
            _addField(x, row.var, *_texts(shown))
    if "password" in left:
        password = left.pop("password")
        _addField(x, PASSWORD_FIELDS[0], "1" if password else "0")
        _addField(x, PASSWORD_FIELDS[1], password)
    return x, left


def _texts(value: bool | str | tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("1" if value else "0",)
    return value if isinstance(value, tuple) else (value,)


def _addField(x: Element, var: str, *values: str) -> None:
    field = x.add("field", var=var)
    for value in values:
        field.add("value", text=value)


def settingsOf(x: Element) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """
    Read a form, whatever its type is.

    @return: the settings, and for each field that cannot come its name, and why not.
    """
    found: dict[str, Any] = {}
    problems: list[tuple[str, str]] = []
    password: dict[str, str] = {}
    for field in x.childElements():
        var = field.get("var") or ""
        if field.name != "field" or var in _LISTS or var in ("", dataforms.FORM_TYPE) or field.get("type") == "fixed":
            continue
        if var in PASSWORD_FIELDS:
            password[var] = field.childText("value") or ""
        elif var not in _ROWS:
            problems.append((var, "this server has no such setting"))
        else:
            try:
                found.update(_parsed(field))
            except StanzaError as e:
                problems.append((var, e.text or e.condition))
    if password:
        isProtected = password.get(PASSWORD_FIELDS[0], "1").strip() in ("1", "true")
        found["password"] = password.get(PASSWORD_FIELDS[1], "") if isProtected else ""
    return found, problems


def _parsed(field: Element) -> Iterator[tuple[str, Any]]:
    """Parse one field, or raise L{StanzaError}."""
    row = _ROWS[field.attributes["var"]]
    x = Element((ns.DATA, "x"), None, {"type": "submit"})
    x.children.append(field)
    fields = acceptedFields([row], _BARE, _Unlimited())
    values = dataforms.submitted(x, ns.MUC_ROOMCONFIG, fields) or {}
    settings = settingsIn([row], _BARE, values, _Unlimited())
    del settings["extensions"]
    return ((name, list(value) if isinstance(value, tuple) else value) for name, value in settings.items())
