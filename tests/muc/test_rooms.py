# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.rooms}: how rooms come out of the store and go back, who may create them, and what is left
after a restart.
"""

from __future__ import annotations

from muccore.interfaces import Affiliate, IRoomStore, RoomRecord, Subject
from muccore.testing.defaults import defaultRoom
from muccore.testing.doubles import WRITES, DelayedRoomStore, FailingRoomStore
from tests.muc.theatre import (
    HOST,
    NAME,
    Theatre,
    admin,
    affiliation,
    heard,
    join,
    leave,
    say,
    setSubject,
)

LOAD = frozenset({"load"})


def saved(*members: str, owner: str = "romeo@localhost", **settings: object) -> RoomRecord:
    """
    A room as it stands in a store.
    """
    made = defaultRoom(**settings)  # type: ignore[arg-type]
    affiliates = {owner: Affiliate("owner"), **{member: Affiliate("member") for member in members}}
    return RoomRecord(
        made.toMapping(), affiliates, Subject("Love", "Romeo", 0.0), made.name, made.public, not made.persistent
    )


class Stored(Theatre):
    """
    A store with a room in it, before the server starts.
    """

    def fill(self, store: IRoomStore, **settings: object) -> None:
        """
        Write a room of Romeo's down.
        """
        self.successResultOf(store.save(NAME, saved("juliet@localhost", **settings)))

    def restarted(self, **options: object) -> None:
        """
        The same store after a restart of the server.
        """
        self.begin(self.stage.store, **options)


class LoadTests(Stored):
    """
    A room comes out of the store.
    """

    def test_comesBack(self) -> None:
        """
        With its configuration, affiliations, nicks and subject.
        """
        romeo, juliet = self.client("romeo"), self.client("juliet")
        self.open(romeo, persistentroom=True, roomname="Orchard", membersonly=True, roomsecret="rose")
        admin(romeo, affiliation("juliet@localhost", "member", nick="Julia"))
        setSubject(romeo, "Love")
        before = self.room().record()
        romeo.vanishes()
        self.restarted()
        juliet = self.client("juliet")
        join(juliet, "Julia", "rose")
        self.hear(
            juliet,
            "here Julia member/participant +110 as juliet@localhost/a",
            'subject "Love"',
        )
        self.assertEqual(self.room().record(), before)
        nurse = self.client("nurse")
        join(nurse, "Nurse", "rose")
        self.hear(nurse, "refused Nurse auth registration-required")

    def test_failure(self) -> None:
        """
        A room that cannot be read is not created anew: who wants to enter, or asks it something, is told to wait.
        """
        store = FailingRoomStore()
        self.fill(store.inner, persistent=True)
        self.begin(store)
        juliet = self.client("juliet")
        store.failing = LOAD
        join(juliet, "Juliet")
        self.hear(juliet, "refused Juliet wait internal-server-error")
        admin(juliet, affiliation("x@localhost", "member"))
        self.refused(juliet, "wait internal-server-error")
        self.assertEqual(self.stage.muc.rooms.live, {})
        store.failing = frozenset()
        join(juliet, "Juliet")
        self.assertIn("here Juliet member/participant +110 as juliet@localhost/a", heard(juliet))

    def test_twoAtOnce(self) -> None:
        """
        Two who want to enter while it is read share one reading, and come in in order.
        """
        store = DelayedRoomStore()
        self.fill(store.inner, persistent=True)
        self.begin(store)
        store.holding = LOAD
        romeo, juliet = self.client("romeo"), self.client("juliet")
        join(romeo, "Romeo")
        join(juliet, "Juliet")
        say(juliet, "Hello")
        self.assertEqual([call[0] for call in store.calls].count("load"), 1)
        self.silent(romeo, juliet)
        store.release()
        self.hear(
            romeo,
            "here Romeo owner/moderator +110 as romeo@localhost/a",
            'subject "Love"',
            "here Juliet member/participant as juliet@localhost/a",
            "Juliet: Hello",
        )
        self.hear(
            juliet,
            "here Romeo owner/moderator",
            "here Juliet member/participant +110 as juliet@localhost/a",
            'subject "Love"',
            "Juliet: Hello",
        )

    def test_twoCreate(self) -> None:
        """
        Of two who want to enter a room that turns out not to exist, the first one creates it and the other one finds
        it locked.
        """
        store = DelayedRoomStore()
        self.begin(store)
        store.holding = LOAD
        romeo, juliet = self.client("romeo"), self.client("juliet")
        join(romeo, "Romeo")
        join(juliet, "Juliet")
        store.release()
        self.hear(romeo, "here Romeo owner/moderator +201 +110 as romeo@localhost/a", 'subject ""')
        self.hear(juliet, "refused Juliet cancel item-not-found")

    def test_twoFail(self) -> None:
        """
        If it cannot be read, both are told so.
        """
        failing = FailingRoomStore()
        store = DelayedRoomStore(failing)
        self.begin(store)
        store.holding = LOAD
        romeo, juliet = self.client("romeo"), self.client("juliet")
        join(romeo, "Romeo")
        join(juliet, "Juliet")
        failing.failing = LOAD
        store.release()
        self.hear(romeo, "refused Romeo wait internal-server-error")
        self.hear(juliet, "refused Juliet wait internal-server-error")

    def test_gone(self) -> None:
        """
        Who has gone before the room was read does not enter, and creates none.
        """
        for persistent in (True, False):
            store = DelayedRoomStore()
            if persistent:
                self.fill(store.inner, persistent=True)
            self.begin(store)
            store.holding = LOAD
            juliet = self.client("juliet")
            join(juliet, "Juliet")
            juliet.vanishes()
            store.release()
            self.assertEqual([len(room.occupants) for room in self.stage.muc.rooms.live.values()], [0] * persistent)

    def test_left(self) -> None:
        """
        Who leaves again before the room was read is not in it.
        """
        store = DelayedRoomStore()
        self.fill(store.inner, persistent=True)
        self.begin(store)
        store.holding = LOAD
        juliet = self.client("juliet")
        join(juliet, "Juliet")
        leave(juliet, "Juliet")
        store.release()
        self.assertEqual(self.room().occupants, {})

    def test_replaced(self) -> None:
        """
        A session that takes the place of one that waits for a room is not put into it by the other one's request.
        """
        store = DelayedRoomStore()
        self.fill(store.inner, persistent=True)
        self.begin(store)
        store.holding = LOAD
        join(self.client("juliet"), "Juliet")
        again = self.client("juliet")
        store.release()
        self.assertEqual(self.room().seats, {})
        self.quiet(again)
        say(again, "Am I in?")
        self.hear(again, "bounced modify not-acceptable")

    def test_withinLimits(self) -> None:
        """
        The operator's limits hold for rooms that were configured before he set them, and for those whose owner has
        set none.
        """
        self.fill(self.stage.store, persistent=True, maxUsers=0, historyLength=500)
        self.restarted(maxUsersLimit=1, historyLimit=3)
        juliet, romeo = self.client("juliet"), self.client("romeo")
        self.admit((juliet, "Juliet"))
        settings = self.room().settings
        self.assertEqual((settings.maxUsers, settings.historyLength), (1, 3))
        nurse = self.client("nurse")
        join(nurse, "Nurse")
        self.hear(nurse, "refused Nurse wait service-unavailable")
        self.open(romeo, to="b@conference.localhost")
        settings = self.room("b@conference.localhost").settings
        self.assertEqual((settings.maxUsers, settings.historyLength), (1, 3))


class IdleTests(Theatre):
    """
    Rooms at rest.
    """

    def rooms(self, count: int) -> list[str]:
        """
        Create persistent rooms and leave them.
        """
        romeo = self.client("romeo")
        made = [f"{number}@{HOST}" for number in range(count)]
        for name in made:
            self.open(romeo, to=name, persistentroom=True)
            say(romeo, f"I was in {name}", to=name)
            leave(romeo, "Romeo", to=name)
        self.quiet(romeo)
        return made

    def test_evicted(self) -> None:
        """
        So many empty rooms stay in memory; beyond that the one that was empty for the longest time goes. It is in the
        store, but has lost its history.
        """
        self.begin(idleRooms=2)
        made = self.rooms(3)
        self.assertEqual(list(self.stage.muc.rooms.live), made[1:])
        juliet = self.client("juliet")
        join(juliet, "Juliet", to=made[1])
        self.assertIn(f"Romeo: I was in {made[1]}", heard(juliet))
        join(juliet, "Juliet", to=made[0])
        self.hear(juliet, "here Juliet none/participant +110 as juliet@localhost/a", 'subject ""')

    def test_asked(self) -> None:
        """
        A room that is asked something has its turn anew; one in which somebody is does not count.
        """
        self.begin(idleRooms=2)
        made = self.rooms(2)
        romeo = self.client("romeo@localhost/b")
        admin(romeo, affiliation("x@localhost", "member"), to=made[0])
        self.open(romeo, to=NAME, persistentroom=True)
        self.rooms(1)
        self.assertIn(NAME, self.stage.muc.rooms.live)
        self.assertEqual(set(self.stage.muc.rooms.live), {NAME, *made})
        leave(romeo, "Romeo")
        self.assertEqual(set(self.stage.muc.rooms.live), {NAME, made[0]})

    def test_none(self) -> None:
        """
        With none kept, a room goes when the next one is left, and whoever asks for one or enters finds it in the
        store.
        """
        self.begin(idleRooms=0)
        [name, other] = self.rooms(2)
        self.assertEqual(list(self.stage.muc.rooms.live), [other])
        romeo, juliet = self.client("romeo@localhost/b"), self.client("juliet")
        admin(romeo, affiliation("juliet@localhost", "member"), to=name)
        self.hear(romeo, "result q")
        self.assertEqual(list(self.stage.muc.rooms.live), [name])
        admin(romeo, affiliation("juliet@localhost", "member"), to=other)
        self.hear(romeo, "result q")
        self.assertEqual(list(self.stage.muc.rooms.live), [other])
        join(juliet, "Juliet", to=name)
        self.hear(juliet, "here Juliet member/participant +110 as juliet@localhost/a", 'subject ""')

    def test_noneTwoAtOnce(self) -> None:
        """
        Also where several come while it is read, and the first one leaves it empty again.
        """
        store = DelayedRoomStore()
        store.holding = frozenset()
        self.begin(store, idleRooms=0)
        [name, _] = self.rooms(2)
        romeo, juliet = self.client("romeo@localhost/b"), self.client("juliet")
        store.holding = LOAD
        admin(romeo, affiliation("juliet@localhost", "member"), to=name)
        join(juliet, "Juliet", to=name)
        store.release()
        self.hear(romeo, "result q")
        self.hear(juliet, "here Juliet member/participant +110 as juliet@localhost/a", 'subject ""')
        self.assertEqual(len(self.stage.muc.rooms.live[name].occupants), 1)


class ShutDownTests(Stored):
    """
    The server stops (§11.2).
    """

    def setUp(self) -> None:
        """
        A room with two people, and a slow store.
        """
        self.failing = FailingRoomStore()
        self.store = DelayedRoomStore(self.failing)
        self.store.holding = frozenset()
        self.begin(self.store)
        self.romeo, self.juliet = self.client("romeo"), self.client("juliet")
        self.open(self.romeo)
        self.admit((self.juliet, "Juliet"))
        self.quiet(self.romeo)
        self.store.holding = WRITES

    def test_goodbye(self) -> None:
        """
        Everybody is told with 332 about himself alone; rooms stay in the store, temporary ones too.
        """
        before = self.record()
        self.successResultOf(self.stage.rooms.shutDown())
        self.hear(self.romeo, "gone Romeo owner/none +332 +110 as romeo@localhost/a")
        self.hear(self.juliet, "gone Juliet none/none +332 +110 as juliet@localhost/a")
        self.romeo.vanishes()
        self.juliet.vanishes()
        self.assertEqual(self.record(), before)
        self.assertEqual(self.store.held, [])

    def test_changesFirst(self) -> None:
        """
        A change that is on its way is made durable and announced before, and so is one that waits for it.
        """
        admin(self.romeo, affiliation("juliet@localhost", "member"), id="first")
        second = self.client("romeo@localhost/b")
        admin(second, affiliation("x@localhost", "member"), id="second")
        done = self.stage.rooms.shutDown()
        self.silent(self.romeo, self.juliet)
        self.store.release(1)
        self.assertNoResult(done)
        self.hear(self.romeo, "result first", "here Juliet member/participant as juliet@localhost/a by Romeo")
        self.store.release(1)
        self.successResultOf(done)
        self.hear(second, "result second")
        self.hear(
            self.romeo, "room: x@localhost is member", "gone Romeo owner/none +332 +110 as romeo@localhost/a"
        )
        self.assertEqual(self.stored()["x@localhost"], "member")

    def test_changeFails(self) -> None:
        """
        One that fails does not keep the server from stopping.
        """
        admin(self.romeo, affiliation("juliet@localhost", "member"))
        done = self.stage.rooms.shutDown()
        self.failing.failing = WRITES
        self.store.release()
        self.successResultOf(done)
        self.hear(
            self.romeo,
            "error q wait internal-server-error",
            "gone Romeo owner/none +332 +110 as romeo@localhost/a",
        )

    def test_timers(self) -> None:
        """
        Nothing is left that would happen later.
        """
        self.store.holding = frozenset()
        self.fill(self.store, persistent=False)
        self.restarted()
        join(self.client("nurse"), "Nurse", to="b@conference.localhost")
        self.assertEqual(len(self.stage.clock.getDelayedCalls()), 2)
        self.successResultOf(self.stage.rooms.shutDown())
        self.assertEqual(self.stage.clock.getDelayedCalls(), [])

    def test_noNewRooms(self) -> None:
        """
        From then on no rooms are created.
        """
        self.successResultOf(self.stage.rooms.shutDown())
        nurse = self.client("nurse")
        join(nurse, "Nurse", to="b@conference.localhost")
        self.hear(nurse, "refused Nurse cancel not-allowed")
