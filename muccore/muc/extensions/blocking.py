# -*- test-case-name: tests.muc.extensions.test_blocking -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Private messages to users who block whom they come from (XEP-0191). Other servers refuse them for their users."""

from __future__ import annotations

from muccore.interfaces import ISession
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.occupant import Occupant
from muccore.muc.model.room import Room
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import parse
from muccore.xmpp.specs import Spec


class Blocking(RoomExtension):
    """The extension."""

    name = "blocking"
    implements = (Spec(191, "Blocking Command", "1.3", "Private messages in rooms."),)

    def beforePrivateMessage(self, room: Room, occupant: Occupant, target: Occupant, message: Element) -> None:
        """Refuse a private message from an occupant JID, or a room, that the recipient blocks."""
        address = parse(occupant.address)
        for session in target.sessions:
            route = self.service.parent.routeTo(parse(session))
            if ISession.providedBy(route) and route.userState is not None and route.userState.blocks(address):
                raise StanzaError("service-unavailable")
