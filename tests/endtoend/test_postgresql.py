# Copyright (c) The muccore authors. See LICENSE for details.
"""A whole server whose accounts and rooms are in PostgreSQL."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from muccore.testing.scansion.client import ClientFailed
from muccore.xmpp import ns
from tests.configuration import ENCRYPTED
from tests.endtoend.archivereading import archivedIds, idIn
from tests.endtoend.clients import ROOM, RoomClient, bounded, logIn
from tests.endtoend.serverprocess import CLEAN, ServerProcess, ctl
from tests.storage.postgres import USER, missing, stoppable


class PostgreSQLTests(TestCase):
    """Restarts of the server and of PostgreSQL."""

    timeout = 120
    skip = missing()

    async def setUp(self) -> None:
        """Start both; Romeo and Juliet have accounts."""
        self.postgres = stoppable()
        database = self.postgres.emptyDatabase(self).options["dbname"]
        place = f"postgresql://{USER}:s3cret@127.0.0.1:{self.postgres.port}/{database}"
        storage = {"affiliations": place, "archive": f"{place}?journal=var/archive"}
        self.server = ServerProcess(self, c2s=ENCRYPTED, auth={"backend": place}, storage=storage)
        await self.server.start()
        for name in ("romeo", "juliet"):
            self.assertEqual((await ctl(self.server, "adduser", name, password="secret"))[0], 0)

    async def enter(self, name: str) -> tuple[RoomClient, str | None]:
        """Let a user enter the room, and return the type of the answer."""
        client = await logIn(self, self.server.port, name, "secret")
        answer = await bounded(client.enter(name))
        return client, answer.get("type")

    async def enterAtLast(self, name: str) -> RoomClient:
        """Let a user enter the room as soon as PostgreSQL is there for the server."""
        while True:
            try:
                client, refusal = await self.enter(name)
                if refusal is None:
                    return client
            except ClientFailed:
                await deferLater(reactor, 0.1)

    async def affiliate(self, owner: RoomClient, name: str) -> str | None:
        """Make somebody a member; return the type of the answer."""
        item = f"<item jid='{name}@localhost' affiliation='member'/>"
        answer = await bounded(owner.request("set", f"<query xmlns='{ns.MUC_ADMIN}'>{item}</query>"))
        return answer.get("type")

    async def test_restarts(self) -> None:
        """
        A room for members survives a restart of the server. While PostgreSQL is stopped, changes are refused and the
        room goes on; afterwards they are made again.
        """
        romeo, _ = await self.enter("romeo")
        await bounded(romeo.configure(membersonly="1", persistentroom="1"))
        self.assertEqual(await self.affiliate(romeo, "mercutio"), "result")
        self.assertEqual(await self.server.stop(), CLEAN)
        await self.server.start()
        self.assertEqual((await self.enter("juliet"))[1], "error")
        romeo, refusal = await self.enter("romeo")
        self.assertIsNone(refusal)
        self.assertEqual(await bounded(romeo.affiliates("member")), {"mercutio@localhost"})
        self.postgres.stop()
        self.assertEqual(await self.affiliate(romeo, "juliet"), "error")
        romeo.sendToRoom("still here")
        await bounded(romeo.until(lambda e: e.findtext(f"{{{ns.CLIENT}}}body") == "still here"))
        self.postgres.start()
        while await self.affiliate(romeo, "juliet") == "error":
            await deferLater(reactor, 0.1)
        self.assertIsNone((await self.enter("juliet"))[1])
        self.assertNotIn("s3cret", self.server.output)

    async def test_unreachableAtStart(self) -> None:
        """
        The server starts without PostgreSQL, and refuses log-ins for now. When PostgreSQL is there, users log in and
        enter rooms.
        """
        romeo, _ = await self.enter("romeo")
        await bounded(romeo.configure(membersonly="1", persistentroom="1"))
        self.assertEqual(await self.server.stop(), CLEAN)
        self.postgres.stop()
        await self.server.start()
        for _ in range(2):
            with self.assertRaisesRegex(ClientFailed, "temporary-auth-failure"):
                await logIn(self, self.server.port, "romeo", "secret")
        status, _, errors = await ctl(self.server, "adduser", "nurse", password="secret")
        self.assertEqual((status, "check that PostgreSQL runs" in errors), (1, True), errors)
        self.postgres.start()
        romeo = await self.enterAtLast("romeo")
        self.assertEqual((await self.enter("juliet"))[1], "error")
        self.assertEqual(await self.affiliate(romeo, "juliet"), "result")
        self.assertIsNone((await self.enter("juliet"))[1])
        self.assertNotIn("Traceback", self.server.output)
        for line in ("requests fail until it is there", "it is there again"):
            self.assertEqual(self.server.output.count(line), 1, line)

    async def test_archive(self) -> None:
        """
        What was said while PostgreSQL was stopped, before the server was killed, is in the archive of the room when
        both run again.
        """
        romeo, _ = await self.enter("romeo")
        await bounded(romeo.configure(persistentroom="1", enablelogging="1"))
        self.postgres.stop()
        said = []
        for n in range(5):
            romeo.sendToRoom(f"said {n}")
            found = romeo.until(lambda e, text=f"said {n}": e.findtext(f"{{{ns.CLIENT}}}body") == text)
            said.append(idIn(await bounded(found)))
        await self.server.logged("messages wait in the journal")
        self.server.signal("KILL")
        await self.server.ended()
        await self.server.start()
        self.postgres.start()
        await self.server.logged("that had to wait are in the archives")
        romeo = await self.enterAtLast("romeo")
        romeo.stanzas.clear()
        self.assertEqual((await archivedIds(romeo, ROOM))[-5:], said)
