# -*- test-case-name: tests.net.test_certificatecheck -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Problems of a loaded certificate: its validity period, its names (RFC 6120 §13.7.1.2), and who can read its key."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from muccore.net.selfsigned import XMPP_ADDRESS
from muccore.net.tls import dnsName

WARNING_PERIOD: Final = timedelta(days=14)
"""How long before its expiry a certificate is warned of."""

_SRV_NAME: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.7")
_SRV_SERVICES: Final = {False: ("_xmpp-client.",), True: ("_xmpp-server.", "_xmpps-server.")}
"""The services in SRVNames that count: for clients and, if the key is true, for servers."""


def _der(value: bytes) -> str:
    """Decode a DER string of less than 128 bytes; C{""} for anything else."""
    return value[2:].decode("utf-8", "replace") if len(value) > 1 and value[1] == len(value) - 2 else ""


def _names(certificate: x509.Certificate, ofServer: bool = False) -> Iterator[tuple[str, bool]]:
    """
    The DNS names, XmppAddrs and SRVNames of a certificate, and whether each may have a wildcard. The common name is
    ignored today.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for name in names:
        if isinstance(name, x509.DNSName):
            yield name.value, True
        elif isinstance(name, x509.OtherName) and name.type_id == XMPP_ADDRESS:
            yield _der(name.value), False
        elif isinstance(name, x509.OtherName) and name.type_id == _SRV_NAME:
            value = _der(name.value)
            for service in _SRV_SERVICES[ofServer]:
                if value.startswith(service):
                    yield value.removeprefix(service), False


def isForDomain(certificate: x509.Certificate, domain: str, ofServer: bool = False) -> bool:
    """
    Whether a certificate is for a domain (RFC 6120 §13.7.1.2, RFC 6125 §6.4).

    @param ofServer: whether other servers ask, and not clients: they look for other SRVNames.
    """
    wanted = dnsName(domain)
    # A wildcard stands for exactly one label, the leftmost, of a DNS name.
    wildcard = "*." + wanted.partition(".")[2]
    return any(
        dnsName(name) == wanted or (mayBeWild and dnsName(name) == wildcard)
        for name, mayBeWild in _names(certificate, ofServer)
        if name
    )


def findProblems(certificate: x509.Certificate, domain: str, now: datetime) -> list[str]:
    """
    Find what makes clients reject a certificate now or soon.

    @param domain: the server's domain.
    @param now: an aware datetime.
    @return: the problems with their remedies, one clause each.
    """
    found = []
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > ends:
        found.append(f"the certificate expired on {ends:%Y-%m-%d}; clients reject it: renew it and reload")
    elif now < begins:
        found.append(f"the certificate is not valid before {begins:%Y-%m-%d %H:%M} UTC; check this machine's clock")
    elif ends - now < WARNING_PERIOD:
        found.append(f"the certificate expires on {ends:%Y-%m-%d}, in {(ends - now).days} days; renew it and reload")
    if not isForDomain(certificate, domain):
        names = ", ".join(dict.fromkeys(name for name, _ in _names(certificate) if name)) or "no name"
        found.append(f"the certificate is for {names}, not for {domain}; clients reject it: get one for {domain}")
    return found


def isExposed(path: str) -> bool:
    """Whether every user of this machine can read a file, as far as its own mode says."""
    try:
        return bool(os.stat(path).st_mode & stat.S_IROTH)
    except OSError:
        return False
