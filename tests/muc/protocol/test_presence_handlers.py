# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.protocol.presence}: occupants that are no clients, and those that nothing can reach."""

from __future__ import annotations

from itertools import product

from muccore.routing.handler import ANY, BARE, FULL, HOST, Handler
from muccore.testing.inmemory import parseStanza
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID, parse
from tests.muc.muchelpers import HOST as SERVICE
from tests.muc.muchelpers import ROOM, RoomTestCase, X, join, say, summary


class Bot(Handler):
    """
    Records what it is sent in summaries.

    @ivar greets: whether it greets those who enter.
    """

    def __init__(self) -> None:
        super().__init__()
        self.got: list[str] = []
        self.greets = False

    def record(self, element: Element, to: JID) -> None:
        """Record a stanza; greet the room in the middle of its broadcast."""
        self.got.append(f"{to.full}: {summary(element)}")
        if element.name == "presence" and self.greets:
            self.send(parseStanza(f"<message from='{to.full}' to='{ROOM}' type='groupchat'><body>hi</body></message>"))

    stanzas = dict.fromkeys(product(("presence", "message"), (ANY,), (HOST, BARE, FULL)), record)


class HandlerOccupantTests(RoomTestCase):
    """A handler's address can be an occupant."""

    def setUp(self) -> None:
        """Add a handler at its own domain."""
        super().setUp()
        self.bot = Bot()
        self.server.addHandler(self.bot, "bots.localhost")

    def take(self) -> list[str]:
        """What the handler was sent since the last call."""
        self.server.clock.advance(0)
        got, self.bot.got = self.bot.got, []
        return got

    def test_occupant(self) -> None:
        """
        It enters under any of its addresses, is sent what the others send once the room has finished its broadcast,
        talks and leaves.
        """
        for address in ("bots.localhost", "bots.localhost/a", "echo@bots.localhost", "echo@bots.localhost/a"):
            self.bot.send(parseStanza(f"<presence from='{address}' to='{ROOM}/Bot'>{X}</presence>"))
            self.assertEqual(self.bot.got, [])
            self.assertEqual({line.split(": ")[0] for line in self.take()}, {address})
            self.assertReceived(self.owner, f"Bot available none/participant jid={address}")
            say(self.owner, "a")
            self.bot.send(
                parseStanza(f"<message from='{address}' to='{ROOM}' type='groupchat'><body>b</body></message>")
            )
            self.assertEqual(
                self.take(), [f"{address}: Owner groupchat body:a", f"{address}: Bot groupchat body:b"]
            )
            self.assertReceived(self.owner, "Owner groupchat body:a", "Bot groupchat body:b")
            self.bot.send(parseStanza(f"<presence from='{address}' to='{ROOM}' type='unavailable'/>"))
            self.assertReceived(self.owner, f"Bot unavailable none/none jid={address}")
            self.assertEqual(len(self.take()), 1)

    def test_order(self) -> None:
        """What it is sent otherwise does not overtake what a room has sent it."""
        self.bot.send(parseStanza(f"<presence from='bots.localhost/a' to='{ROOM}/Bot'>{X}</presence>"))
        self.owner.sends("<message to='bots.localhost/a'><body>direct</body></message>")
        self.assertEqual(self.bot.got, [])
        self.assertIn("body:direct", self.take()[-1])

    def test_replies(self) -> None:
        """What it sends when it is given a stanza reaches the room after the broadcast, for everybody in order."""
        self.bot.send(parseStanza(f"<presence from='bots.localhost/a' to='{ROOM}/Bot'>{X}</presence>"))
        self.take()
        self.discardReceived()
        self.bot.greets = True
        romeo = self.client("romeo")
        join(romeo, "Romeo")
        self.take()
        self.assertReceived(
            self.owner, "Romeo available none/participant jid=romeo@localhost/a", "Bot groupchat body:hi"
        )
        self.assertEqual(summary(romeo.received()[-1]), "Bot groupchat body:hi")

    def test_atTheServer(self) -> None:
        """
        So can a handler at the accounts' domain that uses the address of the server. What is kept for it delays nothing
        for users: they get answers of the room and its broadcasts in order.
        """
        handler = Bot()
        handler.stanzas = {(name, ANY, HOST): Bot.record for name in ("presence", "message")}
        self.server.addHandler(handler)
        handler.send(parseStanza(f"<presence to='{ROOM}/Bot'>{X}</presence>"))
        self.server.clock.advance(0)
        self.assertEqual(handler.got[1], "localhost: Bot available none/participant jid=localhost 110")
        self.discardReceived()
        say(self.owner, "a")
        self.owner.sends(f"<message to='{ROOM}'/>")
        say(self.owner, "b")
        self.assertReceived(
            self.owner, "Owner groupchat body:a", "room message error modify bad-request", "Owner groupchat body:b"
        )


class UnreachableOccupantTests(RoomTestCase):
    """Occupants to whom nothing can be delivered are removed, with status 333."""

    def assertRemoved(self, address: str, why: str) -> None:
        """Assert that the owner saw Bot enter and leave, and why, and that nothing is left."""
        self.server.clock.advance(0)
        self.assertReceived(
            self.owner,
            f"Bot available none/participant jid={address}",
            f"Bot unavailable none/none jid={address} status:Removed because of an error: {why} 333",
        )
        self.assertEqual(list(self.server.muc.rooms.live[ROOM].sessions), [self.owner.address])

    def test_elsewhere(self) -> None:
        """A join from a domain that is not served here is answered there, and the answer comes back."""
        for address in ("a@example.org/b", "example.org"):
            self.server.rooms.dispatch(
                parseStanza(f"<presence from='{address}' to='{ROOM}/Bot'>{X}</presence>"), parse(f"{ROOM}/Bot")
            )
            self.assertRemoved(address, "remote server not found")

    def test_sessionEnded(self) -> None:
        """A session may end while its presence waits."""
        romeo = self.client("romeo")
        self.server.sessions.remove(romeo.session)
        join(romeo, "Bot")
        self.assertRemoved(romeo.address, "recipient unavailable")

    def test_newRoom(self) -> None:
        """A room that such an occupant creates ends with them."""
        to = f"new@{SERVICE}/Bot"
        self.server.rooms.dispatch(parseStanza(f"<presence from='a@example.org/b' to='{to}'>{X}</presence>"), parse(to))
        self.server.clock.advance(0)
        self.assertEqual(list(self.server.muc.rooms.live), [ROOM])
