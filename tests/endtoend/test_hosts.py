# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{docs/hosts.md}: its configuration and its commands, and slixmpp clients of both domains."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

from slixmpp import JID
from twisted.trial.unittest import TestCase

from tests.endtoend.serverprocess import CLEAN, ServerProcess, run
from tests.endtoend.slixmppthread import AsyncioThread, Slixmpp

PAGE = Path(__file__).resolve().parents[2] / "docs" / "hosts.md"
ROOM = "balcony@teams.example.net"


class PageTests(TestCase):
    """The page, as somebody follows it."""

    timeout = 120

    def setUp(self) -> None:
        """Write the configuration of the page, for free ports."""
        [configuration], [self.accounts, self.start, self.certificates] = (
            re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL) for language in ("ini", "sh")
        )
        self.server = ServerProcess(self)
        Path(self.server.path).write_text(re.sub(r"tcp:522[23]:", "tcp:0:", configuration))
        self.thread = AsyncioThread(self)

    async def shell(self, commands: str) -> list[str]:
        """Run commands in the folder of the configuration; return the lines of their output."""
        commands = commands.replace("muccorectl", f"{shlex.quote(sys.executable)} -m muccore.operations.ctl")
        status, out, err = await run("/bin/sh", "-e", "-c", commands, folder=self.server.folder)
        self.assertEqual((status, err), (0, ""))
        return out.splitlines()

    async def test_page(self) -> None:
        """The commands do what the page says, and a room connects users of both domains."""
        self.assertEqual(
            await self.shell(self.accounts),
            ["juliet@example.org: added", "romeo@example.net: added", "juliet@example.org", "romeo@example.net"],
        )
        await self.server.start(*shlex.split(self.start)[1:])
        commands = self.certificates
        for documented, port in ((":5222", self.server.port), (":5223", self.server.directPort)):
            commands = commands.replace(documented, f":{port}")
        shown = [line.replace(" ", "") for line in await self.shell(commands)]
        self.assertEqual(shown, [f"subject=CN={domain}" for domain in ("example.net", "example.net", "example.org")])
        await self.thread.run(self.talk())
        self.assertEqual(await self.server.stop(), CLEAN)
        self.assertEqual(self.server.unexpectedLines, [])

    async def logIn(self, jid: str, direct: bool) -> Slixmpp:
        """Log a client in that trusts the certificate of its domain only. For asyncio."""
        client = Slixmpp(self.thread, jid, "secret")
        certificate = self.server.file(f"tls/{jid.partition('@')[2]}.crt")
        port = self.server.directPort if direct else self.server.port
        self.assertEqual(await client.logIn(port, certificate, direct=direct), "session_start")
        return client

    async def talk(self) -> None:
        """Let users of both domains talk in a room."""
        for direct in (False, True):
            romeo, juliet = [await self.logIn(jid, direct) for jid in ("romeo@example.net", "juliet@example.org")]
            await romeo.room.join_muc_wait(JID(ROOM), "Romeo")
            await romeo.room.set_room_config(ROOM, self.submitted(await romeo.room.get_room_config(ROOM)))
            await juliet.room.join_muc_wait(JID(ROOM), "Juliet")
            for sender, nick, text in ((romeo, "Romeo", "But, soft!"), (juliet, "Juliet", "Ay me!")):
                sender.send_message(ROOM, text, mtype="groupchat")
                for client in (romeo, juliet):
                    self.assertEqual(await client.nextMessage(), (nick, text))
            for client in (juliet, romeo):
                client.disconnect()
                await client.gone

    def submitted(self, form: Any) -> Any:
        """A form with its values, to be sent."""
        values = form["values"]
        form["type"] = "submit"
        form["values"] = values
        return form
