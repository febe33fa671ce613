# -*- test-case-name: tests.server.test_website -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.server.website}: the HTTP site of whole servers, with clients over WebSocket."""

from __future__ import annotations

import os
from typing import Any

from lxml import etree
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from muccore.config.errors import ConfigError
from muccore.config.load import load
from muccore.http.webchat.resources import ChatDomain
from muccore.server import website
from muccore.server.assembly import ServerComponents
from muccore.server.service import MUCCoreService
from muccore.server.website import siteSettings, webChatSettings, webChatURL
from muccore.testing.scansion.client import ClientFailed
from muccore.testing.scansion.language import ClientDefinition
from muccore.testing.scansion.websocket import WebSocketClient, connect
from muccore.testing.server import RunningServer, makeSettings, startServer
from muccore.xmpp import ns
from muccore.xmpp.scramkeys import HASHES
from tests.certificates import makeCertificate
from tests.configuration import ENCRYPTED, ConfigurationFile
from tests.endtoend.clients import logIn
from tests.stream.clients import ScramClient

PASSWORD = "secret"
LOOPBACK = "tcp:0:interface=127.0.0.1"


class Requester(Protocol):
    """
    Sends a request, and collects the response.

    @ivar done: fires with the response when the connection is lost.
    """

    def __init__(self, request: bytes) -> None:
        self.done: Deferred[bytes] = Deferred()
        self._request = request
        self._received = b""

    def connectionMade(self) -> None:
        """Send the request."""
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        """Collect the response."""
        self._received += data

    def connectionLost(self, reason: Any = None) -> None:
        """Give the response."""
        self.done.callback(self._received)


