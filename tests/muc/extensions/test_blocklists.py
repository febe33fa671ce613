# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.blocklists}."""

from __future__ import annotations

from typing import Any

from muccore.muc.extensions.blocklists import hashOf
from muccore.storage.memoryarchive import MemoryArchive
from muccore.xmpp import ns
from muccore.xmpp.jid import parse
from tests.muc.muchelpers import (
    HOST,
    ROOM,
    MUCTestCase,
    affiliation,
    configure,
    join,
    say,
    sendAdmin,
    sendIQ,
    sendOwner,
    summaries,
)
from tests.muc.service.nodeservice import DOMAIN, NODE, NodeService

REASON = "reason=This address is on a block list of the server."


class BlockListTests(MUCTestCase):
    """A server that follows a list."""

    def startServer(self, store: Any = None, **options: Any) -> None:
        lists = (parse(f"{DOMAIN}/{NODE}"), parse(f"other.localhost/{NODE}"))
        super().startServer(store, **{"blockLists": lists, **options})
        self.pubsub = NodeService(hashOf("tybalt@localhost"), hashOf("spam.example"))
        self.server.addHandler(self.pubsub, DOMAIN)
        self.server.clock.advance(0)

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet, self.tybalt = self.login("romeo", "juliet", "tybalt")
        self.createRoom(self.romeo)

    def notify(self, inside: str, **attributes: Any) -> None:
        """Let the list tell a change."""
        self.pubsub.notify(inside, HOST, **attributes)
        self.server.clock.advance(0)

    def test_entering(self) -> None:
        """Who is on the list cannot enter; others can, and those whom the room has given an affiliation."""
        join(self.tybalt, "Tybalt")
        self.assertEqual(summaries(self.tybalt), ["Tybalt presence error auth forbidden"])
        self.enter(self.juliet)
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "member"))
        self.enter(self.tybalt)

    def test_archive(self) -> None:
        """Who cannot enter cannot read the archive either (XEP-0313 §6.1.2)."""
        archive = MemoryArchive()
        archive.open()
        self.startServer(archive=archive)
        self.romeo, self.juliet, self.tybalt = self.login("romeo", "juliet", "tybalt")
        self.createRoom(self.romeo, enablelogging=True)
        query = f"<query xmlns='{ns.MAM}'/>"
        sendIQ(self.juliet, "set", query)
        self.assertEqual(summaries(self.juliet), ["result q"])
        for type, payload in (("set", query), ("get", query), ("get", f"<metadata xmlns='{ns.MAM}'/>")):
            sendIQ(self.tybalt, type, payload)
            self.assertEqual(summaries(self.tybalt), ["error q auth forbidden"])
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "member"))
        sendIQ(self.tybalt, "set", query)
        self.assertEqual(summaries(self.tybalt), ["result q"])

    def test_domain(self) -> None:
        """A domain on the list stands for all its accounts."""
        self.notify(f"items item:{hashOf('localhost')}")
        join(self.juliet, "Juliet")
        self.assertEqual(summaries(self.juliet), ["Juliet presence error auth forbidden"])

    def test_switchedOff(self) -> None:
        """Owners decide whether the lists are in force."""
        configure(self.romeo, **{"x-muc#roomconfig_blocklists": False})
        self.romeo.received()
        self.enter(self.tybalt)
        self.notify(f"items item:{hashOf('juliet@localhost')}")
        self.assertEqual(summaries(self.tybalt), [])
        configure(self.romeo, **{"x-muc#roomconfig_blocklists": True})
        self.discardReceived()
        say(self.tybalt, "Hi")
        self.tybalt.sends(f"<message type='chat' to='{ROOM}/Romeo'><body>Hi</body></message>")
        refused = "message error auth forbidden"
        self.assertEqual(summaries(self.tybalt), [f"room {refused}", f"Romeo {refused}"])
        self.assertEqual(summaries(self.romeo), [])

    def test_added(self) -> None:
        """Who comes onto the list is removed (307) from all rooms; who goes off it can enter again."""
        other = ROOM.replace("room", "other")
        self.createRoom(self.romeo, to=other)
        self.enter(self.juliet)
        self.enter(self.juliet, to=other)
        self.notify(f"items item:{hashOf('juliet@localhost')}", type="normal")
        gone = f"Juliet unavailable none/none jid=juliet@localhost/a {REASON}"
        self.assertEqual(summaries(self.romeo), [f"{gone} 307"] * 2)
        self.assertEqual(summaries(self.juliet), [f"{gone} 307 110"] * 2)
        self.notify(f"items retract:{hashOf('juliet@localhost')}")
        self.enter(self.juliet)

    def test_manyAdded(self) -> None:
        """Many events, and many rooms, wait as one call; all whom they are about are removed."""
        nurse = self.client("nurse")
        for name in ("one", "two", "three"):
            self.createRoom(self.romeo, to=ROOM.replace("room", name))
        self.enterAll(self.juliet, nurse)
        waiting = len(self.server.clock.getDelayedCalls())
        for name in ("juliet", "nurse"):
            self.pubsub.notify(f"items item:{hashOf(f'{name}@localhost')}", HOST)
        self.assertEqual(len(self.server.clock.getDelayedCalls()), waiting + 1)
        self.server.clock.advance(0)
        self.assertEqual(len(self.server.clock.getDelayedCalls()), waiting)
        self.assertEqual([each.nick for each in self.room().occupants.values()], ["Romeo"])

    def test_strangers(self) -> None:
        """Events from anybody else do not count, and other messages to the service are answered as ever."""
        tybalt = hashOf("tybalt@localhost")
        items = f"<items node='{NODE}'><retract id='{tybalt}'/></items>"
        event = f"<event xmlns='{ns.PUBSUB_EVENT}'>{items}</event>"
        self.juliet.sends(f"<message type='normal' to='{HOST}'>{event}</message>")
        self.assertEqual(summaries(self.juliet), ["room message error cancel service-unavailable"])
        join(self.tybalt, "Tybalt")
        self.assertEqual(summaries(self.tybalt), ["Tybalt presence error auth forbidden"])

    def test_withoutLists(self) -> None:
        """A server without lists has no such field."""
        for lists, shown in (((), False), ((parse(f"{DOMAIN}/{NODE}"),), True)):
            self.startServer(blockLists=lists)
            [romeo] = self.login("romeo")
            self.createRoom(romeo)
            sendOwner(romeo, type="get")
            [answer] = romeo.received()
            self.assertEqual("x-muc#roomconfig_blocklists" in answer.toXml(), shown)
