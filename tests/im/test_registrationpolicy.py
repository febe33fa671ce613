# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.registrationpolicy}."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import text
from twisted.trial.unittest import SynchronousTestCase

from muccore.im.registrationpolicy import RegistrationPolicy
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.scramkeys import saslprep


class PasswordTests(SynchronousTestCase):
    """Passwords."""

    policy = RegistrationPolicy(8, False)

    def test_refused(self) -> None:
        """Short ones, the name of the account, and what SASLprep refuses; no text has the password."""
        for password in ("", "seven77", "\u00ad" * 8, "montague", "MONTAGUE", "tab\tand more", "\u0627latin letters"):
            error = self.assertRaises(StanzaError, self.policy.checkPassword, "montague", password)
            self.assertEqual((error.condition, error.type), ("not-acceptable", "modify"))
            self.assertTrue(error.text)
            if password:
                self.assertNotIn(password, error.text or "")

    def test_accepted(self) -> None:
        """Others, of any script."""
        for password in ("eight888", "montague!", "пароль12", "a  b c d e"):
            self.policy.checkPassword("montague", password)

    @given(text())
    def test_any(self, password: str) -> None:
        """What is accepted can be stored."""
        try:
            self.policy.checkPassword("montague", password)
        except StanzaError:
            return
        self.assertGreaterEqual(len(saslprep(password)), 8)
