# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.roomrecord}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import Affiliate
from muccore.muc.model.affiliations import Affiliations
from muccore.muc.model.room import Room
from muccore.muc.model.roomrecord import putRows, recordOf
from muccore.testing.defaults import defaultOptions
from muccore.xmpp.jid import parse


class RoomRecordTests(SynchronousTestCase):
    """The record of a room."""

    def setUp(self) -> None:
        affiliations = Affiliations({"a@b": Affiliate("owner"), "c@d": Affiliate("member", "C")})
        self.room = Room(parse("room@rooms"), defaultOptions().defaults, affiliations, lambda: 0.0)

    def test_changes(self) -> None:
        """It has the affiliations after a change, which the room does not have yet."""
        record = recordOf(self.room, self.room.settings, {"c@d": None, "e@f": Affiliate("admin")}, {})
        self.assertEqual(record.affiliates, {"a@b": Affiliate("owner"), "e@f": Affiliate("admin")})
        self.assertIsNotNone(self.room.affiliations.entry("c@d"))

    def test_rowsToCome(self) -> None:
        """It may have rows after a change as well."""
        putRows(self.room, {("hats", "a"): 1})
        record = recordOf(self.room, self.room.settings, {}, {("hats", "a"): None, ("mood", "x"): 2})
        self.assertEqual(record.states, {"mood": {"x": 2}})
        self.assertEqual(self.room.states["hats"], {"a": 1})

    def test_rows(self) -> None:
        """Rows are put and removed one by one; names without rows are left out, and later changes do not reach it."""
        putRows(self.room, {("hats", "a"): 1, ("hats", "b"): 0, ("mood", "x"): ""})
        record = self.room.record()
        self.assertEqual(record.states, {"hats": {"a": 1, "b": 0}, "mood": {"x": ""}})
        putRows(self.room, {("hats", "a"): None, ("mood", "x"): None, ("none", "x"): None, ("hats", "none"): None})
        self.assertEqual(self.room.record().states, {"hats": {"b": 0}})
        self.assertEqual(record.states["hats"], {"a": 1, "b": 0})
