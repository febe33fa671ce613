# -*- test-case-name: tests.muc.protocol.test_owner -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{muc#owner} requests: the configuration form, its submission, and destruction (XEP-0045 §10.1, §10.2, §10.9)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from muccore.muc.model import privilegechanges
from muccore.muc.model.extension import ExtensionField
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room
from muccore.muc.model.roomsettings import FIELDS, MAX_USERS_CHOICES, NO_LIMIT, ConfigField, RoomSettings
from muccore.muc.service.servicesettings import MUCServiceSettings
from muccore.xmpp import dataforms, ns
from muccore.xmpp.dataforms import Value
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.stanzas import parseAddress

_PROTECTED: Final = dataforms.Field("boolean", "muc#roomconfig_passwordprotectedroom", "Require a password to enter")
_SECRET: Final = dataforms.Field("text-private", "muc#roomconfig_roomsecret", "Password")
_ADMINS: Final = dataforms.Field("jid-multi", "muc#roomconfig_roomadmins", "Room admins")
_OWNERS: Final = dataforms.Field("jid-multi", "muc#roomconfig_roomowners", "Room owners")

_TEXT_LIMITS: Final = {"name": 256, "description": 1024, "language": 64}
_PASSWORD_LIMIT: Final = 1024
_CONTACTS_LIMIT: Final = 20
_LANGUAGE_TAG: Final = re.compile("([A-Za-z]{2,8}|[xi](?=-))(-[A-Za-z0-9]{1,8})*")
"""A language tag by its characters and lengths (RFC 5646 §2.1), without a look at the registry of subtags."""


@dataclass(frozen=True)
class ConfigureRequest:
    """A submitted configuration, and the changes of owners and admins in the form."""

    settings: RoomSettings
    plan: privilegechanges.PrivilegeChange = field(default_factory=privilegechanges.PrivilegeChange)


@dataclass(frozen=True)
class DestructionRequest:
    """
    The owner destroys the room.

    @ivar reason: the reason, or C{None}.
    @ivar venue: the room to go to instead, or C{None}.
    @ivar password: its password, or C{None}.
    """

    reason: str | None = None
    venue: JID | None = None
    password: str | None = field(default=None, repr=False)


def check(room: Room, sender: JID) -> None:
    """@raise StanzaError: C{forbidden} if the sender is no owner."""
    if room.affiliations.get(sender) is not Affiliation.OWNER:
        raise StanzaError("forbidden")


def form(room: Room, options: MUCServiceSettings) -> Element:
    """The configuration form with the present settings, in its C{<query/>}."""
    settings = room.settings
    rows: list[tuple[dataforms.Field, Value]] = []
    for row in (*FIELDS, *room.extensions.fields):
        if row.hiddenWhenOff and not row.valueIn(settings) and not options.archiving:
            continue
        rows.append(_formRow(row, settings, options))
        if row.setting == "allowInvites":
            rows += [(_PROTECTED, bool(settings.password)), (_SECRET, settings.password)]
    having = room.affiliations.withAffiliation
    rows.append((_ADMINS, [jid for jid, _ in having(Affiliation.ADMIN)]))
    rows.append((_OWNERS, [jid for jid, _ in having(Affiliation.OWNER)]))
    query = Element((ns.MUC_OWNER, "query"))
    made = dataforms.form(
        "form",
        ns.MUC_ROOMCONFIG,
        rows,
        f"Configuration of {room.jid.bare}",
        ["Complete this form to open the new room." if room.locked else "Complete this form to change the room."],
    )
    query.children.append(made)
    return query


def _formRow(
    row: ConfigField, settings: RoomSettings, options: MUCServiceSettings
) -> tuple[dataforms.Field, bool | str | tuple[str, ...]]:
    """The field with its value, within its bounds: they may have become narrower since the value was set."""
    made, value = _formField(row, settings, options), row.valueIn(settings)
    if made.bounds is not None:
        least, greatest = made.bounds
        value = str(min(max(least, int(cast(str, value))), greatest))
    return made, value


def _formField(row: ConfigField, settings: RoomSettings, options: MUCServiceSettings) -> dataforms.Field:
    if row.setting != "maxUsers":
        bounds = row.bounds
        if bounds is not None and row.limit:
            bounds = (bounds[0], min(bounds[1], getattr(options, row.limit) or bounds[1]))
        return dataforms.Field(row.kind, row.var, row.label, row.options, desc=row.desc, bounds=bounds)
    limit = options.maxUsersLimit
    offered = {choice for choice in MAX_USERS_CHOICES if not limit or choice <= limit}
    offered |= {settings.maxUsers or limit, limit} - {0}
    choices = [(str(choice), str(choice)) for choice in sorted(offered)]
    if not limit:
        choices.append((NO_LIMIT, "No limit"))
    return dataforms.Field(row.kind, row.var, row.label, tuple(choices), open=True)


