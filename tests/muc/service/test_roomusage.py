# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.service.roomusage}, and of the limits that rooms obey."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.logger import LogLevel

from muccore.interfaces import Affiliate, RoomChange
from muccore.muc.service.roomusage import SMALL
from muccore.testing.doubles import DelayedRoomStore, FailingRoomStore
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.errors import StanzaError
from tests.configuration import Logged
from tests.muc.muchelpers import (
    HOST,
    ROOM,
    MUCTestCase,
    affiliation,
    configure,
    errorText,
    join,
    leave,
    register,
    sendAdmin,
    sendIQ,
    sendOwner,
    setSubject,
    summaries,
)

KIB = 1024


def room(name: object) -> str:
    """The address of a room."""
    return f"r{name}@{HOST}"


class UsageTestCase(MUCTestCase):
    """Romeo, who creates rooms."""

    def startServer(self, store: Any = None, **options: Any) -> None:
        """Start the server."""
        super().startServer(store, **options)
        self.romeo = self.client("romeo")

    def create(self, name: object, persistent: bool = True) -> None:
        """Let Romeo create a room, and leave it."""
        self.createRoom(self.romeo, to=room(name), persistentroom=persistent)
        leave(self.romeo, "Romeo", to=room(name))
        self.discardReceived()

    def assertNotCreated(self, text: str, client: Client | None = None) -> None:
        """A further room is refused, for this reason."""
        client = client or self.romeo
        join(client, "Romeo", to=room("more"))
        [refused] = client.received()
        self.assertIn("resource-constraint", refused.toXml())
        self.assertIn(text, errorText(refused))

    def restart(self, **options: Any) -> None:
        """Start the server again, with the same store."""
        store = self.server.store
        self.successResultOf(self.server.muc.shutDown(False))
        self.startServer(store, **options)

    def assertCounted(self, rooms: int, size: int | None = None) -> None:
        """The number and the sizes of all rooms are those of the stored ones."""
        usage = self.server.muc.rooms.usage
        inner = getattr(self.server.store, "inner", self.server.store)
        found = self.successResultOf(inner.usage(HOST))
        self.assertEqual({user: usage.of(user) for user in found}, found)
        total = sum(size for _, size in found.values())
        self.assertEqual((usage.rooms, usage.size), (sum(count for count, _ in found.values()), total))
        self.assertEqual(usage.rooms, rooms)


class NumberTests(UsageTestCase):
    """How many rooms there may be."""

    def test_perUser(self) -> None:
        """Rooms count that a user has created and that are stored, in memory or not, also after a restart."""
        self.startServer(roomsPerUser=3, idleRooms=1)
        for name in range(3):
            self.create(name)
        self.assertCounted(3)
        self.assertNotCreated("You have created too many rooms.")
        self.restart(roomsPerUser=3)
        self.assertNotCreated("You have created too many rooms.")
        self.createRoom(self.client("juliet"), to=room("juliet"))
        self.assertCounted(4)
        join(self.romeo, "Romeo", to=room(0))
        sendOwner(self.romeo, "<destroy/>", to=room(0))
        self.discardReceived()
        self.assertCounted(3)
        self.create("new")
        self.assertNotCreated("You have created too many rooms.")

    def test_temporary(self) -> None:
        """A temporary room counts until it ends, also one of an earlier run that nobody has entered."""
        self.startServer(roomsPerUser=2, grace=600)
        self.createRoom(self.romeo, to=room(1))
        self.createRoom(self.romeo, to=room(2))
        self.assertNotCreated("You have created")
        self.restart(roomsPerUser=2, grace=600)
        self.assertCounted(2)
        self.assertNotCreated("You have created")
        self.server.clock.advance(601)
        self.assertCounted(0)
        self.createRoom(self.romeo, to=room(3))
        leave(self.romeo, "Romeo", to=room(3))
        self.assertCounted(0)

    def test_given(self) -> None:
        """Whoever owns them then, rooms count for who has created them."""
        self.startServer(roomsPerUser=1)
        self.createRoom(self.romeo, to=room(1), persistentroom=True)
        sendAdmin(self.romeo, affiliation("juliet@localhost", "owner"), to=room(1))
        sendAdmin(self.romeo, affiliation("romeo@localhost", "none"), to=room(1))
        self.discardReceived()
        self.assertNotCreated("You have created")
        self.createRoom(self.client("juliet"), to=room(2))

    def test_inAll(self) -> None:
        """There is a limit for all, locked rooms included."""
        self.startServer(roomsLimit=2)
        self.create(1)
        join(self.client("juliet"), "Juliet", to=room("locked"))
        self.assertNotCreated("There are too many rooms")
        self.server.clock.advance(301)
        self.discardReceived()
        self.create(2)

    def test_pace(self) -> None:
        """
        One user creates five times as many at once as in a minute, and then so many, also if they end; others are not
        affected.
        """
        self.startServer(roomsPerMinute=3)
        for name in range(15):
            self.create(name, persistent=False)
        self.assertNotCreated("You are creating rooms too fast; try again in 20 s.")
        self.createRoom(self.client("juliet"), to=room("juliet"))
        self.server.clock.advance(20)
        self.create("a")
        self.assertNotCreated("too fast")
        self.server.muc.reconfigure(replace(self.server.muc.options, roomsPerMinute=0))
        for name in range(30):
            self.create(f"b{name}", persistent=False)

    def test_notStored(self) -> None:
        """A room that could not be stored does not count."""
        store = FailingRoomStore()
        self.startServer(store, roomsPerUser=1)
        store.failing = frozenset(["save"])
        join(self.romeo, "Romeo", to=room(1))
        configure(self.romeo, to=room(1), persistentroom=True)
        leave(self.romeo, "Romeo", to=room(1))
        self.discardReceived()
        self.assertCounted(0)
        store.failing = frozenset()
        self.create(2)
        self.assertCounted(1)


