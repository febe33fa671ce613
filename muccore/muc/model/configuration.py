# -*- test-case-name: tests.muc.model.test_configuration -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Applying a configuration to a room, and destroying a room (XEP-0045 §10.1, §10.2, §10.9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from muccore.muc.model import presencebroadcast, privilegechanges
from muccore.muc.model.extensionpoints import tell
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.room import Room
from muccore.muc.model.roomsettings import RoomSettings, statusCodes
from muccore.xmpp import ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import render


def apply(room: Room, settings: RoomSettings, plan: privilegechanges.PrivilegeChange) -> Callable[[], None]:
    """
    Apply a committed configuration, with the changes of owners and admins from the same form. Notifies those who are
    removed.

    @return: announces the changes to everybody else.
    """
    old, room.settings = room.settings, settings
    codes = statusCodes(old, settings)
    if room.locked:
        # The first configuration is no change, except for what the owner was told about privacy.
        codes = [code for code in codes if code != 104]
        room.locked = False
    room.history.resize(settings.historyLength)
    for occupant in room.occupants.values():
        room.updateVisibility(occupant)
    announcePlan = privilegechanges.apply(room, plan)
    removed = []
    if settings.membersOnly and not old.membersOnly:
        nonMembers = [occupant for occupant in room.occupants.values() if occupant.affiliation is Affiliation.NONE]
        removed = [room.removeOccupant(occupant, 322) for occupant in nonMembers]
    voiced = []
    if old.moderated and not settings.moderated:
        # In an unmoderated room everybody has voice (§4.2), unless an extension limits them.
        limit, voice = room.extensions.limitRole, Role.PARTICIPANT
        visitors = [occupant for occupant in room.occupants.values() if occupant.role is Role.VISITOR]
        voiced = [each for each in visitors if limit(room, each.account, each.affiliation, voice) is voice]
        for occupant in voiced:
            occupant.role = Role.PARTICIPANT
            room.updateVisibility(occupant)

    def announceAll() -> None:
        for presence in removed:
            room.broadcastOccupant(presence)
        announcePlan()
        for occupant in voiced:
            if room.occupants.get(occupant.nick) is occupant:
                room.broadcastPresence(occupant)
        presencebroadcast.apply(room)
        if codes:
            announce(room, codes)
        tell(room.extensions.configured, room, old)

    return announceAll


def announce(room: Room, codes: Iterable[int]) -> None:
    """Tell everybody that the configuration has changed, by status codes (XEP-0045 §10.2.1)."""
    message = stanza("message", "groupchat", from_=room.jid.bare)
    x = message.add("x", ns.MUC_USER)
    for code in codes:
        x.add("status", code=str(code))
    room.broadcast(message)


def destroy(room: Room, reason: str | None = None, venue: JID | None = None, password: str | None = None) -> None:
    """Remove all occupants of a destroyed room (XEP-0045 §10.9), with the room to go to instead and its password."""
    element = Element((ns.MUC_USER, "destroy"))
    if venue is not None:
        element.attributes["jid"] = venue.full
    if password is not None:
        element.add("password", text=password)
    if reason is not None:
        element.add("reason", text=reason)
    room.removeAll(affiliation=Affiliation.NONE, extra=render(element, ns.MUC_USER))


def expire(room: Room) -> None:
    """
    Destroy a room that was not configured in time, and tell its owner. A message does so as well as the reason, which
    many clients do not show.
    """
    message = stanza("message", "groupchat", from_=room.jid.bare)
    message.add("body", text="This room is removed, because it was not configured in time.")
    room.broadcast(message)
    destroy(room, "The room was not configured in time.")
