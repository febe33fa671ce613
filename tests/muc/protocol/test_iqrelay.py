# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.protocol.iqrelay}: IQs between occupants (XEP-0045 §6.6, §17.4, XEP-0410)."""

from __future__ import annotations

from muccore.muc.protocol import iqrelay
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import render
from tests.muc.muchelpers import (
    HOST,
    ROOM,
    RoomTestCase,
    join,
    leave,
    role,
    sendAdmin,
    sendIQ,
    sendOwner,
    sendPresence,
    summaries,
)

VERSION = f"<query xmlns='{ns.VERSION}'/>"
PING = f"<ping xmlns='{ns.PING}'/>"


class RelayTestCase(RoomTestCase):
    """Romeo, and Juliet with two sessions, are in."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo = self.enter("romeo")
        self.phone, self.juliet = self.enter("juliet/phone"), self.enter("juliet")

    def ask(self, client: Client, nick: str, payload: str = VERSION, type: str = "get", id: str = "7") -> None:
        """Send an IQ to an occupant."""
        sendIQ(client, type, payload, id, f"{ROOM}/{nick}")

    def asked(self, id: str = "7", client: Client | None = None) -> str:
        """Let Romeo, or another client, ask Juliet; the id under which Juliet receives it."""
        self.ask(client or self.romeo, "Juliet", id=id)
        [iq] = self.juliet.received()
        return iq.attributes["id"]

    def answer(self, id: str, client: Client | None = None, payload: str = "", nick: str = "Romeo") -> None:
        """Let Juliet, or another client, answer."""
        sendIQ(client or self.juliet, "result", payload, id, f"{ROOM}/{nick}")


class RelayTests(RelayTestCase):
    """Requests and their answers."""

    def received(self, client: Client) -> Element:
        """The one stanza that a client has received."""
        [stanza] = client.received()
        return stanza

    def test_bothWays(self) -> None:
        """
        The request goes to the session that is shown, from the sender's occupant JID; the answer to whoever asked,
        from the occupant JID that was asked. Neither sees a real JID of the other.
        """
        payload = f"<query xmlns='{ns.VERSION}'><name>x</name></query>"
        for type in ("get", "set"):
            self.ask(self.romeo, "Juliet", type=type)
            iq = self.received(self.juliet)
            self.assertEqual(
                (iq.get("from"), iq.get("to"), iq.get("type")), (f"{ROOM}/Romeo", "juliet@localhost/a", type)
            )
            self.assertNotIn("romeo@", render(iq).decode())
            self.answer(iq.attributes["id"], payload=payload)
            self.assertEqual(
                render(self.received(self.romeo)).decode(),
                f"<iq to='romeo@localhost/a' type='result' id='7' from='{ROOM}/Juliet'>{payload}</iq>",
            )
        self.assertNothingReceived()

    def test_error(self) -> None:
        """An error is returned likewise, without the real JID in C{by}."""
        id = self.asked()
        error = f"<error type='auth' by='juliet@localhost/a'><forbidden xmlns='{ns.STANZA_ERRORS}'/></error>"
        sendIQ(self.juliet, "error", error, id, f"{ROOM}/Romeo")
        self.assertReceived(self.romeo, "Juliet error 7 auth forbidden by=None")

    def test_vCard(self) -> None:
        """A vCard is requested from the account, and the answer shows no real JID."""
        self.ask(self.romeo, "Juliet", f"<vCard xmlns='{ns.VCARD_TEMP}'/>")
        answer = self.received(self.romeo)
        self.assertEqual((answer.get("id"), answer.get("from"), answer.get("type")), ("7", f"{ROOM}/Juliet", "error"))
        self.assertNotIn("juliet@", render(answer).decode())
        self.assertNothingReceived()

    def test_renamedMeanwhile(self) -> None:
        """The answer comes from the address that was asked, whatever the nick is by then."""
        id = self.asked()
        sendPresence(self.juliet, "J")
        self.discardReceived()
        self.answer(id)
        self.assertReceived(self.romeo, "Juliet result 7")

    def test_notAsked(self) -> None:
        """Answers without a request are dropped."""
        for type in ("result", "error"):
            for room in (ROOM, f"other@{HOST}"):
                sendIQ(self.juliet, type, "", "x", f"{room}/Romeo")
        self.assertNothingReceived()

    def test_nobody(self) -> None:
        """A request to an unused nick is C{item-not-found}."""
        self.ask(self.romeo, "Nobody")
        self.assertReceived(self.romeo, "Nobody error 7 cancel item-not-found")

    def test_stranger(self) -> None:
        """
        Strangers are refused, whether the nick is used or not: C{bad-request} for service discovery (§6.6),
        C{not-acceptable} otherwise.
        """
        stranger = self.client("stranger")
        for nick in ("Juliet", "Nobody"):
            for uri, condition in (
                (ns.DISCO_INFO, "modify bad-request"),
                (ns.DISCO_ITEMS, "modify bad-request"),
                (ns.VERSION, "cancel not-acceptable"),
            ):
                self.ask(stranger, nick, f"<query xmlns='{uri}'/>")
                self.assertReceived(stranger, f"{nick} error 7 {condition}")
        self.ask(stranger, "Juliet", "<query xmlns='other'/>", "set")
        self.assertReceived(stranger, "Juliet error 7 cancel not-acceptable")
        self.assertNothingReceived()

    def test_selfPing(self) -> None:
        """The room answers pings to oneself (XEP-0410 §3.2): C{not-acceptable} for a session that is not in."""
        for client in (self.phone, self.juliet):
            self.ask(client, "Juliet", PING)
            self.assertReceived(client, "Juliet result 7")
        tablet = self.client("juliet/c")
        self.ask(tablet, "Juliet", PING)
        self.assertReceived(tablet, "Juliet error 7 cancel not-acceptable")
        self.assertNothingReceived()

    def test_selfPingNoRoom(self) -> None:
        """
        A ping to a room that has ended, or is locked, is C{not-acceptable} (XEP-0410 §3.3): C{item-not-found}, the
        answer to any other request, would mean that the sender is in.
        """
        join(self.romeo, "Romeo", to=f"locked@{HOST}")
        self.discardReceived()
        for room in (f"ended@{HOST}", f"locked@{HOST}"):
            for payload, condition in ((PING, "not-acceptable"), (VERSION, "item-not-found")):
                sendIQ(self.juliet, "get", payload, to=f"{room}/Juliet")
                self.assertReceived(self.juliet, f"Juliet error q cancel {condition}")
        self.assertNothingReceived()

    def test_otherPing(self) -> None:
        """A ping to another occupant is relayed."""
        self.ask(self.romeo, "Juliet", PING)
        self.assertIsNotNone(self.received(self.juliet).child("ping", ns.PING))
        self.assertNothingReceived()

    def test_oneself(self) -> None:
        """Any other request to oneself goes to the session that is shown."""
        self.ask(self.phone, "Juliet")
        self.assertEqual(self.received(self.juliet).get("from"), f"{ROOM}/Juliet")


class PendingTests(RelayTestCase):
    """Requests that wait for their answers."""

    def answered(self, ids: list[str]) -> list[str]:
        """Let Juliet answer requests; what Romeo receives."""
        for id in ids:
            self.answer(id)
        return summaries(self.romeo)

    def test_once(self) -> None:
        """An answer passes once, and only from whoever was asked."""
        id = self.asked()
        self.answer(id, self.enter("paris"))
        self.answer("7")
        self.assertNothingReceived()
        self.assertEqual(self.answered([id, id]), ["Juliet result 7"])

    def test_ids(self) -> None:
        """Ids are unique, and too long to be guessed."""
        ids = {self.asked() for _ in range(100)}
        self.assertEqual(len(ids), 100)
        self.assertGreaterEqual(min(map(len, ids)), 16)

    def test_left(self) -> None:
        """When who was asked leaves, with this session, what is pending is C{recipient-unavailable}, once."""
        ids = [self.asked(str(number)) for number in range(2)]
        self.ask(self.romeo, "Juliet", f"<vCard xmlns='{ns.VCARD_TEMP}'/>", id="3")
        self.discardReceived()
        leave(self.phone, "Juliet")
        self.discardReceived()
        leave(self.juliet, "Juliet")
        refused = [f"Juliet error {number} wait recipient-unavailable by=None" for number in range(2)]
        self.assertReceived(self.romeo, "Juliet unavailable none/none", *refused)
        self.assertEqual(self.answered(ids), [])

    def test_renamedAndLeft(self) -> None:
        """The error comes from the address that was asked, and reaches who has left meanwhile."""
        self.asked()
        sendPresence(self.juliet, "J")
        leave(self.romeo, "Romeo")
        self.discardReceived()
        leave(self.juliet, "J")
        self.assertReceived(self.romeo, "Juliet error 7 wait recipient-unavailable by=None")

    def test_otherRoom(self) -> None:
        """Leaving another room, or another session leaving, answers nothing."""
        other = f"other@{HOST}"
        self.createRoom(self.romeo, to=other)
        self.enter(self.juliet, to=other)
        id = self.asked()
        leave(self.juliet, "Juliet", to=other)
        leave(self.phone, "Juliet")
        self.discardReceived()
        self.assertEqual(self.answered([id]), ["Juliet result 7"])

    def test_removed(self) -> None:
        """Likewise when they are kicked, lose their connection, or the room is destroyed."""
        for way in ("dropped", "kicked", "destroyed"):
            self.asked()
            self.discardReceived()
            if way == "dropped":
                self.juliet.dropConnection()
            elif way == "kicked":
                sendAdmin(self.owner, role("Juliet", "none"))
            else:
                sendOwner(self.owner, "<destroy/>")
            self.assertIn("Juliet error 7 wait recipient-unavailable by=None", summaries(self.romeo), way)
            if way != "destroyed":
                self.juliet = self.enter(f"juliet/{way}")

    def test_bounded(self) -> None:
        """Beyond the limit the oldest request is refused, C{resource-constraint}."""
        self.patch(iqrelay, "LIMIT", 3)
        ids = [self.asked(str(number)) for number in range(4)]
        self.assertReceived(self.romeo, "Juliet error 0 wait resource-constraint by=None")
        self.assertEqual(self.answered(ids), [f"Juliet result {number}" for number in (1, 2, 3)])

    def test_oneAccount(self) -> None:
        """
        An account that asks too often, with whatever session, loses its own oldest requests and nobody else's; what
        has been answered does not count.
        """
        self.patch(iqrelay, "ACCOUNT_LIMIT", 3)
        sessions = [self.enter("hecate"), self.enter("hecate/b")]
        waiting = self.asked("romeo")
        ids = [self.asked(str(number), sessions[number % 2]) for number in range(4)]
        for id in ids[:2]:
            self.answer(id, nick="Hecate")
        ids.append(self.asked("4", sessions[0]))
        for id in ids[2:]:
            self.answer(id, nick="Hecate")
        refused = "Juliet error 0 wait resource-constraint by=None"
        self.assertReceived(sessions[0], refused, "Juliet result 2", "Juliet result 4")
        self.assertReceived(sessions[1], "Juliet result 1", "Juliet result 3")
        self.assertEqual(self.answered([waiting]), ["Juliet result romeo"])
