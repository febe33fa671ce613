# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.userrates}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.userrates import UserRates
from muccore.xmpp.errors import StanzaError


class RateTests(SynchronousTestCase):
    """Three requests at once, then one every ten seconds."""

    def setUp(self) -> None:
        self.now = 0.0
        self.rates = UserRates(3, 0.1, "Too often.", lambda: self.now)

    def assertRefused(self, user: str, count: int = 1) -> None:
        """The user may not ask now."""
        error = self.assertRaises(StanzaError, self.rates.admit, user, count)
        self.assertEqual((error.condition, error.type, error.text), ("resource-constraint", "wait", "Too often."))

    def test_rate(self) -> None:
        """Each user has a rate of their own; what is refused is not counted."""
        self.rates.admit("a@x")
        self.assertRefused("a@x", 3)
        self.rates.admit("a@x", 2)
        self.rates.admit("b@x", 3)
        self.assertRefused("a@x")
        self.now = 10.0
        self.rates.admit("a@x")
        self.assertRefused("a@x")
