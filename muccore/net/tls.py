# -*- test-case-name: tests.net.test_tls,tests.stream.test_binding -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The server's TLS: versions, ciphers and certificates, and the channel bindings of a connection (RFC 5929, RFC 9266).

The certificate can be replaced at run time: a connection keeps the context it began with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from muccore.xmpp.specs import Spec

implements = (
    Spec(5929, "Channel Bindings for TLS", note="tls-server-end-point only.", series="RFC"),
    Spec(6066, "Transport Layer Security (TLS) Extensions", note="Server Name Indication.", series="RFC"),
    Spec(7301, "Application-Layer Protocol Negotiation", note="Chooses xmpp-client.", series="RFC"),
    Spec(7590, "Use of TLS in XMPP", note="Between clients and the server.", series="RFC"),
    Spec(9266, "Channel Bindings for TLS 1.3", note="tls-exporter, under TLS 1.3 only.", series="RFC"),
    Spec(368, "SRV records for XMPP over TLS", "1.1.0", "Direct TLS for clients and servers."),
)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
"""Keys that a TLS server can sign with."""

EXPORTER: Final = "tls-exporter"
END_POINT: Final = "tls-server-end-point"
UNIQUE: Final = "tls-unique"

TICKET_LIFETIME: Final = 24 * 60 * 60
"""Lifetime of a session ticket key, in seconds. A stolen key decrypts every TLS 1.2 connection resumed with one of its
tickets, so it must be replaced while the server runs."""

# Authenticated encryption with forward secrecy only. AES-128 first: not weaker in practice, and SHA-256 makes the
# handshake cheaper.
_CIPHERS_12: Final = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
_CIPHERS_13: Final = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
_ALPN: Final = b"xmpp-client"
_HTTP: Final = b"http/1.1"
_EXPORTER_LABEL: Final = b"EXPORTER-Channel-Binding"
_EXPORTER_LENGTH: Final = 32


class TLSConfigError(Exception):
    """An unusable certificate or key. C{str()} of it is one line with the file, the problem and the remedy."""

    def __init__(self, path: str, problem: str) -> None:
        """@param problem: what is wrong with the file, and the remedy."""
        super().__init__(f"{path}: {problem}")
        self.path = path


class ChannelBindings:
    """The channel bindings of one TLS connection."""

    def __init__(self, connection: SSL.Connection, endPoint: bytes | None) -> None:
        """Take a connection after its handshake, and the data of C{tls-server-end-point}, if defined."""
        self._connection = connection
        self._endPoint = endPoint

    def types(self) -> tuple[str, ...]:
        """The available types, strongest first."""
        # Under TLS 1.2 the exporter is unique only with an extension that pyOpenSSL cannot query (RFC 9266 §3).
        exporter = (EXPORTER,) if self._connection.get_protocol_version() >= SSL.TLS1_3_VERSION else ()
        return exporter if self._endPoint is None else (*exporter, END_POINT)

    def data(self, type: str) -> bytes:
        """
        Get the data of a channel binding.

        @param type: one of L{types}, or L{UNIQUE}, the default of clients that ignore the announced types (RFC 5802
            §6.1). That one is not announced: a resumed session has the server's Finished message as its data, and
            without an extension binds nothing (RFC 7627 §1). RFC 9266 leaves it undefined under TLS 1.3; clients on
            CPython's ssl use it there too, where the client's Finished message is as unique.
        @raise KeyError: if there is no such type.
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
    Compute the data of C{tls-server-end-point} (RFC 5929 §4.1).

    @return: C{None} where it is undefined: for signatures with no hash function or several.
    """
    try:
        algorithm = certificate.signature_hash_algorithm
        # Raises for RSASSA-PSS with a different hash for the mask.
        certificate.signature_algorithm_parameters  # noqa: B018
    except UnsupportedAlgorithm:
        return None
    if algorithm is None:
        return None
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    return certificate.fingerprint(algorithm)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as e:
        problem = f"cannot be read ({e.strerror}); give the server's user read permission, or correct the path"
        raise TLSConfigError(path, problem) from None


