# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.rooms}: temporary rooms, and what is left of them after a restart.
"""

from __future__ import annotations

from muccore.testing.doubles import WRITES, DelayedRoomStore, FailingRoomStore
from tests.muc.test_rooms import Stored
from tests.muc.theatre import NAME, admin, affiliation, configure, heard, join, leave, owner, register


class TemporaryTests(Stored):
    """
    Temporary rooms end with their last occupant.
    """

    def test_emptied(self) -> None:
        """
        When the last one leaves it is forgotten, in the store as well; the next one who comes creates it anew, with
        201, and knows nothing of the old one.
        """
        romeo, juliet = self.client("romeo"), self.client("juliet")
        self.open(romeo, roomname="Orchard")
        self.admit((juliet, "Juliet"))
        leave(romeo, "Romeo")
        self.assertIsNotNone(self.record())
        leave(juliet, "Juliet")
        self.assertIsNone(self.record())
        self.assertEqual(self.stage.muc.rooms.live, {})
        self.quiet(juliet)
        join(juliet, "Juliet")
        self.hear(juliet, "here Juliet owner/moderator +201 +110 as juliet@localhost/a", 'subject ""')
        self.assertEqual(self.room().settings.name, "")

    def test_emptiedSlowly(self) -> None:
        """
        Also while the store has not yet forgotten it.
        """
        store = DelayedRoomStore()
        store.holding = frozenset()
        self.begin(store)
        romeo, juliet = self.client("romeo"), self.client("juliet")
        self.open(romeo)
        store.holding = WRITES
        leave(romeo, "Romeo")
        join(juliet, "Juliet")
        self.silent(juliet)
        store.release()
        self.hear(juliet, "here Juliet owner/moderator +201 +110 as juliet@localhost/a", 'subject ""')
        configure(juliet)
        store.release()
        self.assertEqual(self.stored(), {"juliet@localhost": "owner"})

    def test_cannotBeForgotten(self) -> None:
        """
        One that the store could not forget has ended nevertheless: it is not found again, by a visitor or a creator.
        """
        store = FailingRoomStore()
        self.begin(store)
        romeo, juliet = self.client("romeo"), self.client("juliet")
        self.open(romeo, roomname="Orchard")
        store.failing = frozenset({"destroy"})
        leave(romeo, "Romeo")
        self.assertIsNotNone(self.record())
        admin(juliet, affiliation("x@localhost", "member"))
        self.refused(juliet, "cancel item-not-found")
        store.failing = frozenset()
        join(juliet, "Juliet")
        self.hear(juliet, "here Juliet owner/moderator +201 +110 as juliet@localhost/a", 'subject ""')

    def test_kickedOut(self) -> None:
        """
        However the last one goes: by a kick, a ban, deregistering.
        """
        for how in ("kick", "ban", "deregister"):
            self.begin()
            romeo, juliet = self.client("romeo"), self.client("juliet")
            self.open(romeo, membersonly=True)
            admin(romeo, affiliation("juliet@localhost", "member"))
            self.admit((juliet, "Juliet"))
            leave(romeo, "Romeo")
            self.assertIsNotNone(self.record())
            if how == "kick":
                juliet.sends(
                    f"<message type='error' to='{NAME}'><error type='cancel'>"
                    "<gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
                )
            elif how == "ban":
                admin(romeo, affiliation("juliet@localhost", "outcast"))
            else:
                register(juliet, None)
            self.assertIsNone(self.record(), how)
            self.assertEqual(self.stage.muc.rooms.live, {}, how)

    def test_lastLeavesWhileChanging(self) -> None:
        """
        If the last one leaves while a change is on its way, the room ends when that is done.
        """
        store = DelayedRoomStore()
        store.holding = frozenset()
        self.begin(store)
        romeo, juliet, second = self.client("romeo"), self.client("juliet"), self.client("romeo@localhost/b")
        self.open(romeo)
        self.admit((juliet, "Juliet"))
        leave(romeo, "Romeo")
        store.holding = WRITES
        admin(second, affiliation("juliet@localhost", "member"))
        leave(juliet, "Juliet")
        self.assertIn(NAME, self.stage.muc.rooms.live)
        self.assertEqual(store.held, ["change"])
        store.release(1)
        self.hear(second, "result q")
        self.assertEqual(self.stage.muc.rooms.live, {})
        store.release()
        self.assertIsNone(self.record())

    def test_becomesTemporary(self) -> None:
        """
        An empty room that is made temporary ends with that.
        """
        romeo = self.client("romeo")
        self.open(romeo, persistentroom=True)
        leave(romeo, "Romeo")
        self.quiet(romeo)
        configure(romeo, persistentroom=False)
        self.hear(romeo, "result q")
        self.assertIsNone(self.record())
        self.assertEqual(self.stage.muc.rooms.live, {})

    def test_becomesPersistent(self) -> None:
        """
        One that is made persistent stays when it is empty.
        """
        romeo = self.client("romeo")
        self.open(romeo)
        configure(romeo, persistentroom=True)
        leave(romeo, "Romeo")
        record = self.record()
        assert record is not None
        self.assertFalse(record.temporary)


class RestartTests(Stored):
    """
    Temporary rooms that an earlier run has left.
    """

    def setUp(self) -> None:
        """
        A room stands in the store, and the server has just started.
        """
        super().setUp()
        self.fill(self.stage.store)
        self.restarted(grace=60)

    def test_comesBack(self) -> None:
        """
        Their people find them as they were.
        """
        juliet = self.client("juliet")
        join(juliet, "Juliet")
        self.hear(juliet, "here Juliet member/participant +110 as juliet@localhost/a", 'subject "Love"')
        self.stage.clock.advance(61)
        self.assertIsNotNone(self.record())
        leave(juliet, "Juliet")
        self.assertIsNone(self.record())

    def test_asked(self) -> None:
        """
        Being asked something does not end them, nor do refused visitors.
        """
        romeo, outcast = self.client("romeo"), self.client("outcast")
        admin(romeo, affiliation("outcast@localhost", "outcast"))
        self.hear(romeo, "result q")
        join(outcast, "Outcast")
        self.hear(outcast, "refused Outcast auth forbidden")
        self.stage.clock.advance(59)
        self.assertEqual(self.stored()["outcast@localhost"], "outcast")

    def test_graceEnds(self) -> None:
        """
        When nobody has come in time they are forgotten, whether they were asked something or not.
        """
        for asked in (False, True):
            self.fill(self.stage.store)
            self.restarted(grace=60)
            if asked:
                admin(self.client("romeo"), affiliation("x@localhost", "member"))
            self.stage.clock.advance(61)
            self.assertIsNone(self.record())
            self.assertEqual(self.stage.muc.rooms.live, {})

    def test_persistentStay(self) -> None:
        """
        Persistent rooms stay.
        """
        self.fill(self.stage.store, persistent=True)
        self.restarted(grace=60)
        self.stage.clock.advance(61)
        self.assertIsNotNone(self.record())

    def test_destroyedInTime(self) -> None:
        """
        One that is destroyed meanwhile and created anew belongs to its new people.
        """
        romeo, juliet = self.client("romeo"), self.client("juliet")
        owner(romeo, "<destroy/>")
        self.open(juliet)
        self.stage.clock.advance(61)
        self.assertEqual(self.stored(), {"juliet@localhost": "owner"})
        leave(juliet, "Juliet")
        self.assertIsNone(self.record())

    def test_notKnown(self) -> None:
        """
        If the store cannot tell which rooms were left, or has not yet done so, none of them is lost for that, nor
        does another one become its owner.
        """
        store = FailingRoomStore()
        self.fill(store.inner)
        store.failing = frozenset({"temporaryRooms"})
        self.begin(store, grace=60)
        self.assertEqual(len(self.flushLoggedErrors()), 1)
        nurse, juliet = self.client("nurse"), self.client("juliet")
        admin(nurse, affiliation("x@localhost", "member"))
        self.refused(nurse, "auth forbidden")
        self.assertIsNotNone(self.record())
        join(nurse, "Nurse")
        self.assertIn("here Nurse none/participant +110 as nurse@localhost/a", heard(nurse))
        self.admit((juliet, "Juliet"))
        leave(nurse, "Nurse")
        leave(juliet, "Juliet")
        self.assertIsNone(self.record())
