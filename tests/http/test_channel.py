# -*- test-case-name: tests.http.test_channel -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.http.channel}."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from muccore.http.channel import LINGER, REQUESTS
from muccore.interfaces.http import (
    BODY_SIZE,
    REQUEST_TIMEOUT,
    HTTPRefusal,
    HTTPResource,
    IBody,
    IBodyResource,
    RequestLimits,
)
from tests.http import HOST, SiteCase, Transport


@implementer(IBody)
class Body:
    """A body that records what happens to it."""

    def __init__(self) -> None:
        self.data = b""
        self.ended = False

    def write(self, data: bytes) -> None:
        """See L{IBody}."""
        self.data += data

    def lost(self) -> None:
        """See L{IBody}."""
        self.ended = True


@implementer(IBodyResource)
class Taker(Resource):
    """
    A resource that takes bodies as they arrive.

    @ivar refused: with what it refuses the next one.
    @ivar careless: whether it does not take bodies.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[Body] = []
        self.refused: HTTPRefusal | None = None
        self.careless = False
        self.seen: list[tuple[bytes, bytes, str]] = []

    def openBody(self, request: Any, length: int) -> Body | None:
        """See L{IBodyResource}."""
        self.request = request
        self.seen.append((request.method, request.path, request.clientHost))
        request.setHeader(b"X-Seen", b"yes")
        if self.refused is not None:
            raise self.refused
        if request.method != b"PUT":
            return None
        self.bodies.append(Body())
        return self.bodies[-1]

    def render(self, request: Any) -> bytes:
        """Say how much has arrived."""
        if self.careless:
            return b"?"
        body = request.takeBody()
        return b"%d" % len(b"" if body is None else body.data)


class Later(Resource):
    """A resource that answers when it is told to."""

    def render_GET(self, request: Any) -> int:
        """Wait."""
        self.request = request
        return NOT_DONE_YET


class Echo(Resource):
    """A resource that answers with the body."""

    def render_POST(self, request: Any) -> bytes:
        """Return the body."""
        found: bytes = request.content.read()
        return found


SLOW = RequestLimits(1_000_000, 1000)
PUT = "PUT"


class ChannelTests(SiteCase):
    """Requests, one after the other, and their bodies."""

    def setUp(self) -> None:
        """Add resources."""
        super().setUp()
        self.taker = Taker()
        self.site.addResource(HTTPResource("/put", self.taker, limits=SLOW))
        self.site.addResource(HTTPResource("/echo", Echo(), limits=RequestLimits(100_000)))

    def again(self, transport: Transport, data: bytes) -> bytes:
        """Send more, in another turn; return the response."""
        self.clock.advance(0)
        transport.clear()
        transport.protocol.dataReceived(data)
        return transport.value()

    def lose(self, transport: Transport) -> None:
        """Lose a connection."""
        transport.protocol.connectionLost(Failure(ConnectionDone()))

    def test_persistent(self) -> None:
        """A connection carries requests one after the other, until the client asks for its end."""
        transport = self.request("/", method="HEAD")
        self.assertNotIn("connection", self.assertStatus(200, transport))
        for size in (5, 50_000):
            head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size
            self.assertTrue(self.again(transport, head + b"x" * size).endswith(b"\r\n\r\n" + b"x" * size))
        self.assertFalse(transport.disconnecting)
        self.assertIn(b"close", self.again(transport, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
        self.assertTrue(transport.disconnecting)
        self.lose(transport)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_number(self) -> None:
        """After many requests it is closed."""
        transport = self.request("/", method="HEAD")
        for _ in range(REQUESTS - 1):
            self.assertFalse(transport.disconnecting)
            found = self.again(transport, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertIn(b"Connection: close", found)
        self.assertTrue(transport.disconnecting)

    def test_idle(self) -> None:
        """A connection without a request is closed."""
        transport = self.request("/", method="HEAD")
        self.clock.advance(REQUEST_TIMEOUT - 1)
        self.again(transport, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.clock.advance(REQUEST_TIMEOUT - 1)
        self.assertFalse(transport.disconnecting)
        self.clock.advance(1)
        self.assertTrue(transport.disconnecting)

    def test_pipelined(self) -> None:
        """Of requests that come together only the first is answered; an empty line after it does no harm."""
        for rest in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3, b"junk\r\n", b"\0" * 20_000 + b"\r\n"):
            transport = self.request("/", method="HEAD", rest=rest)
            self.assertEqual(transport.value().count(b"HTTP/1.1 "), 1)
            self.assertTrue(transport.disconnecting)
        transport = self.request("/", method="HEAD", rest=b"\r\n")
        self.assertFalse(transport.disconnecting)
        # In the same turn.
        transport.protocol.dataReceived(b"GET / HTTP/1.1\r\n")
        self.assertTrue(transport.disconnecting)

    def test_nextAfterLate(self) -> None:
        """The next request may come in the turn in which the last one was answered, if that had come before."""
        later = Later()
        self.site.addResource(HTTPResource("/later", later))
        transport = self.request("/later")
        self.clock.callLater(5, lambda: later.request.finish())
        self.clock.callLater(5, transport.protocol.dataReceived, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.clock.advance(5)
        self.assertEqual(transport.value().count(b"HTTP/1.1 200 "), 2)
        self.assertFalse(transport.disconnecting)

    def test_bodySizes(self) -> None:
        """A body has the limit of its resource, and must have a size in advance."""
        for path, header, status in (
            ("/", f"Content-Length: {BODY_SIZE}", 405), ("/", f"Content-Length: {BODY_SIZE + 1}", 413),
            ("/echo", "Content-Length: 100000", 200), ("/echo", "Content-Length: 100001", 413),
            ("/put/x", "Content-Length: 1000001", 413), ("/put", "Transfer-Encoding: chunked", 411),
            ("/putx", f"Content-Length: {BODY_SIZE + 1}", 413),
        ):  # fmt: skip
            size = int(header.partition(": ")[2]) if header[0] == "C" else 0
            transport = self.request(path, header, method="POST", rest=bytes(size))
            self.assertStatus(status, transport)
        # Without interest in it, a resource that takes large ones need not have one.
        self.assertStatus(413, self.request("/put", f"Content-Length: {BODY_SIZE + 1}", method="POST"))
        self.assertEqual(self.taker.bodies, [])

    def test_body(self) -> None:
        """A body is taken as it arrives; then the resource answers."""
        transport = self.request("/put/a?b", "Content-Length: 6", method=PUT, rest=b"abc")
        [body] = self.taker.bodies
        self.assertEqual((body.data, transport.value()), (b"abc", b""))
        transport.protocol.dataReceived(b"def")
        self.assertTrue(transport.value().endswith(b"\r\n\r\n6"))
        self.assertEqual(self.assertStatus(200, transport)["x-seen"], "yes")
        self.assertEqual(self.taker.seen, [(b"PUT", b"/put/a", HOST)])
        self.lose(transport)
        self.assertFalse(body.ended)

    def test_notTaken(self) -> None:
        """A body that no resource takes is told that."""
        self.taker.careless = True
        self.assertStatus(200, self.request("/put/a", "Content-Length: 3", method=PUT, rest=b"abc"))
        [body] = self.taker.bodies
        self.assertTrue(body.ended)
        # By another spelling, nobody is asked, and little is kept.
        self.taker.careless = False
        transport = self.request("/%70ut/a", "Content-Length: 3", method=PUT, rest=b"abc")
        self.assertTrue(transport.value().endswith(b"\r\n\r\n0"))
        self.assertStatus(413, self.request("/%70ut/a", f"Content-Length: {BODY_SIZE + 1}", method=PUT))
        self.assertEqual(len(self.taker.bodies), 1)

    def test_absolute(self) -> None:
        """RFC 9112 §3.2.2: a target may have scheme and host."""
        for target, status in (
            ("http://x/", 200), ("HTTPS://x:1/put/a?b", 200), ("http://x", 200), ("http://x?y", 200),
            ("http://x/y", 404), ("ftp://x/", 404), ("//x/", 404),
        ):  # fmt: skip
            self.assertStatus(status, self.request(target))

    def test_noHost(self) -> None:
        """RFC 9112 §3.2: without a host, nobody is asked about the body."""
        transport = self.connect()
        transport.protocol.dataReceived(b"PUT /put HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
        self.assertStatus(400, transport)
        self.assertEqual(self.taker.bodies, [])

    def test_continue(self) -> None:
        """A client that waits for it is told to go on, unless the request is refused."""
        expecting = ("Content-Length: 6", "Expect: 100-continue")
        transport = self.request("/put", *expecting, method=PUT)
        self.assertEqual(transport.value(), b"HTTP/1.1 100 Continue\r\n\r\n")
        self.taker.refused = HTTPRefusal(403, "No.")
        transport = self.request("/put", *expecting, method=PUT)
        headers = self.assertStatus(403, transport)
        self.assertEqual((headers["x-seen"], headers["connection"]), ("yes", "close"))
        self.assertEqual(headers["x-content-type-options"], "nosniff")
        self.assertTrue(transport.value().endswith(b"\r\n\r\nNo.\n"))

    def test_refused(self) -> None:
        """The body of a refused request is dropped for a moment, so that its client can read why."""
        self.taker.refused = HTTPRefusal(403, "No.")
        for size in (0, 6):
            transport = self.request("/put", f"Content-Length: {size}", method=PUT, rest=b"abcdef")
            self.assertStatus(403, transport)
            self.assertFalse(transport.disconnecting)
            transport.protocol.dataReceived(b"GET / HTTP/1.1\r\n\r\n" * 3)
            self.assertEqual(transport.value().count(b"HTTP/1.1 "), 1)
            self.clock.advance(LINGER)
            self.assertTrue(transport.disconnecting)
        transport = self.request("/put", "Content-Length: 6", method=PUT)
        self.lose(transport)
        self.assertEqual(self.taker.bodies, [])

    def test_lost(self) -> None:
        """A body is told when its connection ends too early."""
        transport = self.request("/put", "Content-Length: 6", method=PUT, rest=b"abc")
        self.lose(transport)
        [body] = self.taker.bodies
        self.assertTrue(body.ended)
        self.taker.request.pauseBody()
        self.taker.request.resumeBody()

    def test_slow(self) -> None:
        """A body may take time for its size, but not be silent."""
        transport = self.request("/put", "Content-Length: 100000", method=PUT)
        for _ in range(13):
            self.assertFalse(transport.disconnecting)
            self.clock.advance(REQUEST_TIMEOUT / 3)
            transport.protocol.dataReceived(b"x")
        self.assertFalse(transport.disconnecting)
        self.clock.advance(1)
        transport.protocol.dataReceived(b"x")
        self.assertTrue(transport.disconnecting)
        transport = self.request("/put", "Content-Length: 100000", method=PUT)
        self.clock.advance(REQUEST_TIMEOUT)
        self.assertTrue(transport.disconnecting)

    def test_paused(self) -> None:
        """A body that cannot be taken is not read."""
        transport = self.request("/put", "Content-Length: 6", method=PUT)
        self.taker.request.pauseBody()
        self.assertEqual(transport.producerState, "paused")
        self.taker.request.resumeBody()
        self.assertEqual(transport.producerState, "producing")
