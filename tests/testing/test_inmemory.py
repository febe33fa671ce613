# -*- test-case-name: tests.testing.test_inmemory -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.testing.inmemory}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.testing.defaults import defaultRoom
from muccore.testing.doubles import DelayedRoomStore
from muccore.testing.inmemory import Client, InMemoryServer, parseStanza
from muccore.xmpp import ns
from muccore.xmpp.errors import StreamError

ROOM = "orchard@conference.localhost"


def enter(client: Client, nick: str) -> None:
    """Ask to enter the room."""
    client.sends(f"<presence to='{ROOM}/{nick}'><x xmlns='{ns.MUC}'/></presence>")


class StageTests(SynchronousTestCase):
    """A server without sockets."""

    def test_parseStanza(self) -> None:
        """Text becomes an element as the server has it, in any script."""
        element = parseStanza("<message to='a@b' type='chat'><body>Où &amp; quand ? ✂</body></message>")
        self.assertEqual((element.name, element.uri, element["to"]), ("message", ns.CLIENT, "a@b"))
        self.assertEqual(str(element.body), "Où & quand ? ✂")

    def test_room(self) -> None:
        """
        Clients enter rooms, are heard there with the room's address, and leave when they vanish. What has been heard is
        heard once.
        """
        stage = InMemoryServer()
        romeo, juliet = stage.client("romeo@localhost/orchard"), stage.client("juliet@localhost/balcony")
        enter(romeo, "Romeo")
        own, subject = romeo.received()
        self.assertEqual((own["from"], own["to"]), (f"{ROOM}/Romeo", "romeo@localhost/orchard"))
        self.assertEqual(subject.name, "message")
        romeo.sends(
            f"<iq type='set' to='{ROOM}' id='1'><query xmlns='{ns.MUC_OWNER}'><x xmlns='jabber:x:data' type='submit'/>"
            "</query></iq>"
        )
        [done] = romeo.received()
        self.assertEqual((done["type"], done["id"]), ("result", "1"))
        enter(juliet, "Juliet")
        self.assertEqual([element["from"] for element in juliet.received()[:2]], [f"{ROOM}/Romeo", f"{ROOM}/Juliet"])
        [came] = romeo.received()
        self.assertEqual(came["from"], f"{ROOM}/Juliet")
        juliet.sends(f"<message to='{ROOM}' type='groupchat'><body>Ay me!</body></message>")
        [heard] = romeo.received()
        self.assertEqual((heard["from"], str(heard.body)), (f"{ROOM}/Juliet", "Ay me!"))
        self.assertEqual(romeo.received(), [])
        juliet.dropConnection()
        [left] = romeo.received()
        self.assertEqual((left["from"], left["type"]), (f"{ROOM}/Juliet", "unavailable"))

    def test_closed(self) -> None:
        """A client knows with what its stream was closed."""
        stage = InMemoryServer()
        before = stage.client("romeo@localhost/orchard")
        stage.client("romeo@localhost/orchard")
        [error] = before.closed
        assert isinstance(error, StreamError)
        self.assertEqual(error.condition, "conflict")

    def test_clock(self) -> None:
        """Nothing happens on the stage by itself: time passes when it is told to."""
        stage = InMemoryServer(lockTimeout=5.0)
        romeo = stage.client("romeo@localhost/orchard")
        enter(romeo, "Romeo")
        romeo.received()
        stage.clock.advance(4.9)
        self.assertEqual(romeo.received(), [])
        stage.clock.advance(0.2)
        self.assertEqual([element["type"] for element in romeo.received()], ["unavailable"])

    def test_options(self) -> None:
        """The rooms have the options and the store that they are given."""
        store = DelayedRoomStore()
        stage = InMemoryServer(store, defaults=defaultRoom(moderated=True))
        self.assertIs(stage.store, store)
        self.assertTrue(stage.muc.options.defaults.moderated)
