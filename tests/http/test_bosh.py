# -*- test-case-name: tests.http.test_bosh -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.http.bosh} and L{muccore.http.origins}."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.error import ConnectionDone
from twisted.logger import LogLevel
from twisted.python.failure import Failure

from muccore.http.bosh import PATH, BOSHResource, TLSInfo
from muccore.interfaces.http import HTTPResource, RequestLimits
from muccore.log import eventlog
from muccore.log.eventlog import RateLimit
from muccore.log.logger import setThreshold
from muccore.net.limits import Networks
from tests.configuration import Logged
from tests.http import HOST, SiteCase, Transport

PROXY: Final = "192.0.2.99"
BODY: Final = b"<body/>"
CONTENT: Final = "text/xml; charset=utf-8"


class Sessions:
    """
    Sessions that record requests.

    @ivar closes: whether the connections of requests are to be closed.
    """

    bodySize = 50_000
    closes = False

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.responders: list[Any] = []
        self.lost: list[Any] = []

    def receive(self, data: bytes, responder: Any) -> bool:
        """See L{ISessions<muccore.http.bosh.ISessions>}."""
        self.received.append(data)
        self.responders.append(responder)
        responder.lostObserver = self.lost.append
        return not self.closes


class BulkTransport(Transport):
    """A transport that takes bulk."""

    bulk = 0

    def writeBulk(self, pieces: Any, size: int) -> None:
        """See L{BoundedConnection<muccore.net.connection.BoundedConnection>}."""
        self.bulk += size
        self.write(b"".join(pieces))

    def getHandle(self) -> TLSInfo:
        """Something like a TLS connection."""
        return TLSInfo("TLSv1.3", "X")


