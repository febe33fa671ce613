# -*- test-case-name: tests.im.test_directinvitations -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Direct invitations (XEP-0249) in private messages, which are counted with all others."""

from __future__ import annotations

from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.occupant import Occupant
from muccore.muc.model.room import Room
from muccore.xmpp import ns
from muccore.xmpp.element import Element


class PrivateInvitations(RoomExtension):
    """The extension."""

    name = "private-invitations"

    def beforePrivateMessage(self, room: Room, occupant: Occupant, target: Occupant, message: Element) -> None:
        """Refuse an invitation if there are too many."""
        if message.child("x", ns.CONFERENCE) is not None:
            self.service.invitations.admitDirect(occupant.account, target.account)
