# -*- test-case-name: tests.http.test_site -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.http.site}."""

from __future__ import annotations

import tracemalloc

from twisted.internet.error import ConnectionDone
from twisted.logger import LogLevel
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from zope.interface.verify import verifyObject

from muccore.interfaces.http import REQUEST_TIMEOUT, HTTPResource, IHTTPSite
from muccore.log.logger import Logger
from tests.configuration import Logged
from tests.http import DOMAIN, HOST, SiteCase, Transport


class SiteTests(SiteCase):
    """Requests and their limits."""

    def lose(self, transport: Transport) -> None:
        """Lose a connection."""
        transport.protocol.connectionLost(Failure(ConnectionDone()))

    def test_index(self) -> None:
        """C{/} lists the resources in HTML, which loads nothing; there is no other page."""
        self.site.addResource(HTTPResource("/a/b", Resource(), "<b>"))
        transport = self.request("/")
        headers = self.assertStatus(200, transport)
        self.assertEqual(headers["content-type"], "text/html; charset=utf-8")
        self.assertEqual(headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'")
        self.assertEqual(headers["referrer-policy"], "no-referrer")
        self.assertEqual(headers["x-content-type-options"], "nosniff")
        self.assertNotIn("server", headers)
        self.assertIn(b"XMPP server of example.org", transport.value())
        self.assertIn(b"<code>/a/b</code><dd>&lt;b&gt;", transport.value())
        for path in ("/x", "/a", "/a/", "/a/x", "/a/../"):
            self.assertStatus(404, self.request(path))
        self.assertStatus(405, self.request("/", method="POST"))

    def test_hostHeader(self) -> None:
        """There has to be one C{Host} header, except in HTTP/1.0."""
        for version, hosts, status in (
            ("1.1", [], 400), ("1.1", ["a", "b"], 400), ("1.1", ["a", "a"], 400), ("1.1", ["a"], 200),
            ("1.1", [""], 200), ("1.0", [], 200), ("1.0", ["a", "b"], 400),
        ):  # fmt: skip
            transport = self.connect()
            lines = [f"GET / HTTP/{version}", *(f"Host: {host}" for host in hosts), "", ""]
            transport.protocol.dataReceived("\r\n".join(lines).encode())
            self.assertIn(f"HTTP/{version} {status} ".encode(), transport.value())

    def test_flood(self) -> None:
        """What arrives while the connection is being closed, as it does under TLS, is not kept."""
        for headers in (("Connection: close",), ("no colon",), ("Content-Length: 20000",)):
            transport = self.request("/", *headers)
            before, channel = len(transport.value()), transport.protocol
            tracemalloc.start()
            for _ in range(20):
                channel.dataReceived(bytes(50_000))
            kept, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            self.assertLess(kept, 500_000)
            self.assertEqual(len(transport.value()), before)

    def test_headers(self) -> None:
        """The number and size of headers are limited, and invalid requests refused."""
        for headers in (["X: x"] * 101, ["X: " + "x" * 17_000], ["X: " + "x" * 9000] * 2, ["no colon"]):
            transport = self.request("/", *headers)
            self.assertTrue(transport.disconnecting, headers[0][:10])
            self.assertNotIn(b" 200 ", transport.value())
        for junk in (b"x" * 20_000, b"\x16\x03\x01\r\n", b"<stream:stream>\r\n", b"GET\r\n"):
            transport = self.connect()
            transport.protocol.dataReceived(junk)
            self.assertTrue(transport.disconnecting, junk[:10])

    def test_timeout(self) -> None:
        """A request that does not arrive in time, however it trickles in, ends the connection."""
        transport = self.connect()
        for byte in b"GET / HTTP/1.1\r\nX: " + b"x" * int(REQUEST_TIMEOUT):
            self.assertFalse(transport.disconnecting)
            self.clock.advance(1)
            transport.protocol.dataReceived(bytes([byte]))
            if self.clock.seconds() == REQUEST_TIMEOUT:
                break
        self.assertTrue(transport.disconnecting)

    def test_log(self) -> None:
        """The access log is at the level C{debug}, without what follows the path of a resource."""
        logged = Logged(self)
        self.patch(Logger, "threshold", LogLevel.debug)
        self.site.addResource(HTTPResource("/a", Resource()))
        for path, shown, headers, code in (
            ("/a/secret?secret", "/a", (), 404), ("/secret", "-", (), 404),
            ("/a/secret", "/a", ("Content-Length: 99999",), 413),
        ):  # fmt: skip
            self.request(path, *headers)
            *_, line = (line for line in logged.lines(LogLevel.debug) if line.startswith("http: "))
            self.assertRegex(line, rf"\Ahttp: 192\.0\.2\.1 GET {shown} {code}, \d+ bytes, 0\.000 s\Z")

    def test_interface(self) -> None:
        """It provides the interface."""
        verifyObject(IHTTPSite, self.site)

    def test_baseURL(self) -> None:
        """The public URL is the configured one, or that of the domain."""
        for public, expected in (("https://a.example", "https://a.example"), ("", "https://example.org:5281")):
            self.configure(publicURL=public, baseURLs={DOMAIN: "https://example.org:5281"})
            self.assertEqual(self.site.baseURL(DOMAIN), expected)
        self.assertIsNone(self.site.baseURL("example.net"))

    def test_counted(self) -> None:
        """Connections are counted, and refused without an answer."""
        self.admission.most = 2
        one, two = self.connect(), self.connect(direct=False)
        self.assertEqual(self.admission.counted, [HOST, HOST])
        self.assertRaises(AssertionError, self.connect)
        self.lose(one)
        self.assertEqual(self.admission.counted, [HOST])
        self.lose(two)
        self.assertEqual((self.admission.counted, self.site.channels), ([], set()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_tls(self) -> None:
        """TLS begins at once on its listeners; without a certificate there are none."""
        self.assertRaises(AssertionError, self.connect, direct=True)
        self.assertEqual(self.admission.counted, [])
        context = object()
        self.configure(tls=context)
        self.assertIs(self.connect(direct=True).tls, context)

    def test_closeAll(self) -> None:
        """C{closeAll} ends the connections, and waits for their ends."""
        self.successResultOf(self.site.closeAll())
        transport = self.connect()
        done = self.site.closeAll()
        self.assertTrue(transport.disconnected)
        self.assertNoResult(done)
        self.lose(transport)
        self.successResultOf(done)