class WebSiteTests(TestCase):
    """Servers with the HTTP site."""

    timeout = 30

    async def serve(self, **settings: dict[str, str]) -> RunningServer:
        """Start a server."""
        server = await startServer(reactor, os.path.abspath("server.cfg"), **settings)
        self.addCleanup(server.stop)
        return server

    async def serveTLS(self, **http: str) -> RunningServer:
        """Start a server that requires TLS, with the account of Romeo."""
        certificate, key = makeCertificate(os.path.abspath("."))
        server = await self.serve(
            c2s={"tls": "required", "allow_plaintext_auth": "no"}, tls={"certificate": certificate, "private_key": key},
            auth={"backend": "memory:"}, http=http,
        )  # fmt: skip
        components: Any = server.server.components
        await components.hosts[0].accounts.create("romeo@localhost", PASSWORD)
        return server

    async def client(self, server: RunningServer, tls: bool = False) -> WebSocketClient:
        """Connect a client, which is dropped at the end of the test."""
        port = server.portOf("tls_listen" if tls else "listen", "http")
        client = await connect(reactor, "127.0.0.1", port, 10, tls)

        def drop() -> Deferred[None]:
            client.abort()
            return client.closed()

        self.addCleanup(drop)
        return client

    def test_webChat(self) -> None:
        """Pages offer what the hosts have; links into rooms are known with the address of the site."""
        settings = makeSettings(
            http={"listen": LOOPBACK, "public_url": "https://chat.example.org"},
            auth={"anonymous": "no"}, anonymous={"other_domains": "yes"},
            **{"host guests.example": {"anonymous": "yes", "accounts": "memory:"}},
        )  # fmt: skip
        self.patch(website, "isFetched", lambda: False)
        self.assertIsNone(webChatSettings(settings))
        self.assertEqual(webChatURL(settings, "localhost"), "")
        self.patch(website, "isFetched", lambda: True)
        chat = webChatSettings(settings)
        assert chat is not None
        self.assertEqual(
            dict(chat.domains),
            {
                "localhost": ChatDomain("conference.localhost", ("conference.localhost",), "guests.example"),
                "guests.example": ChatDomain("", (), "guests.example"),
            },
        )
        guests = {"anonymous": "yes", "accounts": "memory:"}
        closed = makeSettings(http={"listen": LOOPBACK}, **{"host guests.example": guests})
        chat = webChatSettings(closed)
        assert chat is not None
        self.assertEqual([each.guests for each in chat.domains.values()], ["", "guests.example"])
        self.assertEqual(webChatURL(settings, "localhost"), "https://chat.example.org/join/{jid}")
        for http in ({}, {"listen": LOOPBACK, "web_chat": "no"}):
            self.assertIsNone(webChatSettings(makeSettings(http=http)))
        other = makeSettings(http={"listen": LOOPBACK}, muc={"webchat_url": "https://x.example/?{jid}"})
        self.assertEqual(webChatURL(other, "localhost"), "https://x.example/?{jid}")
        self.assertEqual(webChatURL(makeSettings(http={"listen": LOOPBACK}), "localhost"), "")

    async def test_bothTransports(self) -> None:
        """Clients over WebSocket and over TCP send messages to each other."""
        server = await self.serve(http={"listen": LOOPBACK})
        romeo = await self.client(server)
        await romeo.login(ClientDefinition("Romeo", "romeo@localhost", PASSWORD, "web"))
        juliet = await logIn(self, server.port, "juliet")
        romeo.send(f"<message to='{juliet.full}' type='chat'><body>€</body></message><presence/>")
        received = await juliet.next()
        self.assertEqual((received.get("from"), received.findtext(f"{{{ns.CLIENT}}}body")), (romeo.full, "€"))
        juliet.send(f"<message to='{romeo.full}' type='chat'><body>{'x' * 70_000}</body></message>")
        while (received := await romeo.next()).tag != f"{{{ns.CLIENT}}}message":
            pass
        self.assertEqual(received.findtext(f"{{{ns.CLIENT}}}body"), "x" * 70_000)

    async def test_channelBinding(self) -> None:
        """Over C{wss:} a log-in can be bound to the TLS connection."""
        server = await self.serveTLS(tls_listen=LOOPBACK)
        romeo = await self.client(server, tls=True)
        romeo._domain = "localhost"
        features = await romeo._open()
        offered = {str(each.text) for each in features.iter(f"{{{ns.SASL}}}mechanism")}
        scram = {f"SCRAM-{hashName}{plus}" for hashName in HASHES for plus in ("", "-PLUS")}
        self.assertEqual(offered, {*scram, "PLAIN"})
        self.assertNotIn(ns.TLS, etree.tostring(features, encoding="unicode"))
        data = romeo.transport.getHandle().export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        scram = ScramClient("sha256", "romeo", PASSWORD, b"p=tls-exporter,,", data)
        challenge = await romeo._exchange("auth", scram.first(), "challenge", "SCRAM-SHA-256-PLUS")
        scram.verify(await romeo._exchange("response", scram.final(challenge), "success"))

    async def test_tlsRequired(self) -> None:
        """Without TLS, connections are refused if logging in requires it."""
        server = await self.serveTLS(listen=LOOPBACK, tls_listen=LOOPBACK)
        with self.assertRaises(ClientFailed) as raised:
            await self.client(server)
        self.assertIn("status 403", str(raised.exception))
        romeo = await self.client(server, tls=True)
        await romeo.login(ClientDefinition("Romeo", "romeo@localhost", PASSWORD))

    async def test_end(self) -> None:
        """The end of the server closes streams in order, and drops connections that carry HTTP."""
        server = await self.serve(http={"listen": LOOPBACK})
        romeo = await self.client(server)
        await romeo.login(ClientDefinition("Romeo", "romeo@localhost", PASSWORD))
        waiting = Requester(b"GET / HTTP/1.1\r\n")
        endpoint = HostnameEndpoint(reactor, "127.0.0.1", server.portOf("listen", "http"))
        await endpoint.connect(Factory.forProtocol(lambda: waiting))
        await server.stop()
        self.assertEqual(await waiting.done, b"")
        await romeo.closed()
        self.assertEqual(romeo.lost, "stream error system-shutdown")

    async def request(self, server: RunningServer, path: str, *headers: str) -> bytes:
        """Send a request, and return the response, or what came until the connection was dropped."""
        lines = [f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]
        requester = Requester("\r\n".join(lines).encode())
        endpoint = HostnameEndpoint(reactor, "127.0.0.1", server.portOf("listen", "http"))
        await endpoint.connect(Factory.forProtocol(lambda: requester))
        return await requester.done

    async def test_reload(self) -> None:
        """The settings of the site are applied by a reload."""
        file = ConfigurationFile(self, http={"listen": LOOPBACK})
        service = MUCCoreService(load(file.path), reactor)
        self.addCleanup(service.stopService)
        service.startService()
        await service.ready
        server = RunningServer(service)
        found = []
        for url in ("https://a.example", "https://b.example"):
            file.configure(http={"listen": LOOPBACK, "public_url": url})
            await service.reload()
            found.append((await self.request(server, "/.well-known/host-meta")).count(f"'wss://{url[8:]}/".encode()))
        self.assertEqual(found, [1, 1])

    async def test_pages(self) -> None:
        """The site has a page, and the discovery of its public address."""
        server = await self.serve(http={"listen": LOOPBACK, "public_url": "https://Chat.Example.org/"})
        for path, expected in (
            ("/", b"/xmpp-websocket"),
            ("/", b"/http-bind"),
            ("/http-bind", b"XMPP over BOSH"),
            ("/.well-known/host-meta", b"href='https://chat.example.org/http-bind'"),
            ("/.well-known/host-meta", b"href='wss://chat.example.org/xmpp-websocket'"),
            ("/.well-known/host-meta.json", b'"href": "wss://chat.example.org/xmpp-websocket"'),
        ):
            response = await self.request(server, path)
            self.assertTrue(response.startswith(b"HTTP/1.1 200 "), response)
            self.assertIn(expected, response)

    async def test_boshPath(self) -> None:
        """BOSH may be elsewhere, or nowhere, but not where something else is."""
        for path, codes in (("/chat/bosh", (404, 200)), ("", (404, 404))):
            server = await self.serve(http={"listen": LOOPBACK, "bosh_path": path})
            for asked, code in zip(("/http-bind", "/chat/bosh"), codes, strict=True):
                self.assertIn(f"HTTP/1.1 {code} ".encode(), await self.request(server, asked))
            self.assertEqual(b"xbosh" in await self.request(server, "/.well-known/host-meta"), bool(path))
        for path in ("/xmpp-websocket", "/xmpp-websocket/x"):
            settings = makeSettings(http={"listen": LOOPBACK, "bosh_path": path})
            with self.assertRaises(ConfigError) as caught:
                ServerComponents(settings, Clock())
            self.assertIn("[http] bosh_path", str(caught.exception))

    def test_tlsPort(self) -> None:
        """The first port under TLS that is known is the one to announce; without a public URL, URLs have it."""
        for listen, expected, suffix in (
            (LOOPBACK, None, None), (f"{LOOPBACK}\n tcp:5281:interface=127.0.0.1", 5281, ":5281"), ("tcp:443", 443, ""),
        ):  # fmt: skip
            sections = {"http": {"tls_listen": listen}, "auth": {"backend": "memory:"}, "host example.net": {}}
            file = ConfigurationFile(self, c2s=ENCRYPTED, **sections)
            settings = load(file.path)
            made = siteSettings(settings, ServerComponents(settings, Clock()).webSocket.features)
            self.assertEqual((made.tlsPort, made.plain), (expected, False))
            urls = {} if suffix is None else {name: f"https://{name}{suffix}" for name in ("localhost", "example.net")}
            self.assertEqual(made.baseURLs, urls)

    def test_settings(self) -> None:
        """The origin of the domain itself is allowed, as browsers write it, besides those of the configuration."""
        settings = makeSettings(
            server={"domain": "bücher.example"},
            http={"listen": LOOPBACK, "allowed_origins": "HTTP://localhost:8080", "trusted_proxies": "127.0.0.1"},
        )
        made = siteSettings(settings, ServerComponents(settings, Clock()).webSocket.features)
        self.assertEqual(made.allowedOrigins, {"https://xn--bcher-kva.example", "http://localhost:8080"})
        self.assertEqual((made.tlsPort, made.plain), (None, True))
        self.assertEqual(["127.0.0.1" in made.trustedProxies, "127.0.0.2" in made.trustedProxies], [True, False])
