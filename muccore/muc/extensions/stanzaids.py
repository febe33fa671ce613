# -*- test-case-name: tests.muc.extensions.test_stanzaids -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Stable stanza ids (XEP-0359) of the messages of a room, which those of its history keep."""

from __future__ import annotations

from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.room import Room
from muccore.muc.model.storing import isArchived
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import escapeAttribute
from muccore.xmpp.specs import Spec


class StanzaIds(RoomExtension):
    """The extension."""

    name = "stanza-id"
    implements = (Spec(359, "Unique and Stable Stanza IDs", "0.7.0", "For messages to rooms."),)
    features = (ns.STANZA_ID,)

    def stampMessage(self, room: Room, id: str, message: Element) -> bytes:
        """
        Make the element with the id of a message. In a room with an archive, only what is archived has one: clients
        continue from the last id that they have seen (XEP-0313 §3.5).
        """
        if room.settings.logged and not isArchived(message):
            return b""
        by = escapeAttribute(room.jid.bare)
        return f"<stanza-id xmlns='{ns.STANZA_ID}' id='{id}' by='{by}'/>".encode()
