# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.accountaccess}."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.stream.accountaccess import LIFETIME, AccountAccess

ROMEO, JULIET = "romeo@localhost", "juliet@localhost"


class AccountAccessTests(SynchronousTestCase):
    """Disabled and revoked accounts."""

    def setUp(self) -> None:
        """Make one."""
        self.clock = Clock()
        self.access = AccountAccess(self.clock.seconds)

    def test_revoked(self) -> None:
        """A revocation counts for the streams that were opened before, and for that account only."""
        opened = self.access.count
        self.access.revoke(ROMEO)
        self.assertEqual(self.access.refusal(ROMEO, opened), "not-authorized")
        self.assertIsNone(self.access.refusal(JULIET, opened))
        later = self.access.count
        self.assertIsNone(self.access.refusal(ROMEO, later))
        self.access.revoke(JULIET)
        self.assertIsNone(self.access.refusal(ROMEO, later))
        self.access.revoke(ROMEO)
        self.assertEqual(self.access.refusal(ROMEO, later), "not-authorized")

    def test_disabled(self) -> None:
        """A disabled account cannot log in, whenever the stream was opened."""
        self.access.disabled.add(ROMEO)
        self.assertEqual(self.access.refusal(ROMEO, self.access.count), "account-disabled")
        self.access.disabled.discard(ROMEO)
        self.assertIsNone(self.access.refusal(ROMEO, self.access.count))

    def test_forgotten(self) -> None:
        """Revocations are remembered for as long as a log-in may take, and not much longer."""
        self.access.revoke(ROMEO)
        self.clock.advance(LIFETIME - 1)
        self.access.revoke(JULIET)
        self.assertEqual(self.access.refusal(ROMEO, 0), "not-authorized")
        self.clock.advance(1)
        self.access.revoke(JULIET)
        self.assertIsNone(self.access.refusal(ROMEO, 0))
        self.assertEqual(self.access.refusal(JULIET, 0), "not-authorized")
