# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.net.certificatecheck}."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from muccore.net.certificatecheck import findProblems, isForDomain
from muccore.net.selfsigned import selfSigned
from tests.certificates import makeCertificate

DAY = timedelta(days=1)


class CertificateCheckTests(SynchronousTestCase):
    """Certificates valid from yesterday for 31 days."""

    def certificate(self, *names: str) -> x509.Certificate:
        """Create a certificate for these names."""
        folder = self.mktemp()
        os.makedirs(folder)
        with open(makeCertificate(folder, names)[0], "rb") as file:
            return x509.load_pem_x509_certificate(file.read())

    def test_dates(self) -> None:
        """An expired, not yet valid or soon expiring certificate is reported with the date."""
        certificate = self.certificate("example.org")
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        for now, expected in (
            (ends - 14 * DAY, []),
            (ends - 13.5 * DAY, [f"expires on {ends:%Y-%m-%d}, in 13 days"]),
            (ends + DAY, [f"expired on {ends:%Y-%m-%d}"]),
            (begins - DAY, [f"not valid before {begins:%Y-%m-%d %H:%M} UTC"]),
        ):
            found = findProblems(certificate, "example.org", now)
            self.assertEqual(len(found), len(expected), found)
            for problem, words in zip(found, expected, strict=True):
                self.assertIn(words, problem)

    def test_names(self) -> None:
        """The domain must be among the DNS names; a wildcard matches one label (RFC 6125 §6.4.3)."""
        for names, domain, accepted in (
            (["example.org"], "example.org", True),
            (["EXAMPLE.org"], "example.org", True),
            (["other.example", "example.org"], "example.org", True),
            (["*.example.org"], "chat.example.org", True),
            (["*.example.org"], "a.chat.example.org", False),
            (["*.example.org"], "example.org", False),
            (["chat.example.org"], "example.org", False),
            (["xn--bcher-kva.example"], "bücher.example", True),
            (["192.0.2.1"], "example.org", False),
        ):
            self.assertEqual(isForDomain(self.certificate(*names), domain), accepted, (names, domain))

    def test_wrongName(self) -> None:
        """A certificate for other names is reported with these and the domain."""
        now = datetime.now(UTC)
        [problem] = findProblems(self.certificate("a.example", "b.example"), "example.org", now)
        self.assertIn("is for a.example, b.example, not for example.org", problem)
        [problem] = findProblems(self.certificate("192.0.2.1"), "example.org", now)
        self.assertIn("is for no name, not for example.org", problem)

    def test_selfSigned(self) -> None:
        """L{selfSigned} writes a certificate for all its domains."""
        path = self.mktemp()
        selfSigned(["bücher.example", "rooms.example"], path, f"{path}.key")
        with open(path, "rb") as file:
            certificate = x509.load_pem_x509_certificate(file.read())
        self.assertEqual(findProblems(certificate, "bücher.example", datetime.now(UTC)), [])
        self.assertTrue(isForDomain(certificate, "rooms.example"))
