# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.service.rooms}: temporary rooms, and what is left of them after a restart."""

from __future__ import annotations

from muccore.testing.doubles import WRITES, DelayedRoomStore, FailingRoomStore
from tests.muc.muchelpers import (
    ROOM,
    affiliation,
    configure,
    join,
    leave,
    register,
    sendAdmin,
    sendError,
    sendOwner,
    summaries,
)
from tests.muc.service.test_rooms import StoredRoomTestCase


class TemporaryTests(StoredRoomTestCase):
    """Temporary rooms end with their last occupant."""

    def test_emptied(self) -> None:
        """
        When the last occupant leaves the room is destroyed, in the store as well; the next one who enters creates it
        anew, with 201.
        """
        romeo, juliet = self.login("romeo", "juliet")
        self.createRoom(romeo, roomname="Orchard")
        self.enter(juliet)
        leave(romeo, "Romeo")
        self.assertIsNotNone(self.record())
        leave(juliet, "Juliet")
        self.assertIsNone(self.record())
        self.assertEqual(self.server.muc.rooms.live, {})
        self.discardReceived()
        join(juliet, "Juliet")
        self.assertReceived(
            juliet, "Juliet available owner/moderator jid=juliet@localhost/a 201 110", "room groupchat subject:"
        )
        self.assertEqual(self.room().settings.name, "")

    def test_emptiedSlowly(self) -> None:
        """So it is while the store has not destroyed it yet."""
        store = DelayedRoomStore()
        store.holding = frozenset()
        self.startServer(store)
        romeo, juliet = self.login("romeo", "juliet")
        self.createRoom(romeo)
        store.holding = WRITES
        leave(romeo, "Romeo")
        join(juliet, "Juliet")
        self.assertNothingReceived(juliet)
        store.release()
        self.assertReceived(
            juliet, "Juliet available owner/moderator jid=juliet@localhost/a 201 110", "room groupchat subject:"
        )
        configure(juliet)
        store.release()
        self.assertEqual(self.storedAffiliations(), {"juliet@localhost": "owner"})

    def test_cannotBeForgotten(self) -> None:
        """A room that the store could not destroy has ended all the same: it is not found again."""
        store = FailingRoomStore()
        self.startServer(store)
        romeo, juliet = self.login("romeo", "juliet")
        self.createRoom(romeo, roomname="Orchard")
        store.failing = frozenset({"destroy"})
        leave(romeo, "Romeo")
        self.assertIsNotNone(self.record())
        sendAdmin(juliet, affiliation("x@localhost", "member"))
        self.assertReceived(juliet, "error q cancel item-not-found")
        store.failing = frozenset()
        join(juliet, "Juliet")
        self.assertReceived(
            juliet, "Juliet available owner/moderator jid=juliet@localhost/a 201 110", "room groupchat subject:"
        )

    def test_kickedOut(self) -> None:
        """It ends however the last occupant goes: by an error, a ban, or unregistering."""
        for how in ("kick", "ban", "deregister"):
            self.startServer()
            romeo, juliet = self.login("romeo", "juliet")
            self.createRoom(romeo, membersonly=True)
            sendAdmin(romeo, affiliation("juliet@localhost", "member"))
            self.enter(juliet)
            leave(romeo, "Romeo")
            self.assertIsNotNone(self.record())
            if how == "kick":
                sendError(juliet, "gone")
            elif how == "ban":
                sendAdmin(romeo, affiliation("juliet@localhost", "outcast"))
            else:
                register(juliet, None)
            self.assertIsNone(self.record(), how)
            self.assertEqual(self.server.muc.rooms.live, {}, how)

    def test_lastLeavesWhileChanging(self) -> None:
        """If the last occupant leaves while a change is being stored, the room ends afterwards."""
        store = DelayedRoomStore()
        store.holding = frozenset()
        self.startServer(store)
        romeo, juliet, second = self.login("romeo", "juliet", "romeo/b")
        self.createRoom(romeo)
        self.enter(juliet)
        leave(romeo, "Romeo")
        store.holding = WRITES
        sendAdmin(second, affiliation("juliet@localhost", "member"))
        leave(juliet, "Juliet")
        self.assertIn(ROOM, self.server.muc.rooms.live)
        self.assertEqual(store.held, ["change"])
        store.release(1)
        self.assertReceived(second, "result q")
        self.assertEqual(self.server.muc.rooms.live, {})
        store.release()
        self.assertIsNone(self.record())

    def test_becomesTemporary(self) -> None:
        """An empty room that is made temporary ends at once."""
        romeo = self.client("romeo")
        self.createRoom(romeo, persistentroom=True)
        leave(romeo, "Romeo")
        self.discardReceived()
        configure(romeo, persistentroom=False)
        self.assertReceived(romeo, "result q")
        self.assertIsNone(self.record())
        self.assertEqual(self.server.muc.rooms.live, {})

    def test_becomesPersistent(self) -> None:
        """A room that is made persistent stays when it is empty."""
        romeo = self.client("romeo")
        self.createRoom(romeo)
        configure(romeo, persistentroom=True)
        leave(romeo, "Romeo")
        record = self.storedRecord()
        self.assertFalse(record.temporary)


