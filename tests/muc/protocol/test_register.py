# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.protocol.register}: registering with a room, and unregistering (XEP-0045 §7.10, XEP-0077 §3.2).
"""

from __future__ import annotations

from typing import Any

from muccore.interfaces import Affiliate, RoomRecord
from muccore.storage.memory import MemoryRooms
from muccore.testing.defaults import defaultRoom
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.muchelpers import (
    ROOM,
    MUCTestCase,
    affiliation,
    configure,
    deliveryOrder,
    form,
    join,
    register,
    sendAdmin,
    sendIQ,
    summaries,
    values,
)

FIELD = "muc#register_roomnick"


class RegistrationTestCase(MUCTestCase):
    """A room with an owner, and users of every affiliation."""

    fields: dict[str, Any] = {}

    def setUp(self) -> None:
        """The owner is in; an admin, a member, an outcast and a stranger are online."""
        super().setUp()
        self.romeo, self.admin, self.member = self.login("romeo", "admin", "member")
        self.outcast, self.other = self.login("outcast", "other")
        self.createRoom(self.romeo, **self.fields)
        sendAdmin(
            self.romeo,
            affiliation("admin@localhost", "admin"),
            affiliation("member@localhost", "member"),
            affiliation("outcast@localhost", "outcast"),
        )
        self.discardReceived()

    def query(self, client: Client) -> Element:
        """The answer to a request for the registration form."""
        sendIQ(client, "get", f"<query xmlns='{ns.REGISTER}'/>")
        return self.result(client)


class FormTests(RegistrationTestCase):
    """The registration form."""

    def test_form(self) -> None:
        """Users without a reserved nick receive a form with a required nick, members made by an admin included."""
        for client in (self.other, self.member, self.admin, self.romeo):
            query = self.query(client)
            self.assertIsNone(query.child("registered"))
            self.assertIsNotNone(query.child("instructions"))
            x = query.child("x", ns.DATA)
            assert x is not None
            fields = values(x)
            self.assertEqual((x.get("type"), fields["FORM_TYPE"], fields[FIELD]), ("form", [ns.MUC_REGISTER], []))
            [field] = [each for each in x.childElements() if each.get("var") == FIELD]
            self.assertIsNotNone(field.child("required"))

    def test_registered(self) -> None:
        """A registered user is told so, with the nick (§7.10)."""
        for client, nick in ((self.other, "Other"), (self.member, "Member"), (self.admin, "Admin")):
            register(client, nick)
            self.discardReceived()
            query = self.query(client)
            username = query.child("username")
            self.assertIsNotNone(query.child("registered"))
            assert username is not None
            self.assertEqual(username.text(), nick)

    def test_outcast(self) -> None:
        """Outcasts may not register."""
        sendIQ(self.outcast, "get", f"<query xmlns='{ns.REGISTER}'/>")
        self.assertReceived(self.outcast, "error q cancel not-allowed")
        register(self.outcast, "Outcast")
        self.assertReceived(self.outcast, "error q cancel not-allowed")
        self.assertEqual(self.storedAffiliations()["outcast@localhost"], "outcast")


class RegisterTests(RegistrationTestCase):
    """Registering."""

    def test_member(self) -> None:
        """A user becomes a member with a nick: the result comes first, then the presence to everybody."""
        self.enter(self.other)
        register(self.other, "Mercutio")
        self.assertReceived(self.other, "result q", "Other available member/participant jid=other@localhost/a 110")
        self.assertReceived(self.romeo, "Other available member/participant jid=other@localhost/a")
        self.assertEqual(
            (self.storedAffiliations()["other@localhost"], self.storedNicks()),
            ("member", {"other@localhost": "Mercutio"}),
        )

    def test_absent(self) -> None:
        """The membership of an absent user is announced to moderators."""
        register(self.other, "Mercutio")
        self.assertReceived(self.romeo, "room normal item other@localhost member")
        self.assertReceived(self.other, "result q")

    def test_moderated(self) -> None:
        """
        In a moderated room membership brings voice (§5.1.3), so an admin has to approve it (§9.9), unless the owner has
        chosen otherwise. Members reserve a nick as ever.
        """
        configure(self.romeo, moderatedroom=True)
        self.enter(self.other)
        register(self.member, "Paris")
        self.assertReceived(self.member, "result q")
        register(self.other, "Other")
        self.assertReceived(self.other, "result q")
        self.assertReceived(self.romeo, "room normal x")
        self.assertNotIn("other@localhost", self.storedAffiliations())
        configure(self.romeo, **{"x-muc#roomconfig_selfregistration": "always"})
        self.discardReceived()
        register(self.other, "Other")
        self.assertReceived(self.other, "result q", "Other available member/participant jid=other@localhost/a 110")

    def test_moderatedNow(self) -> None:
        """Requests of a room that is not moderated any more have ended: who registers is a member at once."""
        configure(self.romeo, moderatedroom=True)
        register(self.other, "Other")
        configure(self.romeo, moderatedroom=False)
        self.discardReceived()
        self.assertEqual(self.storedRecord().states.get("membership-requests"), None)
        register(self.other, "Other")
        self.assertReceived(self.other, "result q")
        self.assertEqual(self.storedAffiliations()["other@localhost"], "member")

    def test_keepsRank(self) -> None:
        """Members, admins and owners reserve a nick and keep their affiliation; nobody is informed."""
        self.enter(self.admin)
        for client, nick, word in (
            (self.member, "Paris", "member"),
            (self.admin, "Lawrence", "admin"),
            (self.romeo, "Montague", "owner"),
        ):
            register(client, nick)
            self.assertReceived(client, "result q")
            self.assertEqual(self.storedAffiliations()[client.address.partition("/")[0]], word)
        self.assertNothingReceived(self.romeo, self.admin)
        self.assertEqual(
            self.storedNicks(),
            {"member@localhost": "Paris", "admin@localhost": "Lawrence", "romeo@localhost": "Montague"},
        )

    def test_again(self) -> None:
        """Registering again changes the nick and frees the old one; the same nick again changes nothing."""
        for nick in ("Mercutio", "Mercutio", "Benvolio"):
            register(self.other, nick)
            self.assertReceived(self.other, "result q")
        self.assertEqual(self.storedNicks(), {"other@localhost": "Benvolio"})
        register(self.member, "Mercutio")
        self.assertReceived(self.member, "result q")

    def test_conflict(self) -> None:
        """A nick that another user has reserved or is using is a C{conflict} (§7.10)."""
        register(self.member, "Paris")
        for nick in ("Paris", "Romeo", " Paris ", "PARIS", "romeo"):
            register(self.other, nick)
            self.assertReceived(self.other, "error q cancel conflict")
        self.assertNotIn("other@localhost", self.storedAffiliations())
        self.enter(self.other, "Mercutio")
        register(self.other, "Mercutio")
        self.assertIn("result q", summaries(self.other))

    def test_reservedAtTheDoor(self) -> None:
        """Nobody else enters with a reserved nick; its owner may enter with that one or another (§7.12)."""
        register(self.other, "Mercutio")
        join(self.member, "Mercutio")
        self.assertReceived(self.member, "Mercutio presence error cancel conflict")
        self.discardReceived()
        for nick in ("Mercutio", "Other"):
            second = self.client(f"other@localhost/{nick}")
            join(second, nick)
            self.assertIn(f"{nick} available member/participant jid=other@localhost/{nick} 110", summaries(second))

    def test_bad(self) -> None:
        """Without a valid form the request is C{bad-request}; an impossible nick is C{not-acceptable} (§7.10)."""
        for payload, condition in (
            ("", "bad-request"),
            ("<username>Mercutio</username>", "bad-request"),
            (form(ns.MUC_ROOMCONFIG, {FIELD: "Mercutio"}), "bad-request"),
            (form(ns.MUC_REGISTER, {FIELD: "Mercutio"}, type="result"), "bad-request"),
            (form(ns.MUC_REGISTER, {}), "bad-request"),
            (form(ns.MUC_REGISTER, {FIELD: ["A", "B"]}), "bad-request"),
            (form(ns.MUC_REGISTER, {FIELD: ""}), "not-acceptable"),
            (form(ns.MUC_REGISTER, {FIELD: " "}), "not-acceptable"),
            (form(ns.MUC_REGISTER, {FIELD: "x" * 1024}), "not-acceptable"),
            (form(ns.MUC_REGISTER, {"muc#register_first": "Mercutio"}), "not-acceptable"),
        ):
            sendIQ(self.other, "set", f"<query xmlns='{ns.REGISTER}'>{payload}</query>")
            self.assertEqual(summaries(self.other), [f"error q modify {condition}"], payload)
        self.assertNotIn("other@localhost", self.storedAffiliations())
        self.assertNothingReceived(self.romeo)

    def test_moreFields(self) -> None:
        """Fields that the form does not have are ignored."""
        fields = {"muc#register_first": "M", FIELD: "Mercutio", "muc#register_allow": True}
        sendIQ(self.other, "set", f"<query xmlns='{ns.REGISTER}'>{form(ns.MUC_REGISTER, fields)}</query>")
        self.assertReceived(self.other, "result q")

    def test_cancelled(self) -> None:
        """A form that is cancelled changes nothing."""
        sendIQ(self.other, "set", f"<query xmlns='{ns.REGISTER}'><x xmlns='{ns.DATA}' type='cancel'/></query>")
        self.assertReceived(self.other, "result q")
        self.assertNotIn("other@localhost", self.storedAffiliations())

    def test_nickAlone(self) -> None:
        """A stored user with a nick but no affiliation becomes a member."""
        store = MemoryRooms()
        store.open()
        affiliates = {"romeo@localhost": Affiliate("owner"), "other@localhost": Affiliate("none", "Old")}
        store.save(ROOM, RoomRecord(defaultRoom(persistent=True).toMapping(), affiliates))
        self.startServer(store)
        other = self.client("other")
        register(other, "Mercutio")
        self.assertReceived(other, "result q")
        self.assertEqual(self.storedAffiliations()["other@localhost"], "member")


class PasswordTests(RegistrationTestCase):
    """Registering with a room that has a password."""

    fields = {"passwordprotectedroom": True, "roomsecret": "moon"}

    def test_outside(self) -> None:
        """A stranger who is not in the room has not shown that they know the password: C{not-allowed}."""
        sendIQ(self.other, "get", f"<query xmlns='{ns.REGISTER}'/>")
        self.assertReceived(self.other, "error q cancel not-allowed")
        register(self.other, "Other")
        self.assertReceived(self.other, "error q cancel not-allowed")
        self.assertNotIn("other@localhost", self.storedAffiliations())
        self.assertNothingReceived()

    def test_inside(self) -> None:
        """Whoever has entered with it may register."""
        self.enter(self.other, password="moon")
        register(self.other, "Other")
        self.assertReceived(self.other, "result q", "Other available member/participant jid=other@localhost/a 110")

    def test_otherSession(self) -> None:
        """Another session of the same user has not entered."""
        self.enter(self.other, password="moon")
        register(self.client("other/b"), "Other")
        self.assertNotIn("other@localhost", self.storedAffiliations())

    def test_affiliated(self) -> None:
        """Members, whom an admin chose, need not be in."""
        register(self.member, "Paris")
        self.assertReceived(self.member, "result q")

    def test_approval(self) -> None:
        """Where an admin approves, strangers may ask from outside."""
        configure(self.romeo, **{"x-muc#roomconfig_selfregistration": "approval"})
        self.discardReceived()
        register(self.other, "Other")
        self.assertReceived(self.other, "result q")


class UnregisterTests(RegistrationTestCase):
    """Unregistering (XEP-0077 §3.2)."""

    def test_open(self) -> None:
        """In an open room a former member stays; the nick is free."""
        register(self.other, "Mercutio")
        self.discardReceived()
        self.enter(self.other)
        register(self.other, None)
        self.assertReceived(self.other, "result q", "Other available none/participant jid=other@localhost/a 110")
        self.assertReceived(self.romeo, "Other available none/participant jid=other@localhost/a")
        self.assertNotIn("other@localhost", self.storedAffiliations())
        register(self.member, "Mercutio")
        self.assertReceived(self.member, "result q")

    def test_rank(self) -> None:
        """Admins and owners give up their nick and keep their affiliation, even the only owner."""
        for client in (self.admin, self.romeo):
            before = self.storedAffiliations()
            register(client, "Mine")
            register(client, None)
            self.assertReceived(client, "result q", "result q")
            self.assertEqual((self.storedAffiliations(), self.storedNicks()), (before, {}))

    def test_notRegistered(self) -> None:
        """Unregistered users are told so, as are admins and owners without a nick (XEP-0077 §3.2)."""
        for client in (self.other, self.outcast, self.admin, self.romeo):
            register(client, None)
            self.assertReceived(client, "error q auth registration-required")
        self.assertEqual(self.storedAffiliations()["outcast@localhost"], "outcast")

    def test_notAlone(self) -> None:
        """C{<remove/>} must be the only child (XEP-0077 §3.2)."""
        for payload in ("<remove/><username>x</username>", "<username>x</username><remove/>", "<remove/><remove/>"):
            sendIQ(self.member, "set", f"<query xmlns='{ns.REGISTER}'>{payload}</query>")
            self.assertReceived(self.member, "error q modify bad-request")
        self.assertEqual(self.storedAffiliations()["member@localhost"], "member")


class MembersOnlyTests(RegistrationTestCase):
    """Members-only rooms."""

    fields = {"membersonly": True}

    def test_closed(self) -> None:
        """Nobody registers themselves into a members-only room; a member may reserve a nick."""
        sendIQ(self.other, "get", f"<query xmlns='{ns.REGISTER}'/>")
        self.assertReceived(self.other, "error q cancel not-allowed")
        register(self.other, "Mercutio")
        self.assertReceived(self.other, "error q cancel not-allowed")
        register(self.member, "Paris")
        self.assertReceived(self.member, "result q")
        self.assertEqual(self.storedNicks(), {"member@localhost": "Paris"})

    def test_unregister(self) -> None:
        """
        A former member is removed with all sessions, with 321 in front of C{<item/>} and 110 behind it; they receive
        that first, then comes the result, then the others are informed; they cannot enter again.
        """
        second = self.client("member/b")
        self.enter(self.member)
        self.enter(second, "Member")
        self.enter(self.admin)
        order = deliveryOrder(self.romeo, self.admin, self.member, second)
        register(self.member, None)
        self.assertEqual(
            order,
            [
                "member@localhost/a presence",
                "member@localhost/b presence",
                "member@localhost/a iq",
                "romeo@localhost/a presence",
                "admin@localhost/a presence",
            ],
        )
        [presence, result] = self.member.received()
        x = presence.child("x", ns.MUC_USER)
        assert x is not None
        self.assertEqual(
            [(child.name, dict(child.attributes)) for child in x.childElements()],
            [
                ("status", {"code": "321"}),
                ("item", {"affiliation": "none", "role": "none", "jid": "member@localhost/a"}),
                ("item", {"affiliation": "none", "role": "none", "jid": "member@localhost/b"}),
                ("status", {"code": "110"}),
            ],
        )
        self.assertEqual((presence.get("type"), result.get("id"), result.get("type")), ("unavailable", "q", "result"))
        self.assertReceived(second, "Member unavailable none/none jid=member@localhost/b,a 321 110")
        self.assertReceived(self.romeo, "Member unavailable none/none jid=member@localhost/b,a 321")
        join(self.member, "Member")
        self.assertReceived(self.member, "Member presence error auth registration-required")

    def test_fromElsewhere(self) -> None:
        """The request may come from a session that is not in the room (XEP-0077 §3.2)."""
        self.enter(self.member)
        second = self.client("member/b")
        register(second, None)
        self.assertReceived(second, "result q")
        self.assertReceived(self.member, "Member unavailable none/none jid=member@localhost/a 321 110")

    def test_adminStays(self) -> None:
        """An admin who gives up the nick stays."""
        register(self.admin, "Lawrence")
        self.discardReceived()
        self.enter(self.admin, "Lawrence")
        register(self.admin, None)
        self.assertReceived(self.admin, "result q")
        self.assertIn("Lawrence", self.room().occupants)


class StrangerTests(MUCTestCase):
    """Users of other servers, where only those of this one may register."""

    def test_refused(self) -> None:
        """A stranger may not, a member may reserve a nick, and leave."""
        self.startServer(registration="local", localDomain="elsewhere.example")
        romeo, member, other = self.login("romeo", "member", "other")
        self.createRoom(romeo)
        sendAdmin(romeo, affiliation("member@localhost", "member"))
        self.discardReceived()
        for type, content in (("get", ""), ("set", form(ns.MUC_REGISTER, {FIELD: "x"}))):
            sendIQ(other, type, f"<query xmlns='{ns.REGISTER}'>{content}</query>")
            [iq] = other.received()
            error = iq.child("error")
            assert error is not None, iq.toXml()
            self.assertIsNotNone(error.child("not-allowed", ns.STANZA_ERRORS))
        for content in (form(ns.MUC_REGISTER, {FIELD: "x"}), "<remove/>"):
            sendIQ(member, "set", f"<query xmlns='{ns.REGISTER}'>{content}</query>")
            self.assertIn("result", [each.get("type") for each in member.received()])
