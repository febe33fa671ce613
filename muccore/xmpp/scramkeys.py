# -*- test-case-name: tests.xmpp.test_scramkeys -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""SCRAM keys (RFC 5802 §3), which a server stores instead of passwords."""

from __future__ import annotations

import hashlib
import hmac
import os
import stringprep
from dataclasses import dataclass, field
from typing import Final
from unicodedata import ucd_3_2_0

HASHES: Final[dict[str, str]] = {"SHA-1": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}
"""SCRAM's hash names to hashlib's, weakest first."""

ITERATIONS: Final = 10_000
"""Iterations for new keys; RFC 7677 requires at least 4096."""

SALT_LENGTH: Final = 16
"""Bytes of salt in new keys."""

_PROHIBITED: Final = [
    getattr(stringprep, f"in_table_{table}") for table in ("c12", "c21_c22", "c3", "c4", "c5", "c6", "c7", "c8", "c9")
]


def saslprep(text: str) -> str:
    """
    Prepare a password (RFC 4013, as a query string: unassigned code points are allowed).

    @raise ValueError: if it is empty, has a prohibited character or mixes writing directions.
    """
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c))
    # Stringprep uses Unicode 3.2 (RFC 3454 §4): newer characters stay as they are.
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    if not prepared:
        raise ValueError("empty password")
    # Check each once: normalisation can turn one into 18, and a guess must not cost more than its derivation.
    characters = set(prepared)
    if any(prohibited(c) for c in characters for prohibited in _PROHIBITED):
        raise ValueError("prohibited character in password")
    if any(map(stringprep.in_table_d1, characters)) and not (
        stringprep.in_table_d1(prepared[0])
        and stringprep.in_table_d1(prepared[-1])
        and not any(map(stringprep.in_table_d2, characters))
    ):
        raise ValueError("password mixes writing directions")
    return prepared


@dataclass(frozen=True)
class ScramKeys:
    """
    The keys of one password for one hash.

    @ivar hashName: one of L{HASHES}.
    @ivar storedKey: verifies the client; not in the C{repr}.
    @ivar serverKey: proves the server's knowledge to the client; not in the C{repr}.
    """

    hashName: str
    salt: bytes
    iterations: int
    storedKey: bytes = field(repr=False)
    serverKey: bytes = field(repr=False)

    @classmethod
    def derive(cls, hashName: str, password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> ScramKeys:
        """Derive the keys of a password. Takes milliseconds: call it in a thread. Raises as L{saslprep}."""
        algorithm = HASHES[hashName]
        if salt is None:
            salt = os.urandom(SALT_LENGTH)
        salted = hashlib.pbkdf2_hmac(algorithm, saslprep(password).encode("utf-8"), salt, iterations)
        return cls.fromSalted(hashName, salted, salt, iterations)

    @classmethod
    def fromSalted(cls, hashName: str, salted: bytes, salt: bytes, iterations: int) -> ScramKeys:
        """Make keys from the salted password (RFC 5802 §3, C{SaltedPassword})."""
        algorithm = HASHES[hashName]
        clientKey = hmac.digest(salted, b"Client Key", algorithm)
        storedKey = hashlib.new(algorithm, clientKey).digest()
        return cls(hashName, salt, iterations, storedKey, hmac.digest(salted, b"Server Key", algorithm))

    def matches(self, password: str) -> bool:
        """Whether the password has these keys. Takes as long as L{derive}, for an invalid password too."""
        try:
            derived = self.derive(self.hashName, password, self.salt, self.iterations)
        except ValueError:
            self.derive(self.hashName, "x", self.salt, self.iterations)
            return False
        return hmac.compare_digest(derived.storedKey, self.storedKey)
