# -*- test-case-name: tests.stream.sasl.test_scram -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.sasl.scram}."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.stream.sasl.exchange import BindingRefused, SASLFailure
from muccore.stream.sasl.scram import ScramServer, dummyKeys
from muccore.xmpp.scramkeys import ITERATIONS, SALT_LENGTH, ScramKeys
from tests.stream.clients import Bindings, ScramClient

KEYS = ScramKeys.derive("SHA-256", "pencil", b"salt", 1)


class Case(SynchronousTestCase):
    """Helpers."""

    def assertFails(self, condition: str, call: object, *arguments: object) -> SASLFailure:
        """Check that a call fails with this condition."""
        with self.assertRaises(SASLFailure) as caught:
            call(*arguments)
        self.assertEqual(caught.exception.condition, condition, arguments)
        return caught.exception


class VectorTests(SynchronousTestCase):
    """The examples of the RFCs."""

    def assertExchange(self, hashName: str, salt: str, nonce: str, *messages: bytes) -> None:
        """Replay an exchange in which C{user} knows the password C{pencil}."""
        server = ScramServer(hashName, None, False, nonce)
        server.first(messages[0])
        self.assertEqual((server.user, server.authzid), ("user", None))
        keys = ScramKeys.derive(hashName, "pencil", b64decode(salt), 4096)
        self.assertEqual(server.challenge(keys), messages[1])
        self.assertEqual(server.final(messages[2]), messages[3])

    def test_sha1(self) -> None:
        """RFC 5802 §5."""
        self.assertExchange(
            "SHA-1",
            "QSXCR+Q6sek8bf92",
            "3rfcNHYJY1ZVvWVs7j",
            b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        )

    def test_sha256(self) -> None:
        """RFC 7677 §3."""
        self.assertExchange(
            "SHA-256",
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        )


class FirstTests(Case):
    """The client's first message (RFC 5802 §7)."""

    def first(self, message: bytes) -> ScramServer:
        """Handle a first message, without channel binding."""
        server = ScramServer("SHA-1", None, False)
        server.first(message)
        return server

    def test_names(self) -> None:
        """User names and authorization identities are unescaped."""
        for message, user, authzid in [
            (b"n,,n=user,r=x", "user", None),
            (b"y,,n=user,r=x", "user", None),
            ("n,,n=Jürgen,r=x".encode(), "Jürgen", None),
            (b"n,,n=a=2Cb=3Dc=3D2C,r=x", "a,b=c=2C", None),
            (b"n,,n=a=2cb=3dc,r=x", "a,b=c", None),
            (b"n,a=u@h=2Ci,n=user,r=x", "user", "u@h,i"),
            (b"n,,n=user,r=x,z=ignored,y==", "user", None),
            (b"n,,n=user,r=!+-~", "user", None),
        ]:
            server = self.first(message)
            self.assertEqual((server.user, server.authzid), (user, authzid), message)

    def test_malformed(self) -> None:
        """Whatever does not follow the grammar is refused."""
        for message in [
            b"", b"n", b"n,,", b",,n=user,r=x", b"N,,n=user,r=x", b"x,,n=user,r=x", b"n,n=user,r=x", b"n,,,n=user,r=x",
            b"n,b=user,n=user,r=x", b"n,a=,n=user,r=x", b"n,,n=,r=x", b"n,,r=x,n=user", b"n,,n=user", b"n,,n=user,r=",
            b"n,,n=user,r=a b", b"n,,n=user,r=a\x7f", "n,,n=user,r=ä".encode(), b"n,,n=us\0er,r=x",
            b"n,,n=us\xffer,r=x", b"n,,n=user,r=x,", b"n,,n=user,r=x,z", b"n,,n=user,r=x,z=", b"n,,n=user,r=x,zz=1",
            b"n,,n=user,r=x,1=1", b"n,,n=user,r=x\n", b"n,,n=us=er,r=x", b"n,,n=user=,r=x", b"n,,n=us=2,r=x",
            b"n,,n=us=2Der,r=x", b"n,a==,n=user,r=x", b"p=,,n=user,r=x", b"p=tls_unique,,n=user,r=x",
        ]:  # fmt: skip
            self.assertFails("malformed-request", self.first, message)

    def test_mandatoryExtensions(self) -> None:
        """Mandatory extensions are rejected (RFC 5802 §5.1), at any place."""
        for message in (b"n,,m=new,n=user,r=x", b"n,,n=user,r=x,m=new", b"m=new,n=user,r=x"):
            failure = self.assertFails("malformed-request", self.first, message)
            self.assertIn("extensions", failure.text)
        self.assertEqual(self.first(b"n,,n=m=3D,r=m=").user, "m=")

    @settings(max_examples=300)
    @given(st.binary() | st.text("npyamr=,2C3Dx\0ü\n").map(str.encode))
    def test_anything(self, message: bytes) -> None:
        """Any other message is accepted or a L{SASLFailure}."""
        try:
            self.assertTrue(self.first(message).user)
        except SASLFailure as e:
            self.assertEqual(e.condition, "malformed-request")

    def test_nonces(self) -> None:
        """The server's nonce is unique, long enough, and follows the client's."""
        nonces = set()
        for _ in range(100):
            challenge = self.first(b"n,,n=user,r=client").challenge(KEYS).decode()
            match = re.fullmatch(r"r=client([A-Za-z0-9_-]+),s=[^,]+,i=1", challenge)
            self.assertGreaterEqual(len(b64decode(match[1], b"-_")), 18)
            nonces.add(match[1])
        self.assertEqual(len(nonces), 100)


