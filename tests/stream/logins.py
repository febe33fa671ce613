# -*- test-case-name: tests.stream -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Accounts and log-ins for tests of SASL."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.logger import formatEventAsClassicLogText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from muccore.interfaces import IAuthBackend
from muccore.net.tls import END_POINT, EXPORTER
from muccore.stream.sasl.exchange import Challenge, SASLFailure
from muccore.stream.sasl.mechanisms import SASL
from muccore.xmpp.scramkeys import HASHES, ScramKeys
from tests.stream.clients import Bindings, ScramClient

PASSWORD = "p\u00e4ssword, =#1"
BINDINGS = Bindings(**{EXPORTER: b"exported", END_POINT: b"hashed"})
ALL = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]


@implementer(IAuthBackend)
class Accounts:
    """The accounts C{romeo} and C{j\u00fcrgen} at C{example.org}; records the calls to it."""

    loopbackOnly = False

    def __init__(self, *hashNames: str) -> None:
        self.hashes = frozenset(hashNames)
        self.asked: list[tuple[str, ...]] = []
        self.keys = {
            (f"{user}@example.org", hashName): ScramKeys.derive(hashName, PASSWORD, iterations=3)
            for user in ("romeo", "j\u00fcrgen")
            for hashName in HASHES
        }

    def open(self) -> Deferred[None]:
        """Nothing to do."""
        return succeed(None)

    def close(self) -> Deferred[None]:
        """Nothing to do."""
        return succeed(None)

    def hasAccount(self, account: str) -> Deferred[bool]:
        """See L{IAuthBackend}."""
        return succeed(any(account == known for known, _ in self.keys))

    def scramKeys(self, account: str, hashName: str) -> Deferred[ScramKeys | None]:
        """See L{IAuthBackend}."""
        self.asked.append(("scramKeys", account, hashName))
        return succeed(self.keys.get((account, hashName)))

    def checkPassword(self, account: str, password: str) -> Deferred[bool]:
        """See L{IAuthBackend}."""
        self.asked.append(("checkPassword", account))
        keys = self.keys.get((account, "SHA-1"))
        return succeed(keys is not None and keys.matches(password))


class SASLTestCase(SynchronousTestCase):
    """A test with the log-in of a domain."""

    def setUp(self) -> None:
        """Create it."""
        self.accounts = Accounts("SHA-1", "SHA-256")
        self.sasl = SASL(self.accounts, "example.org", False)
        self.logged: list[str] = []

        def observe(event: dict) -> None:
            self.logged.append(formatEventAsClassicLogText(event) or "")

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def assertFails(self, condition: str, outcome: Deferred[object]) -> SASLFailure:
        """Check that an exchange failed with this condition."""
        failure = self.failureResultOf(outcome, SASLFailure).value
        self.assertEqual(failure.condition, condition)
        return failure

    def scram(
        self, client: ScramClient, name: str = "SCRAM-SHA-256", bindings: object = None
    ) -> tuple[bytes, Deferred[object]]:
        """Run an exchange; return the challenge and the result."""
        exchange = self.sasl.begin(name, True, bindings)
        challenge = self.successResultOf(exchange.start(client.first()))
        self.assertIsInstance(challenge, Challenge)
        return challenge.data, exchange.respond(client.final(challenge.data))

    def plain(self, message: str | bytes) -> Deferred[object]:
        """Log in by PLAIN."""
        if isinstance(message, str):
            message = message.encode()
        return self.sasl.begin("PLAIN", True, None).start(message)
