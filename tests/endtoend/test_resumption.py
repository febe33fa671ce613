# Copyright (c) The muccore authors. See LICENSE for details.
"""Resumption (XEP-0198) against a server process, counted on the wire."""

from __future__ import annotations

from collections import Counter

from twisted.internet.defer import gatherResults
from twisted.trial.unittest import TestCase

from muccore.xmpp import ns
from tests.endtoend.clients import RoomClient, bounded, isPresence, logIn
from tests.endtoend.resumingclient import ResumingClient
from tests.endtoend.serverprocess import ServerProcess

SESSIONS = 500
ROOM_SIZE = 10


class StormTests(TestCase):
    """Many sessions lose their connections at once."""

    timeout = 180

    async def enterAll(self) -> None:
        """Fill the rooms; a witness without stream management enters the first of them."""
        self.clients = [ResumingClient(f"user{n}") for n in range(SESSIONS)]
        self.rooms = [f"room{n // ROOM_SIZE}@conference.localhost" for n in range(SESSIONS)]
        self.addCleanup(lambda: gatherResults([client.abort() for client in self.clients]))
        await gatherResults([client.connect(self.server.port) for client in self.clients])
        for client, room in zip(self.clients, self.rooms, strict=True):
            client.send(f"<presence to='{room}/{client.user}'><x xmlns='{ns.MUC}'/></presence>")
        self.witness = await logIn(self, self.server.port, "witness")
        await bounded(self.witness.enter("witness", self.rooms[0]))
        await gatherResults([client.askCounter() for client in self.clients])
        self.sayAll("here")
        for client in self.clients:
            await client.untilMessages(ROOM_SIZE)
            client.messages.clear()
            client.presences.clear()

    def say(self, client: ResumingClient, room: str, text: str) -> None:
        """Send a message to a client's room."""
        client.send(f"<message to='{room}' type='groupchat'><body>{client.user} {text}</body></message>")

    def sayAll(self, text: str) -> None:
        """Send a message from every client."""
        for client, room in zip(self.clients, self.rooms, strict=True):
            self.say(client, room, text)

    async def test_storm(self) -> None:
        """
        500 sessions lose their sockets while everybody talks, half of them with the server stopped. All resume: each
        message of each occupant comes exactly once and in order, both ways, and no presence is sent.
        """
        self.server = ServerProcess(self, muc={"lock_new_rooms": "no", "history": "0"})
        await self.server.start()
        await self.enterAll()
        # The first messages are handled, and on their way to the others; the second ones may be lost.
        self.sayAll("1")
        await gatherResults([client.askCounter() for client in self.clients])
        self.sayAll("2")
        await gatherResults([client.abort() for client in self.clients[::2]])
        self.server.signal("STOP")
        for client, room in zip(self.clients[1::2], self.rooms[1::2], strict=True):
            self.say(client, room, "3")
        await gatherResults([client.abort() for client in self.clients[1::2]])
        self.server.signal("CONT")
        for n in range(5):
            self.witness.sendToRoom(f"witness {n}", self.rooms[0])
        await gatherResults([client.connect(self.server.port) for client in self.clients])
        self.assertEqual([client.user for client in self.clients if client.failed], [])
        self.sayAll("4")
        for n, (client, room) in enumerate(zip(self.clients, self.rooms, strict=True)):
            first = n - n % ROOM_SIZE
            expected = {
                other.user: ["1", "2", "3", "4"] if odd else ["1", "2", "4"]
                for odd, other in zip([0, 1] * ROOM_SIZE, self.clients[first : first + ROOM_SIZE], strict=False)
            }
            if room == self.rooms[0]:
                expected["witness"] = [str(n) for n in range(5)]
            await client.untilMessages(sum(map(len, expected.values())))
            found: dict[str, list[str]] = {}
            for message in client.messages:
                sender, _, text = message.partition(" ")
                found.setdefault(sender, []).append(text)
            self.assertEqual(found, expected)
            self.assertEqual(client.presences, [])
        self.assertEqual(Counter(await gatherResults([client.askCounter() for client in self.clients])), {0: SESSIONS})
        await self.assertQuiet(self.witness)
        self.assertEqual(self.server.unexpectedLines, [])

    async def assertQuiet(self, witness: RoomClient) -> None:
        """The witness has received no presence since it entered."""
        witness.sendToRoom("last", self.rooms[0])
        while True:
            element = await bounded(witness.next())
            self.assertFalse(isPresence(element))
            if (element.findtext(f"{{{ns.CLIENT}}}body") or "") == "last":
                break

    async def test_expired(self) -> None:
        """Those who do not return in time leave their rooms then, all at once; nobody is told twice."""
        self.server = ServerProcess(
            self, muc={"lock_new_rooms": "no", "history": "0"}, stream_management={"resume_timeout": "2 s"}
        )
        await self.server.start()
        await self.enterAll()
        leaving = self.clients[1:ROOM_SIZE]
        await gatherResults([client.abort() for client in leaving])
        left = Counter()
        while sum(left.values()) < len(leaving):
            presence = await bounded(self.witness.until(isPresence))
            left[presence.get("from"), presence.get("type")] += 1
        expected = {(f"{self.rooms[0]}/{client.user}", "unavailable"): 1 for client in leaving}
        self.assertEqual(left, expected)
        await gatherResults([client.connect(self.server.port) for client in leaving])
        self.assertEqual([client.failed for client in leaving], [True] * len(leaving))
        self.assertEqual(self.server.unexpectedLines, [])
