# -*- test-case-name: tests.muc.extensions.test_activity -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Activity indicator (XEP-0502): about how many messages an hour a room has, for those who look for a room.

It is the mean of the last full hours, 24 at most. They are stored when an hour with messages has ended, so a restart
loses the messages of less than an hour, and a message costs a comparison and an addition.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from twisted.python.failure import Failure

from muccore.interfaces import RoomChange
from muccore.log.logger import Logger
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.room import Room
from muccore.muc.model.roommessage import RoomMessage
from muccore.muc.model.roomsettings import isOpenToEverybody
from muccore.xmpp import ns
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec

FIELD: Final = "{urn:xmpp:muc-activity}message-activity"
HOURS: Final = 24
"""The number of hours whose mean is told; older messages do not count (§4)."""

_HOUR: Final = 3600.0
_ROW: Final = "hours"
_log: Final = Logger()


@dataclass(slots=True)
class Activity:
    """
    Messages by the hour. Hours are counted since the epoch.

    @ivar since: the first hour that was counted from its beginning.
    @ivar hour: the present hour.
    @ivar past: messages of the hours before it, the latest first.
    @ivar count: messages of the present hour.
    """

    since: int
    hour: int
    past: list[int] = field(default_factory=list)
    count: int = 0

    @classmethod
    def beginning(cls, now: float) -> Activity:
        """Begin to count. The present hour is not counted as a whole."""
        hour = int(now // _HOUR)
        return cls(hour + 1, hour)

    def advance(self, now: float) -> bool:
        """Go on to the present hour. If the clock was set back, the hour is extended. Return whether it is another."""
        hours = int(now // _HOUR) - self.hour
        if hours <= 0:
            return False
        empty = min(hours, HOURS) - 1
        self.past = [*[0] * empty, self.count, *self.past][:HOURS]
        if hours > HOURS:
            self.past = [0] * HOURS
        self.hour, self.count = self.hour + hours, 0
        return True

    def rate(self) -> float | None:
        """Messages per hour; C{None} before the first full hour has ended."""
        hours = min(self.hour - self.since, HOURS)
        return sum(self.past[:hours]) / hours if hours > 0 else None


class ActivityIndicator(RoomExtension):
    """The extension."""

    name = "activity"
    implements = (Spec(502, "MUC Activity Indicator", "0.1.0"),)

    def published(self, room: Room, message: RoomMessage) -> None:
        """Count a message with a body that is neither a correction nor an import of an old one (§4)."""
        if not message.kept or message.delayed:
            return
        for child in message.message.children:
            if not isinstance(child, str) and child.uri == ns.CORRECT:
                return
        activity: Activity = room.volatile.get(self.name) or self._activity(room)
        if message.when // _HOUR > activity.hour and activity.advance(message.when):
            self._store(room, activity)
        activity.count += 1

    def _activity(self, room: Room) -> Activity:
        activity: Activity | None = room.volatile.get(self.name)
        if activity is None:
            stored: dict[str, Any] | None = room.states.get(self.name, {}).get(_ROW)
            activity = Activity.beginning(room.now()) if stored is None else Activity(**stored)
            room.volatile[self.name] = activity
        return activity

    def _store(self, room: Room, activity: Activity) -> None:
        """Store the past hours of a room that keeps them; nobody waits for it."""
        if not room.settings.persistent:
            return
        row = asdict(activity)
        writing = self.service.storeChange(room, RoomChange(states={(self.name, _ROW): row}), None)

        def stored(_: object) -> None:
            room.states.setdefault(self.name, {})[_ROW] = row

        def failed(failure: Failure) -> None:
            _log.warn("the activity of {room} is not stored: {e}", room=room.jid.bare, e=failure.getErrorMessage())

        if writing is not None:
            writing.addCallbacks(stored, failed)

    def infoFields(self, room: Room, sender: JID) -> Iterable[tuple[str, str, str, bool | str | tuple[str, ...]]]:
        """Tell the messages per hour of a persistent room that everybody can find and enter (§3.1, §8)."""
        if not (room.settings.persistent and isOpenToEverybody(room.settings)):
            return
        # A copy, since the hour must be stored when it ends.
        activity = replace(self._activity(room))
        activity.advance(room.now())
        rate = activity.rate()
        if rate is not None:
            yield FIELD, "text-single", "Messages per hour", f"{rate:.2f}"
