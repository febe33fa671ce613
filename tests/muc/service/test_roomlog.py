# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.service.roomlog}: the lines that rooms leave in the log."""

from __future__ import annotations

from twisted.logger import LogLevel

from muccore.log import eventlog
from muccore.log.eventlog import RateLimit
from muccore.log.logger import setThreshold
from muccore.testing.doubles import FailingRoomStore
from tests.configuration import Logged
from tests.muc.muchelpers import ROOM, RoomTestCase, affiliation, join, role, sendAdmin, sendIQ, sendOwner

CREATED = f"room-created by owner@localhost: {ROOM}"
TEMPORARY = f"room-destroyed by conference.localhost: {ROOM}, temporary and empty"


class RoomLogTests(RoomTestCase):
    """The log lines of rooms."""

    def setUp(self) -> None:
        """Keep the lines. Each test opens its room."""
        self.patch(eventlog, "limit", RateLimit())
        self.logged = Logged(self)
        setThreshold("info")

    def lines(self) -> list[str]:
        """The lines since the last time."""
        lines = self.logged.lines(LogLevel.info)
        self.logged.events.clear()
        return lines

    def test_configured(self) -> None:
        """A new configuration is logged by the names of the changed settings: no values, and no password."""
        self.openRoom(roomname="Verona", roomsecret="wherefore")
        self.assertNotIn("wherefore", repr(self.logged.events))
        self.assertEqual(
            self.lines(), [CREATED, f"room-configured by owner@localhost: {ROOM}, changed: name password"]
        )
        self.configureRoom(membersonly="1")
        self.configureRoom(membersonly="1")
        line = f"room-configured by owner@localhost: {ROOM}, changed:"
        self.assertEqual(self.lines(), [f"{line} membersOnly", f"{line} nothing"])

    def test_vCard(self) -> None:
        """A new vCard is logged as a configuration, without what is in it."""
        self.openRoom()
        self.lines()
        sendIQ(self.owner, "set", "<vCard xmlns='vcard-temp'><FN>Verona</FN></vCard>")
        self.assertEqual(self.lines(), [f"room-configured by owner@localhost: {ROOM}, changed: vCard"])
        self.assertNotIn("Verona", repr(self.logged.events))

    def test_removed(self) -> None:
        """
        A kick is logged with account and nick, a ban with the account or domain, both without a reason; other changes
        are not logged, nor is a ban that changes only its reason.
        """
        self.openRoom()
        self.enter("tybalt", "Tybalt is from here")
        self.lines()
        self.change(role("Tybalt is from here", "none"))
        self.change(affiliation("tybalt@localhost", "member"))
        self.change(
            affiliation("tybalt@localhost", "outcast", "private"), affiliation("montague.example", "outcast")
        )
        self.change(affiliation("tybalt@localhost", "outcast"))
        self.assertEqual(
            self.lines(),
            [
                f'occupant-kicked by owner@localhost: tybalt@localhost from {ROOM}, nick "Tybalt is from here"',
                f"occupant-banned by owner@localhost: tybalt@localhost from {ROOM}",
                f"occupant-banned by owner@localhost: montague.example from {ROOM}",
            ],
        )

    def test_ends(self) -> None:
        """The end of a room is logged, whatever its cause."""
        self.patch(eventlog, "LINE_LIMIT", 1000)
        self.openRoom()
        self.lines()
        self.owner.dropConnection()
        self.assertEqual(self.lines(), [TEMPORARY])
        self.openRoom(persistentroom="1")
        self.lines()
        sendOwner(self.owner, "<destroy><reason>private</reason></destroy>")
        self.assertEqual(self.lines(), [f"room-destroyed by owner@localhost: {ROOM}, on request"])
        join(self.owner, "Owner")
        self.owner.dropConnection()
        self.assertEqual(
            self.lines(), [CREATED, f"room-destroyed by owner@localhost: {ROOM}, left before it was configured"]
        )
        self.openRoom(options={"lockTimeout": 60})
        self.configureRoom(persistentroom="1")
        sendOwner(self.owner, "<destroy/>")
        self.lines()
        join(self.owner, "Owner")
        self.server.clock.advance(60)
        self.assertEqual(
            self.lines(), [CREATED, f"room-destroyed by conference.localhost: {ROOM}, not configured in time"]
        )

    def test_open(self) -> None:
        """
        The creation of an unlocked room is logged once it is stored; that of one which could not be stored is not.
        """
        self.openRoom(options={"lockNewRooms": False})
        self.assertEqual(self.lines()[0], CREATED)
        self.openRoom(options={"lockNewRooms": False})
        self.owner.dropConnection()
        self.assertEqual(self.lines()[-1], TEMPORARY)
        store = FailingRoomStore()
        self.openRoom(store, {"lockNewRooms": False})
        self.owner.dropConnection()
        self.lines()
        store.failing = frozenset(["save"])
        join(self.client("juliet"), "Juliet")
        self.assertEqual(self.lines(), [])

    def test_refused(self) -> None:
        """Refused requests are not logged."""
        self.openRoom()
        tybalt = self.enter("tybalt", "Tybalt")
        self.lines()
        sendAdmin(tybalt, role("Owner", "none"))
        sendOwner(tybalt, "<destroy/>")
        self.assertEqual(self.lines(), [])
