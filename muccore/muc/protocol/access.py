# -*- test-case-name: tests.muc.protocol.test_access -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What of a room the requests to change it read and write (docs/design/0018): those that everybody may make, and changes
of roles and affiliations. All others are changes of the whole room.

A user is known by the bare JID. Their affiliation depends on the entry of their domain as well, whose key is the domain
(XEP-0045 §9.2). What is malformed is left out: the request is refused later, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from muccore.muc.model import messages
from muccore.muc.model.accesslocks import WHOLE_ROOM, Access
from muccore.muc.model.lookalikes import skeletons
from muccore.muc.model.nicks import comparisonForm
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.room import Room
from muccore.muc.model.roomsettings import APPROVAL
from muccore.muc.protocol import invite
from muccore.muc.protocol.nicks import prepareNick
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, InvalidJID, parse

MESSAGES: Final = "/messages"
"""The key of past messages, which are retracted and corrected."""

_OWNERS: Final = "/owners"
_REQUESTS: Final = "/requests"
_SIZE: Final = "/size"
_SUBJECT: Final = "/subject"
_NICK_FIELD: Final = "muc#register_roomnick"


def isModerator(room: Room, sender: str) -> bool:
    """Whether the requests of a sender, by full JID, are urgent: those of moderators and admins."""
    occupant = room.occupantByRealJID(sender)
    if occupant is not None and occupant.role is Role.MODERATOR:
        return True
    return room.affiliations.get(parse(sender)) >= Affiliation.ADMIN


def ofMessage(room: Room, message: Element) -> Access | None:
    """A message to all: it may change the subject, or past messages; C{None} if it changes nothing that is stored."""
    if messages.isSubjectChange(message):
        return Access.to((_SUBJECT,), _user(_sender(message)))
    return Access.to((MESSAGES,), _user(_sender(message))) if messages.isWaiting(room, message) else None


def ofMessageToRoom(room: Room, message: Element) -> Access | None:
    """Invitations, which may make members, and forms by which moderators answer requests; C{None} for all others."""
    sender = _sender(message)
    x = message.child("x", ns.MUC_USER)
    if x is not None and invite.isInvitation(message):
        invited = {jid for child in x.childElements() for jid in _parsed(child.get("to"))}
        if not room.settings.membersOnly:
            return Access.to((), _users((sender, *invited)))
        return Access.to({_SIZE, *(jid.bare for jid in invited)}, _users((sender, *invited)))
    isForm = message.child("x", ns.DATA) is not None
    return WHOLE_ROOM if isForm and isModerator(room, sender.full) else None


def ofAdminSet(room: Room, iq: Element) -> Access:
    """Changes of roles and affiliations."""
    sender, query = _sender(iq), next(iq.childElements())
    items = [item for item in query.childElements() if item.name == "item" and item.uri == query.uri]
    writes = {_SIZE} if len(items) > 1 else set(_size(room))
    users = [sender]
    for item in items:
        nick, address = item.get("nick"), item.get("jid")
        if item.get("role") is not None or address is None:
            occupant = room.occupantByNick(nick) if nick else None
            changed = [] if occupant is None else [occupant.account]
        else:
            changed = [jid.bareJID() for jid in _parsed(address)]
            writes.update(_nicks(room, nick))
        writes.update(jid.bare for jid in changed)
        users += changed
        if any(room.affiliations.get(jid) is Affiliation.OWNER for jid in changed):
            # There must be another one.
            writes.add(_OWNERS)
    return Access.to(writes, _users(users))


def ofRegistration(room: Room, iq: Element) -> Access:
    """A registration, or its end."""
    sender = _sender(iq)
    writes = {sender.bare, *_size(room)}
    if room.settings.registration == APPROVAL:
        writes.add(_REQUESTS)
    form = next(iq.childElements()).child("x", ns.DATA)
    for field in () if form is None else form.childElements():
        if field.get("var") == _NICK_FIELD:
            writes.update(_nicks(room, field.childText("value")))
    return Access.to(writes, _user(sender))


def _sender(element: Element) -> JID:
    return parse(element.attributes["from"])


def _parsed(address: str | None) -> Iterator[JID]:
    try:
        yield parse(address or "")
    except InvalidJID:
        return


def _user(jid: JID) -> tuple[str, str]:
    """What the affiliation of a user depends on."""
    return jid.bare, jid.domain


def _users(jids: Iterable[JID]) -> Iterator[str]:
    for jid in jids:
        yield from _user(jid)


def _nicks(room: Room, nick: str | None) -> Iterator[str]:
    """What the reservation of a nick changes: the nick in any spelling, and those that look like it."""
    try:
        prepared = prepareNick(nick) if nick else ""
    except StanzaError:
        return
    if prepared:
        yield f"/nick/{comparisonForm(prepared)}"
        if room.settings.refuseLookalikes:
            yield from (f"/looks/{skeleton}" for skeleton in skeletons(prepared))


def _size(room: Room) -> Iterator[str]:
    """Of few entries that are left, only one change at a time may take any."""
    if room.affiliations.isNearlyFull():
        yield _SIZE
