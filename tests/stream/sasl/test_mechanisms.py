# -*- test-case-name: tests.stream.sasl.test_mechanisms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests of L{muccore.stream.sasl.mechanisms} and L{muccore.stream.sasl.exchange}. Log-ins by SCRAM are in
L{tests.stream.test_login}.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode

from twisted.internet.defer import Deferred, fail
from zope.interface.verify import verifyObject

from muccore.interfaces import IAuthBackend, StoreUnavailable
from muccore.stream.sasl.exchange import MESSAGE_LIMIT, Challenge, SASLExchange, SASLFailure, Success
from muccore.stream.sasl.mechanisms import MECHANISMS, SASL, Mechanism, scram
from tests.stream.clients import Bindings, ScramClient
from tests.stream.logins import ALL, BINDINGS, PASSWORD, Accounts, SASLTestCase


class OfferTests(SASLTestCase):
    """The offered mechanisms."""

    def test_interface(self) -> None:
        """The accounts of these tests provide the interface."""
        verifyObject(IAuthBackend, self.accounts)

    def test_offered(self) -> None:
        """
        C{-PLUS} requires TLS with a channel binding, PLAIN requires TLS, and SCRAM requires keys. What is not offered
        cannot be used either.
        """
        for hashNames, secure, bindings, offered in [
            (["SHA-1", "SHA-256"], True, BINDINGS, ALL),
            (["SHA-1", "SHA-256"], True, None, ALL[2:]),
            (["SHA-1", "SHA-256"], True, Bindings(), ALL[2:]),
            (["SHA-1", "SHA-256"], False, None, ALL[2:4]),
            (["SHA-1", "SHA-256"], False, BINDINGS, ALL[2:4]),
            (["SHA-256"], True, BINDINGS, [ALL[0], ALL[2], ALL[4]]),
            (["SHA-1"], True, BINDINGS, [ALL[1], ALL[3], ALL[4]]),
            (["SHA-512"], True, BINDINGS, ["SCRAM-SHA-512-PLUS", "SCRAM-SHA-512", "PLAIN"]),
            (["SHA-512", "SHA-1"], False, None, ["SCRAM-SHA-512", "SCRAM-SHA-1"]),
            (["SHA-224"], True, BINDINGS, ALL[4:]),
            ([], True, BINDINGS, ALL[4:]),
            ([], False, None, []),
        ]:
            server = SASL(Accounts(*hashNames), "example.org", False)
            self.assertEqual(server.mechanisms(secure, bindings), offered)
            for name in [*ALL, "ANONYMOUS", "plain", ""]:
                if name in offered:
                    self.assertIsInstance(server.begin(name, secure, bindings), SASLExchange)
                    continue
                with self.assertRaises(SASLFailure) as caught:
                    server.begin(name, secure, bindings)
                expected = "encryption-required" if name == "PLAIN" else "invalid-mechanism"
                self.assertEqual(caught.exception.condition, expected, name)

    def test_offerHash(self) -> None:
        """XEP-0474 §5.1: the example of §5.3, and what there is without channel binding."""
        table = [scram("SHA-1", True), scram("SHA-1", False)]
        server = SASL(self.accounts, "example.org", False, table=table)
        self.assertEqual(b64encode(server.offerHash("SHA-1", True, BINDINGS)), b"G6k/rBLDqgOhRRaCuuatSDFkJ08=")
        for secure, bindings in ((True, None), (False, None)):
            self.assertEqual(server.offerHash("SHA-1", secure, bindings), hashlib.sha1(b"SCRAM-SHA-1").digest())
        names = b"\x1e".join(sorted(name.encode() for name in ALL))
        text = names + b"\x1ftls-exporter\x1etls-server-end-point"
        self.assertEqual(self.sasl.offerHash("SHA-256", True, BINDINGS), hashlib.sha256(text).digest())
        outcome = self.sasl.begin("SCRAM-SHA-256", True, BINDINGS).start(b"n,,n=romeo,r=x")
        self.assertEqual(
            self.successResultOf(outcome).data.rpartition(b",h=")[2], b64encode(hashlib.sha256(text).digest())
        )

    def test_offeredTooMuch(self) -> None:
        """A mechanism that was offered, and for which some account turns out to have no keys, fails for all."""
        accounts = Accounts("SHA-1", "SHA-256")
        server = SASL(accounts, "example.org", False)
        accounts.hashes = frozenset(["SHA-256"])
        for user in ("romeo", "nobody"):
            outcome = server.begin("SCRAM-SHA-1", True, None).start(f"n,,n={user},r=x".encode())
            self.assertEqual(self.failureResultOf(outcome, SASLFailure).value.condition, "temporary-auth-failure")
            self.successResultOf(server.begin("SCRAM-SHA-256", True, None).start(f"n,,n={user},r=x".encode()))

    def test_plainWithoutTLS(self) -> None:
        """PLAIN without TLS can be switched on."""
        server = SASL(Accounts(), "example.org", True)
        self.assertEqual(server.mechanisms(False, None), ["PLAIN"])
        outcome = server.begin("PLAIN", False, None).start(f"\0romeo\0{PASSWORD}".encode())
        self.assertEqual(self.successResultOf(outcome), Success("romeo"))

    def test_addedMechanism(self) -> None:
        """A mechanism can be added as a row of the table."""

        class Guest(SASLExchange):
            """Logs in every client as guest."""

            async def first(self, data: bytes) -> Success:
                return Success("guest", data)

        row = Mechanism("X-GUEST", lambda sasl, layer: None, lambda sasl, layer: Guest())
        server = SASL(self.accounts, "example.org", False, table=[*MECHANISMS, row])
        self.assertEqual(server.mechanisms(True, BINDINGS), [*ALL, "X-GUEST"])
        outcome = server.begin("X-GUEST", False, None).start(b"hello")
        self.assertEqual(self.successResultOf(outcome), Success("guest", b"hello"))


