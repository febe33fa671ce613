# -*- test-case-name: tests.muc.service.test_roomlog -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The log events of rooms: creation, configuration, destruction, kicks and bans. Reasons, values of settings and passwords
are not logged.
"""

from __future__ import annotations

from dataclasses import fields

from muccore.log.eventlog import OCCUPANT_BANNED, OCCUPANT_KICKED, ROOM_CONFIGURED, ROOM_CREATED, ROOM_DESTROYED, Phrase
from muccore.muc.model.privilegechanges import PrivilegeChange
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.room import Room
from muccore.muc.model.roomsettings import RoomSettings
from muccore.xmpp.jid import JID, parse


def logCreated(room: JID, actor: JID) -> None:
    """Log that a room was created."""
    ROOM_CREATED.log(actor.bare, room=room.bare)


def logConfigured(room: Room, actor: str, wanted: RoomSettings) -> None:
    """Log a new configuration of a room by the actor's full JID, before it is applied."""
    if ROOM_CONFIGURED.wanted():
        names = [field.name for field in fields(wanted)]
        changed = [name for name in names if getattr(wanted, name) != getattr(room.settings, name)]
        ROOM_CONFIGURED.log(parse(actor).bare, room=room.jid.bare, changed=Phrase(" ".join(changed) or "nothing"))


def logVCard(room: Room, actor: str) -> None:
    """Log a new vCard of a room by the actor's full JID."""
    ROOM_CONFIGURED.log(parse(actor).bare, room=room.jid.bare, changed=Phrase("vCard"))


def logDestroyed(room: str, why: str, actor: str | None = None) -> None:
    """
    Log the end of a room.

    @param room: its bare JID.
    @param why: the reason, in the server's words.
    @param actor: the full JID of who destroyed it; by default the service.
    """
    by = parse(room).domain if actor is None else parse(actor).bare
    ROOM_DESTROYED.log(by, room=room, why=Phrase(why))


def logChanges(room: Room, actor: str, plan: PrivilegeChange) -> None:
    """Log the bans and kicks of a plan by the actor's full JID, before it is applied."""
    by = parse(actor).bare
    for key in plan.reasons:
        entry = plan.affiliates[key]
        if entry is not None and entry.affiliation == Affiliation.OUTCAST.xmlName:
            OCCUPANT_BANNED.log(by, target=key, room=room.jid.bare)
    for occupant, role, _ in plan.roles:
        if role is Role.NONE and room.occupants.get(occupant.nick) is occupant:
            OCCUPANT_KICKED.log(by, target=occupant.account.bare, room=room.jid.bare, nick=occupant.nick)
