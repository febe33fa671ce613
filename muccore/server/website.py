# -*- test-case-name: tests.server.test_website -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Assembly of the HTTP site."""

from __future__ import annotations

import sys
from typing import Final

from twisted.internet.interfaces import IReactorTime

from muccore.config.endpoints import socketAddress
from muccore.config.errors import ConfigError
from muccore.config.schema import Settings
from muccore.http.bosh import BOSHResource, ISessions
from muccore.http.hostmeta import BOSH, JRD_PATH, WEBSOCKET, XRD_PATH, HostMeta
from muccore.http.site import HTTPSettings, HTTPSite, IAdmission
from muccore.http.webchat.resources import (
    JOIN_PATH,
    ChatDomain,
    ChatPage,
    WebChatSettings,
    isFetched,
    webChatResources,
)
from muccore.http.websocket import PATH, WebSocketResource
from muccore.interfaces.http import HTTPResource, RequestLimits
from muccore.net.limits import Networks
from muccore.net.tls import HTTPTLS, dnsName
from muccore.stream.features import StreamFeatures
from muccore.stream.websocket import WebSocketFactory

_HTTPS_PORT: Final = 443


def makeSite(clock: IReactorTime, admission: IAdmission, streams: WebSocketFactory, settings: Settings) -> HTTPSite:
    """Make the site, whose connections C{admission} counts, with WebSocket streams."""
    site = HTTPSite(clock, admission, siteSettings(settings, streams.features))
    links = {WEBSOCKET: PATH}
    if settings.http.boshPath:
        links[BOSH] = settings.http.boshPath
    for path, resource, description in (
        (PATH, WebSocketResource(site, streams), "XMPP over WebSocket (RFC 7395), for chat clients"),
        (XRD_PATH, HostMeta(site, links, False), "Discovery of the ways to connect (XEP-0156)"),
        (JRD_PATH, HostMeta(site, links, True), "The same in JSON"),
    ):
        site.addResource(HTTPResource(path, resource, description))
    chat = webChatSettings(settings)
    if chat is not None:
        for added in (HTTPResource("/", ChatPage(chat)), *webChatResources(chat)):
            site.addResource(added)
    return site


def webChatSettings(settings: Settings) -> WebChatSettings | None:
    """What the pages of the web chat offer; C{None}: there are none."""
    http = settings.http
    if not http.webChat or not (http.listen or http.tlsListen) or not isFetched():
        return None
    # Guests of another domain are of use only if they may enter the rooms of this one.
    guests = [host.domain for host in settings.hosts if host.anonymous and settings.anonymous.otherDomains]
    return WebChatSettings(
        {
            host.domain: ChatDomain(
                rooms=host.roomServices[0] if host.roomServices else "",
                services=tuple(host.roomServices),
                guests=host.domain if host.anonymous else guests[0] if guests else "",
                registration=host.registration == "open",
            )
            for host in settings.hosts
        },
        PATH,
        http.boshPath,
    )


def webChatURL(settings: Settings, domain: str) -> str:
    """The template of links into the rooms of a domain, with C{{jid}} for the address; C{""} if there are none."""
    if settings.muc.webchatUrl:
        return settings.muc.webchatUrl
    site = siteURLs(settings)
    base = settings.http.publicUrl or site.get(domain, "")
    return f"{base}{JOIN_PATH}/{{jid}}" if base and webChatSettings(settings) is not None else ""


def tlsPort(settings: Settings) -> int | None:
    """The first port of the site under TLS, or C{None}."""
    addresses = filter(None, map(socketAddress, settings.http.tlsListen))
    return next((port for _, _, port in addresses if port), None)


def siteURLs(settings: Settings) -> dict[str, str]:
    """The base of the site's URLs by domain: of the port under TLS. Empty without one."""
    port = tlsPort(settings)
    suffix = "" if port == _HTTPS_PORT else f":{port}"
    return {host.domain: f"https://{dnsName(host.domain)}{suffix}" for host in settings.hosts if port}


def addBOSH(site: HTTPSite, sessions: ISessions, settings: Settings) -> None:
    """
    Add BOSH to a site that has all else of the server itself.

    @raise ConfigError: if its path is taken.
    """
    path = settings.http.boshPath
    if not path:
        return
    # What it takes depends on the configuration, which may change.
    limits = RequestLimits(bodySize=sys.maxsize)
    description = "XMPP over BOSH (XEP-0206), for chat clients"
    try:
        site.addResource(HTTPResource(path, BOSHResource(site, sessions, path), description, limits))
    except ValueError as e:
        raise ConfigError([settings.problem("http", "bosh_path", str(e))]) from None


def siteSettings(settings: Settings, features: StreamFeatures) -> HTTPSettings:
    """
    The settings of the site from the configuration.

    @param features: of the streams over WebSocket, which have the hosts and their certificates.
    """
    http, domains = settings.http, tuple(features.hosts)
    own = [f"https://{dnsName(domain)}" for domain in domains]
    tls = None if features.directTLS is None else HTTPTLS(features.directTLS)
    return HTTPSettings(
        domains=domains,
        names=frozenset(map(dnsName, domains)),
        publicURL=http.publicUrl,
        baseURLs=siteURLs(settings) if tls is not None else {},
        allowedOrigins=frozenset([*http.allowedOrigins, *own]),
        trustedProxies=Networks(str(network) for network in http.trustedProxies),
        tls=tls,
        tlsPort=tlsPort(settings),
        plain=settings.c2s.tls != "required",
    )
