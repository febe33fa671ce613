# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.bulkretraction}: bounded work, in order."""

from __future__ import annotations

from muccore.muc.extensions import bulkretraction
from muccore.muc.extensions.bulkretraction import INTERVAL
from muccore.muc.extensions.moderation import WAITING
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from tests.muc.extensions.retractions import RetractionTestCase, child, moderate, retractAll
from tests.muc.muchelpers import ROOM, leave, say, sendAdmin, sendOwner, summaries, summary

RETRACT = ("retract", ns.RETRACT)


class BulkTests(RetractionTestCase):
    """Large requests, in a room whose messages are kept."""

    keeping = True

    def setUp(self) -> None:
        super().setUp()
        # Two announcements in a turn.
        self.patch(bulkretraction, "DELIVERED", 7)

    def announced(self, client: Client) -> list[str]:
        """The ids of the messages whose retraction a client has received."""
        found = [each for each in client.received() if each.name == "message"]
        return [child(each, RETRACT)["id"] for each in found if each.child(*RETRACT) is not None]

    def many(self, client: Client, number: int) -> list[str]:
        """Say many things, and return their ids."""
        return [self.said(client, "secret", f"m{index}") for index in range(number)]

    def test_paced(self) -> None:
        """A few are announced in a turn, in their order; the result comes at the end, everything is gone before."""
        ids = self.many(self.juliet, 5)
        retractAll(self.romeo, "nick='Juliet'")
        self.assertNotIn("secret", "".join(self.keeper.texts(ROOM)))
        self.assertEqual(self.announced(self.tybalt), ids[:2])
        say(self.juliet, "more")
        self.assertEqual(summaries(self.tybalt), ["Juliet groupchat body:more"])
        self.server.clock.advance(INTERVAL)
        self.assertEqual(self.announced(self.tybalt), ids[2:4])
        self.assertNotIn("result q", summaries(self.romeo))
        self.server.clock.advance(INTERVAL)
        self.assertEqual(self.announced(self.tybalt), ids[4:])
        self.assertIn("result q", summaries(self.romeo))

    def test_oneAfterTheOther(self) -> None:
        """Of several users, one after the other."""
        ids = self.many(self.juliet, 3) + self.many(self.tybalt, 3)
        retractAll(self.romeo, "nick='Juliet'")
        retractAll(self.romeo, "nick='Tybalt'")
        self.server.clock.pump([INTERVAL] * 20)
        self.assertEqual(self.announced(self.juliet), ids)
        self.assertEqual(summaries(self.romeo).count("result q"), 2)

    def test_limit(self) -> None:
        """At most so many at a time, the last ones; it can be repeated."""
        self.patch(bulkretraction, "LIMIT", 3)
        ids = self.many(self.juliet, 5)
        for expected, complete in ((ids[2:], "false"), (ids[:2], "true")):
            retractAll(self.romeo, "nick='Juliet'")
            self.server.clock.pump([INTERVAL] * 20)
            self.assertEqual(self.announced(self.tybalt), expected)
            payload = child(self.romeo.received()[-1], ("retract-all", ns.MODERATION))
            self.assertEqual(payload.attributes, {"count": str(len(expected)), "complete": complete})

    def test_yields(self) -> None:
        """Many are not replaced in one turn; other changes wait meanwhile, and each is retracted once."""
        self.patch(bulkretraction, "PREPARED", 2)
        ids = self.many(self.juliet, 5)
        retractAll(self.romeo, "nick='Juliet'")
        self.retract(self.juliet, ids[4])
        moderate(self.romeo, ids[0])
        self.assertNothingReceived()
        self.server.clock.pump([INTERVAL] * 20)
        found = [summary(each) for each in self.juliet.received()]
        self.assertEqual(found.count("room groupchat apply-to retract"), 5)
        self.assertEqual([line for line in found if "error" in line], ["room message error cancel item-not-found"])

    def test_tooMany(self) -> None:
        """Requests are refused while too many wait."""
        self.many(self.juliet, 3)
        for _ in range(WAITING + 1):
            retractAll(self.romeo, "nick='Juliet'")
        self.assertIn("error q wait resource-constraint", summaries(self.romeo))
        self.server.clock.pump([INTERVAL] * 20)
        self.assertEqual(summaries(self.romeo).count("result q"), WAITING)

    def test_ownAreFew(self) -> None:
        """Users who retract what they wrote themselves, from outside, too, do not keep moderators from it."""
        self.many(self.juliet, 3)
        strangers = [self.client(f"stranger{number}") for number in range(WAITING)]
        retractAll(self.romeo, "nick='Juliet'")
        for stranger in strangers:
            retractAll(stranger)
            retractAll(stranger)
        retractAll(self.romeo, "nick='Juliet'")
        self.server.clock.pump([INTERVAL] * 20)
        self.assertEqual(summaries(self.romeo).count("result q"), 2)
        found = [summary(each) for stranger in strangers for each in stranger.received()]
        self.assertEqual(found.count("result q"), WAITING)
        self.assertEqual(found.count("error q wait resource-constraint"), WAITING)

    def test_destroyed(self) -> None:
        """When the room is destroyed, the rest is not announced, not even in a new room of that name."""
        self.many(self.juliet, 5)
        retractAll(self.romeo, "nick='Juliet'")
        retractAll(self.romeo, "nick='Tybalt'")
        self.romeo.received()
        sendOwner(self.romeo, "<destroy/>")
        # That of the second request, which has not begun, and that of the destruction.
        self.assertEqual(summaries(self.romeo).count("result q"), 2)
        self.createRoom(self.romeo)
        self.server.clock.pump([INTERVAL] * 20)
        self.assertEqual(summaries(self.romeo), ["result q"])

    def test_emptied(self) -> None:
        """When all leave a persistent room, and it is dropped from memory, the rest is announced to what keeps it."""
        self.startServer(idleRooms=1)
        self.openRoom(persistentroom=True)
        self.many(self.juliet, 5)
        retractAll(self.romeo, "nick='Juliet'")
        for client, nick in ((self.romeo, "Romeo"), (self.juliet, "Juliet"), (self.tybalt, "Tybalt")):
            leave(client, nick)
        for other in ("a", "b"):
            name = ROOM.replace("room", other)
            self.createRoom(self.romeo, to=name, persistentroom=True)
            leave(self.romeo, "Romeo", to=name)
        self.assertNotIn(ROOM, self.server.muc.rooms.live)
        self.server.clock.pump([INTERVAL] * 20)
        self.assertEqual("".join(self.keeper.texts(ROOM)).count("<apply-to"), 5)

    def test_stopped(self) -> None:
        """At the end of the server the rest is done at once."""
        self.many(self.juliet, 5)
        retractAll(self.romeo, "nick='Juliet'")
        self.successResultOf(self.server.muc.shutDown(False))
        self.assertEqual("".join(self.keeper.texts(ROOM)).count("<apply-to"), 5)

    def test_banOfMany(self) -> None:
        """Several bans in one request are done one after the other."""
        ids = self.many(self.juliet, 3) + self.many(self.tybalt, 3)
        inside = f"<retract-all xmlns='{ns.MODERATION}'/>"
        items = [f"<item jid='{name}@localhost' affiliation='outcast'>{inside}</item>" for name in ("juliet", "tybalt")]
        sendAdmin(self.romeo, *items)
        self.server.clock.pump([INTERVAL] * 20)
        self.assertEqual(self.announced(self.romeo), ids)


class HistoryTests(RetractionTestCase):
    """Rooms that nothing but the history keeps."""

    def test_forgotten(self) -> None:
        """What has left the history is retracted as well: clients still show it. What others said stays there."""
        old = self.said(self.juliet, "old")
        for index in range(15):
            self.said(self.tybalt, f"t{index}")
        ids = [old] + [self.said(self.juliet, "spam") for _ in range(8)]
        retractAll(self.romeo, "nick='Juliet'")
        self.assertEqual([child(each, RETRACT)["id"] for each in self.tybalt.received()], ids)
        found = [summary(each) for each in self.history()]
        self.assertEqual(len([line for line in found if line.startswith("Tybalt groupchat body")]), 12)
        self.assertEqual(found[12:], ["Juliet groupchat retracted moderated delayed"] * 8)
