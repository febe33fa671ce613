# -*- test-case-name: tests.operations.transfer.prosody.test_rooms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The rooms of a component of Prosody as records."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from muccore.interfaces import Affiliate, Subject
from muccore.muc.model.privileges import AFFILIATIONS
from muccore.muc.model.roomsettings import ABSENT, ROLES
from muccore.operations.transfer.foreignelements import shown
from muccore.operations.transfer.foreignmessages import messages, roomItem
from muccore.operations.transfer.pieces import DataError
from muccore.operations.transfer.prosody.archives import stored
from muccore.operations.transfer.prosody.folder import LIST, DataFolder
from muccore.operations.transfer.prosody.luadata import LuaTable
from muccore.operations.transfer.prosody.stanzas import elementOf
from muccore.operations.transfer.records import Messages, Problem, Record, Room
from muccore.operations.transfer.roomparts import HatRows, ReservedNicks, checkedSettings
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID, InvalidJID, make, parse

CONFIGURATIONS: Final = "config"
"""The store of rooms."""

ARCHIVES: Final = "muc_log"
"""The store of archives."""

STORES: Final = frozenset((CONFIGURATIONS, ARCHIVES, "state", "vcard_muc"))
"""The stores that are read."""

_HISTORY_LENGTH: Final = 20
"""Prosody's own default, which it does not write down."""

_LONGEST: Final = 10**9 - 1
"""The longest history that a form can ask for."""

_TEXTS: Final = {"name": "name", "description": "description", "language": "language", "password": "password"}
_SWITCHES: Final = {
    "persistent": "persistent", "members_only": "membersOnly", "moderated": "moderated",
    "changesubject": "changeSubject", "allow_member_invites": "allowInvites",
}  # fmt: skip
_KNOWN: Final = frozenset((
    *_TEXTS, *_SWITCHES, "hidden", "whois", "history_length", "presence_broadcast", "archiving", "subject",
    "subject_from", "subject_time", "occupant_id_salt", "locked",
))  # fmt: skip
_T = TypeVar("_T")

_UNKNOWN_REASON: Final = "muccore has no such setting"


