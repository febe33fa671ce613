# -*- test-case-name: tests.http.test_websocket -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.http.websocket}."""

from __future__ import annotations

import gc
import weakref
from typing import Any, Final

from twisted.internet.error import ConnectionDone
from twisted.logger import LogLevel
from twisted.python.failure import Failure

from muccore.http.channel import SiteChannel
from muccore.http.websocket import PATH, WebSocketResource, acceptKey
from muccore.interfaces.http import HTTPResource
from muccore.log import eventlog
from muccore.log.eventlog import RateLimit
from muccore.log.logger import setThreshold
from muccore.net.limits import Networks
from tests.configuration import Logged
from tests.http import HOST, Recorder, SiteCase, Streams, Transport

PROXY: Final = "192.0.2.99"

HANDSHAKE: Final = {
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "xmpp",
}


class HandshakeTests(SiteCase):
    """RFC 6455 §4.2 and RFC 7395 §3.1."""

    def setUp(self) -> None:
        """Add the resource."""
        super().setUp()
        self.logged = Logged(self)
        setThreshold("info")
        self.patch(eventlog, "limit", RateLimit(self.clock.seconds))
        self.streams = Streams()
        self.site.addResource(HTTPResource(PATH, WebSocketResource(self.site, self.streams)))

    def shake(self, changes: dict[str, str | None] | None = None, **client: Any) -> Transport:
        """Do a handshake; C{None} omits a header."""
        headers = {**HANDSHAKE, **(changes or {})}
        lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
        return self.request(PATH, *lines, **client)

    def stream(self, transport: Transport) -> Recorder:
        """The stream of a connection that has left HTTP."""
        self.assertStatus(101, transport)
        self.assertIsInstance(transport.protocol, Recorder)
        recorder: Recorder = transport.protocol
        return recorder

    def test_accepted(self) -> None:
        """The response has the key of RFC 6455 §1.3 and the subprotocol; the connection belongs to the stream then."""
        transport = self.shake({"Sec-WebSocket-Extensions": "permessage-deflate"}, rest=b"\x81\x80abcd")
        headers = self.assertStatus(101, transport)
        self.assertEqual(headers, {
            "upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "sec-websocket-protocol": "xmpp",
        })  # fmt: skip
        stream = self.stream(transport)
        self.assertEqual(stream.received, b"\x81\x80abcd")
        self.assertEqual((stream.host, stream.secure), (HOST, False))
        self.assertEqual((self.admission.counted, self.site.channels), ([HOST], set()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNone(transport.producer)

    def test_freed(self) -> None:
        """The objects of HTTP are freed after the handshake without the garbage collector."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        made: list[weakref.ref[SiteChannel]] = []
        real = SiteChannel.connectionMade
        self.patch(SiteChannel, "connectionMade", lambda channel: (made.append(weakref.ref(channel)), real(channel)))
        transport = self.shake()
        self.stream(transport)
        self.assertEqual([channel() for channel in made], [None])

    def test_names(self) -> None:
        """Names are compared without case, lists may have several elements."""
        for changes in (
            {"Upgrade": "WebSocket, h2c", "Connection": "upgrade"},
            {"Sec-WebSocket-Protocol": "chat, xmpp"},
            {"Sec-WebSocket-Protocol": "chat\r\nSec-WebSocket-Protocol: xmpp"},
        ):
            self.stream(self.shake(changes))

    def test_refused(self) -> None:
        """What is no handshake for XMPP is refused, with the reason."""
        for changes, status in (
            ({"Upgrade": None}, 426), ({"Upgrade": "h2c"}, 426), ({"Connection": None}, 426),
            ({"Connection": "close"}, 426), ({"Sec-WebSocket-Version": None}, 426),
            ({"Sec-WebSocket-Version": "8"}, 426), ({"Sec-WebSocket-Version": "13, 8"}, 426),
            ({"Sec-WebSocket-Protocol": None}, 400), ({"Sec-WebSocket-Protocol": "chat, XMPP"}, 400),
            ({"Sec-WebSocket-Key": None}, 400), ({"Sec-WebSocket-Key": "c2hvcnQ="}, 400),
            ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ"}, 400), ({"Sec-WebSocket-Key": "\xe9"}, 400),
        ):  # fmt: skip
            transport = self.shake(changes)
            headers = self.assertStatus(status, transport)
            if status == 426:
                self.assertIn(b" 426 Upgrade Required\r\n", transport.value())
                self.assertEqual((headers["upgrade"], headers["sec-websocket-version"]), ("websocket", "13"))
            self.assertIn(transport.protocol, self.site.channels)
        self.assertStatus(426, self.shake(method="HEAD"))
        self.assertStatus(400, self.shake({"Content-Length": "4"}, rest=b"body\x89\x80mask"))
        self.stream(self.shake({"Content-Length": "0"}))
        self.assertStatus(405, self.shake(method="POST"))

    def test_ownPages(self) -> None:
        """Pages of this site, by the name of a domain, may connect, and none of other sites or ports."""
        for name, origin, fine in (
            ("chat.example.org", "https://chat.example.org", True),
            ("chat.example.org", "HTTP://Chat.example.org", True),
            ("chat.example.org", "https://chat.example.org:5281", False),
            ("chat.example.org", "https://evil.example", False),
            ("chat.example.org", "ftp://chat.example.org", False),
            ("chat.example.org", "null", False),
            ("example.org", "https://chat.example.org", False),
        ):
            self.configure(names=frozenset({name}))
            self.assertStatus(101 if fine else 403, self.shake({"Origin": origin}))

    def test_origins(self) -> None:
        """Pages of allowed origins may connect, and programs that send no origin."""
        allowed = frozenset(["https://chat.example.org", "http://localhost:8080"])
        for number, (origin, fine) in enumerate([
            (None, True), ("https://chat.example.org", True), ("HTTPS://Chat.Example.org", True),
            ("http://localhost:8080", True), ("http://chat.example.org", False), ("https://evil.example", False),
            ("https://chat.example.org.evil.example", False), ("null", False), ("", False),
            ("https://evil.example\r\nOrigin: https://chat.example.org", False),
        ]):  # fmt: skip
            self.configure(allowedOrigins=allowed)
            host = f"198.51.100.{number}"
            self.assertStatus(101 if fine else 403, self.shake({"Origin": origin}, host=host))
            self.configure(allowedOrigins=frozenset("*"))
            self.assertStatus(101, self.shake({"Origin": origin}, host=host))
        self.assertIn(
            "websocket-refused from 198.51.100.5: its origin is not allowed, origin https://evil.example",
            self.logged.lines(LogLevel.info),
        )

    def test_tlsRequired(self) -> None:
        """If logging in requires TLS, plain connections are refused, unless a trusted proxy has terminated TLS."""
        self.streams.tlsRequired = True
        self.configure(tls=object(), trustedProxies=Networks([PROXY]))
        for host, direct, forwarded, fine in (
            (HOST, False, None, False),
            (HOST, True, None, True),
            (HOST, False, "https", False),
            (PROXY, False, None, False),
            (PROXY, False, "http", False),
            (PROXY, False, "https, http", False),
            (PROXY, False, "https\r\nX-Forwarded-Proto: http", False),
            (PROXY, False, "HTTPS", True),
            (PROXY, False, "wss", True),
            (PROXY, True, None, True),
            (PROXY, True, "http", False),
            (PROXY, True, "https", True),
            (HOST, True, "http", True),
        ):
            transport = self.shake({"X-Forwarded-Proto": forwarded}, host=host, direct=direct)
            self.assertStatus(101 if fine else 403, transport)
            if fine:
                self.assertTrue(self.stream(transport).secure)
        self.assertIn(f"websocket-refused from {HOST}: TLS is required, origin -", self.logged.lines(LogLevel.info))

    def test_addresses(self) -> None:
        """The address of a client is that of the peer, or the one that trusted proxies name."""
        self.configure(trustedProxies=Networks([f"{PROXY}/32", "203.0.113.0/24"]))
        for peer, forwarded, expected in (
            (PROXY, None, PROXY),
            (PROXY, "198.51.100.1", "198.51.100.1"),
            (PROXY, "2001:db8::1", "2001:db8::1"),
            (PROXY, "198.51.100.9, 198.51.100.1", "198.51.100.1"),
            (PROXY, "198.51.100.9\r\nX-Forwarded-For: 198.51.100.1", "198.51.100.1"),
            (PROXY, "198.51.100.9, 198.51.100.1, 203.0.113.7", "198.51.100.1"),
            (PROXY, "198.51.100.1, unknown", PROXY),
            (PROXY, "198.51.100.1:80", PROXY),
            (PROXY, "", PROXY),
            (HOST, "198.51.100.1", HOST),
        ):
            self.admission.counted.clear()
            transport = self.shake({"X-Forwarded-For": forwarded}, host=peer)
            self.assertEqual(self.stream(transport).host, expected)
            self.assertEqual(self.admission.counted, [expected])

    def test_counted(self) -> None:
        """
        After the handshake a connection counts under the client's address; if there are too many from there, it is
        refused. Before, proxies may have any number.
        """
        self.configure(trustedProxies=Networks([PROXY]))
        self.admission.most = 2
        for status in (101, 101, 503):
            transport = self.shake({"X-Forwarded-For": "198.51.100.1"}, host=PROXY)
            self.assertStatus(status, transport)
        self.assertEqual(self.admission.counted, ["198.51.100.1", "198.51.100.1", PROXY])
        transport.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.admission.counted, ["198.51.100.1", "198.51.100.1"])
        for _ in range(3):
            self.connect(PROXY)

    def test_ending(self) -> None:
        """A server that is ending refuses."""
        self.streams.ending = True
        self.configure(trustedProxies=Networks([PROXY]))
        self.assertStatus(503, self.shake({"X-Forwarded-For": "198.51.100.1"}, host=PROXY))
        self.assertEqual(self.admission.counted, [PROXY])

    def test_key(self) -> None:
        """The example of RFC 6455 §1.3."""
        self.assertEqual(acceptKey(HANDSHAKE["Sec-WebSocket-Key"]), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
