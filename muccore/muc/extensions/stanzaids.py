# -*- test-case-name: tests.muc.extensions.test_stanzaids -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Stable stanza ids (XEP-0359) of the messages of a room, which those of its history keep."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.room import Room
from muccore.muc.model.storing import isArchived
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import escapeAttribute
from muccore.xmpp.specs import Spec

_STAMP: Final = b"<stanza-id xmlns='%s' id='%%s' by='%%s'/>" % ns.STANZA_ID.encode()


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
        return _STAMP % (id.encode(), _by(room.jid.bare))


@lru_cache
def _by(room: str) -> bytes:
    return escapeAttribute(room).encode()
