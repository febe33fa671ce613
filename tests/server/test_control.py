# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.server.control}, L{controlsocket<muccore.server.controlsocket>} and what is done by them."""

from __future__ import annotations

import json
import os
import socket
import stat
from typing import Any

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from muccore.config.errors import ConfigError
from muccore.config.load import load
from muccore.operations.controlclient import ServerConnection
from muccore.operations.refused import Refused
from muccore.server import control, controlsocket
from muccore.server.service import MUCCoreService
from muccore.testing.server import makeSettings
from tests.server.accountserver import PASSWORD, AccountServerTestCase


class PathTests(SynchronousTestCase):
    """Where the socket is."""

    def test_path(self) -> None:
        """Beside the database of the rooms, or where the configuration says; nowhere if rooms are in memory."""
        for keys, expected in (
            ({"storage": {"affiliations": "memory:"}}, None),
            ({"storage": {"affiliations": "sqlite:a/rooms.db"}}, "/etc/x/a/rooms.db-control"),
            ({"storage": {"affiliations": "sqlite:/var/rooms.db"}}, "/var/rooms.db-control"),
            ({"storage": {"affiliations": "sqlite:a.db"}, "server": {"control_socket": "run/c"}}, "/etc/x/run/c"),
        ):
            self.assertEqual(controlsocket.controlPath(makeSettings("/etc/x/server.cfg", **keys)), expected)


class SocketTests(SynchronousTestCase):
    """The socket and the lock."""

    def setUp(self) -> None:
        """Name a socket in a folder whose path is too long for one."""
        folder = os.path.abspath(os.path.join(self.mktemp(), "x" * 120))
        os.makedirs(folder)
        self.path = os.path.join(folder, "control")

    def test_lock(self) -> None:
        """One has the lock, until it is closed; the file can be read by its owner only."""
        first = controlsocket.takeLock(self.path)
        assert first is not None
        self.assertEqual(stat.S_IMODE(os.stat(f"{self.path}.lock").st_mode), 0o600)
        self.assertIsNone(controlsocket.takeLock(self.path))
        first.close()
        again = controlsocket.takeLock(self.path)
        assert again is not None
        again.close()

    def test_socket(self) -> None:
        """It is for its owner, and replaces one that is left; the mask of the process stays."""
        before = os.umask(0o022)
        self.addCleanup(os.umask, before)
        self.assertIsNone(controlsocket.connect(self.path))
        for _ in range(2):
            with controlsocket.listen(self.path) as listening:
                self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
                connection = controlsocket.connect(self.path)
                assert connection is not None
                with connection, listening.accept()[0] as accepted:
                    self.assertTrue(controlsocket.mayUse(accepted))
            # Left: nobody listens.
            self.assertIsNone(controlsocket.connect(self.path))
        self.assertEqual(os.umask(0o022), 0o022)

    def test_noSocket(self) -> None:
        """A file that is no socket is not replaced."""
        with open(self.path, "w") as file:
            file.write("x")
        with self.assertRaises(FileExistsError):
            controlsocket.listen(self.path)
        with open(self.path) as file:
            self.assertEqual(file.read(), "x")

    def test_others(self) -> None:
        """A process of another user may not use it; root may."""
        one, other = socket.socketpair()
        self.addCleanup(one.close)
        self.addCleanup(other.close)
        self.patch(os, "geteuid", lambda: 12345678)
        self.assertEqual(controlsocket.mayUse(one), os.getuid() == 0)


