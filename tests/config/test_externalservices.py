# -*- test-case-name: tests.config.test_externalservices -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.config.externalservices}."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muccore.config.errors import ConfigError, InvalidValue
from muccore.config.externalservices import ServiceURI
from muccore.server.assembly import ServerComponents
from muccore.services.externalservices import ExternalService
from muccore.testing.server import makeSettings


class ServiceURITests(SynchronousTestCase):
    """URIs of services (RFC 7064, RFC 7065)."""

    def test_valid(self) -> None:
        """Port and transport have defaults for the types that are known."""
        for text, expected in (
            ("stun:stun.example", ("stun", "stun.example", 3478, "udp")),
            ("turns:turn.example", ("turns", "turn.example", 5349, "tcp")),
            ("turn:192.0.2.1:80?transport=tcp", ("turn", "192.0.2.1", 80, "tcp")),
            ("turn:[2001:DB8::0:1]:3478", ("turn", "2001:db8::1", 3478, "udp")),
            ("stuns:[::1]?transport=udp", ("stuns", "::1", 5349, "udp")),
            ("turn:bücher.example", ("turn", "xn--bcher-kva.example", 3478, "udp")),
            ("ftp:ftp.example", ("ftp", "ftp.example", None, None)),
        ):
            self.assertEqual(ServiceURI().parse(text, FilePath(".")), ExternalService(*expected))

    def test_invalid(self) -> None:
        """What is none is refused."""
        for text in (
            "", "turn", "turn:", "turn://turn.example", "turn:turn.example:", "turn:turn.example:0", "turn:a:65536",
            "turn:a?transport=sctp", "turn:user@a", "turn:[1.2.3]", "turn:[::1", "TURN:a", "turn:a b", "turn:a\x00",
        ):  # fmt: skip
            self.assertRaises(InvalidValue, ServiceURI().parse, text, FilePath("."))


class SectionTests(SynchronousTestCase):
    """The section."""

    def test_domains(self) -> None:
        """Users of the domains that are named, or of all, are told; a reload applies that."""

        def settings(domains: str) -> Any:
            section = {"services": "turn:a", "secret": "logen", "credential_lifetime": "1 h", "domains": domains}
            return makeSettings(external_services=section, **{"host example.net": {}})

        components = ServerComponents(settings("example.net"), Clock())
        handlers = [host.handlers.externalServices for host in components.hosts]
        self.assertEqual([len(each.settings.services) for each in handlers], [0, 1])
        self.assertEqual((handlers[1].settings.secret, handlers[1].settings.lifetime), ("logen", 3600))
        self.successResultOf(components.open())
        components.reconfigure(settings(""), {})
        self.assertEqual([len(each.settings.services) for each in handlers], [1, 1])
        problem = str(self.assertRaises(ConfigError, settings, "example.com"))
        self.assertIn("[external_services] domains: found 'example.com'; allowed: localhost, example.net", problem)

    def test_secret(self) -> None:
        """A secret that is invalid is not shown, and neither is one that is valid."""
        problem = self.assertRaises(ConfigError, makeSettings, external_services={"secret": "lo\x01gen"})
        self.assertNotIn("gen", str(problem).replace("test.cfg", ""))
        self.assertNotIn("logen", repr(makeSettings(external_services={"secret": "logen"})))
