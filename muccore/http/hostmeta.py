# -*- test-case-name: tests.http.test_hostmeta -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Discovery of the ways to connect other than TCP (XEP-0156), as XRD and as JRD (RFC 6415)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from twisted.web.resource import Resource
from twisted.web.server import Request

from muccore.http.headers import allowAnyOrigin, headerValues, plain
from muccore.http.site import HTTPSettings, HTTPSite
from muccore.xmpp.rendering import escapeAttribute
from muccore.xmpp.specs import Spec

implements: Final = (Spec(156, "Discovering Alternative XMPP Connection Methods", "1.4.0"),)

XRD_PATH: Final = "/.well-known/host-meta"
JRD_PATH: Final = "/.well-known/host-meta.json"

WEBSOCKET: Final = "urn:xmpp:alt-connections:websocket"
"""The relation of XMPP over WebSocket."""

BOSH: Final = "urn:xmpp:alt-connections:xbosh"
"""The relation of XMPP over BOSH."""

_XRD: Final = "http://docs.oasis-open.org/ns/xri/xrd-1.0"
_HOST: Final = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


class HostMeta(Resource):
    """
    One of the two documents. It announces what is under TLS (§2): at the public URL of the site, where it was
    requested, if that was under TLS, or at the port of the site under TLS. Without all of these it announces what is
    not under TLS, if clients may log in so.
    """

    def __init__(self, site: HTTPSite, links: Mapping[str, str], asJSON: bool) -> None:
        """@param links: path of each way to connect, by relation."""
        super().__init__()
        self._site = site
        self._json = asJSON
        self._links = links

    def render_GET(self, request: Request) -> bytes:
        """Send the document, to pages of any origin (§4)."""
        allowAnyOrigin(request, b"GET, HEAD")
        base = baseURL(self._site.settings, request)
        if base is None:
            request.setResponseCode(404)
            return plain(request, "No way to connect from here is under TLS.")
        schemes = {WEBSOCKET: "ws" + base.removeprefix("http")}
        links = [{"rel": each, "href": schemes.get(each, base) + path} for each, path in self._links.items()]
        if self._json:
            request.setHeader(b"Content-Type", b"application/json")
            return json.dumps({"links": links}).encode("ascii")
        request.setHeader(b"Content-Type", b"application/xrd+xml")
        lines = ["<?xml version='1.0' encoding='utf-8'?>", f"<XRD xmlns='{_XRD}'>"]
        lines += [f"  <Link rel='{link['rel']}' href='{escapeAttribute(link['href'])}'/>" for link in links]
        return "\n".join([*lines, "</XRD>\n"]).encode()


def baseURL(settings: HTTPSettings, request: Request) -> str | None:
    """
    What precedes the path in the URL that a client should use, under TLS if possible.

    @return: C{None} if nothing is under TLS, and clients must not log in without it.
    """
    if settings.publicURL:
        return settings.publicURL
    host = _HOST.fullmatch(",".join(headerValues(request, "Host")).lower())
    if host is None:
        return None
    if request.isSecure():
        return f"https://{host[0]}"
    if settings.tlsPort is not None:
        return f"https://{host[1]}:{settings.tlsPort}"
    return f"http://{host[0]}" if settings.plain else None
