# -*- test-case-name: tests.http.test_hostmeta -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.http.hostmeta}."""

from __future__ import annotations

import json

from lxml import etree

from muccore.http.hostmeta import BOSH, JRD_PATH, WEBSOCKET, XRD_PATH, HostMeta
from muccore.interfaces.http import HTTPResource
from muccore.net.limits import LOOPBACK
from tests.http import SiteCase

XRD = "{http://docs.oasis-open.org/ns/xri/xrd-1.0}"
FORWARDED = "X-Forwarded-Proto: https"


class HostMetaTests(SiteCase):
    """XEP-0156 §3 and §4."""

    def setUp(self) -> None:
        """Add the documents."""
        super().setUp()
        self.links = {WEBSOCKET: "/ws&"}
        for path, asJSON in ((XRD_PATH, False), (JRD_PATH, True)):
            self.site.addResource(HTTPResource(path, HostMeta(self.site, self.links, asJSON)))
        self.configure(tls=object(), trustedProxies=LOOPBACK)

    def test_formats(self) -> None:
        """Both formats announce WebSocket to pages of any origin."""
        transport = self.request(XRD_PATH, direct=True)
        headers = self.assertStatus(200, transport)
        self.assertEqual(headers["access-control-allow-origin"], "*")
        self.assertEqual(headers["content-type"], "application/xrd+xml")
        document = etree.fromstring(transport.value().partition(b"\r\n\r\n")[2])
        self.assertEqual(document.tag, f"{XRD}XRD")
        links = [dict(link.attrib) for link in document.iter(f"{XRD}Link")]
        self.assertEqual(links, [{"rel": WEBSOCKET, "href": "wss://chat.example.org/ws&"}])
        transport = self.request(JRD_PATH, direct=True)
        headers = self.assertStatus(200, transport)
        self.assertEqual(headers["access-control-allow-origin"], "*")
        self.assertEqual(headers["content-type"], "application/json")
        self.assertEqual(json.loads(transport.value().partition(b"\r\n\r\n")[2]), {"links": links})

    def test_bosh(self) -> None:
        """BOSH has a URL of HTTP."""
        self.links[BOSH] = "/http-bind"
        for direct, settings, url in (
            (True, {}, "https://chat.example.org/http-bind"), (False, {"plain": True}, "http://chat.example.org/http-bind"),
            (False, {"publicURL": "https://a.example"}, "https://a.example/http-bind"),
        ):  # fmt: skip
            self.configure(tls=object(), **settings)
            transport = self.request(JRD_PATH, direct=direct)
            found = json.loads(transport.value().partition(b"\r\n\r\n")[2])["links"]
            self.assertEqual(found[1], {"rel": BOSH, "href": url})

    def test_onlyTLS(self) -> None:
        """Addresses under TLS are announced: the one requested, if that is, or the configured one."""
        for url, headers, host, expected in (
            ("", [], "127.0.0.1", None),
            ("", [FORWARDED], "127.0.0.1", "wss://chat.example.org/ws&"),
            ("", [FORWARDED], "192.0.2.1", None),
            ("https://example.net:444", [], "127.0.0.2", "wss://example.net:444/ws&"),
        ):
            self.configure(publicURL=url, trustedProxies=LOOPBACK)
            transport = self.request(JRD_PATH, *headers, host=host)
            found = self.assertStatus(200 if expected else 404, transport)
            self.assertEqual(found["access-control-allow-origin"], "*")
            if expected:
                [link] = json.loads(transport.value().partition(b"\r\n\r\n")[2])["links"]
                self.assertEqual(link["href"], expected)

    def test_plain(self) -> None:
        """To a request that is not under TLS, the port under TLS is announced, or ws if clients may log in so."""
        for port, plain, expected in (
            (5281, False, "wss://chat.example.org:5281/ws&"),
            (5281, True, "wss://chat.example.org:5281/ws&"),
            (None, True, "ws://chat.example.org/ws&"),
        ):
            self.configure(tlsPort=port, plain=plain)
            transport = self.request(JRD_PATH)
            self.assertStatus(200, transport)
            [link] = json.loads(transport.value().partition(b"\r\n\r\n")[2])["links"]
            self.assertEqual(link["href"], expected)

    def test_host(self) -> None:
        """The host of the request is used only if it is one."""
        for host, fine in (
            ("[2001:db8::1]:8443", True), ("x_y.example", True), ("a/b", False), ("a'b", False), ("", False),
            ("\xe9", False),
        ):  # fmt: skip
            transport = self.connect(direct=True)
            transport.protocol.dataReceived(f"GET {XRD_PATH} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))
            self.assertStatus(200 if fine else 404, transport)
