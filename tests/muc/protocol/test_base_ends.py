# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.protocol.base}: rooms that begin or end while others wait, and rooms that do not exist."""

from __future__ import annotations

from muccore.testing.doubles import WRITES, DelayedRoomStore, FailingRoomStore
from muccore.xmpp import ns
from tests.muc.muchelpers import (
    HOST,
    ROOM,
    MUCTestCase,
    affiliation,
    configure,
    join,
    register,
    say,
    sendAdmin,
    sendIQ,
    sendOwner,
    setSubject,
    summaries,
)
from tests.muc.slowstore import SlowStoreTestCase


class DestroyedTests(SlowStoreTestCase):
    """A room is being destroyed."""

    fields = {}

    def setUp(self) -> None:
        """The destruction is being stored."""
        super().setUp()
        sendAdmin(self.romeo, affiliation("juliet@localhost", "owner"))
        self.store.release()
        self.discardReceived()
        sendOwner(self.romeo, "<destroy/>", id="end")

    def test_changesFindNothing(self) -> None:
        """Changes that waited find no room: C{item-not-found}."""
        sendAdmin(self.juliet, affiliation("x@localhost", "outcast"), id="ban")
        configure(self.juliet, id="name", roomname="Mine")
        register(self.juliet, "Julia", id="nick")
        setSubject(self.juliet, "Mine")
        self.store.release()
        self.assertReceived(
            self.juliet,
            "Juliet unavailable none/none jid=juliet@localhost/a destroy 110",
            "error ban cancel item-not-found",
            "error name cancel item-not-found",
            "error nick cancel item-not-found",
            "room message error cancel item-not-found",
        )
        self.assertReceived(self.romeo, "Romeo unavailable none/none jid=romeo@localhost/a destroy 110", "result end")
        self.assertIsNone(self.record())
        self.assertNotIn(ROOM, self.server.muc.rooms.live)

    def test_actorCreatesAgain(self) -> None:
        """The actor can create the room anew with the next stanza."""
        join(self.romeo, "Romeo")
        configure(self.romeo, id="new", roomname="New")
        self.store.release()
        self.assertReceived(
            self.romeo,
            "Romeo unavailable none/none jid=romeo@localhost/a destroy 110",
            "result end",
            "Romeo available owner/moderator jid=romeo@localhost/a 201 110",
            "room groupchat subject:",
        )
        self.store.release()
        self.assertReceived(self.romeo, "result new")
        record = self.storedRecord()
        self.assertEqual((record.name, list(record.affiliates)), ("New", ["romeo@localhost"]))

    def test_failure(self) -> None:
        """If the room cannot be destroyed it stays as it was, and what waited is carried out."""
        sendAdmin(self.juliet, affiliation("x@localhost", "outcast"), id="ban")
        self.failing.failing = frozenset({"destroy"})
        self.store.release()
        self.store.release()
        banned = "room normal item x@localhost outcast 301"
        self.assertReceived(self.romeo, "error end wait internal-server-error", banned)
        self.assertReceived(self.juliet, banned, "result ban")

    def test_newcomer(self) -> None:
        """Whoever enters meanwhile is removed with the others."""
        peter = self.client("peter")
        self.enter(peter)
        self.store.release()
        self.assertReceived(peter, "Peter unavailable none/none jid=peter@localhost/a destroy 110")


