# -*- test-case-name: tests.muc.protocol.test_voice -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Voice requests in a moderated room, and their approval (XEP-0045 §7.13, §8.6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from muccore.muc.model.occupant import Occupant, OccupantSession
from muccore.muc.model.privilegechanges import RoleItem
from muccore.muc.model.privileges import Role
from muccore.muc.model.room import Room
from muccore.muc.protocol.nicks import prepareNick
from muccore.xmpp import dataforms, ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import InvalidJID, parse

_FORM: Final = (
    dataforms.Field("list-single", "muc#role", "Requested role", ((Role.PARTICIPANT.xmlName, "Participant"),)),
    dataforms.Field("jid-single", "muc#jid", "User address"),
    dataforms.Field("text-single", "muc#roomnick", "Nickname"),
    dataforms.Field("boolean", "muc#request_allow", "Grant voice to this user?"),
)
_TRUE: Final = frozenset({"1", "true"})


def request(room: Room, session: OccupantSession, values: Mapping[str, str]) -> None:
    """
    Forward an occupant's request for voice to the moderators.

    @param values: the submitted form, by field.
    @raise StanzaError: C{bad-request} for a role other than participant, C{not-acceptable} if the occupant has voice,
        C{resource-constraint} if they ask too often.
    """
    occupant = session.occupant
    if values.get("muc#role", "").strip() != Role.PARTICIPANT.xmlName:
        raise StanzaError("bad-request", text="Only the role of participant can be requested.")
    if occupant.role is not Role.VISITOR:
        raise StanzaError("not-acceptable", text="You already have voice.")
    room.voiceRequests.admit(occupant.account.bare)
    message = stanza("message", from_=room.jid.bare)
    given: tuple[dataforms.Value, ...] = (Role.PARTICIPANT.xmlName, session.jid, occupant.nick, False)
    rows = zip(_FORM, given, strict=True)
    instructions = ["To grant voice, check the box and submit the form."]
    message.children.append(dataforms.form("form", ns.MUC_REQUEST, rows, "Voice request", instructions))
    room.broadcast(message, moderatorsOnly=True)


def approval(room: Room, moderator: Occupant, values: Mapping[str, str]) -> RoleItem | None:
    """
    The role that a moderator grants; C{None} for a refusal.

    The request may be old: another user may have the nick by now, and the requester may have more than voice, which
    they keep.

    @param values: the submitted form, by field.
    @raise StanzaError: C{forbidden} if not from a moderator, C{bad-request} without a nick, C{item-not-found} if the
        user is not in the room.
    """
    if moderator.role is not Role.MODERATOR:
        # Checked first, so that forms reveal nothing about occupants.
        raise StanzaError("forbidden")
    if values.get("muc#request_allow", "").strip() not in _TRUE:
        return None
    nick = values.get("muc#roomnick")
    if not nick:
        raise StanzaError("bad-request", text="The form must name the occupant who is to get voice.")
    nick = prepareNick(nick)
    occupant = room.occupantByNick(nick)
    if occupant is not None and not _isUser(occupant, values.get("muc#jid")):
        raise StanzaError("item-not-found", text="This nickname is now used by another user.")
    if occupant is not None and occupant.role > Role.PARTICIPANT:
        return RoleItem(nick, occupant.role)
    return RoleItem(nick, Role.PARTICIPANT)


def _isUser(occupant: Occupant, address: str | None) -> bool:
    """Whether an occupant is the user that a form names, if any."""
    if not address:
        return True
    try:
        return parse(address).bare == occupant.account.bare
    except InvalidJID:
        return False


def isApproval(values: Mapping[str, str]) -> bool:
    """Whether a submitted form answers a request."""
    return "muc#request_allow" in values


def formValues(x: Element) -> dict[str, str]:
    """The first value of each field of a submitted C{muc#request} form; C{bad-request} for any other form."""
    values: dict[str, str] = {}
    for field in x.childElements():
        if field.name == "field" and field.uri == ns.DATA:
            values[field.get("var") or ""] = field.childText("value") or ""
    if x.get("type") != "submit" or values.get("FORM_TYPE") != ns.MUC_REQUEST:
        raise StanzaError("bad-request", text="A room accepts only voice request forms in messages.")
    return values
