# -*- test-case-name: tests.muc.extensions.test_audit -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The audit trail of a room: who has moderated and configured it, when and why (design/0016). Owners and admins query it
with an ad-hoc command, operators with C{muccorectl audit}. It has names of settings, no values; no passwords and no
content of messages.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from muccore.interfaces import Affiliate, AuditEntry, IAuditStore, StoreError
from muccore.log.logger import Logger
from muccore.muc.extensions.auditcommand import NAME, AuditCommand, instanceOf
from muccore.muc.model.affiliations import affiliationOf
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.moderationact import ModerationAct
from muccore.muc.model.occupant import Occupant
from muccore.muc.model.privilegechanges import PrivilegeChange
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.room import Room
from muccore.muc.model.roomsettings import FIELDS, RoomSettings
from muccore.xmpp.commands import Command
from muccore.xmpp.jid import JID

EXPIRY_INTERVAL: Final = 6 * 3600
"""Seconds between two searches for entries that are too old."""

_FIRST_EXPIRY: Final = 300
_LOG_INTERVAL: Final = 60
_MICROSECONDS: Final = 1_000_000
_PASSWORD: Final = "muc#roomconfig_roomsecret"


@dataclass(frozen=True)
class _Requested:
    """
    Who has requested a change, and what it was before.

    @ivar actor: the requester's bare JID.
    """

    actor: str
    affiliates: Mapping[str, Affiliate | None]
    roles: Mapping[Occupant, Role]


class AuditTrail(RoomExtension):
    """The extension."""

    name = NAME

    _log = Logger()

    def __init__(self, store: IAuditStore, retention: float = 0) -> None:
        """@param retention: how long entries are kept, in seconds; 0: for ever."""
        self.store = IAuditStore(store)
        self._retention = retention
        self._requested: WeakKeyDictionary[PrivilegeChange, _Requested] = WeakKeyDictionary()
        self._configuring: WeakKeyDictionary[Room, str] = WeakKeyDictionary()
        self._lost = 0
        self._lastReport: float | None = None
        self._timer: IDelayedCall | None = None

    def newState(self) -> str:
        """Make what tells a room from earlier ones of its name, whose trails its owners must not see."""
        return secrets.token_hex(8)

    def commands(self) -> Sequence[Command[Room]]:
        """Let owners and admins query it."""
        return [AuditCommand(self.store)]

    # What is noted

    def beforePrivilegeChange(self, room: Room, actor: JID, change: PrivilegeChange) -> None:
        """Remember who requests it, and what it changes."""
        affiliates = {key: room.affiliations.entry(key) for key in change.affiliates}
        roles = {occupant: occupant.role for occupant, _, _ in change.roles}
        self._requested[change] = _Requested(actor.bare, affiliates, roles)

    def privilegesChanged(self, room: Room, change: PrivilegeChange) -> None:
        """Note changes of affiliations, roles and reserved nicks."""
        requested = self._requested.pop(change, None)
        if requested is None:
            # Nobody requested it.
            requested = _Requested("" if change.actor is None else change.actor.jid, {}, {})
        self._append(room, [*_affiliationActs(change, requested), *_roleActs(change, requested)])

    def beforeConfiguration(self, room: Room, actor: JID, settings: RoomSettings) -> None:
        """Remember who requests it."""
        self._configuring[room] = actor.bare

    def configured(self, room: Room, old: RoomSettings) -> None:
        """Note the names of changed settings."""
        actor = self._configuring.pop(room, "")
        rows = (*FIELDS, *room.extensions.fields)
        changed = [row.var for row in rows if row.valueIn(old) != row.valueIn(room.settings)]
        if old.password != room.settings.password:
            changed.append(_PASSWORD)
        if changed:
            self._append(room, [ModerationAct("configuration", actor, details={"changed": " ".join(changed)})])

    def moderated(self, room: Room, act: ModerationAct) -> None:
        """Note what was done otherwise, unless it concerns nobody but the actor, who retracts their own messages."""
        if act.target != act.actor:
            self._append(room, [act])

    def _append(self, room: Room, acts: Sequence[ModerationAct]) -> None:
        bare, now, instance = room.jid.bare, round(room.now() * _MICROSECONDS), instanceOf(room)
        entries = [
            AuditEntry(bare, instance, now, act.kind, act.actor, act.target, act.reason or "", act.details)
            for act in acts
        ]
        if entries:
            self.store.append(entries).addErrback(self._appendFailed, len(entries))

    def _appendFailed(self, failure: Failure, count: int) -> None:
        """Log that entries are missing, at most once a minute."""
        failure.trap(StoreError)
        self._lost += count
        now = self.service.parent.clock.seconds()
        if self._lastReport is None or now - self._lastReport >= _LOG_INTERVAL:
            self._log.error(
                "{count} entries of audit trails could not be written: {error}",
                count=self._lost, error=failure.getErrorMessage(),
            )  # fmt: skip
            self._lastReport, self._lost = now, 0

    # Expiry

    def start(self) -> None:
        """Begin to look for entries that are too old."""
        if self._retention:
            self._timer = self.service.parent.clock.callLater(_FIRST_EXPIRY, self._expire)

    def stop(self, final: bool) -> None:
        """Look no more."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _expire(self) -> None:
        clock = self.service.parent.clock

        def done(result: Any) -> None:
            if isinstance(result, Failure):
                self._log.error("cannot delete old entries of audit trails: {error}", error=result.getErrorMessage())
            if self._timer is not None:
                self._timer = clock.callLater(EXPIRY_INTERVAL, self._expire)

        self.store.expire(round((self.service.parent.now() - self._retention) * _MICROSECONDS)).addBoth(done)


def _affiliationActs(change: PrivilegeChange, requested: _Requested) -> Iterator[ModerationAct]:
    for key, entry in change.affiliates.items():
        new, former = affiliationOf(entry), requested.affiliates.get(key)
        details = {"from": affiliationOf(former).xmlName} if key in requested.affiliates else {}
        details["to"] = new.xmlName
        if entry is not None and entry.nick is not None:
            details["nick"] = entry.nick
        kind = "ban" if new is Affiliation.OUTCAST and key in change.reasons else "affiliation"
        if change.actor is None and requested.actor == key:
            kind = "registration"
        reason = change.reasons.get(key)
        if key not in change.reasons and entry is not None and (former is None or entry.reason != former.reason):
            # The affiliation stays, with another reason.
            reason = entry.reason
        yield ModerationAct(kind, requested.actor, key, reason, details)


def _roleActs(change: PrivilegeChange, requested: _Requested) -> Iterator[ModerationAct]:
    roles = dict(requested.roles)
    for occupant, role, reason in change.roles:
        former = roles.get(occupant)
        if former in (role, Role.NONE):
            continue
        roles[occupant] = role
        details = {"nick": occupant.nick}
        if former is not None:
            details["from"] = former.xmlName
        if role is not Role.NONE:
            details["to"] = role.xmlName
        kind = "kick" if role is Role.NONE else "role"
        yield ModerationAct(kind, requested.actor, occupant.account.bare, reason, details)
