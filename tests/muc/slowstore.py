# Copyright (c) The muccore authors. See LICENSE for details.
"""A room with a store that answers late and can fail."""

from __future__ import annotations

from typing import Any

from muccore.interfaces import RoomRecord
from muccore.testing.doubles import WRITES, DelayedRoomStore, FailingRoomStore
from tests.muc.muchelpers import MUCTestCase, affiliation, onDelivery, sendAdmin, summaries


class SlowStoreTestCase(MUCTestCase):
    """
    A room, its owner Romeo, the member Juliet, and a store that holds writes back until it is released.

    @cvar fields: the room's configuration.
    """

    fields: dict[str, Any] = {"membersonly": True}

    def setUp(self) -> None:
        self.failing = FailingRoomStore()
        self.store = DelayedRoomStore(self.failing)
        self.store.holding = frozenset()
        self.startServer(self.store)
        self.romeo, self.juliet = self.login("romeo", "juliet")
        self.createRoom(self.romeo, **self.fields)
        sendAdmin(self.romeo, affiliation("juliet@localhost", "member"))
        self.enter(self.juliet)
        self.store.holding = WRITES

    def state(self) -> tuple[object, ...]:
        """Return the stored room, the room in memory, and its occupants."""
        room = self.room()
        occupants = [(o.nick, o.role, o.affiliation, list(o.sessions)) for o in room.occupants.values()]
        return self.record(), room.record(), room.locked, occupants

    def recordsOnDelivery(self) -> list[RoomRecord | None]:
        """Return a list that grows, with every stanza delivered from now on, by the room as stored at that moment."""
        seen: list[RoomRecord | None] = []
        for client in (self.romeo, self.juliet):
            onDelivery(client, lambda name: seen.append(self.record()))
        return seen

    def assertStoreError(self) -> None:
        """Check that Romeo has received one error, to an IQ or a message, for a failure of the store."""
        [line] = summaries(self.romeo)
        self.assertRegex(line, "^(error q|room message error) wait internal-server-error$")
