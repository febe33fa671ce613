# -*- test-case-name: tests.muc.protocol.test_membership -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Registrations that wait for an admin's approval (XEP-0045 §7.10, §9.9).

They are rows of C{Room.states}, under L{NAME}: the bare JID to the nick. Admins in the room get a form for each, those
who enter later too. A request ends when the user gets an affiliation, whoever gives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from muccore.muc.model.audience import sendTo
from muccore.muc.model.occupant import OccupantSession
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.roomsettings import RoomSettings, needsApproval
from muccore.xmpp import dataforms, ns
from muccore.xmpp.element import stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import parse
from muccore.xmpp.rendering import Rendered

if TYPE_CHECKING:
    from muccore.muc.model.room import Room

NAME: Final = "membership-requests"
"""The name of the rows."""

LIMIT: Final = 100
"""Requests of a room that may wait."""

FORM: Final = (
    dataforms.Field("jid-single", "x-muc#register_jid", "User address"),
    dataforms.Field("text-single", "muc#register_roomnick", "Nickname"),
    dataforms.Field("boolean", "muc#register_allow", "Allow this person to register with the room?"),
)
"""The form for admins: who asks, for which nick, and whether they may."""

Rows = Mapping[tuple[str, str], str | None]
"""Changes of requests, as a L{RoomChange<muccore.interfaces.RoomChange>} has them."""


def nickOf(room: Room, user: str) -> str | None:
    """The nick that a user, by bare JID, has asked for; C{None} if no request of theirs is waiting."""
    nick: str | None = room.states.get(NAME, {}).get(user)
    return nick if nick is not None and _isStranger(room, user) else None


def waiting(room: Room) -> dict[str, str]:
    """The nicks that are asked for, by bare JID."""
    return {user: nick for user, nick in room.states.get(NAME, {}).items() if _isStranger(room, user)}


def _isStranger(room: Room, user: str) -> bool:
    return room.affiliations.get(parse(user)) is Affiliation.NONE


def add(room: Room, user: str, nick: str) -> Rows:
    """
    Plan to add a request, or to change the nick of one.

    @raise StanzaError: C{resource-constraint} if too many wait, or the user asks too often.
    """
    rows = room.states.get(NAME, {})
    if user not in rows and len(rows) >= LIMIT:
        raise StanzaError("resource-constraint", text="Too many requests wait for an admin; try again later.")
    room.membershipRequests.admit(user)
    return {(NAME, user): nick}


def remove(user: str) -> Rows:
    """Plan to remove a request."""
    return {(NAME, user): None}


def endedBy(room: Room, settings: RoomSettings) -> Rows:
    """The requests that end with a configuration: all, if nobody may ask any more."""
    users: Iterable[str] = () if needsApproval(settings) else room.states.get(NAME, {})
    return {(NAME, user): None for user in users}


def announce(room: Room, user: str) -> None:
    """Send the admins in the room the form for a request, if it is waiting."""
    nick = nickOf(room, user)
    if nick is not None:
        admins = (each for each in room.occupants.values() if each.affiliation >= Affiliation.ADMIN)
        sendTo(admins, _form(room, user, nick))


def sendWaiting(room: Room, session: OccupantSession) -> None:
    """Send a session the forms for all requests that wait, if it is an admin's."""
    if session.occupant.affiliation >= Affiliation.ADMIN and NAME in room.states:
        for user, nick in waiting(room).items():
            session.deliver(_form(room, user, nick), session.to)


def _form(room: Room, user: str, nick: str) -> Rendered:
    message = stanza("message", from_=room.jid.bare)
    given: tuple[dataforms.Value, ...] = (user, nick, False)
    rows = zip(FORM, given, strict=True)
    instructions = ["To make this user a member, check the box and submit the form. To decide later, cancel it."]
    form = dataforms.form("form", ns.MUC_REGISTER, rows, "Registration request", instructions)
    message.children.append(form)
    return Rendered.of(message)
