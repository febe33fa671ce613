# Copyright (c) The muccore authors. See LICENSE for details.
"""C{kill -9}."""

from __future__ import annotations

import signal

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from muccore.xmpp import ns
from tests.endtoend.clients import ROOM, Person, arrive, bounded
from tests.endtoend.serverprocess import PATIENCE, ServerProcess

CHANGES = 400
"""How many changes are asked for in one run."""

PEOPLE = 25
"""How many people they are about, so that each is changed again and again."""

AFFILIATIONS = ("member", "outcast", "admin", "none", "owner")


class KilledTests(TestCase):
    """A server that is killed while it changes affiliations."""

    timeout = 120

    async def setUp(self) -> None:
        """Start a server that keeps its rooms in a database."""
        self.server = ServerProcess(self, storage={"affiliations": "sqlite:rooms.db"})
        await self.server.start()
        self.expected = {f"extra{n}@localhost": "none" for n in range(PEOPLE)}

    def change(self, n: int) -> tuple[str, str]:
        """Who becomes what by one of the changes."""
        return f"extra{n % PEOPLE}@localhost", AFFILIATIONS[(n + n // PEOPLE) % len(AFFILIATIONS)]

    def make(self, n: int) -> None:
        """Expect that one of the changes holds."""
        jid, affiliation = self.change(n)
        self.expected[jid] = affiliation

    async def affiliations(self, owner: Person) -> dict[str, str]:
        """What everybody is."""
        found = dict.fromkeys(self.expected, "none")
        for affiliation in AFFILIATIONS:
            if affiliation != "none":
                found.update(dict.fromkeys(await bounded(owner.affiliates(affiliation)), affiliation))
        self.assertEqual(found.pop("romeo@localhost"), "owner")
        return found

    async def enter(self) -> Person:
        """Let Romeo enter the room."""
        romeo = await arrive(self, self.server.port, "romeo")
        await bounded(romeo.enter("Romeo"))
        return romeo

    async def killAfter(self, romeo: Person, answers: int) -> int:
        """
        Ask for many changes and kill the server when so many have been answered.

        @return: how many have been answered, with those whose answers were on their way.
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
        await romeo.closed().addTimeout(PATIENCE, reactor)
        late = [element for element in romeo.stanzas if element.tag == f"{{{ns.CLIENT}}}iq"]
        self.assertEqual({element.get("type") for element in late} - {"result"}, set())
        answered = answers + len(late)
        self.assertLess(answered, CHANGES, "it was killed too late for anything to be on its way")
        return answered

    async def test_killed(self) -> None:
        """
        After C{kill -9} in the middle of a stream of changes every one that was answered holds, and those that were
        not hold up to some point and no further; three times in a row on the same database, in a temporary room.
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
            self.assertEqual(self.server.troubles, [])
