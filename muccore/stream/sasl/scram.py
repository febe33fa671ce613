# -*- test-case-name: tests.stream.sasl.test_scram -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The server's side of SCRAM (RFC 5802, RFC 7677) without I/O: text in, text out, keys by argument.

Checked here: the syntax of RFC 5802 §7, the channel binding of §6 and the proof of §3. Whose keys they are and who
may be whom is L{muccore.stream.sasl.mechanisms}'s.
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

# Only the one way to write a value: what would be left over of the last character is zero (RFC 4648 §3.5).
_BASE64: Final = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?"
# RFC 5802 §7. Attributes that come behind those we know are extensions that may be ignored, but they are part of what
# is signed.
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
    """A C{saslname} without its escapes (RFC 5802 §5.1)."""
    return _ESCAPE.sub(_unescape, text)


def _checkExtensions(message: str) -> None:
    """Refuse what the client says must be understood: no such extension has been specified (RFC 5802 §5.1, C{m})."""
    if _MANDATORY_EXTENSION.search(message):
        raise SASLFailure("malformed-request", "SCRAM extensions are not supported.")


def dummyKeys(secret: bytes, hashName: str, name: str) -> ScramKeys:
    """
    Keys for a user who does not exist, so that the exchange goes on as with one who does: the same salt whenever that
    name is tried, as many iterations as new accounts get. No password has them.

    @param secret: what makes the salt unpredictable. As long as it stays the same, so does the salt; if it changes
        (such as by a restart), names whose salt changed with it are names of nobody.
    """
    salt = hmac.digest(secret, f"{hashName}\0{name}".encode(), "sha256")[:SALT_LENGTH]
    nothing = bytes(hashlib.new(HASHES[hashName]).digest_size)
    return ScramKeys(hashName, salt, ITERATIONS, nothing, nothing)


class ScramServer:
    """
    One SCRAM exchange: L{first}, then L{challenge}, then L{final}.

    @ivar user: the user name as the client sent it, unescaped but not prepared.
    @ivar authzid: the authorization identity likewise, or C{None}.
    """

    user: str
    authzid: str | None

    def __init__(
        self,
        hashName: str,
        bindings: ChannelBindings | None,
        bindingOffered: bool,
        nonce: str | None = None,
    ) -> None:
        """
        @param hashName: as in L{HASHES}.
        @param bindings: for the mechanism with C{-PLUS}; C{None} for the one without.
        @param bindingOffered: whether this client was offered any mechanism with C{-PLUS}.
        @param nonce: the server's part of the nonce; for tests only.
        """
        self._algorithm = HASHES[hashName]
        self._bindings = bindings
        self._bindingOffered = bindingOffered
        self._nonce = nonce or secrets.token_urlsafe(NONCE_LENGTH)

    def first(self, data: bytes) -> None:
        """
        Take the client's first message; sets L{user} and L{authzid}.

        @raise SASLFailure: C{malformed-request}.
        @raise BindingRefused: C{malformed-request}; C{not-authorized} if somebody has hidden from the client that
            the server can bind the channel.
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
        """What the client has to prove that it sees of the channel (RFC 5802 §6)."""
        if self._bindings is not None:
            try:
                return self._bindings.data(binding or "")
            except KeyError:
                text = "The mechanism needs a channel binding of an announced type."
                raise BindingRefused("malformed-request", text) from None
        if binding is not None:
            raise BindingRefused("malformed-request", "This mechanism binds no channel.")
        if flag == "y" and self._bindingOffered:
            text = "The server does support channel binding: somebody has hidden that."
            raise BindingRefused("not-authorized", text)
        return b""

    def challenge(self, keys: ScramKeys) -> bytes:
        """
        The server's first message.

        @param keys: the user's, or L{dummyKeys}.
        """
        self._keys = keys
        salt = binascii.b2a_base64(keys.salt, newline=False).decode("ascii")
        self._serverFirst = f"r={self._nonce},s={salt},i={keys.iterations}"
        return self._serverFirst.encode("ascii")

    def final(self, data: bytes) -> bytes:
        """
        Take the client's proof.

        @return: the server's last message, which proves to the client that the server knows its keys.
        @raise SASLFailure: C{malformed-request}.
        @raise WrongCredentials: if the client does not know the password or answers another challenge.
        @raise BindingRefused: C{not-authorized} if the client sees another channel, whatever its password.
        """
        text = decodeUTF8(data)
        _checkExtensions(text)
        match = _FINAL.fullmatch(text)
        if match is None:
            raise SASLFailure("malformed-request", _MALFORMED)
        binding = binascii.a2b_base64(match["binding"])
        proof = binascii.a2b_base64(match["proof"])
        signed = f"{self._clientFirst},{self._serverFirst},{match['unproved']}".encode()
        # All is looked at before anything is refused: how long it takes tells nothing.
        right = self._verifyProof(proof, signed)
        right &= hmac.compare_digest(match["nonce"], self._nonce)
        if not hmac.compare_digest(binding, self._expectedBinding):
            raise BindingRefused("not-authorized", "The channel bindings do not match.")
        if not right:
            raise WrongCredentials
        signature = hmac.digest(self._keys.serverKey, signed, self._algorithm)
        return b"v=" + binascii.b2a_base64(signature, newline=False)

    def _verifyProof(self, proof: bytes, signed: bytes) -> bool:
        """Whether whoever made the proof knows the password (RFC 5802 §3)."""
        signature = hmac.digest(self._keys.storedKey, signed, self._algorithm)
        if len(proof) != len(signature):
            return False
        clientKey = int.from_bytes(proof, "big") ^ int.from_bytes(signature, "big")
        stored = hashlib.new(self._algorithm, clientKey.to_bytes(len(signature), "big")).digest()
        return hmac.compare_digest(stored, self._keys.storedKey)


__all__ = ["NONCE_LENGTH", "ScramServer", "dummyKeys"]
