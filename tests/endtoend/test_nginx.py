# Copyright (c) The muccore authors. See LICENSE for details.
"""Uploads and streams behind nginx, with the configurations of docs/uploads.md and docs/operating.md."""

from __future__ import annotations

import os
import re
import shutil
import ssl
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from muccore.testing.server import startServer
from muccore.xmpp import jid
from tests.certificates import makeCertificate
from tests.configuration import freePort
from tests.endtoend.boshclient import BOSHClient
from tests.http.test_websocket import HANDSHAKE

NGINX: Final = shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
HOST: Final = "files.example.org"

FRAME: Final = """
pid nginx.pid; error_log error.log; daemon off; events {{}}
http {{
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi; access_log access.log;
    {server}
}}
"""


class Process(ProcessProtocol):
    """A program. C{ended}: fires at its end."""

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()

    def processEnded(self, reason: Failure) -> None:
        """Tell the end."""
        if reason.check(ProcessDone) is None:
            self.ended.errback(reason)
        else:
            self.ended.callback(None)


def configurationOf(page: str) -> str:
    """The configuration of nginx in a page of the documentation."""
    found = re.search("```nginx\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


class NginxCase(TestCase):
    """A server behind nginx."""

    timeout = 60
    if NGINX is None:
        skip = "not found: nginx"

    async def setUp(self) -> None:
        """Start both."""
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()
        self.certificate, key = makeCertificate(self.folder, [HOST])
        self.server = await startServer(
            reactor,
            str(self.folder / "server.cfg"),
            http={
                "listen": "tcp:0:interface=127.0.0.1", "trusted_proxies": "127.0.0.1",
                "public_url": f"https://{HOST}",
            },
            upload={"store": "files:uploads", "public_url": f"https://{HOST}"},
        )
        self.addCleanup(self.server.stop)
        self.port = freePort()
        text = self.configuration()
        for old, new in (
            ("443 ssl", f"127.0.0.1:{self.port} ssl"), (f"/etc/ssl/{HOST}.crt", self.certificate),
            (f"/etc/ssl/{HOST}.key", key), (":5280", f":{self.server.portOf('listen', 'http')}"),
        ):  # fmt: skip
            self.assertIn(old, text)
            text = text.replace(old, new)
        (self.folder / "nginx.conf").write_text(FRAME.format(server=text))
        process = Process()
        spawn: Any = reactor
        command = [str(NGINX), "-p", f"{self.folder}/", "-c", "nginx.conf"]
        running = spawn.spawnProcess(process, command[0], command, env={}, path=str(self.folder))

        def stop() -> Deferred[None]:
            running.signalProcess("TERM")
            return process.ended

        self.addCleanup(stop)
        while not (self.folder / "nginx.pid").exists() or not (self.folder / "nginx.pid").read_text():
            self.assertFalse(process.ended.called, "nginx has ended")
            await deferLater(reactor, 0.02)

    def configuration(self) -> str:
        """The server block."""
        return configurationOf("uploads.md")

    @property
    def trusting(self) -> ssl.SSLContext:
        """The TLS of clients that trust the certificate."""
        context = ssl.create_default_context(cafile=self.certificate)
        context.check_hostname = False
        return context


class UploadTests(NginxCase):
    """Files."""

    async def test_uploads(self) -> None:
        """A file is put and got; the server knows the client, and why it has refused another size."""
        components: Any = self.server.server.components
        uploads, seen = components.uploads, []
        real = uploads.receive

        def receive(request: Any, slot: Any) -> Any:
            seen.append((request.clientHost, request.isSecure()))
            return real(request, slot)

        self.patch(uploads, "receive", receive)
        content = os.urandom(2_000_000)
        slot = await uploads.promise(jid.parse("romeo@localhost"), "très cool.png", len(content), "image/png", None)
        url = uploads.url(uploads.baseURL("localhost"), slot.upload)
        await deferToThread(self.putAndGet, url, slot.token, content)
        self.assertEqual(seen, [("127.0.0.1", True)])
        self.assertNotIn(slot.upload.id, (self.folder / "access.log").read_text())

    def putAndGet(self, url: str, token: str, content: bytes) -> None:
        """What the client does, in a thread."""
        # Whoever says so is not believed.
        headers = {"Host": HOST, "Authorization": f"Bearer {token}", "X-Forwarded-For": "192.0.2.1"}
        for method, body, more, status, expected in (
            ("PUT", content + b"x", {}, 413, None), ("PUT", content, {"Content-Type": "image/png"}, 201, None),
            ("GET", None, {}, 200, content), ("GET", None, {"Range": "bytes=5-9"}, 206, content[5:10]),
        ):  # fmt: skip
            connection = HTTPSConnection("127.0.0.1", self.port, context=self.trusting, timeout=30)
            connection.request(method, urlsplit(url).path, body, {**headers, **more})
            response = connection.getresponse()
            found = response.read()
            connection.close()
            self.assertEqual(response.status, status)
            self.assertIn(expected, (None, found))


class StreamTests(NginxCase):
    """Streams of browsers, and their discovery."""

    def configuration(self) -> str:
        """The locations of the page, in a server block."""
        locations = configurationOf("operating.md")
        files = f"ssl_certificate /etc/ssl/{HOST}.crt; ssl_certificate_key /etc/ssl/{HOST}.key;"
        return f"server {{ listen 443 ssl; {files} {locations} }}"

    async def test_streams(self) -> None:
        """BOSH keeps a request waiting, and WebSocket begins; the server knows the client and TLS."""
        await deferToThread(self.useBOSH)
        components: Any = self.server.server.components
        [stream] = components.streams.streams
        self.assertEqual((stream.address, stream.secure), ("127.0.0.1", True))
        await deferToThread(self.useOthers)

    def useBOSH(self) -> None:
        """Log in, and wait for something, in a thread."""
        client = BOSHClient(self.port, HTTPSConnection("127.0.0.1", self.port, context=self.trusting, timeout=30))
        self.addCleanup(client.close)
        self.assertIn("romeo@localhost/", client.login("romeo"))
        self.assertEqual(client.ask("<presence xmlns='jabber:client'/>").names, ["presence"])
        self.assertEqual(client.ask(pause=100).attributes, {})

    def useOthers(self) -> None:
        """Begin a stream over WebSocket, and discover both, in a thread."""
        for path, headers, status, expected in (
            ("/xmpp-websocket", HANDSHAKE, 101, ""),
            ("/.well-known/host-meta", {}, 200, f"href='https://{HOST}/http-bind'"),
            ("/.well-known/host-meta.json", {}, 200, f'"wss://{HOST}/xmpp-websocket"'),
        ):  # fmt: skip
            connection = HTTPSConnection("127.0.0.1", self.port, context=self.trusting, timeout=30)
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            self.assertEqual(response.status, status)
            if status == 200:
                self.assertIn(expected, response.read().decode())
            connection.close()
