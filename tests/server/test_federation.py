# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.server.federation} and L{muccore.server.peerpolicy}."""

from __future__ import annotations

import os
import re
from configparser import ConfigParser
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.config.errors import ConfigError
from muccore.net.serverdns import Target
from muccore.server import preflight
from muccore.server.assembly import ServerComponents
from muccore.server.peerpolicy import makePolicy
from muccore.testing.server import makeSettings
from tests.federation import Authority, sections
from tests.routing.helpers import FakeStream

DOCUMENT = os.path.join(os.path.dirname(__file__), os.pardir, os.pardir, "docs", "federation.md")


class ServerFederationTests(SynchronousTestCase):
    """A server that speaks with others."""

    def setUp(self) -> None:
        """Make an authority."""
        self.authority = Authority(self.mktemp())
        self.configured = sections("one.test", self.authority, 0, {"two.test": 7})

    def assemble(self, **changes: Any) -> ServerComponents:
        """Assemble it."""
        self.configured["s2s"].update(changes)
        return ServerComponents(makeSettings(**self.configured), Clock())

    def test_off(self) -> None:
        """Without an endpoint, other domains cannot be reached."""
        components = ServerComponents(makeSettings(), Clock())
        self.assertIsNot(components.router.elsewhere, components.federation.federation)

    def test_settings(self) -> None:
        """Certificates, routes, limits and policy are those of the configuration."""
        components = self.assemble(
            dialback="yes", certificate_domains="bank.test", blocked_domains="bad.test", rate="5 KiB", connections="7",
            connect_timeout="9 s", queue_bytes="1 GiB",
        )  # fmt: skip
        federation = components.federation.federation
        self.assertIs(components.router.elsewhere, federation)
        self.assertEqual(sorted(federation.certificates), ["one.test", "rooms.one.test"])
        self.assertEqual(federation.dialer.routes, {"two.test": [Target("127.0.0.1", 7, False)]})
        self.assertEqual((federation.dialer.timeout, federation.settings.rate), (9.0, 5 * 1024))
        self.assertEqual(federation.settings.queueBytes, 2 * 1024 * 1024)
        policy = federation.policy
        self.assertEqual(
            [policy.allowsDialback("x.test"), policy.allowsDialback("bank.test"), policy.isAllowed("bad.test")],
            [True, False, False],
        )
        for factory in (components.federation.incoming, components.federation.outgoing):
            self.assertEqual((factory.settings.connections, factory.settings.loginTimeout), (7, 9.0))
        self.assertIsNotNone(components.federation.incoming.features.directTLS)

    def test_reconfigured(self) -> None:
        """A new configuration applies at once; federation can be switched on and off."""
        components = self.assemble()
        self.successResultOf(components.open())
        unreachable = ServerComponents(makeSettings(), Clock()).router.elsewhere
        self.configured["s2s"].update(blocked_domains="bad.test", routes="")
        settings = makeSettings(**self.configured)
        components.reconfigure(settings, preflight.loadCertificates(settings))
        federation = components.federation.federation
        self.assertFalse(federation.policy.isAllowed("bad.test"))
        self.assertEqual(federation.dialer.routes, {})
        streams = [FakeStream(), FakeStream()]
        given: Any = streams
        federation.link("one.test", "two.test").streamOpened(given[0], None, False)
        federation.linkActive(federation.link("one.test", "two.test"))
        components.federation.incoming.streams.add(given[1])
        self.configured["s2s"]["listen"] = ""
        settings = makeSettings(**self.configured)
        components.reconfigure(settings, {})
        self.assertIs(type(components.router.elsewhere), type(unreachable))
        for stream in streams:
            self.assertEqual([error and error.condition for error in stream.closed], ["policy-violation"])

    def test_document(self) -> None:
        """The examples of docs/federation.md are valid."""
        with open(DOCUMENT, encoding="utf-8") as file:
            examples = re.findall(r"^```ini\n(.*?)^```", file.read(), re.MULTILINE | re.DOTALL)
        self.assertEqual(len(examples), 2)
        for example in examples:
            given = ConfigParser(interpolation=None)
            given.read_string(example)
            section = {key: value.replace("\n", "\n  ") for key, value in given["s2s"].items()}
            settings = makeSettings(**{**self.configured, "s2s": section})
            self.assertTrue(settings.s2s.isEnabled)
        self.assertEqual(sorted(domain for domain, _ in settings.s2s.routes), [
            "branch.example", "lab.example", "rooms.branch.example",
        ])  # fmt: skip

    def test_trust(self) -> None:
        """Certificates of authorities that cannot be read are a problem of the configuration."""
        self.configured["s2s"]["trusted_certificates"] = self.mktemp()
        settings = makeSettings(**self.configured)
        error = self.assertRaises(ConfigError, makePolicy, settings)
        self.assertIn("[s2s] trusted_certificates", str(error))
        self.assertRaises(ConfigError, preflight.check, settings, Clock())
