# -*- test-case-name: tests.muc.extensions.test_moderationcommand -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The ad-hoc command that retracts everything that a user wrote, and may ban the user, too (docs/moderation.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from muccore.muc.extensions.bulkretraction import Outcome
from muccore.muc.model import privilegechanges
from muccore.muc.model.privilegechanges import AffiliationItem
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.room import Room
from muccore.muc.model.roomcommands import RoomCommand
from muccore.muc.protocol.admin import REASON_LIMIT
from muccore.muc.protocol.nicks import prepareNick
from muccore.muc.service import roomlog
from muccore.net.slices import after
from muccore.xmpp import ns
from muccore.xmpp.commands import CommandForm, CommandRequest, Completed, badPayload
from muccore.xmpp.dataforms import Field
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID

if TYPE_CHECKING:
    from muccore.muc.extensions.moderation import ModeratedRetraction

_NICK = Field("text-single", "nick", "Nickname of an occupant")
_JID = Field("jid-single", "jid", "Or address of a user")
_REASON = Field("text-single", "reason", "Reason")
_BAN = Field("boolean", "ban", "Ban the user, too")


class RetractAllCommand(RoomCommand):
    """The command."""

    node = f"{ns.MODERATION}#retract-all"
    name = "Retract everything that a user wrote"
    stages = 1
    affiliation = Affiliation.ADMIN
    role = Role.MODERATOR

    def __init__(self, moderation: ModeratedRetraction) -> None:
        """@param moderation: the extension to which it belongs."""
        self._moderation = moderation

    def form(self, request: CommandRequest[Room], stage: int) -> CommandForm:
        """Ask for whom."""
        fields = [(_NICK, None), (_JID, None), (_REASON, None), (_BAN, False)]
        return CommandForm(self.node, fields, self.name, ["What is retracted does not come back."])

    def carryOut(self, request: CommandRequest[Room]) -> Any:
        """Retract everything, or ban the user with it."""
        room, values = request.subject, request.values
        author = _author(room, values)
        reason = values.get("reason") or None
        if reason is not None and len(reason) > REASON_LIMIT:
            raise badPayload(f"reason: longer than {REASON_LIMIT} characters")
        if values.get("ban"):
            return self._ban(room, request.requester, AffiliationItem(author, Affiliation.OUTCAST, None, reason, True))
        return self._moderation.retractAll(room, request.requester, author.bare, reason).addCallback(_completed)

    def _ban(self, room: Room, requester: JID, item: AffiliationItem) -> Completed | Deferred[Completed]:
        plan = privilegechanges.plan(room, requester, [item])
        privilegechanges.check(room, requester, plan)
        service = self._moderation.service

        def apply() -> Completed | Deferred[Completed]:
            roomlog.logChanges(room, requester.full, plan)
            return after(service.carryOut(room, requester.full, plan), completed)

        def completed() -> Completed:
            return Completed(note="The user is banned, and what they wrote is being retracted.")

        writing = service.storeChange(room, plan.stored(room))
        result: Completed | Deferred[Completed] = service.commitThenAnnounce(room, requester.full, writing, apply)
        return result


def _author(room: Room, values: Mapping[str, Any]) -> JID:
    """@raise StanzaError: C{bad-payload} unless exactly one user is named."""
    nick, jid = (values.get("nick") or "").strip(), values.get("jid")
    if bool(nick) == (jid is not None):
        raise badPayload("Fill in either a nickname or an address.")
    if jid is not None:
        bare: JID = jid.bareJID()
        return bare
    try:
        occupant = room.occupantByNick(prepareNick(nick))
    except StanzaError as e:
        raise badPayload(f"nick: {e.text}") from None
    if occupant is None:
        raise badPayload("nick: there is no such occupant")
    return occupant.account


def _completed(outcome: Outcome) -> Completed:
    more = "" if outcome.complete else " There are more; execute the command again."
    return Completed(note=f"Retracted messages: {outcome.number}.{more}")
