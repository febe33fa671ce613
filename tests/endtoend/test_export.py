# Copyright (c) The muccore authors. See LICENSE for details.
"""An export of a server that runs, imported by another one."""

from __future__ import annotations

import os
import stat

from twisted.trial.unittest import TestCase

from muccore.testing.scansion.language import ClientDefinition
from muccore.xmpp import ns
from tests.configuration import ENCRYPTED
from tests.endtoend.archivereading import archivedIds, idIn
from tests.endtoend.clients import ROOM, RoomClient, bodyOf, bounded, openConnection
from tests.endtoend.serverprocess import CLEAN, ServerProcess, ctl

STORAGE = {"affiliations": "sqlite:rooms.db", "archive": "sqlite:archive.db"}
PASSWORD = "r0m30"


class ExportTests(TestCase):
    """Two accounts, with a room in which they talk."""

    timeout = 300

    def server(self) -> ServerProcess:
        """A server with accounts in a database."""
        return ServerProcess(
            self, c2s=ENCRYPTED, auth={"backend": "sqlite:accounts.db"}, storage=STORAGE, muc={"default_archive": "yes"}
        )

    async def logIn(self, server: ServerProcess, user: str) -> RoomClient:
        """Log in under TLS, with SCRAM."""
        client = await openConnection(self, server.port)
        await bounded(client.login(ClientDefinition(user, f"{user}@localhost", PASSWORD, "r"), False))
        return client

    async def test_movedElsewhere(self) -> None:
        """Users log in to the other server as before, and find their room, its members and what was said."""
        first = self.server()
        await first.start()
        for user in ("romeo", "juliet"):
            self.assertEqual((await ctl(first, "adduser", user, password=PASSWORD))[0], 0)
        romeo, juliet = [await self.logIn(first, user) for user in ("romeo", "juliet")]
        await bounded(romeo.enter("romeo"))
        await bounded(romeo.configure(persistentroom="1"))
        items = (
            "<item affiliation='member' jid='juliet@localhost'/>"
            "<item affiliation='outcast' jid='tybalt@capulet.lit'><reason>a villain</reason></item>"
        )
        await bounded(romeo.request("set", f"<query xmlns='{ns.MUC_ADMIN}'>{items}</query>"))
        await bounded(juliet.enter("juliet"))
        said = []
        for number in range(30):
            romeo.sendToRoom(f"line {number}")
            heard = await bounded(juliet.until(lambda element, text=f"line {number}": bodyOf(element) == text))
            said.append(idIn(heard))
        path = first.file("data.xml")
        status, out, err = await ctl(first, "export", path)
        self.assertEqual((status, err), (0, ""))
        self.assertIn("2 accounts, 1 rooms, ", out)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        # The server goes on.
        romeo.sendToRoom("later")
        await bounded(juliet.until(lambda element: bodyOf(element) == "later"))
        other = self.server()
        status, out, err = await ctl(other, "import", path)
        self.assertEqual((status, err), (0, ""))
        self.assertIn("2 accounts, 1 rooms and ", out)
        await other.start()
        moved = await self.logIn(other, "romeo")
        await bounded(moved.enter("romeo"))
        self.assertEqual(await bounded(moved.affiliates("member")), {"juliet@localhost"})
        self.assertEqual(await bounded(moved.affiliates("outcast")), {"tybalt@capulet.lit"})
        found = [id for id in await archivedIds(moved, ROOM) if id in said]
        # Of the last moment, the server may not have committed everything.
        self.assertEqual(found, said[: len(found)])
        self.assertGreater(len(found), 0)
        status, _, err = await ctl(other, "import", path, "--existing", "skip")
        self.assertEqual((status, err), (1, "muccorectl: the server is running; stop it first\n"))
        for server in (first, other):
            self.assertEqual(await server.stop(), CLEAN)
            self.assertEqual(server.unexpectedLines, [])
