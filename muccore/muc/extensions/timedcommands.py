# -*- test-case-name: tests.muc.extensions.test_timedprivileges -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The ad-hoc commands of timed bans, mutes and memberships."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from muccore.muc.model import timedprivileges
from muccore.muc.model.extensionpoints import tell
from muccore.muc.model.moderationact import ModerationAct
from muccore.muc.model.privilegechanges import PrivilegeChange
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.room import Room
from muccore.muc.model.roomcommands import RoomCommand, accountOf
from muccore.muc.protocol.admin import REASON_LIMIT
from muccore.muc.protocol.nicks import prepareNick
from muccore.muc.service import roomlog
from muccore.net.slices import after
from muccore.xmpp import dataforms
from muccore.xmpp.commands import Command, CommandForm, CommandRequest, Completed, badPayload
from muccore.xmpp.dataforms import Field
from muccore.xmpp.datetimes import stamp
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID

if TYPE_CHECKING:
    from muccore.muc.extensions.timedprivileges import TimedPrivileges

NAMESPACE: Final = "x-muc#timed"

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"(?:[0-9]{1,9} ?[smhdw] ?)+", re.IGNORECASE)
_LONGEST: Final = 3660 * _UNITS["d"]
_OPTIONS: Final = 100
"""Maximum number of occupants to choose from; of more, the nick is asked for."""

_JID: Final = Field("jid-single", "jid", "Or the address of a user")
_DURATION_FIELD: Final = Field("text-single", "duration", "For how long (30m, 12h, 7d, 2w)", required=True)
_REASON: Final = Field("text-single", "reason", "Reason")
_COLUMNS: Final = (
    Field("text-single", "kind", "Kind"),
    Field("jid-single", "jid", "User"),
    Field("text-single", "until", "Until"),
    Field("text-single", "reason", "Reason"),
)

Outcome = Completed | Deferred[Completed]


def makeCommands(extension: TimedPrivileges) -> Sequence[Command[Room]]:
    """Make the commands."""
    return [Ban(extension), Membership(extension), Mute(extension), Unmute(extension), List()]


def parseDuration(text: str) -> int:
    """
    Parse a duration such as C{30m} or C{1d 12h}.

    @return: seconds.
    @raise ValueError: if it is none, or not between a second and ten years.
    """
    text = " ".join(text.split())
    if _DURATION.fullmatch(text) is None:
        raise ValueError("not a duration such as 30m, 12h, 7d or 2w")
    parts = re.findall("([0-9]+) ?([smhdw])", text.lower())
    seconds = sum(int(number) * _UNITS[unit] for number, unit in parts)
    if not 0 < seconds <= _LONGEST:
        raise ValueError("not between a second and ten years")
    return seconds


class _TimedCommand(RoomCommand):
    """A command that changes privileges."""

    affiliation = Affiliation.ADMIN
    stages = 1

    def __init__(self, extension: TimedPrivileges) -> None:
        self.extension = extension

    def commit(
        self, request: CommandRequest[Room], change: PrivilegeChange, note: str, act: ModerationAct | None = None
    ) -> Outcome:
        """
        Commit and announce a change.

        @param act: what it is, if its roles and affiliations do not tell.
        """
        room, requester, service = request.subject, request.requester.full, self.extension.service

        def announce() -> Completed | Deferred[Completed]:
            roomlog.logChanges(room, requester, change)
            return after(service.carryOut(room, requester, change), completed)

        def completed() -> Completed:
            if act is not None:
                tell(room.extensions.moderated, room, act)
            self.extension.watch(room)
            return Completed(note=note)

        writing = service.storeChange(room, change.stored(room))
        outcome: Outcome = service.commitThenAnnounce(room, requester, writing, announce)
        return outcome


class _Begin(_TimedCommand):
    """
    A command with which something begins that ends.

    @cvar done: what has happened, for the note.
    @cvar kind: the kind of the L{ModerationAct}; C{""} if the change of an affiliation is one.
    """

    done: str
    kind = ""

    def plan(self, room: Room, actor: JID, user: JID, until: float, reason: str) -> PrivilegeChange:
        """Plan it, or refuse it."""
        raise NotImplementedError

    def form(self, request: CommandRequest[Room], stage: int) -> CommandForm:
        """Ask who, how long and why."""
        fields = [(_occupantField(request), ""), (_JID, None), (_DURATION_FIELD, "1h"), (_REASON, None)]
        return CommandForm(NAMESPACE, fields, self.name, ["Choose an occupant, or give the address of a user."])

    def carryOut(self, request: CommandRequest[Room]) -> Outcome:
        """Commit it."""
        room, values = request.subject, request.values
        user = _userOf(room, values)
        reason = values.get("reason", "").strip()
        if len(reason) > REASON_LIMIT:
            raise badPayload(f"reason: longer than {REASON_LIMIT} characters")
        try:
            until = math.ceil(room.now() + parseDuration(values["duration"]))
        except ValueError as e:
            raise badPayload(f"duration: {e}") from None
        end = f"until {stamp(until)}"
        # The list of those affected shows the reason, and so when it ends.
        change = self.plan(room, request.requester, user, until, f"{reason} ({end})" if reason else end)
        details = {"until": stamp(until)}
        act = ModerationAct(self.kind, request.requester.bare, user.bare, reason, details) if self.kind else None
        return self.commit(request, change, f"{user.bare} {self.done} {end}.", act)