def _readCertificates(path: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError:
        problem = "is not a PEM file of certificates; it must hold the server's certificate, then those of its issuers"
        raise TLSConfigError(path, problem) from None


def _readKey(path: str) -> PrivateKey:
    try:
        key = load_pem_private_key(_read(path), None)
    except TypeError:
        raise TLSConfigError(path, "is protected by a passphrase; remove it from the key") from None
    except (ValueError, UnsupportedAlgorithm):
        raise TLSConfigError(path, "is not a PEM file of a private key") from None
    if not isinstance(key, PrivateKey):
        raise TLSConfigError(path, "is a key that TLS cannot use; use an ECDSA, RSA, Ed25519 or Ed448 key")
    return key


def _publicKey(certificate: x509.Certificate) -> object:
    """A certificate's public key, or C{None} if its type is unsupported and thus matches no private key."""
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


class Connection(SSL.Connection):
    """A connection of the server, with the protocol that it is for (RFC 7301)."""

    protocol = _ALPN


def _chooseProtocol(connection: SSL.Connection, offered: list[bytes]) -> bytes:
    """
    Choose the one protocol of a connection (XEP-0368 §2). A client that wants only others is refused with the alert
    C{no_application_protocol} (RFC 7301 §3.2), so that nobody makes a browser speak to the wrong service.
    """
    protocol = cast(Connection, connection).protocol
    if protocol not in offered:
        raise SSL.Error([("SSL routines", "", "no application protocol")])
    return protocol


def _chooseCertificate(connection: SSL.Connection) -> None:
    """Use the certificate for the name that the client has indicated, if the connection has a choice."""
    name: bytes | None = connection.get_servername()
    if isinstance(connection, ConnectionByName) and name is not None:
        tls = connection.hosts.get(name.decode("ascii", "replace").lower())
        if tls is not None:
            connection.set_context(tls.context())


def dnsName(domain: str) -> str:
    """A domain as in DNS: IDNA-encoded, in lower case."""
    try:
        return domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return domain.lower()


class _Credentials:
    """A certificate and its key, as read from their files."""

    def __init__(self, certificatePath: str, keyPath: str) -> None:
        self._certificatePath = certificatePath
        self._chain = _readCertificates(certificatePath)
        self._key = _readKey(keyPath)
        self.certificate = self._chain[0]
        if _publicKey(self.certificate) != self._key.public_key():
            raise TLSConfigError(
                keyPath,
                f"does not belong to the first certificate in {certificatePath}; "
                "put the server's certificate first in that file, and use the key it was issued for",
            )
        self._endPoint = endPointBinding(self.certificate)

    def makeContext(self, method: int = SSL.TLS_SERVER_METHOD) -> SSL.Context:
        """Create a context, with new session ticket keys."""
        context = SSL.Context(method)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(
            SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_SINGLE_ECDH_USE
        )
        # Saves at least 12 KiB for each idle connection.
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_cipher_list(_CIPHERS_12)
        context.set_tls13_ciphersuites(_CIPHERS_13)
        # Clients resume with tickets, so the server need not store sessions.
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_session_id(b"muccore")
        context.set_alpn_select_callback(_chooseProtocol)
        context.set_tlsext_servername_callback(_chooseCertificate)
        context.set_app_data(self._endPoint)
        try:
            context.use_certificate(self.certificate)
            for issuer in self._chain[1:]:
                context.add_extra_chain_cert(issuer)
            context.use_privatekey(self._key)
            context.check_privatekey()
        except SSL.Error as e:
            reasons = "; ".join(reason for *_, reason in e.args[0]) if e.args else "unknown reason"
            problem = f"is rejected by OpenSSL ({reasons}); get another certificate"
            raise TLSConfigError(self._certificatePath, problem) from None
        return context


@implementer(IOpenSSLServerConnectionCreator)
class ServerTLS:
    """
    Creates the server's TLS connections, for STARTTLS and direct TLS.

    @ivar certificatePath: a PEM file of the server's certificate, then those of its issuers.
    @ivar keyPath: a PEM file of its private key.
    """

    def __init__(self, certificatePath: str, keyPath: str, seconds: Callable[[], float] = time.monotonic) -> None:
        """
        @param seconds: the clock for the age of ticket keys.
        @raise TLSConfigError: if a file is unusable.
        """
        self.certificatePath = certificatePath
        self.keyPath = keyPath
        self._seconds = seconds
        self.reload()

    def reload(self) -> None:
        """Read certificate and key again, for new connections; L{TLSConfigError} if unusable, and nothing changes."""
        credentials = _Credentials(self.certificatePath, self.keyPath)
        context = credentials.makeContext()
        self._credentials = credentials
        self._use(context)

    def makeContext(self, method: int) -> SSL.Context:
        """Create a context with the present certificate; C{method} is one of pyOpenSSL's, for a client or a server."""
        return self._credentials.makeContext(method)

    def _use(self, context: SSL.Context) -> None:
        self._context = context
        self._made = self._seconds()

    @property
    def certificate(self) -> x509.Certificate:
        """The server's certificate."""
        return self._credentials.certificate

    def context(self) -> SSL.Context:
        """The context of new connections."""
        if self._seconds() - self._made >= TICKET_LIFETIME:
            self._use(self._credentials.makeContext())
        return self._context

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol | None) -> Connection:
        """See L{IOpenSSLServerConnectionCreator}."""
        return Connection(self.context(), None)

    def channelBindings(self, transport: Any) -> ChannelBindings:
        """Get the channel bindings of an C{ISSLTransport} on L{serverConnectionForTLS}, after the handshake."""
        connection: SSL.Connection = transport.getHandle()
        # From the context: since then the certificate may have been reloaded.
        return ChannelBindings(connection, connection.get_context().get_app_data())


class HasContext(Protocol):
    """What can be chosen by name."""

    def context(self) -> SSL.Context:
        """The context of new connections."""


class ConnectionByName(Connection):
    """A connection whose certificate the client chooses among C{hosts}, by domain as in DNS."""

    hosts: Mapping[str, HasContext]


@implementer(IOpenSSLServerConnectionCreator)
class HTTPTLS:
    """Creates TLS connections for HTTP, which clients announce as such (RFC 7301)."""

    def __init__(self, tls: ServerTLS | TLSByName) -> None:
        """@param tls: creates connections for XMPP."""
        self._tls = tls

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol | None) -> Connection:
        """See L{IOpenSSLServerConnectionCreator}."""
        connection = self._tls.serverConnectionForTLS(tlsProtocol)
        connection.protocol = _HTTP
        return connection


@implementer(IOpenSSLServerConnectionCreator)
class TLSByName:
    """Creates TLS connections whose certificate the client chooses by Server Name Indication (RFC 6066 §3)."""

    def __init__(self, default: ServerTLS, hosts: Mapping[str, ServerTLS]) -> None:
        """@param default: for clients that indicate no name, or an unknown one."""
        self._default = default
        self._hosts = {dnsName(domain): tls for domain, tls in hosts.items()}

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol | None) -> Connection:
        """See L{IOpenSSLServerConnectionCreator}."""
        connection = ConnectionByName(self._default.context(), None)
        connection.hosts = self._hosts
        return connection
