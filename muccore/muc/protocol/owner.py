# -*- test-case-name: tests.muc.protocol.test_owner -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{muc#owner} requests: the configuration form, its submission, and destruction (XEP-0045 §10.1, §10.2, §10.9)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, cast

from muccore.muc.model import privilegechanges
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room
from muccore.muc.model.roomsettings import FIELDS, ConfigField, RoomSettings
from muccore.muc.protocol.configurationform import (
    PASSWORD_FIELDS,
    acceptedFields,
    checkLocked,
    formRow,
    lockedText,
    settingsIn,
)
from muccore.muc.service.servicesettings import MUCServiceSettings
from muccore.xmpp import dataforms, ns
from muccore.xmpp.dataforms import Value
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.stanzas import parseAddress

_PROTECTED: Final = dataforms.Field("boolean", PASSWORD_FIELDS[0], "Require a password to enter")
_SECRET: Final = dataforms.Field("text-private", PASSWORD_FIELDS[1], "Password")
_FIXED: Final = dataforms.Field("fixed", None)
_ADMINS: Final = dataforms.Field("jid-multi", "muc#roomconfig_roomadmins", "Room admins")
_OWNERS: Final = dataforms.Field("jid-multi", "muc#roomconfig_roomowners", "Room owners")

_PASSWORD_LIMIT: Final = 1024


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
        if row.var in options.lockedFields:
            rows.append((_FIXED, lockedText(row, settings)))
        else:
            rows.append(formRow(row, settings, options))
        if row.setting == "allowInvites" and options.lockedFields.isdisjoint(PASSWORD_FIELDS):
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
    fields = acceptedFields(rows, room.settings, options)
    values = dataforms.submitted(x, ns.MUC_ROOMCONFIG, [*fields, _PROTECTED, _SECRET, _ADMINS, _OWNERS])
    if values is None:
        return None
    settings = settingsWith(room.settings, rows, values, options)
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


def settingsWith(
    current: RoomSettings, rows: Collection[ConfigField], values: Mapping[str, Value], options: MUCServiceSettings
) -> RoomSettings:
    """The present settings with the submitted values of some fields; raises as L{parse}."""
    wanted = settingsIn(rows, current, values, options)
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
    checkLocked(rows, current, settings, options.lockedFields)
    return settings