class FinalTests(Case):
    """The client's last message."""

    def exchange(self, client: ScramClient) -> tuple[ScramServer, bytes]:
        """Run an exchange up to the client's last message."""
        server = ScramServer("SHA-256", None, False)
        server.first(client.first())
        return server, client.final(server.challenge(KEYS))

    def test_right(self) -> None:
        """The right password is accepted, and the server's signature is valid."""
        for extension in ("", ",z=1", ",p=eHg=,y=2"):
            client = ScramClient("sha256", "user", "pencil", extension=extension)
            server, final = self.exchange(client)
            client.verify(server.final(final))

    def test_wrongPassword(self) -> None:
        """A wrong password is not-authorized."""
        server, final = self.exchange(ScramClient("sha256", "user", "pen"))
        self.assertIsNone(self.assertFails("not-authorized", server.final, final).text)

    def test_anyByte(self) -> None:
        """Changing any byte of the last message makes it fail."""
        server, final = self.exchange(ScramClient("sha256", "user", "pencil"))
        for index in range(len(final)):
            for flipped in (final[index] ^ 1, final[index] ^ 0x20, 0, 0xFF):
                changed = final[:index] + bytes([flipped]) + final[index + 1 :]
                with self.assertRaises(SASLFailure, msg=repr(changed)):
                    server.final(changed)
        server.final(final)

    def test_nonce(self) -> None:
        """The answer to another challenge is not-authorized."""
        client = ScramClient("sha256", "user", "pencil")
        server = ScramServer("SHA-256", None, False)
        server.first(client.first())
        challenge = server.challenge(KEYS)
        for other in (challenge.replace(b",s=", b"x,s="), challenge.replace(b"r=", b"r=x")):
            self.assertFails("not-authorized", server.final, client.final(other))
        # Even if the proof is right for the claimed nonce.
        for claimed in ("clientnonce", "x"):
            self.assertFails("not-authorized", server.final, client.final(challenge, claimed.encode()))
        client.verify(server.final(client.final(challenge)))

    def test_gs2Header(self) -> None:
        """The last message must repeat the header of the first one (RFC 5802 §5.1, C{c})."""
        for sent, confirmed in [(b"n,,", b"y,,"), (b"y,,", b"n,,"), (b"n,a=u,", b"n,,"), (b"n,,", b"n,,x")]:
            client = ScramClient("sha256", "user", "pencil", header=sent)
            server = ScramServer("SHA-256", None, False)
            server.first(client.first())
            client.header = confirmed
            final = client.final(server.challenge(KEYS))
            self.assertFails("not-authorized", server.final, final)

    def test_malformed(self) -> None:
        """Whatever does not follow the grammar is refused."""
        server, final = self.exchange(ScramClient("sha256", "user", "pencil"))
        binding, nonce, proof = final.split(b",")
        for message in [
            b"", binding, b",".join([binding, nonce]), b",".join([nonce, binding, proof]),
            b",".join([binding, proof, nonce]), b",".join([b"c=b", nonce, proof]),
            b",".join([b"c=bi=ws", nonce, proof]), b",".join([b"c=biws=", nonce, proof]),
            b",".join([b"c=bix=", nonce, proof]), b",".join([b"c=bh==", nonce, proof]),
            b",".join([b"c=biw s", nonce, proof]), b",".join([binding, b"r=", proof]),
            b",".join([binding, nonce, b"p"]), b",".join([binding, nonce, b"p=a"]),
            b",".join([binding, nonce, b"p=\xff"]), b",".join([binding, nonce, b"z", proof]),
            b",".join([binding, nonce, b"m=new", proof]), b",".join([b"m=new", binding, nonce, proof]),
            b",".join([binding, nonce, proof, b"z=1"]), final + b"\n",
        ]:  # fmt: skip
            self.assertFails("malformed-request", server.final, message)

    def test_proofLength(self) -> None:
        """A proof of the wrong length is not-authorized."""
        server, final = self.exchange(ScramClient("sha256", "user", "pencil"))
        unproved = final[: final.rindex(b",p=")]
        for length in (0, 1, 20, 31, 33, 64):
            message = unproved + b",p=" + b64encode(b"\xff" * length)
            self.assertFails("not-authorized", server.final, message)

    @settings(max_examples=300)
    @given(st.binary() | st.text("cpr=,biwsx/+\0ü\n").map(str.encode))
    def test_anything(self, message: bytes) -> None:
        """Any other message is a L{SASLFailure}."""
        server = ScramServer("SHA-256", None, False)
        server.first(b"n,,n=user,r=x")
        server.challenge(KEYS)
        with self.assertRaises(SASLFailure):
            server.final(message)