class ExchangeTests(SASLTestCase):
    """The common behaviour of all mechanisms."""

    def test_noInitialResponse(self) -> None:
        """Without an initial response, an empty challenge asks for it."""
        for name in ALL:
            exchange = self.sasl.begin(name, True, BINDINGS)
            self.assertEqual(self.successResultOf(exchange.start(None)), Challenge(b""))
            if name == "PLAIN":
                outcome = self.successResultOf(exchange.respond(f"\0romeo\0{PASSWORD}".encode()))
                self.assertEqual(outcome, Success("romeo"))

    def test_emptyInitialResponse(self) -> None:
        """An empty initial response is malformed-request."""
        for name in ALL:
            self.assertFails("malformed-request", self.sasl.begin(name, True, BINDINGS).start(b""))

    def test_messageLimit(self) -> None:
        """A message above the limit is not parsed."""
        padding = "x" * (MESSAGE_LIMIT - len("\0romeo\0"))
        self.assertFails("not-authorized", self.plain(f"\0romeo\0{padding}"))
        self.accounts.asked.clear()
        failure = self.assertFails("malformed-request", self.plain(f"\0romeo\0{padding}x"))
        self.assertIn("too long", failure.text)
        self.assertEqual(self.accounts.asked, [])

    def test_unexpectedResponse(self) -> None:
        """A response after the end of an exchange, or while it waits for the accounts, is malformed-request."""
        exchange = self.sasl.begin("PLAIN", True, None)
        message = f"\0romeo\0{PASSWORD}".encode()
        self.successResultOf(exchange.start(message))
        self.assertFails("malformed-request", exchange.respond(message))
        client = ScramClient("sha256", "romeo", "wrong")
        exchange = self.sasl.begin("SCRAM-SHA-256", True, None)
        challenge = self.successResultOf(exchange.start(client.first()))
        self.assertFails("not-authorized", exchange.respond(client.final(challenge.data)))
        client.password = PASSWORD.encode()
        self.assertFails("malformed-request", exchange.respond(client.final(challenge.data)))
        waiting: Deferred[bool] = Deferred()
        self.accounts.checkPassword = lambda user, password: waiting
        exchange = self.sasl.begin("PLAIN", True, None)
        outcome = exchange.start(message)
        self.assertFails("malformed-request", exchange.respond(message))
        self.assertNoResult(outcome)
        waiting.callback(True)
        self.assertEqual(self.successResultOf(outcome), Success("romeo"))

    def test_cancel(self) -> None:
        """Cancelling an exchange cancels its request to the accounts."""
        cancelled: list[object] = []
        self.accounts.scramKeys = lambda user, hashName: Deferred(cancelled.append)
        outcome = self.sasl.begin("SCRAM-SHA-1", True, None).start(b"n,,n=romeo,r=x")
        self.assertNoResult(outcome)
        outcome.cancel()
        self.assertFails("aborted", outcome)
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(self.logged, [])

    def test_storeFails(self) -> None:
        """If the accounts are unavailable, this is a temporary-auth-failure and one line in the log."""
        error = StoreUnavailable("sqlite:var/muccore.db: disk I/O error")
        self.accounts.scramKeys = self.accounts.checkPassword = lambda user, what: fail(error)
        for start in (
            lambda: self.plain(f"\0romeo\0{PASSWORD}"),
            lambda: self.sasl.begin("SCRAM-SHA-1", True, None).start(b"n,,n=romeo,r=x"),
        ):
            self.logged.clear()
            self.assertIsNone(self.assertFails("temporary-auth-failure", start()).text)
            [line] = self.logged
            self.assertIn("sqlite:var/muccore.db: disk I/O error", line)
            self.assertNotIn("\n", line.strip())

    def test_internalError(self) -> None:
        """An unexpected exception is logged, and is a temporary-auth-failure for the client."""
        self.accounts.scramKeys = lambda user, hashName: fail(ZeroDivisionError())
        outcome = self.sasl.begin("SCRAM-SHA-1", True, None).start(b"n,,n=romeo,r=x")
        self.assertFails("temporary-auth-failure", outcome)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_conditions(self) -> None:
        """A failure has one of the conditions of RFC 6120 §6.5."""
        self.assertEqual(str(SASLFailure("aborted", "Why.")), "aborted: Why.")
        self.assertRaises(ValueError, SASLFailure, "bad-protocol")


