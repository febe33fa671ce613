# -*- test-case-name: tests.net.test_selfsigned -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""A self-signed certificate for a new server: for trying it out, not trusted by clients."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from muccore.xmpp import jid

VALIDITY: Final = timedelta(days=825)
"""Validity period: the longest that Apple's systems accept, even of a certificate trusted by hand."""

XMPP_ADDRESS: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.5")
"""C{id-on-xmppAddr} (RFC 6120 §13.7.1.4)."""

_COMMON_NAME_LIMIT: Final = 64


def _utf8String(text: str) -> bytes:
    """Encode a C{UTF8String} in DER."""
    value = text.encode("utf-8")
    length = len(value)
    if length < 0x80:
        return bytes([0x0C, length]) + value
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([0x0C, 0x80 | len(octets)]) + octets + value


def _alternativeNames(domain: str) -> list[x509.GeneralName]:
    """The names by which clients check that a certificate is for a domain."""
    names: list[x509.GeneralName] = []
    try:
        names.append(x509.IPAddress(ipaddress.ip_address(domain.strip("[]"))))
    except ValueError:
        names.append(x509.DNSName(domain.encode("idna").decode("ascii")))
    names.append(x509.OtherName(XMPP_ADDRESS, _utf8String(domain)))
    return names


def selfSigned(domainNames: Sequence[str], certPath: str, keyPath: str) -> None:
    """
    Write a new ECDSA key, readable by its owner only, and a certificate for it.

    @param domainNames: the domains it is for, at least one.
    @raise FileExistsError: if either file exists; nothing is overwritten.
    @raise OSError: if a file cannot be written.
    @raise ValueError: if a domain is invalid.
    """
    domains = [jid.prepareDomain(domain) for domain in domainNames]
    key = ec.generate_private_key(ec.SECP256R1())
    common = [x509.NameAttribute(NameOID.COMMON_NAME, domains[0])] if len(domains[0]) <= _COMMON_NAME_LIMIT else []
    name = x509.Name(common)
    # One day ago, for clients whose clock is slow.
    begins = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + VALIDITY)
        .add_extension(
            x509.SubjectAlternativeName([each for domain in domains for each in _alternativeNames(domain)]),
            critical=not common,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        # No KeyUsage: as it is its own issuer, NSS and GnuTLS would require keyCertSign (RFC 5280 §4.2.1.3), which a
        # certificate with CA:FALSE must not have (§4.2.1.9).
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = [
        (keyPath, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600),
        (certPath, certificate.public_bytes(Encoding.PEM), 0o644),
    ]
    written: list[str] = []
    try:
        for path, data, mode in files:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                written.append(path)
                file.write(data)
    except OSError:
        # One file alone is useless and would make the next attempt fail.
        for path in written:
            os.unlink(path)
        raise
