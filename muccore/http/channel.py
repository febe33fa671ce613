# -*- test-case-name: tests.http.test_channel -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The connections of the HTTP site, on twisted.web: what bounds them, and how one leaves HTTP.

A connection carries one request after the other, each limited in size and in time. A client that sends the next one
before it has the response (pipelining) gets that response and then the end of the connection: many requests that arrive
at once would occupy the reactor, and clients have to try again what was not answered (RFC 9112 §9.3.2).

A request that is refused by its headers is answered at once. What the client is sending then is read and dropped for
a short time: closing a socket with unread data resets the connection, and the response might be lost (§9.6).

A connection that leaves HTTP is given to another protocol, and the objects of HTTP are dropped: a stream over WebSocket
costs hardly more memory than one over TCP.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import RESPONSES, HTTPChannel
from twisted.web.server import Request
from zope.interface import implementer

from muccore.http.headers import SAFE
from muccore.interfaces.http import BODY_SIZE, REQUEST_TIMEOUT, HTTPRefusal, HTTPResource, IBodyResource, IHTTPRequest

REQUESTS: Final = 1000
"""Requests that a connection carries."""

LINGER: Final = 3.0
"""Seconds in which the rest of a refused request is read and dropped."""


_ABSOLUTE: Final = re.compile(rb"https?://[^/?]*", re.IGNORECASE)


class IChannelOwner(Protocol):
    """The site, as its connections see it."""

    reactor: Any
    settings: Any
    channels: set[SiteChannel]

    def find(self, path: bytes) -> HTTPResource | None:
        """The added resource that a path, with or without a query, is at or below; C{None} if there is none."""

    def channelClosed(self, channel: SiteChannel) -> None:
        """Stop counting a connection."""

    def clientAddress(self, request: Any) -> str:
        """See C{IHTTPRequest.clientHost}."""

    def isSecure(self, request: Any) -> bool:
        """Whether TLS protects the client's connection."""

    def log(self, request: Any) -> None:
        """Log a request that was answered."""


@implementer(IHTTPRequest)
class SiteRequest(Request):
    """
    A request to the site.

    @ivar clientHost: see L{IHTTPRequest}.
    @ivar body: takes its body; C{None} if that is kept, or was taken.
    @ivar mount: the added resource that it is for, or C{None}.
    @ivar started: when its headers had arrived, on the clock of the site.
    """

    clientHost: str = ""
    body: Any = None
    mount: HTTPResource | None = None
    started: float = 0.0
    channel: Any
    # Resources here take no forms.
    _parsePOSTFormSubmission = False

    def isSecure(self) -> bool:
        """See L{IRequest.isSecure}."""
        return self.channel is not None and bool(self.channel.site.isSecure(self))

    def gotLength(self, length: int | None) -> None:
        """Keep bodies in memory: they are small, or taken as they arrive."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Take some of the body."""
        if self.body is None:
            super().handleContentChunk(data)
        elif data:
            self.body.write(data)

    def takeBody(self) -> Any:
        """See L{IHTTPRequest.takeBody}."""
        body, self.body = self.body, None
        return body

    def pauseBody(self) -> None:
        """See L{IHTTPRequest.pauseBody}."""
        if self.channel is not None:
            self.channel.pauseBody()

    def resumeBody(self) -> None:
        """See L{IHTTPRequest.resumeBody}."""
        if self.channel is not None:
            self.channel.resumeBody()

    def finish(self) -> None:
        """End the response, and the body if nobody has taken it."""
        super().finish()
        self._dropBody()

    def connectionLost(self, reason: Failure) -> None:
        """End the request with its connection, and the body if nobody has taken it."""
        super().connectionLost(reason)
        self._dropBody()

    def _dropBody(self) -> None:
        body = self.takeBody()
        if body is not None:
            body.lost()


