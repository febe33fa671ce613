# -*- test-case-name: tests.muc.extensions.test_auditcommand -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The ad-hoc command that shows the audit trail of a room to its owners and admins (docs/moderation.md)."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final

from twisted.internet.defer import Deferred

from muccore.interfaces import AuditEntry, AuditPage, AuditQuery, IAuditStore
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room
from muccore.muc.model.roomcommands import RoomCommand
from muccore.muc.service.storefailures import storeFailed
from muccore.xmpp import dataforms, ns
from muccore.xmpp.commands import CommandForm, CommandRequest, Completed, badPayload
from muccore.xmpp.dataforms import Field
from muccore.xmpp.datetimes import parseStamp, stamp
from muccore.xmpp.errors import StanzaError

NAME: Final = "audit"
"""The name of the extension."""

PAGE: Final = 50
"""Entries of one answer."""

WAITING: Final = 4
"""Pending queries of one account."""

KINDS: Final = (
    ("ban", "Bans"),
    ("kick", "Kicks"),
    ("affiliation", "Changes of affiliations, and memberships"),
    ("role", "Changes of roles"),
    ("mute", "Mutes for a time"),
    ("unmute", "Mutes that are ended"),
    ("registration", "Registrations"),
    ("hat", "Hats"),
    ("retraction", "Retracted messages"),
    ("configuration", "Changes of the configuration"),
    ("destruction", "Destruction"),
)
"""The kinds of entries that the server itself makes, with their names for people."""

_MICROSECONDS: Final = 1_000_000
_NUMBER: Final = re.compile("[0-9]{1,18}")
_DATE: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")

_KIND: Final = Field("list-single", "kind", "What was done", (("", "Anything"), *KINDS), open=True)
_WHO: Final = Field("jid-single", "who", "Who has done it, or whom it concerns")
_SINCE: Final = Field("text-single", "since", "Since when (2026-11-29 or 2026-11-29T12:00:00Z)")
_BEFORE: Final = Field("text-single", "before", "Before the entry with the number")

_COLUMNS: Final = (
    Field("text-single", "number", "Number"),
    Field("text-single", "time", "Time"),
    Field("text-single", "kind", "Kind"),
    Field("jid-single", "actor", "Actor"),
    Field("jid-single", "target", "Target"),
    Field("text-single", "reason", "Reason"),
    Field("text-single", "details", "Details"),
)


class AuditCommand(RoomCommand):
    """The command."""

    node = f"{ns.MODERATION}#audit"
    name = "Show who has moderated and configured the room"
    stages = 1
    affiliation = Affiliation.ADMIN

    def __init__(self, store: IAuditStore) -> None:
        """@param store: has the trails."""
        self._store = store
        self._pending: Counter[str] = Counter()

    def form(self, request: CommandRequest[Room], stage: int) -> CommandForm:
        """Ask for what."""
        fields = [(_KIND, ""), (_WHO, None), (_SINCE, None), (_BEFORE, None)]
        return CommandForm(self.node, fields, self.name, [f"The last {PAGE} entries are shown."])

    def carryOut(self, request: CommandRequest[Room]) -> Deferred[Completed]:
        """Query the trail of this room, not those of earlier ones of its name."""
        room, values, account = request.subject, request.values, request.requester.bare
        who, before = values.get("who"), (values.get("before") or "").strip()
        if before and _NUMBER.fullmatch(before) is None:
            raise badPayload("before: not the number of an entry")
        query = AuditQuery(
            room=room.jid.bare,
            instance=instanceOf(room),
            kind=values.get("kind") or None,
            who=None if who is None else who.bare,
            since=_since((values.get("since") or "").strip()),
            before=int(before) if before else None,
            limit=PAGE,
        )
        if self._pending[account] >= WAITING:
            raise StanzaError("resource-constraint", text="Too many of your queries are still being answered.")
        self._pending[account] += 1

        def ended(result: Any) -> Any:
            self._pending[account] -= 1
            if not self._pending[account]:
                del self._pending[account]
            return result

        def found(page: AuditPage) -> Completed:
            # They may have been banned meanwhile.
            if not self.mayUse(room, request.requester):
                raise StanzaError("forbidden")
            return _completed(page)

        return self._store.query(query).addBoth(ended).addCallbacks(found, storeFailed)


def instanceOf(room: Room) -> str:
    """What tells a room from earlier ones of its name."""
    return str(room.settings.extensions.get(NAME, ""))


def parseTime(text: str) -> int:
    """
    Parse a date or a time of XEP-0082.

    @return: microseconds since the epoch; for a date, of its beginning in UTC.
    @raise ValueError: if it is neither.
    """
    if _DATE.fullmatch(text):
        seconds = datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    else:
        seconds = parseStamp(text)
    return round(seconds * _MICROSECONDS)


def shown(entry: AuditEntry) -> tuple[str, ...]:
    """An entry as people see it: number, time, kind, actor, target, reason and details; C{""} for what there is not."""
    details = ", ".join(f"{name}: {value}" for name, value in entry.details.items())
    time = stamp(entry.time / _MICROSECONDS)
    return str(entry.id), time, entry.kind, entry.actor, entry.target, entry.reason, details


def _since(text: str) -> int | None:
    if not text:
        return None
    try:
        return parseTime(text)
    except ValueError:
        raise badPayload("since: neither a date such as 2026-11-29 nor a time such as 2026-11-29T12:00:00Z") from None


def _completed(page: AuditPage) -> Completed:
    if not page.entries:
        return Completed(note="There are no such entries.")
    note = ""
    if not page.complete:
        note = f"There are older entries: execute the command again, before the entry {page.entries[-1].id}."
    return Completed([dataforms.table("Audit trail", _COLUMNS, map(shown, page.entries))], note)
