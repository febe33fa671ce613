# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.external.pam} and its helper, with the real libpam."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase

import muccore
from muccore.interfaces import BadDescription, StoreUnavailable
from muccore.storage.external import pam, pamhelper
from muccore.storage.external.pam import PAMAuth, makePAMAuth
from muccore.storage.external.program import helper
from muccore.testing.contracts import AuthBackendContract
from tests.storage.external.pamservices import PASSWORDS, SKIP, environment

JULIET, RIGHT = "juliet@localhost", PASSWORDS["juliet"]

_ACCEPT = """
import socket, subprocess, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen()
while True:
    connection, _ = listening.accept()
    with connection:
        subprocess.Popen(sys.argv[2:], stdin=connection, stdout=connection)
"""
"""What systemd does for a socket with C{Accept=yes}."""


class PAMTestCase(TestCase):
    """Tests with services of PAM."""

    timeout = 60
    skip = SKIP

    def setUp(self) -> None:
        """Write services."""
        super().setUp()
        self.folder = os.path.abspath(self.mktemp())
        os.makedirs(self.folder)
        self.patch(os, "environ", {**os.environ, **environment(self.folder)})

    async def opened(self, service: str, *options: str) -> PAMAuth:
        """Open a backend."""
        accounts = makePAMAuth("\n".join((service, "processes = 1", *options)), FilePath(self.folder), reactor)
        accounts.probe()
        await accounts.open()
        self.addCleanup(accounts.close)
        return accounts


class PAMTests(PAMTestCase):
    """L{PAMAuth}"""

    async def test_answers(self) -> None:
        """The password and the account are checked; who may not be asked about does not exist."""
        accounts = await self.opened("xmpp")
        self.assertIs(await accounts.checkPassword("romeo@localhost", PASSWORDS["romeo"]), True)
        self.assertIs(await accounts.checkPassword("romeo@localhost", RIGHT), False)
        self.assertIs(await accounts.checkPassword("tybalt@localhost", RIGHT), False)
        self.assertIs(await accounts.hasAccount(JULIET), True)
        self.assertIs(await accounts.hasAccount("tybalt@localhost"), False)

    async def test_accountRefused(self) -> None:
        """A right password is not enough if the account must not be used, nor an account without a password."""
        for service in ("noentry", "denied"):
            accounts = await self.opened(service)
            self.assertIs(await accounts.checkPassword(JULIET, RIGHT), False)

    async def test_broken(self) -> None:
        """What PAM cannot tell is no refusal."""
        for service, reason in (("broken", "Module is unknown"), ("twice", "it asks for more than a password")):
            accounts = await self.opened(service)
            with self.assertRaisesRegex(StoreUnavailable, f"pam:{service}: {reason}"):
                await accounts.checkPassword(JULIET, RIGHT)

    async def test_socket(self) -> None:
        """PAM can be asked by a process of another user, behind a socket; one that ends is started again."""
        # The path of a socket has at most 107 bytes.
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "pam.sock")
        command = [sys.executable, "-c", _ACCEPT, path, *helper("pamhelper"), "xmpp"]
        listening = subprocess.Popen(command, env=os.environ)
        self.addCleanup(listening.wait)
        self.addCleanup(listening.kill)
        while not os.path.exists(path):
            await deferLater(reactor, 0.05)
        accounts = await self.opened("xmpp", f"socket = {path}")
        self.assertIs(await accounts.checkPassword(JULIET, RIGHT), True)
        self.assertIs(await accounts.checkPassword(JULIET, "wrong"), False)
        self.assertIs(await accounts.hasAccount(JULIET), True)


class ContractTests(AuthBackendContract, PAMTestCase):
    """The contract."""

    password = RIGHT

    def makeStore(self, place: FilePath[str]) -> Any:
        """See L{AuthBackendContract}."""
        # The wrapper has few names for the folder of a process.
        return makePAMAuth("xmpp\nprocesses = 1", place, reactor)


class DescriptionTests(SynchronousTestCase):
    """L{makePAMAuth}"""

    def test_refused(self) -> None:
        """A service is a name, not a path."""
        for name in ("", "../passwd", "a b", "-x", "a/b"):
            self.assertRaises(BadDescription, makePAMAuth, name, FilePath("/"), reactor)

    def test_probe(self) -> None:
        """The preflight finds a service that is not configured, and a socket that is missing."""
        folder = FilePath(self.mktemp())
        folder.makedirs()
        self.patch(pam, "SERVICES", (folder.path,))
        accounts = makePAMAuth("xmpp", FilePath("/"), reactor)
        with self.assertRaisesRegex(StoreUnavailable, f"write {folder.path}/xmpp"):
            accounts.probe()
        folder.child("xmpp").setContent(b"")
        accounts.probe()
        accounts = makePAMAuth(f"xmpp\nsocket = {folder.child('xmpp').path}", FilePath("/"), reactor)
        with self.assertRaisesRegex(StoreUnavailable, "no such socket"):
            accounts.probe()

    def test_arguments(self) -> None:
        """The helper says what it needs, and fails."""
        for arguments in ([], ["a", "b"], ["--connect", "/nowhere/s"]):
            self.assertRegex(pamhelper.main(arguments) or "", "^pamhelper: ")


class UnitTests(SynchronousTestCase):
    """The units of systemd."""

    def test_verified(self) -> None:
        """systemd accepts them without a warning."""
        command = shutil.which("systemd-analyze")
        if command is None:
            raise SkipTest("systemd-analyze, of Debian's package systemd, is not installed")
        source = os.path.join(os.path.dirname(os.path.dirname(muccore.__file__)), "etc")
        folder = self.mktemp()
        os.makedirs(folder)
        copies = []
        for name in ("muccore-pam.socket", "muccore-pam@.service"):
            with open(os.path.join(source, name)) as file:
                text = file.read().replace("/opt/muccore/bin/python", sys.executable)
            # An account of this machine.
            text = text.replace("SocketUser=muccore", "SocketUser=root")
            copies.append(os.path.join(folder, name))
            with open(copies[-1], "w") as file:
                file.write(text)
        done = subprocess.run([command, "verify", "--man=no", *copies], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
