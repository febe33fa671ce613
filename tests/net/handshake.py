# -*- test-case-name: tests.stream -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Certificates of any kind, and TLS handshakes in memory with an OpenSSL client."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from tests import certificates

SHA256 = hashes.SHA256()


def makeCertificate(
    key: Any = None,
    algorithm: hashes.HashAlgorithm | None = SHA256,
    begins: timedelta = timedelta(days=-1),
    ends: timedelta = timedelta(days=1),
    padding: Any = None,
) -> x509.Certificate:
    """Create a self-signed certificate for C{localhost}, valid between two times relative to now."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    key = key or ec.generate_private_key(ec.SECP256R1())
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .sign(key, algorithm, rsa_padding=padding)
    )


def writePair(folder: str, *chain: x509.Certificate, key: Any, passphrase: bytes | None = None) -> tuple[str, str]:
    """
    Write certificates and a key.

    @return: their paths, which depend on the folder only.
    """
    os.makedirs(folder, exist_ok=True)
    paths = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
    with open(paths[0], "wb") as file:
        file.writelines(certificate.public_bytes(Encoding.PEM) for certificate in chain)
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    with open(paths[1], "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    return paths


def goodPair(folder: str) -> tuple[str, str]:
    """
    Write a new ECDSA key and a certificate for it.

    @return: as L{writePair}.
    """
    os.makedirs(folder, exist_ok=True)
    return certificates.makeCertificate(folder)


class Transport:
    """An C{ISSLTransport}, reduced to its TLS connection."""

    def __init__(self, connection: SSL.Connection) -> None:
        self._connection = connection

    def getHandle(self) -> SSL.Connection:
        """The connection."""
        return self._connection


def clientContext(version: int | None = None, ciphers: bytes | None = None) -> SSL.Context:
    """Create a client's context, restricted to a version of TLS if one is given."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    if version is not None:
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
    if ciphers is not None:
        context.set_cipher_list(ciphers)
    return context


def pump(*pair: SSL.Connection) -> None:
    """Transfer the output of two connections to each other, once each way."""
    for sender, receiver in (pair, pair[::-1]):
        with contextlib.suppress(SSL.WantReadError):
            receiver.bio_write(sender.bio_read(1 << 16))


def handshake(server: SSL.Connection, client: SSL.Connection) -> None:
    """
    Perform a handshake in memory.

    @raise SSL.Error: if it fails on either side.
    """
    server.set_accept_state()
    client.set_connect_state()
    waiting = [client, server]
    for _ in range(10):
        for connection in tuple(waiting):
            try:
                connection.do_handshake()
            except SSL.WantReadError:
                pass
            else:
                waiting.remove(connection)
            pump(connection, client if connection is server else server)
        if not waiting:
            return
    raise AssertionError("the handshake does not end")


def connect(
    tls: Any, context: SSL.Context, session: Any = None, name: bytes | None = None
) -> tuple[SSL.Connection, SSL.Connection]:
    """
    Connect a client to the server.

    @param session: a session to resume.
    @param name: the server name to indicate.
    @return: the connections of client and server.
    """
    server, client = tls.serverConnectionForTLS(None), SSL.Connection(context, None)
    if session is not None:
        client.set_session(session)
    if name is not None:
        client.set_tlsext_host_name(name)
    handshake(server, client)
    return client, server


def presented(client: SSL.Connection) -> bytes:
    """The hash of the server's certificate, as received by the client."""
    return client.get_peer_certificate(as_cryptography=True).fingerprint(SHA256)


def reused(connection: SSL.Connection) -> bool:
    """Whether a connection resumed a session."""
    return SSL._lib.SSL_session_reused(connection._ssl) == 1