class SizeTests(UsageTestCase):
    """What rooms may take."""

    reason = "x" * 1000

    def open(self, store: Any = None, **options: Any) -> None:
        """Start a server whose room may take 64 KiB, and open the room."""
        self.startServer(store, **{"roomSizeLimit": 64 * KIB, **options})
        self.createRoom(self.romeo, persistentroom=True)

    def fill(self, name: str, count: int, client: Client | None = None, to: str = ROOM) -> str:
        """Ban users with reasons of about 1 KiB each; return what the client has received last."""
        client = client or self.romeo
        items = (affiliation(f"{name}{n}@elsewhere", "outcast", self.reason) for n in range(count))
        sendAdmin(client, *items, to=to)
        return summaries(client)[-1]

    def size(self, name: str = ROOM) -> int:
        """The size of a room."""
        return self.room(name).storedSize

    def test_refused(self) -> None:
        """What makes a room too large is refused as a whole; what makes it smaller is not."""
        self.open()
        self.assertEqual(self.fill("a", 50), "result q")
        before = self.storedRecord()
        self.assertEqual(self.fill("b", 20), "error q wait resource-constraint")
        self.assertEqual(self.storedRecord(), before)
        self.assertEqual(self.fill("b", 5), "result q")
        sendAdmin(self.romeo, *(affiliation(f"a{n}@elsewhere", "none") for n in range(50)))
        self.assertEqual(summaries(self.romeo)[-1], "result q")
        self.assertLess(self.size(), 10 * KIB)
        self.assertCounted(1)

    def test_everything(self) -> None:
        """Subjects, forms and what extensions keep count, too."""
        self.open()
        self.fill("a", 58)
        before = self.size()
        setSubject(self.romeo, "€" * 400)
        self.discardReceived()
        self.assertEqual(self.size() - before, 1200 + len("Romeo") + len("romeo@localhost"))
        self.fill("b", 1)
        left = 64 * KIB - self.size()
        self.assertIn(left, range(400, 1500))
        configure(self.romeo, roomdesc="x" * (left + 1))
        self.assertEqual(summaries(self.romeo), ["error q wait resource-constraint"])
        vCard = f"<vCard xmlns='{ns.VCARD_TEMP}'><NOTE>{'x' * left}</NOTE></vCard>"
        sendIQ(self.romeo, "set", vCard)
        self.assertEqual(summaries(self.romeo), ["error q wait resource-constraint"])
        setSubject(self.romeo, "€" * 400 + "x" * (left + 1))
        self.assertReceived(self.romeo, "room message error wait resource-constraint")
        self.assertCounted(1)

    def test_users(self) -> None:
        """
        Users can fill nine tenths of a room, by registering and by subjects; those who run it can still ban somebody.
        """
        self.open()
        configure(self.romeo, changesubject=True)
        self.fill("a", 54)
        self.assertGreater(self.size() + 4 * KIB, 0.9 * 64 * KIB)
        guest = self.enter("guest")
        setSubject(guest, "x" * 4 * KIB)
        self.assertReceived(guest, "room message error wait resource-constraint")
        self.fill("b", 2)
        self.assertGreater(self.size(), 0.9 * 64 * KIB)
        register(guest, "Guest")
        self.assertReceived(guest, "error q wait resource-constraint")
        self.assertEqual(self.fill("c", 1), "result q")

    def test_invitations(self) -> None:
        """Members who may invite others, whom that makes members, are users; those who run the room can do it still."""
        self.open()
        configure(self.romeo, membersonly=True, allowinvites=True)
        sendAdmin(self.romeo, affiliation("guest@localhost", "member"))
        self.fill("a", 57)
        self.assertGreater(self.size(), 0.9 * 64 * KIB)
        guest = self.enter("guest")
        invite = f"<message to='{ROOM}'><x xmlns='{ns.MUC_USER}'><invite to='friend@elsewhere'/></x></message>"
        guest.sends(invite)
        self.assertReceived(guest, "room message error wait resource-constraint")
        before = self.size()
        self.romeo.sends(invite)
        self.assertGreater(self.size(), before)

    def test_creator(self) -> None:
        """The rooms of one creator have a limit together; small rooms are not refused for others."""
        self.open(roomSizeLimit=256 * KIB, userSizeLimit=64 * KIB)
        self.assertEqual(self.fill("a", 50), "result q")
        self.createRoom(self.romeo, to=room(2), persistentroom=True)
        self.assertEqual(self.fill("a", 30, to=room(2)), "error q wait resource-constraint")
        self.assertEqual(self.fill("a", 12, to=room(2)), "result q")
        self.assertGreater(self.server.muc.rooms.usage.of("romeo@localhost")[1], 64 * KIB)
        self.assertLess(self.size(room(2)), SMALL)
        self.assertEqual(self.fill("b", 1), "error q wait resource-constraint")
        juliet = self.client("juliet")
        self.createRoom(juliet, to=room(3), persistentroom=True)
        self.assertEqual(self.fill("a", 50, juliet, room(3)), "result q")
        self.assertCounted(3)

    def test_inAll(self) -> None:
        """All rooms have a limit together; nobody creates another one above it."""
        self.open(roomSizeLimit=256 * KIB, totalSizeLimit=64 * KIB)
        self.assertEqual(self.fill("a", 59), "result q")
        self.assertEqual(self.fill("b", 20), "error q wait resource-constraint")
        juliet = self.client("juliet")
        self.createRoom(juliet, to=room(2), persistentroom=True)
        self.assertEqual(self.fill("a", 14, juliet, room(2)), "result q")
        self.assertNotCreated("take too much space", juliet)

    def test_service(self) -> None:
        """What the service itself does is not refused, as the end of a ban that restores a membership."""
        self.open()
        rooms = self.server.muc.rooms
        self.fill("a", 55)
        grown = rooms.change(self.room(), self.change("m", 20), None)
        self.successResultOf(grown)
        self.assertGreater(self.size(), 64 * KIB)

    def change(self, name: str, count: int) -> RoomChange:
        """A change that adds members with reasons."""
        return RoomChange({f"{name}{n}@x": Affiliate("member", None, self.reason) for n in range(count)})

    def test_loaded(self) -> None:
        """Sizes are kept over a restart, and when a room is not in memory."""
        self.open()
        self.fill("a", 50)
        size = self.size()
        self.restart(roomSizeLimit=64 * KIB)
        self.assertCounted(1)
        self.enter(self.romeo)
        self.assertEqual(self.size(), size)
        self.assertEqual(self.fill("b", 20), "error q wait resource-constraint")

    def test_durable(self) -> None:
        """What could not be stored does not count."""
        store = FailingRoomStore()
        self.open(store)
        size = self.size()
        store.failing = frozenset(["change"])
        self.assertEqual(self.fill("a", 5), "error q wait internal-server-error")
        self.assertEqual(self.size(), size)
        self.assertCounted(1)

    def test_inFlight(self) -> None:
        """Changes that are being stored count for those after them, until they are stored or have failed."""
        limits = {"roomSizeLimit": "This room", "userSizeLimit": "the creator", "totalSizeLimit": "this service"}
        for limit, text in limits.items():
            store = FailingRoomStore()
            delaying = DelayedRoomStore(store)
            delaying.holding = frozenset()
            self.open(delaying, **{"roomSizeLimit": 256 * KIB, limit: 64 * KIB})
            self.assertEqual(self.fill("a", 30), "result q")
            delaying.holding = frozenset(["change"])
            rooms = self.server.muc.rooms
            first = rooms.change(self.room(), self.change("b", 20))
            refused = self.assertRaises(StanzaError, rooms.change, self.room(), self.change("c", 20))
            self.assertIn(text, refused.text)
            second = rooms.change(self.room(), self.change("d", 5))
            store.failing = frozenset(["change"])
            delaying.release(1)
            self.failureResultOf(first)
            third = rooms.change(self.room(), self.change("e", 20))
            store.failing = frozenset()
            delaying.release()
            for change in (second, third):
                self.successResultOf(change)
            self.assertRaises(StanzaError, rooms.change, self.room(), self.change("f", 10))
            self.assertCounted(1)

    def test_countedInOrder(self) -> None:
        """What is stored while the stored rooms are being counted counts once."""
        store = DelayedRoomStore()
        store.holding = frozenset(["usage"])
        self.startServer(store)
        self.create(1)
        store.release()
        self.discardReceived()
        self.assertCounted(1)


