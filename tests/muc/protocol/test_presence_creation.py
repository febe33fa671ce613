# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.protocol.presence}: who creates a room by entering, and who is refused (XEP-0045 §7.2, §10.1).
"""

from __future__ import annotations

from muccore.testing.doubles import DelayedRoomStore
from muccore.xmpp import ns
from muccore.xmpp.rendering import render
from tests.muc.muchelpers import (
    ROOM,
    MUCTestCase,
    RoomTestCase,
    X,
    affiliation,
    configure,
    join,
    leave,
    sendPresence,
    summaries,
    unstamped,
)


class CreationTests(MUCTestCase):
    """A room that does not exist yet."""

    def setUp(self) -> None:
        self.startServer(presenceSize=100)
        self.romeo = self.client("romeo")

    def test_created(self) -> None:
        """The creator is owner, and told so with 201 (§10.1.1), with the id of the request (§7.2.2)."""
        join(self.romeo, "Romeo", id="n13mt3l")
        self.assertEqual(
            [unstamped(render(stanza).decode()) for stanza in self.romeo.received()],
            [
                f"<presence to='romeo@localhost/a' id='n13mt3l' from='{ROOM}/Romeo'><x xmlns='{ns.MUC_USER}'>"
                "<status code='201'/><item affiliation='owner' role='moderator' jid='romeo@localhost/a'/>"
                "<status code='110'/></x></presence>",
                f"<message to='romeo@localhost/a' from='{ROOM}' type='groupchat'><subject/></message>",
            ],
        )

    def test_locked(self) -> None:
        """
        Until it is configured the room does not exist for others (§7.2.10), but the creator's other sessions may enter,
        without 201.
        """
        join(self.romeo, "Romeo")
        juliet, phone = self.login("juliet", "romeo/phone")
        join(juliet, "Juliet")
        self.assertReceived(juliet, "Juliet presence error cancel item-not-found")
        join(phone, "Romeo")
        self.assertEqual(summaries(phone)[0], "Romeo available owner/moderator jid=romeo@localhost/phone,a 110")

    def test_notAllowed(self) -> None:
        """Whoever may not create rooms is refused in the name of the room (§10.1.1)."""
        self.startServer(creation="nobody")
        romeo = self.client("romeo")
        join(romeo, "Romeo", id="1")
        self.assertRegex(
            render(romeo.received()[0]).decode(),
            f"^<presence to='romeo@localhost/a' from='{ROOM}/Romeo' id='1' type='error'>{X}"
            f"<error by='{ROOM}' type='cancel'><not-allowed xmlns='{ns.STANZA_ERRORS}'/>"
            f"<text xmlns='{ns.STANZA_ERRORS}' xml:lang='en'>[^<]+</text></error></presence>$",
        )

    def test_noJoin(self) -> None:
        """A presence that is refused, or has a type (§17.3), creates no room."""
        join(self.romeo, " ")
        self.assertReceived(self.romeo, "  presence error modify not-acceptable")
        join(self.romeo, "Romeo", f"<status>{'x' * 100}</status>")
        self.assertReceived(self.romeo, "Romeo presence error modify policy-violation")
        for type in ("unavailable", "probe", "error"):
            for to in (ROOM, f"{ROOM}/Romeo"):
                self.romeo.sends(f"<presence type='{type}' to='{to}'>{X}</presence>")
        self.assertNothingReceived()
        self.assertEqual(self.server.muc.rooms.live, {})

    def test_withoutX(self) -> None:
        """Presence without C{<x/>} is no join: the sender is told that they are not in (§7.2.18)."""
        sendPresence(self.romeo, "Romeo", id="1")
        self.assertEqual(
            [render(stanza).decode() for stanza in self.romeo.received()],
            [
                f"<presence to='romeo@localhost/a' from='{ROOM}/Romeo' type='unavailable'><x xmlns='{ns.MUC_USER}'>"
                "<item affiliation='none' role='none'><reason>You are not in the room.</reason></item>"
                "<status code='110'/><status code='307'/><status code='333'/></x></presence>"
            ],
        )
        self.assertEqual(self.server.muc.rooms.live, {})

    def test_oneLeft(self) -> None:
        """A locked room stays while another session of its creator is in."""
        phone = self.client("romeo/phone")
        for client in (self.romeo, phone):
            self.enter(client)
        leave(self.romeo, "Romeo")
        self.assertReceived(self.romeo, "Romeo unavailable owner/none jid=romeo@localhost/a 110")
        self.assertEqual(list(self.room().sessions), ["romeo@localhost/phone"])

    def test_unlocking(self) -> None:
        """While the first configuration is being stored the room cannot time out, and whoever enters waits (§14.6)."""
        store = DelayedRoomStore()
        self.startServer(store)
        romeo, juliet = self.login("romeo", "juliet")
        join(romeo, "Romeo")
        configure(romeo)
        self.discardReceived()
        join(juliet, "Juliet")
        self.server.clock.advance(1000)
        self.assertNothingReceived()
        store.release()
        self.assertEqual(summaries(romeo)[0], "result q")
        self.assertEqual(summaries(juliet)[1], "Juliet available none/participant jid=juliet@localhost/a 110")


class RefusalTests(RoomTestCase):
    """Joins that are refused (§7.2.17). Nobody but the sender receives anything."""

    def assertRefused(self, condition: str, address: str = "juliet", nick: str = "Juliet", x: str = "") -> None:
        """Somebody cannot enter."""
        client = self.client(address)
        join(client, nick, x=x, id="7")
        [error] = client.received()
        self.assertEqual((error.get("from"), error.get("id")), (f"{ROOM}/{nick}", "7"))
        self.assertIsNotNone(error.child("x", ns.MUC))
        child = error.child("error")
        assert child is not None
        self.assertEqual(f"{child.get('type')} {next(child.childElements()).name}", condition)
        self.assertEqual(child.get("by"), ROOM)
        self.assertNotIn(client.address, self.room().sessions)
        self.assertNothingReceived()

    def test_banned(self) -> None:
        """Outcasts: C{forbidden} (§7.2.7), even with the password."""
        self.openRoom(passwordprotectedroom=True, roomsecret="x")
        self.change(affiliation("juliet@localhost", "outcast"))
        self.assertRefused("auth forbidden", x="<password>x</password>")

    def test_bannedDomain(self) -> None:
        """Users of a banned domain without an entry of their own."""
        self.change(affiliation("localhost", "outcast"))
        self.assertRefused("auth forbidden")
        self.change(affiliation("juliet@localhost", "member"))
        self.enter("juliet")

    def test_membersOnly(self) -> None:
        """Strangers in a members-only room: C{registration-required} (§7.2.6)."""
        self.openRoom(membersonly=True)
        self.assertRefused("auth registration-required")
        self.change(affiliation("juliet@localhost", "member"))
        self.enter("juliet")

    def test_password(self) -> None:
        """Without the right password: C{not-authorized} (§7.2.5), the owner's other session too."""
        self.openRoom(passwordprotectedroom=True, roomsecret="cauldronburn")
        self.assertRefused("auth not-authorized")
        for wrong in ("", "Cauldronburn", "cauldronburn "):
            self.assertRefused("auth not-authorized", x=f"<password>{wrong}</password>")
        self.assertRefused("auth not-authorized", "owner/b", "Owner")
        self.enter("juliet", password="cauldronburn")

    def test_conflict(self) -> None:
        """Under another occupant's nick: C{conflict} (§7.2.8)."""
        self.assertRefused("cancel conflict", nick="Owner")

    def test_full(self) -> None:
        """
        In a full room: C{service-unavailable}, to be tried again; but other sessions of occupants, and some admins and
        owners, may still enter (§7.2.9).
        """
        self.openRoom(maxusers="10")
        for number in range(9):
            self.enter(f"u{number}")
        self.assertRefused("wait service-unavailable")
        self.enter("u1/phone")
        self.change(*(affiliation(f"admin{number}@localhost", "admin") for number in range(11)))
        for number in range(10):
            self.enter(f"admin{number}")
        self.assertRefused("wait service-unavailable", "admin10")
        next(client for client in self.clients if client.address == "u2@localhost/a").dropConnection()
        self.discardReceived()
        self.assertRefused("wait service-unavailable")

    def test_tooLarge(self) -> None:
        """With more presence than is passed on: C{policy-violation}; the limit itself is accepted."""
        self.openRoom(options={"presenceSize": 100})
        status = f"<status>{'x' * (100 - len('<status></status>'))}</status>"
        larger = f"{status}<show>xa</show>"
        juliet, romeo = self.enter("juliet", children=status), self.client("romeo")
        for nick in ("Juliet", "Other"):
            sendPresence(juliet, nick, larger)
            self.assertReceived(juliet, f"{nick} presence error modify policy-violation")
        join(romeo, "Romeo", larger)
        self.assertReceived(romeo, "Romeo presence error modify policy-violation")
        self.assertNothingReceived()
        # A leave is never refused; its payload is dropped.
        leave(juliet, "Juliet", larger)
        self.assertReceived(self.owner, "Juliet unavailable none/none jid=juliet@localhost/a")