def parse(
    room: Room, sender: JID, query: Element, options: MUCServiceSettings
) -> ConfigureRequest | DestructionRequest | None:
    """
    Parse a request of an owner; C{None} if they cancel the configuration.

    @raise StanzaError: C{bad-request} for an invalid request; C{not-acceptable} for an invalid value, C{conflict} if no
        owner would be left, with the name of the field.
    """
    destroy = query.child("destroy")
    if destroy is not None:
        address = destroy.get("jid")
        venue = parseAddress(address) if address else None
        return DestructionRequest(destroy.childText("reason") or None, venue, destroy.childText("password") or None)
    x = dataforms.find(query)
    if x is None:
        raise StanzaError("bad-request", text="The request must contain a form or <destroy/>.")
    rows = (*FIELDS, *room.extensions.fields)
    fields = [_formField(row, room.settings, options) for row in rows]
    values = dataforms.submitted(x, ns.MUC_ROOMCONFIG, [*fields, _PROTECTED, _SECRET, _ADMINS, _OWNERS])
    if values is None:
        return None
    settings = _settings(room.settings, rows, values, options)
    owners, admins = _jids(values, _OWNERS), _jids(values, _ADMINS)
    plan = privilegechanges.PrivilegeChange()
    if owners is not None or admins is not None:
        try:
            plan = privilegechanges.planOwnersAndAdmins(room, sender, owners, admins)
        except StanzaError as e:
            named = ", ".join(str(each.var) for each in (_OWNERS, _ADMINS) if each.var in values)
            raise StanzaError(e.condition, e.type, f"{named}: {e.text or 'not allowed'}") from None
    return ConfigureRequest(settings, plan)


def _jids(values: Mapping[str, Value], formField: dataforms.Field) -> Iterable[JID] | None:
    value = values.get(cast(str, formField.var))
    return None if value is None else cast("tuple[JID, ...]", value)


def _settings(
    current: RoomSettings, rows: Iterable[ConfigField], values: Mapping[str, Value], options: MUCServiceSettings
) -> RoomSettings:
    """The present settings with the submitted values."""
    wanted: dict[str, Any] = {}
    extended = dict(current.extensions)
    for row in rows:
        if row.var not in values:
            continue
        if isinstance(row, ExtensionField):
            value = _parsed(row, values[row.var])
            if value != row.get(current):
                extended[row.setting] = value
        else:
            wanted[row.setting] = _setting(row, values[row.var], options)
    wanted["extensions"] = extended
    protected, secret = values.get(cast(str, _PROTECTED.var)), values.get(cast(str, _SECRET.var))
    if protected is False:
        wanted["password"] = ""
    elif secret is not None:
        wanted["password"] = secret
    settings = replace(current, **wanted)
    password = settings.password
    if (protected is True and not password) or (password and not password.strip()):
        raise StanzaError("not-acceptable", text=f"{_SECRET.var}: a protected room needs a password that is not blank")
    if len(password) > _PASSWORD_LIMIT:
        raise StanzaError("not-acceptable", text=f"{_SECRET.var}: longer than {_PASSWORD_LIMIT} characters")
    return settings


def _parsed(row: ExtensionField, value: Value) -> Any:
    try:
        return row.parse(value)
    except ValueError as e:
        raise StanzaError("not-acceptable", text=f"{row.var}: {e}") from None


def _setting(row: ConfigField, value: Value, options: MUCServiceSettings) -> Any:
    if row.trueValue:
        return value == row.trueValue
    if row.kind == "list-multi":
        return tuple(option for option, _ in row.options if option in cast("tuple[str, ...]", value))
    if row.setting == "maxUsers":
        limit = options.maxUsersLimit
        # COMPAT: "0" and "" stood for "no limit" before "none" did.
        wanted = 0 if value in (NO_LIMIT, "0", "") else _number(row, value)
        return min(wanted or limit, limit) if limit else wanted
    if row.setting == "historyLength":
        return min(_number(row, value), options.historyLimit)
    if row.setting == "contacts":
        contacts = tuple(jid.full for jid in cast("tuple[JID, ...]", value))
        if len(contacts) > _CONTACTS_LIMIT:
            raise StanzaError("not-acceptable", text=f"{row.var}: more than {_CONTACTS_LIMIT} addresses")
        return contacts
    longest = _TEXT_LIMITS.get(row.setting)
    if longest is not None and len(cast(str, value)) > longest:
        raise StanzaError("not-acceptable", text=f"{row.var}: longer than {longest} characters")
    if row.setting == "language":
        tag = cast(str, value).strip()
        if tag and not _LANGUAGE_TAG.fullmatch(tag):
            raise StanzaError("not-acceptable", text=f"{row.var}: not a language tag such as en or pt-BR")
        return tag
    return value


def _number(row: ConfigField, value: Value) -> int:
    text = cast(str, value).strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise StanzaError("not-acceptable", text=f"{row.var}: not a number")
    return int(text)
