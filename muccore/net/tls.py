# -*- test-case-name: tests.net.test_tls,tests.stream.test_binding -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
TLS of the server's side: which versions and ciphers, with which certificate, and what of a connection a log-in can be
bound to (RFC 5929, RFC 9266).

The certificate can be replaced while the server runs: a connection keeps the context it began with.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.filepath import FilePath
from zope.interface import implementer

from muccore.xmpp.specs import Spec

implements = (
    Spec(5929, "Channel Bindings for TLS", note="tls-server-end-point only.", series="RFC"),
    Spec(7301, "Application-Layer Protocol Negotiation", note="Chooses xmpp-client.", series="RFC"),
    Spec(9266, "Channel Bindings for TLS 1.3", note="tls-exporter, under TLS 1.3 only.", series="RFC"),
)
AnyPath = str | os.PathLike[str] | FilePath[str]
"""How a file may be named."""

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
"""Keys that a TLS server can sign with."""

EXPORTER: Final = "tls-exporter"
END_POINT: Final = "tls-server-end-point"
UNIQUE: Final = "tls-unique"

TICKET_LIFETIME: Final = 24 * 60 * 60
"""Seconds for which session tickets are made with the same key. Who steals the key can read whatever TLS 1.2
connection was resumed with a ticket of it, so it must not live as long as the server."""

# Authenticated encryption and forward secrecy only. AES with 128 bits first: it is not weaker in practice and SHA-256
# makes the handshake cheaper.
_CIPHERS_12: Final = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
_CIPHERS_13: Final = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
_ALPN: Final = b"xmpp-client"
_EXPORTER_LABEL: Final = b"EXPORTER-Channel-Binding"
_EXPORTER_LENGTH: Final = 32


class TLSConfigError(Exception):
    """A certificate or key cannot be used. C{str()} of it is one line that names the file and says what to do."""

    def __init__(self, path: str, trouble: str) -> None:
        """
        @param path: the file.
        @param trouble: what is wrong with it and what to do.
        """
        super().__init__(f"{path}: {trouble}")
        self.path = path


class ChannelBindings:
    """What a log-in over one TLS connection can be bound to."""

    def __init__(self, connection: SSL.Connection, endPoint: bytes | None) -> None:
        """
        @param connection: the connection, shaken hands.
        @param endPoint: the hash of the certificate it was made with, if that is defined.
        """
        self._connection = connection
        self._endPoint = endPoint

    def types(self) -> tuple[str, ...]:
        """The types that there are, strongest first."""
        # Under TLS 1.2 the exporter is only unique with an extension that cannot be asked about here (RFC 9266 §3).
        exporter = (EXPORTER,) if self._connection.get_protocol_version() >= SSL.TLS1_3_VERSION else ()
        return exporter if self._endPoint is None else (*exporter, END_POINT)

    def data(self, type: str) -> bytes:
        """
        The binding's data.

        @param type: one of L{types}, or L{UNIQUE}: what clients choose that do not read which types there are, since
            RFC 5802 §6.1 makes it the default. It is not announced: it does not hold for a resumed session, where a
            client takes the server's Finished message for it, and where it binds nothing without an extension
            (RFC 7627 §1). RFC 9266 leaves it undefined under TLS 1.3; clients that go by CPython's ssl use it there
            as well, and the client's Finished message tells connections apart there too.
        @raise KeyError: if it is none of them.
        """
        if type == UNIQUE:
            finished: bytes | None = self._connection.get_peer_finished()
            if finished is not None:
                return finished
        if type not in self.types():
            raise KeyError(type)
        if type == EXPORTER:
            exported: bytes = self._connection.export_keying_material(_EXPORTER_LABEL, _EXPORTER_LENGTH, b"")
            return exported
        assert self._endPoint is not None
        return self._endPoint


def endPointBinding(certificate: x509.Certificate) -> bytes | None:
    """
    The data of C{tls-server-end-point} (RFC 5929 §4.1), or C{None} where it is undefined: for signatures that use no
    hash function, or more than one.
    """
    try:
        algorithm = certificate.signature_hash_algorithm
        # Reading the parameters refuses RSASSA-PSS that uses another hash for the mask.
        certificate.signature_algorithm_parameters  # noqa: B018
    except UnsupportedAlgorithm:
        return None
    if algorithm is None:
        return None
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    return certificate.fingerprint(algorithm)


def pathText(path: AnyPath) -> str:
    """The name of a file as text."""
    return path.path if isinstance(path, FilePath) else os.fspath(path)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as e:
        raise TLSConfigError(
            path, f"cannot be read ({e.strerror}); let the server's user read it, or correct its name"
        ) from None