class RestartTests(StoredRoomTestCase):
    """Temporary rooms left by an earlier run."""

    def setUp(self) -> None:
        """A room is stored, and the server has just started."""
        super().setUp()
        self.fill(self.server.store)
        self.restart(grace=60, occupantGrace=60)

    def test_comesBack(self) -> None:
        """Its occupants find it as it was."""
        juliet = self.client("juliet")
        join(juliet, "Juliet")
        self.assertReceived(
            juliet,
            "Juliet available member/participant jid=juliet@localhost/a 110",
            "Romeo groupchat subject:Love delayed",
        )
        self.server.clock.advance(61)
        self.assertIsNotNone(self.record())
        leave(juliet, "Juliet")
        self.assertIsNone(self.record())

    def test_asked(self) -> None:
        """Neither requests nor refused joins end it."""
        romeo, outcast = self.login("romeo", "outcast")
        sendAdmin(romeo, affiliation("outcast@localhost", "outcast"))
        self.assertReceived(romeo, "result q")
        join(outcast, "Outcast")
        self.assertReceived(outcast, "Outcast presence error auth forbidden")
        self.server.clock.advance(59)
        self.assertEqual(self.storedAffiliations()["outcast@localhost"], "outcast")

    def test_graceEnds(self) -> None:
        """If nobody enters in time it is destroyed, whether it has had requests or not."""
        for asked in (False, True):
            self.fill(self.server.store)
            self.restart(grace=60, occupantGrace=60)
            if asked:
                sendAdmin(self.client("romeo"), affiliation("x@localhost", "member"))
            self.server.clock.advance(61)
            self.assertIsNone(self.record())
            self.assertEqual(self.server.muc.rooms.live, {})

    def test_persistentStay(self) -> None:
        """Persistent rooms stay."""
        self.fill(self.server.store, persistent=True)
        self.restart(grace=60, occupantGrace=60)
        self.server.clock.advance(61)
        self.assertIsNotNone(self.record())

    def test_destroyedInTime(self) -> None:
        """A room that is destroyed meanwhile and created anew belongs to its new owner."""
        romeo, juliet = self.login("romeo", "juliet")
        sendOwner(romeo, "<destroy/>")
        self.createRoom(juliet)
        self.server.clock.advance(61)
        self.assertEqual(self.storedAffiliations(), {"juliet@localhost": "owner"})
        leave(juliet, "Juliet")
        self.assertIsNone(self.record())

    def test_notKnown(self) -> None:
        """If the store cannot list the temporary rooms, none of them is lost, nor does it change owners."""
        store = FailingRoomStore()
        self.fill(store.inner)
        store.failing = frozenset({"temporaryRooms"})
        self.startServer(store, grace=60, occupantGrace=60)
        nurse, juliet = self.login("nurse", "juliet")
        sendAdmin(nurse, affiliation("x@localhost", "member"))
        self.assertReceived(nurse, "error q auth forbidden")
        self.assertIsNotNone(self.record())
        join(nurse, "Nurse")
        self.assertIn("Nurse available none/participant jid=nurse@localhost/a 110", summaries(nurse))
        self.enter(juliet)
        leave(nurse, "Nurse")
        leave(juliet, "Juliet")
        self.assertIsNone(self.record())

    def test_knownLater(self) -> None:
        """If the store can list the temporary rooms later, they end after the grace time."""
        store = FailingRoomStore()
        self.fill(store.inner)
        store.failing = frozenset({"temporaryRooms"})
        self.startServer(store, grace=60, occupantGrace=60)
        self.server.clock.advance(61)
        store.failing = frozenset()
        self.server.clock.advance(15)
        self.assertIsNotNone(self.record())
        self.server.clock.advance(61)
        self.assertIsNone(self.record())
