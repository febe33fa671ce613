# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.insecure}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muccore.interfaces import IAuthBackend
from muccore.storage.insecure import InsecureAuth


class InsecureAuthTests(SynchronousTestCase):
    """L{InsecureAuth}"""

    def test_interface(self) -> None:
        """It authenticates, but cannot be managed, has no keys and is for loopback listeners only."""
        auth = InsecureAuth()
        verifyObject(IAuthBackend, auth)
        self.assertEqual(auth.hashes, frozenset())
        self.assertIs(auth.loopbackOnly, True)
        self.assertFalse(hasattr(auth, "create") or hasattr(auth, "users"))

    def test_anyPassword(self) -> None:
        """Every user name is accepted with any password, at once; an empty one is not."""
        auth = InsecureAuth()
        self.successResultOf(auth.open())
        self.assertIs(self.successResultOf(auth.checkPassword("juliet", "")), True)
        self.assertIs(self.successResultOf(auth.checkPassword("romeo", "\x07")), True)
        self.assertIs(self.successResultOf(auth.checkPassword("", "r0m30")), False)
        self.assertIsNone(self.successResultOf(auth.scramKeys("juliet", "SHA-256")))
        self.successResultOf(auth.close())
        self.successResultOf(auth.close())
