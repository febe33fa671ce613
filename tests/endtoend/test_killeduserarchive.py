# Copyright (c) The muccore authors. See LICENSE for details.
"""C{kill -9}, and the archives of those who talked."""

from __future__ import annotations

import signal

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import LoopingCall
from twisted.trial.unittest import TestCase

from muccore.xmpp import ns
from tests.endtoend.archivereading import archivedIds, idIn
from tests.endtoend.clients import RoomClient, bodyOf, bounded, logIn
from tests.endtoend.serverprocess import TIMEOUT, ServerProcess


class KilledUserArchiveTests(TestCase):
    """
    A server that is killed while people talk in pairs. Each has a client that gets copies of everything; one more user
    is away meanwhile.
    """

    timeout = 600

    pairs, kills = 3, 3

    async def setUp(self) -> None:
        """Start a server that archives what is said."""
        self.server = ServerProcess(
            self, storage={"affiliations": "sqlite:muccore.db", "archive": "sqlite:archive.db"}
        )
        await self.server.start()

    async def appear(self, user: str, copies: bool = False) -> RoomClient:
        """Log in and become available; nothing that they have received is dropped."""
        client = await logIn(self, self.server.port, user, resource="copies" if copies else "r")
        client.send(f"<presence><priority>{-1 if copies else 1}</priority></presence>")
        if copies:
            client.send(f"<iq type='set' id='copies'><enable xmlns='{ns.CARBONS}'/></iq>")
        await self.until(client, lambda: len(client.stanzas) > copies)
        return client

    async def until(self, client: RoomClient, reached: object) -> None:
        """Wait for what a client receives."""
        while not reached():  # type: ignore[operator]
            await client.changed().addTimeout(TIMEOUT, reactor)
            self.assertIsNone(client.lost)

    async def talkUntilKilled(self, kill: int) -> dict[str, list[list[str]]]:
        """Let everybody talk, and kill the server meanwhile; return the ids that each client has seen, by account."""
        people = [f"user{number}" for number in range(2 * self.pairs)]
        clients = {name: await self.appear(name) for name in people}
        watching = {name: await self.appear(name, copies=True) for name in people}

        def talk() -> None:
            for number, name in enumerate(people):
                client = clients[name]
                client.send(f"<message type='chat' to='user{number ^ 1}@localhost'><body>{kill}</body></message>")
                client.send(f"<message type='chat' to='away{number}@localhost'><body>{kill}</body></message>")

        talking = LoopingCall(talk)
        talking.start(0.01)
        self.addCleanup(lambda: talking.running and talking.stop())
        first = watching[people[0]]
        wanted = len(first.stanzas) + 40 + 17 * kill
        await self.until(first, lambda: len(first.stanzas) >= wanted)
        self.server.signal("KILL")
        self.assertEqual(await self.server.ended(), -signal.SIGKILL)
        talking.stop()
        everybody = [*clients.values(), *watching.values()]
        await gatherResults([client.closed() for client in everybody]).addTimeout(TIMEOUT, reactor)
        return {
            name: [
                [id for each in client.stanzas if (id := idIn(each, f"{name}@localhost")) is not None]
                for client in (clients[name], watching[name])
            ]
            for name in people
        }

    def check(self, found: list[str], view: list[str], what: str) -> None:
        """Check that an archive has what a client has seen, in its order, and everything once."""
        places = {id: place for place, id in enumerate(found)}
        self.assertEqual(len(places), len(found))
        self.assertEqual([id for id in view if id not in places], [], what)
        inOrder = [places[id] for id in view]
        self.assertEqual(inOrder, sorted(inOrder))
        self.assertGreater(len(view), 0, what)

    async def test_killed(self) -> None:
        """
        After C{kill -9}, the archive of a user has every message that a client of theirs has received, as a copy too,
        once, in the order in which it came; still after all kills. Messages that were kept while they were away are
        there with the ids with which they are delivered.
        """
        received: dict[str, list[list[str]]] = {}
        self.returned = 0
        for kill in range(self.kills):
            for name, views in (await self.talkUntilKilled(kill)).items():
                received.setdefault(name, []).extend(views)
            await self.server.start()
            for name, seen in received.items():
                reader = await self.appear(name)
                reader.stanzas.clear()
                found = await archivedIds(reader, f"{name}@localhost")
                for view in seen:
                    self.check(found, view, f"kill {kill}")
                reader.abort()
                await bounded(self.checkAway(f"away{name.removeprefix('user')}"))
            self.assertEqual(self.server.unexpectedLines, [])
        self.assertGreater(self.returned, 0)

    async def checkAway(self, name: str) -> None:
        """Let somebody who was away return, and compare what they are given with their archive."""
        reader = await logIn(self, self.server.port, name)
        archived = await archivedIds(reader, f"{name}@localhost")
        reader.send("<presence/>")
        # It comes after what was kept.
        reader.send(f"<message type='chat' to='{name}@localhost'><body>last</body></message>")
        ids: list[str] = []
        while bodyOf(element := await reader.next()) != "last":
            if element.tag == f"{{{ns.CLIENT}}}message":
                ids.append(str(idIn(element, f"{name}@localhost")))
        if ids:
            self.check(archived, ids, name)
            # One may have been archived and not yet kept.
            self.assertLessEqual(len(archived) - archived.index(ids[0]) - len(ids), 1)
        self.returned += len(ids)
        reader.abort()
