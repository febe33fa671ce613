# Copyright (c) The muccore authors. See LICENSE for details.
"""Logins of slixmpp, over TLS, with accounts that are elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from twisted.internet import reactor
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.trial.unittest import TestCase
from twisted.web.server import Site

from tests.certificates import makeCertificate
from tests.configuration import ENCRYPTED
from tests.endtoend.serverprocess import CLEAN, ServerProcess, ctl
from tests.endtoend.slixmppthread import AsyncioThread, Slixmpp
from tests.storage.external import checker, pamservices, slapd
from tests.storage.external.test_webservice import PASSWORDS, Service


class ExternalAccountTests(TestCase):
    """Accounts elsewhere, a server that asks for them, and a client."""

    timeout = 120

    async def assertLogIns(
        self, backend: str, user: str, password: str, environment: Mapping[str, str] | None = None
    ) -> ServerProcess:
        """Check that a user logs in with their password only, by STARTTLS and direct TLS; return the server."""
        server = ServerProcess(self, c2s=ENCRYPTED, auth={"backend": backend}, storage={"affiliations": "sqlite:r.db"})
        server.environment = {**server.environment, **(environment or {})}
        await server.start()
        thread = AsyncioThread(self)

        async def logIns() -> None:
            for right, direct in ((True, False), (False, False), (True, True)):
                client = Slixmpp(thread, user, password if right else f"{password}x")
                port = server.directPort if direct else server.port
                outcome = await client.logIn(port, server.certificate, direct)
                if right:
                    self.assertEqual(outcome, "session_start", server.output)
                    # What its user stores is where rooms are.
                    await client["xep_0045"].xmpp.get_roster()
                else:
                    self.assertEqual(client.failures, ["not-authorized"], server.output)

        await thread.run(logIns())
        self.assertNotIn(password, server.output)
        self.assertEqual(server.unexpectedLines, [])
        status, out, err = await ctl(server, "adduser", user, password="x")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("which only checks passwords", err)
        return server

    async def test_program(self) -> None:
        """With a program."""
        log = os.path.abspath(f"{self.mktemp()}.log")
        backend = f"program:{sys.executable} {checker.__file__} {log}\n    processes = 1"
        server = await self.assertLogIns(backend, "juliet", checker.PASSWORDS["juliet@localhost"])
        self.assertEqual(await server.stop(), CLEAN)

    async def test_webService(self) -> None:
        """With a web service, under TLS."""
        folder = os.path.abspath(self.mktemp())
        os.makedirs(folder)
        certificate, key = makeCertificate(folder)
        listen: Any = reactor
        context = DefaultOpenSSLContextFactory(key, certificate)
        port = listen.listenSSL(0, Site(Service()), context, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        backend = f"https://localhost:{port.getHost().port}/xmpp\n    ca = {certificate}"
        server = await self.assertLogIns(backend, "juliet", PASSWORDS["juliet", "localhost"])
        self.assertEqual(await server.stop(), CLEAN)

    async def test_pam(self) -> None:
        """With PAM."""
        folder = os.path.abspath(self.mktemp())
        os.makedirs(folder)
        variables = pamservices.environment(folder)
        backend = "pam:xmpp\n    processes = 1"
        server = await self.assertLogIns(backend, "juliet", pamservices.PASSWORDS["juliet"], variables)
        self.assertEqual(await server.stop(), CLEAN)

    test_pam.skip = pamservices.SKIP  # type: ignore[attr-defined]

    async def test_directory(self) -> None:
        """With a directory, and StartTLS."""
        directory = slapd.Slapd(self)
        await directory.start()
        secret = f"{self.mktemp()}.secret"
        with open(secret, "w") as file:
            file.write(slapd.ADMIN_PASSWORD)
        lines = [
            f"ldap://127.0.0.1:{directory.port}", f"ca = {directory.certificate}", f"base = {slapd.BASE}",
            f"bind_dn = {slapd.ADMIN}", f"password = {os.path.abspath(secret)}", "processes = 1",
        ]  # fmt: skip
        server = await self.assertLogIns("\n    ".join(lines), "juliet", slapd.PASSWORDS["juliet"])
        self.assertEqual(await server.stop(), CLEAN)

    test_directory.skip = slapd.SKIP  # type: ignore[attr-defined]
