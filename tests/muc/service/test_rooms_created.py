# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.service.rooms}: creating rooms, and which are listed."""

from __future__ import annotations

from muccore.storage.memory import MemoryRooms
from muccore.testing.defaults import defaultRoom
from muccore.testing.doubles import WRITES, DelayedRoomStore, FailingRoomStore
from muccore.testing.inmemory import Client
from tests.muc.muchelpers import (
    HOST,
    ROOM,
    MUCTestCase,
    attributes,
    configure,
    join,
    leave,
    sendOwner,
    summaries,
    summary,
)
from tests.muc.service.test_rooms import saved


def names(client: Client) -> list[str]:
    """The rooms that the service lists."""
    client.sends(f"<iq type='get' id='q' to='{HOST}'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>")
    [iq] = client.received()
    [query] = iq.childElements()
    return [item["jid"] for item in attributes(child for child in query.childElements() if child.name == "item")]


class CreateTests(MUCTestCase):
    """Who may create rooms (§10.1.1)."""

    def create(self, name: str, **options: object) -> list[str]:
        """Start the server and try to create a room."""
        self.startServer(**options)
        client = self.client(name)
        join(client, "Romeo")
        return summaries(client)

    def test_creation(self) -> None:
        """
        By default anybody creates rooms; the operator may restrict it to local users, or to nobody: C{not-allowed}.
        """
        created = ["Romeo available owner/moderator jid=romeo@localhost/a 201 110", "room groupchat subject:"]
        refused = ["Romeo presence error cancel not-allowed"]
        self.assertEqual(self.create("romeo"), created)
        self.assertEqual(self.create("romeo", creation="local"), created)
        for options in ({"creation": "nobody"}, {"creation": "local", "localDomain": "other.example"}):
            self.assertEqual(self.create("romeo", **options), refused)
            self.assertEqual(self.server.muc.rooms.live, {})

    def test_enteringIsNotCreating(self) -> None:
        """Whoever may not create rooms may enter them."""
        store = MemoryRooms()
        store.open()
        self.successResultOf(store.save(ROOM, saved(persistent=True)))
        self.startServer(store, creation="nobody")
        juliet = self.client("juliet")
        join(juliet, "Juliet")
        self.assertIn("Juliet available none/participant jid=juliet@localhost/a 110", summaries(juliet))

    def test_defaults(self) -> None:
        """A new room has the operator's values for the fields of extensions too, beside the states of these."""
        self.startServer(defaults=defaultRoom(extensions={"hats.on": True}))
        self.createRoom(self.client("romeo"))
        states = self.room().settings.extensions
        self.assertIs(states["hats.on"], True)
        self.assertIn("occupant-id", states)

    def test_perUser(self) -> None:
        """
        A user has a limited number of new rooms, across all sessions; each that ends, however it ends, makes place for
        another.
        """
        self.startServer(roomsPerUser=2)
        romeo, second = self.login("romeo", "romeo/b")
        join(romeo, "Romeo", to="a@conference.localhost")
        self.createRoom(second, to="b@conference.localhost")
        join(romeo, "Romeo", to="c@conference.localhost")
        self.assertReceived(romeo, "Romeo presence error wait resource-constraint")
        self.assertNotIn("c@conference.localhost", self.server.muc.rooms.live)
        juliet = self.client("juliet")
        join(juliet, "Juliet", to="d@conference.localhost")
        self.assertIn(" 201 ", summaries(juliet)[0])
        ends = [
            lambda room: leave(romeo, "Romeo", to=room),
            lambda room: sendOwner(romeo, "<x xmlns='jabber:x:data' type='cancel'/>", to=room),
            lambda room: sendOwner(romeo, "<destroy/>", to=room),
            lambda room: self.server.clock.advance(301),
        ]
        room = "a@conference.localhost"
        for number, end in enumerate(ends):
            end(room)
            self.discardReceived()
            room = f"{number}@conference.localhost"
            join(romeo, "Romeo", to=room)
            self.assertIn(" 201 ", summaries(romeo)[0])
            join(romeo, "Romeo", to="z@conference.localhost")
            self.assertReceived(romeo, "Romeo presence error wait resource-constraint")

    def test_refusedDoesNotCount(self) -> None:
        """A room whose creator was refused does not exist and does not count."""
        self.startServer(roomsPerUser=1, presenceSize=100)
        romeo = self.client("romeo")
        join(romeo, "Romeo", f"<status>{'x' * 100}</status>")
        self.assertReceived(romeo, "Romeo presence error modify policy-violation")
        self.assertEqual(self.server.muc.rooms.live, {})
        join(romeo, "Romeo")
        self.assertIn(" 201 ", summaries(romeo)[0])

    def test_timeout(self) -> None:
        """A room that is not configured in time is destroyed, with a message and a reason (§10.1.1, §13.6)."""
        self.startServer(lockTimeout=30)
        romeo = self.client("romeo")
        join(romeo, "Romeo")
        self.discardReceived()
        self.server.clock.advance(29)
        self.assertNothingReceived(romeo)
        self.server.clock.advance(2)
        self.assertReceived(
            romeo,
            "room groupchat body:This room is removed, because it was not configured in time.",
            "Romeo unavailable none/none jid=romeo@localhost/a destroy reason=The room was not configured in time. 110",
        )
        self.assertEqual(self.server.muc.rooms.live, {})
        self.assertIsNone(self.record())

    def test_ownerLeaves(self) -> None:
        """The room ends when its creator leaves before configuring it, which is an ordinary leave (§7.14)."""
        romeo = self.client("romeo")
        join(romeo, "Romeo")
        self.discardReceived()
        romeo.sends(f"<presence type='unavailable' id='1' to='{ROOM}/Romeo'/>")
        [left] = romeo.received()
        self.assertEqual(left.get("id"), "1")
        self.assertEqual(summary(left), "Romeo unavailable owner/none jid=romeo@localhost/a 110")
        self.assertEqual(self.server.muc.rooms.live, {})
        self.assertEqual(self.server.clock.getDelayedCalls(), [])

    def test_ownerVanishes(self) -> None:
        """So is the room of a creator whose connection is lost."""
        romeo = self.client("romeo")
        join(romeo, "Romeo")
        romeo.dropConnection()
        self.assertEqual(self.server.muc.rooms.live, {})
        self.assertIsNone(self.record())


