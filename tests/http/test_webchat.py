# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.http.webchat.resources}; C{tests.endtoend.test_webchat} has those in a browser."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from twisted.web.test.requesthelper import DummyRequest

from muccore.http.webchat import resources
from muccore.http.webchat.resources import ChatDomain, ChatPage, WebChatSettings, webChatResources
from muccore.interfaces.http import HTTPResource
from tests.http import SiteCase, Transport

SETTINGS = WebChatSettings(
    {
        "example.org": ChatDomain("rooms.example.org", ("rooms.example.org", "old.example.org"), "guests.example.org"),
        "example.net": ChatDomain("rooms.example.net", ("rooms.example.net",), registration=True),
        "plain.example": ChatDomain("", ()),
    },
    "/xmpp-websocket",
    "/http-bind",
)


class WebChatTests(SiteCase):
    """The pages and files of the web chat."""

    def setUp(self) -> None:
        """Add it to a site, with files of Converse.js that a test has made."""
        super().setUp()
        folder = Path(self.mktemp())
        (folder / "images").mkdir(parents=True)
        (folder / "converse.min.js").write_bytes(b"export {};")
        (folder / "images" / "logo.svg").write_bytes(b"<svg/>")
        self.patch(resources, "CONVERSE", folder)
        for added in (HTTPResource("/", ChatPage(SETTINGS)), *webChatResources(SETTINGS)):
            self.site.addResource(added)

    def get(self, path: str, host: str = "example.org:5281", method: str = "GET") -> Transport:
        """Request something, whose path is of ASCII characters."""
        transport = self.connect()
        transport.protocol.dataReceived(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))
        return transport

    def found(self, path: str, host: str = "example.org:5281") -> dict[str, Any]:
        """What a page tells its script."""
        transport = self.get(path, host)
        self.assertStatus(200, transport)
        data = re.search(rb'<script type="application/json" id="settings">(.*)</script>', transport.value())
        assert data is not None
        settings: dict[str, Any] = json.loads(data[1])
        return settings

    def test_start(self) -> None:
        """The start has the domain of its address, or the first one, and what that offers."""
        first = {
            "title": "Chat at example.org", "domain": "example.org", "rooms": "rooms.example.org",
            "guests": "guests.example.org", "registration": False, "room": "", "websocket": "/xmpp-websocket",
            "bosh": "/http-bind",
        }  # fmt: skip
        self.assertEqual(self.found("/"), first)
        for host in ("192.0.2.7", "EXAMPLE.org", "[2001:db8::1]:5281", "other.example:1"):
            self.assertEqual(self.found("/", host)["domain"], "example.org")
        second = self.found("/", "example.net:443")
        self.assertEqual((second["domain"], second["guests"], second["registration"]), ("example.net", "", True))

    def test_policy(self) -> None:
        """A page runs nothing but the scripts of the site, and connects to it only; it is asked for again each time."""
        headers = self.assertStatus(200, self.get("/"))
        policy = headers["content-security-policy"]
        self.assertIn("script-src 'self' 'wasm-unsafe-eval';", policy)
        self.assertIn("connect-src 'self' wss://example.org:5281 ws://example.org:5281;", policy)
        self.assertIn("frame-ancestors 'none'", policy)
        self.assertEqual(headers["cache-control"], "no-cache")
        page = self.get("/").value().decode()
        inline = r"<script(?! type=\"(?:application/json|module)\")|\son\w+=|<style|style="
        self.assertEqual(re.findall(inline, page), [])
        odd = self.assertStatus(200, self.get("/", "a;script-src *"))
        self.assertIn("connect-src 'self' wss:;", odd["content-security-policy"])

    def test_room(self) -> None:
        """A link has the name of a room, or its address, maybe of another domain; the page is that of its host."""
        for path, domain, room in (
            ("/join/lobby", "example.org", "lobby@rooms.example.org"),
            ("/join/Lobby", "example.org", "lobby@rooms.example.org"),
            ("/join/caf%C3%A9", "example.org", "café@rooms.example.org"),
            ("/join/lobby@old.example.org", "example.org", "lobby@old.example.org"),
            ("/join/a%2541", "example.org", "a%41@rooms.example.org"),
            ("/join/lobby%40rooms.example.net", "example.net", "lobby@rooms.example.net"),
        ):
            found = self.found(path)
            self.assertEqual((found["domain"], found["room"]), (domain, room))
        self.assertEqual(self.found("/join/lobby", "example.net")["room"], "lobby@rooms.example.net")

    def test_noRoom(self) -> None:
        """Rooms elsewhere, and what is no name of one, are not found."""
        for path in (
            "/join", "/join/", "/join/lobby/", "/join/lobby/nick", "/join/lobby%2Fnick", "/join/x@elsewhere.example",
            "/join/a%20b", "/join/%FF", "/join/@rooms.example.org", f"/join/{'x' * 1100}", "/join/rooms.example.org@",
        ):  # fmt: skip
            self.assertStatus(404, self.get(path))
        self.assertStatus(404, self.get("/join/lobby", "plain.example"))

    def test_nothingGetsOut(self) -> None:
        """Nothing in the name of a room ends the text of the script element."""
        settings = WebChatSettings({"<b>": ChatDomain("x</script><script>", ("x</script><script>",))}, "/w")
        request = DummyRequest([b""])  # type: ignore[no-untyped-call]
        page = ChatPage(settings).render_GET(request)
        self.assertEqual(page.count(b"</script>"), 3)
        self.assertIn(b"<title>Chat at &lt;b&gt;</title>", page)

    def test_files(self) -> None:
        """Our files and those of Converse.js may be kept for an hour; there are no lists, and nothing outside."""
        for path, type in (
            ("/webchat/start.js", "text/javascript; charset=utf-8"), ("/webchat/style.css", "text/css"),
            ("/converse/converse.min.js", "text/javascript; charset=utf-8"),
            ("/converse/images/logo.svg", "image/svg+xml"),
        ):  # fmt: skip
            headers = self.assertStatus(200, self.get(path, method="HEAD"))
            self.assertEqual((headers["content-type"], headers["cache-control"]), (type, "max-age=3600"))
            self.assertEqual(headers["x-content-type-options"], "nosniff")
        for path in (
            "/converse", "/converse/", "/converse/images", "/converse/images/", "/webchat", "/webchat/page.html",
            "/webchat/resources.py", "/converse/../resources.py", "/converse/%2e%2e/resources.py", "/converse/x.js",
        ):  # fmt: skip
            self.assertStatus(404, self.get(path))

    def test_isFetched(self) -> None:
        """Whether Converse.js is there."""
        self.assertTrue(resources.isFetched())
        os.unlink(resources.CONVERSE / "converse.min.js")
        self.assertFalse(resources.isFetched())
