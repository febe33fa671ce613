# -*- test-case-name: tests.http.test_site -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The HTTP site, on twisted.web: what bounds its connections, and how one leaves HTTP.

A connection carries one request, which is limited in size and in time: many requests that arrive at once would occupy
the reactor. Connections count in the same limits as the streams of clients. There is no access log.

A connection that leaves HTTP is given to another protocol, and the objects of HTTP are dropped: a stream over WebSocket
costs hardly more memory than one over TCP.

Behind a proxy the address of a client is in C{X-Forwarded-For}, and whether TLS protects its connection in
C{X-Forwarded-Proto}. Both are believed only from trusted proxies: otherwise clients could choose whose limits and
throttling apply to them, and send passwords in the clear.
"""

from __future__ import annotations

import html
import ipaddress
from collections.abc import Container
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProtocol, IReactorTime, ISSLTransport
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.pages import errorPage, notFound
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

REQUEST_TIMEOUT: Final = 30
"""Seconds for a request to arrive."""

BODY_SIZE: Final = 16 * 1024
"""Limit for the body of a request, in bytes. No resource takes bodies yet."""

_TOO_LARGE: Final = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class IAdmission(Protocol):
    """What counts connections; implemented by L{C2SFactory<muccore.stream.factory.C2SFactory>}."""

    def admit(self, host: str, isProxy: bool = False) -> str | None:
        """Count a connection. Returns why it must be refused, or C{None}."""

    def release(self, host: str) -> None:
        """Stop counting a connection."""


@dataclass(frozen=True)
class HTTPSettings:
    """
    The settings of the site.

    @ivar domains: the domains of the accounts.
    @ivar publicURL: the base of the site's public URLs, such as C{https://example.org}; C{""} if it is not known.
    @ivar allowedOrigins: the origins whose pages may use WebSocket, in lower case; C{"*"} among them allows all.
    @ivar trustedProxies: the addresses whose C{X-Forwarded-For} and C{X-Forwarded-Proto} are believed.
    @ivar tls: the context of TLS, or C{None}.
    @ivar tlsPort: the port of the site under TLS, or C{None}.
    @ivar plain: whether clients may log in without TLS.
    """

    domains: tuple[str, ...]
    publicURL: str = ""
    allowedOrigins: frozenset[str] = frozenset()
    trustedProxies: Container[str] = ()
    tls: Any = None
    tlsPort: int | None = None
    plain: bool = False


class SiteChannel(HTTPChannel):
    """One connection while it carries HTTP, counted under the address C{host}."""

    maxHeaders = 100
    requestFactory = Request
    timeOut = REQUEST_TIMEOUT
    callLater: Any
    transport: Any

    def __init__(self, site: HTTPSite, host: str, direct: bool) -> None:
        """@param direct: whether TLS begins with the first byte."""
        super().__init__()
        self.site = self.factory = site
        self.callLater = site.reactor.callLater
        self.host = host
        self._direct = direct
        self._ended = False
        self._successor: IProtocol | None = None

    def connectionMade(self) -> None:
        """Start TLS if it begins with the first byte."""
        self.site.channels.add(self)
        if self._direct:
            self.transport.startTLS(self.site.settings.tls)
        super().connectionMade()

    def resetTimeout(self) -> None:
        """Do nothing: a request that trickles in has no more time than another."""

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        """Close the connection after the response."""
        request.setHeader(b"Connection", b"close")
        return False

    def timeoutConnection(self) -> None:
        """Close the connection."""
        self.loseConnection()

    def allHeadersReceived(self) -> None:
        """Refuse bodies that are too large or of unknown length."""
        if self.length is None or self.length > BODY_SIZE:
            self.transport.write(_TOO_LARGE)
            self.loseConnection()
        else:
            super().allHeadersReceived()

    def loseConnection(self) -> None:
        """Close the connection. Under TLS data still arrives then, which must not be buffered."""
        self._ended = True
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

    def upgrade(self, protocol: IProtocol, response: bytes) -> None:
        """Leave HTTP: send a response, and give the connection, which stays counted, to a protocol."""
        self.setTimeout(None)
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
        super().connectionLost(reason)
        self.site.channelClosed(self)


class HTTPSite(Site):
    """
    The site. Its connections are without TLS; for those with TLS see L{directTLS}.

    @ivar root: the resource of C{/}.
    @ivar settings: its settings; may be changed at any time.
    @ivar directTLS: the factory for listeners with TLS.
    @ivar channels: the connections that carry HTTP.
    """

    noisy = False
    resource: Index

    def __init__(self, clock: IReactorTime, admission: IAdmission, settings: HTTPSettings) -> None:
        """@param admission: counts the connections."""
        super().__init__(Index(self), reactor=clock)
        self.admission = admission
        self.settings = settings
        self.directTLS = _DirectTLSFactory(self)
        self.channels: set[SiteChannel] = set()
        self._closed: Deferred[None] | None = None

    def addResource(self, path: str, resource: Resource, description: str) -> None:
        """Add a resource at a path that begins with a slash, described for people who look at C{/}."""
        *folders, name = path.encode("ascii").split(b"/")[1:]
        parent: Any = self.resource
        for folder in folders:
            found = parent.children.get(folder)
            if found is None:
                found = notFound()
                parent.putChild(folder, found)
            parent = found
        parent.putChild(name, resource)
        self.resource.entries[path] = description

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """See L{ServerFactory.buildProtocol}."""
        return self.build(addr, False)

    def build(self, addr: IAddress | None, direct: bool) -> TwistedProtocol | None:
        """Create the protocol of a connection, C{direct} under TLS; C{None} if it is refused."""
        host: str = getattr(addr, "host", "")
        settings = self.settings
        if (direct and settings.tls is None) or self.admission.admit(host, host in settings.trustedProxies) is not None:
            return None
        return SiteChannel(self, host, direct)

    def channelClosed(self, channel: SiteChannel) -> None:
        """Stop counting a connection that ended while it carried HTTP."""
        self.channels.discard(channel)
        self.admission.release(channel.host)
        if self._closed is not None and not self.channels:
            self._closed.callback(None)
            self._closed = None

    def closeAll(self) -> Deferred[None]:
        """End all connections that carry HTTP; fires when none is left."""
        closed: Deferred[None] = Deferred()
        if self.channels:
            self._closed = closed
            for channel in list(self.channels):
                channel.transport.abortConnection()
        else:
            closed.callback(None)
        return closed

    def getResourceFor(self, request: Request) -> Any:
        """See L{Site.getResourceFor}."""
        request.responseHeaders.removeHeader(b"Server")
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        hosts = request.requestHeaders.getRawHeaders(b"Host", [])
        if len(hosts) != 1 and (hosts or request.clientproto == b"HTTP/1.1"):
            # RFC 9112 §3.2, RFC 6455 §4.2.1.
            return errorPage(400, "Bad Request", "There has to be one Host header.")
        return super().getResourceFor(request)

    def startFactory(self) -> None:
        """Do nothing: there is no access log."""

    def stopFactory(self) -> None:
        """Do nothing."""

    def log(self, request: Any) -> None:
        """Do nothing."""

    def clientAddress(self, request: Request) -> str:
        """The address of the client: of the peer, or of the client of a trusted proxy."""
        host = cast(SiteChannel, request.channel).host
        for found in reversed(headerValues(request, "X-Forwarded-For")):
            if host not in self.settings.trustedProxies or not _isAddress(found):
                break
            host = found
        return host

    def isSecure(self, request: Request) -> bool:
        """Whether TLS protects the client's connection, to this server or to a trusted proxy that forwards it."""
        channel = cast(SiteChannel, request.channel)
        protocols = {value.lower() for value in headerValues(request, "X-Forwarded-Proto")}
        if protocols and channel.host in self.settings.trustedProxies:
            return protocols in ({"https"}, {"wss"})
        return ISSLTransport.providedBy(channel.transport)


