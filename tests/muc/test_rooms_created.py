# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.rooms}: who may create rooms, and which are listed.
"""

from __future__ import annotations

from muccore.storage.memory import MemoryRooms
from muccore.testing.defaults import defaultRoom
from muccore.testing.doubles import WRITES, DelayedRoomStore, FailingRoomStore
from muccore.testing.stage import Client
from tests.muc.test_rooms import saved
from tests.muc.theatre import HOST, NAME, Theatre, attributes, configure, heard, join, leave, owner


def names(client: Client) -> list[str]:
    """
    Ask for the service's rooms.
    """
    client.sends(f"<iq type='get' id='q' to='{HOST}'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>")
    [iq] = client.hears()
    [query] = iq.childElements()
    return [item["jid"] for item in attributes(child for child in query.childElements() if child.name == "item")]


class CreateTests(Theatre):
    """
    Who may create rooms (§10.1.1).
    """

    def create(self, name: str, **options: object) -> list[str]:
        """
        Try it.
        """
        self.begin(**options)
        client = self.client(name)
        join(client, "Romeo")
        return heard(client)

    CREATED = "here Romeo owner/moderator +201 +110 as {}"

    def test_anyone(self) -> None:
        """
        Anyone, unless the operator has decided otherwise.
        """
        self.assertEqual(
            self.create("romeo"), [self.CREATED.format("romeo@localhost/a"), 'subject ""']
        )

    def test_nobody(self) -> None:
        """
        Nobody: C{not-allowed}, and there is no room.
        """
        self.assertEqual(self.create("romeo", creation="nobody"), ["refused Romeo cancel not-allowed"])
        self.assertEqual(self.stage.muc.rooms.live, {})

    def test_local(self) -> None:
        """
        Users of this server only.
        """
        self.assertEqual(
            self.create("romeo", creation="local"), [self.CREATED.format("romeo@localhost/a"), 'subject ""']
        )
        self.assertEqual(
            self.create("romeo", creation="local", localDomain="other.example"), ["refused Romeo cancel not-allowed"]
        )

    def test_enteringIsNotCreating(self) -> None:
        """
        Who may not create rooms may enter them.
        """
        store = MemoryRooms()
        store.open()
        self.successResultOf(store.save(NAME, saved(persistent=True)))
        self.begin(store, creation="nobody")
        juliet = self.client("juliet")
        join(juliet, "Juliet")
        self.assertIn("here Juliet none/participant +110 as juliet@localhost/a", heard(juliet))

    def test_perUser(self) -> None:
        """
        One user has so many rooms open at a time, across his sessions; one that has ended makes place for another,
        whatever way it ended.
        """
        self.begin(roomsPerUser=2)
        romeo, second = self.client("romeo"), self.client("romeo@localhost/b")
        join(romeo, "Romeo", to="a@conference.localhost")
        self.open(second, to="b@conference.localhost")
        self.quiet(romeo)
        join(romeo, "Romeo", to="c@conference.localhost")
        self.hear(romeo, "refused Romeo wait resource-constraint")
        self.assertNotIn("c@conference.localhost", self.stage.muc.rooms.live)
        juliet = self.client("juliet")
        join(juliet, "Juliet", to="d@conference.localhost")
        self.assertIn("+201", heard(juliet)[0])
        ends = [
            lambda room: leave(romeo, "Romeo", to=room),
            lambda room: owner(romeo, "<x xmlns='jabber:x:data' type='cancel'/>", to=room),
            lambda room: owner(romeo, "<destroy/>", to=room),
            lambda room: self.stage.clock.advance(301),
        ]
        room = "a@conference.localhost"
        for number, end in enumerate(ends):
            end(room)
            self.quiet(romeo)
            room = f"{number}@conference.localhost"
            join(romeo, "Romeo", to=room)
            self.assertIn("+201", heard(romeo)[0])
            join(romeo, "Romeo", to="z@conference.localhost")
            self.hear(romeo, "refused Romeo wait resource-constraint")

    def test_refusedDoesNotCount(self) -> None:
        """
        A room that came to nothing, since its creator could not enter, is not there and does not count.
        """
        self.begin(roomsPerUser=1, presenceSize=100)
        romeo = self.client("romeo")
        x = "<x xmlns='http://jabber.org/protocol/muc'/>"
        romeo.sends(f"<presence to='{NAME}/Romeo'>{x}<status>{'x' * 100}</status></presence>")
        self.hear(romeo, "refused Romeo modify policy-violation")
        self.assertEqual(self.stage.muc.rooms.live, {})
        join(romeo, "Romeo")
        self.assertIn("+201", heard(romeo)[0])

    def test_timeout(self) -> None:
        """
        A room that nobody configures is given up after a while (§10.1.1, §13.6), with a reason.
        """
        self.begin(lockTimeout=30)
        romeo = self.client("romeo")
        join(romeo, "Romeo")
        self.quiet(romeo)
        self.stage.clock.advance(29)
        self.silent(romeo)
        self.stage.clock.advance(2)
        self.hear(
            romeo,
            "gone Romeo none/none +110 as romeo@localhost/a destroyed reason=The room was not configured in time.",
        )
        self.assertEqual(self.stage.muc.rooms.live, {})
        self.assertIsNone(self.record())

    def test_ownerLeaves(self) -> None:
        """
        §10.1.3: an owner who leaves before he has configured his room is told that it is destroyed.
        """
        romeo = self.client("romeo")
        join(romeo, "Romeo")
        self.quiet(romeo)
        leave(romeo, "Romeo")
        self.hear(romeo, "gone Romeo none/none +110 as romeo@localhost/a destroyed")
        self.assertEqual(self.stage.muc.rooms.live, {})
        self.assertEqual(self.stage.clock.getDelayedCalls(), [])

    def test_ownerVanishes(self) -> None:
        """
        So is the room of one whose connection is lost.
        """
        romeo = self.client("romeo")
        join(romeo, "Romeo")
        romeo.vanishes()
        self.assertEqual(self.stage.muc.rooms.live, {})
        self.assertIsNone(self.record())


class OpenTests(Theatre):
    """
    Rooms that need no configuration, where the operator has decided so.
    """

    def test_open(self) -> None:
        """
        The creator still hears 201; others enter at once, and nothing takes the room back.
        """
        self.begin(lockNewRooms=False)
        romeo, juliet = self.client("romeo"), self.client("juliet")
        join(romeo, "Romeo")
        self.hear(romeo, "here Romeo owner/moderator +201 +110 as romeo@localhost/a", 'subject ""')
        self.assertIsNotNone(self.successResultOf(self.stage.store.load(NAME)))
        join(juliet, "Juliet")
        self.hear(
            juliet,
            "here Romeo owner/moderator",
            "here Juliet none/participant +110 as juliet@localhost/a",
            'subject ""',
        )
        self.stage.clock.advance(1000)
        self.assertEqual(heard(romeo), ["here Juliet none/participant as juliet@localhost/a"])

    def test_durable(self) -> None:
        """
        The creator hears of his room when it is written down, not before; who comes meanwhile waits.
        """
        store = DelayedRoomStore(MemoryRooms())
        store.holding = WRITES
        self.begin(store, lockNewRooms=False)
        romeo, juliet = self.client("romeo"), self.client("juliet")
        join(romeo, "Romeo")
        join(juliet, "Juliet")
        self.assertEqual((heard(romeo), heard(juliet)), ([], []))
        store.release()
        self.assertEqual(
            heard(romeo)[:2], ["here Romeo owner/moderator +201 +110 as romeo@localhost/a", 'subject ""']
        )
        self.assertEqual(
            heard(juliet)[:2], ["here Romeo owner/moderator", "here Juliet none/participant +110 as juliet@localhost/a"]
        )

    def test_refused(self) -> None:
        """
        A creator who may not be in as he wants to leaves no room, neither here nor in the store.
        """
        self.begin(lockNewRooms=False, defaults=defaultRoom(persistent=True))
        romeo = self.client("romeo")
        for nick, payload in (("x" * 300, ""), ("Romeo", f"<status>{'x' * 9000}</status>")):
            romeo.sends(f"<presence to='{NAME}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/>{payload}</presence>")
            self.assertEqual(len(heard(romeo)), 1)
            self.assertEqual(self.stage.muc.rooms.live, {})
            self.assertIsNone(self.successResultOf(self.stage.store.load(NAME)))

    def test_failsForOne(self) -> None:
        """
        If it cannot be written down, those who waited find no room: the first of them creates it.
        """
        failing = FailingRoomStore()
        store = DelayedRoomStore(failing)
        store.holding = WRITES
        self.begin(store, lockNewRooms=False)
        romeo, juliet = self.client("romeo"), self.client("juliet")
        failing.failing = WRITES
        join(romeo, "Romeo")
        join(juliet, "Juliet")
        store.release()
        failing.failing = frozenset()
        while store.held:
            store.release()
        self.assertEqual(heard(romeo), ["refused Romeo wait internal-server-error"])
        self.assertEqual(heard(juliet)[0], "here Juliet owner/moderator +201 +110 as juliet@localhost/a")
        self.assertFalse(self.room().locked)
        self.flushLoggedErrors()

    def test_fails(self) -> None:
        """
        If it cannot be written down there is no room, and the next one to come may try.
        """
        store = FailingRoomStore()
        self.begin(store, lockNewRooms=False)
        romeo = self.client("romeo")
        store.failing = WRITES
        join(romeo, "Romeo")
        self.assertEqual(heard(romeo), ["refused Romeo wait internal-server-error"])
        self.assertEqual(self.stage.muc.rooms.live, {})
        store.failing = frozenset()
        join(romeo, "Romeo")
        self.assertEqual(heard(romeo)[0], "here Romeo owner/moderator +201 +110 as romeo@localhost/a")
        self.flushLoggedErrors()

    def test_vanished(self) -> None:
        """
        A creator who is gone before his room is written down leaves none.
        """
        store = DelayedRoomStore(MemoryRooms())
        store.holding = WRITES
        self.begin(store, lockNewRooms=False)
        romeo = self.client("romeo")
        join(romeo, "Romeo")
        romeo.vanishes()
        while store.held:
            store.release()
        self.assertEqual(self.stage.muc.rooms.live, {})
        store.holding = frozenset()
        self.assertIsNone(self.successResultOf(store.load(NAME)))


class ListedTests(Theatre):
    """
    Which rooms the service lists as they come and go.
    """

    def test_listed(self) -> None:
        """
        A locked room is not listed, a configured one is, a hidden one is not, a destroyed one is not.
        """
        romeo = self.client("romeo")
        join(romeo, "Romeo")
        self.quiet(romeo)
        self.assertEqual(names(romeo), [])
        configure(romeo)
        self.quiet(romeo)
        self.assertEqual(names(romeo), [NAME])
        configure(romeo, publicroom=False)
        self.quiet(romeo)
        self.assertEqual(names(romeo), [])
        configure(romeo, publicroom=True)
        self.quiet(romeo)
        self.assertEqual(names(romeo), [NAME])
        owner(romeo, "<destroy/>")
        self.quiet(romeo)
        self.assertEqual(names(romeo), [])