class BOSHTests(SiteCase):
    """Requests and responses."""

    transportClass = BulkTransport

    def setUp(self) -> None:
        """Add the resource."""
        super().setUp()
        self.logged = Logged(self)
        setThreshold("info")
        self.patch(eventlog, "limit", RateLimit(self.clock.seconds))
        self.sessions = Sessions()
        limits = RequestLimits(1 << 30)
        self.site.addResource(HTTPResource(PATH, BOSHResource(self.site, self.sessions), "", limits))

    def post(self, *headers: str, body: bytes = BODY, **client: Any) -> Transport:
        """Send a request."""
        return self.request(PATH, f"Content-Length: {len(body)}", *headers, method="POST", rest=body, **client)

    def test_answered(self) -> None:
        """A request is answered when the session says so, by a connection that stays."""
        transport = self.post()
        self.assertEqual((self.sessions.received, transport.value()), ([BODY], b""))
        [responder] = self.sessions.responders
        self.assertEqual((responder.address, responder.secure, responder.tls), (HOST, False, None))
        responder.respond(b"<body xmlns='x'/>", CONTENT)
        headers = self.assertStatus(200, transport)
        self.assertEqual((headers["content-type"], headers["content-length"]), (CONTENT, "17"))
        self.assertEqual(headers["cache-control"], "no-store")
        self.assertNotIn("access-control-allow-origin", headers)
        # What others write is no page of ours.
        self.assertEqual(headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'; sandbox")
        self.assertEqual(headers["x-content-type-options"], "nosniff")
        self.assertTrue(transport.value().endswith(b"\r\n\r\n<body xmlns='x'/>"))
        self.assertFalse(transport.disconnecting)
        # Once.
        responder.respond(BODY, CONTENT)
        self.assertTrue(transport.value().endswith(b"\r\n\r\n<body xmlns='x'/>"))
        self.assertIsNone(responder.lostObserver)

    def test_content(self) -> None:
        """The session decides on content type and status code."""
        transport = self.post()
        self.sessions.responders[0].respond(BODY, "text/html", 404)
        self.assertEqual(self.assertStatus(404, transport)["content-type"], "text/html")

    def test_large(self) -> None:
        """A large response does not count for the limit of its connection."""
        transport = self.post()
        self.sessions.responders[0].respond(b"x" * 2_000_000, CONTENT)
        self.assertEqual(self.assertStatus(200, transport)["content-length"], "2000000")
        assert isinstance(transport, BulkTransport)
        self.assertEqual((transport.bulk, len(transport.value().partition(b"\r\n\r\n")[2])), (2_000_000, 2_000_000))

    def test_lost(self) -> None:
        """The session is told when the connection is lost, and only then."""
        transport = self.post()
        [responder] = self.sessions.responders
        transport.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.sessions.lost, [responder])
        responder.respond(BODY, CONTENT)
        transport = self.post()
        self.sessions.responders[1].respond(BODY, CONTENT)
        transport.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.sessions.lost, [responder])

    def test_closed(self) -> None:
        """The session may have the connection closed without a response."""
        self.sessions.closes = True
        transport = self.post()
        self.assertEqual((transport.value(), transport.disconnecting), (b"", True))

    def test_sizes(self) -> None:
        """Bodies are limited, and must have a size; encodings are not supported."""
        self.post(body=b"x" * 50_000)
        self.assertEqual(len(self.sessions.received[0]), 50_000)
        self.assertStatus(413, self.post(body=b"x" * 50_001))
        self.assertStatus(415, self.post("Content-Encoding: gzip"))
        self.assertStatus(411, self.request(PATH, "Transfer-Encoding: chunked", method="POST"))
        self.post(body=b"")
        self.assertEqual(self.sessions.received[1:], [b""])

    def test_slowBody(self) -> None:
        """A body that trickles in ends with the time for a request, and no session sees it."""
        transport = self.request(PATH, "Content-Length: 100", method="POST")
        for _ in range(31):
            transport.protocol.dataReceived(b"x")
            self.clock.advance(1)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(self.sessions.received, [])

    def test_origins(self) -> None:
        """Pages of allowed origins can read the response; those of others cannot send a request."""
        self.configure(allowedOrigins=frozenset(["https://chat.example.org"]))
        self.post("Origin: https://Chat.example.org")
        transport = self.post("Origin: https://chat.example.org")
        self.sessions.responders[1].respond(BODY, CONTENT)
        headers = self.assertStatus(200, transport)
        self.assertEqual(headers["access-control-allow-origin"], "https://chat.example.org")
        self.assertEqual(headers["vary"], "Origin")
        for origin in ("https://evil.example", "null", "https://chat.example.org, https://evil.example"):
            transport = self.post(f"Origin: {origin}")
            self.assertNotIn("access-control-allow-origin", self.assertStatus(403, transport))
        self.assertEqual(len(self.sessions.received), 2)
        self.assertIn(f"bosh-refused from {HOST}: its origin is not allowed, origin https://evil.example",
                      self.logged.lines(LogLevel.info))  # fmt: skip
        self.configure(allowedOrigins=frozenset(["*"]))
        transport = self.post("Origin: https://evil.example")
        self.sessions.responders[2].respond(BODY, CONTENT)
        self.assertEqual(self.assertStatus(200, transport)["access-control-allow-origin"], "https://evil.example")

    def test_preflight(self) -> None:
        """Browsers learn what pages of allowed origins may send."""
        self.configure(allowedOrigins=frozenset(["https://chat.example.org"]))
        transport = self.request(PATH, "Origin: https://chat.example.org", method="OPTIONS")
        headers = self.assertStatus(204, transport)
        self.assertEqual(
            (headers["access-control-allow-origin"], headers["access-control-allow-methods"],
             headers["access-control-allow-headers"], headers["access-control-max-age"]),
            ("https://chat.example.org", "POST", "Content-Type", "7200"),
        )  # fmt: skip
        transport = self.request(PATH, "Origin: https://evil.example", method="OPTIONS")
        self.assertNotIn("access-control-allow-origin", self.assertStatus(403, transport))

    def test_page(self) -> None:
        """People see a page that tells what this is."""
        transport = self.request(PATH)
        self.assertEqual(self.assertStatus(200, transport)["content-type"], "text/html; charset=utf-8")
        self.assertIn(b"XMPP over BOSH", transport.value())
        self.assertStatus(501, self.request(PATH, method="PUT"))
        for path in ("/x", "/x/"):
            self.assertStatus(404, self.request(PATH + path, method="POST"))
        self.request(PATH + "/", "Content-Length: 7", method="POST", rest=BODY)
        self.assertEqual(self.sessions.received, [BODY])

    def test_addresses(self) -> None:
        """Trusted proxies tell the address of the client, and whether it uses TLS; others are not believed."""
        forwarded = ("X-Forwarded-For: 198.51.100.5", "X-Forwarded-Proto: https")
        self.configure(trustedProxies=Networks([PROXY]), tls=object())
        for host, headers, address, secure in (
            (PROXY, forwarded, "198.51.100.5", True), (HOST, forwarded, HOST, False), (PROXY, (), PROXY, False),
        ):  # fmt: skip
            self.post(*headers, host=host)
            responder = self.sessions.responders[-1]
            self.assertEqual((responder.address, responder.secure, responder.tls), (address, secure, None))
        self.post(direct=True)
        responder = self.sessions.responders[-1]
        self.assertEqual((responder.secure, responder.tls), (True, TLSInfo("TLSv1.3", "X")))
        tls = responder.tls
        assert tls is not None
        self.assertEqual((tls.get_protocol_version_name(), tls.get_cipher_name()), ("TLSv1.3", "X"))

    def test_secureURI(self) -> None:
        """A client that should use TLS is told where."""
        for settings, uri in (
            ({}, None), ({"plain": True}, None), ({"tlsPort": 5281}, "https://chat.example.org:5281/http-bind"),
            ({"publicURL": "https://example.org"}, "https://example.org/http-bind"),
        ):  # fmt: skip
            self.configure(**settings)
            self.post()
            self.assertEqual(self.sessions.responders[-1].secureURI, uri)
