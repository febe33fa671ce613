# Copyright (c) The muccore authors. See LICENSE for details.
"""
Moving from Prosody and from ejabberd by the commands of C{docs/moving.md}: what slixmpp clients have made there over
TLS, they find here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.configuration import ENCRYPTED, ENVIRONMENT
from tests.endtoend.peers import Ejabberd, PeerServer, Prosody
from tests.endtoend.serverdata import DOMAIN, LATER, PASSWORDS, REASON, TYBALT, OldServer, Server
from tests.endtoend.serverprocess import CLEAN, ServerProcess
from tests.endtoend.slixmppthread import AsyncioThread

_MOVING: Final = Path(__file__).resolve().parents[2] / "docs" / "moving.md"
_FORM: Final = "muc#roomconfig_"
_SETTINGS: Final[Mapping[str, Any]] = {
    f"{_FORM}roomname": "The <orchard>", f"{_FORM}roomdesc": 'By the "wall"', f"{_FORM}lang": "it",
    f"{_FORM}membersonly": True, f"{_FORM}persistentroom": True, f"{_FORM}publicroom": True,
    f"{_FORM}changesubject": True, f"{_FORM}whois": "anyone",
}  # fmt: skip
_SECRET: Final[Mapping[str, Any]] = {
    f"{_FORM}roomsecret": 's3cret \\ "ü"', f"{_FORM}moderatedroom": True, f"{_FORM}persistentroom": True,
    f"{_FORM}publicroom": False, f"{_FORM}whois": "moderators", f"{_FORM}changesubject": False,
    f"{_FORM}presencebroadcast": ["moderator", "participant"],
}  # fmt: skip


class _MovingTests(TestCase):
    """From one server to muccore."""

    timeout = 240

    def setUp(self) -> None:
        """Configure muccore."""
        self.thread = AsyncioThread(self)
        self.server = ServerProcess(
            self, c2s=ENCRYPTED, auth={"backend": "sqlite:muccore.db"},
            storage={"affiliations": "sqlite:muccore.db", "archive": "sqlite:archive.db"},
        )  # fmt: skip

    def commands(self, heading: str) -> list[str]:
        """The commands under a heading, block by block."""
        section = _MOVING.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
        return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)

    async def execute(self, commands: str, peer: PeerServer) -> str:
        """
        Run commands in a shell, below the folder of the old server, as the user of the test; return what they print.
        """
        os.makedirs(peer.file("root/var/lib/muccore"), exist_ok=True)
        os.makedirs(peer.file("root/var/tmp"), exist_ok=True)
        ctl = f"{sys.executable} -m muccore.operations.ctl"
        commands = commands.replace("runuser -u muccore -- ", "").replace("/opt/muccore/bin/muccorectl", ctl)
        commands = commands.replace("/etc/muccore/server.cfg", self.server.path)
        commands = re.sub(r"(?<= )/(?=var\b)", f"{peer.file('root')}/", commands)
        commands = peer.adapted(commands)
        done = await deferToThread(
            subprocess.run, ["sh", "-e", "-c", commands], env=ENVIRONMENT, capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return str(done.stdout)

    async def assertSame(self, before: dict[str, Any]) -> None:
        """Start muccore, and check that everybody finds what they had."""
        await self.server.start()
        new = Server(self.thread, self.server.port, self.server.certificate)
        after = await self.thread.run(new.look())
        for what, found in before.items():
            self.assertEqual(after[what], found, what)
        waiting = await self.thread.run(new.wake())
        self.assertEqual(waiting, ([LATER], [("presence_subscribe", "romeo@localhost")]))
        self.assertEqual(await self.server.stop(), CLEAN)
        self.assertEqual(self.server.unexpectedLines, [])


class ProsodyTests(_MovingTests):
    """From Prosody."""

    skip = Prosody.missing()

    async def test_moving(self) -> None:
        """Everything comes, even if it is tried before."""
        peer = Prosody(self)
        peer.register(PASSWORDS)
        peer.start()
        old = OldServer(self.thread, peer.port, peer.certificate)
        await self.thread.run(old.makeEverything(_SETTINGS, _SECRET))
        before = await self.thread.run(old.look())
        trial, move = self.commands("Moving from Prosody")
        counts = "3 accounts, 2 rooms and 6 messages in archives"
        self.assertEqual(await self.execute(trial, peer), f"{counts} would come\n")
        peer.stop()
        self.assertEqual(await self.execute(move, peer), f"{counts} came\n")
        await self.assertSame(before)


class EjabberdTests(_MovingTests):
    """From ejabberd."""

    skip = Ejabberd.missing()

    async def test_moving(self) -> None:
        """Everything comes, reasons included."""
        peer = Ejabberd(self)
        peer.start()
        peer.register(PASSWORDS)
        old = OldServer(self.thread, peer.port, peer.certificate, "conference.localhost")
        settings = {**_SETTINGS, f"{_FORM}moderatedroom": False}
        # There, newcomers of a moderated room have voice by default.
        secret = {**_SECRET, f"{_FORM}passwordprotectedroom": True, "members_by_default": False}
        await self.thread.run(old.makeEverything(settings, secret))
        before = await self.thread.run(old.look())
        self.assertEqual(before["affiliates"][0][TYBALT], ("outcast", REASON))
        self.assertEqual(before["affiliates"][1][DOMAIN], ("outcast", REASON))
        export, trial, move = self.commands("Moving from ejabberd")
        await self.execute(export, peer)
        peer.stop()
        counts = "3 accounts, 2 rooms and 7 messages in archives"
        self.assertTrue((await self.execute(trial, peer)).startswith(f"{counts} would come\n"))
        self.assertTrue((await self.execute(move, peer)).startswith(f"{counts} came\n"))
        await self.assertSame(before)
