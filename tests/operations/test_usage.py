# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.operations.usage}."""

from __future__ import annotations

from twisted.internet.defer import fail

from muccore.interfaces import RoomRecord, StoreUnavailable
from muccore.storage.memory import MemoryRooms
from tests.operations.commandtestcase import StoreCommandTestCase

CONFIGURATION = """\
[muc]
domain = rooms.example.org
    talk.example.org
rooms_per_user = 4
rooms_limit = 0
total_size_limit = 1 MiB
"""


class UsageTests(StoreCommandTestCase):
    """C{muccorectl usage}, with a store in memory."""

    command = "usage"
    configuration = CONFIGURATION

    def setUp(self) -> None:
        """Replace the configured store."""
        self.rooms = MemoryRooms()
        self.useStore(self.rooms)

    def test_listed(self) -> None:
        """The totals of each service come first, then those who use most, with limits and percentages."""
        for name, creator, size in (
            ("a@rooms.example.org", "romeo@example.org", 1000),
            ("b@rooms.example.org", "romeo@example.org", 24),
            ("c@rooms.example.org", "juliet@example.org", 524288),
            ("d@rooms.example.org", "", 5),
        ):
            self.rooms.save(name, RoomRecord({}, {}, creator=creator, size=size))
        total = "rooms.example.org\t*\t4\t525317 of 1048576 (50 %)"
        juliet = "rooms.example.org\tjuliet@example.org\t1 of 4 (25 %)\t524288 of 67108864 (0 %)"
        romeo = "rooms.example.org\tromeo@example.org\t2 of 4 (50 %)\t1024 of 67108864 (0 %)"
        unknown = "rooms.example.org\t-\t1 of 4 (25 %)\t5 of 67108864 (0 %)"
        talk = "talk.example.org\t*\t0\t0 of 1048576 (0 %)"
        self.assertEqual(self.run_(), (0, [total, juliet, romeo, unknown, talk], ""))
        self.assertEqual(self.run_("--limit", "1"), (0, [total, juliet, talk], ""))
        self.assertEqual(self.run_("--limit", "0")[1], self.run_()[1])
        self.assertEqual(self.closed, 4)

    def test_refused(self) -> None:
        """A store in memory cannot be read from outside; neither can one that fails."""
        self.configure("memory:")
        status, lines, errors = self.run_()
        self.assertEqual((status, lines), (1, []))
        self.assertIn("keeps no rooms that can be read", errors)
        self.configure("sqlite:rooms.db")
        self.patch(self.rooms, "usage", lambda domain: fail(StoreUnavailable("rooms.db: is broken")))
        self.assertEqual(self.run_(), (1, [], "muccorectl: rooms.db: is broken\n"))
        self.assertEqual(self.closed, 1)
