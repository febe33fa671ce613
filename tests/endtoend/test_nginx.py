# Copyright (c) The muccore authors. See LICENSE for details.
"""Uploads behind nginx, with the configuration of docs/uploads.md."""

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

NGINX: Final = shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "uploads.md"
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


class NginxTests(TestCase):
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
            http={"listen": "tcp:0:interface=127.0.0.1", "trusted_proxies": "127.0.0.1"},
            upload={"store": "files:uploads", "public_url": f"https://{HOST}"},
        )
        self.addCleanup(self.server.stop)
        self.port = freePort()
        found = re.search("```nginx\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
        assert found is not None
        text = found[1]
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
        trusting = ssl.create_default_context(cafile=self.certificate)
        trusting.check_hostname = False
        # Whoever says so is not believed.
        headers = {"Host": HOST, "Authorization": f"Bearer {token}", "X-Forwarded-For": "192.0.2.1"}
        for method, body, more, status, expected in (
            ("PUT", content + b"x", {}, 413, None), ("PUT", content, {"Content-Type": "image/png"}, 201, None),
            ("GET", None, {}, 200, content), ("GET", None, {"Range": "bytes=5-9"}, 206, content[5:10]),
        ):  # fmt: skip
            connection = HTTPSConnection("127.0.0.1", self.port, context=trusting, timeout=30)
            connection.request(method, urlsplit(url).path, body, {**headers, **more})
            response = connection.getresponse()
            found = response.read()
            connection.close()
            self.assertEqual(response.status, status)
            self.assertIn(expected, (None, found))
