# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.external.extauth}."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import given
from hypothesis.strategies import characters, integers, text
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import StoreUnavailable
from muccore.storage.external.answering import Unanswerable, answer
from muccore.storage.external.extauth import ExtauthProcess, Gone, authRequest, environmentOf, isUserRequest

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


class ReasonTests(SynchronousTestCase):
    """Answers with a reason, from muccore's own programs."""

    def setUp(self) -> None:
        """Ask a process that may give reasons."""
        self.kills: list[str] = []

    def answers(self, *pieces: bytes, explains: bool = True) -> Deferred[Any]:
        """Let a process answer."""
        process = ExtauthProcess(Clock(), 1.0, lambda process, trouble: None, explains)
        process.transport = self  # type: ignore[assignment]
        answer = process.ask(b"?")
        for piece in pieces:
            process.outReceived(piece)
        return answer

    def write(self, data: bytes) -> None:
        """See C{IProcessTransport}."""

    def signalProcess(self, name: str) -> None:
        """See C{IProcessTransport}."""
        self.kills.append(name)

    def loseConnection(self) -> None:
        """See C{IProcessTransport}."""

    @given(text(characters(exclude_categories=["Cs"]), max_size=300), integers(1, 20))
    def test_reason(self, reason: str, size: int) -> None:
        """Whatever the reason, and however it comes, it is no refusal and not the end of the process."""

        def unanswerable(*asked: str) -> bool:
            raise Unanswerable(reason)

        data = answer(b"auth:a:b:c", unanswerable, unanswerable)
        asked = self.answers(*(data[start : start + size] for start in range(0, len(data), size)))
        found = self.failureResultOf(asked, StoreUnavailable).getErrorMessage()
        self.assertTrue(" ".join(reason.split()).startswith(found.removesuffix("\ufffd")))
        self.assertEqual(self.kills, [])

    def test_unexpected(self) -> None:
        """Others have no reasons to give, and nothing follows one."""
        data = answer(b"nonsense:a:b", lambda *asked: True, lambda *asked: True)
        self.assertIs(self.successResultOf(self.answers(data)), False)
        for explains, data in (
            (False, b"\0\3\0\2x"), (True, b"\0\3\0\2xy"), (True, b"\0\3\0\3x"), (True, b"\1\3"),
        ):  # fmt: skip
            self.failureResultOf(self.answers(data, explains=explains), Gone)
        self.assertEqual(self.kills, ["KILL"] * 4)
