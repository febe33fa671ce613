# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.config.s2ssection}, and of the types of its values."""

from __future__ import annotations

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muccore.config.errors import ConfigError, InvalidValue
from muccore.config.types import ServerRoute, SocketAddress
from muccore.net.serverdns import Target
from muccore.testing.server import makeSettings

HERE = FilePath(".")


class TypeTests(SynchronousTestCase):
    """Addresses and routes."""

    def test_addresses(self) -> None:
        """An IP address, with a port or without."""
        type = SocketAddress(53)
        for text, expected in (
            ("192.0.2.1", ("192.0.2.1", 53)),
            ("192.0.2.1:5353", ("192.0.2.1", 5353)),
            ("2001:db8::1", ("2001:db8::1", 53)),
            ("[2001:DB8::1]:5353", ("2001:db8::1", 5353)),
            ("[2001:db8::1]", ("2001:db8::1", 53)),
        ):
            self.assertEqual(type.parse(text, HERE), expected)
        for text in ("", "example.org", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:x", "[2001:db8::1", "[::1]x"):
            self.assertRaises(InvalidValue, type.parse, text, HERE)

    def test_routes(self) -> None:
        """A domain, a host with or without a port, and perhaps direct TLS."""
        type = ServerRoute()
        for text, expected in (
            ("Example.NET 192.0.2.1", ("example.net", Target("192.0.2.1", 5269, False))),
            ("example.net xmpp.Example.net:5270 direct", ("example.net", Target("xmpp.example.net", 5270, True))),
            ("example.net [2001:db8::1]:5269", ("example.net", Target("2001:db8::1", 5269, False))),
        ):
            self.assertEqual(type.parse(text, HERE), expected)
        for text in ("", "example.net", "example.net :5269", "example.net a b", "a@b c", "example.net a direct b"):
            self.assertRaises(InvalidValue, type.parse, text, HERE)


class SectionTests(SynchronousTestCase):
    """The section."""

    def test_off(self) -> None:
        """It is off by default."""
        self.assertFalse(makeSettings().s2s.isEnabled)

    def test_certificate(self) -> None:
        """With an endpoint, there has to be a certificate, unless encryption is optional."""
        listen = "tcp:0:interface=127.0.0.1"
        for section in ({"listen": listen}, {"direct_tls_listen": listen, "tls": "optional"}):
            error = self.assertRaises(ConfigError, makeSettings, s2s=section)
            self.assertIn("needed for [s2s]", str(error))
        self.assertTrue(makeSettings(s2s={"listen": listen, "tls": "optional"}).s2s.isEnabled)
