# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests of L{muccore.muc.roomlog}: the lines that rooms leave in the log.
"""

from __future__ import annotations

from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from muccore import eventlog, ns
from muccore.eventlog import RateLimit
from muccore.log import setThreshold
from muccore.testing.doubles import FailingRoomStore
from tests.configuration import Logged
from tests.muc.company import ROOM, Scene, join

CREATED = f"room-created by owner@localhost: {ROOM}"
TEMPORARY = f"room-destroyed by conference.localhost: {ROOM}, temporary and empty"


class RoomLogTests(SynchronousTestCase):
    """
    What is logged of rooms.
    """

    def setUp(self) -> None:
        """
        Keep the lines.
        """
        self.patch(eventlog, "limit", RateLimit())
        self.logged = Logged(self)
        setThreshold("info")

    def lines(self) -> list[str]:
        """
        The lines since the last time.
        """
        lines = self.logged.lines(LogLevel.info)
        self.logged.events.clear()
        return lines

    def test_configured(self) -> None:
        """
        A configuration is told by the names of the settings that it changes: no values, and no password.
        """
        scene = Scene({"roomname": "Verona", "roomsecret": "wherefore"})
        self.assertNotIn("wherefore", repr(self.logged.events))
        self.assertEqual(
            self.lines(), [CREATED, f"room-configured by owner@localhost: {ROOM}, changed: name password"]
        )
        scene.configure(membersonly="1")
        scene.configure(membersonly="1")
        line = f"room-configured by owner@localhost: {ROOM}, changed:"
        self.assertEqual(self.lines(), [f"{line} membersOnly", f"{line} nothing"])

    def test_putOut(self) -> None:
        """
        Who is kicked is told with the account and the nick, who is banned with the account or domain, without a
        reason; other changes, and a ban that changes nothing but its reason, are not told.
        """
        scene = Scene()
        scene.guest("tybalt", "Tybalt is from here")
        self.lines()
        scene.admin(nick="Tybalt is from here", role="none")
        scene.admin(jid="tybalt@localhost", affiliation="member")
        scene.asks(
            scene.owner,
            f"<query xmlns='{ns.MUC_ADMIN}'><item jid='tybalt@localhost' affiliation='outcast'>"
            "<reason>private</reason></item><item jid='montague.example' affiliation='outcast'/></query>",
        )
        scene.admin(jid="tybalt@localhost", affiliation="outcast")
        self.assertEqual(
            self.lines(),
            [
                f'occupant-kicked by owner@localhost: tybalt@localhost from {ROOM}, nick "Tybalt is from here"',
                f"occupant-banned by owner@localhost: tybalt@localhost from {ROOM}",
                f"occupant-banned by owner@localhost: montague.example from {ROOM}",
            ],
        )

    def test_ends(self) -> None:
        """
        However a room ends, it is told.
        """
        self.patch(eventlog, "LINE_LIMIT", 1000)
        scene = Scene()
        self.lines()
        scene.owner.vanishes()
        self.assertEqual(self.lines(), [TEMPORARY])
        scene = Scene({"persistentroom": "1"})
        self.lines()
        scene.asks(scene.owner, f"<query xmlns='{ns.MUC_OWNER}'><destroy><reason>private</reason></destroy></query>")
        self.assertEqual(self.lines(), [f"room-destroyed by owner@localhost: {ROOM}, on request"])
        join(scene.owner, "Owner")
        scene.owner.vanishes()
        self.assertEqual(
            self.lines(), [CREATED, f"room-destroyed by owner@localhost: {ROOM}, left before it was configured"]
        )
        scene = Scene(lockTimeout=60)
        scene.configure(persistentroom="1")
        scene.asks(scene.owner, f"<query xmlns='{ns.MUC_OWNER}'><destroy/></query>")
        self.lines()
        join(scene.owner, "Owner")
        scene.clock.advance(60)
        self.assertEqual(
            self.lines(), [CREATED, f"room-destroyed by conference.localhost: {ROOM}, not configured in time"]
        )

    def test_open(self) -> None:
        """
        A room that is open from the start is told when it is written down; one that could not be is not told.
        """
        scene = Scene(lockNewRooms=False)
        self.assertEqual(self.lines()[0], CREATED)
        scene = Scene(lockNewRooms=False)
        scene.owner.vanishes()
        self.assertEqual(self.lines()[-1], TEMPORARY)
        store = FailingRoomStore()
        scene = Scene(store=store, lockNewRooms=False)
        scene.owner.vanishes()
        self.lines()
        store.failing = frozenset(["save"])
        join(scene.person("juliet"), "Juliet")
        self.assertEqual(self.lines(), [])

    def test_refused(self) -> None:
        """
        What is refused is not told.
        """
        scene = Scene()
        tybalt = scene.guest("tybalt", "Tybalt")
        self.lines()
        tybalt.sends(
            f"<iq type='set' id='1' to='{ROOM}'>"
            f"<query xmlns='{ns.MUC_ADMIN}'><item nick='Owner' role='none'/></query></iq>"
        )
        tybalt.sends(f"<iq type='set' id='2' to='{ROOM}'><query xmlns='{ns.MUC_OWNER}'><destroy/></query></iq>")
        self.assertEqual(self.lines(), [])