def _readCertificates(path: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError:
        raise TLSConfigError(
            path, "is no PEM file of certificates; give the server's own and then those of its issuers"
        ) from None


def _readKey(path: str) -> PrivateKey:
    try:
        key = load_pem_private_key(_read(path), None)
    except TypeError:
        raise TLSConfigError(path, "is protected by a passphrase; write the key without one") from None
    except (ValueError, UnsupportedAlgorithm):
        raise TLSConfigError(path, "is no PEM file of a private key") from None
    if not isinstance(key, PrivateKey):
        raise TLSConfigError(path, "is a key that TLS cannot use; give an ECDSA, RSA, Ed25519 or Ed448 key")
    return key


def _publicKey(certificate: x509.Certificate) -> object:
    """A certificate's public key, or C{None} if it is of a kind that no private key of ours can belong to."""
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def _chooseProtocol(connection: SSL.Connection, offered: list[bytes]) -> Any:
    return _ALPN if _ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS


class _Credentials:
    """Certificate and key as they were read once, and the contexts that are made of them."""

    def __init__(self, certificatePath: str, keyPath: str) -> None:
        self._certificatePath = certificatePath
        self._chain = _readCertificates(certificatePath)
        self._key = _readKey(keyPath)
        self.certificate = self._chain[0]
        if _publicKey(self.certificate) != self._key.public_key():
            raise TLSConfigError(
                keyPath,
                f"does not belong to the first certificate of {certificatePath}; "
                "give the key it was issued for, and put the server's own certificate first",
            )
        self._endPoint = endPointBinding(self.certificate)

    def makeContext(self) -> SSL.Context:
        """A new context, with new keys for session tickets."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(
            SSL.OP_NO_COMPRESSION
            | SSL.OP_NO_RENEGOTIATION
            | SSL.OP_CIPHER_SERVER_PREFERENCE
            | SSL.OP_SINGLE_ECDH_USE
        )
        # At least 12 KiB less for a connection on which nothing moves.
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_cipher_list(_CIPHERS_12)
        context.set_tls13_ciphersuites(_CIPHERS_13)
        # Clients resume with tickets that they keep: the server needs no memory of them.
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_session_id(b"muccore")
        context.set_alpn_select_callback(_chooseProtocol)
        context.set_app_data(self._endPoint)
        try:
            context.use_certificate(self.certificate)
            for issuer in self._chain[1:]:
                context.add_extra_chain_cert(issuer)
            context.use_privatekey(self._key)
            context.check_privatekey()
        except SSL.Error as e:
            reasons = "; ".join(reason for *_, reason in e.args[0]) if e.args else "unknown reason"
            raise TLSConfigError(self._certificatePath, f"OpenSSL refuses it ({reasons}); get another one") from None
        return context


@implementer(IOpenSSLServerConnectionCreator)
class ServerTLS:
    """Makes the TLS connections of the server, for C{startTLS} and for direct TLS."""

    def __init__(
        self, certificate: AnyPath, privateKey: AnyPath, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """
        @param certificate: a PEM file: the server's certificate, then those of its issuers.
        @param privateKey: a PEM file.
        @param seconds: tells the time, for the age of ticket keys.
        @raise TLSConfigError: if they cannot be used.
        """
        self._certificatePath = pathText(certificate)
        self._keyPath = pathText(privateKey)
        self._seconds = seconds
        self.reload()

    def reload(self) -> None:
        """
        Read certificate and key again; connections from now on get them.

        @raise TLSConfigError: if they cannot be used. Then all stays as it is.
        """
        credentials = _Credentials(self._certificatePath, self._keyPath)
        context = credentials.makeContext()
        self._credentials = credentials
        self._use(context)

    def _use(self, context: SSL.Context) -> None:
        self._context = context
        self._made = self._seconds()

    @property
    def certificatePath(self) -> str:
        """The file of the certificate."""
        return self._certificatePath

    @property
    def certificate(self) -> x509.Certificate:
        """The server's certificate."""
        return self._credentials.certificate

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """See L{IOpenSSLServerConnectionCreator}."""
        if self._seconds() - self._made >= TICKET_LIFETIME:
            self._use(self._credentials.makeContext())
        return SSL.Connection(self._context, None)

    def channelBindings(self, transport: Any) -> ChannelBindings:
        """
        The channel bindings of a connection that has shaken hands.

        @param transport: under TLS by L{serverConnectionForTLS}; an C{ISSLTransport}.
        """
        connection: SSL.Connection = transport.getHandle()
        # The context knows its certificate's: after a reload it need not be the one of today.
        return ChannelBindings(connection, connection.get_context().get_app_data())


__all__ = [
    "END_POINT",
    "EXPORTER",
    "TICKET_LIFETIME",
    "UNIQUE",
    "AnyPath",
    "ChannelBindings",
    "ServerTLS",
    "TLSConfigError",
    "endPointBinding",
    "pathText",
]
