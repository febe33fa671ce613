# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.insecure}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muccore.interfaces import IAuthBackend
from muccore.storage.insecure import InsecureAuth


class OpenAccountsTests(SynchronousTestCase):
    """Accounts for everybody."""

    def test_interface(self) -> None:
        """They are accounts, but none that could be managed, keep no keys, and say that they are for loopback only."""
        accounts = InsecureAuth()
        verifyObject(IAuthBackend, accounts)
        self.assertEqual(accounts.hashes, frozenset())
        self.assertIs(accounts.loopbackOnly, True)
        self.assertFalse(hasattr(accounts, "create") or hasattr(accounts, "users"))

    def test_anyPassword(self) -> None:
        """Every name may log in with any password, at once; no name may not."""
        accounts = InsecureAuth()
        self.successResultOf(accounts.open())
        self.assertIs(self.successResultOf(accounts.checkPassword("juliet", "")), True)
        self.assertIs(self.successResultOf(accounts.checkPassword("romeo", "\x07")), True)
        self.assertIs(self.successResultOf(accounts.checkPassword("", "r0m30")), False)
        self.assertIsNone(self.successResultOf(accounts.scramKeys("juliet", "SHA-256")))
        self.successResultOf(accounts.close())
        self.successResultOf(accounts.close())
