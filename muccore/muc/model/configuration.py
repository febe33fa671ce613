# -*- test-case-name: tests.muc.model.test_configuration -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""A room gets another configuration, or an end (XEP-0045 §10.1, §10.2, §10.9)."""

from __future__ import annotations

from collections.abc import Callable

from muccore.muc.model import privilegechanges
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.rendering import OccupantPresence
from muccore.muc.model.room import Room
from muccore.muc.model.roomsettings import RoomSettings, statusCodes
from muccore.xmpp import ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import render


def apply(room: Room, settings: RoomSettings, plan: privilegechanges.PrivilegeChange) -> Callable[[], None]:
    """
    Take over a configuration that is durable, with the changes of owners and admins that came in the same form.
    Tells those who are put out.

    @return: tells everyone else.
    """
    old, room.settings = room.settings, settings
    codes = statusCodes(old, settings)
    if room.locked:
        # The room begins with this configuration: that is no change, except for what the owner inside has been told
        # of his privacy.
        codes = [code for code in codes if code != 104]
        room.locked = False
    room.history.resize(settings.historyLength)
    for occupant in room.occupants.values():
        room.updateVisibility(occupant)
    tellOfPlan = privilegechanges.apply(room, plan)
    gone = _removeNonMembers(room) if settings.membersOnly and not old.membersOnly else []
    voiced = []
    if old.moderated and not settings.moderated:
        # In an unmoderated room everybody may speak (§4.2).
        voiced = [occupant for occupant in room.occupants.values() if occupant.role is Role.VISITOR]
        for occupant in voiced:
            occupant.role = Role.PARTICIPANT
            room.updateVisibility(occupant)

    def tellEveryone() -> None:
        for notice in gone:
            room.broadcastOccupant(notice)
        tellOfPlan()
        for occupant in voiced:
            if room.occupants.get(occupant.nick) is occupant:
                room.broadcastPresence(occupant)
        if codes:
            room.broadcast(_codesMessage(room, codes))

    return tellEveryone


def _removeNonMembers(room: Room) -> list[OccupantPresence]:
    strangers = [occupant for occupant in room.occupants.values() if occupant.affiliation is Affiliation.NONE]
    return [room.removeOccupant(occupant, (322,)) for occupant in strangers]


def _codesMessage(room: Room, codes: list[int]) -> Element:
    message = stanza("message", "groupchat", from_=room.jid.bare)
    x = message.add("x", ns.MUC_USER)
    for code in codes:
        x.add("status", code=str(code))
    return message


def destroy(room: Room, reason: str | None = None, venue: JID | None = None, password: str | None = None) -> None:
    """
    Put everybody out of a room that is no more (XEP-0045 §10.9).

    @param venue: where to go instead.
    @param password: what is needed to enter there.
    """
    element = Element((ns.MUC_USER, "destroy"))
    if venue is not None:
        element.attributes["jid"] = venue.full
    if password is not None:
        element.add("password", text=password)
    if reason is not None:
        element.add("reason", text=reason)
    room.removeAll(affiliation=Affiliation.NONE, extra=render(element, ns.MUC_USER))
