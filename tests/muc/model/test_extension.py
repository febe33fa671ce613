# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.extension}."""

from __future__ import annotations

from muccore.muc.model.extension import RoomExtension, RoomExtensions
from muccore.muc.model.room import Room
from muccore.testing.inmemory import InMemoryServer
from muccore.xmpp.jid import JID
from tests.muc.muchelpers import ROOM, MUCTestCase, join, sendGroupchat


class Hat(RoomExtension):
    """Stamps occupants with their name, and messages with a number."""

    name = "hat"
    features = ("urn:hat",)
    serviceFeatures = ("urn:hats",)

    def __init__(self) -> None:
        self.made = 0

    def newState(self) -> int:
        """Make a number."""
        self.made += 1
        return self.made

    def stampOccupant(self, room: Room, account: JID) -> bytes:
        """Make the occupants' stamp."""
        return f"<of-{account.local} xmlns='urn:hat'/>".encode()

    def stampMessage(self, room: Room) -> bytes:
        """Make the messages' stamp."""
        return f"<state-{room.settings.extensions[self.name]} xmlns='urn:hat'/>".encode()


class ExtensionTests(MUCTestCase):
    """A room with an extension."""

    def startServer(self, store: object = None, **options: object) -> None:
        super().startServer()
        self.hat = Hat()
        self.server = InMemoryServer(extensions=[self.hat, RoomExtension()])

    def test_stamps(self) -> None:
        """It adds to what an occupant sends, and nothing to what the room does; its state is made once a room."""
        romeo = self.client("romeo")
        self.createRoom(romeo)
        sendGroupchat(romeo, "<body>a</body>")
        [message] = romeo.received()
        self.assertEqual([e.name for e in message.childElements() if e.uri == "urn:hat"], ["of-romeo", "state-1"])
        juliet = self.client("juliet")
        join(juliet, "Juliet")
        stamps = [[e.name for e in each.childElements() if e.uri == "urn:hat"] for each in juliet.received()]
        self.assertEqual(stamps, [["of-romeo"], ["of-juliet"], ["of-romeo", "state-1"], []])
        self.createRoom(romeo, to=ROOM.replace("room", "other"))
        self.assertEqual(self.hat.made, 2)

    def test_features(self) -> None:
        """Its features are those of the room and of the service."""
        romeo = self.client("romeo")
        self.createRoom(romeo)
        for to, expected in ((ROOM, "urn:hat"), (ROOM.partition("@")[2], "urn:hats")):
            romeo.sends(f"<iq type='get' id='1' to='{to}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
            [answer] = romeo.received()
            query = next(answer.childElements())
            found = [e["var"] for e in query.childElements() if e.name == "feature" and "hat" in e["var"]]
            self.assertEqual(found, [expected])

    def test_nothing(self) -> None:
        """An extension without points is not asked."""
        extensions = RoomExtensions([RoomExtension()])
        self.assertEqual((extensions.missingStates({}), extensions.features), ({}, ()))
