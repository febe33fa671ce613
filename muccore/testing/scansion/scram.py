# -*- test-case-name: tests.testing.test_scansion_client -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The client's side of SCRAM (RFC 5802), for servers that do not offer PLAIN."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os

from muccore.xmpp.scramkeys import HASHES, saslprep


class ScramRefused(Exception):
    """The server's part of the exchange is wrong; C{str()} of it says how."""


class ScramClient:
    """One exchange, without channel binding; C{hashName} is C{"SHA-1"} or C{"SHA-256"}."""

    def __init__(self, hashName: str, user: str, password: str, nonce: str | None = None) -> None:
        """@param nonce: the client's nonce; C{None}: a random one."""
        self.hashName = hashName
        self._algorithm = HASHES[hashName]
        self._password = saslprep(password).encode("utf-8")
        self._nonce = base64.b64encode(os.urandom(18)).decode("ascii") if nonce is None else nonce
        name = user.replace("=", "=3D").replace(",", "=2C")
        self._bare = f"n={name},r={self._nonce}"
        self._signature = b""

    def first(self) -> bytes:
        """Return the client's first message."""
        return f"n,,{self._bare}".encode()

    def final(self, challenge: bytes) -> bytes:
        """Answer the server's challenge; L{ScramRefused} if it is not valid."""
        try:
            text = challenge.decode("utf-8")
            fields = dict(part.split("=", 1) for part in text.split(","))
            nonce, salt, iterations = fields["r"], base64.b64decode(fields["s"], validate=True), int(fields["i"])
        except (ValueError, KeyError, binascii.Error):
            raise ScramRefused("the server's challenge is malformed") from None
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise ScramRefused("the server's nonce does not continue the client's")
        if not 1 <= iterations <= 10_000_000:
            raise ScramRefused(f"the server asks for {iterations} iterations")
        salted = hashlib.pbkdf2_hmac(self._algorithm, self._password, salt, iterations)
        clientKey = hmac.digest(salted, b"Client Key", self._algorithm)
        storedKey = hashlib.new(self._algorithm, clientKey).digest()
        bare = f"c=biws,r={nonce}"
        message = f"{self._bare},{text},{bare}".encode()
        proof = bytes(a ^ b for a, b in zip(clientKey, hmac.digest(storedKey, message, self._algorithm), strict=True))
        serverKey = hmac.digest(salted, b"Server Key", self._algorithm)
        self._signature = hmac.digest(serverKey, message, self._algorithm)
        return f"{bare},p={base64.b64encode(proof).decode('ascii')}".encode()

    def verify(self, outcome: bytes) -> None:
        """Check the signature in the server's final message; L{ScramRefused} if it is wrong."""
        expected = b"v=" + base64.b64encode(self._signature)
        if not self._signature or not hmac.compare_digest(outcome, expected):
            raise ScramRefused("the server's signature is wrong")
