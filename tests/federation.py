# Copyright (c) The muccore authors. See LICENSE for details.
"""Servers that speak with each other: certificates of an authority for tests, and their configuration."""

from __future__ import annotations

import datetime
import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import reactor
from twisted.names import dns
from twisted.names.authority import FileAuthority
from twisted.names.server import DNSServerFactory
from twisted.trial.unittest import TestCase

DAY = datetime.timedelta(days=1)


class Authority:
    """
    An authority that signs certificates.

    @ivar path: its certificate, in PEM.
    """

    def __init__(self, folder: str, name: str = "authority") -> None:
        os.makedirs(folder, exist_ok=True)
        self.folder = os.path.abspath(folder)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self._name, self._key, [x509.BasicConstraints(ca=True, path_length=None)])
        self.path = os.path.join(self.folder, f"{name}.pem")
        Path(self.path).write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extensions: Sequence[x509.ExtensionType],
        days: tuple[int, int] = (-1, 30),
    ) -> x509.Certificate:  # fmt: skip
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + days[0] * DAY)
            .not_valid_after(now + days[1] * DAY)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self._key, hashes.SHA256())

    def issue(
        self, *names: str | x509.GeneralName, days: tuple[int, int] = (-1, 30),
        extensions: Sequence[x509.ExtensionType] = (),
    ) -> tuple[str, str]:  # fmt: skip
        """
        Write a certificate and its key, in PEM; return their paths.

        @param names: DNS names, or others.
        @param days: from and to which day it is valid.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        alternative = [x509.DNSName(each) if isinstance(each, str) else each for each in names]
        subject = x509.SubjectAlternativeName(alternative)
        basic = x509.BasicConstraints(ca=False, path_length=None)
        certificate = self._sign(x509.Name([]), key, [subject, basic, *extensions], days)
        stem = os.path.join(self.folder, x509.random_serial_number().to_bytes(20, "big").hex())
        paths = f"{stem}.pem", f"{stem}.key"
        Path(paths[0]).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        Path(paths[1]).touch(mode=0o600)
        Path(paths[1]).write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths


class _Zones(FileAuthority):
    """Zones in memory."""

    def __init__(self, domain: str, records: dict[bytes, list[Any]]) -> None:
        self._domain = domain.encode()
        super().__init__("")
        self.records = records

    def setupConfigNamespace(self) -> None:
        """There is no file."""

    def loadFile(self, filename: str) -> None:
        """There is no file."""
        self.soa = (self._domain, dns.Record_SOA(self._domain, b"x"))


def startNameServer(test: TestCase, domain: str, records: dict[bytes, list[Any]]) -> int:
    """
    Start a name server on loopback, until the end of the test; return its port.

    @param domain: what is below it that is not in the records does not exist.
    @param records: by name.
    """
    factory = DNSServerFactory(authorities=[_Zones(domain, records)])
    factory.noisy = False
    # By UDP only: the answers are short.
    listening: Any = reactor
    port = listening.listenUDP(0, dns.DNSDatagramProtocol(factory), interface="127.0.0.1")
    test.addCleanup(port.stopListening)
    number: int = port.getHost().port
    return number


def freePorts(number: int) -> list[int]:
    """Ports of the loopback address on which nobody listens now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def sections(
    domain: str, authority: Authority, port: int, routes: dict[str, int], certificate: tuple[str, str] | None = None,
    **changes: Any,
) -> dict[str, dict[str, str]]:  # fmt: skip
    """
    The configuration of a server that speaks with others on loopback.

    @param port: where it listens for them.
    @param routes: the ports of the others, by domain.
    @param certificate: its certificate and key; C{None}: one for its domain and that of its rooms.
    @param changes: other values in C{[s2s]}.
    """
    rooms = f"rooms.{domain}"
    path, key = certificate or authority.issue(domain, rooms)
    return {
        "server": {"domain": domain},
        "muc": {"domain": rooms},
        "tls": {"certificate": path, "private_key": key},
        "s2s": {
            "listen": f"tcp:{port}:interface=127.0.0.1",
            "trusted_certificates": authority.path,
            "routes": "".join(f"\n  {name} 127.0.0.1:{at}" for name, at in routes.items()),
            **changes,
        },
    }
