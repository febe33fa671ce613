# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.service.rooms}: loading rooms, evicting them, and shutting down."""

from __future__ import annotations

from dataclasses import replace

from muccore.interfaces import Affiliate, IRoomStore, RoomRecord, Subject
from muccore.muc.model.privileges import Affiliation
from muccore.muc.service import rooms
from muccore.net.slices import SLICE
from muccore.testing.defaults import defaultRoom
from muccore.testing.doubles import WRITES, DelayedRoomStore, FailingRoomStore
from tests.muc.muchelpers import (
    HOST,
    ROOM,
    MUCTestCase,
    affiliation,
    join,
    leave,
    say,
    sendAdmin,
    summaries,
)
from tests.turns import turn

LOAD = frozenset({"load"})


def saved(*members: str, owner: str = "romeo@localhost", **settings: object) -> RoomRecord:
    """A room as it is stored."""
    made = defaultRoom(**settings)
    affiliates = {owner: Affiliate("owner"), **{member: Affiliate("member") for member in members}}
    return RoomRecord(
        made.toMapping(), affiliates, Subject("Love", "Romeo", 0.0), made.name, made.public, not made.persistent
    )


class StoredRoomTestCase(MUCTestCase):
    """A store with a room in it before the server starts."""

    def fill(self, store: IRoomStore, **settings: object) -> None:
        """Store a room of Romeo's."""
        self.successResultOf(store.save(ROOM, saved("juliet@localhost", **settings)))

    def slowLoading(self, **settings: object) -> DelayedRoomStore:
        """Start the server with a store that holds the room, and holds reading it back."""
        store = DelayedRoomStore()
        self.fill(store.inner, **settings)
        self.startServer(store)
        store.holding = LOAD
        return store

    def restart(self, **options: object) -> None:
        """Restart the server with the same store."""
        self.startServer(self.server.store, **options)


