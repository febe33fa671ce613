# -*- test-case-name: tests.xmpp.test_scramkeys -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Passwords as SCRAM keys (RFC 5802 §3): what a server keeps instead of a password."""

from __future__ import annotations

import hashlib
import hmac
import os
import stringprep
from dataclasses import dataclass, field
from typing import Final
from unicodedata import ucd_3_2_0

HASHES: Final[dict[str, str]] = {"SHA-1": "sha1", "SHA-256": "sha256"}
"""SCRAM's hash names to hashlib's."""

ITERATIONS: Final = 10_000
"""Iterations for new keys; RFC 7677 asks for at least 4096."""

SALT_LENGTH: Final = 16
"""Bytes of salt for new keys."""

_PROHIBITED: Final = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str) -> str:
    """
    Prepare a password (RFC 4013, as a query string: unassigned code points pass).

    @raise ValueError: if it has a character that may not be in it, mixes directions wrongly or is empty.
    """
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c)
    )
    # Stringprep is bound to Unicode 3.2 (RFC 3454 §4): what came later stays as it was typed.
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    if not prepared:
        raise ValueError("empty password")
    # Each once: normalisation can make 18 of one, and a guess must not cost the other threads more than its
    # derivation.
    characters = set(prepared)
    for c in characters:
        if any(prohibited(c) for prohibited in _PROHIBITED):
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
    What proves a password, and proves to its owner that the server knows it, without being it.

    @ivar hashName: C{"SHA-1"} or C{"SHA-256"}.
    @ivar salt: bytes.
    @ivar iterations: how often the hash was applied.
    @ivar storedKey: proves the client; never shown.
    @ivar serverKey: proves the server; never shown.
    """

    hashName: str
    salt: bytes
    iterations: int
    storedKey: bytes = field(repr=False)
    serverKey: bytes = field(repr=False)

    @classmethod
    def derive(
        cls, hashName: str, password: str, salt: bytes | None = None, iterations: int = ITERATIONS
    ) -> ScramKeys:
        """
        Derive the keys of a password. Slow on purpose (milliseconds): call it in a thread.

        @raise ValueError: as L{saslprep}.
        """
        algorithm = HASHES[hashName]
        if salt is None:
            salt = os.urandom(SALT_LENGTH)
        salted = hashlib.pbkdf2_hmac(algorithm, saslprep(password).encode("utf-8"), salt, iterations)
        clientKey = hmac.digest(salted, b"Client Key", algorithm)
        return cls(
            hashName,
            salt,
            iterations,
            hashlib.new(algorithm, clientKey).digest(),
            hmac.digest(salted, b"Server Key", algorithm),
        )

    def matches(self, password: str) -> bool:
        """
        Whether the password has these keys. As slow as L{derive}; a password that cannot be prepared takes as long.
        """
        try:
            derived = self.derive(self.hashName, password, self.salt, self.iterations)
        except ValueError:
            self.derive(self.hashName, "x", self.salt, self.iterations)
            return False
        return hmac.compare_digest(derived.storedKey, self.storedKey)
