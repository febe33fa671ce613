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
    """

    __slots__ = ("sessions",)

    def __init__(self) -> None:
        self.sessions: dict[str, OccupantSession] = {}

    def send(self, stanza: Rendered) -> None:
        """Send a stanza to all."""
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
                session.deliver(stanza, session.to)

    def sendVersions(self, withoutJID: Rendered, withJID: Rendered, exclude: Occupant | None) -> None:
        """Send all but one occupant a stanza, in the version for those who may see real JIDs or for the others."""
        for session in self.sessions.values():
            if session.occupant is not exclude:
                session.deliver(withJID if session.seesJIDs else withoutJID, session.to)

    def sendEach(self, versions: Callable[[OccupantSession], tuple[Rendered, Rendered] | None]) -> None:
        """
        Send each session what a function makes for it: the versions for those who may not see real JIDs and for those
        who may; C{None} for nothing.
        """
        for session in self.sessions.values():
            made = versions(session)
            if made is not None:
                session.deliver(made[session.seesJIDs], session.to)


def sendTo(occupants: Iterable[Occupant], stanza: Rendered) -> None:
    """Send a stanza to all sessions of some occupants."""
    for occupant in occupants:
        for session in occupant.sessions.values():
            session.deliver(stanza, session.to)
