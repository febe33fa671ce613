# Copyright (c) The muccore authors. See LICENSE for details.
"""A back-up of a busy server, restored elsewhere."""

from __future__ import annotations

import os
import stat

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import LoopingCall
from twisted.trial.unittest import TestCase

from muccore.xmpp import ns
from tests.endtoend.archivereading import archivedIds, idIn
from tests.endtoend.clients import ROOM, RoomClient, bounded, logIn
from tests.endtoend.serverprocess import CLEAN, TIMEOUT, ServerProcess, ctl

STORAGE = {"affiliations": "sqlite:rooms.db", "archive": "sqlite:archive.db"}


class BusyBackupTests(TestCase):
    """Three people talk and change affiliations."""

    timeout = 600

    async def setUp(self) -> None:
        """Start a server that archives what is said, with a room."""
        self.server = ServerProcess(self, storage=STORAGE, muc={"default_archive": "yes"})
        await self.server.start()
        self.owner = await self.enter(self.server, "owner")
        await bounded(self.owner.configure(persistentroom="1"))
        self.others = await gatherResults([bounded(self.enter(self.server, f"user{n}")) for n in range(2)])

    async def enter(self, server: ServerProcess, user: str) -> RoomClient:
        """Let somebody enter the room."""
        client = await logIn(self, server.port, user)
        await bounded(client.enter(user))
        return client

    def talk(self) -> None:
        """Let everybody say something, and the owner make somebody a member."""
        self.members += 1
        for client in (self.owner, *self.others):
            client.sendToRoom(f"round {self.members}")
        member = f"<item affiliation='member' jid='member{self.members}@localhost'/>"
        query = f"<query xmlns='{ns.MUC_ADMIN}'>{member}</query>"
        self.owner.send(f"<iq type='set' to='{ROOM}' id='m{self.members}'>{query}</iq>")

    async def hear(self, count: int) -> None:
        """Wait until the owner has received so many more stanzas."""
        until = len(self.owner.stanzas) + count
        while len(self.owner.stanzas) < until:
            await self.owner.changed().addTimeout(TIMEOUT, reactor)

    def announced(self) -> tuple[list[str], set[str]]:
        """The ids of the messages that the owner has received, and the members whom the room has confirmed."""
        messages = [id for each in self.owner.stanzas if (id := idIn(each)) is not None]
        results = {str(each.get("id")) for each in self.owner.stanzas if each.get("type") == "result"}
        return messages, {f"member{id[1:]}@localhost" for id in results if id.startswith("m")}

    async def test_restoredElsewhere(self) -> None:
        """
        Back-ups are made while the server goes on; in another place, each has every message and every affiliation that
        somebody had been told of before it was begun.
        """
        self.members = 0
        talking = LoopingCall(self.talk)
        talking.start(0.01)
        self.addCleanup(lambda: talking.running and talking.stop())
        backups = []
        for number in range(3):
            await self.hear(100)
            announced = self.announced()
            path = self.server.file(f"back-up-{number}")
            status, out, err = await ctl(self.server, "backup", path)
            self.assertEqual((status, err), (0, ""), err)
            self.assertIn("accounts of localhost: in insecure:", out)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            backups.append((path, announced))
        before = len(self.owner.stanzas)
        await self.hear(100)
        self.assertGreater(len(self.owner.stanzas), before)
        status, _, err = await ctl(self.server, "restore", backups[0][0])
        self.assertEqual((status, err), (1, "muccorectl: the server is running; stop it first\n"))
        talking.stop()
        self.assertEqual(await self.server.stop(), CLEAN)
        self.assertEqual(self.server.unexpectedLines, [])
        for path, (messages, members) in backups:
            self.assertGreater(len(messages), 0)
            self.assertGreater(len(members), 0)
            elsewhere = ServerProcess(self, storage=STORAGE, muc={"default_archive": "yes"})
            status, _, err = await ctl(elsewhere, "restore", path)
            self.assertEqual((status, err), (0, ""))
            await elsewhere.start()
            reader = await self.enter(elsewhere, "owner")
            found = await archivedIds(reader, ROOM)
            self.assertEqual(found[: len(messages)], messages)
            self.assertEqual(members - await bounded(reader.affiliates("member")), set())
            reader.abort()
            self.assertEqual(await elsewhere.stop(), CLEAN)
            self.assertEqual(elsewhere.unexpectedLines, [])
