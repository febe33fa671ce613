# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.roomsize}. That growth adds up to sizes is tested by random requests, too."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import Affiliate, RoomChange, RoomRecord, Subject
from muccore.muc.model.affiliations import Affiliations
from muccore.muc.model.room import Room
from muccore.muc.model.roomsize import ENTRY, ROOM, growthBy, sizeOf
from muccore.testing.defaults import defaultRoom
from muccore.xmpp.jid import parse


class SizeTests(SynchronousTestCase):
    """Sizes."""

    def test_size(self) -> None:
        """Texts count as UTF-8; entries and rows have a fixed part."""
        empty = RoomRecord({}, {})
        self.assertEqual(sizeOf(empty), ROOM + 2)
        for record, size in (
            (RoomRecord({}, {"a@x": Affiliate("owner")}), ENTRY + 3),
            (RoomRecord({}, {"a@x": Affiliate("member", "ä", "€😀")}), ENTRY + 3 + 2 + 7),
            (RoomRecord({"a": "ä"}, {}), 9),
            (RoomRecord({}, {}, Subject("ab", "cd", 1.5, "de", "a@x")), 2 + 2 + 2 + 3),
            (RoomRecord({}, {}, states={"hats": {"k": [1]}, "x": {"€": "é"}}), 2 * ENTRY + 1 + 3 + 3 + 4),
        ):
            self.assertEqual(sizeOf(record) - sizeOf(empty), size, record)

    def test_growth(self) -> None:
        """A change adds the difference, whether it replaces, removes or adds."""
        owner = {"o@x": Affiliate("owner")}
        room = Room(parse("r@y"), defaultRoom(), Affiliations(owner), lambda: 0.0, states={"hats": {"a": "x"}})
        for change, growth in (
            (RoomChange(), 0),
            (RoomChange({"a@x": Affiliate("outcast", None, "r" * 100)}), ENTRY + 3 + 100),
            (RoomChange({"o@x": Affiliate("owner", "O")}), 1),
            (RoomChange({"o@x": None, "p@x": None}), -ENTRY - 3),
            (RoomChange(states={("hats", "a"): "xyz", ("hats", "b"): None, ("x", "c"): 1}), 2 + ENTRY + 2),
            (RoomChange(states={("hats", "a"): None}), -ENTRY - 1 - 3),
            (RoomChange(subject=Subject("ab", "", 1.5)), 2),
            (RoomChange(settings={**room.settings.stored()["settings"], "name": "abc"}), 3),
        ):
            self.assertEqual(growthBy(room, change), growth, change)
        room.subject = Subject("abcd", "", 1.5)
        self.assertEqual(growthBy(room, RoomChange(subject=Subject("a", "", 1.5))), -3)
