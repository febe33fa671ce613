# -*- test-case-name: tests.stream -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The client's side of SCRAM, written from RFC 5802, and channel bindings, for tests."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode


class ScramClient:
    """The client of one exchange. Does not prepare names or passwords."""

    def __init__(
        self,
        algorithm: str,
        user: str,
        password: str,
        header: bytes = b"n,,",
        binding: bytes = b"",
        extension: str = "",
    ) -> None:
        """
        @param algorithm: the hash, as in hashlib.
        @param header: the GS2 header.
        @param binding: the channel binding data of the client.
        @param extension: appended to the nonce of the last message.
        """
        self.algorithm, self.password, self.header, self.binding = algorithm, password.encode(), header, binding
        self.bare = b"n=" + user.replace("=", "=3D").replace(",", "=2C").encode() + b",r=clientnonce"
        self.extension = extension.encode()

    def first(self) -> bytes:
        """The first message."""
        return self.header + self.bare

    def final(self, challenge: bytes, claimed: bytes | None = None) -> bytes:
        """The last message; C{claimed} replaces the nonce of the challenge."""
        nonce, salt, iterations = (part[2:] for part in challenge.split(b",")[:3])
        nonce = nonce if claimed is None else claimed
        salted = hashlib.pbkdf2_hmac(self.algorithm, self.password, b64decode(salt), int(iterations))
        clientKey = hmac.digest(salted, b"Client Key", self.algorithm)
        storedKey = hashlib.new(self.algorithm, clientKey).digest()
        unproved = b"c=" + b64encode(self.header + self.binding) + b",r=" + nonce + self.extension
        message = b",".join([self.bare, challenge, unproved])
        signature = hmac.digest(storedKey, message, self.algorithm)
        proof = bytes(a ^ b for a, b in zip(clientKey, signature, strict=True))
        serverKey = hmac.digest(salted, b"Server Key", self.algorithm)
        self.expected = b"v=" + b64encode(hmac.digest(serverKey, message, self.algorithm))
        return unproved + b",p=" + b64encode(proof)

    def verify(self, last: bytes | None) -> None:
        """Check the server's signature."""
        if last != self.expected:
            raise AssertionError(f"the server's signature is wrong: {last!r}")


class Bindings:
    """Channel bindings with given data."""

    def __init__(self, **data: bytes) -> None:
        self._data = data

    def types(self) -> tuple[str, ...]:
        """The types."""
        return tuple(self._data)

    def data(self, type: str) -> bytes:
        """The data of a type."""
        return self._data[type]
