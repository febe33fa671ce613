# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.register}: registering with a room, and unregistering (XEP-0045 §7.10, XEP-0077 §3.2).
"""

from __future__ import annotations

from typing import Any

from muccore import ns
from muccore.element import Element, Rendered
from muccore.interfaces import Affiliate, RoomRecord
from muccore.storage.memory import MemoryRooms
from muccore.testing.defaults import defaultRoom
from muccore.testing.stage import Client
from tests.muc.theatre import NAME, Theatre, admin, affiliation, ask, configure, form, heard, join, register, values

FIELD = "muc#register_roomnick"


class Registry(Theatre):
    """
    A room with an owner, and people of every affiliation.
    """

    fields: dict[str, Any] = {}

    def setUp(self) -> None:
        """
        An owner is in; an admin, a member, an outcast and somebody else are on line.
        """
        super().setUp()
        self.romeo, self.admin, self.member = self.client("romeo"), self.client("admin"), self.client("member")
        self.outcast, self.other = self.client("outcast"), self.client("other")
        self.open(self.romeo, **self.fields)
        admin(
            self.romeo,
            affiliation("admin@localhost", "admin"),
            affiliation("member@localhost", "member"),
            affiliation("outcast@localhost", "outcast"),
        )
        self.quiet(self.romeo)

    def query(self, client: Client) -> Element:
        """
        What somebody is told when he asks to register.
        """
        ask(client, "get", f"<query xmlns='{ns.REGISTER}'/>")
        return self.answer(client)


class FormTests(Registry):
    """
    What is needed to register.
    """

    def test_form(self) -> None:
        """
        Who has not registered gets a form with the nick to be filled in; a member whom an admin has made likewise,
        since he has no nick.
        """
        for client in (self.other, self.member, self.admin, self.romeo):
            query = self.query(client)
            self.assertIsNone(query.child("registered"))
            self.assertIsNotNone(query.child("instructions"))
            x = query.child("x", ns.DATA)
            assert x is not None
            self.assertEqual((x.get("type"), values(x)), ("form", {"FORM_TYPE": [ns.MUC_REGISTER], FIELD: []}))
            [field] = [each for each in x.childElements() if each.get("var") == FIELD]
            self.assertIsNotNone(field.child("required"))

    def test_registered(self) -> None:
        """
        §7.10: who has registered is told so, with his nick.
        """
        for client, nick in ((self.other, "Other"), (self.member, "Member"), (self.admin, "Admin")):
            register(client, nick)
            self.quiet(client)
            query = self.query(client)
            username = query.child("username")
            self.assertIsNotNone(query.child("registered"))
            assert username is not None
            self.assertEqual(username.text(), nick)

    def test_outcast(self) -> None:
        """
        Who is banned may not register.
        """
        ask(self.outcast, "get", f"<query xmlns='{ns.REGISTER}'/>")
        self.refused(self.outcast, "cancel not-allowed")
        register(self.outcast, "Outcast")
        self.refused(self.outcast, "cancel not-allowed")
        self.assertEqual(self.stored()["outcast@localhost"], "outcast")


class RegisterTests(Registry):
    """
    Registering.
    """

    def test_member(self) -> None:
        """
        Somebody becomes a member with a nick: his result first, then his presence to everybody, himself included.
        """
        self.admit((self.other, "Other"))
        self.quiet(self.romeo)
        register(self.other, "Mercutio")
        self.hear(self.other, "result q", "here Other member/participant +110 as other@localhost/a")
        self.hear(self.romeo, "here Other member/participant as other@localhost/a")
        self.assertEqual((self.stored()["other@localhost"], self.nicks()), ("member", {"other@localhost": "Mercutio"}))

    def test_absent(self) -> None:
        """
        If he is not in, those who may know are told.
        """
        register(self.other, "Mercutio")
        self.hear(self.romeo, "room: other@localhost is member")
        self.hear(self.other, "result q")

    def test_moderated(self) -> None:
        """
        In a moderated room membership brings voice (§5.1.3).
        """
        configure(self.romeo, moderatedroom=True)
        self.admit((self.other, "Other"))
        register(self.other, "Other")
        self.hear(self.other, "result q", "here Other member/participant +110 as other@localhost/a")

    def test_keepsRank(self) -> None:
        """
        Members, admins and owners reserve a nick and stay what they are; nobody hears of it.
        """
        self.admit((self.admin, "Admin"))
        self.quiet(self.romeo)
        for client, nick, word in (
            (self.member, "Paris", "member"),
            (self.admin, "Lawrence", "admin"),
            (self.romeo, "Montague", "owner"),
        ):
            register(client, nick)
            self.hear(client, "result q")
            self.assertEqual(self.stored()[client.address.partition("/")[0]], word)
        self.silent(self.romeo, self.admin)
        self.assertEqual(
            self.nicks(), {"member@localhost": "Paris", "admin@localhost": "Lawrence", "romeo@localhost": "Montague"}
        )

    def test_again(self) -> None:
        """
        Registering again changes the nick; the old one is free. The same one again changes nothing.
        """
        for nick in ("Mercutio", "Mercutio", "Benvolio"):
            register(self.other, nick)
            self.hear(self.other, "result q")
        self.assertEqual(self.nicks(), {"other@localhost": "Benvolio"})
        register(self.member, "Mercutio")
        self.hear(self.member, "result q")

    def test_conflict(self) -> None:
        """
        §7.10: a nick that is reserved for, or used by, another user is a conflict; nothing changes.
        """
        register(self.member, "Paris")
        for nick in ("Paris", "Romeo", " Paris "):
            register(self.other, nick)
            self.refused(self.other, "cancel conflict")
        self.assertNotIn("other@localhost", self.stored())
        self.admit((self.other, "Mercutio"))
        register(self.other, "Mercutio")
        self.assertIn("result q", heard(self.other))

    def test_reservedAtTheDoor(self) -> None:
        """
        §7.12: nobody else enters with a reserved nick; its owner may enter with that one or another.
        """
        register(self.other, "Mercutio")
        join(self.member, "Mercutio")
        self.hear(self.member, "refused Mercutio cancel conflict")
        self.quiet(self.other)
        for nick in ("Mercutio", "Other"):
            second = self.client(f"other@localhost/{nick}")
            join(second, nick)
            self.assertIn(f"here {nick} member/participant +110 as other@localhost/{nick}", heard(second))

    def test_bad(self) -> None:
        """
        §7.10: without a valid form C{bad-request}; a nick that may not be is not acceptable.
        """
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
            ask(self.other, "set", f"<query xmlns='{ns.REGISTER}'>{payload}</query>")
            self.assertEqual(heard(self.other), [f"error q modify {condition}"], payload)
        self.assertNotIn("other@localhost", self.stored())
        self.silent(self.romeo)

    def test_moreFields(self) -> None:
        """
        More fields than the form has do no harm.
        """
        ask(
            self.other,
            "set",
            f"<query xmlns='{ns.REGISTER}'>"
            f"{form(ns.MUC_REGISTER, {'muc#register_first': 'M', FIELD: 'Mercutio', 'muc#register_allow': True})}"
            "</query>",
        )
        self.hear(self.other, "result q")

    def test_cancelled(self) -> None:
        """
        A form that is cancelled changes nothing.
        """
        ask(self.other, "set", f"<query xmlns='{ns.REGISTER}'><x xmlns='{ns.DATA}' type='cancel'/></query>")
        self.hear(self.other, "result q")
        self.assertNotIn("other@localhost", self.stored())

    def test_nickAlone(self) -> None:
        """
        One who had nothing but a nick, from another store, becomes a member like anybody else.
        """
        store = MemoryRooms()
        store.open()
        settings = defaultRoom(persistent=True)
        affiliates = {"romeo@localhost": Affiliate("owner"), "other@localhost": Affiliate("none", "Old")}
        store.save(NAME, RoomRecord(settings.toMapping(), affiliates))
        self.begin(store)
        other = self.client("other")
        register(other, "Mercutio")
        self.hear(other, "result q")
        self.assertEqual(self.stored()["other@localhost"], "member")


class UnregisterTests(Registry):
    """
    Taking it back.
    """

    def test_open(self) -> None:
        """
        In an open room a member becomes nobody and stays; his nick is free.
        """
        register(self.other, "Mercutio")
        self.quiet(self.romeo, self.other)
        self.admit((self.other, "Other"))
        self.quiet(self.romeo)
        register(self.other, None)
        self.hear(self.other, "result q", "here Other none/participant +110 as other@localhost/a")
        self.hear(self.romeo, "here Other none/participant as other@localhost/a")
        self.assertNotIn("other@localhost", self.stored())
        register(self.member, "Mercutio")
        self.hear(self.member, "result q")

    def test_rank(self) -> None:
        """
        Admins and owners give their nick back and stay what they are; even the only owner may.
        """
        for client in (self.admin, self.romeo):
            before = self.stored()
            register(client, "Mine")
            register(client, None)
            self.hear(client, "result q", "result q")
            self.assertEqual((self.stored(), self.nicks()), (before, {}))

    def test_notRegistered(self) -> None:
        """
        XEP-0077 §3.2: who was not registered is told so; an admin or owner without a nick was not.
        """
        for client in (self.other, self.outcast, self.admin, self.romeo):
            register(client, None)
            self.refused(client, "auth registration-required")
        self.assertEqual(self.stored()["outcast@localhost"], "outcast")

    def test_notAlone(self) -> None:
        """
        XEP-0077 §3.2: C{<remove/>} is the only child, or it is a bad request.
        """
        for payload in ("<remove/><username>x</username>", "<username>x</username><remove/>", "<remove/><remove/>"):
            ask(self.member, "set", f"<query xmlns='{ns.REGISTER}'>{payload}</query>")
            self.refused(self.member, "modify bad-request")
        self.assertEqual(self.stored()["member@localhost"], "member")


class MembersOnlyTests(Registry):
    """
    Members-only rooms.
    """

    fields = {"membersonly": True}

    def test_closed(self) -> None:
        """
        Nobody lets himself in; a member may reserve a nick.
        """
        ask(self.other, "get", f"<query xmlns='{ns.REGISTER}'/>")
        self.refused(self.other, "cancel not-allowed")
        register(self.other, "Mercutio")
        self.refused(self.other, "cancel not-allowed")
        register(self.member, "Paris")
        self.hear(self.member, "result q")
        self.assertEqual(self.nicks(), {"member@localhost": "Paris"})

    def test_unregister(self) -> None:
        """
        Who unregisters is out with all his sessions: 321, affiliation and role none, C{<item/>} between 321 and 110,
        to each of them first, then his result, then everybody else; he cannot come back.
        """
        second = self.client("member@localhost/b")
        self.admit((self.member, "Member"), (second, "Member"), (self.admin, "Admin"))
        self.quiet(self.romeo, self.member, second)
        order: list[str] = []
        for client in (self.romeo, self.admin, self.member, second):
            self.note(client, order)
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
        [presence, result] = self.member.hears()
        x = presence.child("x", ns.MUC_USER)
        assert x is not None
        self.assertEqual(
            [(child.name, dict(child.attributes)) for child in x.childElements()],
            [
                ("status", {"code": "321"}),
                ("item", {"affiliation": "none", "role": "none", "jid": "member@localhost/a"}),
                ("status", {"code": "110"}),
            ],
        )
        self.assertEqual((presence.get("type"), result.get("id"), result.get("type")), ("unavailable", "q", "result"))
        self.hear(second, "gone Member none/none +321 +110 as member@localhost/b")
        self.hear(self.romeo, "gone Member none/none +321 as member@localhost/b")
        join(self.member, "Member")
        self.hear(self.member, "refused Member auth registration-required")

    def note(self, client: Client, order: list[str]) -> None:
        """
        Note in which order stanzas go out.
        """
        send = client.send

        def noted(stanza: Rendered, to: bytes) -> None:
            order.append(f"{client.address} {stanza.head.decode()[1:]}")
            send(stanza, to)

        client.send = noted  # type: ignore[method-assign]

    def test_fromElsewhere(self) -> None:
        """
        The request may come from a session that is not in the room: the bare JID counts (XEP-0077 §3.2).
        """
        self.admit((self.member, "Member"))
        second = self.client("member@localhost/b")
        register(second, None)
        self.hear(second, "result q")
        self.hear(self.member, "gone Member none/none +321 +110 as member@localhost/a")

    def test_adminStays(self) -> None:
        """
        An admin who gives his nick back stays in.
        """
        register(self.admin, "Lawrence")
        self.quiet(self.admin)
        self.admit((self.admin, "Lawrence"))
        register(self.admin, None)
        self.hear(self.admin, "result q")
        self.assertIn("Lawrence", self.room().occupants)
