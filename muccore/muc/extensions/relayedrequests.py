# -*- test-case-name: tests.muc.protocol.test_iqrelay -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Answers to requests between occupants whose recipients are gone (L{muccore.muc.protocol.iqrelay})."""

from __future__ import annotations

from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.occupant import OccupantSession
from muccore.muc.model.room import Room
from muccore.xmpp.jid import JID


class RelayedRequests(RoomExtension):
    """The extension."""

    name = "relayed-requests"

    def left(self, room: Room, session: OccupantSession) -> None:
        """Answer what a session was asked that has left."""
        self.service.relay.sessionLeft(room.jid.bare, session.jid)

    def destroyed(self, room: Room, venue: JID | None, reason: str | None) -> None:
        """Answer what was asked in a room that has ended."""
        self.service.relay.roomEnded(room.jid.bare)
