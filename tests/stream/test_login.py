# -*- test-case-name: tests.stream.test_login -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of SCRAM with accounts: L{muccore.stream.sasl.mechanisms} and L{muccore.stream.sasl.scram} together."""

from __future__ import annotations

from unittest import mock

from OpenSSL import SSL
from slixmpp.util.sasl import mechanisms as slixmpp
from twisted.internet.defer import Deferred, fail

from muccore.interfaces import StoreUnavailable
from muccore.net.tls import ServerTLS
from muccore.stream.sasl import mechanisms
from muccore.stream.sasl.exchange import Challenge, SASLFailure
from muccore.stream.sasl.mechanisms import SASL
from muccore.xmpp.scramkeys import HASHES, ITERATIONS, SALT_LENGTH, ScramKeys
from tests.net.handshake import SHA256, Transport, clientContext, connect, goodPair
from tests.stream.clients import Bindings, ScramClient
from tests.stream.logins import ALL, BINDINGS, PASSWORD, Accounts, SASLTestCase


class ScramTests(SASLTestCase):
    """SCRAM with accounts."""

    def test_success(self) -> None:
        """Each mechanism works; success has the server's proof, and the user name is prepared."""
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
        """Without an initial response, an empty challenge asks for it."""
        client = ScramClient("sha1", "romeo", PASSWORD)
        exchange = self.sasl.begin("SCRAM-SHA-1", False, None)
        self.assertEqual(self.successResultOf(exchange.start(None)), Challenge(b""))
        challenge = self.successResultOf(exchange.respond(client.first()))
        client.verify(self.successResultOf(exchange.respond(client.final(challenge.data))).data)

    def test_authzid(self) -> None:
        """An authorization identity must be the user's bare JID."""
        client = ScramClient("sha256", "romeo", PASSWORD, b"n,a=Romeo@example.org,")
        _, outcome = self.scram(client)
        self.assertEqual(self.successResultOf(outcome).user, "romeo")
        for authzid in (b"juliet@example.org", b"romeo", b"romeo@example.org/x", b"=3D@", b"@@"):
            exchange = self.sasl.begin("SCRAM-SHA-256", True, None)
            self.assertFails("invalid-authzid", exchange.start(b"n,a=" + authzid + b",n=romeo,r=x"))

    def test_downgrade(self) -> None:
        """A client may claim that no channel binding was offered only if this is true."""
        message = b"y,,n=romeo,r=x"
        self.assertFails("not-authorized", self.sasl.begin("SCRAM-SHA-1", True, BINDINGS).start(message))
        for secure, bindings in [(True, None), (True, Bindings()), (False, None)]:
            outcome = self.sasl.begin("SCRAM-SHA-1", secure, bindings).start(message)
            self.assertIsInstance(self.successResultOf(outcome), Challenge)

    def test_otherChannel(self) -> None:
        """Different channel bindings are not-authorized."""
        client = ScramClient("sha256", "romeo", PASSWORD, b"p=tls-exporter,,", b"intercepted")
        _, outcome = self.scram(client, "SCRAM-SHA-256-PLUS", BINDINGS)
        self.assertFails("not-authorized", outcome)

    def challengeFor(self, user: str, name: str = "SCRAM-SHA-256") -> dict[str, str]:
        """The attributes of the challenge for a user."""
        outcome = self.sasl.begin(name, True, None).start(f"n,,n={user},r=x".encode())
        text = self.successResultOf(outcome).data.decode()
        return dict(part.split("=", 1) for part in text.split(","))

    def test_unknownUser(self) -> None:
        """An unknown user gets a challenge like an existing one, and the failure of a wrong password."""
        self.accounts.keys["romeo@example.org", "SHA-256"] = ScramKeys.derive("SHA-256", PASSWORD)
        ends = []
        for user in ("romeo", "nobody", "no body"):
            client = ScramClient("sha256", user, "wrong")
            challenge, outcome = self.scram(client)
            failure = self.failureResultOf(outcome, SASLFailure).value
            nonce, salt, iterations, offered = challenge.split(b",")
            ends.append((len(nonce), len(salt), iterations, offered, failure.condition, failure.text, failure.args))
        self.assertEqual(len(set(ends)), 1, ends)
        self.assertEqual(ends[0][2:3] + ends[0][4:6], (b"i=%d" % ITERATIONS, "not-authorized", None))

    def test_unknownUserSalt(self) -> None:
        """An unknown user has a constant salt, in any spelling and after a restart with the same secret."""
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
        """For existing and unknown users, dummy keys are made, the accounts are asked, and the proof is checked."""
        for user in ("romeo", "nobody"):
            self.accounts.asked.clear()
            with mock.patch.object(mechanisms, "dummyKeys", wraps=mechanisms.dummyKeys) as faked:
                self.scram(ScramClient("sha256", user, "wrong"))[1].addErrback(lambda failure: None)
            self.assertEqual([call.args[1:] for call in faked.call_args_list], [("SHA-256", user)])
            self.assertEqual(self.accounts.asked, [("scramKeys", f"{user}@example.org", "SHA-256")])

    def test_dummyKeysNeverMatch(self) -> None:
        """Even a proof that matches the dummy keys is not-authorized."""
        keys = ScramKeys.derive("SHA-256", "guessed", bytes(SALT_LENGTH), 1)
        with mock.patch.object(mechanisms, "dummyKeys", lambda *arguments: keys):
            _, outcome = self.scram(ScramClient("sha256", "nobody", "guessed"))
        self.assertFails("not-authorized", outcome)


class SecretsTests(SASLTestCase):
    """Secrecy of passwords, keys and proofs."""

    def test_neverShown(self) -> None:
        """They are in no representation, error or log line, after success and failure."""
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
    """Log-ins by slixmpp's and OpenSSL's implementations."""

    def logIn(
        self, name: str, password: str, bindings: object = None, authzid: bytes = b"", seen: bytes = b""
    ) -> Deferred[object]:
        """Log in by slixmpp, which verifies the server's signature."""
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
        """SCRAM, with and without an authorization identity."""
        self.sasl = SASL(Accounts(*HASHES), "example.org", False)
        for name in ("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"):
            for authzid in (b"", b"romeo@example.org"):
                outcome = self.logIn(name, PASSWORD, authzid=authzid)
                self.assertEqual(self.successResultOf(outcome), "romeo")
            self.assertFails("not-authorized", self.logIn(name, "wrong"))

    def test_exporter(self) -> None:
        """SCRAM with the channel binding of the TLS connection, and not of another one."""
        tls = ServerTLS(*goodPair(self.mktemp()))
        client, server = connect(tls, clientContext())
        other, _ = connect(tls, clientContext())
        bindings = tls.channelBindings(Transport(server))
        self.sasl = SASL(Accounts(*HASHES), "example.org", False)
        for name in ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS"):
            seen, elsewhere = (
                connection.export_keying_material(b"EXPORTER-Channel-Binding", 32) for connection in (client, other)
            )
            self.assertEqual(self.successResultOf(self.logIn(name, PASSWORD, bindings, seen=seen)), "romeo")
            self.assertFails("not-authorized", self.logIn(name, PASSWORD, bindings, seen=elsewhere))

    def test_endPoint(self) -> None:
        """SCRAM bound to the certificate under TLS 1.2, and not to another one."""
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