class BindingTests(Case):
    """Channel binding (RFC 5802 §6)."""

    def logIn(self, header: bytes, seen: bytes = b"", plus: bool = True, offered: bool = True) -> None:
        """Log in by a client with this header and channel binding data."""
        client = ScramClient("sha256", "user", "pencil", header=header, binding=seen)
        bindings = Bindings(**{"tls-exporter": b"exported", "tls-server-end-point": b"hashed"}) if plus else None
        server = ScramServer("SHA-256", bindings, offered)
        server.first(client.first())
        client.verify(server.final(client.final(server.challenge(KEYS))))

    def test_sameChannel(self) -> None:
        """The right data is accepted, for each type, with and without an authorization identity."""
        self.logIn(b"p=tls-exporter,,", b"exported")
        self.logIn(b"p=tls-exporter,a=user@example,", b"exported")
        self.logIn(b"p=tls-server-end-point,,", b"hashed")

    def test_otherChannel(self) -> None:
        """Other data is not-authorized, although the proof is right."""
        for header, seen in [
            (b"p=tls-exporter,,", b"hashed"),
            (b"p=tls-server-end-point,,", b"exported"),
            (b"p=tls-exporter,,", b""),
            (b"p=tls-exporter,,", b"exported "),
        ]:
            failure = self.assertFails("not-authorized", self.logIn, header, seen)
            self.assertIn("do not match", failure.text)
            self.assertIsInstance(failure, BindingRefused)

    def test_types(self) -> None:
        """An unavailable type, or none with a C{-PLUS} mechanism, is malformed-request."""
        for header in (b"p=tls-unique,,", b"p=TLS-EXPORTER,,", b"n,,", b"y,,"):
            failure = self.assertFails("malformed-request", self.logIn, header, b"exported")
            self.assertIsInstance(failure, BindingRefused)

    def test_withoutPlus(self) -> None:
        """Without C{-PLUS}, a client without channel binding is accepted, offered or not; one with it is not."""
        self.logIn(b"n,,", plus=False)
        self.logIn(b"n,,", plus=False, offered=False)
        self.assertFails("malformed-request", self.logIn, b"p=tls-exporter,,", b"exported", False)

    def test_downgrade(self) -> None:
        """A client that saw no offer of channel binding is rejected if there was one: it may be under attack."""
        failure = self.assertFails("not-authorized", self.logIn, b"y,,", b"", False)
        self.assertIn("downgrade", failure.text)
        self.logIn(b"y,,", plus=False, offered=False)


class DummyKeysTests(Case):
    """L{dummyKeys}"""

    def test_likeRealKeys(self) -> None:
        """They have the sizes and iterations of a new account's."""
        for hashName in ("SHA-1", "SHA-256"):
            real, dummy = ScramKeys.derive(hashName, "secret"), dummyKeys(b"secret", hashName, "nobody")
            self.assertEqual(dummy.hashName, hashName)
            self.assertEqual(len(dummy.salt), len(real.salt))
            self.assertEqual(len(dummy.storedKey), len(real.storedKey))
            self.assertEqual((dummy.iterations, len(dummy.salt)), (ITERATIONS, SALT_LENGTH))

    def test_stable(self) -> None:
        """The salt depends on name, hash and secret only."""
        salt = dummyKeys(b"secret", "SHA-1", "nobody").salt
        self.assertEqual(dummyKeys(b"secret", "SHA-1", "nobody").salt, salt)
        for other in [
            (b"other", "SHA-1", "nobody"),
            (b"secret", "SHA-256", "nobody"),
            (b"secret", "SHA-1", "somebody"),
        ]:
            self.assertNotEqual(dummyKeys(*other).salt, salt)

    def test_noPassword(self) -> None:
        """No proof matches them."""
        client = ScramClient("sha256", "nobody", "")
        server = ScramServer("SHA-256", None, False)
        server.first(client.first())
        final = client.final(server.challenge(dummyKeys(b"secret", "SHA-256", "nobody")))
        self.assertFails("not-authorized", server.final, final)