class _DirectTLSFactory(ServerFactory):
    """Creates connections with direct TLS for a site."""

    noisy = False

    def __init__(self, site: HTTPSite) -> None:
        self._site = site

    def buildProtocol(self, addr: IAddress | None) -> TwistedProtocol | None:
        """See L{ServerFactory.buildProtocol}."""
        return self._site.build(addr, True)


class Index(Resource):
    """The resource of C{/}: tells people what is there. C{entries} has descriptions of resources by path."""

    def __init__(self, site: HTTPSite) -> None:
        super().__init__()
        self._site = site
        self.entries: dict[str, str] = {}

    def getChild(self, path: bytes, request: Request) -> Any:
        """See L{Resource.getChild}."""
        return self if path == b"" else super().getChild(path, request)

    def render_GET(self, request: Request) -> bytes:
        """Show the list."""
        request.setHeader(b"Content-Type", b"text/html; charset=utf-8")
        request.setHeader(b"Content-Security-Policy", b"default-src 'none'")
        title = html.escape(f"XMPP server of {', '.join(self._site.settings.domains)}")
        rows = [f"<dt><code>{html.escape(path)}</code><dd>{html.escape(text)}" for path, text in self.entries.items()]
        head = f"<!DOCTYPE html>\n<html lang=en><meta charset=utf-8><title>{title}</title>\n<h1>{title}</h1>\n<dl>"
        return "\n".join([head, *rows, "</dl></html>\n"]).encode()


def headerValues(request: Request, name: str) -> list[str]:
    """The elements of a header that is a list. Any bytes are text, as in ISO 8859-1."""
    lines = request.requestHeaders.getRawHeaders(name.encode("ascii"), [])
    return [value.strip() for line in lines for value in line.decode("latin-1").split(",")]


def _isAddress(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def plain(request: Request, text: str) -> bytes:
    """Answer with plain text; return the body."""
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    return f"{text}\n".encode()
