# -*- test-case-name: tests.http.test_site -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The HTTP site, on twisted.web: its resources, and whose word is believed about a client.

Its connections (L{muccore.http.channel}) count in the same limits as the streams of clients. The access log is at the
level C{debug}. It has the path of the resource only: what follows may be a secret, such as the name of a file.

Behind a proxy the address of a client is in C{X-Forwarded-For}, and whether TLS protects its connection in
C{X-Forwarded-Proto}. Both are believed only from trusted proxies: otherwise clients could choose whose limits and
throttling apply to them, and send passwords in the clear.
"""

from __future__ import annotations

import html
import ipaddress
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime, ISSLTransport
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import ServerFactory
from twisted.logger import LogLevel
from twisted.web.pages import notFound
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface import implementer

from muccore.http.channel import SiteChannel
from muccore.http.headers import headerValues
from muccore.http.mounts import Mounts
from muccore.interfaces.http import HTTPResource, IHTTPSite
from muccore.log.eventlog import clean
from muccore.log.logger import Logger


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
    @ivar names: the same as names in DNS.
    @ivar publicURL: the base of the site's public URLs, such as C{https://example.org}; C{""} if it is not known.
    @ivar baseURLs: the same by domain, of the port under TLS.
    @ivar allowedOrigins: the origins whose pages may use WebSocket, in lower case; C{"*"} among them allows all.
    @ivar trustedProxies: the addresses whose C{X-Forwarded-For} and C{X-Forwarded-Proto} are believed.
    @ivar tls: the context of TLS, or C{None}.
    @ivar tlsPort: the port of the site under TLS, or C{None}.
    @ivar plain: whether clients may log in without TLS.
    """

    domains: tuple[str, ...]
    names: frozenset[str] = frozenset()
    publicURL: str = ""
    baseURLs: Mapping[str, str] = field(default_factory=dict)
    allowedOrigins: frozenset[str] = frozenset()
    trustedProxies: Container[str] = ()
    tls: Any = None
    tlsPort: int | None = None
    plain: bool = False


@implementer(IHTTPSite)
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
    reactor: Any
    _accessLog = Logger()

    def __init__(self, clock: IReactorTime, admission: IAdmission, settings: HTTPSettings) -> None:
        """@param admission: counts the connections."""
        super().__init__(Index(self), reactor=clock)
        self.admission = admission
        self.settings = settings
        self.directTLS = _DirectTLSFactory(self)
        self.channels: set[SiteChannel] = set()
        self._mounts = Mounts()
        self._closed: Deferred[None] | None = None

    def addResource(self, added: HTTPResource) -> None:
        """See L{IHTTPSite.addResource}."""
        *folders, name = self._mounts.add(added).split(b"/")[1:]
        parent: Any = self.resource
        for folder in folders:
            found = parent.children.get(folder)
            if found is None:
                found = notFound()
                parent.putChild(folder, found)
            parent = found
        parent.putChild(name, added.resource)
        if added.description:
            self.resource.entries[added.path] = added.description

    def find(self, path: bytes) -> HTTPResource | None:
        """See L{IChannelOwner<muccore.http.channel.IChannelOwner>}."""
        return self._mounts.find(path)

    def baseURL(self, domain: str) -> str | None:
        """See L{IHTTPSite.baseURL}."""
        return self.settings.publicURL or self.settings.baseURLs.get(domain)

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
        return super().getResourceFor(request)

    def startFactory(self) -> None:
        """Do nothing: there is no file of a log."""

    def stopFactory(self) -> None:
        """Do nothing."""

    def log(self, request: Any) -> None:
        """Log a request that was answered."""
        if Logger.threshold <= LogLevel.debug:
            mount, seconds = request.mount, self.reactor.seconds() - request.started
            self._accessLog.debug(
                "http: {host} {method} {path} {code}, {size} bytes, {seconds:.3f} s",
                host=request.clientHost, method=clean(request.method.decode("latin-1")),
                path="-" if mount is None else mount.path, code=request.code, size=request.sentLength, seconds=seconds,
            )  # fmt: skip

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
        title = html.escape(f"XMPP server of {', '.join(self._site.settings.domains)}")
        rows = [f"<dt><code>{html.escape(path)}</code><dd>{html.escape(text)}" for path, text in self.entries.items()]
        head = f"<!DOCTYPE html>\n<html lang=en><meta charset=utf-8><title>{title}</title>\n<h1>{title}</h1>\n<dl>"
        return "\n".join([head, *rows, "</dl></html>\n"]).encode()


def _isAddress(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
