# Copyright (c) The muccore authors. See LICENSE for details.
"""
A theatre whose store takes its time and may fail.
"""

from __future__ import annotations

from muccore.element import Rendered
from muccore.interfaces import RoomRecord
from muccore.testing.doubles import WRITES, DelayedRoomStore, FailingRoomStore
from muccore.testing.stage import Client
from tests.muc.theatre import Theatre, admin, affiliation, heard


class Slow(Theatre):
    """
    A members-only room, a member in it, and a store that takes its time and may fail.
    """

    fields: dict[str, object] = {"membersonly": True}

    def setUp(self) -> None:
        """
        The room stands; from here on the store is slow.
        """
        self.failing = FailingRoomStore()
        self.store = DelayedRoomStore(self.failing)
        self.store.holding = frozenset()
        self.begin(self.store)
        self.romeo, self.juliet = self.client("romeo"), self.client("juliet")
        self.open(self.romeo, **self.fields)
        admin(self.romeo, affiliation("juliet@localhost", "member"))
        self.admit((self.juliet, "Juliet"))
        self.quiet(self.romeo)
        self.store.holding = WRITES

    def restart(self) -> None:
        """
        Everything anew.
        """
        self.setUp()

    def state(self) -> tuple[object, ...]:
        """
        What a room is, and who is what in it.
        """
        room = self.room()
        return (
            self.record(),
            room.record(),
            room.locked,
            [(o.nick, o.role, o.affiliation, list(o.seats)) for o in room.occupants.values()],
        )

    def watch(self, seen: list[RoomRecord | None]) -> None:
        """
        Note what is stored whenever somebody hears something.
        """

        def watched(client: Client) -> None:
            send = client.send

            def noted(stanza: Rendered, to: bytes) -> None:
                seen.append(self.record())
                send(stanza, to)

            client.send = noted  # type: ignore[method-assign]

        for client in (self.romeo, self.juliet):
            watched(client)

    def expectError(self, condition: str = "wait internal-server-error") -> None:
        """
        Romeo has got one error for what he asked, an IQ or a message.
        """
        [line] = heard(self.romeo)
        self.assertIn(line, (f"error q {condition}", f"bounced {condition}"))
