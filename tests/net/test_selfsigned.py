# -*- test-case-name: tests.net.test_selfsigned -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.net.selfsigned}."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyasn1.codec.der import decoder
from pyasn1.type.char import UTF8String
from twisted.trial.unittest import SynchronousTestCase

from muccore.net.selfsigned import XMPP_ADDRESS, selfSigned
from muccore.net.tls import ServerTLS


class SelfSignedTests(SynchronousTestCase):
    """L{selfSigned}"""

    def setUp(self) -> None:
        """Choose two paths in a new folder."""
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.certificate = os.path.join(self.folder, "certificate.pem")
        self.key = os.path.join(self.folder, "key.pem")

    def make(self, *domains: str) -> x509.Certificate:
        """Create a certificate and read it."""
        selfSigned(domains, self.certificate, self.key)
        with open(self.certificate, "rb") as file:
            return x509.load_pem_x509_certificate(file.read())

    def xmppAddresses(self, names: x509.SubjectAlternativeName) -> list[str]:
        """The XMPP addresses among the names, decoded by pyasn1."""
        found = []
        for other in names.get_values_for_type(x509.OtherName):
            self.assertEqual(other.type_id, XMPP_ADDRESS)
            text, rest = decoder.decode(other.value, asn1Spec=UTF8String())
            self.assertEqual(rest, b"")
            found.append(str(text))
        return found

    def test_usable(self) -> None:
        """The server can use the files; the key is ECDSA on P-256."""
        certificate = self.make("localhost")
        ServerTLS(self.certificate, self.key)
        self.assertIsInstance(certificate.public_key().curve, ec.SECP256R1)

    def test_names(self) -> None:
        """It has each domain as clients expect it: ASCII host name or IP address, and XMPP address."""
        certificate = self.make("Example.org", "müller.example", "127.0.0.1", "[::1]")
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(names.get_values_for_type(x509.DNSName), ["example.org", "xn--mller-kva.example"])
        self.assertEqual(names.get_values_for_type(x509.IPAddress), [ip_address("127.0.0.1"), ip_address("::1")])
        self.assertEqual(self.xmppAddresses(names), ["example.org", "müller.example", "127.0.0.1", "[::1]"])
        self.assertEqual(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value, "example.org")

    def test_longNames(self) -> None:
        """A domain too long for a common name is only in the subjectAltName, which is critical then."""
        domain = ".".join(["a" * 60] * 4)
        certificate = self.make(domain)
        self.assertEqual(len(certificate.subject), 0)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        self.assertTrue(names.critical)
        self.assertEqual(self.xmppAddresses(names.value), [domain])

    def test_dates(self) -> None:
        """It is valid already, for the longest time that all clients accept."""
        certificate = self.make("localhost")
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        self.assertLess(begins, datetime.now(UTC))
        self.assertEqual(ends - begins, timedelta(days=825))

    def test_usages(self) -> None:
        """It is for a server, not for an authority, and has no KeyUsage: NSS and GnuTLS reject other values."""
        extensions = self.make("localhost").extensions
        self.assertFalse(extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
        self.assertEqual(
            list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value), [ExtendedKeyUsageOID.SERVER_AUTH]
        )
        self.assertRaises(x509.ExtensionNotFound, extensions.get_extension_for_class, x509.KeyUsage)

    def test_fileModes(self) -> None:
        """Only the owner can read the key, with any umask."""
        self.addCleanup(os.umask, os.umask(0))
        self.make("localhost")
        self.assertEqual(stat.S_IMODE(os.stat(self.key).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.certificate).st_mode), 0o644)

    def test_nothingOverwritten(self) -> None:
        """If either file exists, it is not changed, and the other is not created."""
        for there, other in [(self.key, self.certificate), (self.certificate, self.key)]:
            with open(there, "w") as file:
                file.write("precious")
            with self.assertRaises(FileExistsError) as caught:
                self.make("localhost")
            self.assertEqual(caught.exception.filename, there)
            with open(there) as file:
                self.assertEqual(file.read(), "precious")
            self.assertFalse(os.path.exists(other))
            os.unlink(there)

    def test_invalidDomains(self) -> None:
        """An invalid domain raises ValueError before anything is written."""
        for domains in (["no domain"], ["localhost", ""]):
            with self.assertRaises(ValueError):
                self.make(*domains)
        self.assertEqual(os.listdir(self.folder), [])
