# Copyright (c) The muccore authors. See LICENSE for details.
"""C{kill -9}, and the archive of what was said."""

from __future__ import annotations

import signal

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import LoopingCall
from twisted.trial.unittest import TestCase

from muccore.xmpp import ns
from tests.endtoend.archivereading import archivedIds, idIn
from tests.endtoend.clients import RoomClient, bounded, logIn
from tests.endtoend.serverprocess import TIMEOUT, ServerProcess
from tests.storage.postgres import missing, server


class KilledArchiveTests(TestCase):
    """A server that is killed while people talk."""

    timeout = 600

    rooms, talkers, kills = 2, 3, 3

    async def setUp(self) -> None:
        """Start a server that archives what is said."""
        self.server = ServerProcess(
            self,
            storage={"affiliations": "sqlite:rooms.db", "archive": self.archive()},
            muc={"lock_new_rooms": "no", "default_archive": "yes"},
        )
        await self.server.start()

    def archive(self) -> str:
        """Where the archive is."""
        return "sqlite:archive.db"

    async def enter(self, user: str, room: str) -> RoomClient:
        """Let somebody enter a room; nothing that they have received is dropped."""
        client = await logIn(self, self.server.port, user)
        client.send(f"<presence to='{room}/{user}'><x xmlns='{ns.MUC}'/></presence>")
        await self.receive(client, 2)
        return client

    async def receive(self, client: RoomClient, count: int) -> None:
        """Wait until a client has received so many stanzas."""
        while len(client.stanzas) < count:
            await client.changed().addTimeout(TIMEOUT, reactor)
            self.assertIsNone(client.lost)

    async def talkUntilKilled(self, kill: int) -> dict[str, list[list[str]]]:
        """Let everybody talk, and kill the server meanwhile; return the ids that each has received, by room."""
        rooms = [f"room{n}@conference.localhost" for n in range(self.rooms)]
        clients = {
            room: await gatherResults(
                [bounded(self.enter(f"user{n}x{talker}", room)) for talker in range(self.talkers)]
            )
            for n, room in enumerate(rooms)
        }

        def talk() -> None:
            for room, inside in clients.items():
                for client in inside:
                    client.sendToRoom(f"round {kill}", room)

        talking = LoopingCall(talk)
        talking.start(0.005)
        first = clients[rooms[0]][0]
        await self.receive(first, len(first.stanzas) + 40 + 17 * kill)
        self.server.signal("KILL")
        self.assertEqual(await self.server.ended(), -signal.SIGKILL)
        talking.stop()
        everybody = [client for inside in clients.values() for client in inside]
        await gatherResults([client.closed() for client in everybody]).addTimeout(TIMEOUT, reactor)
        return {
            room: [[id for each in client.stanzas if (id := idIn(each)) is not None] for client in inside]
            for room, inside in clients.items()
        }

    async def test_killed(self) -> None:
        """
        After C{kill -9}, the archive of a room has every message that somebody has received of it, once, in the order
        in which they have received it; still after all kills.
        """
        received: dict[str, list[list[str]]] = {}
        for kill in range(self.kills):
            for room, seen in (await self.talkUntilKilled(kill)).items():
                received.setdefault(room, []).extend(seen)
            await self.server.start()
            for number, (room, views) in enumerate(received.items()):
                reader = await self.enter(f"reader{number}", room)
                reader.stanzas.clear()
                found = await archivedIds(reader, room)
                places = {id: place for place, id in enumerate(found)}
                self.assertEqual(len(places), len(found))
                for view in views:
                    self.assertEqual([id for id in view if id not in places], [], f"kill {kill}")
                    inOrder = [places[id] for id in view]
                    self.assertEqual(inOrder, sorted(inOrder))
                    self.assertGreater(len(view), 0)
                reader.abort()
            self.assertEqual(self.server.unexpectedLines, [])


class PostgreSQLKilledArchiveTests(KilledArchiveTests):
    """The same with the archive in PostgreSQL."""

    skip = missing()
    kills = 2

    def archive(self) -> str:
        """In a database, with the journal beside the configuration."""
        address = server().emptyDatabase(self)
        return f"{address.place.replace('//muccore@', '//muccore:s3cret@')}?journal=var/archive"
