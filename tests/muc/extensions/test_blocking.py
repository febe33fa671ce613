# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.blocking} (XEP-0191)."""

from __future__ import annotations

from muccore.im.blocking import BlockingHandler
from muccore.im.presence import PresenceHandler
from muccore.im.userstate import UserStates
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.testing.inmemory import Client
from muccore.xmpp.errors import conditionOf
from tests.muc.muchelpers import HOST, ROOM, MUCTestCase, sendIQ, summaries


class BlockingTests(MUCTestCase):
    """A room of Romeo, Juliet, who blocks, and Tybalt."""

    def setUp(self) -> None:
        super().setUp()
        store = MemoryUserData()
        store.open()
        states = UserStates(store)
        [presence] = [each for each in self.server.users if isinstance(each, PresenceHandler)]
        self.server.addHandler(states)
        self.server.addHandler(BlockingHandler(store, states, presence, 10_000))
        self.romeo, self.juliet, self.tybalt = self.login("romeo", "juliet", "tybalt")
        self.createRoom(self.romeo)
        self.enterAll(self.juliet, self.tybalt)

    def block(self, address: str, name: str = "block") -> None:
        """Let Juliet block an address."""
        payload = f"<{name} xmlns='urn:xmpp:blocking'><item jid='{address}'/></{name}>"
        self.juliet.sends(f"<iq type='set' id='b'>{payload}</iq>")
        self.assertEqual([stanza["type"] for stanza in self.juliet.received()], ["result"])

    def private(self, sender: Client, nick: str) -> list[str]:
        """Send a private message; return the conditions of errors."""
        sender.sends(f"<message type='chat' to='{ROOM}/{nick}'><body>psst</body></message>")
        return [conditionOf(stanza) or "" for stanza in sender.received()]

    def test_privateMessages(self) -> None:
        """Those of a blocked occupant are refused in both directions, and nobody leaves the room."""
        self.block(f"{ROOM}/Tybalt")
        self.assertEqual(self.private(self.tybalt, "Juliet"), ["service-unavailable"])
        self.assertEqual(self.private(self.juliet, "Tybalt"), ["not-acceptable"])
        self.assertEqual((self.juliet.received(), self.tybalt.received()), ([], []))
        for sender, nick, to in ((self.romeo, "Juliet", self.juliet), (self.tybalt, "Romeo", self.romeo)):
            self.assertEqual(self.private(sender, nick), [])
            self.assertEqual(len(to.received()), 1)
        self.tybalt.sends(f"<message type='groupchat' to='{ROOM}'><body>x</body></message>")
        self.assertEqual(summaries(self.juliet), ["Tybalt groupchat body:x"])
        self.block(f"{ROOM}/Tybalt", "unblock")
        self.tybalt.received()
        self.assertEqual(self.private(self.tybalt, "Juliet"), [])
        self.assertEqual(len(self.juliet.received()), 1)

    def test_everySession(self) -> None:
        """With several clients in the room too; a resource of the service's domain is nobody's address there."""
        [phone] = self.login("juliet/phone")
        self.enter(phone, "Juliet")
        for client in (self.juliet, self.tybalt, self.romeo):
            client.received()
        self.block(f"{HOST}/x")
        self.assertEqual(self.private(self.tybalt, "Juliet"), [])
        self.assertEqual(len(self.juliet.received()), 1)
        self.block(f"{ROOM}/Tybalt")
        phone.received()
        self.assertEqual(self.private(self.tybalt, "Juliet"), ["service-unavailable"])
        self.assertEqual((self.juliet.received(), phone.received()), ([], []))

    def test_requests(self) -> None:
        """Requests of a blocked occupant are refused, too."""
        self.block(f"{ROOM}/Tybalt")
        sendIQ(self.tybalt, "get", "<query xmlns='urn:x'/>", to=f"{ROOM}/Juliet")
        self.assertEqual(self.juliet.received(), [])
        [answer] = self.tybalt.received()
        self.assertEqual((answer["from"], conditionOf(answer)), (f"{ROOM}/Juliet", "service-unavailable"))
