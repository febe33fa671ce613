# -*- test-case-name: tests.net.test_peertls -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
TLS between servers: both sides show a certificate (XEP-0178), which is checked after the handshake (RFC 6120 §13.7.2).

The handshake accepts any certificate, so that a peer without a good one can still be told why it is refused, or prove
by other means who it is. No session is resumed: the certificate of the peer is always there.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from muccore.net.certificatecheck import isForDomain
from muccore.net.tls import Connection, ConnectionByName, ServerTLS, TLSConfigError, dnsName
from muccore.xmpp.specs import Spec

implements: Final = (
    Spec(6125, "Domain-Based Application Service Identity in TLS", note="Of other servers.", series="RFC"),
)

_ALPN: Final = b"xmpp-server"

_USAGES: Final = frozenset(
    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]
)
"""What a certificate must be for, if it says so: authorities that serve the web issue none for clients any more."""

CHAIN_LIMIT: Final = 10
"""Certificates that a peer may send with its own."""


def _accept(*ignored: object) -> bool:
    """Accept any certificate during the handshake."""
    return True


def _forPeers(context: SSL.Context) -> SSL.Context:
    context.set_verify(SSL.VERIFY_PEER, _accept)
    context.set_options(SSL.OP_NO_TICKET)
    return context


class TrustStore:
    """The certificates of the authorities that servers are trusted by."""

    def __init__(
        self, file: str | None = None, folder: str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:  # fmt: skip
        """
        @param file: certificates in PEM; without it and a folder, there are none.
        @param folder: certificates that are found by the hash of their names.
        @param now: returns the time, aware.
        @raise TLSConfigError: if the file cannot be read.
        """
        self._now = now
        self._store = crypto.X509Store()
        try:
            if file is not None or folder is not None:
                self._store.load_locations(file, folder)
        except crypto.Error:
            readable = file is None or os.access(file, os.R_OK)
            problem = "holds no certificate in PEM" if readable else "cannot be read"
            raise TLSConfigError(str(file), f"{problem}; give the certificates of authorities") from None

    @classmethod
    def ofSystem(cls) -> TrustStore:
        """Those that this machine trusts."""
        paths = ssl.get_default_verify_paths()
        return cls(paths.cafile, paths.capath)

    def problem(self, certificate: crypto.X509, chain: Sequence[crypto.X509]) -> str | None:
        """
        Say why a certificate is not trusted now, in a clause; C{None} if it is.

        @param chain: what may lead from it to an authority.
        """
        self._store.set_time(self._now())
        try:
            crypto.X509StoreContext(self._store, certificate, list(chain[:CHAIN_LIMIT])).verify_certificate()
        except crypto.X509StoreContextError as e:
            return str(e.args[0])
        return _usageProblem(certificate.to_cryptography())


def _usageProblem(certificate: x509.Certificate) -> str | None:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return None
    return None if _USAGES.intersection(usages) else "it is for another purpose than TLS"


def certificateProblem(transport: Any, domain: str, trust: TrustStore) -> str | None:
    """
    Say why the certificate of a peer does not prove that it serves a domain, in a clause; C{None} if it does.

    @param transport: a connection under TLS, after the handshake.
    """
    connection: SSL.Connection = transport.getHandle()
    certificate = connection.get_peer_certificate()
    if certificate is None:
        return "there is no certificate"
    try:
        problem = trust.problem(certificate, connection.get_peer_cert_chain() or ())
        if problem is None and not isForDomain(certificate.to_cryptography(), domain, True):
            problem = "it is for another name"
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        # Signed by an authority or not, its extensions are no valid DER.
        problem = "it is malformed"
    return None if problem is None else f"certificate refused: {problem}"


class _PeerConnection(Connection):
    """A connection that another server has opened."""

    protocol = _ALPN


class _PeerConnectionByName(ConnectionByName):
    """The same, whose certificate is chosen by name."""

    protocol = _ALPN


@implementer(IOpenSSLServerConnectionCreator)
class PeerTLS:
    """The TLS connections of one host with other servers, in both directions."""

    def __init__(self, tls: ServerTLS) -> None:
        """@param tls: has its certificate, of this moment."""
        self._server = _forPeers(tls.makeContext(SSL.TLS_SERVER_METHOD))
        self._client = _forPeers(tls.makeContext(SSL.TLS_CLIENT_METHOD))

    def context(self) -> SSL.Context:
        """The context of connections that others open."""
        return self._server

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol | None) -> _PeerConnection:
        """See L{IOpenSSLServerConnectionCreator}."""
        return _PeerConnection(self._server, None)

    def clientTo(self, domain: str, direct: bool) -> _ClientTLS:
        """
        Create connections to another server.

        @param domain: the domain to indicate (RFC 6066 §3).
        @param direct: whether TLS begins with the first byte: then the protocol is announced (XEP-0368 §2).
        """
        return _ClientTLS(self._client, domain, direct)


@implementer(IOpenSSLClientConnectionCreator)
class _ClientTLS:
    """Creates connections to the server of one domain."""

    def __init__(self, context: SSL.Context, domain: str, direct: bool) -> None:
        self._context = context
        self._name = dnsName(domain)
        self._direct = direct

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol | None) -> SSL.Connection:
        """See L{IOpenSSLClientConnectionCreator}."""
        connection = SSL.Connection(self._context, None)
        if not self._name.startswith("["):
            connection.set_tlsext_host_name(self._name.encode("utf-8"))
        if self._direct:
            connection.set_alpn_protos([_ALPN])
        return connection


@implementer(IOpenSSLServerConnectionCreator)
class PeerTLSByName:
    """Creates connections that others open with TLS from the first byte; they choose the certificate by name."""

    def __init__(self, default: PeerTLS, hosts: Mapping[str, PeerTLS]) -> None:
        """@param default: for those that indicate no name, or an unknown one."""
        self._default = default
        self._hosts = {dnsName(domain): tls for domain, tls in hosts.items()}

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol | None) -> _PeerConnectionByName:
        """See L{IOpenSSLServerConnectionCreator}."""
        connection = _PeerConnectionByName(self._default.context(), None)
        connection.hosts = self._hosts
        return connection
