# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.occupant}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.jid import parse
from muccore.muc.occupant import Occupant
from muccore.muc.privileges import Affiliation, Role
from tests.muc.company import Listener

ROOM = parse("room@conference.localhost")


class OccupantTests(SynchronousTestCase):
    """
    Somebody in a room.
    """

    def setUp(self) -> None:
        """
        Somebody has come.
        """
        self.occupant = Occupant(ROOM, "O'Neil", parse("neil@localhost"), Affiliation.NONE, Role.PARTICIPANT)

    def test_address(self) -> None:
        """
        His address is the room's with his nick, also as an attribute, where it is escaped.
        """
        self.assertEqual(self.occupant.address, "room@conference.localhost/O'Neil")
        self.assertEqual(self.occupant.fromAttribute, b" from='room@conference.localhost/O&apos;Neil'")

    def test_rename(self) -> None:
        """
        With another nick he has another address, and what was rendered of him is out of date.
        """
        self.occupant.faces = ("", "")  # type: ignore[assignment]
        self.occupant.rename(ROOM, "Neil")
        self.assertEqual((self.occupant.nick, self.occupant.address), ("Neil", "room@conference.localhost/Neil"))
        self.assertEqual(self.occupant.fromAttribute, b" from='room@conference.localhost/Neil'")
        self.assertIsNone(self.occupant.faces)

    def test_seats(self) -> None:
        """
        Each session has a seat of its own, and the last one to come is the one that is shown.
        """
        deliver = Listener().deliver
        first = self.occupant.seat("neil@localhost/a", deliver, b"<show>away</show>")
        self.occupant.faces = ("", "")  # type: ignore[assignment]
        second = self.occupant.seat("neil@localhost/b'", deliver, b"")
        self.assertEqual(list(self.occupant.seats.values()), [first, second])
        self.assertIs(self.occupant.shown, second)
        self.assertIsNone(self.occupant.faces)
        self.assertEqual(second.to, b" to='neil@localhost/b&apos;'")
        self.assertEqual((first.payload, first.occupant, first.deliver), (b"<show>away</show>", self.occupant, deliver))
        self.assertFalse(first.seesJIDs or second.seesJIDs)
