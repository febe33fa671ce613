# -*- test-case-name: tests.xmpp.test_scramkeys -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.scramkeys}."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.xmpp import scramkeys
from muccore.xmpp.scramkeys import HASHES, ITERATIONS, SALT_LENGTH, ScramKeys, saslprep


class SASLprepTests(SynchronousTestCase):
    """L{saslprep} (RFC 4013)"""

    def test_examples(self) -> None:
        """The examples of RFC 4013 §3."""
        for text, prepared in [
            ("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX"),
        ]:
            self.assertEqual(saslprep(text), prepared)

    def test_prohibited(self) -> None:
        """A character of each prohibited table is refused (RFC 4013 §2.3)."""
        for text in [
            "\u0007", "\u007f", "\u0080", "\u06dd", "\ue000", "\ufdd0",
            "\ud800", "\ufffd", "\u2ff0", "\u200e", "\U000e0001",
        ]:
            with self.assertRaises(ValueError, msg=ascii(text)):
                saslprep(f"a{text}b")

    def test_spaces(self) -> None:
        """Other spaces become ASCII spaces; the zero-width one, which is in two tables of RFC 3454, is removed."""
        self.assertEqual(saslprep("a\u00a0b\u3000c"), "a b c")
        self.assertEqual(saslprep("a\u200bb"), "ab")

    def test_empty(self) -> None:
        """A password that is empty, or becomes empty, is refused."""
        for text in ("", "\u00ad", "\u200b"):
            with self.assertRaises(ValueError):
                saslprep(text)

    def test_directions(self) -> None:
        """Right-to-left text must not contain left-to-right text (RFC 3454 §6)."""
        self.assertEqual(saslprep("\u06271\u0628"), "\u06271\u0628")
        for text in ("\u06271", "1\u0627", "\u0627a\u0628"):
            with self.assertRaises(ValueError, msg=ascii(text)):
                saslprep(text)

    def test_unicodeVersion(self) -> None:
        """Characters newer than Unicode 3.2 are unchanged, so that old and new clients agree."""
        self.assertEqual(saslprep("\U0001f130"), "\U0001f130")

    @given(st.text())
    def test_idempotent(self, text: str) -> None:
        """Preparation is idempotent, or raises C{ValueError}."""
        try:
            prepared = saslprep(text)
        except ValueError:
            return
        self.assertEqual(saslprep(prepared), prepared)

    def test_textOfErrors(self) -> None:
        """An error does not quote the password."""
        with self.assertRaises(ValueError) as caught:
            saslprep("hunter2\u0007")
        self.assertNotIn("hunter2", str(caught.exception))


class ScramKeysTests(SynchronousTestCase):
    """L{ScramKeys} (RFC 5802, RFC 7677)"""

    def assertVector(self, hashName: str, salt: bytes, authMessage: str, proof: str, signature: str) -> None:
        """Derive the keys of C{pencil} and check proof and signature of an exchange with them."""
        keys = ScramKeys.derive(hashName, "pencil", salt, 4096)
        algorithm = HASHES[hashName]
        message = authMessage.encode()
        self.assertEqual(b64encode(hmac.digest(keys.serverKey, message, algorithm)).decode(), signature)
        clientSignature = hmac.digest(keys.storedKey, message, algorithm)
        clientKey = bytes(a ^ b for a, b in zip(b64decode(proof), clientSignature, strict=True))
        self.assertEqual(hashlib.new(algorithm, clientKey).digest(), keys.storedKey)

    def test_sha1(self) -> None:
        """The exchange of RFC 5802 §5."""
        nonce = "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j"
        self.assertVector(
            "SHA-1",
            b64decode("QSXCR+Q6sek8bf92"),
            f"n=user,r=fyko+d2lbbFgONRv9qkxdawL,r={nonce},s=QSXCR+Q6sek8bf92,i=4096,c=biws,r={nonce}",
            "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        )

    def test_sha256(self) -> None:
        """The exchange of RFC 7677 §3."""
        nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
        self.assertVector(
            "SHA-256",
            b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="),
            f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}",
            "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        )

    def test_defaults(self) -> None:
        """New keys have a new salt and the default iterations."""
        one, other = ScramKeys.derive("SHA-256", "secret"), ScramKeys.derive("SHA-256", "secret")
        self.assertEqual((one.iterations, len(one.salt)), (ITERATIONS, SALT_LENGTH))
        self.assertNotEqual(one.salt, other.salt)
        self.assertNotEqual(one.storedKey, other.storedKey)

    def test_matches(self) -> None:
        """A password matches its keys in any form of Unicode; others do not."""
        for hashName in HASHES:
            keys = ScramKeys.derive(hashName, "IX", b"salt", 2)
            self.assertTrue(keys.matches("\u2168"))
            for wrong in ("ix", "IX ", "", "\u0007"):
                self.assertFalse(keys.matches(wrong), wrong)

    def test_sameEffort(self) -> None:
        """An invalid password costs the same iterations."""
        keys = ScramKeys.derive("SHA-256", "secret", b"salt", 7)
        for password in ("wrong", "\u0007"):
            with mock.patch.object(scramkeys.hashlib, "pbkdf2_hmac", wraps=hashlib.pbkdf2_hmac) as stretched:
                keys.matches(password)
            self.assertEqual([call.args[2:] for call in stretched.call_args_list], [(b"salt", 7)])

    def test_notShown(self) -> None:
        """The keys are not in the representation."""
        keys = ScramKeys("SHA-1", b"salt", 1, b"stored-key", b"server-key")
        self.assertNotIn("stored-key", repr(keys))
        self.assertNotIn("server-key", repr(keys))
