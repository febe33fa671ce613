# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.entrance}: rooms that begin or end while others wait, and rooms that are not there.
"""

from __future__ import annotations

from muccore import ns
from muccore.testing.doubles import WRITES, DelayedRoomStore, FailingRoomStore
from tests.muc.slow import Slow
from tests.muc.theatre import (
    NAME,
    Theatre,
    admin,
    affiliation,
    ask,
    configure,
    heard,
    join,
    owner,
    register,
    say,
    setSubject,
)


class DestroyedTests(Slow):
    """
    A room is being destroyed.
    """

    fields = {}

    def setUp(self) -> None:
        """
        The destruction is on its way.
        """
        super().setUp()
        admin(self.romeo, affiliation("juliet@localhost", "owner"))
        self.store.release()
        self.quiet(self.romeo, self.juliet)
        owner(self.romeo, "<destroy/>", id="end")

    def test_changesFindNothing(self) -> None:
        """
        Changes that waited find no room, and change nothing.
        """
        admin(self.juliet, affiliation("x@localhost", "outcast"), id="ban")
        configure(self.juliet, id="name", roomname="Mine")
        register(self.juliet, "Julia", id="nick")
        setSubject(self.juliet, "Mine")
        self.store.release()
        self.hear(
            self.juliet,
            "gone Juliet none/none +110 as juliet@localhost/a destroyed",
            "error ban cancel item-not-found",
            "error name cancel item-not-found",
            "error nick cancel item-not-found",
            "bounced cancel item-not-found",
        )
        self.hear(self.romeo, "gone Romeo none/none +110 as romeo@localhost/a destroyed", "result end")
        self.assertIsNone(self.record())
        self.assertNotIn(NAME, self.stage.muc.rooms.live)

    def test_actorCreatesAgain(self) -> None:
        """
        The actor can create it anew in the next stanza.
        """
        join(self.romeo, "Romeo")
        configure(self.romeo, id="new", roomname="New")
        self.store.release()
        self.hear(
            self.romeo,
            "gone Romeo none/none +110 as romeo@localhost/a destroyed",
            "result end",
            "here Romeo owner/moderator +201 +110 as romeo@localhost/a",
            'subject ""',
        )
        self.store.release()
        self.hear(self.romeo, "result new")
        record = self.record()
        assert record is not None
        self.assertEqual((record.name, list(record.affiliates)), ("New", ["romeo@localhost"]))

    def test_failure(self) -> None:
        """
        If it cannot be destroyed, all is as before, and what waited is done.
        """
        admin(self.juliet, affiliation("x@localhost", "outcast"), id="ban")
        self.failing.failing = frozenset({"destroy"})
        self.store.release()
        self.store.release()
        self.hear(
            self.romeo, "error end wait internal-server-error", "room: x@localhost is outcast"
        )
        self.hear(self.juliet, "room: x@localhost is outcast", "result ban")

    def test_newcomer(self) -> None:
        """
        Who enters while it goes down is put out with the others.
        """
        peter = self.client("peter")
        self.admit((peter, "Peter"))
        self.store.release()
        self.hear(peter, "gone Peter none/none +110 as peter@localhost/a destroyed")


class LockedTests(Slow):
    """
    A room is being written down for the first time.
    """

    def setUp(self) -> None:
        """
        The first configuration is on its way.
        """
        self.failing = FailingRoomStore()
        self.store = DelayedRoomStore(self.failing)
        self.begin(self.store, lockTimeout=60)
        self.romeo, self.juliet = self.client("romeo"), self.client("juliet")
        join(self.romeo, "Romeo")
        self.quiet(self.romeo)
        configure(self.romeo, roomname="Orchard", persistentroom=True)

    def test_locked(self) -> None:
        """
        It is locked until then: others wait at the door and come in when it is open.
        """
        join(self.juliet, "Juliet")
        ask(self.juliet, "get", f"<query xmlns='{ns.DISCO_INFO}'/>", id="info")
        self.silent(self.romeo)
        self.store.release()
        self.hear(self.romeo, "result q", "here Juliet none/participant as juliet@localhost/a")
        self.assertIn("here Juliet none/participant +110 as juliet@localhost/a", heard(self.juliet))
        self.assertNotEqual(self.record(), None)

    def test_failure(self) -> None:
        """
        If it cannot be written down it stays locked, and nobody else gets in; its owner can try again.
        """
        join(self.juliet, "Juliet")
        self.failing.failing = WRITES
        self.store.release()
        self.refused(self.romeo, "wait internal-server-error")
        self.hear(self.juliet, "refused Juliet cancel item-not-found")
        self.assertTrue(self.room().locked)
        self.failing.failing = frozenset()
        configure(self.romeo, roomname="Orchard")
        self.store.release()
        self.hear(self.romeo, "result q")
        self.assertFalse(self.room().locked)

    def test_ownerVanishes(self) -> None:
        """
        An owner who vanishes meanwhile leaves an unlocked room, empty or not.
        """
        self.romeo.vanishes()
        self.store.release()
        record = self.record()
        assert record is not None
        self.assertEqual(record.name, "Orchard")
        join(self.juliet, "Juliet")
        self.assertIn("here Juliet none/participant +110 as juliet@localhost/a", heard(self.juliet))

    def test_timeout(self) -> None:
        """
        The time for the configuration does not end while it is being written down; it starts anew if that fails.
        """
        self.stage.clock.advance(61)
        self.silent(self.romeo)
        self.failing.failing = WRITES
        self.store.release()
        self.refused(self.romeo, "wait internal-server-error")
        self.stage.clock.advance(59)
        self.silent(self.romeo)
        self.stage.clock.advance(2)
        [line] = heard(self.romeo)
        self.assertIn("gone Romeo none/none +110 as romeo@localhost/a destroyed reason=", line)
        self.assertNotIn(NAME, self.stage.muc.rooms.live)

    def test_inTime(self) -> None:
        """
        A room that was configured in time is not given up.
        """
        self.store.release()
        self.quiet(self.romeo)
        self.stage.clock.advance(1000)
        self.silent(self.romeo)
        self.assertEqual(self.stage.clock.getDelayedCalls(), [])

    def test_membersFirst(self) -> None:
        """
        Affiliations given before the first configuration are written down with it.
        """
        self.begin(self.store)
        self.store.release()
        self.romeo = self.client("romeo")
        join(self.romeo, "Romeo", to="b@conference.localhost")
        admin(self.romeo, affiliation("juliet@localhost", "member", nick="Julia"), to="b@conference.localhost")
        self.assertEqual(self.store.held, [])
        setSubject(self.romeo, "Early", to="b@conference.localhost")
        configure(self.romeo, to="b@conference.localhost")
        self.store.release()
        record = self.record("b@conference.localhost")
        assert record is not None and record.subject is not None
        self.assertEqual(self.stored("b@conference.localhost")["juliet@localhost"], "member")
        self.assertEqual(record.subject.text, "Early")


class SenderTests(Theatre):
    """
    What waits is bounded, and errors say who refuses.
    """

    def test_by(self) -> None:
        """
        An error is C{by} the room (RFC 6120 §8.3.2), also after the stanza has waited for the store.
        """
        store = DelayedRoomStore()
        store.holding = frozenset()
        self.begin(store)
        romeo, juliet = self.client("romeo"), self.client("juliet")
        self.open(romeo)
        store.holding = WRITES
        admin(romeo, affiliation("x@localhost", "member"))
        admin(juliet, affiliation("y@localhost", "member"))
        store.release()
        [iq] = juliet.hears()
        error = iq.child("error")
        assert error is not None
        self.assertEqual((error.get("by"), iq.get("from")), (NAME, NAME))

    def test_byWithoutRoom(self) -> None:
        """
        So it is where there is no room, where the store cannot say whether there is one, and where it cannot keep a
        change.
        """
        store = FailingRoomStore()
        self.begin(store)
        romeo, juliet = self.client("romeo"), self.client("juliet")
        self.open(romeo)

        def refused() -> None:
            [*_, stanza] = juliet.hears()
            error = stanza.child("error")
            assert error is not None, stanza.toXml()
            self.assertEqual(error.get("by"), "nowhere@conference.localhost")

        for failing in (frozenset[str](), frozenset({"load"})):
            store.failing = failing
            say(juliet, "Hello", to="nowhere@conference.localhost")
            refused()
            owner(juliet, type="get", to="nowhere@conference.localhost")
            refused()
        join(juliet, "Juliet", to="nowhere@conference.localhost")
        refused()
        store.failing = WRITES
        admin(romeo, affiliation("x@localhost", "member"))
        [iq] = romeo.hears()
        error = iq.child("error")
        assert error is not None
        self.assertEqual(error.get("by"), NAME)

    def test_noRoom(self) -> None:
        """
        Everything that is asked of a room that is not there finds nothing (§7.10: notfound).
        """
        juliet = self.client("juliet")
        for type, payload in (
            ("get", f"<query xmlns='{ns.DISCO_INFO}'/>"),
            ("get", f"<query xmlns='{ns.DISCO_ITEMS}'/>"),
            ("get", f"<query xmlns='{ns.MUC_ADMIN}'><item affiliation='member'/></query>"),
            ("set", f"<query xmlns='{ns.MUC_ADMIN}'>{affiliation('x@localhost', 'member')}</query>"),
            ("get", f"<query xmlns='{ns.MUC_OWNER}'/>"),
            ("set", f"<query xmlns='{ns.MUC_OWNER}'><destroy/></query>"),
            ("get", f"<query xmlns='{ns.REGISTER}'/>"),
            ("set", f"<query xmlns='{ns.REGISTER}'><remove/></query>"),
        ):
            ask(juliet, type, payload)
            self.refused(juliet, "cancel item-not-found")
        say(juliet, "Hello")
        self.hear(juliet, "bounced cancel item-not-found")
        self.assertEqual(self.stage.muc.rooms.live, {})

    def test_lockedForOthers(self) -> None:
        """
        A locked room is not there for anybody but those in it (§17.2), its owner's other sessions included.
        """
        romeo, juliet = self.client("romeo"), self.client("juliet")
        second = self.client("romeo@localhost/b")
        join(romeo, "Romeo")
        for other in (juliet, second):
            for type, payload in (
                ("get", f"<query xmlns='{ns.DISCO_INFO}'/>"),
                ("get", f"<query xmlns='{ns.MUC_OWNER}'/>"),
                ("set", f"<query xmlns='{ns.MUC_ADMIN}'>{affiliation('x@localhost', 'member')}</query>"),
            ):
                ask(other, type, payload)
                self.refused(other, "cancel item-not-found")
        join(juliet, "Juliet")
        self.hear(juliet, "refused Juliet cancel item-not-found")
        self.quiet(romeo)
        ask(romeo, "get", f"<query xmlns='{ns.DISCO_INFO}'/>")
        self.hear(romeo, "result q")
