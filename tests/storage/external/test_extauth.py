# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.external.extauth}."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis.strategies import characters, text
from twisted.trial.unittest import SynchronousTestCase

from muccore.storage.external.extauth import authRequest, environmentOf, isUserRequest

NAMES = text(characters(exclude_characters=":\0", exclude_categories=["Cs"]), min_size=1, max_size=50)
PASSWORDS = text(characters(exclude_categories=["Cs"]), max_size=500)


class RequestTests(SynchronousTestCase):
    """L{authRequest}, L{isUserRequest}"""

    @given(NAMES, NAMES, PASSWORDS)
    def test_fields(self, user: str, host: str, password: str) -> None:
        """A program that splits at the first three colons finds what was asked, whatever is in the password."""
        data = authRequest(user, host, password)
        self.assertEqual(struct.unpack(">H", data[:2]), (len(data) - 2,))
        self.assertEqual(data[2:].decode("utf-8").split(":", 3), ["auth", user, host, password])

    def test_isUser(self) -> None:
        """There is no password in the question for a user."""
        self.assertEqual(isUserRequest("juliet", "a.lit"), b"\0\x13isuser:juliet:a.lit")

    def test_refused(self) -> None:
        """Names with a separator, and what is too long, are not encoded."""
        for user, host in (("a:b", "c"), ("a", "b:c"), ("a\0", "b")):
            self.assertRaises(ValueError, authRequest, user, host, "x")
            self.assertRaises(ValueError, isUserRequest, user, host)
        self.assertRaises(ValueError, authRequest, "a", "b", "x" * 0x7FFF)

    def test_environment(self) -> None:
        """A program cannot speak to the service manager in the server's name."""
        found = environmentOf({"PATH": "/bin", "NOTIFY_SOCKET": "/run/x", "LISTEN_FDS": "1", "LANG": "C"})
        self.assertEqual(found, {"PATH": "/bin", "LANG": "C"})
