# -*- test-case-name: tests.http.upload.test_slots -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.http.upload.slots}."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.http.upload.slots import LIFETIME, Slots
from muccore.interfaces.uploads import Upload

ROMEO = "romeo@example.org"
JULIET = "juliet@example.org"
UPLOAD = Upload("a" * 32, ROMEO, "a.png", "image/png", 10, 0, None)


class SlotsTests(SynchronousTestCase):
    """Promises."""

    def setUp(self) -> None:
        """Start with none."""
        self.clock = Clock()
        self.slots = Slots(self.clock.seconds)

    def test_found(self) -> None:
        """A slot is found by its id until its time is over; its token is its own."""
        slot, other = self.slots.add(UPLOAD, True), self.slots.add(replace(UPLOAD, id="b"), True)
        self.assertIs(self.slots.find("b"), other)
        self.assertTrue(slot.isToken(slot.token))
        for token in (other.token, "", slot.token + "x", "\xe4", "\udc80"):
            self.assertFalse(slot.isToken(token))
        self.assertNotIn(slot.token, repr(slot.upload))
        self.clock.advance(LIFETIME)
        self.assertIsNone(self.slots.find("b"))
        self.assertEqual(len(self.slots), 0)

    def test_promised(self) -> None:
        """What waits to be put counts, for its account and for all."""
        slot = self.slots.add(UPLOAD, True)
        self.slots.add(replace(UPLOAD, id="b", owner=JULIET, size=5), True)
        self.assertEqual(self.slots.promised(ROMEO), (10, 15))
        self.slots.begin(slot, object())
        self.assertEqual((self.slots.promised(ROMEO), self.slots.promised(JULIET)), ((0, 5), (5, 5)))
        self.slots.fail(slot)
        self.assertEqual(self.slots.promised(ROMEO), (10, 15))
        self.slots.begin(slot, object())
        self.slots.remove(slot)
        self.slots.remove(slot)
        self.slots.fail(slot)
        self.assertEqual(self.slots.promised(ROMEO), (0, 5))
        self.clock.advance(LIFETIME)
        self.assertEqual(self.slots.promised(JULIET), (0, 0))

    def test_busy(self) -> None:
        """A slot whose file is being put stays; then its time counts again."""
        slot = self.slots.add(UPLOAD, True)
        later = self.slots.add(replace(UPLOAD, id="b"), True)
        self.slots.begin(slot, object())
        self.clock.advance(LIFETIME)
        self.assertIs(self.slots.find(UPLOAD.id), slot)
        self.assertIsNone(self.slots.find(later.upload.id))
        self.slots.fail(slot)
        self.assertIsNone(self.slots.find(UPLOAD.id))

    def test_taken(self) -> None:
        """The slots of one account can be taken."""
        slot, other = self.slots.add(UPLOAD, True), self.slots.add(replace(UPLOAD, id="b", owner=JULIET), True)
        self.assertEqual(self.slots.take(ROMEO), [slot])
        self.assertIsNone(self.slots.find(UPLOAD.id))
        self.assertIs(self.slots.find("b"), other)
        self.assertEqual(self.slots.promised(ROMEO), (0, 10))

    def test_admitted(self) -> None:
        """An account gets a number of slots in any minute, and learns when the next one is free."""
        for second in range(3):
            self.assertEqual(self.slots.admit(ROMEO, 3), 0, second)
            self.clock.advance(1)
        self.assertEqual(self.slots.admit(ROMEO, 3), 57)
        self.assertEqual(self.slots.admit(JULIET, 3), 0)
        self.clock.advance(56.5)
        self.assertEqual(self.slots.admit(ROMEO, 3), 0.5)
        self.clock.advance(0.5)
        self.assertEqual(self.slots.admit(ROMEO, 3), 0)
        self.assertEqual(self.slots.admit(ROMEO, 3), 1)
        # A lower limit after a reload.
        self.assertEqual(self.slots.admit(ROMEO, 1), 60)