class WarningTests(UsageTestCase):
    """The lines for operators."""

    def test_logged(self) -> None:
        """A line tells once that nine tenths of a limit are used, and again after it was less."""
        logged = Logged(self)
        self.startServer(roomsPerUser=10, roomsLimit=20)
        for name in range(8):
            self.create(name)
        self.assertEqual(self.lines(logged), [])
        for name in (8, 9):
            self.create(name)
        line = "quota-nearly-reached by romeo@localhost: 9 of 10, rooms_per_user, -"
        self.assertEqual(self.lines(logged), [line])
        for name in (8, 9):
            join(self.romeo, "Romeo", to=room(name))
            sendOwner(self.romeo, "<destroy/>", to=room(name))
        self.discardReceived()
        self.create("a")
        self.assertEqual(self.lines(logged), [line, line])

    def test_kinds(self) -> None:
        """So it is for each limit, also right after a start."""
        logged = Logged(self)
        limits = {"roomSizeLimit": 64 * KIB, "userSizeLimit": 64 * KIB, "totalSizeLimit": 64 * KIB, "roomsLimit": 1}
        self.startServer(**limits)
        self.createRoom(self.romeo, persistentroom=True)
        items = (affiliation(f"a{n}@elsewhere", "outcast", "x" * 1000) for n in range(57))
        sendAdmin(self.romeo, *items)
        self.discardReceived()
        used = f"{self.room().storedSize} of {64 * KIB}"
        expected = [
            f"quota-nearly-reached by {HOST}: 1 of 1, rooms_limit, -",
            f"quota-nearly-reached by {HOST}: {used}, total_size_limit, -",
            f"quota-nearly-reached by romeo@localhost: {used}, user_size_limit, -",
            f"quota-nearly-reached by romeo@localhost: {used}, room_size_limit, {ROOM}",
        ]
        self.assertEqual(self.lines(logged), expected)
        self.restart(**limits)
        self.assertEqual(self.lines(logged)[4:], expected[:2])

    def lines(self, logged: Logged) -> list[str]:
        """The lines of this kind."""
        return [line for line in logged.lines(LogLevel.warn) + logged.lines(LogLevel.info) if "quota-nearly" in line]
