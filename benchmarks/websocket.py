# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The client of the load over WebSocket (RFC 7395)."""

from __future__ import annotations

import re
import ssl
import struct
from typing import Final

from benchmarks.client import DOMAIN, Client, Steps
from benchmarks.failure import BenchmarkFailed

_HANDSHAKE: Final = (
    b"GET /xmpp-websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n"
)
_UPGRADED: Final = re.compile(rb"\AHTTP/1\.1 101 [^\0]*\r\n\r\n")
_STANZA: Final = re.compile(rb"\A<(?:iq|message|presence)")
_TEXT: Final = 0x81


class WebSocketClient(Client):
    """A client whose stanzas are messages of WebSocket."""

    header = f"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='{DOMAIN}' version='1.0'/>".encode()
    _upgraded = False
    _frames = b""

    def _loggingIn(self, tls: ssl.SSLContext | None, streamManagement: bool) -> Steps:
        if tls is not None:
            self._startTLS(tls)
        super().send(_HANDSHAKE)
        yield _UPGRADED
        self._upgraded = True
        yield from super()._loggingIn(None, streamManagement)

    def send(self, data: bytes) -> None:
        """Send one element, masked with zeros: the server unmasks as it would with any key."""
        data = _STANZA.sub(rb"\g<0> xmlns='jabber:client'", data)
        if len(data) < 126:
            header = bytes((_TEXT, 0x80 | len(data)))
        else:
            header = struct.pack(">BBH", _TEXT, 0xFE, len(data))
        super().send(header + bytes(4) + data)

    def _receive(self) -> bytes:
        data = super()._receive()
        if not self._upgraded:
            return data
        data = self._frames + data
        found = []
        begin = 0
        while len(data) - begin >= 2:
            size, start = data[begin + 1], begin + 2
            if data[begin] != _TEXT:
                raise BenchmarkFailed(f"user {self.number}: a frame begins with {data[begin]:#x}")
            if size > 125:
                start += 2 if size == 126 else 8
                size = int.from_bytes(data[begin + 2 : start], "big")
            if start + size > len(data):
                break
            found.append(data[start : start + size])
            begin = start + size
        self._frames = data[begin:]
        return b"".join(found)
