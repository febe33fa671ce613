# Copyright (c) The muccore authors. See LICENSE for details.
"""Many connections that are reset at once."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from muccore.xmpp import ns
from tests.configuration import ENCRYPTED
from tests.endtoend.clients import ROOM, bodyOf, bounded, isPresence, logIn, logInMany, nickOf, resetAll
from tests.endtoend.serverprocess import ServerProcess


class ConnectionResetTests(TestCase):
    """One occupant stays, all others lose their connections."""

    timeout = 120

    async def resetOthers(self, server: ServerProcess, size: int) -> None:
        """Fill a room, reset the connections, and count the presences of those who leave."""
        await server.start()
        observer = await logIn(self, server.port, "witness")
        await bounded(observer.enter("Witness"))
        await bounded(observer.configure())
        others = await logInMany(self, server.port, [f"extra{n}" for n in range(size)])
        nicks = {plain.user for plain in others}
        for plain in others:
            plain.send(f"<presence to='{ROOM}/{plain.user}'><x xmlns='{ns.MUC}'/></presence>")
        entered: set[str] = set()
        while len(entered) < size:
            presence = await bounded(observer.until(isPresence))
            self.assertEqual(presence.get("type"), None)
            entered.add(nickOf(presence))
        self.assertEqual(entered, nicks)
        # Half of them while the server is sending to them, so that it writes to broken sockets; the others while it is
        # stopped, so that it finds all of them broken in one turn.
        observer.sendToRoom("Who goes there?")
        await resetAll(others[::2])
        server.signal("STOP")
        await resetAll(others[1::2])
        observer.sendToRoom("Is anybody here?")
        server.signal("CONT")
        left = []
        while len(left) < size:
            presence = await bounded(observer.until(isPresence))
            self.assertEqual(presence.get("type"), "unavailable")
            left.append(nickOf(presence))
        self.assertEqual((len(set(left)), set(left)), (len(left), nicks))
        # No presence comes after that: nobody leaves twice.
        observer.stanzas.clear()
        observer.sendToRoom("Nobody.")
        while bodyOf(element := await bounded(observer.next())) != "Nobody.":
            self.assertFalse(isPresence(element))
        answer = await bounded(observer.request("get", f"<query xmlns='{ns.DISCO_ITEMS}'/>"))
        there = [item.get("jid") for item in answer.iter(f"{{{ns.DISCO_ITEMS}}}item")]
        self.assertEqual(there, [f"{ROOM}/Witness"])
        self.assertEqual(server.unexpectedLines, [])

    def test_opportunistic(self) -> None:
        """When 500 connections are reset at once, exactly 500 occupants leave, and the log has no errors."""
        return self.resetOthers(ServerProcess(self), 500)

    def test_byPoller(self) -> None:
        """The same without opportunistic writes."""
        return self.resetOthers(ServerProcess(self, transport={"opportunistic_writes": "no"}), 300)

    def test_TLS(self) -> None:
        """The same under TLS."""
        return self.resetOthers(ServerProcess(self, c2s=ENCRYPTED), 200)
