# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.attendance} while a store takes its time.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore import ns
from muccore.interfaces import RoomRecord
from muccore.testing.defaults import defaultRoom
from muccore.testing.doubles import DelayedRoomStore
from muccore.testing.stage import Stage
from tests.muc.company import ROOM, Scene, X, codesOf, join, told


class SlowStoreTests(SynchronousTestCase):
    """
    A room that takes its time to come out of the store.
    """

    def setUp(self) -> None:
        """
        A room is stored.
        """
        self.store = DelayedRoomStore()
        self.store.holding = frozenset(["load"])
        self.store.inner.save(ROOM, RoomRecord(defaultRoom(persistent=True).toMapping(), {}, name="Orchard"))
        self.stage = Stage(self.store)
        self.romeo = self.stage.client("romeo@localhost/a")

    def test_enters(self) -> None:
        """
        Who wants in waits, and gets in.
        """
        join(self.romeo, "Romeo")
        self.assertEqual(told(self.romeo), [])
        self.store.release()
        self.assertEqual(told(self.romeo)[0], "Romeo available none/participant jid=romeo@localhost/a 110")

    def test_leavesMeanwhile(self) -> None:
        """
        What he sent is handled in the order in which he sent it (RFC 6120 §10.1): who leaves while he waits is not in
        afterwards.
        """
        join(self.romeo, "Romeo")
        self.romeo.sends(f"<presence type='unavailable' to='{ROOM}/Romeo'/>")
        self.store.release()
        self.assertEqual(self.stage.muc.rooms.live[ROOM].occupants, {})
        self.assertEqual(told(self.romeo)[-1], "Romeo unavailable none/none jid=romeo@localhost/a 110")

    def test_vanishesMeanwhile(self) -> None:
        """
        Who is gone when the room is there does not enter it.
        """
        join(self.romeo, "Romeo")
        self.romeo.vanishes()
        self.store.release()
        self.assertEqual(self.stage.muc.rooms.live[ROOM].occupants, {})

    def test_twoCome(self) -> None:
        """
        Two who wait for a room that is not there find one: the first creates it, the second comes to a locked one.
        """
        juliet = self.stage.client("juliet@localhost/b")
        for client, nick in ((self.romeo, "Romeo"), (juliet, "Juliet")):
            client.sends(f"<presence to='new@conference.localhost/{nick}'>{X}</presence>")
        self.store.release()
        self.assertEqual(codesOf(self.romeo.hears()[0]), [201, 110])
        self.assertIn("item-not-found", told(juliet)[0])

    def test_creatorVanishes(self) -> None:
        """
        Who is gone when it turns out that there is no room creates none.
        """
        self.romeo.sends(f"<presence to='new@conference.localhost/Romeo'>{X}</presence>")
        self.romeo.vanishes()
        self.store.release()
        self.assertEqual(self.stage.muc.rooms.live, {})

    def test_backFromRest(self) -> None:
        """
        A room at rest into which somebody comes is not at rest any more: it is not put away for another one.
        """
        store = DelayedRoomStore()
        store.holding = frozenset()
        names = [f"r{n}@conference.localhost" for n in range(2)]
        for name in names:
            store.inner.save(name, RoomRecord(defaultRoom(persistent=True).toMapping(), {}))
        stage = Stage(store, idleRooms=1)
        romeo, juliet = stage.client("romeo@localhost/a"), stage.client("juliet@localhost/b")
        romeo.sends(f"<presence to='{names[0]}/Romeo'>{X}</presence>")
        room = stage.muc.rooms.live[names[0]]
        juliet.sends(f"<presence to='{names[1]}/Juliet'>{X}</presence>")
        juliet.vanishes()
        self.assertIs(stage.muc.rooms.live[names[0]], room)


class BusyTests(SynchronousTestCase):
    """
    While something of somebody's is being written, what he sends waits for it (RFC 6120 §10.1).
    """

    def setUp(self) -> None:
        """
        Juliet's change of the subject is on its way to the disk.
        """
        self.store = DelayedRoomStore()
        self.store.holding = frozenset()
        self.scene = Scene({"changesubject": "1"}, self.store)
        self.juliet, self.romeo = self.scene.guest("juliet", "Juliet"), self.scene.guest("romeo", "Romeo")
        self.store.holding = frozenset(["change"])
        self.juliet.sends(f"<message to='{ROOM}' type='groupchat'><subject>Fire</subject></message>")

    def expect(self, *lines: str) -> None:
        """
        See that Romeo hears nothing before it is written, and then this.
        """
        self.assertEqual(told(self.romeo), [])
        self.store.release()
        self.assertEqual(told(self.romeo), ["Juliet groupchat subject:Fire", *lines])

    def test_presence(self) -> None:
        """
        Her presence waits.
        """
        self.juliet.sends(f"<presence to='{ROOM}/J'/>")
        self.expect("Juliet unavailable none/participant nick=J 303", "J available none/participant")

    def test_bounce(self) -> None:
        """
        What comes back from her waits.
        """
        self.juliet.sends(
            f"<message type='error' to='{ROOM}'><error type='cancel'><gone xmlns='{ns.STANZA_ERRORS}'/></error>"
            "</message>"
        )
        self.expect("Juliet unavailable none/none 333")

    def test_vanished(self) -> None:
        """
        Her end waits.
        """
        self.juliet.vanishes()
        self.expect("Juliet unavailable none/none")

    def test_others(self) -> None:
        """
        Others do not: they come, go, and change their presence.
        """
        nurse = self.scene.person("nurse")
        join(nurse, "Nurse")
        self.romeo.sends(f"<presence to='{ROOM}/R'/>")
        self.assertEqual(len(told(self.romeo)), 3)
        nurse.vanishes()
        self.assertEqual(told(self.romeo), ["Nurse unavailable none/none"])
