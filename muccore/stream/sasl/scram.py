# -*- test-case-name: tests.stream.sasl.test_scram -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The server's side of SCRAM (RFC 5802, RFC 7677), without I/O.

Checks the syntax of RFC 5802 §7, the channel binding of §6 and the proof of §3. Looking up keys and checking
authorization identities is up to L{muccore.stream.sasl.mechanisms}.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING, Final

from muccore.stream.sasl.exchange import BindingRefused, SASLFailure, WrongCredentials, decodeUTF8
from muccore.xmpp.scramkeys import HASHES, ITERATIONS, SALT_LENGTH, ScramKeys

if TYPE_CHECKING:
    from muccore.net.tls import ChannelBindings

NONCE_LENGTH: Final = 18
"""Random bytes in the server's part of the nonce."""

# Canonical base64 only: the unused bits of the last character are zero (RFC 4648 §3.5).
_BASE64: Final = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?"
# RFC 5802 §7. Additional attributes at the end are optional extensions: ignored, but covered by the signature.
_FIRST: Final = re.compile(
    r"(?P<header>(?:p=(?P<binding>[A-Za-z0-9.-]+)|(?P<flag>[ny])),(?:a=(?P<authzid>[^\0,]+))?,)"
    r"(?P<bare>n=(?P<user>[^\0,]+),r=(?P<nonce>[!-+\--~]+)(?:,[A-Za-z]=[^\0,]+)*)"
)
_FINAL: Final = re.compile(
    rf"(?P<unproved>c=(?P<binding>{_BASE64}),r=(?P<nonce>[!-+\--~]+)(?:,[A-Za-z]=[^\0,]+)*)"
    rf",p=(?P<proof>{_BASE64})"
)
_MANDATORY_EXTENSION: Final = re.compile(r"(?:\A|,)m=")
_ESCAPE: Final = re.compile(r"=(2C|3D)?", re.IGNORECASE)

_MALFORMED: Final = "The SCRAM message is malformed."


def _unescape(match: re.Match[str]) -> str:
    if match[1] is None:
        raise SASLFailure("malformed-request", _MALFORMED)
    return "," if match[1][0] == "2" else "="


def _name(text: str) -> str:
    """Unescape a C{saslname} (RFC 5802 §5.1)."""
    return _ESCAPE.sub(_unescape, text)


def _checkExtensions(message: str) -> None:
    """Reject mandatory extensions, of which none is specified (RFC 5802 §5.1, C{m})."""
    if _MANDATORY_EXTENSION.search(message):
        raise SASLFailure("malformed-request", "SCRAM extensions are not supported.")


def dummyKeys(secret: bytes, hashName: str, name: str) -> ScramKeys:
    """
    Derive keys for a user who does not exist, for an exchange like that of an existing one: a constant salt for each
    name, and the iteration count of new accounts. No password matches them.

    @param secret: makes the salt unpredictable. If it changes, for example by a restart, so do the salts of unknown
        users, which identifies them.
    """
    salt = hmac.digest(secret, f"{hashName}\0{name}".encode(), "sha256")[:SALT_LENGTH]
    nothing = bytes(hashlib.new(HASHES[hashName]).digest_size)
    return ScramKeys(hashName, salt, ITERATIONS, nothing, nothing)