class OpenTests(MUCTestCase):
    """Rooms that need no configuration, as the operator has decided."""

    def test_open(self) -> None:
        """The creator still receives 201; others enter at once, and the room stays."""
        self.startServer(lockNewRooms=False)
        romeo, juliet = self.login("romeo", "juliet")
        join(romeo, "Romeo")
        self.assertReceived(
            romeo, "Romeo available owner/moderator jid=romeo@localhost/a 201 110", "room groupchat subject:"
        )
        self.assertIsNotNone(self.record())
        join(juliet, "Juliet")
        self.assertReceived(
            juliet,
            "Romeo available owner/moderator",
            "Juliet available none/participant jid=juliet@localhost/a 110",
            "room groupchat subject:",
        )
        self.server.clock.advance(1000)
        self.assertReceived(romeo, "Juliet available none/participant jid=juliet@localhost/a")

    def test_durable(self) -> None:
        """The creator receives presence when the room is stored, not before; whoever enters meanwhile waits."""
        store = DelayedRoomStore(MemoryRooms())
        store.holding = WRITES
        self.startServer(store, lockNewRooms=False)
        romeo, juliet = self.login("romeo", "juliet")
        join(romeo, "Romeo")
        join(juliet, "Juliet")
        self.assertEqual((summaries(romeo), summaries(juliet)), ([], []))
        store.release()
        self.assertEqual(
            summaries(romeo)[:2],
            ["Romeo available owner/moderator jid=romeo@localhost/a 201 110", "room groupchat subject:"],
        )
        self.assertEqual(
            summaries(juliet)[:2],
            ["Romeo available owner/moderator", "Juliet available none/participant jid=juliet@localhost/a 110"],
        )

    def test_refused(self) -> None:
        """A creator who is refused leaves no room, neither in memory nor in the store."""
        self.startServer(lockNewRooms=False, defaults=defaultRoom(persistent=True))
        romeo = self.client("romeo")
        for nick, payload in (("x" * 300, ""), ("Romeo", f"<status>{'x' * 9000}</status>")):
            join(romeo, nick, payload)
            self.assertEqual(len(summaries(romeo)), 1)
            self.assertEqual(self.server.muc.rooms.live, {})
            self.assertIsNone(self.record())

    def test_failsForOne(self) -> None:
        """If it cannot be stored, those who waited find no room: the first of them creates it."""
        failing = FailingRoomStore()
        store = DelayedRoomStore(failing)
        store.holding = WRITES
        self.startServer(store, lockNewRooms=False)
        romeo, juliet = self.login("romeo", "juliet")
        failing.failing = WRITES
        join(romeo, "Romeo")
        join(juliet, "Juliet")
        store.release()
        failing.failing = frozenset()
        while store.held:
            store.release()
        self.assertReceived(romeo, "Romeo presence error wait internal-server-error")
        self.assertEqual(summaries(juliet)[0], "Juliet available owner/moderator jid=juliet@localhost/a 201 110")
        self.assertFalse(self.room().locked)
        self.flushLoggedErrors()

    def test_fails(self) -> None:
        """If it cannot be stored there is no room, and the next join may create it."""
        store = FailingRoomStore()
        self.startServer(store, lockNewRooms=False)
        romeo = self.client("romeo")
        store.failing = WRITES
        join(romeo, "Romeo")
        self.assertReceived(romeo, "Romeo presence error wait internal-server-error")
        self.assertEqual(self.server.muc.rooms.live, {})
        store.failing = frozenset()
        join(romeo, "Romeo")
        self.assertEqual(summaries(romeo)[0], "Romeo available owner/moderator jid=romeo@localhost/a 201 110")
        self.flushLoggedErrors()

    def test_vanished(self) -> None:
        """A creator who disconnects before the room is stored leaves none."""
        store = DelayedRoomStore(MemoryRooms())
        store.holding = WRITES
        self.startServer(store, lockNewRooms=False)
        romeo = self.client("romeo")
        join(romeo, "Romeo")
        romeo.dropConnection()
        while store.held:
            store.release()
        self.assertEqual(self.server.muc.rooms.live, {})
        self.assertIsNone(self.record())


class ListedTests(MUCTestCase):
    """Which rooms the service lists."""

    def test_listed(self) -> None:
        """Locked, hidden and destroyed rooms are not listed, configured ones are."""
        romeo = self.client("romeo")
        join(romeo, "Romeo")
        self.discardReceived()
        self.assertEqual(names(romeo), [])
        configure(romeo)
        self.discardReceived()
        self.assertEqual(names(romeo), [ROOM])
        configure(romeo, publicroom=False)
        self.discardReceived()
        self.assertEqual(names(romeo), [])
        configure(romeo, publicroom=True)
        self.discardReceived()
        self.assertEqual(names(romeo), [ROOM])
        sendOwner(romeo, "<destroy/>")
        self.discardReceived()
        self.assertEqual(names(romeo), [])