class SiteChannel(HTTPChannel):
    """One connection while it carries HTTP, counted under the address C{host}."""

    maxHeaders = 100
    requestFactory = SiteRequest
    timeOut = REQUEST_TIMEOUT
    requests: list[SiteRequest]
    callLater: Any
    transport: Any

    def __init__(self, site: IChannelOwner, host: str, direct: bool) -> None:
        """@param direct: whether TLS begins with the first byte."""
        super().__init__()
        self.site = self.factory = site
        self.callLater = site.reactor.callLater
        self.host = host
        self._direct = direct
        self._ended = False
        self._successor: IProtocol | None = None
        self._count = 0
        # When the body of a request that may take longer has to be there.
        self._deadline: float | None = None
        # Ends the turn in which a request has arrived, or the time for reading what is dropped.
        self._waiting: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Start TLS if it begins with the first byte."""
        self.site.channels.add(self)
        if self._direct:
            self.transport.startTLS(self.site.settings.tls)
        super().connectionMade()

    # Time

    def resetTimeout(self) -> None:
        """Give no more time to a request that trickles in, unless it has a body that may take longer."""
        if self._deadline is not None:
            if self.site.reactor.seconds() > self._deadline:
                self.timeoutConnection()
            else:
                super().resetTimeout()

    def timeoutConnection(self) -> None:
        """Close the connection."""
        self.loseConnection()

    # Requests

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        """Close the connection after the response if the client asks for it, or has sent many requests."""
        self._count += 1
        if super().checkPersistence(request, version) and self._count < REQUESTS:
            return True
        request.setHeader(b"Connection", b"close")
        return False

    def allHeadersReceived(self) -> None:
        """Find the resource, and refuse what it does not take."""
        request = self.requests[-1]
        request.started = self.site.reactor.seconds()
        request.clientHost = self.site.clientAddress(request)
        self._path = _originForm(self._path)
        request.mount = self.site.find(self._path)
        for name, value in SAFE.items():
            request.setHeader(name, value)
        try:
            self._checkHost(request)
            self._checkBody(request)
        except HTTPRefusal as e:
            self._refuse(request, e)
        else:
            super().allHeadersReceived()

    def _checkHost(self, request: SiteRequest) -> None:
        """@raise HTTPRefusal: if there are several hosts, or none where one has to be (RFC 9112 §3.2)."""
        hosts = request.requestHeaders.getRawHeaders(b"Host", [])
        if len(hosts) != 1 and (hosts or self._version == b"HTTP/1.1"):
            raise HTTPRefusal(400, "There has to be one Host header.")

    def _checkBody(self, request: SiteRequest) -> None:
        """
        Prepare for a body.

        @raise HTTPRefusal: if it is too large or of unknown length, or its resource refuses it.
        """
        if self.length is None:
            raise HTTPRefusal(411, "The size of the body has to be known.")
        mount = request.mount
        limit = BODY_SIZE if mount is None else mount.limits.bodySize
        if self.length > limit:
            raise HTTPRefusal(413, "The body is too large.")
        if mount is not None and IBodyResource.providedBy(mount.resource):
            request.method, request.uri, request.clientproto = self._command, self._path, self._version
            request.path = self._path.partition(b"?")[0]
            request.body = mount.resource.openBody(request, self.length)
            if request.body is None and self.length > BODY_SIZE:
                raise HTTPRefusal(413, "The body is too large.")
        if mount is not None and mount.limits.rate and self.length:
            self._deadline = request.started + REQUEST_TIMEOUT + self.length / mount.limits.rate

    def _refuse(self, request: SiteRequest, refusal: HTTPRefusal) -> None:
        """Answer without having read the body, and close the connection when the client has had time to read that."""
        text = f"{refusal}\n".encode()
        request.setHeader(b"Connection", b"close")
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        request.setHeader(b"Content-Length", b"%d" % len(text))
        phrase = RESPONSES.get(refusal.status, b"Refused")
        self.writeHeaders(self._version, b"%d" % refusal.status, phrase, request.responseHeaders)
        self.transport.write(text)
        request.method, request.code, request.sentLength = self._command, refusal.status, len(text)
        self.site.log(request)
        self._ended = True
        self.setTimeout(None)
        self._waiting = self.callLater(LINGER, self._lingered)

    def _lingered(self) -> None:
        self._waiting = None
        self.loseConnection()

    def allContentReceived(self) -> None:
        """Let the resource answer."""
        self._deadline = None
        if not self._ended:
            # Not when it is answered: that may be in a timed call, before which the client's next request is read.
            self._waiting = self.callLater(0, self._turnEnded)
            super().allContentReceived()

    def requestDone(self, request: Request) -> None:
        """Close the connection if the next request is there already."""
        if any(self._dataBuffer):
            self.persistent = False
        super().requestDone(request)

    def _turnEnded(self) -> None:
        self._waiting = None

    def _stopWaiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def pauseBody(self) -> None:
        """See L{IHTTPRequest.pauseBody}."""
        self._networkProducer.pauseProducing()

    def resumeBody(self) -> None:
        """See L{IHTTPRequest.resumeBody}."""
        if not self._waitingForTransport:
            self._networkProducer.resumeProducing()

    # Bytes

    def lineReceived(self, line: bytes) -> None:
        """Handle a line of a request, unless it has come too early."""
        if self._ended:
            return
        if self._waiting is None:
            super().lineReceived(line)
        elif line:
            self.loseConnection()

    def loseConnection(self) -> None:
        """Close the connection. Under TLS data still arrives then, which must not be buffered."""
        self._ended = True
        self.setTimeout(None)
        super().loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """Handle what arrives before the connection is being closed."""
        if not self._ended:
            super().dataReceived(data)

    def rawDataReceived(self, data: bytes) -> None:
        """Handle what follows the headers; after an upgrade, it is for the new protocol."""
        if self._successor is not None:
            self._successor.dataReceived(data)
        elif not self._ended:
            super().rawDataReceived(data)

    # Ending

    def upgrade(self, protocol: IProtocol, response: bytes) -> None:
        """Leave HTTP: send a response, and give the connection, which stays counted, to a protocol."""
        self.setTimeout(None)
        self._stopWaiting()
        self.site.channels.discard(self)
        # The objects of the request refer to each other.
        for request in self.requests:
            request.channel = None
        self.requests = []
        self._successor = protocol
        self.transport.write(response)
        self.transport.switchProtocol(protocol)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End HTTP with the connection."""
        self._stopWaiting()
        super().connectionLost(reason)
        self.site.channelClosed(self)


def _originForm(target: bytes) -> bytes:
    """The target of a request without scheme and host, which proxies and others may send (RFC 9112 §3.2.2)."""
    match = _ABSOLUTE.match(target)
    return target if match is None else b"/" + target[match.end() :].removeprefix(b"/")
