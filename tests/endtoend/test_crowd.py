# Copyright (c) The muccore authors. See LICENSE for details.
"""A crowd whose connections are reset all at once."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from muccore.xmpp import ns
from tests.configuration import ENCRYPTED
from tests.endtoend.clients import ROOM, arrive, bodyOf, bounded, disperse, gather, isPresence, nickOf
from tests.endtoend.serverprocess import ServerProcess


class CrowdTests(TestCase):
    """One stays in a room, everybody else is torn away."""

    timeout = 120

    async def tearAway(self, server: ServerProcess, size: int) -> None:
        """Fill a room, reset everybody's connection, and count what is seen of it."""
        await server.start()
        witness = await arrive(self, server.port, "witness")
        await bounded(witness.enter("Witness"))
        await bounded(witness.configure())
        crowd = await gather(self, server.port, [f"extra{n}" for n in range(size)])
        nicks = {extra.user for extra in crowd}
        for extra in crowd:
            extra.send(f"<presence to='{ROOM}/{extra.user}'><x xmlns='{ns.MUC}'/></presence>")
        came: set[str] = set()
        while len(came) < size:
            presence = await bounded(witness.until(isPresence))
            self.assertEqual(presence.get("type"), None)
            came.add(nickOf(presence))
        self.assertEqual(came, nicks)
        # Half of them while the server is busy telling them something, so that it writes to broken sockets; the others
        # while it looks away, so that it finds all of them broken in one turn.
        witness.say("Who goes there?")
        await disperse(crowd[::2])
        server.signal("STOP")
        await disperse(crowd[1::2])
        witness.say("Is anybody here?")
        server.signal("CONT")
        left = []
        while len(left) < size:
            presence = await bounded(witness.until(isPresence))
            self.assertEqual(presence.get("type"), "unavailable")
            left.append(nickOf(presence))
        self.assertEqual((len(set(left)), set(left)), (len(left), nicks))
        # Nothing comes after that: neither anybody else nor anybody twice.
        witness.stanzas.clear()
        witness.say("Nobody.")
        while bodyOf(element := await bounded(witness.next())) != "Nobody.":
            self.assertFalse(isPresence(element))
        answer = await bounded(witness.ask("get", f"<query xmlns='{ns.DISCO_ITEMS}'/>"))
        there = [item.get("jid") for item in answer.iter(f"{{{ns.DISCO_ITEMS}}}item")]
        self.assertEqual(there, [f"{ROOM}/Witness"])
        self.assertEqual(server.troubles, [])

    def test_opportunistic(self) -> None:
        """
        Of 500 people whose connections are reset at once the one who stays sees exactly 500 leave, and the log has
        nothing to complain of.
        """
        return self.tearAway(ServerProcess(self), 500)

    def test_byPoller(self) -> None:
        """It is the same where everything is sent by the poller."""
        return self.tearAway(ServerProcess(self, transport={"opportunistic_writes": "no"}), 300)

    def test_TLS(self) -> None:
        """It is the same under TLS."""
        return self.tearAway(ServerProcess(self, c2s=ENCRYPTED), 200)
