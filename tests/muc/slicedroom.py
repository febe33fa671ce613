# Copyright (c) The muccore authors. See LICENSE for details.
"""A room in which nearly everything takes several turns."""

from __future__ import annotations

from muccore.net import slices
from muccore.testing.inmemory import Client
from muccore.xmpp.rendering import Rendered
from tests.muc.muchelpers import RoomTestCase
from tests.turns import turn

SLICE = 50


class SlicedRoomTestCase(RoomTestCase):
    """
    A room with slices of L{SLICE}, its owner, and L{count} others, C{u0@users.localhost} and so on.

    @ivar others: the other clients.
    @ivar delivered: how many stanzas have been delivered in this turn.
    """

    count = 12

    def setUp(self) -> None:
        super().setUp()
        self.others = [self.client(f"u{number}@localhost/a") for number in range(self.count)]
        for number, client in enumerate(self.others):
            self.enter(client, f"N{number}")
        self.delivered = 0
        for client in self.clients:
            self.counting(client)
        self.patch(slices, "SLICE", SLICE)
        self.discardReceived()

    def counting(self, client: Client) -> Client:
        """Count what a client is sent."""
        send = client.send

        def deliver(stanza: Rendered, to: bytes) -> None:
            self.delivered += 1
            send(stanza, to)

        client.send = deliver  # type: ignore[method-assign]
        return client

    def turn(self, seconds: float = slices.PAUSE) -> int:
        """Let a turn pass, with a pause; return how many stanzas were delivered in it."""
        self.delivered = 0
        turn(self.server.clock, seconds)
        return self.delivered

    def settle(self) -> list[int]:
        """Let turns pass until nothing is left to do; return how many stanzas were delivered in each."""
        counts = []
        while (rooms := self.server.muc.rooms).slices.isBusy or rooms.pacedSlices.isBusy:
            counts.append(self.turn())
        return counts
