# -*- test-case-name: tests.muc.extensions.test_accountarchives -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Private messages in the archives of those who get them (XEP-0313 §6.1.1), if they have an account at this server: a room
delivers them past the filters of accounts. Once, however many clients of theirs are in the room.
"""

from __future__ import annotations

from muccore.interfaces import ISession
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.occupant import Occupant
from muccore.muc.model.room import Room
from muccore.xmpp.element import Element
from muccore.xmpp.jid import parse


class AccountArchives(RoomExtension):
    """The extension."""

    name = "account-archives"

    def stampPrivateMessage(self, room: Room, target: Occupant, message: Element, stamps: bytes) -> bytes:
        """Archive a private message, and make the stanza id that it has in the archive."""
        for session in target.sessions:
            route = self.service.parent.routeTo(parse(session))
            if ISession.providedBy(route) and route.accountArchive is not None:
                made: bytes = route.accountArchive.receive(message, stamps, target.account)
                return made
        return b""
