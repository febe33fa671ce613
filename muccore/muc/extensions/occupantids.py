# -*- test-case-name: tests.muc.extensions.test_occupantids -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Occupant identifiers (XEP-0421): the same id for a user in a room whatever their nick, from which their JID cannot be
found. It is the HMAC of the bare JID with a key of the room.
"""

from __future__ import annotations

import hmac
import secrets

from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.room import Room
from muccore.xmpp import ns
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec

_KEY_BYTES = 32


def occupantId(room: Room, account: JID) -> str | None:
    """
    Make the id of a user in a room, which need not be in it.

    @param account: the bare JID.
    @return: C{None} if the room has no occupant ids.
    """
    key = room.settings.extensions.get(OccupantIds.name)
    return None if key is None else hmac.digest(bytes.fromhex(key), account.bare.encode(), "sha256").hex()


class OccupantIds(RoomExtension):
    """The extension."""

    name = "occupant-id"
    implements = (Spec(421, "Occupant identifiers for semi-anonymous MUCs", "1.0.1"),)
    features = serviceFeatures = (ns.OCCUPANT_ID,)

    def newState(self) -> str:
        """Make the key of a room, in hexadecimal."""
        return secrets.token_hex(_KEY_BYTES)

    def stampOccupant(self, room: Room, account: JID) -> bytes:
        """Make the id of a user."""
        return f"<occupant-id xmlns='{ns.OCCUPANT_ID}' id='{occupantId(room, account)}'/>".encode()
