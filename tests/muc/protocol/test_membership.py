# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.protocol.membership} and L{muccore.muc.model.membershiprequests}: registrations that an admin
approves (XEP-0045 §7.10, §9.9).
"""

from __future__ import annotations

from typing import Any

from muccore.muc.model import membershiprequests
from muccore.testing.doubles import DelayedRoomStore
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.muchelpers import (
    ROOM,
    RoomTestCase,
    affiliation,
    form,
    join,
    leave,
    register,
    sendAdmin,
    sendIQ,
    summaries,
    values,
)

JID, NICK, ALLOW = "x-muc#register_jid", "muc#register_roomnick", "muc#register_allow"
BY = {"x-muc#roomconfig_selfregistration": "approval"}
REFUSED = "room normal body:Your request to become a member of room@conference.localhost was refused."


class MembershipTestCase(RoomTestCase):
    """A members-only room of strangers who may ask; an admin is in, Romeo is a stranger."""

    fields = {"membersonly": True, "persistentroom": True, **BY}

    def setUp(self) -> None:
        super().setUp()
        self.change(affiliation("admin@localhost", "admin"), affiliation("member@localhost", "member"))
        self.admin, self.member = self.enter("admin"), self.enter("member")
        self.romeo = self.client("romeo")
        self.romeo.sends("<presence/>")
        self.discardReceived()

    def forms(self, client: Client) -> list[dict[str, list[str]]]:
        """The values of the forms that a client has received, and nothing else."""
        found = []
        for message in client.received():
            x = message.child("x", ns.DATA)
            assert x is not None, message.toXml()
            found.append(values(x))
        return found

    def answer(self, client: Client, allow: Any = True, jid: str | None = "romeo@localhost", **fields: str) -> None:
        """Answer a request."""
        given: dict[str, Any] = {} if allow is None else {ALLOW: allow}
        if jid is not None:
            given[JID] = jid
        client.sends(f"<message to='{ROOM}' id='7'>{form(ns.MUC_REGISTER, {**given, **fields})}</message>")

    def request(self, client: Client | None = None, nick: str = "Montague") -> None:
        """Ask to become a member; discard what is received."""
        register(client or self.romeo, nick)
        self.assertReceived(client or self.romeo, "result q")
        self.discardReceived()

    def waiting(self) -> dict[str, str]:
        """The requests that are stored."""
        return dict(self.storedRecord().states.get(membershiprequests.NAME, {}))

    def query(self, client: Client) -> Element:
        """The answer to a request for the registration form."""
        sendIQ(client, "get", f"<query xmlns='{ns.REGISTER}'/>")
        return self.result(client)


class RequestTests(MembershipTestCase):
    """Asking (§7.10)."""

    def test_asked(self) -> None:
        """The request is confirmed; admins and owners in the room, and nobody else, receive a form (§9.9)."""
        register(self.romeo, "Montague")
        self.assertReceived(self.romeo, "result q")
        for client in (self.owner, self.admin):
            [message] = client.received()
            self.assertEqual({**message.attributes}, {"to": client.address, "from": ROOM})
            x = message.child("x", ns.DATA)
            assert x is not None
            self.assertEqual(x.get("type"), "form")
            self.assertEqual(
                values(x),
                {"FORM_TYPE": [ns.MUC_REGISTER], JID: ["romeo@localhost"], NICK: ["Montague"], ALLOW: ["0"]},
            )
            labels = {field.get("label") for field in x.childElements() if field.name == "field"}
            self.assertIn("Nickname", labels)
        self.assertNothingReceived(self.member)
        self.assertEqual(self.waiting(), {"romeo@localhost": "Montague"})
        self.assertNotIn("romeo@localhost", self.storedAffiliations())
        join(self.romeo, "Montague")
        self.assertReceived(self.romeo, "Montague presence error auth registration-required")

    def test_form(self) -> None:
        """The form says that an admin decides, and then that the request waits, with the nick."""
        for nick, text in (([], "An admin will decide"), (["Montague"], "Your request waits for an admin")):
            query = self.query(self.romeo)
            self.assertIsNone(query.child("registered"))
            self.assertIn(text, query.childText("instructions") or "")
            x = query.child("x", ns.DATA)
            assert x is not None
            self.assertEqual(values(x)[NICK], nick)
            self.request()

    def test_refused(self) -> None:
        """Outcasts may not ask; a nick that another user has is a conflict; the form must be valid."""
        self.change(affiliation("outcast@localhost", "outcast"), affiliation("member@localhost", "member", nick="M"))
        for client, nick, error in (
            (self.client("outcast"), "Outcast", "cancel not-allowed"),
            (self.romeo, "M", "cancel conflict"),
            (self.romeo, "Admin", "cancel conflict"),
            (self.romeo, "\u200b", "modify not-acceptable"),
        ):
            register(client, nick)
            self.assertReceived(client, f"error q {error}")
        self.assertEqual(self.waiting(), {})
        self.assertNothingReceived()

    def test_off(self) -> None:
        """By default strangers cannot ask in a members-only room, and need not in another; nor if admins choose."""
        for wanted, membersOnly, line in (
            ("open", True, "error q cancel not-allowed"),
            ("none", True, "error q cancel not-allowed"),
            ("none", False, "error q cancel not-allowed"),
            ("open", False, "result q"),
        ):
            self.configureRoom(membersonly=membersOnly, **{"x-muc#roomconfig_selfregistration": wanted})
            register(self.romeo, "Montague")
            self.assertReceived(self.romeo, line)
            self.assertEqual(self.waiting(), {})
        self.assertEqual(self.storedAffiliations()["romeo@localhost"], "member")

    def test_openRoom(self) -> None:
        """In an open room strangers are occupants while they wait; members reserve nicks without approval."""
        self.configureRoom(membersonly=False)
        self.enter(self.romeo, "Montague")
        self.request()
        register(self.member, "Paris")
        self.assertReceived(self.member, "result q")
        self.assertEqual(self.storedNicks(), {"member@localhost": "Paris"})
        self.answer(self.admin)
        self.assertReceived(self.romeo, "Montague available member/participant jid=romeo@localhost/a by=Admin 110")

    def test_again(self) -> None:
        """The same nick again is confirmed without a further form; another nick replaces it, with a form."""
        self.request()
        register(self.romeo, "Montague")
        self.assertReceived(self.romeo, "result q")
        self.assertNothingReceived()
        register(self.romeo, "Benvolio")
        self.assertReceived(self.romeo, "result q")
        self.assertEqual([each[NICK] for each in self.forms(self.admin)], [["Benvolio"]])
        self.assertEqual(self.waiting(), {"romeo@localhost": "Benvolio"})

    def test_withdrawn(self) -> None:
        """A request can be withdrawn; it cannot be approved then."""
        self.request()
        register(self.romeo, None)
        self.assertReceived(self.romeo, "result q")
        self.assertEqual(self.waiting(), {})
        register(self.romeo, None)
        self.assertReceived(self.romeo, "error q auth registration-required")
        self.answer(self.admin)
        self.assertReceived(self.admin, "room message error cancel item-not-found")
        self.assertNothingReceived()

    def test_rate(self) -> None:
        """A user may ask three times at once, and then every ten minutes."""
        for nick in ("N1", "N2", "N3"):
            self.request(nick=nick)
        register(self.romeo, "N4")
        self.assertReceived(self.romeo, "error q wait resource-constraint")
        self.assertNothingReceived()
        self.server.clock.advance(600)
        self.request(nick="N4")

    def test_number(self) -> None:
        """The number of requests that wait is limited."""
        self.patch(membershiprequests, "LIMIT", 2)
        self.request(self.client("a"), "A")
        self.request(self.client("b"), "B")
        register(self.romeo, "Montague")
        self.assertReceived(self.romeo, "error q wait resource-constraint")
        self.answer(self.admin, False, "a@localhost")
        self.discardReceived()
        self.request()


class AnswerTests(MembershipTestCase):
    """Approving and refusing (§9.9)."""

    def setUp(self) -> None:
        super().setUp()
        self.request()

    def test_approved(self) -> None:
        """The user becomes a member with the nick, and is told so with 101 and an invitation; moderators learn it."""
        self.answer(self.admin)
        for client in (self.owner, self.admin):
            self.assertReceived(client, "room normal item romeo@localhost member")
        [message] = self.romeo.received()
        self.assertEqual({**message.attributes}, {"to": "romeo@localhost", "from": ROOM})
        self.assertEqual(message.childText("body"), f"You are now a member of {ROOM}.")
        x, invitation = message.child("x", ns.MUC_USER), message.child("x", ns.CONFERENCE)
        assert x is not None and invitation is not None
        self.assertEqual([each.attributes for each in x.childElements()], [{"code": "101"}])
        self.assertEqual(invitation.attributes, {"jid": ROOM})
        self.assertEqual(self.storedAffiliations()["romeo@localhost"], "member")
        self.assertEqual((self.storedNicks(), self.waiting()), ({"romeo@localhost": "Montague"}, {}))
        self.enter(self.romeo, "Montague")
        query = self.query(self.romeo)
        self.assertIsNotNone(query.child("registered"))

    def test_password(self) -> None:
        """The invitation has the password, since members need it; the room has its name."""
        self.configureRoom(roomsecret="rose", roomname="Orchard")
        self.answer(self.owner, 1)
        [message] = self.romeo.received()
        invitation = message.child("x", ns.CONFERENCE)
        assert invitation is not None
        self.assertEqual(invitation.attributes, {"jid": ROOM, "password": "rose"})
        self.assertEqual(message.childText("body"), "You are now a member of Orchard.")

    def test_refused(self) -> None:
        """A user who is refused is told so, and may ask again."""
        for allow in (False, "false"):
            self.answer(self.admin, allow)
            self.assertReceived(self.romeo, REFUSED)
            self.assertEqual(self.waiting(), {})
            self.assertNothingReceived()
            self.request()

    def test_otherNick(self) -> None:
        """The admin may change the nick; one that another user has is a conflict, and the request waits on."""
        self.answer(self.admin, **{NICK: "Owner"})
        self.assertReceived(self.admin, "room message error cancel conflict")
        self.assertEqual(self.waiting(), {"romeo@localhost": "Montague"})
        self.answer(self.admin, **{NICK: "Romeo"})
        self.assertEqual(self.storedNicks(), {"romeo@localhost": "Romeo"})

    def test_byNick(self) -> None:
        """A form without address names the request by its nick, if there is one only."""
        other = self.client("other")
        self.request(other, "montague")
        self.answer(self.admin, jid=None, **{NICK: "Montague"})
        self.assertReceived(self.admin, "room message error cancel item-not-found")
        self.request(other, "Benvolio")
        self.answer(self.admin, jid=None, **{NICK: "MONTAGUE"})
        self.assertEqual(self.storedNicks(), {"romeo@localhost": "MONTAGUE"})

    def test_forbidden(self) -> None:
        """Only admins may answer; others learn nothing by trying. Moderators without the affiliation may not."""
        self.change("<item nick='Member' role='moderator'/>")
        for client in (self.member, self.romeo, self.client("stranger")):
            for jid in ("romeo@localhost", "nobody@localhost"):
                for allow in (True, False, None):
                    self.answer(client, allow, jid)
                    self.assertReceived(client, "room message error auth forbidden")
        self.assertEqual(self.waiting(), {"romeo@localhost": "Montague"})
        self.assertNothingReceived()

    def test_outside(self) -> None:
        """An admin may answer from outside the room."""
        leave(self.admin, "Admin")
        self.discardReceived()
        self.answer(self.admin)
        self.assertEqual(self.storedAffiliations()["romeo@localhost"], "member")

    def test_malformed(self) -> None:
        """An answer needs a decision and valid values; a cancelled form decides nothing."""
        for fields, error in (
            ({"allow": None}, "modify bad-request"),
            ({"allow": "maybe"}, "modify not-acceptable"),
            ({"jid": "@"}, "modify not-acceptable"),
            ({NICK: "\u200b"}, "modify not-acceptable"),
            ({"jid": "nobody@localhost"}, "cancel item-not-found"),
            ({"jid": None}, "cancel item-not-found"),
        ):
            self.answer(self.admin, **fields)
            self.assertReceived(self.admin, f"room message error {error}")
        cancelled = form(ns.MUC_REGISTER, {}, type="cancel")
        self.admin.sends(f"<message to='{ROOM}'>{cancelled}</message>")
        self.assertEqual(self.waiting(), {"romeo@localhost": "Montague"})
        self.assertNothingReceived()

    def test_twice(self) -> None:
        """The second answer to one request is C{item-not-found}, whatever the first was."""
        self.answer(self.owner, False)
        self.discardReceived()
        self.answer(self.admin)
        self.assertReceived(self.admin, "room message error cancel item-not-found")
        self.assertNotIn("romeo@localhost", self.storedAffiliations())


class WaitingTests(MembershipTestCase):
    """Requests that wait."""

    def test_entering(self) -> None:
        """Admins who enter, or enter again, receive the forms after everything else; others do not."""
        self.request()
        self.change(affiliation("nurse@localhost", "owner"))
        nurse = self.client("nurse")
        for client, nick in ((nurse, "Nurse"), (self.admin, "Admin")):
            join(client, nick)
            stanzas = client.received()
            x = stanzas[-1].child("x", ns.DATA)
            assert x is not None
            self.assertEqual(values(x)[JID], ["romeo@localhost"])
            self.assertIsNotNone(stanzas[-2].child("subject"))
        join(self.member, "Member")
        self.assertEqual(summaries(self.member)[-1], "room groupchat subject:")

    def test_newAdmin(self) -> None:
        """So does an occupant who becomes an admin."""
        self.request()
        sendAdmin(self.owner, affiliation("member@localhost", "admin"))
        self.assertEqual(summaries(self.member)[-1], "room normal x")

    def test_restart(self) -> None:
        """Requests survive a restart, and can be answered after it."""
        self.request()
        self.startServer(self.server.store)
        self.romeo, self.admin = self.login("romeo", "admin")
        join(self.admin, "Admin")
        x = self.admin.received()[-1].child("x", ns.DATA)
        assert x is not None
        self.assertEqual(values(x)[NICK], ["Montague"])
        self.answer(self.admin)
        self.assertEqual(self.storedAffiliations()["romeo@localhost"], "member")
        self.assertEqual(self.waiting(), {})

    def test_ended(self) -> None:
        """A request ends when the user gets an affiliation otherwise, and does not come back when they lose it."""
        for item in (affiliation("romeo@localhost", "member"), affiliation("romeo@localhost", "outcast")):
            self.request()
            self.change(item)
            self.assertEqual(self.waiting(), {})
            self.change(affiliation("romeo@localhost", "none"))
            join(self.admin, "Admin")
            self.assertNotIn("room normal x", summaries(self.admin))
            self.discardReceived()

    def test_invited(self) -> None:
        """It ends with an invitation, which makes the invitee a member; and by the lists of the form."""
        self.request()
        invitation = "<invite to='romeo@localhost'/>"
        self.admin.sends(f"<message to='{ROOM}'><x xmlns='{ns.MUC_USER}'>{invitation}</x></message>")
        self.assertEqual((self.waiting(), self.storedAffiliations()["romeo@localhost"]), ({}, "member"))
        self.change(affiliation("romeo@localhost", "none"))
        self.request()
        self.configureRoom(roomadmins=["romeo@localhost", "admin@localhost"])
        self.assertEqual(self.waiting(), {})

    def test_domain(self) -> None:
        """One whose domain becomes a member, or is banned, waits no more."""
        self.request()
        self.change(affiliation("localhost", "outcast"))
        self.answer(self.owner)
        self.assertReceived(self.owner, "room message error cancel item-not-found")
        register(self.romeo, "Montague")
        self.assertReceived(self.romeo, "error q cancel not-allowed")

    def test_switchedOff(self) -> None:
        """All requests end when nobody may ask any more."""
        self.request()
        self.configureRoom(**{"x-muc#roomconfig_selfregistration": "none"})
        self.assertEqual(self.waiting(), {})
        self.configureRoom(**BY)
        join(self.admin, "Admin")
        self.assertNotIn("room normal x", summaries(self.admin))


class DurableTests(MembershipTestCase):
    """Nothing is announced before it is stored."""

    def setUp(self) -> None:
        super().setUp()
        self.request()

    def slow(self) -> DelayedRoomStore:
        """Let writes take their time."""
        self.server.store = self.server.muc.rooms.store = store = DelayedRoomStore(self.server.store)
        return store

    def test_request(self) -> None:
        """A request is confirmed, and shown to admins, once it is stored."""
        store = self.slow()
        other = self.client("other")
        register(other, "Other")
        self.assertNothingReceived()
        store.release()
        self.assertReceived(other, "result q")
        self.assertEqual(len(self.forms(self.admin)), 1)

    def test_approval(self) -> None:
        """Nobody learns of an approval before it is stored; other answers wait behind it."""
        store = self.slow()
        self.answer(self.admin)
        self.answer(self.owner, False)
        self.assertNothingReceived()
        store.release()
        self.assertEqual(summaries(self.romeo), [f"room normal body:You are now a member of {ROOM}. 101 x"])
        self.assertReceived(
            self.owner, "room normal item romeo@localhost member", "room message error cancel item-not-found"
        )
