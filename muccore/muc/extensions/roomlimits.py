# -*- test-case-name: tests.muc.extensions.test_roomlimits -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Limits of a room: how many messages and changes of presence an occupant may send in a minute, and how many users may
enter. Owners set them; the options of the service are the maxima, and hold where an owner has set none.

What exceeds a limit is refused, not delayed. Users are counted by account, whatever their nicks and sessions. Leaving
is never refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from muccore.log.eventlog import ROOM_FLOODED
from muccore.muc.model.extension import ExtensionField, RoomExtension
from muccore.muc.model.joinrequest import JoinRequest
from muccore.muc.model.occupant import Occupant, OccupantSession
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.ratelimit import RateLimit
from muccore.muc.model.room import Room
from muccore.muc.model.roomsettings import RoomSettings
from muccore.muc.service.servicesettings import MUCServiceSettings
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError

MINUTE: Final = 60
"""The period of all limits, in seconds."""

TEXTLESS: Final = 4
"""How many times as many messages without a text, such as typing notifications, are allowed besides."""

_MAXIMUM: Final = 1000
_DESC: Final = "So many at once, and then evenly so many a minute. 0: as many as the service allows."


def _field(name: str, label: str) -> ExtensionField:
    setting, var = f"room-limits.{name}", f"x-muc#roomconfig_{name.lower()}"
    bounds = (0, _MAXIMUM)
    return ExtensionField(
        setting, var, "text-single", label, desc=_DESC, bounds=bounds, limit=name, default=0, parse=int
    )


_MESSAGES: Final = _field("messagesPerMinute", "Messages of an occupant per minute")
_PRESENCE: Final = _field("presencePerMinute", "Changes of presence or nickname of a user per minute")
_JOINS: Final = _field("joinsPerMinute", "Users without affiliation who may enter per minute")


@dataclass
class _Limits:
    """
    The limits of one room; C{None} for none.

    @ivar settings: the settings that they follow from.
    @ivar options: the options that they follow from.
    @ivar joins: of all users without affiliation together.
    @ivar flooded: when one was refused because too many enter.
    """

    settings: RoomSettings
    options: MUCServiceSettings
    messages: RateLimit | None = None
    textless: RateLimit | None = None
    presence: RateLimit | None = None
    joins: RateLimit | None = None
    flooded: float = -math.inf

    def update(self, settings: RoomSettings, options: MUCServiceSettings) -> None:
        """Follow new settings; limits that stay the same go on counting."""
        self.settings, self.options = settings, options
        count = _effective(_MESSAGES, settings, options)
        self.messages = _limit(count, self.messages)
        self.textless = _limit(count * TEXTLESS, self.textless)
        self.presence = _limit(_effective(_PRESENCE, settings, options), self.presence)
        self.joins = _limit(_effective(_JOINS, settings, options), self.joins)


def _effective(field: ExtensionField, settings: RoomSettings, options: MUCServiceSettings) -> int:
    """What the owner has set, at most what the service allows; 0 for no limit."""
    own: int = field.get(settings)
    allowed: int = getattr(options, field.limit)
    return min(own, allowed) if own and allowed else own or allowed


def _limit(count: int, old: RateLimit | None) -> RateLimit | None:
    if not count:
        return None
    return old if old is not None and old.count == count else RateLimit(count, MINUTE)


class RoomLimits(RoomExtension):
    """The extension. What was counted is in memory only."""

    name = "room-limits"
    fields = (_MESSAGES, _PRESENCE, _JOINS)

    def _limits(self, room: Room) -> _Limits:
        limits: _Limits | None = room.volatile.get(self.name)
        settings, options = room.settings, self.service.options
        if limits is None:
            limits = room.volatile[self.name] = _Limits(settings, options)
            limits.update(settings, options)
        elif limits.settings is not settings or limits.options is not options:
            limits.update(settings, options)
        return limits

    def isConcernedWith(self, room: Room) -> bool:
        """Whether there is a limit for messages."""
        return self._limits(room).messages is not None

    def beforeMessage(self, room: Room, occupant: Occupant, message: Element) -> None:
        """Refuse a message of an occupant who sends too many."""
        if occupant.role is Role.MODERATOR:
            return
        limits = self._limits(room)
        if limits.messages is None:
            return
        limit = limits.messages if message.child("body") is not None else limits.textless
        _take(room, limit, occupant.account.bare, "You are sending too many messages to this room")

    def beforePrivateMessage(self, room: Room, occupant: Occupant, target: Occupant, message: Element) -> None:
        """Refuse a private message likewise."""
        self.beforeMessage(room, occupant, message)

    def beforePresence(self, room: Room, session: OccupantSession, payload: bytes) -> None:
        """Refuse a presence of an occupant who sends too much of it."""
        occupant = session.occupant
        if occupant.role is not Role.MODERATOR:
            self._checkPresence(room, occupant.account.bare)

    def beforeNickChange(self, room: Room, session: OccupantSession, nick: str) -> None:
        """Refuse a nick to an occupant who changes it too often."""
        self.beforePresence(room, session, b"")

    def _checkPresence(self, room: Room, account: str) -> None:
        _take(room, self._limits(room).presence, account, "You are changing your presence in this room too often")

    def beforeEntering(self, room: Room, request: JoinRequest, affiliation: Affiliation) -> None:
        """Refuse users who enter too often, and users without affiliation when too many of them enter."""
        if affiliation >= Affiliation.ADMIN:
            return
        # First, so that one user who enters again and again does not keep others out.
        self._checkPresence(room, request.jid.bare)
        limits, now = self._limits(room), room.seconds()
        if affiliation is not Affiliation.NONE or limits.joins is None:
            return
        if room.occupantByNick(request.nick) is not None:
            # Another session of an occupant, or one who returns after a restart. Nobody sees a join.
            return
        wait = limits.joins.take("", now)
        if wait:
            if now - limits.flooded > MINUTE:
                ROOM_FLOODED.log(room.jid.domain, rate=limits.joins.count, room=room.jid.bare)
            limits.flooded = now
            raise StanzaError("resource-constraint", "wait", _text("Too many users are entering this room", wait))


def _take(room: Room, limit: RateLimit | None, account: str, what: str) -> None:
    wait = 0.0 if limit is None else limit.take(account, room.seconds())
    if wait:
        raise StanzaError("policy-violation", "wait", _text(what, wait))


def _text(what: str, wait: float) -> str:
    seconds = math.ceil(wait)
    return f"{what}; try again in {seconds} second{'s' if seconds > 1 else ''}."
