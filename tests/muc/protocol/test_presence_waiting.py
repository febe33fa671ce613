# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.protocol.presence} with a slow store. Entering a room that is being loaded is in
L{tests.muc.service.test_rooms}.
"""

from __future__ import annotations

from muccore.interfaces import RoomRecord
from muccore.muc.model import changequeue
from muccore.testing.defaults import defaultRoom
from muccore.testing.doubles import DelayedRoomStore
from tests.muc.muchelpers import (
    HOST,
    MUCTestCase,
    RoomTestCase,
    errorText,
    join,
    leave,
    sendError,
    sendGroupchat,
    sendPresence,
    setSubject,
    summaries,
)


class EmptyRoomTests(MUCTestCase):
    """Empty rooms in memory."""

    def test_occupiedAgain(self) -> None:
        """An empty room that somebody enters is not evicted for another one."""
        store = DelayedRoomStore()
        store.holding = frozenset()
        names = [f"r{number}@{HOST}" for number in range(2)]
        for name in names:
            store.inner.save(name, RoomRecord(defaultRoom(persistent=True).toMapping(), {}))
        self.startServer(store, idleRooms=1)
        juliet = self.client("juliet")
        self.enter("romeo", to=names[0])
        self.enter(juliet, to=names[1])
        juliet.dropConnection()
        self.assertIn(names[0], self.server.muc.rooms.live)


class BusyTests(RoomTestCase):
    """While Juliet's change of the subject is being stored, what Juliet sends waits for it (RFC 6120 §10.1)."""

    def setUp(self) -> None:
        self.store = DelayedRoomStore()
        self.store.holding = frozenset()
        self.openRoom(self.store, changesubject=True)
        self.juliet, self.romeo = self.enter("juliet"), self.enter("romeo")
        self.store.holding = frozenset(["change"])
        setSubject(self.juliet, "Fire")

    def test_waits(self) -> None:
        """Presence, returned errors and the end of the session wait."""
        for send, *expected in (
            (
                lambda: sendPresence(self.juliet, "J"),
                "Juliet unavailable none/participant nick=J 303",
                "J available none/participant",
            ),
            (
                lambda: sendError(self.juliet, "gone"),
                "Juliet unavailable none/none status:Removed because of an error: gone 333",
            ),
            (lambda: self.juliet.dropConnection(), "Juliet unavailable none/none"),
        ):
            self.setUp()
            send()
            self.assertNothingReceived()
            self.store.release()
            self.assertReceived(self.romeo, "Juliet groupchat subject:Fire", *expected)

    def test_others(self) -> None:
        """Others enter, leave, and change their nick without waiting."""
        nurse = self.client("nurse")
        join(nurse, "Nurse")
        sendPresence(self.romeo, "R")
        self.assertEqual(len(summaries(self.romeo)), 3)
        nurse.dropConnection()
        self.assertReceived(self.romeo, "Nurse unavailable none/none")

    def test_bounded(self) -> None:
        """However large stanzas are, only so much of them waits; leaving is never refused."""
        self.patch(changequeue, "LIMIT", 200_000)
        body = "x" * 50_000
        for number in range(10):
            sendGroupchat(self.juliet, f"<body>{body}</body>", str(number))
        refused = self.juliet.received()
        self.assertEqual([each["id"] for each in refused], [str(number) for number in range(3, 10)])
        self.assertEqual({errorText(each) for each in refused}, {"The room is too busy; try again later."})
        leave(self.juliet, "Juliet")
        self.store.release()
        lines = self.juliet.received()
        self.assertEqual([each.get("id") for each in lines if each.child("body") is not None], ["0", "1", "2"])
        self.assertEqual(lines[-1].get("type"), "unavailable")
