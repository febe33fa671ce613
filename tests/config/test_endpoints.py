# -*- test-case-name: tests.config.test_endpoints -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.config.endpoints}."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import TCP4ServerEndpoint, serverFromString
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muccore.config.endpoints import Endpoint, isEphemeral, isLocal
from muccore.config.errors import InvalidValue

BASE = FilePath("/srv/muccore/etc")
ANY = Endpoint("tcp", "tcp6", "systemd")


class EndpointTests(SynchronousTestCase):
    """L{Endpoint}"""

    def refusal(self, text: str, type: Endpoint = ANY) -> InvalidValue:
        """The error for a text."""
        return self.assertRaises(InvalidValue, type.parse, text, BASE)

    def test_taken(self) -> None:
        """Valid endpoints are kept as they are, with named arguments in any order."""
        for text in (
            "tcp:5222",
            "tcp:5222:127.0.0.1",
            "tcp:interface=127.0.0.1:5222",
            "tcp:port=5222:interface=127.0.0.1:backlog=511",
            r"tcp:5222:interface=\:\:1",
            r"tcp6:5222:interface=\:\:1",
        ):
            self.assertEqual(ANY.parse(text, BASE), text)
            serverFromString(None, text)

    def test_meansTheSameToTwisted(self) -> None:
        """Twisted understands an endpoint as it was checked."""
        endpoint = serverFromString(None, ANY.parse("tcp:interface=127.0.0.1:5222", BASE))
        self.assertIsInstance(endpoint, TCP4ServerEndpoint)
        self.assertEqual((endpoint._port, endpoint._interface), (5222, "127.0.0.1"))

    def test_inherited(self) -> None:
        """Only the syntax of systemd endpoints is checked: other programs read the configuration too."""
        for text in ("systemd:domain=INET:index=0", "systemd:domain=INET6:name=c2s"):
            self.assertEqual(ANY.parse(text, BASE), text)
        for text in ("systemd:index=0", "systemd:domain=UNIX:index=0", "systemd:domain=INET"):
            self.assertIn("systemd needs", self.refusal(text).why)
        self.assertIn("the index 'x' is not", self.refusal("systemd:domain=INET:index=x").why)

    def test_badPort(self) -> None:
        """A port is a number up to 65535."""
        for port in ("x", "-1", "65536", "٣", " 1"):
            why = f"the port {port!r} is not a whole number from 0 to 65535"
            self.assertEqual(self.refusal(f"tcp:{port}").why, why)
        self.assertEqual(self.refusal("tcp:").why, "tcp needs the argument 'port'")
        self.assertEqual(self.refusal("tcp").why, "tcp needs the argument 'port'")

    def test_badArguments(self) -> None:
        """Unknown, surplus and invalid arguments are named."""
        refusal = self.refusal("tcp:5222:interfaces=127.0.0.1")
        self.assertEqual((refusal.why, refusal.hint), ("tcp has no argument 'interfaces'", "did you mean 'interface'?"))
        self.assertIn("'interface' is given twice (write", self.refusal("tcp:5222:interface=::1").why)
        self.assertEqual(self.refusal("tcp:1:a:2:b").why, "too many arguments: 'b'")
        self.assertEqual(self.refusal("tcp:1\\").why, "a backslash at the end escapes nothing")
        self.assertIn("the backlog 'x' is not", self.refusal("tcp:1:backlog=x").why)
        self.assertIn("not an IPv6 address", self.refusal("tcp6:1:interface=127.0.0.1").why)

    def test_tls(self) -> None:
        """Endpoints with TLS are refused with the key to use instead."""
        for text in ("ssl:5223:privateKey=a", "tls:a:tcp:5223"):
            self.assertIn("direct_tls_listen", self.refusal(text).why)

    def test_kinds(self) -> None:
        """Other kinds are refused, with a suggestion if one is similar."""
        refusal = self.refusal("tpc:5222")
        self.assertEqual((refusal.why, refusal.hint), ("no kind 'tpc' here", "did you mean 'tcp'?"))
        self.refusal("5222")
        self.refusal("")
        self.assertEqual(self.refusal("unix:/run/muccore.sock").why, "no kind 'unix' here")
        self.refusal("systemd:domain=INET:index=0", Endpoint("tcp"))

    @given(st.text("tcp6:=\\1interfaceportbacklogmode%/٣", max_size=40))
    def test_twistedAgrees(self, rest: str) -> None:
        """Every text is refused or valid for Twisted."""
        for text in (f"tcp:{rest}", f"tcp6:{rest}", rest):
            try:
                endpoint = ANY.parse(text, BASE)
            except InvalidValue:
                continue
            serverFromString(None, endpoint)
            isLocal(endpoint)


class ReachTests(SynchronousTestCase):
    """L{isLocal} and L{isEphemeral}"""

    def test_local(self) -> None:
        """Loopback addresses are local, in every notation."""
        for text in (
            "tcp:5222:interface=127.0.0.1",
            "tcp:5222:127.0.0.1",
            "tcp:5222:interface=127.8.9.1",
            "tcp:5222:interface=localhost",
            r"tcp:5222:interface=\:\:1",
            r"tcp6:5222:interface=\:\:1",
        ):
            self.assertTrue(isLocal(text), text)

    def test_exposed(self) -> None:
        """Everything else is not: no interface, other addresses, inherited sockets."""
        for text in (
            "tcp:5222",
            "tcp:5222:interface=",
            "tcp:5222:interface=0.0.0.0",
            "tcp:5222:interface=192.0.2.1",
            "tcp:5222:interface=localhost.example.org",
            r"tcp6:5222:interface=\:\:",
            "systemd:domain=INET:index=0",
        ):
            self.assertFalse(isLocal(text), text)

    def test_ephemeral(self) -> None:
        """Port 0 is ephemeral."""
        self.assertTrue(isEphemeral("tcp:0"))
        self.assertTrue(isEphemeral("tcp:interface=127.0.0.1:port=0"))
        self.assertFalse(isEphemeral("tcp:5222"))
        self.assertFalse(isEphemeral("systemd:domain=INET:index=0"))
