# -*- test-case-name: tests.muc.extensions.test_adhoccommands -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Ad-hoc commands (XEP-0050) that are carried out on a room, and who may use them."""

from __future__ import annotations

from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.room import Room
from muccore.xmpp.commands import Command, badPayload
from muccore.xmpp.jid import JID


def accountOf(room: Room, address: JID) -> JID:
    """
    The bare JID of the user with an address, which may be that of an occupant of the room.

    @raise StanzaError: C{bad-payload} if there is no such occupant.
    """
    if address.bare != room.jid.bare:
        return address.bareJID()
    occupant = room.occupants.get(address.resource)
    if occupant is None:
        raise badPayload("There is no occupant with this address.")
    return occupant.account


class RoomCommand(Command[Room]):
    """
    A command for those who have an affiliation or a role.

    @ivar affiliation: the least affiliation of those who may use it, in the room or not.
    @ivar role: the least role of other occupants who may use it; C{None} for nobody else.
    """

    affiliation: Affiliation = Affiliation.OWNER
    role: Role | None = None

    def mayUse(self, room: Room, requester: JID) -> bool:
        """See L{Command.mayUse}."""
        if room.affiliations.get(requester) >= self.affiliation:
            return True
        occupant = room.occupantByRealJID(requester.full)
        return self.role is not None and occupant is not None and occupant.role >= self.role
