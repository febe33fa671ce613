# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The client of the load over BOSH (XEP-0206), without TLS: one request waits, another one sends."""

from __future__ import annotations

import re
import selectors
import socket
import ssl
from typing import Final

from benchmarks.client import DOMAIN, Client, Steps
from benchmarks.failure import BenchmarkFailed

_REQUEST: Final = (
    b"POST /http-bind HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%b"
)
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)\r\n")
_BODY: Final = re.compile(rb"\A<body\b[^>]*?(?:/>|>(.*)</body>)\Z", re.DOTALL)
_SID: Final = re.compile(rb" sid='([^']+)'")
_STANZA: Final = re.compile(rb"\A<(?:iq|message|presence)")
_PREFIXES: Final = b"xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh'"
_CREATION: Final = f" to='{DOMAIN}' wait='50' hold='1' ver='1.6' xmpp:version='1.0'".encode()
_RESTART: Final = b" xmpp:restart='true'"
_CHUNK: Final = 65536


class _Connection:
    """
    One of the two connections.

    @ivar rid: the ID of the request that it carries; 0 for none.
    """

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.received = b""
        self.rid = 0


class BOSHClient(Client):
    """A client whose stanzas are in requests."""

    header = b""

    def __init__(self, number: int, address: tuple[str, int], selector: selectors.BaseSelector) -> None:
        super().__init__(number, address, selector)
        other = socket.create_connection(address, timeout=10)
        other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        other.setblocking(False)
        selector.register(other, selectors.EVENT_READ, self)
        self._connections = [_Connection(self._socket), _Connection(other)]
        self._sid = b""
        self._rid = self._next = 1_000_000 * (number + 1)
        self._waiting: list[bytes] = []
        self._answers: dict[int, bytes] = {}

    def _loggingIn(self, tls: ssl.SSLContext | None, streamManagement: bool) -> Steps:
        yield from super()._loggingIn(None, streamManagement)

    def send(self, data: bytes) -> None:
        """Send one element, or open a stream, if it is nothing."""
        self._waiting.append(_STANZA.sub(rb"\g<0> xmlns='jabber:client'", data))
        self._post()

    def _post(self) -> None:
        """Send what waits, or let a request wait."""
        free = [connection for connection in self._connections if not connection.rid]
        if not free or not (self._waiting or (self._sid and len(free) == len(self._connections))):
            return
        attributes, waiting = b"", self._waiting
        if waiting and not waiting[0]:
            attributes, waiting = _RESTART if self._sid else _CREATION, waiting[:1]
        elif b"" in waiting:
            waiting = waiting[: waiting.index(b"")]
        self._waiting = self._waiting[len(waiting) :]
        self._rid += 1
        sid = b" sid='%b'" % self._sid if self._sid else b""
        body = b"<body rid='%d'%b%b %b>%b</body>" % (self._rid, sid, attributes, _PREFIXES, b"".join(waiting))
        free[0].rid = self._rid
        try:
            free[0].socket.sendall(_REQUEST % (len(body), body))
        except OSError as e:
            raise BenchmarkFailed(f"user {self.number} cannot send: {e}") from None

    def _receive(self) -> bytes:
        for connection in self._connections:
            self._read(connection)
        found = []
        while (answer := self._answers.pop(self._next + 1, None)) is not None:
            self._next += 1
            found.append(self._payload(answer))
        self._post()
        return b"".join(found)

    def _read(self, connection: _Connection) -> None:
        """Read what one of the connections has got."""
        try:
            data = connection.socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError as e:
            raise BenchmarkFailed(f"user {self.number}: the connection was lost: {e}") from None
        if not data:
            self._reconnect(connection)
            return
        connection.received += data
        head, separator, body = connection.received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head + b"\r\n")
        if separator and length is not None and len(body) >= int(length[1]):
            self._answers[connection.rid], connection.rid, connection.received = body, 0, b""

    def _reconnect(self, connection: _Connection) -> None:
        """Replace a connection that the server has closed between two requests."""
        if connection.rid:
            raise BenchmarkFailed(f"user {self.number}: the server has closed the connection")
        address = connection.socket.getpeername()
        self._selector.unregister(connection.socket)
        connection.socket.close()
        connection.socket = socket.create_connection(address, timeout=10)
        connection.socket.setblocking(False)
        self._selector.register(connection.socket, selectors.EVENT_READ, self)

    def _payload(self, answer: bytes) -> bytes:
        """What is in an answer."""
        body = _BODY.match(answer)
        if body is None or b" type='terminate'" in answer[: body.start(1)]:
            raise BenchmarkFailed(f"user {self.number}: the session has ended: {answer[:300]!r}")
        sid = _SID.search(answer)
        if not self._sid and sid is not None:
            self._sid = sid[1]
        return body[1] or b""

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            self._selector.unregister(connection.socket)
            connection.socket.close()
