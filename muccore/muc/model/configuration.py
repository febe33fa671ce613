# -*- test-case-name: tests.muc.model.test_configuration -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Applying a configuration to a room, and destroying a room (XEP-0045 §10.1, §10.2, §10.9)."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.defer import Deferred

from muccore.muc.model import departures, presencebroadcast, privilegechanges
from muccore.muc.model.departures import REMOVING, Departure
from muccore.muc.model.extensionpoints import tell
from muccore.muc.model.occupant import Occupant
from muccore.muc.model.privilegechanges import Announce, PrivilegeChange
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.room import Room
from muccore.muc.model.roomsettings import RoomSettings, statusCodes
from muccore.net import slices
from muccore.net.slices import RENDERING, Steps
from muccore.xmpp import ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import render


def apply(room: Room, settings: RoomSettings, plan: PrivilegeChange) -> Announce | Deferred[Announce]:
    """
    Apply a committed configuration, with the changes of owners and admins from the same form. Notifies those who are
    removed.

    @return: announces the changes to everybody else, in slices if they are many; a Deferred of it if that much is to be
        done before.
    """
    application = _Application(room, settings, plan)
    done = room.slices.run(application.steps())
    return application.announce if done is None else done.addCallback(lambda _: application.announce)


class _Application:
    """A committed configuration that is being applied."""

    def __init__(self, room: Room, settings: RoomSettings, plan: PrivilegeChange) -> None:
        self._room = room
        self._old = room.settings
        self._settings = settings
        self._plan = privilegechanges.Application(room, plan)
        self._codes = statusCodes(self._old, settings)
        self._removed: list[Departure] = []
        self._voiced: list[Occupant] = []

    def steps(self) -> Steps:
        """Apply it."""
        room, old, settings = self._room, self._old, self._settings
        room.settings = settings
        if room.locked:
            # The first configuration is no change, except for what the owner was told about privacy.
            self._codes = [code for code in self._codes if code != 104]
            room.locked = False
        room.history.resize(settings.historyLength)
        for occupant in list(room.occupants.values()):
            yield 1
            room.updateVisibility(occupant)
        yield from self._plan.steps()
        if settings.membersOnly and not old.membersOnly:
            for occupant in [each for each in room.occupants.values() if each.affiliation is Affiliation.NONE]:
                yield REMOVING
                if room.occupants.get(occupant.nick) is occupant and occupant.affiliation is Affiliation.NONE:
                    self._removed.append(departures.remove(room, occupant, 322))
        if old.moderated and not settings.moderated:
            # In an unmoderated room everybody has voice (§4.2), unless an extension limits them.
            for occupant in [each for each in room.occupants.values() if each.role is Role.VISITOR]:
                yield RENDERING
                if occupant.role is Role.VISITOR and self._mayHaveVoice(occupant):
                    occupant.role = Role.PARTICIPANT
                    room.updateVisibility(occupant)
                    self._voiced.append(occupant)

    def _mayHaveVoice(self, occupant: Occupant) -> bool:
        limit, voice = self._room.extensions.limitRole, Role.PARTICIPANT
        return limit(self._room, occupant.account, occupant.affiliation, voice) is voice

    def announce(self) -> None:
        """Announce it to everybody else."""
        room, leaving = self._room, len(self._removed)
        present = [*self._voiced, *presencebroadcast.wronglyShown(room)]
        size = presencebroadcast.announcedSize(room, leaving, present) + self._plan.announcedSize()
        privilegechanges.announceSoon(room, self._announcements(), size)

    def _announcements(self) -> Steps:
        room = self._room
        isLarge = (len(self._removed) + len(self._voiced)) * len(room.sessions) > slices.SLICE
        if isLarge:
            # It takes long.
            tell(room.extensions.configured, room, self._old)
        yield from departures.tellAll(room, self._removed)
        yield from self._plan.announcements()
        for occupant in self._voiced:
            yield len(room.sessions) + RENDERING
            if room.occupants.get(occupant.nick) is occupant:
                room.broadcastPresence(occupant)
        yield from presencebroadcast.apply(room)
        if self._codes:
            announce(room, self._codes)
        if not isLarge:
            tell(room.extensions.configured, room, self._old)


def announce(room: Room, codes: Iterable[int]) -> None:
    """Tell everybody that the configuration has changed, by status codes (XEP-0045 §10.2.1)."""
    message = stanza("message", "groupchat", from_=room.jid.bare)
    x = message.add("x", ns.MUC_USER)
    for code in codes:
        x.add("status", code=str(code))
    room.broadcast(message)


def destroy(
    room: Room, reason: str | None = None, venue: JID | None = None, password: str | None = None
) -> Deferred[None] | None:
    """
    Remove all occupants of a destroyed room (XEP-0045 §10.9), with the room to go to instead and its password.

    @return: fires when nobody is left; C{None} if that is so.
    """
    room.closing = True
    element = Element((ns.MUC_USER, "destroy"))
    if venue is not None:
        element.attributes["jid"] = venue.full
    if password is not None:
        element.add("password", text=password)
    if reason is not None:
        element.add("reason", text=reason)
    extra = render(element, ns.MUC_USER)
    return room.slices.run(departures.removeAll(room, affiliation=Affiliation.NONE, extra=extra))


def expire(room: Room) -> None:
    """
    Destroy a room that was not configured in time, and tell its owner. A message does so as well as the reason, which
    many clients do not show.
    """
    message = stanza("message", "groupchat", from_=room.jid.bare)
    message.add("body", text="This room is removed, because it was not configured in time.")
    room.broadcast(message)
    destroy(room, "The room was not configured in time.")
