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
    """Enter the room."""
    client.sends(f"<presence to='{ROOM}/{nick}'><x xmlns='{ns.MUC}'/></presence>")


class InMemoryServerTests(SynchronousTestCase):
    """A server without sockets."""

    def test_parseStanza(self) -> None:
        """Text becomes an element, in any script."""
        element = parseStanza("<message to='a@b' type='chat'><body>Où &amp; quand ? ✂</body></message>")
        self.assertEqual((element.name, element.uri, element["to"]), ("message", ns.CLIENT, "a@b"))
        self.assertEqual(str(element.body), "Où & quand ? ✂")

    def test_room(self) -> None:
        """Clients enter rooms, send messages, and leave with their connection. Each stanza is returned once."""
        server = InMemoryServer()
        romeo, juliet = server.client("romeo@localhost/orchard"), server.client("juliet@localhost/balcony")
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
        [joined] = romeo.received()
        self.assertEqual(joined["from"], f"{ROOM}/Juliet")
        juliet.sends(f"<message to='{ROOM}' type='groupchat'><body>Ay me!</body></message>")
        [message] = romeo.received()
        self.assertEqual((message["from"], str(message.body)), (f"{ROOM}/Juliet", "Ay me!"))
        self.assertEqual(romeo.received(), [])
        juliet.dropConnection()
        [left] = romeo.received()
        self.assertEqual((left["from"], left["type"]), (f"{ROOM}/Juliet", "unavailable"))

    def test_closed(self) -> None:
        """A client records the error that its stream was closed with."""
        server = InMemoryServer()
        before = server.client("romeo@localhost/orchard")
        server.client("romeo@localhost/orchard")
        [error] = before.closed
        assert isinstance(error, StreamError)
        self.assertEqual(error.condition, "conflict")

    def test_clock(self) -> None:
        """Time passes only by the server's clock."""
        server = InMemoryServer(lockTimeout=5.0)
        romeo = server.client("romeo@localhost/orchard")
        enter(romeo, "Romeo")
        romeo.received()
        server.clock.advance(4.9)
        self.assertEqual(romeo.received(), [])
        server.clock.advance(0.2)
        self.assertEqual([element["type"] for element in romeo.received()], ["groupchat", "unavailable"])

    def test_options(self) -> None:
        """The service has the given options and store."""
        store = DelayedRoomStore()
        server = InMemoryServer(store, defaults=defaultRoom(moderated=True))
        self.assertIs(server.store, store)
        self.assertTrue(server.muc.options.defaults.moderated)
