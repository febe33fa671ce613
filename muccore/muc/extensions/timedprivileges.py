# -*- test-case-name: tests.muc.extensions.test_timedprivileges -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Timed bans, mutes and memberships: they begin by ad-hoc commands, and end by themselves, announced as XEP-0045 announces
such changes. One timer of the service waits for the next end in the rooms that are in memory; what has ended in
another room meanwhile is changed when it is loaded, before anybody enters.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from muccore.log.logger import Logger
from muccore.muc.extensions import timedcommands
from muccore.muc.model import timedprivileges
from muccore.muc.model.affiliations import affiliationOf
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.privilegechanges import PrivilegeChange
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.room import Room
from muccore.xmpp import ns
from muccore.xmpp.commands import Command
from muccore.xmpp.element import stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID

RETRY: Final = 60
"""Seconds after which an end is tried again that the store has refused, or that came while the room was loaded."""

LONGEST_WAIT: Final = 60
"""Seconds between two looks at the time of day, which may be set."""

_SLACK: Final = 64
"""Obsolete entries of the heap that are left in it, besides as many as there are rooms."""


class TimedPrivileges(RoomExtension):
    """The extension."""

    name = "timed"
    _log = Logger()

    def start(self) -> None:
        """Begin without rooms."""
        self._deadlines: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._call: IDelayedCall | None = None

    def stop(self, final: bool) -> None:
        """Cancel the timer."""
        if self._call is not None and self._call.active():
            self._call.cancel()

    def commands(self) -> Sequence[Command[Room]]:
        """Offer the commands."""
        return timedcommands.makeCommands(self)

    # The rules

    def limitRole(self, room: Room, account: JID, affiliation: Affiliation, role: Role) -> Role:
        """Keep voice from those who are muted."""
        return timedprivileges.limitRole(room, account, affiliation, role)

    def beforePrivilegeChange(self, room: Room, actor: JID, change: PrivilegeChange) -> None:
        """Let a change end what it replaces, and keep the voice that it takes."""
        change.states.update(dict.fromkeys(timedprivileges.superseded(room, change)))
        timedprivileges.keepTaken(room, actor, change)

    # The end

    def loading(self, room: Room) -> Deferred[None] | None:
        """End what is over by now; then wait for the rest."""
        change = timedprivileges.planEnd(room, self.service.parent.now())
        writing = self.service.storeChange(room, change.stored(room), None)
        if writing is None:
            self.watch(room)
            return None

        def apply(_: object) -> None:
            self.service.carryOut(room, room.jid.bare, change)
            self._notify(room, change)

        def watch(result: Failure | None) -> Failure | None:
            self.watch(room)
            return result

        return writing.addCallback(apply).addBoth(watch)

    def watch(self, room: Room) -> None:
        """Wait for the next end in a room, after its rows have changed."""
        deadline = timedprivileges.nextDeadline(room)
        if deadline is None:
            self._deadlines.pop(room.jid.bare, None)
        else:
            self._await(room.jid.bare, deadline)

    def _await(self, bare: str, deadline: float) -> None:
        if self._deadlines.get(bare) != deadline:
            self._deadlines[bare] = deadline
            heappush(self._heap, (deadline, bare))
            if len(self._heap) > 2 * len(self._deadlines) + _SLACK:
                self._heap = [(until, room) for room, until in self._deadlines.items()]
                heapify(self._heap)
            self._setTimer()

    def _setTimer(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
        if self._heap:
            # The time of day may be set meanwhile.
            delay = min(max(0, self._heap[0][0] - self.service.parent.now()), LONGEST_WAIT)
            self._call = self.service.parent.clock.callLater(delay, self._due)

    def _due(self) -> None:
        now = self.service.parent.now()
        ending = []
        while self._heap and self._heap[0][0] <= now:
            deadline, bare = heappop(self._heap)
            if self._deadlines.get(bare) == deadline:
                del self._deadlines[bare]
                ending.append(bare)
        self._setTimer()
        rooms = self.service.rooms
        for bare in ending:
            room = rooms.live.get(bare)
            if room is not None:
                self._end(room)
            elif bare in rooms.opening():
                # What ended was looked for already, but another extension still prepares the room.
                self._await(bare, now + RETRY)

    def _end(self, room: Room) -> None:
        changes = []

        def plan() -> PrivilegeChange:
            change = timedprivileges.planEnd(room, self.service.parent.now())
            changes.append(change)
            return change

        def done(_: object) -> None:
            for change in changes:
                self._notify(room, change)
            if self.service.rooms.live.get(room.jid.bare) is room:
                self.watch(room)

        def failed(failure: Failure) -> None:
            if failure.check(StanzaError) is None:
                self._log.failure("timed privileges of a room could not end", failure)
            self._await(room.jid.bare, self.service.parent.now() + RETRY)

        self.service.changeByService(room, plan).addCallbacks(done, failed)

    def _notify(self, room: Room, change: PrivilegeChange) -> None:
        """Tell users who were not in the room (XEP-0045 §18.1, status 101)."""
        for key in change.absent:
            if "@" in key and not room.occupantsAffectedBy(key):
                reason = change.reasons[key] or ""
                message = stanza("message", from_=room.jid.bare, to=key)
                message.add("body", text=f"{room.jid.bare}: {reason}")
                x = message.add("x", ns.MUC_USER)
                affiliation = affiliationOf(change.affiliates[key])
                x.add("item", affiliation=affiliation.xmlName, jid=key).add("reason", text=reason)
                x.add("status", code="101")
                self.service.send(message)
