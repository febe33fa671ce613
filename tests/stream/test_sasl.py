# -*- test-case-name: tests.stream.test_sasl -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests of L{muccore.stream.sasl} and L{muccore.stream.exchange}.
"""

from __future__ import annotations

from unittest import mock

from OpenSSL import SSL
from slixmpp.util.sasl import mechanisms as slixmpp
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import formatEventAsClassicLogText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muccore.credentials import HASHES, ITERATIONS, SALT_LENGTH, ScramKeys
from muccore.interfaces import IAccounts, StoreUnavailable
from muccore.stream import sasl
from muccore.stream.exchange import MESSAGE_LIMIT, SASL_CONDITIONS
from muccore.stream.sasl import MECHANISMS, SASL, Challenge, Exchange, Mechanism, SASLFailure, Success
from muccore.stream.tls import END_POINT, EXPORTER, ServerTLS
from tests.stream.clients import Bindings, ScramClient
from tests.stream.handshake import SHA256, Transport, clientContext, connect, goodPair

PASSWORD = "p\u00e4ssword, =#1"
BINDINGS = Bindings(**{EXPORTER: b"exported", END_POINT: b"hashed"})
ALL = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]


@implementer(IAccounts)
class Accounts:
    """
    Accounts in memory: C{romeo} and C{j\u00fcrgen}, and what was asked about them.
    """

    loopbackOnly = False

    def __init__(self, *hashNames: str) -> None:
        self.hashes = frozenset(hashNames)
        self.asked: list[tuple[str, ...]] = []
        self.keys = {
            (user, hashName): ScramKeys.derive(hashName, PASSWORD, iterations=3)
            for user in ("romeo", "j\u00fcrgen")
            for hashName in HASHES
        }

    def open(self) -> Deferred[None]:
        """
        Nothing to do.
        """
        return succeed(None)

    def close(self) -> Deferred[None]:
        """
        Nothing to do.
        """
        return succeed(None)

    def scramKeys(self, user: str, hashName: str) -> Deferred[ScramKeys | None]:
        """
        See L{IAccounts}.
        """
        self.asked.append(("scramKeys", user, hashName))
        return succeed(self.keys.get((user, hashName)))

    def checkPassword(self, user: str, password: str) -> Deferred[bool]:
        """
        See L{IAccounts}.
        """
        self.asked.append(("checkPassword", user))
        keys = self.keys.get((user, "SHA-1"))
        return succeed(keys is not None and keys.matches(password))


class SASLTestCase(SynchronousTestCase):
    """
    What the tests here have in common.
    """

    def setUp(self) -> None:
        """
        Make a domain.
        """
        self.accounts = Accounts("SHA-1", "SHA-256")
        self.sasl = SASL(self.accounts, "example.org", False)
        self.logged: list[str] = []

        def observe(event: dict) -> None:
            self.logged.append(formatEventAsClassicLogText(event) or "")

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def assertFails(self, condition: str, outcome: Deferred[object]) -> SASLFailure:
        """
        An exchange has failed with one condition.
        """
        failure = self.failureResultOf(outcome, SASLFailure).value
        self.assertEqual(failure.condition, condition)
        return failure

    def scram(
        self, client: ScramClient, name: str = "SCRAM-SHA-256", bindings: object = None
    ) -> tuple[bytes, Deferred[object]]:
        """
        Carry out an exchange.

        @return: the challenge, and what became of it in the end.
        """
        exchange = self.sasl.begin(name, True, bindings)
        challenge = self.successResultOf(exchange.start(client.first()))
        self.assertIsInstance(challenge, Challenge)
        return challenge.data, exchange.respond(client.final(challenge.data))

    def plain(self, message: str | bytes) -> Deferred[object]:
        """
        Log in by PLAIN.
        """
        if isinstance(message, str):
            message = message.encode()
        return self.sasl.begin("PLAIN", True, None).start(message)


class OfferTests(SASLTestCase):
    """
    Which mechanisms there are, and when.
    """

    def test_interface(self) -> None:
        """
        The accounts of these tests are what the real ones are.
        """
        verifyObject(IAccounts, self.accounts)

    def test_all(self) -> None:
        """
        Under TLS that can be bound to there are all of them, strongest first.
        """
        self.assertEqual(self.sasl.mechanisms(True, BINDINGS), ALL)
        self.assertEqual([mechanism.name for mechanism in MECHANISMS], ALL)

    def test_offered(self) -> None:
        """
        C{-PLUS} needs TLS and something to bind to, PLAIN needs TLS, and SCRAM needs keys; what is not offered cannot
        be begun either.
        """
        for hashNames, secure, bindings, offered in [
            (["SHA-1", "SHA-256"], True, None, ALL[2:]),
            (["SHA-1", "SHA-256"], True, Bindings(), ALL[2:]),
            (["SHA-1", "SHA-256"], False, None, ALL[2:4]),
            (["SHA-1", "SHA-256"], False, BINDINGS, ALL[2:4]),
            (["SHA-256"], True, BINDINGS, [ALL[0], ALL[2], ALL[4]]),
            (["SHA-1"], True, BINDINGS, [ALL[1], ALL[3], ALL[4]]),
            (["SHA-512"], True, BINDINGS, ALL[4:]),
            ([], True, BINDINGS, ALL[4:]),
            ([], False, None, []),
        ]:
            server = SASL(Accounts(*hashNames), "example.org", False)
            self.assertEqual(server.mechanisms(secure, bindings), offered)
            for name in [*ALL, "ANONYMOUS", "plain", ""]:
                if name in offered:
                    self.assertIsInstance(server.begin(name, secure, bindings), Exchange)
                    continue
                with self.assertRaises(SASLFailure) as caught:
                    server.begin(name, secure, bindings)
                expected = "encryption-required" if name == "PLAIN" else "invalid-mechanism"
                self.assertEqual(caught.exception.condition, expected, name)

    def test_plainWithoutTLS(self) -> None:
        """
        PLAIN is to be had without TLS where the operator wants it so.
        """
        server = SASL(Accounts(), "example.org", True)
        self.assertEqual(server.mechanisms(False, None), ["PLAIN"])
        outcome = server.begin("PLAIN", False, None).start(f"\0romeo\0{PASSWORD}".encode())
        self.assertEqual(self.successResultOf(outcome), Success("romeo"))

    def test_anotherRow(self) -> None:
        """
        Another mechanism is one row of the table.
        """

        class Guest(Exchange):
            async def first(self, data: bytes) -> Success:
                return Success("guest", data)

        row = Mechanism("X-GUEST", lambda sasl, channel: None, lambda sasl, channel: Guest())
        server = SASL(self.accounts, "example.org", False, table=[*MECHANISMS, row])
        self.assertEqual(server.mechanisms(True, BINDINGS), [*ALL, "X-GUEST"])
        outcome = server.begin("X-GUEST", False, None).start(b"hello")
        self.assertEqual(self.successResultOf(outcome), Success("guest", b"hello"))


class ExchangeTests(SASLTestCase):
    """
    What all mechanisms do alike.
    """

    def test_noInitialResponse(self) -> None:
        """
        A client that sends nothing with its choice is asked with an empty challenge, whatever the mechanism.
        """
        for name in ALL:
            exchange = self.sasl.begin(name, True, BINDINGS)
            self.assertEqual(self.successResultOf(exchange.start(None)), Challenge(b""))
            if name == "PLAIN":
                outcome = self.successResultOf(exchange.respond(f"\0romeo\0{PASSWORD}".encode()))
                self.assertEqual(outcome, Success("romeo"))

    def test_emptyInitialResponse(self) -> None:
        """
        An empty initial response is one, and for all of these it is malformed.
        """
        for name in ALL:
            self.assertFails("malformed-request", self.sasl.begin(name, True, BINDINGS).start(b""))

    def test_tooLong(self) -> None:
        """
        A message that is too long is not looked at; one that is as long as may be is.
        """
        padding = "x" * (MESSAGE_LIMIT - len("\0romeo\0"))
        self.assertFails("not-authorized", self.plain(f"\0romeo\0{padding}"))
        self.accounts.asked.clear()
        failure = self.assertFails("malformed-request", self.plain(f"\0romeo\0{padding}x"))
        self.assertIn("too long", failure.text)
        self.assertEqual(self.accounts.asked, [])

    def test_longestPlain(self) -> None:
        """
        Addresses as long as may be leave room for a long password.
        """
        self.assertGreater(MESSAGE_LIMIT - 2 * 1023 - 1 - 1023 - 2, 1000)

    def test_over(self) -> None:
        """
        When it is over, it is over, and while it waits for the accounts it takes nothing.
        """
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
        """
        Who gives up while the accounts are being asked cancels that too.
        """
        cancelled: list[object] = []
        self.accounts.scramKeys = lambda user, hashName: Deferred(cancelled.append)
        outcome = self.sasl.begin("SCRAM-SHA-1", True, None).start(b"n,,n=romeo,r=x")
        self.assertNoResult(outcome)
        outcome.cancel()
        self.assertFails("aborted", outcome)
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(self.logged, [])

    def test_storeFails(self) -> None:
        """
        If the accounts do not answer, nobody is told that the password is wrong, and the operator reads one line.
        """
        trouble = StoreUnavailable("sqlite:var/muccore.db: disk I/O error")
        self.accounts.scramKeys = self.accounts.checkPassword = lambda user, what: fail(trouble)
        for start in (
            lambda: self.plain(f"\0romeo\0{PASSWORD}"),
            lambda: self.sasl.begin("SCRAM-SHA-1", True, None).start(b"n,,n=romeo,r=x"),
        ):
            self.logged.clear()
            self.assertIsNone(self.assertFails("temporary-auth-failure", start()).text)
            [line] = self.logged
            self.assertIn("sqlite:var/muccore.db: disk I/O error", line)
            self.assertNotIn("\n", line.strip())

    def test_fault(self) -> None:
        """
        Any other fault is logged as one, and told as little.
        """
        self.accounts.scramKeys = lambda user, hashName: fail(ZeroDivisionError())
        outcome = self.sasl.begin("SCRAM-SHA-1", True, None).start(b"n,,n=romeo,r=x")
        self.assertFails("temporary-auth-failure", outcome)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_conditions(self) -> None:
        """
        A failure has one of the conditions of RFC 6120 §6.5 and no other.
        """
        self.assertEqual(len(SASL_CONDITIONS), 11)
        self.assertEqual(str(SASLFailure("aborted")), "aborted")
        self.assertEqual(str(SASLFailure("aborted", "Why.")), "aborted: Why.")
        with self.assertRaises(ValueError):
            SASLFailure("bad-protocol")


class PlainTests(SASLTestCase):
    """
    PLAIN (RFC 4616).
    """

    def test_right(self) -> None:
        """
        Name and password are right, with or without an authorization identity; the name is prepared.
        """
        for message, user in [
            (f"\0romeo\0{PASSWORD}", "romeo"),
            (f"\0ROMEO\0{PASSWORD}", "romeo"),
            (f"\0J\u00dcRGEN\0{PASSWORD}", "j\u00fcrgen"),
            (f"romeo@example.org\0romeo\0{PASSWORD}", "romeo"),
            (f"Romeo@EXAMPLE.org\0romeo\0{PASSWORD}", "romeo"),
        ]:
            self.assertEqual(self.successResultOf(self.plain(message)), Success(user))

    def test_wrong(self) -> None:
        """
        A wrong password, a user who does not exist and a name that nobody can have look the same.
        """
        for message in ("\0romeo\0wrong", f"\0nobody\0{PASSWORD}", f"\0no body\0{PASSWORD}", f"\0a@b\0{PASSWORD}"):
            self.assertIsNone(self.assertFails("not-authorized", self.plain(message)).text)

    def test_unknownUserIsChecked(self) -> None:
        """
        The password of a user who does not exist is checked too, so that it takes as long.
        """
        self.plain("\0nobody\0wrong").addErrback(lambda failure: None)
        self.assertEqual(self.accounts.asked, [("checkPassword", "nobody")])

    def test_malformed(self) -> None:
        """
        Whatever is not two or three parts that are there is refused.
        """
        for message in [
            "romeo",
            "\0romeo",
            "\0romeo\0",
            "\0\0password",
            "\0\0",
            "\0romeo\0password\0",
            "romeo@example.org\0\0password",
            b"\0romeo\0\xff",
            b"\xff\0romeo\0password",
        ]:
            self.assertFails("malformed-request", self.plain(message))
        self.assertEqual(self.accounts.asked, [])

    def test_authzid(self) -> None:
        """
        Nobody may act as anybody else.
        """
        for authzid in [
            "romeo",
            "juliet@example.org",
            "romeo@example.org/balcony",
            "romeo@example.com",
            "example.org",
            "@",
            "ro meo@example.org",
        ]:
            outcome = self.plain(f"{authzid}\0romeo\0{PASSWORD}")
            self.assertFails("invalid-authzid", outcome)
        for authzid in ("no body@example.org", "example.org"):
            self.assertFails("invalid-authzid", self.plain(f"{authzid}\0no body\0{PASSWORD}"))
        self.assertEqual(self.accounts.asked, [])


class ScramTests(SASLTestCase):
    """
    SCRAM with accounts behind it.
    """

    def test_right(self) -> None:
        """
        A user logs in by each mechanism; the server's proof comes with the success, and the name is prepared.
        """
        for name in ALL[:4]:
            algorithm = "sha256" if "256" in name else "sha1"
            header, seen, bindings = b"n,,", b"", None
            if name.endswith("-PLUS"):
                header, seen, bindings = b"p=tls-exporter,,", b"exported", BINDINGS
            for user, prepared in [("romeo", "romeo"), ("Romeo", "romeo"), ("J\u00dcRGEN", "j\u00fcrgen")]:
                client = ScramClient(algorithm, user, PASSWORD, header, seen)
                _, outcome = self.scram(client, name, bindings)
                success = self.successResultOf(outcome)
                self.assertEqual(success.user, prepared)
                client.verify(success.data)

    def test_noInitialResponse(self) -> None:
        """
        A client may wait to be asked.
        """
        client = ScramClient("sha1", "romeo", PASSWORD)
        exchange = self.sasl.begin("SCRAM-SHA-1", False, None)
        self.assertEqual(self.successResultOf(exchange.start(None)), Challenge(b""))
        challenge = self.successResultOf(exchange.respond(client.first()))
        client.verify(self.successResultOf(exchange.respond(client.final(challenge.data))).data)

    def test_authzid(self) -> None:
        """
        An authorization identity is one's own or refused.
        """
        client = ScramClient("sha256", "romeo", PASSWORD, b"n,a=Romeo@example.org,")
        _, outcome = self.scram(client)
        self.assertEqual(self.successResultOf(outcome).user, "romeo")
        for authzid in (b"juliet@example.org", b"romeo", b"romeo@example.org/x", b"=3D@", b"@@"):
            exchange = self.sasl.begin("SCRAM-SHA-256", True, None)
            self.assertFails("invalid-authzid", exchange.start(b"n,a=" + authzid + b",n=romeo,r=x"))

    def test_downgrade(self) -> None:
        """
        Whether a client may say that the server cannot bind depends on what it was offered.
        """
        message = b"y,,n=romeo,r=x"
        self.assertFails("not-authorized", self.sasl.begin("SCRAM-SHA-1", True, BINDINGS).start(message))
        for secure, bindings in [(True, None), (True, Bindings()), (False, None)]:
            outcome = self.sasl.begin("SCRAM-SHA-1", secure, bindings).start(message)
            self.assertIsInstance(self.successResultOf(outcome), Challenge)

    def test_otherChannel(self) -> None:
        """
        A client that sees another channel does not get in.
        """
        client = ScramClient("sha256", "romeo", PASSWORD, b"p=tls-exporter,,", b"intercepted")
        _, outcome = self.scram(client, "SCRAM-SHA-256-PLUS", BINDINGS)
        self.assertFails("not-authorized", outcome)

    def challengeFor(self, user: str, name: str = "SCRAM-SHA-256") -> dict[str, str]:
        """
        The attributes of the challenge to a user.
        """
        outcome = self.sasl.begin(name, True, None).start(f"n,,n={user},r=x".encode())
        text = self.successResultOf(outcome).data.decode()
        return dict(part.split("=", 1) for part in text.split(","))

    def test_unknownUser(self) -> None:
        """
        A user who does not exist is challenged like one who does, and fails like one whose password is wrong.
        """
        self.accounts.keys["romeo", "SHA-256"] = ScramKeys.derive("SHA-256", PASSWORD)
        ends = []
        for user in ("romeo", "nobody", "no body"):
            client = ScramClient("sha256", user, "wrong")
            challenge, outcome = self.scram(client)
            failure = self.failureResultOf(outcome, SASLFailure).value
            nonce, salt, iterations = challenge.split(b",")
            ends.append((len(nonce), len(salt), iterations, failure.condition, failure.text, failure.args))
        self.assertEqual(len(set(ends)), 1, ends)
        self.assertEqual(ends[0][2:5], (b"i=%d" % ITERATIONS, "not-authorized", None))

    def test_unknownUserStays(self) -> None:
        """
        He has the same salt on every connection and however his name is spelled, and after a restart with the same
        secret; other names have others.
        """
        self.sasl = SASL(self.accounts, "example.org", False, b"secret")
        salt = self.challengeFor("nobody")["s"]
        self.assertEqual(self.challengeFor("Nobody")["s"], salt)
        for user, name in [("nobody2", "SCRAM-SHA-256"), ("nobody", "SCRAM-SHA-1"), ("no body", "SCRAM-SHA-256")]:
            self.assertNotEqual(self.challengeFor(user, name)["s"], salt)
        self.sasl = SASL(self.accounts, "example.org", False, b"secret")
        self.assertEqual(self.challengeFor("nobody")["s"], salt)
        for secret in (b"other", None):
            self.sasl = SASL(self.accounts, "example.org", False, secret)
            self.assertNotEqual(self.challengeFor("nobody")["s"], salt)

    def test_sameEffort(self) -> None:
        """
        The same is done for a user who exists and for one who does not: fake keys are made, the store is asked, and
        the proof is checked to its end.
        """
        for user in ("romeo", "nobody"):
            self.accounts.asked.clear()
            with mock.patch.object(sasl, "fakeKeys", wraps=sasl.fakeKeys) as faked:
                self.scram(ScramClient("sha256", user, "wrong"))[1].addErrback(lambda failure: None)
            self.assertEqual([call.args[1:] for call in faked.call_args_list], [("SHA-256", user)])
            self.assertEqual(self.accounts.asked, [("scramKeys", user, "SHA-256")])

    def test_fakeKeysOpenNothing(self) -> None:
        """
        Even if somebody had a proof that fits the made-up keys, nobody would be logged in by it.
        """
        keys = ScramKeys.derive("SHA-256", "guessed", bytes(SALT_LENGTH), 1)
        with mock.patch.object(sasl, "fakeKeys", lambda *arguments: keys):
            _, outcome = self.scram(ScramClient("sha256", "nobody", "guessed"))
        self.assertFails("not-authorized", outcome)


class SecretsTests(SASLTestCase):
    """
    What must not be shown is not.
    """

    def test_nothingShown(self) -> None:
        """
        Neither password nor keys nor proofs are in any representation, error or line of the log, whether the log-in
        works or fails.
        """
        shown = [repr(self.sasl)]
        secrets = [PASSWORD, "wr\u00f6ng", repr(self.sasl.secret)[2:-1]]
        for keys in self.accounts.keys.values():
            secrets += [repr(keys.storedKey)[2:-1], repr(keys.serverKey)[2:-1]]
            shown.append(repr(keys))
        for password in (PASSWORD, "wr\u00f6ng"):
            for message in (f"\0romeo\0{password}", f"\0romeo\0{password}\0", f"x\0romeo\0{password}"):
                exchange = self.sasl.begin("PLAIN", True, None)
                exchange.start(message.encode()).addBoth(shown.append)
                shown.append(exchange)
            client = ScramClient("sha256", "romeo", password)
            challenge, outcome = self.scram(client)
            outcome.addBoth(shown.append)
            secrets.append(client.final(challenge)[-40:].decode())
            secrets.append(client.expected[2:].decode())
        self.accounts.checkPassword = lambda user, password: fail(StoreUnavailable("no disk"))
        self.plain(f"\0romeo\0{PASSWORD}").addBoth(shown.append)
        self.accounts.checkPassword = lambda user, password: fail(ZeroDivisionError())
        self.plain(f"\0romeo\0{PASSWORD}").addBoth(shown.append)
        self.assertEqual(len(self.logged), 2)
        self.flushLoggedErrors(ZeroDivisionError)
        texts = [each if isinstance(each, str) else repr(each) for each in shown]
        texts += [each.getTraceback() for each in shown if hasattr(each, "getTraceback")]
        everything = "\n".join([*texts, *self.logged])
        self.assertIn("no disk", everything)
        self.assertIn("not-authorized", everything)
        for secret in secrets:
            self.assertNotIn(secret, everything)


class InteroperabilityTests(SASLTestCase):
    """
    Another implementation's client logs in.
    """

    def logIn(
        self, name: str, password: str, bindings: object = None, authzid: bytes = b"", seen: bytes = b""
    ) -> Deferred[object]:
        """
        Let it log in, and check that it is content.
        """
        credentials = {
            "username": b"romeo",
            "password": password.encode(),
            "authzid": authzid,
            "channel_binding": seen,
        }
        security = {"encrypted": True, "tls_version": "TLSv1.3", "binding_proposed": True}
        client = slixmpp.SCRAM(name, credentials, security)
        exchange = self.sasl.begin(name, True, bindings)
        challenge = self.successResultOf(exchange.start(client.process()))
        outcome = exchange.respond(client.process(challenge.data))
        outcome.addCallback(lambda success: client.process(success.data) or success.user)
        return outcome

    def test_scram(self) -> None:
        """
        By SCRAM, with and without an authorization identity.
        """
        for name in ("SCRAM-SHA-1", "SCRAM-SHA-256"):
            for authzid in (b"", b"romeo@example.org"):
                outcome = self.logIn(name, PASSWORD, authzid=authzid)
                self.assertEqual(self.successResultOf(outcome), "romeo")
            self.assertFails("not-authorized", self.logIn(name, "wrong"))

    def test_exporter(self) -> None:
        """
        By SCRAM bound to a real TLS connection, and not to another one.
        """
        tls = ServerTLS(*goodPair(self.mktemp()))
        client, server = connect(tls, clientContext())
        other, _ = connect(tls, clientContext())
        bindings = tls.channelBindings(Transport(server))
        for name in ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"):
            seen, elsewhere = (
                connection.export_keying_material(b"EXPORTER-Channel-Binding", 32) for connection in (client, other)
            )
            self.assertEqual(self.successResultOf(self.logIn(name, PASSWORD, bindings, seen=seen)), "romeo")
            self.assertFails("not-authorized", self.logIn(name, PASSWORD, bindings, seen=elsewhere))

    def test_endPoint(self) -> None:
        """
        By SCRAM bound to the certificate, under TLS 1.2, and not to another one.
        """
        tls = ServerTLS(*goodPair(self.mktemp()))
        client, server = connect(tls, clientContext(SSL.TLS1_2_VERSION))
        seen = client.get_peer_certificate(as_cryptography=True).fingerprint(SHA256)
        bindings = tls.channelBindings(Transport(server))
        for data, right in [(seen, True), (bytes(32), False)]:
            scram = ScramClient("sha1", "romeo", PASSWORD, b"p=tls-server-end-point,,", data)
            _, outcome = self.scram(scram, "SCRAM-SHA-1-PLUS", bindings)
            if right:
                scram.verify(self.successResultOf(outcome).data)
            else:
                self.assertFails("not-authorized", outcome)
