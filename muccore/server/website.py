# -*- test-case-name: tests.server.test_website -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Assembly of the HTTP site."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from muccore.config.endpoints import socketAddress
from muccore.config.schema import Settings
from muccore.http.hostmeta import JRD_PATH, WEBSOCKET, XRD_PATH, HostMeta
from muccore.http.site import HTTPSettings, HTTPSite, IAdmission
from muccore.http.websocket import PATH, WebSocketResource
from muccore.net.limits import Networks
from muccore.net.tls import HTTPTLS, dnsName
from muccore.stream.features import StreamFeatures
from muccore.stream.websocket import WebSocketFactory


def makeSite(clock: IReactorTime, admission: IAdmission, streams: WebSocketFactory, settings: Settings) -> HTTPSite:
    """Make the site, whose connections C{admission} counts, with WebSocket streams."""
    site = HTTPSite(clock, admission, siteSettings(settings, streams.features))
    site.addResource(PATH, WebSocketResource(site, streams), "XMPP over WebSocket (RFC 7395), for chat clients")
    links = {WEBSOCKET: PATH}
    site.addResource(XRD_PATH, HostMeta(site, links, False), "Discovery of the above (XEP-0156)")
    site.addResource(JRD_PATH, HostMeta(site, links, True), "The same in JSON")
    return site


def siteSettings(settings: Settings, features: StreamFeatures) -> HTTPSettings:
    """
    The settings of the site from the configuration.

    @param features: of the streams over WebSocket, which have the hosts and their certificates.
    """
    http, domains = settings.http, tuple(features.hosts)
    addresses = filter(None, map(socketAddress, http.tlsListen))
    own = [f"https://{dnsName(domain)}" for domain in domains]
    return HTTPSettings(
        domains=domains,
        publicURL=http.publicUrl,
        allowedOrigins=frozenset([*http.allowedOrigins, *own]),
        trustedProxies=Networks(str(network) for network in http.trustedProxies),
        tls=None if features.directTLS is None else HTTPTLS(features.directTLS),
        tlsPort=next((port for _, _, port in addresses if port), None),
        plain=settings.c2s.tls != "required",
    )
