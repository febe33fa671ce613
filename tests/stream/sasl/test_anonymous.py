# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.sasl.anonymous}."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from muccore.log.logger import Logger
from muccore.stream.sasl.anonymous import anonymous
from muccore.stream.sasl.exchange import SASLFailure, Success
from muccore.stream.sasl.mechanisms import MECHANISMS, SASL
from muccore.xmpp.guestnames import isGuestName
from tests.configuration import Logged
from tests.stream.logins import Accounts


class AnonymousTests(SynchronousTestCase):
    """Log-ins of guests."""

    room = True

    def setUp(self) -> None:
        """Let guests in."""
        table = [*MECHANISMS, anonymous(lambda: self.room)]
        self.sasl = SASL(Accounts("SHA-256"), "example.org", False, table=table)

    def start(self, data: bytes | None, secure: bool = True) -> Any:
        """Begin a log-in."""
        return self.sasl.begin("ANONYMOUS", secure, None).start(data)

    def test_offered(self) -> None:
        """It is offered last, and only where it is in the table."""
        self.assertEqual(self.sasl.mechanisms(True, None), ["SCRAM-SHA-256", "PLAIN", "ANONYMOUS"])
        self.assertEqual(self.sasl.mechanisms(False, None), ["SCRAM-SHA-256", "ANONYMOUS"])
        with self.assertRaisesRegex(SASLFailure, "invalid-mechanism"):
            SASL(Accounts(), "example.org", False).begin("ANONYMOUS", True, None)

    def test_guests(self) -> None:
        """XEP-0175 §3, §4: each gets a name of its own, at once, with trace data or without it, and no data back."""
        users = set()
        for data in (None, b"", b"sirhc", "trace\u0661".encode(), b"x" * 255):
            outcome = self.successResultOf(self.start(data))
            self.assertEqual(outcome, Success(outcome.user))
            self.assertTrue(isGuestName(outcome.user))
            users.add(outcome.user)
        self.assertEqual(len(users), 5)

    def test_malformed(self) -> None:
        """Trace data is UTF-8 of at most 255 characters (RFC 4505 §2)."""
        for data in (b"x" * 256, b"\xff"):
            self.assertEqual(self.failureResultOf(self.start(data), SASLFailure).value.condition, "malformed-request")

    def test_full(self) -> None:
        """Too many guests are refused for the time being."""
        self.room = False
        failure = self.failureResultOf(self.start(None), SASLFailure).value
        self.assertEqual(failure.condition, "temporary-auth-failure")

    def test_trace(self) -> None:
        """Trace data is logged on demand only, and cannot imitate a line."""
        logged = Logged(self)
        self.start(b"a\nlogin-failed from 192.0.2.1: x")
        self.assertEqual(logged.events, [])
        self.patch(Logger, "threshold", LogLevel.debug)
        self.start(b"a\nlogin-failed from 192.0.2.1: x")
        (line,) = logged.lines(LogLevel.debug)
        self.assertIn('sends trace data: "a\\nlogin-failed', line)