class ScramServer:
    """
    One SCRAM exchange: L{first}, L{challenge}, L{final}.

    @ivar user: the user name as the client sent it, unescaped but not prepared.
    @ivar authzid: the authorization identity likewise, or C{None}.
    """

    user: str
    authzid: str | None

    def __init__(
        self, hashName: str, bindings: ChannelBindings | None, bindingOffered: bool, nonce: str | None = None
    ) -> None:
        """
        @param hashName: as in L{HASHES}.
        @param bindings: for the variant with C{-PLUS}, else C{None}.
        @param bindingOffered: whether any mechanism with C{-PLUS} was offered.
        @param nonce: the server's part of the nonce, for tests.
        """
        self._algorithm = HASHES[hashName]
        self._bindings = bindings
        self._bindingOffered = bindingOffered
        self._nonce = nonce or secrets.token_urlsafe(NONCE_LENGTH)

    def first(self, data: bytes) -> None:
        """
        Handle the client's first message; sets L{user} and L{authzid}.

        @raise SASLFailure: C{malformed-request}.
        @raise BindingRefused: C{malformed-request}; C{not-authorized} if the C{-PLUS} mechanisms were removed from the
            offer on the way to the client.
        """
        text = decodeUTF8(data)
        _checkExtensions(text)
        match = _FIRST.fullmatch(text)
        if match is None:
            raise SASLFailure("malformed-request", _MALFORMED)
        self._expectedBinding = match["header"].encode("utf-8") + self._bindingData(match["binding"], match["flag"])
        self.user = _name(match["user"])
        self.authzid = None if match["authzid"] is None else _name(match["authzid"])
        self._clientFirst = match["bare"]
        self._nonce = match["nonce"] + self._nonce

    def _bindingData(self, binding: str | None, flag: str | None) -> bytes:
        """The channel binding data that the client must send (RFC 5802 §6)."""
        if self._bindings is not None:
            try:
                return self._bindings.data(binding or "")
            except KeyError:
                text = "The mechanism requires a channel binding of an announced type."
                raise BindingRefused("malformed-request", text) from None
        if binding is not None:
            raise BindingRefused("malformed-request", "The mechanism does not support channel binding.")
        if flag == "y" and self._bindingOffered:
            text = "The server offers channel binding, but the client did not see it: possible downgrade attack."
            raise BindingRefused("not-authorized", text)
        return b""

    def challenge(self, keys: ScramKeys, offered: bytes = b"") -> bytes:
        """
        The server's first message, for the user's keys or L{dummyKeys}.

        @param offered: the hash of what was offered (XEP-0474), which is thereby covered by both proofs.
        """
        self._keys = keys
        salt = binascii.b2a_base64(keys.salt, newline=False).decode("ascii")
        extension = f",h={binascii.b2a_base64(offered, newline=False).decode('ascii')}" if offered else ""
        self._serverFirst = f"r={self._nonce},s={salt},i={keys.iterations}{extension}"
        return self._serverFirst.encode("ascii")

    def final(self, data: bytes) -> bytes:
        """
        Verify the client's proof.

        @return: the server's last message, which proves that it has the keys.
        @raise SASLFailure: C{malformed-request}.
        @raise WrongCredentials: for a wrong password, or the answer to another challenge.
        @raise BindingRefused: C{not-authorized} if the channel bindings differ, whatever the password.
        """
        text = decodeUTF8(data)
        _checkExtensions(text)
        match = _FINAL.fullmatch(text)
        if match is None:
            raise SASLFailure("malformed-request", _MALFORMED)
        binding = binascii.a2b_base64(match["binding"])
        proof = binascii.a2b_base64(match["proof"])
        signed = f"{self._clientFirst},{self._serverFirst},{match['unproved']}".encode()
        # Check everything before rejecting anything, so that the time reveals nothing.
        right = self._verifyProof(proof, signed)
        right &= hmac.compare_digest(match["nonce"], self._nonce)
        if not hmac.compare_digest(binding, self._expectedBinding):
            raise BindingRefused("not-authorized", "The channel bindings do not match.")
        if not right:
            raise WrongCredentials
        signature = hmac.digest(self._keys.serverKey, signed, self._algorithm)
        return b"v=" + binascii.b2a_base64(signature, newline=False)

    def _verifyProof(self, proof: bytes, signed: bytes) -> bool:
        """Whether a proof was made with the password (RFC 5802 §3)."""
        signature = hmac.digest(self._keys.storedKey, signed, self._algorithm)
        if len(proof) != len(signature):
            return False
        clientKey = int.from_bytes(proof, "big") ^ int.from_bytes(signature, "big")
        stored = hashlib.new(self._algorithm, clientKey.to_bytes(len(signature), "big")).digest()
        return hmac.compare_digest(stored, self._keys.storedKey)
