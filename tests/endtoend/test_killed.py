# Copyright (c) The muccore authors. See LICENSE for details.
"""C{kill -9}."""

from __future__ import annotations

import signal

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from muccore.xmpp import ns
from tests.endtoend.clients import ROOM, RoomClient, bounded, logIn
from tests.endtoend.serverprocess import TIMEOUT, ServerProcess

CHANGES = 400
"""How many changes are requested in one run."""

USERS = 25
"""How many users are changed, so that each changes repeatedly."""

AFFILIATIONS = ("member", "outcast", "admin", "none", "owner")


class KilledTests(TestCase):
    """A server that is killed while it changes affiliations."""

    timeout = 120

    async def setUp(self) -> None:
        """Start a server that keeps its rooms in a database."""
        self.server = ServerProcess(self, storage={"affiliations": "sqlite:rooms.db"})
        await self.server.start()
        self.expected = {f"extra{n}@localhost": "none" for n in range(USERS)}

    def change(self, n: int) -> tuple[str, str]:
        """Return JID and affiliation of one of the changes."""
        return f"extra{n % USERS}@localhost", AFFILIATIONS[(n + n // USERS) % len(AFFILIATIONS)]

    def make(self, n: int) -> None:
        """Expect one of the changes to persist."""
        jid, affiliation = self.change(n)
        self.expected[jid] = affiliation

    async def affiliations(self, owner: RoomClient) -> dict[str, str]:
        """Return the affiliations of all users."""
        found = dict.fromkeys(self.expected, "none")
        for affiliation in AFFILIATIONS:
            if affiliation != "none":
                found.update(dict.fromkeys(await bounded(owner.affiliates(affiliation)), affiliation))
        self.assertEqual(found.pop("romeo@localhost"), "owner")
        return found

    async def enter(self) -> RoomClient:
        """Let Romeo enter the room."""
        romeo = await logIn(self, self.server.port, "romeo")
        await bounded(romeo.enter("Romeo"))
        return romeo

    async def killAfter(self, romeo: RoomClient, answers: int) -> int:
        """
        Request many changes and kill the server after so many answers.

        @return: the number of answers, including those that were on their way.
        """
        for n in range(CHANGES):
            jid, affiliation = self.change(n)
            romeo.send(
                f"<iq type='set' to='{ROOM}' id='change-{n}'><query xmlns='{ns.MUC_ADMIN}'>"
                f"<item jid='{jid}' affiliation='{affiliation}'/></query></iq>"
            )
        for n in range(answers):
            answer = await bounded(romeo.until(lambda e: e.tag == f"{{{ns.CLIENT}}}iq"))
            self.assertEqual((answer.get("id"), answer.get("type")), (f"change-{n}", "result"))
        self.server.signal("KILL")
        self.assertEqual(await self.server.ended(), -signal.SIGKILL)
        await romeo.closed().addTimeout(TIMEOUT, reactor)
        late = [element for element in romeo.stanzas if element.tag == f"{{{ns.CLIENT}}}iq"]
        self.assertEqual({element.get("type") for element in late} - {"result"}, set())
        answered = answers + len(late)
        self.assertLess(answered, CHANGES, "all changes were answered before the kill")
        return answered

    async def test_killed(self) -> None:
        """
        After C{kill -9} among many changes every answered one persists, and of the others a prefix; three times in a
        row on the same database, in a temporary room.
        """
        romeo = await self.enter()
        await bounded(romeo.configure())
        for answers in (1, 100, 37):
            done = await self.killAfter(romeo, answers)
            for n in range(done):
                self.make(n)
            await self.server.start()
            romeo = await self.enter()
            found = await self.affiliations(romeo)
            further = done
            while found != self.expected and further < CHANGES:
                self.make(further)
                further += 1
            self.assertEqual(found, self.expected, f"{done} changes were answered")
            self.assertEqual(self.server.unexpectedLines, [])