class PlainTests(SASLTestCase):
    """PLAIN (RFC 4616)."""

    def test_right(self) -> None:
        """User name and password are right, with and without an authorization identity; the name is prepared."""
        for message, user in [
            (f"\0romeo\0{PASSWORD}", "romeo"),
            (f"\0ROMEO\0{PASSWORD}", "romeo"),
            (f"\0J\u00dcRGEN\0{PASSWORD}", "j\u00fcrgen"),
            (f"romeo@example.org\0romeo\0{PASSWORD}", "romeo"),
            (f"Romeo@EXAMPLE.org\0romeo\0{PASSWORD}", "romeo"),
        ]:
            self.assertEqual(self.successResultOf(self.plain(message)), Success(user))

    def test_wrong(self) -> None:
        """A wrong password, an unknown user and an invalid user name have the same answer."""
        for message in ("\0romeo\0wrong", f"\0nobody\0{PASSWORD}", f"\0no body\0{PASSWORD}", f"\0a@b\0{PASSWORD}"):
            self.assertIsNone(self.assertFails("not-authorized", self.plain(message)).text)

    def test_unknownUserIsChecked(self) -> None:
        """The password of an unknown user is checked too, so that it takes the same time."""
        self.plain("\0nobody\0wrong").addErrback(lambda failure: None)
        self.assertEqual(self.accounts.asked, [("checkPassword", "nobody@example.org")])

    def test_malformed(self) -> None:
        """Messages with missing, empty or additional parts, or not in UTF-8, are malformed-request."""
        for message in [
            "romeo", "\0romeo", "\0romeo\0", "\0\0password", "\0\0", "\0romeo\0password\0",
            "romeo@example.org\0\0password", b"\0romeo\0\xff", b"\xff\0romeo\0password",
        ]:  # fmt: skip
            self.assertFails("malformed-request", self.plain(message))
        self.assertEqual(self.accounts.asked, [])

    def test_authzid(self) -> None:
        """The authorization identity must be the user's bare JID."""
        for authzid in [
            "romeo", "juliet@example.org", "romeo@example.org/balcony", "romeo@example.com", "example.org", "@",
            "ro meo@example.org",
        ]:  # fmt: skip
            outcome = self.plain(f"{authzid}\0romeo\0{PASSWORD}")
            self.assertFails("invalid-authzid", outcome)
        for authzid in ("no body@example.org", "example.org"):
            self.assertFails("invalid-authzid", self.plain(f"{authzid}\0no body\0{PASSWORD}"))
        self.assertEqual(self.accounts.asked, [])
