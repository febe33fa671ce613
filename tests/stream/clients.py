# -*- test-case-name: tests.stream -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The client's side of SCRAM, written straight from RFC 5802, and what a log-in can be bound to, as tests need it."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode


class ScramClient:
    """One exchange, seen from the client. Sends whatever it is told to; does not prepare names or passwords."""

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
        @param algorithm: hashlib's name of the hash.
        @param header: the GS2 header.
        @param binding: the channel binding data that the client sees.
        @param extension: what comes behind the nonce of the last message.
        """
        self.algorithm, self.password, self.header, self.binding = algorithm, password.encode(), header, binding
        self.bare = b"n=" + user.replace("=", "=3D").replace(",", "=2C").encode() + b",r=clientnonce"
        self.extension = extension.encode()

    def first(self) -> bytes:
        """The first message."""
        return self.header + self.bare

    def final(self, challenge: bytes, claimed: bytes | None = None) -> bytes:
        """
        The last message.

        @param claimed: another nonce than the challenge's.
        """
        nonce, salt, iterations = (part[2:] for part in challenge.split(b","))
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
        """Check that the server knows the keys."""
        if last != self.expected:
            raise AssertionError(f"the server's signature is wrong: {last!r}")


class Bindings:
    """Channel bindings with data of one's own."""

    def __init__(self, **data: bytes) -> None:
        self._data = data

    def types(self) -> tuple[str, ...]:
        """The types that there are."""
        return tuple(self._data)

    def data(self, type: str) -> bytes:
        """The data of one."""
        return self._data[type]
