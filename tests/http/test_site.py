# -*- test-case-name: tests.http.test_site -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.http.site}."""

from __future__ import annotations

import tracemalloc

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.web.resource import Resource

from muccore.http.site import BODY_SIZE, REQUEST_TIMEOUT
from tests.http import HOST, SiteCase, Transport


class SiteTests(SiteCase):
    """Requests and their limits."""

    def lose(self, transport: Transport) -> None:
        """Lose a connection."""
        transport.protocol.connectionLost(Failure(ConnectionDone()))

    def test_index(self) -> None:
        """C{/} lists the resources in HTML, which loads nothing; there is no other page."""
        self.site.addResource("/a/b", Resource(), "<b>")
        transport = self.request("/")
        headers = self.assertStatus(200, transport)
        self.assertEqual(headers["content-type"], "text/html; charset=utf-8")
        self.assertEqual(headers["content-security-policy"], "default-src 'none'")
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

    def test_oneRequest(self) -> None:
        """A connection is closed after the response; pipelined requests are ignored."""
        transport = self.request("/x", rest=b"GET / HTTP/1.1\r\n\r\n" * 10)
        self.assertEqual(self.assertStatus(404, transport)["connection"], "close")
        self.assertEqual(transport.value().count(b"HTTP/1.1 "), 1)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_flood(self) -> None:
        """What arrives while the connection is being closed, as it does under TLS, is not kept."""
        for headers in ((), ("no colon",), ("Content-Length: 20000",)):
            transport = self.request("/", *headers)
            self.assertTrue(transport.disconnecting)
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

    def test_bodies(self) -> None:
        """Bodies are limited, and must have a size in advance."""
        for header in (f"Content-Length: {BODY_SIZE + 1}", "Transfer-Encoding: chunked"):
            transport = self.request("/", header, method="POST", rest=b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n")
            self.assertStatus(413, transport)
            self.assertNotIn(b" 200 ", transport.value())
            self.assertTrue(transport.disconnecting)
        self.assertStatus(405, self.request("/", "Content-Length: 2", method="POST", rest=b"xx"))

    def test_timeout(self) -> None:
        """A request that does not arrive in time, however it trickles in, ends the connection."""
        transport = self.connect()
        for byte in b"GET / HTTP/1.1\r\nX: " + b"x" * REQUEST_TIMEOUT:
            self.assertFalse(transport.disconnecting)
            self.clock.advance(1)
            transport.protocol.dataReceived(bytes([byte]))
            if self.clock.seconds() == REQUEST_TIMEOUT:
                break
        self.assertTrue(transport.disconnecting)

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