class ControlTests(AccountServerTestCase):
    """Requests to a running server."""

    @property
    def path(self) -> str:
        """The path of its socket."""
        path = controlsocket.controlPath(self.service.settings)
        assert path is not None
        return path

    def connect(self) -> socket.socket:
        """Connect to it."""
        made = controlsocket.connect(self.path)
        assert made is not None
        self.addCleanup(made.close)
        made.settimeout(60)
        return made

    async def request(self, operation: str, **arguments: Any) -> list[str]:
        """Send a request, and wait for the answer."""
        return await deferToThread(ServerConnection(self.connect()).request, operation, **arguments)

    async def refusal(self, operation: str, **arguments: Any) -> str:
        """Send a request that is refused."""
        with self.assertRaises(Refused) as caught:
            await self.request(operation, **arguments)
        return str(caught.exception)

    async def test_accounts(self) -> None:
        """Accounts are added, changed, disabled and deleted; sessions end, and C{passwd} ends none."""
        tybalt = "tybalt@localhost"
        self.assertEqual(await self.request("adduser", account=tybalt, password="x"), [f"{tybalt}: added"])
        client = await self.logIn("tybalt", "x")
        self.assertEqual(await self.request("passwd", account=tybalt, password="y"), [f"{tybalt}: password changed"])
        await self.assertCannotLogIn("tybalt", "x")
        self.assertEqual(len(self.components.sessions.forAccount(tybalt)), 1)
        self.assertEqual(await self.request("disableuser", account=tybalt), [f"{tybalt}: disabled"])
        await self.assertEnded(client)
        await self.assertCannotLogIn("tybalt", "y", "account-disabled")
        self.assertEqual(await self.request("enableuser", account=tybalt), [f"{tybalt}: enabled"])
        client = await self.logIn("tybalt", "y")
        self.assertEqual(await self.request("deluser", account=tybalt), [f"{tybalt}: deleted"])
        await self.assertEnded(client)
        added = await self.request("adduser", account=tybalt, password="z")
        self.assertEqual(added[0], f"{tybalt}: added")
        self.assertIn("removed before", added[1])
        await self.logIn("tybalt", "z")
        self.assertNothingWrong()
        lines = self.logged.lines(LogLevel.info)
        for event in ("account-created", "password-changed", "account-disabled", "account-enabled", "account-removed"):
            self.assertIn(f"{event} by muccorectl: {tybalt}", lines)

    async def test_invite(self) -> None:
        """An invitation is made if the host takes registrations."""
        self.assertIn("[registration] mode", await self.refusal("invite", account="localhost"))
        self.file.configure(registration={"mode": "invited"})
        await self.service.reload()
        [uri] = await self.request("invite", account="localhost")
        self.assertRegex(uri, r"^xmpp:localhost\?register;preauth=[A-Za-z0-9]{24}$")
        [uri] = await self.request("invite", account="tybalt@localhost")
        self.assertRegex(uri, r"^xmpp:tybalt@localhost\?register;preauth=")
        for account in ("tybalt@localhost", "romeo@localhost"):
            self.assertIn("invitation to it", await self.refusal("invite", account=account))

    async def test_refused(self) -> None:
        """What is not possible is refused in a line."""
        for operation, account, words in (
            ("adduser", "romeo@localhost", "exists already"),
            ("checknew", "romeo@localhost", "exists already"),
            ("passwd", "nobody@localhost", "no such account"),
            ("checkuser", "nobody@localhost", "no such account"),
            ("deluser", "nobody@localhost", "no such account"),
            ("disableuser", "nobody@localhost", "no such account"),
            ("deluser", "romeo@example.com", "no accounts there"),
            ("frobnicate", "romeo@localhost", "another version"),
            ("deluser", "@", "does not understand"),
        ):
            self.assertIn(words, await self.refusal(operation, account=account, password="x"), (operation, account))
        self.assertIn("cannot be used", await self.refusal("passwd", account="romeo@localhost", password="\x07"))
        self.assertIn("does not understand", await self.refusal("deluser"))
        self.assertEqual(await self.request("checkuser", account="romeo@localhost"), [])

    async def test_nonsense(self) -> None:
        """What is no request is answered or ended; the server goes on."""
        for data in (b"\n", b"[]\n", b"{\n", b"\xff\n", b'{"operation": []}\n'):
            connection = self.connect()
            answer = await deferToThread(lambda c=connection, d=data: (c.sendall(d), c.makefile("rb").readline())[1])
            self.assertIn("refused", json.loads(answer), data)
        connection = self.connect()
        found = await deferToThread(lambda: (connection.sendall(b"x" * 20_000), connection.makefile("rb").read())[1])
        self.assertEqual(found, b"")
        self.assertEqual(await self.request("checkuser", account="romeo@localhost"), [])

    async def test_tooMany(self) -> None:
        """Connections are limited."""
        for _ in range(control.CONNECTIONS_LIMIT):
            await self.request("checkuser", account="romeo@localhost")
        late = self.connect()
        try:
            found = await deferToThread(lambda: late.makefile("rb").read())
        except ConnectionResetError:
            found = b""
        self.assertEqual(found, b"")

    async def test_end(self) -> None:
        """After the end there is no socket, and the lock is free."""
        path = self.path
        self.assertIsNone(controlsocket.takeLock(path))
        await self.stopServer()
        self.assertFalse(os.path.exists(path))
        lock = controlsocket.takeLock(path)
        assert lock is not None
        lock.close()

    async def test_secondServer(self) -> None:
        """A second server on the same database does not start."""
        self.patch(control, "WAIT", 0.3)
        other = MUCCoreService(load(self.file.path), reactor)
        self.addCleanup(other.stopService)
        other.startService()
        with self.assertRaises(ConfigError) as caught:
            await other.ready
        self.assertIn("another server uses this database", str(caught.exception))
        await self.logIn("romeo", PASSWORD)

    async def test_waits(self) -> None:
        """A start waits for C{muccorectl}."""
        await self.stopServer()
        lock = controlsocket.takeLock(self.path)
        assert lock is not None
        service = MUCCoreService(load(self.file.path), reactor)
        self.addCleanup(service.stopService)
        service.startService()
        await self.accountsPause()
        self.assertFalse(service.ready.called)
        lock.close()
        await service.ready

    async def accountsPause(self) -> None:
        """Let the start try once."""
        from twisted.internet.task import deferLater

        await deferLater(reactor, 0.2)  # type: ignore[arg-type]
