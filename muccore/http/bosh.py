# -*- test-case-name: tests.http.test_bosh -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
XMPP over BOSH (XEP-0124, XEP-0206): the requests and responses. The sessions are elsewhere.

A request is answered when there is something to say, or it has waited for long enough; meanwhile it costs its
connection and little more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from muccore.http.headers import SAFE, plain
from muccore.http.hostmeta import baseURL
from muccore.http.origins import isOriginAllowed, originsOf
from muccore.http.site import HTTPSite
from muccore.interfaces.http import HTTPRefusal, IBody, IBodyResource, IHTTPRequest
from muccore.log.eventlog import BOSH_REFUSED, Phrase

PATH: Final = "/http-bind"
"""The usual path."""

_PREFLIGHT_AGE: Final = b"7200"
_PAGE: Final = """<!DOCTYPE html>
<html lang=en><meta charset=utf-8><title>XMPP over BOSH</title>
<h1>XMPP over BOSH</h1>
<p>Chat clients connect here (<a href="https://xmpp.org/extensions/xep-0206.html">XEP-0206</a>). To use it, give the
address of this page to a client that supports BOSH.</p></html>
"""
_POLICY: Final = SAFE[b"Content-Security-Policy"] + b"; sandbox"
"""What others write is in responses, whose type the client chooses: no page may be made of them, nor a form."""

_LARGE: Final = 1024 * 1024
"""Bytes of a response that count as an answer of the server, which waits until it is read."""


class ISessions(Protocol):
    """The sessions; implemented by L{BOSHSessions<muccore.stream.bosh.sessions.BOSHSessions>}."""

    @property
    def bodySize(self) -> int:
        """The limit for the body of a request, in bytes."""

    def receive(self, data: bytes, responder: Any) -> bool:
        """
        Take a request.

        @param data: its body.
        @param responder: a L{Responder}.
        @return: C{False} if its connection must be closed without an answer.
        """


class TLSInfo(NamedTuple):
    """What logs tell of a TLS connection, which is not kept for it."""

    version: str
    cipher: str

    def get_protocol_version_name(self) -> str:
        """See C{OpenSSL.SSL.Connection}."""
        return self.version

    def get_cipher_name(self) -> str:
        """See C{OpenSSL.SSL.Connection}."""
        return self.cipher


class Responder:
    """A request that is to be answered. See L{IResponder<muccore.stream.bosh.requests.IResponder>}."""

    __slots__ = ("_path", "_request", "_site", "lostObserver")

    def __init__(self, request: Any, site: HTTPSite, path: str) -> None:
        self.lostObserver: Callable[[Responder], object] | None = None
        self._request = request
        self._site = site
        self._path = path
        request.notifyFinish().addErrback(self._lost)

    @property
    def address(self) -> str:
        """The network address of the client."""
        return str(self._request.clientHost)

    @property
    def secure(self) -> bool:
        """Whether TLS protects the client's connection."""
        return bool(self._request.isSecure())

    @property
    def secureURI(self) -> str | None:
        """Where the same is under TLS, if that is known."""
        base = baseURL(self._site.settings, self._request)
        return base + self._path if base is not None and base.startswith("https:") else None

    @property
    def tls(self) -> TLSInfo | None:
        """The TLS connection, for logs; C{None} if it is a proxy's, or there is none."""
        channel = self._request.channel
        if not channel.isSecure() or channel.host != self.address:
            return None
        connection = channel.transport.getHandle()
        return TLSInfo(connection.get_protocol_version_name(), connection.get_cipher_name())

    def respond(self, body: bytes, content: str, code: int = 200) -> None:
        """Answer it, with a content type and a status code. Nothing happens if its connection is lost."""
        request, self._request, self.lostObserver = self._request, None, None
        if request is None:
            return
        request.setResponseCode(code)
        request.setHeader(b"Content-Type", content.encode("ascii"))
        request.setHeader(b"Content-Length", b"%d" % len(body))
        request.setHeader(b"Cache-Control", b"no-store")
        request.setHeader(b"Content-Security-Policy", _POLICY)
        if len(body) < _LARGE:
            request.write(body)
        else:
            # It does not count for the limit of the connection.
            request.write(b"")
            request.channel.transport.writeBulk(iter((body,)), len(body))
        request.finish()

    def _lost(self, reason: Failure) -> None:
        observer, self._request, self.lostObserver = self.lostObserver, None, None
        if observer is not None:
            observer(self)


@implementer(IBody)
class _Collected:
    """The body of a request while it arrives."""

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        """See L{IBody.write}."""
        self._pieces.append(data)

    def lost(self) -> None:
        """See L{IBody.lost}."""
        self._pieces.clear()

    def take(self) -> bytes:
        """The whole body."""
        return b"".join(self._pieces)


@implementer(IBodyResource)
class BOSHResource(Resource):
    """Where requests are sent to."""

    def __init__(self, site: HTTPSite, sessions: ISessions, path: str = PATH) -> None:
        """@param path: where it is."""
        super().__init__()
        self._site = site
        self._sessions = sessions
        self._path = path

    def getChild(self, path: bytes, request: Request) -> Any:
        """See L{Resource.getChild}. Many configurations of clients have a slash at the end."""
        return self if path == b"" else super().getChild(path, request)

    def openBody(self, request: IHTTPRequest, length: int) -> _Collected | None:
        """See L{IBodyResource.openBody}."""
        if request.method != b"POST":
            return None
        self._checkOrigin(request)
        if length > self._sessions.bodySize:
            raise HTTPRefusal(413, "The body is too large.")
        if request.requestHeaders.hasHeader(b"Content-Encoding"):
            raise HTTPRefusal(415, "Content encodings are not supported.")
        return _Collected()

    def _checkOrigin(self, request: Any) -> None:
        """Let pages of allowed origins read what they get (CORS), and refuse others."""
        settings = self._site.settings
        request.setHeader(b"Vary", b"Origin")
        if not isOriginAllowed(request, settings.allowedOrigins, settings.names):
            reason = "its origin is not allowed"
            BOSH_REFUSED.log(request.clientHost, reason=Phrase(reason), origin=originsOf(request))
            raise HTTPRefusal(403, f"This request is refused: {reason}.")
        if request.requestHeaders.hasHeader(b"Origin"):
            request.setHeader(b"Access-Control-Allow-Origin", originsOf(request).encode("latin-1"))

    def render_POST(self, request: Any) -> int:
        """Pass a request on."""
        responder = Responder(request, self._site, self._path)
        if not self._sessions.receive(request.body.take(), responder):
            request.channel.loseConnection()
        return NOT_DONE_YET

    def render_OPTIONS(self, request: Request) -> bytes:
        """Tell a browser what pages may do."""
        request.setHeader(b"Allow", b"GET, HEAD, OPTIONS, POST")
        try:
            self._checkOrigin(request)
        except HTTPRefusal as e:
            request.setResponseCode(e.status)
            return plain(request, str(e))
        request.setHeader(b"Access-Control-Allow-Methods", b"POST")
        request.setHeader(b"Access-Control-Allow-Headers", b"Content-Type")
        request.setHeader(b"Access-Control-Max-Age", _PREFLIGHT_AGE)
        request.setResponseCode(204)
        return b""

    def render_GET(self, request: Request) -> bytes:
        """Show people what this is for."""
        request.setHeader(b"Content-Type", b"text/html; charset=utf-8")
        return _PAGE.encode()
