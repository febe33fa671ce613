# -*- test-case-name: tests.server.test_website -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Assembly of the HTTP site."""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime

from muccore.config.endpoints import socketAddress
from muccore.config.schema import Settings
from muccore.http.hostmeta import JRD_PATH, WEBSOCKET, XRD_PATH, HostMeta
from muccore.http.site import HTTPSettings, HTTPSite, IAdmission
from muccore.http.websocket import PATH, WebSocketResource
from muccore.interfaces.http import HTTPResource
from muccore.net.limits import Networks
from muccore.net.tls import HTTPTLS, dnsName
from muccore.stream.features import StreamFeatures
from muccore.stream.websocket import WebSocketFactory

_HTTPS_PORT: Final = 443


def makeSite(clock: IReactorTime, admission: IAdmission, streams: WebSocketFactory, settings: Settings) -> HTTPSite:
    """Make the site, whose connections C{admission} counts, with WebSocket streams."""
    site = HTTPSite(clock, admission, siteSettings(settings, streams.features))
    links = {WEBSOCKET: PATH}
    for path, resource, description in (
        (PATH, WebSocketResource(site, streams), "XMPP over WebSocket (RFC 7395), for chat clients"),
        (XRD_PATH, HostMeta(site, links, False), "Discovery of the above (XEP-0156)"),
        (JRD_PATH, HostMeta(site, links, True), "The same in JSON"),
    ):
        site.addResource(HTTPResource(path, resource, description))
    return site


def siteSettings(settings: Settings, features: StreamFeatures) -> HTTPSettings:
    """
    The settings of the site from the configuration.

    @param features: of the streams over WebSocket, which have the hosts and their certificates.
    """
    http, domains = settings.http, tuple(features.hosts)
    addresses = filter(None, map(socketAddress, http.tlsListen))
    own = {domain: f"https://{dnsName(domain)}" for domain in domains}
    tls = None if features.directTLS is None else HTTPTLS(features.directTLS)
    tlsPort = next((port for _, _, port in addresses if port), None)
    suffix = "" if tlsPort == _HTTPS_PORT else f":{tlsPort}"
    return HTTPSettings(
        domains=domains,
        publicURL=http.publicUrl,
        baseURLs={domain: url + suffix for domain, url in own.items()} if tls is not None and tlsPort else {},
        allowedOrigins=frozenset([*http.allowedOrigins, *own.values()]),
        trustedProxies=Networks(str(network) for network in http.trustedProxies),
        tls=tls,
        tlsPort=tlsPort,
        plain=settings.c2s.tls != "required",
    )
