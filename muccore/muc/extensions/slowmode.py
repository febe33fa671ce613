# -*- test-case-name: tests.muc.extensions.test_slowmode -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Slow mode (XEP-0500): a time that users have to wait between two messages to a room.

A message counts when it is sent, so one that is refused for another reason does not.
"""

from __future__ import annotations

from typing import Final

from muccore.muc.model.extension import ExtensionField, RoomExtension
from muccore.muc.model.occupant import Occupant
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.ratelimit import RateLimit
from muccore.muc.model.room import Room
from muccore.muc.model.roommessage import RoomMessage
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.specs import Spec

LONGEST: Final = 86_400
"""The longest time that an owner can set, in seconds."""

_SETTING: Final = "slow-mode.duration"


class SlowMode(RoomExtension):
    """The extension. When users last spoke is in memory only, by their account, whatever their nicks and sessions."""

    name = "slow-mode"
    implements = (Spec(500, "MUC Slow Mode", "0.1.1"),)
    fields = (
        ExtensionField(
            _SETTING,
            "muc#roomconfig_slow_mode_duration",
            "text-single",
            "Slow mode: seconds between two messages of a user",
            infoVar="muc#roominfo_slow_mode_duration",
            desc="0: disabled. Owners and admins need not wait.",
            bounds=(0, LONGEST),
            default=0,
            parse=int,
        ),
    )

    def isConcernedWith(self, room: Room) -> bool:
        """Whether a room is in slow mode."""
        return bool(room.settings.extensions.get(_SETTING))

    def beforeMessage(self, room: Room, occupant: Occupant, message: Element) -> None:
        """Refuse a message that comes too early (§6)."""
        if occupant.affiliation >= Affiliation.ADMIN or message.child("body") is None:
            return
        limit = self._limit(room)
        if limit is not None and limit.wait(occupant.account.bare, room.seconds()):
            raise StanzaError(
                "policy-violation",
                "wait",
                f"This room is in slow mode: you have to wait {limit.period} seconds between messages.",
            )

    def published(self, room: Room, message: RoomMessage) -> None:
        """Count a message."""
        limit = self._limit(room)
        if limit is not None and message.account and message.message.child("body") is not None:
            limit.take(message.account, room.seconds())

    def _limit(self, room: Room) -> RateLimit | None:
        """The limit of a room, C{None} if it is not in slow mode."""
        duration = room.settings.extensions.get(_SETTING)
        if not duration:
            return None
        limit: RateLimit | None = room.volatile.get(self.name)
        if limit is None or limit.period != duration:
            limit = room.volatile[self.name] = RateLimit(1, duration)
        return limit