class LockedTests(SlowStoreTestCase):
    """A room is being stored for the first time."""

    def setUp(self) -> None:
        """The first configuration is being stored."""
        self.failing = FailingRoomStore()
        self.store = DelayedRoomStore(self.failing)
        self.startServer(self.store, lockTimeout=60)
        self.romeo, self.juliet = self.login("romeo", "juliet")
        join(self.romeo, "Romeo")
        self.discardReceived()
        configure(self.romeo, roomname="Orchard", persistentroom=True)

    def test_locked(self) -> None:
        """The room is locked until then: others wait, and enter when it is unlocked."""
        join(self.juliet, "Juliet")
        sendIQ(self.juliet, "get", f"<query xmlns='{ns.DISCO_INFO}'/>", id="info")
        self.assertNothingReceived(self.romeo)
        self.store.release()
        self.assertReceived(self.romeo, "result q", "Juliet available none/participant jid=juliet@localhost/a")
        self.assertIn("Juliet available none/participant jid=juliet@localhost/a 110", summaries(self.juliet))
        self.assertNotEqual(self.record(), None)

    def test_failure(self) -> None:
        """If it cannot be stored it stays locked, and nobody else enters; its owner can try again."""
        join(self.juliet, "Juliet")
        self.failing.failing = WRITES
        self.store.release()
        self.assertReceived(self.romeo, "error q wait internal-server-error")
        self.assertReceived(self.juliet, "Juliet presence error cancel item-not-found")
        self.assertTrue(self.room().locked)
        self.failing.failing = frozenset()
        configure(self.romeo, roomname="Orchard")
        self.store.release()
        self.assertReceived(self.romeo, "result q")
        self.assertFalse(self.room().locked)

    def test_ownerVanishes(self) -> None:
        """An owner whose connection is lost meanwhile leaves an unlocked room."""
        self.romeo.dropConnection()
        self.store.release()
        record = self.storedRecord()
        self.assertEqual(record.name, "Orchard")
        join(self.juliet, "Juliet")
        self.assertIn("Juliet available none/participant jid=juliet@localhost/a 110", summaries(self.juliet))

    def test_timeout(self) -> None:
        """The time limit for the configuration does not end while it is being stored; it starts anew if that fails."""
        self.server.clock.advance(61)
        self.assertNothingReceived(self.romeo)
        self.failing.failing = WRITES
        self.store.release()
        self.assertReceived(self.romeo, "error q wait internal-server-error")
        self.server.clock.advance(59)
        self.assertNothingReceived(self.romeo)
        self.server.clock.advance(2)
        self.assertReceived(
            self.romeo,
            "room groupchat body:This room is removed, because it was not configured in time.",
            "Romeo unavailable none/none jid=romeo@localhost/a destroy reason=The room was not configured in time. 110",
        )
        self.assertNotIn(ROOM, self.server.muc.rooms.live)

    def test_inTime(self) -> None:
        """A room that is configured in time stays."""
        self.store.release()
        self.discardReceived()
        self.server.clock.advance(1000)
        self.assertNothingReceived(self.romeo)
        self.assertEqual(self.server.clock.getDelayedCalls(), [])

    def test_membersFirst(self) -> None:
        """Affiliations and a subject set before the first configuration are stored with it."""
        self.startServer(self.store)
        self.store.release()
        self.romeo = self.client("romeo")
        join(self.romeo, "Romeo", to="b@conference.localhost")
        sendAdmin(self.romeo, affiliation("juliet@localhost", "member", nick="Julia"), to="b@conference.localhost")
        self.assertEqual(self.store.held, [])
        setSubject(self.romeo, "Early", to="b@conference.localhost")
        configure(self.romeo, to="b@conference.localhost")
        self.store.release()
        record = self.record("b@conference.localhost")
        assert record is not None and record.subject is not None
        self.assertEqual(self.storedAffiliations("b@conference.localhost")["juliet@localhost"], "member")
        self.assertEqual(record.subject.text, "Early")


class SenderTests(MUCTestCase):
    """Who refuses, and where there is no room."""

    def test_by(self) -> None:
        """
        Errors are C{by} the room (RFC 6120 §8.3.2), which L{summary} checks: after waiting for the store, where the
        store fails, and where there is no room.
        """
        failing = FailingRoomStore()
        store = DelayedRoomStore(failing)
        store.holding = frozenset()
        self.startServer(store)
        romeo, juliet = self.login("romeo", "juliet")
        self.createRoom(romeo)
        store.holding = WRITES
        sendAdmin(romeo, affiliation("x@localhost", "member"))
        sendAdmin(juliet, affiliation("y@localhost", "member"))
        failing.failing = WRITES
        store.release()
        self.assertReceived(romeo, "error q wait internal-server-error")
        self.assertReceived(juliet, "error q auth forbidden")
        nowhere = f"nowhere@{HOST}"
        for methods, condition in (
            (frozenset[str](), "cancel item-not-found"),
            ({"load"}, "wait internal-server-error"),
        ):
            failing.failing = frozenset(methods)
            say(juliet, "Hello", to=nowhere)
            sendOwner(juliet, type="get", to=nowhere)
            self.assertReceived(juliet, f"room message error {condition}", f"error q {condition}")
        join(juliet, "Juliet", to=nowhere)
        self.assertReceived(juliet, "Juliet presence error wait internal-server-error")

    def test_noRoom(self) -> None:
        """Requests to a room that does not exist are C{item-not-found} (§7.10)."""
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
            sendIQ(juliet, type, payload)
            self.assertReceived(juliet, "error q cancel item-not-found")
        say(juliet, "Hello")
        self.assertReceived(juliet, "room message error cancel item-not-found")
        self.assertEqual(self.server.muc.rooms.live, {})

    def test_lockedForOthers(self) -> None:
        """A locked room does not exist for anybody who is not in it (§17.2), the owner's other sessions included."""
        romeo, juliet = self.login("romeo", "juliet")
        second = self.client("romeo/b")
        join(romeo, "Romeo")
        for other in (juliet, second):
            for type, payload in (
                ("get", f"<query xmlns='{ns.DISCO_INFO}'/>"),
                ("get", f"<query xmlns='{ns.MUC_OWNER}'/>"),
                ("set", f"<query xmlns='{ns.MUC_ADMIN}'>{affiliation('x@localhost', 'member')}</query>"),
            ):
                sendIQ(other, type, payload)
                self.assertReceived(other, "error q cancel item-not-found")
        join(juliet, "Juliet")
        self.assertReceived(juliet, "Juliet presence error cancel item-not-found")
        self.discardReceived()
        sendIQ(romeo, "get", f"<query xmlns='{ns.DISCO_INFO}'/>")
        self.assertReceived(romeo, "result q")