class LoadTests(StoredRoomTestCase):
    """Loading rooms from the store."""

    def test_long(self) -> None:
        """
        A room of 100,000 members, every tenth with a nick, is read once, and made in slices: others are served between
        them, and whoever comes meanwhile waits for the same.
        """
        members = {f"user{number:06}@x": Affiliate("member", f"n{number}" * (not number % 10) or None)
                   for number in range(100_000)}  # fmt: skip
        record = replace(saved(persistent=True), affiliates={"romeo@localhost": Affiliate("owner"), **members})
        store = FailingRoomStore()
        self.successResultOf(store.save(ROOM, record))
        self.startServer(store)
        store.calls.clear()
        romeo, juliet, nurse = self.login("romeo", "juliet", "nurse")
        join(romeo, "Romeo")
        turns = 0
        while ROOM not in self.server.muc.rooms.live:
            if turns == 3:
                join(juliet, "Juliet")
                join(nurse, "nurse", to=f"other@{HOST}")
                self.assertIn("nurse available", summaries(nurse)[0])
            turn(self.server.clock)
            turns += 1
        # 90,000 cost 1, and 10,000 with a nick 15.
        self.assertGreater(turns, 240_000 // SLICE)
        self.assertLess(turns, 300_000 // SLICE)
        self.assertEqual([call for call in store.calls if call[0] == "load"].count(("load", ROOM)), 1)
        self.assertIn("Romeo available owner/moderator", summaries(romeo)[0])
        self.assertIn("Romeo available", summaries(juliet)[0])
        room = self.room()
        self.assertEqual(len(room.affiliations.keys(Affiliation.MEMBER)), 100_000)
        self.assertEqual(room.affiliations.reservedBy("n990"), "user000990@x")

    def test_comesBack(self) -> None:
        """A room comes back with its configuration, affiliations, nicks and subject."""
        romeo, juliet = self.login("romeo", "juliet")
        self.createRoom(romeo, persistentroom=True, roomname="Orchard", membersonly=True, roomsecret="rose")
        sendAdmin(romeo, affiliation("juliet@localhost", "member", nick="Julia"))
        romeo.sends(f"<message to='{ROOM}' type='groupchat' xml:lang='en'><subject>Love</subject></message>")
        before = self.room().record()
        romeo.dropConnection()
        self.restart()
        juliet = self.client("juliet")
        join(juliet, "Julia", password="rose")
        self.assertReceived(
            juliet,
            "Julia available member/participant jid=juliet@localhost/a 110",
            "Romeo groupchat subject:Love delayed",
        )
        self.assertEqual(self.room().record(), before)
        nurse = self.client("nurse")
        join(nurse, "Nurse", password="rose")
        self.assertReceived(nurse, "Nurse presence error auth registration-required")

    def test_failure(self) -> None:
        """A room that cannot be loaded is not created anew: joins and requests are refused, to be tried again."""
        store = FailingRoomStore()
        self.fill(store.inner, persistent=True)
        self.startServer(store)
        juliet = self.client("juliet")
        store.failing = LOAD
        join(juliet, "Juliet")
        self.assertReceived(juliet, "Juliet presence error wait internal-server-error")
        sendAdmin(juliet, affiliation("x@localhost", "member"))
        self.assertReceived(juliet, "error q wait internal-server-error")
        self.assertEqual(self.server.muc.rooms.live, {})
        store.failing = frozenset()
        join(juliet, "Juliet")
        self.assertIn("Juliet available member/participant jid=juliet@localhost/a 110", summaries(juliet))

    def test_twoAtOnce(self) -> None:
        """Two who enter while it is being loaded share one request to the store, and enter in order."""
        store = self.slowLoading(persistent=True)
        romeo, juliet = self.login("romeo", "juliet")
        join(romeo, "Romeo")
        join(juliet, "Juliet")
        say(juliet, "Hello")
        self.assertEqual([call[0] for call in store.calls].count("load"), 1)
        self.assertNothingReceived(romeo, juliet)
        store.release()
        self.assertReceived(
            romeo,
            "Romeo available owner/moderator jid=romeo@localhost/a 110",
            "Romeo groupchat subject:Love delayed",
            "Juliet available member/participant jid=juliet@localhost/a",
            "Juliet groupchat body:Hello",
        )
        self.assertReceived(
            juliet,
            "Romeo available owner/moderator",
            "Juliet available member/participant jid=juliet@localhost/a 110",
            "Romeo groupchat subject:Love delayed",
            "Juliet groupchat body:Hello",
        )

    def test_twoCreate(self) -> None:
        """Of two who enter a room that turns out not to exist the first creates it, and the second finds it locked."""
        store = DelayedRoomStore()
        self.startServer(store)
        store.holding = LOAD
        romeo, juliet = self.login("romeo", "juliet")
        join(romeo, "Romeo")
        join(juliet, "Juliet")
        store.release()
        self.assertReceived(
            romeo, "Romeo available owner/moderator jid=romeo@localhost/a 201 110", "room groupchat subject:"
        )
        self.assertReceived(juliet, "Juliet presence error cancel item-not-found")

    def test_twoFail(self) -> None:
        """If it cannot be loaded, both are told so."""
        failing = FailingRoomStore()
        store = DelayedRoomStore(failing)
        self.startServer(store)
        store.holding = LOAD
        romeo, juliet = self.login("romeo", "juliet")
        join(romeo, "Romeo")
        join(juliet, "Juliet")
        failing.failing = LOAD
        store.release()
        self.assertReceived(romeo, "Romeo presence error wait internal-server-error")
        self.assertReceived(juliet, "Juliet presence error wait internal-server-error")

    def test_gone(self) -> None:
        """Whoever disconnects before the room is loaded neither enters nor creates it."""
        for persistent in (True, False):
            store = DelayedRoomStore()
            if persistent:
                self.fill(store.inner, persistent=True)
            self.startServer(store)
            store.holding = LOAD
            juliet = self.client("juliet")
            join(juliet, "Juliet")
            juliet.dropConnection()
            store.release()
            self.assertEqual([len(room.occupants) for room in self.server.muc.rooms.live.values()], [0] * persistent)

    def test_left(self) -> None:
        """Whoever leaves before the room is loaded is not in it afterwards (RFC 6120 §10.1)."""
        store = self.slowLoading(persistent=True)
        juliet = self.client("juliet")
        join(juliet, "Juliet")
        leave(juliet, "Juliet")
        store.release()
        self.assertEqual(self.room().occupants, {})

    def test_replaced(self) -> None:
        """A session is not put into a room by the request of the session that it replaces."""
        store = self.slowLoading(persistent=True)
        join(self.client("juliet"), "Juliet")
        again = self.client("juliet")
        store.release()
        self.assertEqual(self.room().sessions, {})
        self.discardReceived()
        say(again, "Am I in?")
        self.assertReceived(again, "room message error modify not-acceptable")

    def test_withinLimits(self) -> None:
        """
        The operator's limits apply to rooms configured before they were set, and to those without limits of their own.
        """
        self.fill(self.server.store, persistent=True, maxUsers=0, historyLength=500)
        self.restart(maxUsersLimit=1, historyLimit=3)
        juliet, romeo = self.login("juliet", "romeo")
        self.enter(juliet)
        settings = self.room().settings
        self.assertEqual((settings.maxUsers, settings.historyLength), (1, 3))
        nurse = self.client("nurse")
        join(nurse, "Nurse")
        self.assertReceived(nurse, "Nurse presence error wait service-unavailable")
        self.createRoom(romeo, to="b@conference.localhost")
        settings = self.room("b@conference.localhost").settings
        self.assertEqual((settings.maxUsers, settings.historyLength), (1, 3))


class IdleTests(MUCTestCase):
    """Empty rooms in memory."""

    def rooms(self, count: int) -> list[str]:
        """Create persistent rooms and leave them."""
        romeo = self.client("romeo")
        made = [f"{number}@{HOST}" for number in range(count)]
        for name in made:
            self.createRoom(romeo, to=name, persistentroom=True)
            say(romeo, f"I was in {name}", to=name)
            leave(romeo, "Romeo", to=name)
        self.discardReceived()
        return made

    def test_evicted(self) -> None:
        """
        Beyond the limit the room that has been empty for the longest time leaves memory: it is still stored, but
        without history.
        """
        self.startServer(idleRooms=2)
        made = self.rooms(3)
        self.assertEqual(list(self.server.muc.rooms.live), made[1:])
        juliet = self.client("juliet")
        join(juliet, "Juliet", to=made[1])
        self.assertIn(f"Romeo groupchat body:I was in {made[1]} delayed", summaries(juliet))
        join(juliet, "Juliet", to=made[0])
        self.assertReceived(
            juliet, "Juliet available none/participant jid=juliet@localhost/a 110", "room groupchat subject:"
        )

    def test_asked(self) -> None:
        """A request makes an empty room recent; occupied rooms do not count."""
        self.startServer(idleRooms=2)
        made = self.rooms(2)
        romeo = self.client("romeo/b")
        sendAdmin(romeo, affiliation("x@localhost", "member"), to=made[0])
        self.createRoom(romeo, to=ROOM, persistentroom=True)
        self.rooms(1)
        self.assertIn(ROOM, self.server.muc.rooms.live)
        self.assertEqual(set(self.server.muc.rooms.live), {ROOM, *made})
        leave(romeo, "Romeo")
        self.assertEqual(set(self.server.muc.rooms.live), {ROOM, made[0]})

    def test_size(self) -> None:
        """Those that stay take a limited size together; the newest stays whatever it takes."""
        self.startServer()
        self.patch(rooms, "IDLE_SIZE", 11_000)
        romeo = self.client("romeo")
        for name, expected in (("a", "a"), ("b", "ab"), ("c", "bc"), ("d", "d")):
            address = f"{name}@{HOST}"
            self.createRoom(romeo, to=address, persistentroom=True)
            count = 20 if name == "d" else 3
            sendAdmin(romeo, *(affiliation(f"u{n}@x", "outcast", "x" * 1000) for n in range(count)), to=address)
            leave(romeo, "Romeo", to=address)
            self.discardReceived()
            self.assertEqual([each[0] for each in self.server.muc.rooms.live], [*expected])
        join(romeo, "Romeo", to=f"a@{HOST}")
        self.assertEqual(len(self.room(f"a@{HOST}").affiliations.entries()), 4)

    def test_none(self) -> None:
        """With a limit of 0 a room is evicted when the next one is left, and is loaded again for requests and joins."""
        self.startServer(idleRooms=0)
        [name, other] = self.rooms(2)
        self.assertEqual(list(self.server.muc.rooms.live), [other])
        romeo, juliet = self.login("romeo/b", "juliet")
        sendAdmin(romeo, affiliation("juliet@localhost", "member"), to=name)
        self.assertReceived(romeo, "result q")
        self.assertEqual(list(self.server.muc.rooms.live), [name])
        sendAdmin(romeo, affiliation("juliet@localhost", "member"), to=other)
        self.assertReceived(romeo, "result q")
        self.assertEqual(list(self.server.muc.rooms.live), [other])
        join(juliet, "Juliet", to=name)
        self.assertReceived(
            juliet, "Juliet available member/participant jid=juliet@localhost/a 110", "room groupchat subject:"
        )

    def test_noneTwoAtOnce(self) -> None:
        """So it is where several wait for it, and the first leaves it empty."""
        store = DelayedRoomStore()
        store.holding = frozenset()
        self.startServer(store, idleRooms=0)
        [name, _] = self.rooms(2)
        romeo, juliet = self.login("romeo/b", "juliet")
        store.holding = LOAD
        sendAdmin(romeo, affiliation("juliet@localhost", "member"), to=name)
        join(juliet, "Juliet", to=name)
        store.release()
        self.assertReceived(romeo, "result q")
        self.assertReceived(
            juliet, "Juliet available member/participant jid=juliet@localhost/a 110", "room groupchat subject:"
        )
        self.assertEqual(len(self.server.muc.rooms.live[name].occupants), 1)


class ShutDownTests(StoredRoomTestCase):
    """The server shuts down (§11.2)."""

    def setUp(self) -> None:
        """Two occupants, and a slow store."""
        self.failing = FailingRoomStore()
        self.store = DelayedRoomStore(self.failing)
        self.store.holding = frozenset()
        self.startServer(self.store)
        self.romeo, self.juliet = self.login("romeo", "juliet")
        self.createRoom(self.romeo)
        self.enter(self.juliet)
        self.store.holding = WRITES

    def test_goodbye(self) -> None:
        """
        At the end for good occupants receive 332 about themselves alone, at a restart nothing. Nobody receives that the
        others go; rooms stay stored, temporary ones too.
        """
        before = self.record()
        self.store.holding = frozenset()
        for final in (False, True):
            self.successResultOf(self.server.rooms.shutDown(final))
            if final:
                self.assertReceived(self.romeo, "Romeo unavailable owner/none jid=romeo@localhost/a 332 110")
                self.assertReceived(self.juliet, "Juliet unavailable none/none jid=juliet@localhost/a 332 110")
            self.romeo.dropConnection()
            self.assertNothingReceived()
            self.juliet.dropConnection()
            self.assertEqual(self.record(), before)
            if not final:
                self.restart()
                self.romeo, self.juliet = self.enter("romeo"), self.enter("juliet")

    def test_changesFirst(self) -> None:
        """A change that is being stored, and one that waits for it, are announced before."""
        sendAdmin(self.romeo, affiliation("juliet@localhost", "member"), id="first")
        second = self.client("romeo/b")
        sendAdmin(second, affiliation("x@localhost", "member"), id="second")
        done = self.server.rooms.shutDown(True)
        self.assertNothingReceived(self.romeo, self.juliet)
        self.store.release(1)
        self.assertNoResult(done)
        self.assertReceived(
            self.romeo, "result first", "Juliet available member/participant jid=juliet@localhost/a by=Romeo"
        )
        self.store.release(1)
        self.successResultOf(done)
        self.assertReceived(second, "result second")
        self.assertReceived(
            self.romeo,
            "room normal item x@localhost member",
            "Romeo unavailable owner/none jid=romeo@localhost/a 332 110",
        )
        self.assertEqual(self.storedAffiliations()["x@localhost"], "member")

    def test_changeFails(self) -> None:
        """A change that fails does not delay the shutdown."""
        sendAdmin(self.romeo, affiliation("juliet@localhost", "member"))
        done = self.server.rooms.shutDown(True)
        self.failing.failing = WRITES
        self.store.release()
        self.successResultOf(done)
        self.assertReceived(
            self.romeo,
            "error q wait internal-server-error",
            "Romeo unavailable owner/none jid=romeo@localhost/a 332 110",
        )

    def test_timers(self) -> None:
        """No timer is left."""
        self.store.holding = frozenset()
        self.fill(self.store, persistent=False)
        self.restart()
        join(self.client("nurse"), "Nurse", to="b@conference.localhost")
        self.assertEqual(len(self.server.clock.getDelayedCalls()), 2)
        self.successResultOf(self.server.rooms.shutDown(True))
        self.assertEqual(self.server.clock.getDelayedCalls(), [])

    def test_noNewRooms(self) -> None:
        """No rooms are created afterwards."""
        self.successResultOf(self.server.rooms.shutDown(True))
        nurse = self.client("nurse")
        join(nurse, "Nurse", to="b@conference.localhost")
        self.assertReceived(nurse, "Nurse presence error cancel not-allowed")