class HostRooms:
    """The rooms of one component."""

    def __init__(self, folder: DataFolder, host: str) -> None:
        self._folder = folder
        self._host = host
        self._problems: list[Problem] = []
        self._room = ""

    def records(self) -> Iterator[Record]:
        """All rooms, each with its archive."""
        rooms = self._folder.names(self._host, CONFIGURATIONS)
        for name in rooms:
            yield from self._records(name)
        for name in sorted(set(self._folder.names(self._host, ARCHIVES, LIST)) - set(rooms)):
            yield Problem(shown(f"{name}@{self._host}"), "archive", "there is no such room", wholly=True)

    def _records(self, name: str) -> Iterator[Record]:
        try:
            room = make(name, self._host)
        except InvalidJID as error:
            yield Problem(shown(f"{name}@{self._host}"), "room", str(error), wholly=True)
            return
        self._room = room.bare
        try:
            frozen = self._folder.read(self._host, CONFIGURATIONS, name) or LuaTable()
        except DataError as error:
            yield Problem(room.bare, "room", str(error), wholly=True)
            return
        data = frozen.table("_data") or LuaTable()
        if data.named.get("destroyed"):
            yield Problem(room.bare, "room", "it was destroyed: Prosody only keeps where it has moved", wholly=True)
            return
        if not data.named.get("persistent"):
            yield Problem(room.bare, "room", "it is temporary: it ends with Prosody", wholly=True)
            return
        affiliates, states = self._affiliates(frozen)
        yield Room(
            room=room.bare,
            settings=self._settings(data, name),
            affiliates=affiliates,
            subject=self._try("subject", _subject, data),
            states=states,
            vCard=self._vCard(name),
        )
        problems, self._problems = self._problems, []
        yield from problems
        yield from self._archive(room, name)

    def _report(self, what: str, reason: str) -> None:
        self._problems.append(Problem(self._room, what, reason))

    def _try(self, what: str, read: Callable[..., _T], *arguments: Any) -> _T | None:
        """Read something; report what is wrong with it."""
        try:
            return read(*arguments)
        except (DataError, InvalidJID) as error:
            self._report(what, str(error))
            return None

    def _settings(self, data: LuaTable, name: str) -> dict[str, Any]:
        """The configuration, in which Prosody leaves out what is off."""
        made: dict[str, Any] = {setting: bool(data.named.get(key)) for key, setting in _SWITCHES.items()}
        for key, setting in _TEXTS.items():
            made[setting] = self._try(f"setting {key}", data.text, key) or ""
        made["public"] = not data.named.get("hidden")
        made["nonAnonymous"] = data.named.get("whois") == "anyone"
        length = data.number("history_length")
        made["historyLength"] = _HISTORY_LENGTH if length is None else max(0, min(_LONGEST, _whole(length)))
        broadcast = data.table("presence_broadcast")
        if broadcast is not None:
            wanted = [role for role in (*ROLES, ABSENT) if broadcast.named.get(role)]
            made["presenceBroadcast"] = wanted
        archiving = data.named.get("archiving")
        if isinstance(archiving, bool):
            made["logged"] = archiving
        elif self._folder.has(self._host, ARCHIVES, name, LIST):
            # It was archived since the component does so by default.
            made["logged"] = True
        for key in sorted(data.named.keys() - _KNOWN):
            self._report(f"setting {shown(key)}", _UNKNOWN_REASON)
        settings, problems = checkedSettings(made)
        for field, reason in problems:
            self._report(f"setting {field}", reason)
        return settings

    def _affiliates(self, frozen: LuaTable) -> tuple[dict[str, Affiliate], dict[str, dict[str, Any]]]:
        """The list of affiliations with reserved nicks, and the hats."""
        listed = frozen.table("_affiliations")
        entries = (listed if listed is not None else frozen).named
        data = (frozen.table("_affiliation_data") or LuaTable()).named
        made: dict[str, Affiliate] = {}
        nicks, assigned = ReservedNicks(), HatRows()
        for address in sorted(entries.keys() | data.keys()):
            if address.startswith("_") or (listed is None and address == "jid"):
                continue
            affiliation, details = entries.get(address, "none"), data.get(address)
            try:
                account = parse(address).bare
                if not isinstance(affiliation, str) or affiliation not in AFFILIATIONS:
                    raise DataError("its affiliation is not known")
            except (DataError, InvalidJID) as error:
                self._report(f"affiliation of {shown(address)}", str(error))
                continue
            details = details if isinstance(details, LuaTable) else LuaTable()
            nick = self._try(f"registered nick of {account}", _nick, account, details, nicks)
            if affiliation != "none" or nick is not None:
                made[account] = Affiliate(affiliation, nick)
            self._addHats(account, details, assigned)
        return made, assigned.states()

    def _addHats(self, account: str, details: LuaTable, assigned: HatRows) -> None:
        for uri, hat in sorted((details.table("hats") or LuaTable()).named.items()):
            if isinstance(hat, LuaTable) and hat.named.get("active"):
                self._try(f"hat of {account}", _addHat, assigned, account, uri, hat)

    def _vCard(self, name: str) -> Element | None:
        """What mod_vcard_muc keeps."""
        table = self._try("vCard", self._folder.read, self._host, "vcard_muc", name)
        return None if table is None else self._try("vCard", elementOf, table, ns.VCARD_TEMP)

    def _archive(self, room: JID, name: str) -> Iterator[Messages | Problem]:
        if self._folder.has(self._host, ARCHIVES, name, LIST):
            values = self._folder.readList(self._host, ARCHIVES, name)
            yield from messages(room.bare, values, lambda value, number: roomItem(stored(value, number), room))
            return
        try:
            state = self._folder.read(self._host, "state", name)
        except DataError as error:
            yield Problem(room.bare, "state", str(error))
            return
        if state is not None and state.table("_last_message") is not None:
            yield Problem(room.bare, "history", "the room was not archived: only its last message was kept")


def _nick(account: str, details: LuaTable, nicks: ReservedNicks) -> str | None:
    nick = details.text("reserved_nickname")
    return nicks.reserve(account, nick) if nick else None


def _subject(data: LuaTable) -> Subject | None:
    text, when = data.text("subject"), data.number("subject_time")
    if text is None and when is None:
        return None
    nick = (data.text("subject_from") or "").partition("/")[2]
    return Subject(text or "", nick, float(when or 0))


def _addHat(assigned: HatRows, account: str, uri: str, hat: LuaTable) -> None:
    assigned.add(account, uri, hat.text("title") or "")


def _whole(number: float) -> int:
    return int(number) if math.isfinite(number) else _LONGEST
