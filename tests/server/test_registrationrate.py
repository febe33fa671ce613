# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.server.registrationrate}."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.server.registrationrate import PASSWORDS, PasswordRate, RegistrationRate


class PasswordRateTests(SynchronousTestCase):
    """Changes of passwords."""

    def test_limit(self) -> None:
        """Each account has its own limit, which grows with time."""
        clock = Clock()
        rate = PasswordRate(clock.seconds)
        changes = [rate.admits("romeo@localhost") for _ in range(PASSWORDS + 5)]
        self.assertEqual((changes.count(True), changes[-1]), (PASSWORDS, False))
        self.assertTrue(rate.admits("juliet@localhost"))
        clock.advance(3600 / PASSWORDS)
        self.assertEqual([rate.admits("romeo@localhost") for _ in range(2)], [True, False])


class RegistrationRateTests(SynchronousTestCase):
    """Attempts."""

    def setUp(self) -> None:
        """Two attempts an hour from an address, five in all."""
        self.clock = Clock()
        self.rate = RegistrationRate(2, 5, self.clock.seconds)

    def admitted(self, *addresses: str) -> list[bool]:
        """What becomes of attempts."""
        return [self.rate.admits(address) for address in addresses]

    def test_perAddress(self) -> None:
        """An address has its limit, of IPv6 a /64; who is refused can try again when time has passed."""
        self.assertEqual(self.admitted("10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2"), [True, True, False, True])
        self.assertEqual(self.admitted("fd00::1", "fd00::ffff:1", "fd00::2"), [True, True, False])
        self.clock.advance(1800)
        self.assertEqual(self.admitted("fd00::2", "fd00::2"), [True, False])

    def test_total(self) -> None:
        """Who is refused by the own limit takes nothing from others."""
        self.assertEqual(self.admitted(*["10.0.0.1"] * 50), [True, True, *[False] * 48])
        self.assertEqual(self.admitted("10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"), [True, True, True, False])

    def test_configured(self) -> None:
        """New limits count from now on; the same ones change nothing."""
        self.admitted("10.0.0.1", "10.0.0.1")
        self.rate.configure(2, 5)
        self.assertEqual(self.admitted("10.0.0.1"), [False])
        self.rate.configure(3, 5)
        self.assertEqual(self.admitted("10.0.0.1"), [True])
