# Copyright (c) The muccore authors. See LICENSE for details.
"""Places of occupants, and a server process that is killed, or restarted, under traffic."""

from __future__ import annotations

import signal
import time
from collections import Counter
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall, deferLater
from twisted.trial.unittest import TestCase

from tests.endtoend.serverprocess import CLEAN, ServerProcess
from tests.endtoend.viewingclient import ViewingClient


def pause(seconds: float) -> Deferred[None]:
    """Wait."""
    return deferLater(reactor, seconds)  # type: ignore[arg-type]


class PlacesTestCase(TestCase):
    """A server, and occupants of its rooms."""

    timeout = 600

    turn = 0

    async def fill(self, occupants: int, rooms: int, resumable: int = 0) -> None:
        """
        Start the server and fill the rooms. From then on, everybody can return within the grace time.

        @param resumable: how many of three clients use stream management.
        """
        self.server = ServerProcess(
            self, storage={"affiliations": "sqlite:rooms.db"}, muc={"lock_new_rooms": "no", "history": "0"}
        )
        await self.server.start()
        begun = time.monotonic()
        self.clients = [
            ViewingClient(f"user{n}", f"room{n % rooms}@conference.localhost", n % 3 < resumable)
            for n in range(occupants)
        ]
        self.addCleanup(lambda: [client.abort() for client in self.clients])
        await self.enterAll(self.clients)
        # Several times as long as it has taken now, however busy the machine is.
        self.grace = 2 + 5 * (time.monotonic() - begun)
        seconds = f"{self.grace:.0f} s"
        self.server.configure(muc={"occupant_grace": seconds}, stream_management={"resume_timeout": seconds})

    async def enterAll(self, clients: list[ViewingClient]) -> None:
        """Let clients log in and enter their rooms."""
        await gatherResults([client.connect(self.server.port) for client in clients])
        await gatherResults([client.enter() for client in clients])

    def talk(self) -> None:
        """Some clients say something and change their presence."""
        self.turn += 1
        inside = [client for client in self.clients if client.inside]
        for client in inside[self.turn % 7 :: 7]:
            client.say(f"traffic {self.turn}")
        for client in inside[self.turn % 11 :: 11]:
            client.changeStatus()

    def forget(self) -> None:
        """Forget who was seen entering and leaving."""
        for client in self.clients:
            client.joins.clear()
            client.leaves.clear()

    async def settle(self, clients: list[ViewingClient], text: str) -> None:
        """Wait until all have received everything sent until now: a message of each."""
        for client in clients:
            client.say(f"{text} {client.user}")
        for client in clients:
            others = [f"{text} {other.user}" for other in clients if other.room == client.room]
            await client.until(lambda client=client, others=others: set(others) <= set(client.messages))

    async def views(self) -> dict[str, dict[str, Any]]:
        """What newcomers are sent of each room, who then leave."""
        rooms = list(dict.fromkeys(client.room for client in self.clients))
        witnesses = [ViewingClient(f"witness{n}", room) for n, room in enumerate(rooms)]
        await self.enterAll(witnesses)
        found = {}
        for witness in witnesses:
            found[witness.room] = {nick: seen for nick, seen in witness.view.items() if nick != witness.user}
            witness.leave()
            await witness.until(lambda witness=witness: not witness.inside)
            witness.abort()
        return found


