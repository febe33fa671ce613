# -*- test-case-name: tests.muc.model.test_audience -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The audience of a room: the one place that knows how what is sent to all reaches each.

A room says what is for whom; it does not go through sessions. So a link to another server or node can stand for many
occupants, and get one copy, by a change of this module.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from muccore.muc.model.occupant import Occupant, OccupantSession
from muccore.muc.model.privileges import Role
from muccore.xmpp.rendering import Rendered


class Audience:
    """
    Those who hear a room.

    @ivar sessions: their sessions, by full JID.
    @ivar sent: the bytes that they were sent, all together, since somebody has set it to 0. What only a few of them
        get is not counted.
    """

    __slots__ = ("sent", "sessions")

    def __init__(self) -> None:
        self.sessions: dict[str, OccupantSession] = {}
        self.sent = 0

    def send(self, stanza: Rendered) -> None:
        """Send a stanza to all."""
        self.sent += len(self.sessions) * (len(stanza.head) + len(stanza.tail))
        for session in self.sessions.values():
            session.deliver(stanza, session.to)

    def sendToModerators(self, stanza: Rendered) -> None:
        """Send a stanza to the moderators."""
        for session in self.sessions.values():
            if session.occupant.role is Role.MODERATOR:
                session.deliver(stanza, session.to)

    def sendToViewers(self, withoutJID: Rendered | None, withJID: Rendered, exclude: Collection[Occupant]) -> None:
        """Send all but some occupants a stanza, as L{sendVersions}; C{None}: those others are not sent any."""
        for session in self.sessions.values():
            stanza = withJID if session.seesJIDs else withoutJID
            if stanza is not None and session.occupant not in exclude:
                self.sent += stanza.size
                session.deliver(stanza, session.to)

    def sendVersions(self, withoutJID: Rendered, withJID: Rendered, exclude: Occupant | None) -> None:
        """Send all but one occupant a stanza, in the version for those who may see real JIDs or for the others."""
        self.sent += len(self.sessions) * withoutJID.size
        for session in self.sessions.values():
            if session.occupant is not exclude:
                session.deliver(withJID if session.seesJIDs else withoutJID, session.to)

    def sendEach(self, versions: Callable[[OccupantSession], tuple[Rendered, Rendered] | None]) -> None:
        """
        Send each session what a function makes for it: the versions for those who may not see real JIDs and for those
        who may; C{None} for nothing.
        """
        last = None
        for session in self.sessions.values():
            made = versions(session)
            if made is not None:
                last = made[session.seesJIDs]
                session.deliver(last, session.to)
        if last is not None:
            # Their sizes hardly differ.
            self.sent += len(self.sessions) * last.size


def sendTo(occupants: Iterable[Occupant], stanza: Rendered) -> None:
    """Send a stanza to all sessions of some occupants."""
    for occupant in occupants:
        for session in occupant.sessions.values():
            session.deliver(stanza, session.to)
