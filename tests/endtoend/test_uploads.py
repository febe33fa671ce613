# Copyright (c) The muccore authors. See LICENSE for details.
"""Files that users upload, with slixmpp and the HTTP client of the standard library over TLS, across C{kill -9}."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import socket
import ssl
from collections.abc import Mapping
from http.client import HTTPResponse, HTTPSConnection
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from slixmpp.exceptions import IqError
from twisted.internet.threads import deferToThread

from tests.configuration import freePort
from tests.endtoend.persistentserver import PersistentServerTests
from tests.endtoend.slixmppthread import Slixmpp

_PICTURE: Final = b"\x89PNG\r\n\x1a\n" + os.urandom(3_000_000)

_SERVICE: Final = "localhost"


class UploadTests(PersistentServerTests):
    """Romeo uploads, and everybody may download."""

    sections: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "upload": {"store": "files:uploads", "file_size": "4 MiB", "user_quota": "10 MiB"},
        "registration": {"mode": "invited"},
    }

    async def setUp(self) -> None:
        """Choose a port for the site: URLs have it."""
        self.httpPort = freePort()
        self.sections = {**self.sections, "http": {"tls_listen": f"tcp:{self.httpPort}:interface=127.0.0.1"}}
        await super().setUp()
        # Not at the top: without aiohttp only these tests fail.
        import aiohttp
        from slixmpp.plugins.xep_0363 import http_upload

        self.trusting = ssl.create_default_context(cafile=self.server.certificate)

        def session(**options: Any) -> Any:
            return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self.trusting), **options)

        self.session = session
        # It would trust the authorities of the machine only.
        self.patch(http_upload, "ClientSession", session)

    async def logIn(self, name: str) -> Any:
        """Log slixmpp in. For asyncio."""
        client = Slixmpp(self.asyncioThread, name, f"{name}'s")
        for plugin in ("xep_0363", "xep_0077"):
            client.register_plugin(plugin)
        self.assertEqual(await client.logIn(self.server.port, self.server.certificate), "session_start")
        return client

    async def get(self, url: str) -> tuple[int, bytes, str]:
        """Download; return status, body and type. For asyncio."""
        async with self.session() as session, session.get(url) as response:
            return response.status, await response.read(), response.headers["Content-Type"]

    async def test_slixmpp(self) -> None:
        """
        slixmpp finds the service, uploads and downloads. The file survives a kill, and goes with its account; of one
        that is not whole at the kill, nothing is left.
        """
        url = await self.asyncioThread.run(self.upload())
        other, token = await self.asyncioThread.run(self.slot(1_000_000))
        await deferToThread(self.putPart, other, token)
        await self.kill()
        new = self.server.file("uploads/new")
        self.assertEqual(len(os.listdir(new)), 1)
        await self.server.start()
        self.assertEqual(os.listdir(new), [])
        response = await deferToThread(self.ask, "GET", other)
        self.assertEqual(response.status, 404)
        await self.asyncioThread.run(self.downloadAndLeave(url))
        self.assertEqual(self.server.unexpectedLines, [])
        self.assertNotIn(url.split("/")[4], self.server.output)
        left = [name for _, _, names in os.walk(self.server.file("uploads")) for name in names]
        self.assertEqual([name for name in left if not name.startswith(("index.db", "lock"))], [])

    async def upload(self) -> str:
        """Before the kill."""
        romeo = await self.logIn("romeo")
        url: str = await romeo["xep_0363"].upload_file("très cool.png", input_file=io.BytesIO(_PICTURE))
        self.assertEqual(await self.get(url), (200, _PICTURE, "image/png"))
        self.assertEqual(romeo["xep_0363"].max_file_size, 4 * 2**20)
        with self.assertRaises(IqError) as raised:
            await romeo["xep_0363"].request_slot(_SERVICE, "a.png", 2**30)
        self.assertEqual(raised.exception.condition, "not-acceptable")
        self.assertIn("<max-file-size>4194304</max-file-size>", str(raised.exception.iq))
        return url

    async def downloadAndLeave(self, url: str) -> None:
        """After the kill."""
        self.assertEqual(await self.get(url), (200, _PICTURE, "image/png"))
        romeo = await self.logIn("romeo")
        await romeo["xep_0077"].cancel_registration()
        await asyncio.wait_for(romeo.gone, 30)
        async with self.session() as session:
            while (await session.head(url)).status != 404:
                await asyncio.sleep(0.05)

    # Other clients

    async def slot(self, size: int, kind: str = "text/plain") -> tuple[str, str]:
        """Get a slot; return its URL and the header that belongs to it. For asyncio."""
        romeo = await self.logIn("romeo")
        found = (await romeo["xep_0363"].request_slot(_SERVICE, "a.txt", size, kind))["http_upload_slot"]
        [header] = found["put"]["headers"]
        return found["put"]["url"], header["value"]

    def connect(self) -> HTTPSConnection:
        """Connect. In a thread, as all that follows."""
        return HTTPSConnection("localhost", self.httpPort, context=self.trusting, timeout=30)

    def ask(self, method: str, url: str, body: Any = None, **headers: str) -> HTTPResponse:
        """Send a request on a connection of its own, and read the response."""
        connection = self.connect()
        self.addCleanup(connection.close)
        connection.request(method, urlsplit(url).path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        response = connection.getresponse()
        response.text = response.read()  # type: ignore[attr-defined]
        return response

    async def test_httpClient(self) -> None:
        """Wrong sizes are refused so that clients can read why; files are served in parts; junk ends connections."""
        url, token = await self.asyncioThread.run(self.slot(1_000_000))
        await deferToThread(self.putAndGet, url, token)
        url, token = await self.asyncioThread.run(self.slot(5))
        await deferToThread(self.sendJunk, urlsplit(url).path, token)
        self.assertEqual(self.server.unexpectedLines, [])

    def putAndGet(self, url: str, token: str) -> None:
        """What the client does."""
        content = os.urandom(1_000_000)
        kind = {"Content_Type": "text/plain", "Authorization": token}
        for body, headers, status in (
            (content + b"x", kind, 413), (content[1:], kind, 400), (content, {"Content_Type": "text/plain"}, 403),
            (content, {**kind, "Content_Type": "text/html"}, 415), (iter([content]), kind, 411), (content, kind, 201),
            (content, kind, 403),
        ):  # fmt: skip
            self.assertEqual(self.ask("PUT", url, body, **headers).status, status)
        response: Any = self.ask("GET", url)
        self.assertEqual((response.status, response.text), (200, content))
        self.assertEqual(self.ask("GET", url, If_None_Match=response.getheader("ETag")).status, 304)
        part: Any = self.ask("GET", url, Range="bytes=500000-500009")
        self.assertEqual((part.status, part.text), (206, content[500_000:500_010]))
        self.assertEqual(self.ask("HEAD", url).getheader("Content-Length"), "1000000")
        folder = url.rpartition("/")[0]
        for path in ("..", "../../index.db", "..%2f..%2findex.db", "%2e%2e/%2e%2e/etc/passwd", "a.txt%00", "\\..\\x"):
            self.assertEqual(self.ask("GET", f"{folder}/{path}").status, 404)

    def sendJunk(self, path: str, token: str) -> None:
        """Junk behind a request ends the connection after its response."""
        put = f"PUT {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 5\r\n\r\nhello".encode()
        get = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        for first, status in ((put, b"201"), (get, b"200")):
            for junk in (get * 100, os.urandom(100_000), b"\0" * 30_000 + b"\r\n\r\n"):
                received = self.exchange(first + junk)
                if status != b"201":
                    self.assertTrue(received.startswith(b"HTTP/1.1 " + status), received[:50])
                self.assertEqual(received.count(b"HTTP/1.1 "), 1)

    def exchange(self, data: bytes) -> bytes:
        """Send bytes, and read until the connection ends, in whatever way."""
        received = b""
        plain = socket.create_connection(("127.0.0.1", self.httpPort), 30)
        with self.trusting.wrap_socket(plain, server_hostname="localhost") as connection, contextlib.suppress(OSError):
            connection.sendall(data)
            while part := connection.recv(65536):
                received += part
        return received

    def putPart(self, url: str, token: str) -> None:
        """What the client does."""
        connection = self.connect()
        self.addCleanup(connection.close)
        connection.putrequest("PUT", urlsplit(url).path)
        for name, value in (("Authorization", token), ("Content-Length", "1000000"), ("Content-Type", "text/plain")):
            connection.putheader(name, value)
        connection.endheaders(b"x" * 500_000)
        folder = self.server.file("uploads/new")
        while not any(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)):
            pass