class KilledTests(PlacesTestCase):
    """C{kill -9}."""

    occupants, rooms, kills = 100, 5, 3

    async def kill(self, leaving: list[ViewingClient], entering: list[ViewingClient]) -> None:
        """Kill the server under traffic, while some leave and others enter; start it again."""
        talking = LoopingCall(self.talk)
        talking.start(0.05)
        await pause(0.3)
        for client in leaving:
            client.leave()
        for client in entering:
            client.enter().addErrback(lambda _: None)
        # Some of it is handled, and some is not.
        await pause(0.01)
        self.server.signal("KILL")
        self.assertEqual(await self.server.ended(), -signal.SIGKILL)
        talking.stop()
        await gatherResults([client.lost() for client in self.clients])
        await self.server.start()

    async def test_killed(self) -> None:
        """
        Occupants of several rooms, and kills under traffic, while some leave and some enter. Whoever comes back has not
        left for anybody, and has not entered. Whoever does not, leaves once, with 333, when the grace time ends; then
        the rooms are as each client has seen. What anybody was told before the kill is so after it.
        """
        await self.fill(self.occupants, self.rooms)
        for round in range(self.kills):
            n = len(self.clients) // 10
            first = round * n
            away = self.clients[first : first + n]
            leaving, entering = away[::2], []
            if round:
                entering = self.absent
            seen: Counter[str] = Counter()
            self.forget()
            before = {client.user for client in self.clients if client not in (self.absent if round else [])}
            await self.kill(leaving, entering)
            for client in self.clients:
                for nick, (_, _, number) in client.view.items():
                    seen[nick] = max(seen[nick], number)
            told = {nick for client in self.clients for nick, _ in client.leaves}
            entered = {nick for client in self.clients for nick in client.joins}
            self.forget()
            back = [client for client in self.clients if client not in away]
            # Half of them at once, the others when these are in.
            for some in (back[::2], back[1::2]):
                await self.enterAll(some)
                for client in some:
                    listed = set(client.view)
                    inRoom = {other.user for other in self.clients if other.room == client.room}
                    self.assertEqual(listed & told, set(), "they had left")
                    self.assertEqual((entered & inRoom) - listed, set(), "they had entered")
                    self.assertEqual(((before & inRoom) - {c.user for c in leaving}) - listed, set(), "they were there")
                    for nick, (_, _, number) in client.view.items():
                        self.assertGreaterEqual(number, seen[nick], nick)
            await self.settle(back, f"back {round}")
            mayJoin = {client.user for client in entering}
            for client in back:
                self.assertEqual(client.leaves, Counter(), client.user)
                self.assertEqual(set(client.joins) - mayJoin, set(), client.user)
            # The grace time has begun with the start; nobody may be left in doubt.
            names = {client.user for client in away}
            for client in back:
                await client.until(lambda client=client, names=names: not names & set(client.view), self.grace)
            await self.settle(back, f"alone {round}")
            for client in back:
                expected = {each.user for each in away if each.room == client.room and each not in leaving}
                self.assertEqual(set(client.leaves.values()) | {1}, {1}, client.user)
                gone = {nick for nick, technical in client.leaves if technical}
                self.assertEqual({nick for nick, technical in client.leaves if not technical}, set())
                self.assertEqual(gone - names, set(), client.user)
                self.assertEqual(expected - gone, set(), client.user)
            truth = await self.views()
            await self.settle(back, f"views {round}")
            for client in back:
                self.assertEqual(client.view, truth[client.room], client.user)
            for client in away:
                client.sent += 1
            await gatherResults([client.connect(self.server.port) for client in away])
            self.absent = away
            self.assertEqual(self.server.unexpectedLines, [])
        self.assertEqual(await self.server.stop(), CLEAN)


class RestartTests(PlacesTestCase):
    """An orderly restart."""

    async def test_restart(self) -> None:
        """
        Of three clients, one resumes its session (XEP-0198), one asks whether it is still in (XEP-0410), which it is,
        and one enters again; what the first two know of the room stays right, and nobody has left or entered. Those who
        do not come back leave once: with 333, or when their session is over.
        """
        await self.fill(60, 3, resumable=1)
        away, back = self.clients[:6], self.clients[6:]
        resuming, asking, entering = ([client for client in back if int(client.user[4:]) % 3 == n] for n in range(3))
        talking = LoopingCall(self.talk)
        talking.start(0.05)
        await pause(0.3)
        self.forget()
        self.server.signal("TERM")
        await gatherResults([client.lost() for client in self.clients])
        self.assertEqual(await self.server.ended(), CLEAN)
        talking.stop()
        self.assertEqual(self.server.unexpectedLines, [])
        await self.server.start()
        for client in asking:
            client.believing = True
        await gatherResults([client.connect(self.server.port) for client in asking])
        for client in asking:
            client.ping()
        await gatherResults([client.until(lambda client=client: client.pings) for client in asking])
        self.assertEqual([client.pings for client in asking], [[""]] * len(asking))
        await self.enterAll(entering)
        for client in asking:
            client.say("while you were away")
        await gatherResults([client.connect(self.server.port) for client in resuming])
        self.assertEqual([client.user for client in resuming if not client.resumed], [])
        await self.settle(back, "back")
        for client in resuming:
            inRoom = [each for each in asking if each.room == client.room]
            self.assertEqual(client.messages.count("while you were away"), len(inRoom))
        for client in back:
            self.assertEqual((client.joins, client.leaves), (Counter(), Counter()), client.user)
        for client in back:
            names = {each.user for each in away}
            await client.until(lambda client=client, names=names: not names & set(client.view), self.grace)
        truth = await self.views()
        await self.settle(back, "views")
        for client in back:
            self.assertEqual(client.view, truth[client.room], client.user)
            expected = Counter((each.user, not each.resumable) for each in away if each.room == client.room)
            witness = {name: count for name, count in client.leaves.items() if not name[0].startswith("witness")}
            self.assertEqual(witness, expected, client.user)
        self.assertEqual(self.server.unexpectedLines, [])