def _occupantField(request: CommandRequest[Room]) -> Field:
    occupants = request.subject.occupants.values()
    nicks = [each.nick for each in occupants if request.requester.full not in each.sessions]
    if len(nicks) > _OPTIONS:
        return Field("text-single", "occupant", "Nickname of an occupant")
    # Some clients submit the first option if none was chosen.
    options = [("", "By address"), *((nick, nick) for nick in nicks)]
    return Field("list-single", "occupant", "Occupant", tuple(options), open=True)


def _userOf(room: Room, values: Mapping[str, Any]) -> JID:
    """The bare JID of the chosen user."""
    nick, address = values.get("occupant", ""), values.get("jid")
    if bool(nick) == (address is not None):
        raise badPayload("Either choose an occupant or give an address.")
    if address is not None:
        return accountOf(room, address)
    occupant = room.occupantByNick(prepareNick(nick))
    if occupant is None:
        raise badPayload("occupant: There is no occupant with this nickname.")
    return occupant.account


class _Affiliate(_Begin):
    """Gives a user an affiliation for a time."""

    given: Affiliation

    def plan(self, room: Room, actor: JID, user: JID, until: float, reason: str) -> PrivilegeChange:
        """See L{_Begin.plan}."""
        change = timedprivileges.planAffiliation(room, actor, user, self.given, until, reason)
        if user.local and not room.occupantsAffectedBy(user.bare):
            # They will be told of the end, so nobody may choose too many who have nothing to do with the room.
            self.extension.service.invitations.admitNotice(actor.bare)
        return change


class Ban(_Affiliate):
    """Bans a user, or a domain."""

    node, name, done = "x-muc#ban", "Ban a user for a time", "is banned"
    given = Affiliation.OUTCAST


class Membership(_Affiliate):
    """Makes a user a member."""

    node, name, done = "x-muc#member", "Make a user a member for a time", "is a member"
    given = Affiliation.MEMBER


class Mute(_Begin):
    """Takes voice from a user."""

    node, name, done = "x-muc#mute", "Mute a user for a time", "is muted"
    role, kind = Role.MODERATOR, "mute"
    plan = staticmethod(timedprivileges.planMute)


class Unmute(_TimedCommand):
    """Ends a mute."""

    node, name, role = "x-muc#unmute", "End the mute of a user", Role.MODERATOR

    def form(self, request: CommandRequest[Room], stage: int) -> CommandForm:
        """Ask whose."""
        muted = sorted(timedprivileges.mutesIn(request.subject))
        if not muted:
            raise StanzaError("item-not-found", text="Nobody is muted.")
        field = Field("list-single", "jid", "User", tuple((user, user) for user in muted), required=True)
        return CommandForm(NAMESPACE, [(field, None)], self.name)

    def carryOut(self, request: CommandRequest[Room]) -> Outcome:
        """Commit it."""
        user = request.values["jid"]
        change = timedprivileges.planUnmute(request.subject, request.requester, user)
        act = ModerationAct("unmute", request.requester.bare, user)
        return self.commit(request, change, f"{user} is not muted any more.", act)


class List(RoomCommand):
    """Lists what ends, and mutes that do not, last: mutes for moderators, bans and memberships for admins, too."""

    node, name = "x-muc#timed", "List timed bans, memberships and mutes"
    affiliation, role = Affiliation.ADMIN, Role.MODERATOR

    def carryOut(self, request: CommandRequest[Room]) -> Completed:
        """Make the table."""
        room = request.subject
        found: list[tuple[float | None, str, str, str | None]]
        found = [(mute.until, "mute", user, mute.reason) for user, mute in timedprivileges.mutesIn(room).items()]
        if room.affiliations.get(request.requester) >= Affiliation.ADMIN:
            for key, timed in timedprivileges.affiliationsIn(room).items():
                entry = room.affiliations.entry(key)
                kind = "ban" if timed.affiliation is Affiliation.OUTCAST else "membership"
                found.append((timed.until, kind, key, entry.reason if entry is not None else None))
        found.sort(key=lambda row: (row[0] is None, row[0] or 0, row[1:3]))
        rows = [
            (kind, key, "" if until is None else stamp(until), reason or "") for until, kind, key, reason in found
        ]
        return Completed([dataforms.table(self.name, _COLUMNS, rows)])
