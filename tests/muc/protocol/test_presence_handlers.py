# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.protocol.presence}: presence that handlers send to rooms."""

from __future__ import annotations

from muccore.routing.handler import ANY, BARE, FULL, HOST, Handler
from muccore.testing.defaults import defaultOptions
from muccore.testing.inmemory import parseStanza
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from tests.muc.muchelpers import HOST as SERVICE
from tests.muc.muchelpers import ROOM, RoomTestCase, X, join, summary


class Recorder(Handler):
    """Records presence in summaries."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[str] = []

    def onPresence(self, element: Element, to: JID) -> None:
        """Record it."""
        self.received.append(f"{to.full}: {summary(element)}")

    stanzas = dict.fromkeys([("presence", ANY, HOST), ("presence", ANY, BARE), ("presence", ANY, FULL)], onPresence)


class HandlerPresenceTests(RoomTestCase):
    """A room cannot deliver to the address of a handler, so it refuses presence from there."""

    def test_refused(self) -> None:
        """
        The handler gets an error, whether the room exists or not, it enters or not, and new rooms are locked or not;
        no room is created, and nobody enters one.
        """
        bot = Recorder()
        self.server.addHandler(bot, "bots.localhost")
        for lockNewRooms in (True, False):
            self.server.muc.options = self.server.muc.rooms.settings = defaultOptions(lockNewRooms=lockNewRooms)
            for sender in ("bots.localhost", "bots.localhost/a", "echo@bots.localhost", "echo@bots.localhost/a"):
                for room in (ROOM, f"new@{SERVICE}"):
                    for payload in (X, ""):
                        bot.send(parseStanza(f"<presence from='{sender}' to='{room}/Bot'>{payload}</presence>"))
                        self.assertEqual(bot.received, [f"{sender}: Bot presence error cancel service-unavailable"])
                        bot.received.clear()
        self.assertReceived(self.owner)
        self.assertEqual(list(self.server.muc.rooms.live), [ROOM])

    def test_atTheServer(self) -> None:
        """So does a handler at the accounts' domain that uses the address of the server."""
        handler = Recorder()
        handler.stanzas = {("presence", ANY, HOST): Recorder.onPresence}
        self.server.addHandler(handler)
        handler.send(parseStanza(f"<presence to='{ROOM}/Bot'>{X}</presence>"))
        self.assertEqual(handler.received, ["localhost: Bot presence error cancel service-unavailable"])

    def test_sessionEnded(self) -> None:
        """The error to a session that ended while its presence waited is dropped, and the room goes on."""
        romeo = self.client("romeo")
        self.server.sessions.remove(romeo.session)
        join(romeo, "Romeo")
        self.assertReceived(self.owner)
        self.enter("juliet")
