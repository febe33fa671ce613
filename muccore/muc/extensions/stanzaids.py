# -*- test-case-name: tests.muc.extensions.test_stanzaids -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Stable stanza ids (XEP-0359) of the messages of a room, which those of its history keep."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.room import Room
from muccore.xmpp import ns
from muccore.xmpp.rendering import escapeAttribute
from muccore.xmpp.specs import Spec

implements = (Spec(359, "Unique and Stable Stanza IDs", "0.7.0", "For messages to rooms."),)


_POOL: Final = 256
"""Ids for which random numbers are read at once: a system call for each would cost more than all the rest."""


def _randomUUIDs() -> Iterator[str]:
    """Make random UUIDs (RFC 4122 §4.4), in a fifth of the time of the class C{UUID}."""
    while True:
        pool = os.urandom(16 * _POOL).hex()
        for at in range(0, len(pool), 32):
            digits = pool[at : at + 32]
            variant = "89ab"[int(digits[16], 16) & 3]
            yield f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


class StanzaIds(RoomExtension):
    """The extension."""

    name = "stanza-id"
    features = (ns.STANZA_ID,)

    def __init__(self) -> None:
        self._ids = _randomUUIDs()

    def stampMessage(self, room: Room) -> bytes:
        """Make the id of a message."""
        by = escapeAttribute(room.jid.bare)
        return f"<stanza-id xmlns='{ns.STANZA_ID}' id='{next(self._ids)}' by='{by}'/>".encode()
