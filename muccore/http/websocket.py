# -*- test-case-name: tests.http.test_websocket -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The opening handshake of XMPP over WebSocket (RFC 6455 §4.2, RFC 7395 §3.1), after which the connection leaves HTTP.

If logging in requires TLS, connections without it are refused here already.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final, Protocol, cast

from twisted.internet.interfaces import IProtocol
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from muccore.http.channel import SiteChannel
from muccore.http.headers import headerValues, plain
from muccore.http.origins import isOriginAllowed, originsOf
from muccore.http.site import HTTPSite
from muccore.log.eventlog import WEBSOCKET_REFUSED, Phrase

PATH: Final = "/xmpp-websocket"

_SUBPROTOCOL: Final = "xmpp"
_VERSION: Final = "13"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_SIZE: Final = 16
_UPGRADE_REQUIRED: Final = 426


class IStreamBuilder(Protocol):
    """What makes streams; implemented by L{WebSocketFactory<muccore.stream.websocket.WebSocketFactory>}."""

    def accepts(self, secure: bool) -> bool:
        """Whether clients could log in."""

    def build(self, host: str, secure: bool) -> IProtocol | None:
        """Create the stream of a connection that is counted; C{None} if the server is ending."""


class Refused(Exception):
    """A handshake was refused; C{code} is the status code of the response."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def acceptKey(key: str) -> str:
    """Compute C{Sec-WebSocket-Accept} from C{Sec-WebSocket-Key} (RFC 6455 §4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode("ascii") + _GUID).digest()).decode("ascii")


class WebSocketResource(Resource):
    """The place of the handshake."""

    def __init__(self, site: HTTPSite, streams: IStreamBuilder) -> None:
        super().__init__()
        self._site = site
        self._streams = streams

    def render_GET(self, request: Request) -> bytes | int:
        """Do the handshake, or refuse it."""
        try:
            key = self._readKey(request)
            self._checkPolicy(request)
            self._upgrade(request, key)
        except Refused as e:
            if e.code == _UPGRADE_REQUIRED:
                # Twisted does not know its phrase.
                request.setResponseCode(e.code, b"Upgrade Required")
                request.setHeader(b"Upgrade", b"websocket")
                request.setHeader(b"Sec-WebSocket-Version", _VERSION.encode("ascii"))
            else:
                request.setResponseCode(e.code)
            return plain(request, str(e))
        return NOT_DONE_YET

    def _checkPolicy(self, request: Request) -> None:
        """Check origin and TLS."""
        settings = self._site.settings
        if not isOriginAllowed(request, settings.allowedOrigins, settings.names):
            reason = "its origin is not allowed"
        elif not self._streams.accepts(self._site.isSecure(request)):
            reason = "TLS is required"
        else:
            return
        address = self._site.clientAddress(request)
        WEBSOCKET_REFUSED.log(address, reason=Phrase(reason), origin=originsOf(request))
        raise Refused(403, f"This connection is refused: {reason}.")

    def _readKey(self, request: Request) -> str:
        """Check the request (RFC 6455 §4.2.1) and return its key."""
        upgrade = [value.lower() for value in headerValues(request, "Upgrade")]
        connection = [value.lower() for value in headerValues(request, "Connection")]
        protocol = (request.method, request.clientproto)
        if protocol != (b"GET", b"HTTP/1.1") or "websocket" not in upgrade or "upgrade" not in connection:
            raise Refused(_UPGRADE_REQUIRED, "This is for XMPP over WebSocket (RFC 7395): use a chat client.")
        if headerValues(request, "Sec-WebSocket-Version") != [_VERSION]:
            raise Refused(_UPGRADE_REQUIRED, f"Only version {_VERSION} of WebSocket is supported.")
        if _SUBPROTOCOL not in headerValues(request, "Sec-WebSocket-Protocol"):
            raise Refused(400, f"The subprotocol has to be {_SUBPROTOCOL!r}.")
        keys = headerValues(request, "Sec-WebSocket-Key")
        try:
            valid = len(keys) == 1 and len(base64.b64decode(keys[0], validate=True)) == _KEY_SIZE
        except (binascii.Error, ValueError):
            valid = False
        if not valid:
            raise Refused(400, "Sec-WebSocket-Key is invalid.")
        if request.content is not None and request.content.read(1):
            # Twisted would keep what follows it in the same segment.
            raise Refused(400, "A handshake has no body.")
        return keys[0]

    def _upgrade(self, request: Request, key: str) -> None:
        """Give the connection to a stream."""
        channel = cast(SiteChannel, request.channel)
        host = self._site.clientAddress(request)
        admission = self._site.admission
        if host != channel.host and admission.admit(host) is not None:
            raise Refused(503, "Too many connections.")
        stream = self._streams.build(host, self._site.isSecure(request))
        if host != channel.host:
            admission.release(host if stream is None else channel.host)
        if stream is None:
            raise Refused(503, "The server is ending.")
        channel.upgrade(
            stream,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {acceptKey(key)}\r\nSec-WebSocket-Protocol: {_SUBPROTOCOL}\r\n\r\n".encode("ascii"),
        )
