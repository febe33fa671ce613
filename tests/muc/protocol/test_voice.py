# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.protocol.voice} (XEP-0045 §7.13, §8.6)."""

from __future__ import annotations

from itertools import product

from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from tests.muc.muchelpers import ROOM, RoomTestCase, affiliation, form, role, say, values


def submit(client: Client, fields: dict[str, str], type: str = "submit", formType: str = ns.MUC_REQUEST) -> None:
    """Submit a form to the room."""
    client.sends(f"<message to='{ROOM}' id='yd5'>{form(formType, fields, type)}</message>")


class VoiceTestCase(RoomTestCase):
    """A moderated room with two moderators, a participant, and a visitor with two sessions."""

    fields = {"moderatedroom": True}

    def setUp(self) -> None:
        super().setUp()
        self.change(affiliation("member@localhost", "member"))
        self.moderator, self.member = self.enter("moderator"), self.enter("member")
        self.visitor, self.phone = self.enter("visitor"), self.enter("visitor/b")
        self.change(role("Moderator", "moderator"))


class RequestTests(VoiceTestCase):
    """Requesting voice."""

    def assertRefused(self, client: Client, condition: str, wanted: str | None = "participant", **form: str) -> None:
        """A request is refused, and nobody else receives anything."""
        submit(client, {} if wanted is None else {"muc#role": wanted}, **form)
        self.assertReceived(client, f"room message error modify {condition}")
        self.assertNothingReceived()

    def test_asked(self) -> None:
        """Moderators, and nobody else, receive a form that says who asks, from which session, and for what."""
        submit(self.visitor, {"muc#role": "participant"})
        for client in (self.owner, self.moderator):
            [message] = client.received()
            self.assertEqual({**message.attributes}, {"to": client.address, "from": ROOM})
            x = message.child("x", ns.DATA)
            assert x is not None
            self.assertEqual(x.get("type"), "form")
            self.assertEqual(
                values(x),
                {
                    "FORM_TYPE": [ns.MUC_REQUEST],
                    "muc#role": ["participant"],
                    "muc#jid": ["visitor@localhost/a"],
                    "muc#roomnick": ["Visitor"],
                    "muc#request_allow": ["0"],
                },
            )
        self.assertNothingReceived()

    def test_refused(self) -> None:
        """
        C{not-acceptable} for occupants who have voice, and strangers; C{bad-request} for other roles, and for other
        forms.
        """
        for client in (self.member, self.owner, self.client("stranger")):
            self.assertRefused(client, "not-acceptable")
        for wanted in ("moderator", "", None):
            self.assertRefused(self.visitor, "bad-request", wanted)
        for formType, type in ((ns.MUC_ROOMCONFIG, "submit"), ("", "submit"), (ns.MUC_REQUEST, "form")):
            self.assertRefused(self.visitor, "bad-request", formType=formType, type=type)


    def test_rate(self) -> None:
        """A user may ask three times at once, from whatever session, and then every five minutes."""
        for client in (self.visitor, self.phone, self.visitor):
            submit(client, {"muc#role": "participant"})
        self.discardReceived()
        for client in (self.visitor, self.phone):
            submit(client, {"muc#role": "participant"})
            self.assertReceived(client, "room message error wait resource-constraint")
        self.assertNothingReceived()
        other = self.enter("other")
        submit(other, {"muc#role": "participant"})
        self.assertReceived(self.moderator, "room normal x")
        self.server.clock.advance(300)
        submit(self.visitor, {"muc#role": "participant"})
        self.assertReceived(self.moderator, "room normal x")


class ApprovalTests(VoiceTestCase):
    """Approving requests."""

    def approve(
        self, client: Client, nick: str = "Visitor", allow: str = "true", jid: str = "visitor@localhost/a"
    ) -> None:
        """Answer a request."""
        fields = {"muc#role": "participant", "muc#jid": jid, "muc#roomnick": nick, "muc#request_allow": allow}
        submit(client, fields)

    def test_granted(self) -> None:
        """Everybody sees who has voice now, and the new participant can speak."""
        for allow in ("true", "1"):
            self.approve(self.moderator, allow=allow)
            self.assertReceived(self.member, "Visitor available none/participant by=Moderator")
            self.assertReceived(
                self.visitor, "Visitor available none/participant jid=visitor@localhost/a,b by=Moderator 110"
            )
            say(self.visitor, "a")
            self.assertReceived(self.member, "Visitor groupchat body:a")
            self.change(role("Visitor", "visitor"))

    def test_denied(self) -> None:
        """Nobody receives anything if it is denied, or the form is cancelled."""
        for allow in ("false", "0", "", "perhaps"):
            self.approve(self.moderator, allow=allow)
        submit(self.moderator, {}, type="cancel", formType="")
        self.assertNothingReceived()

    def test_forbidden(self) -> None:
        """Only moderators may approve; others learn nothing by trying (§8)."""
        for client, nick, allow, jid in product(
            (self.visitor, self.member),
            ("Visitor", "Member", "Nobody", ""),
            ("true", "false"),
            ("visitor@localhost", "other@localhost"),
        ):
            self.approve(client, nick, allow, jid)
            self.assertReceived(client, "room message error auth forbidden")
        self.assertNothingReceived()

    def test_nobody(self) -> None:
        """An unused nick is C{item-not-found}, an empty one C{bad-request}, an impossible one C{not-acceptable}."""
        for nick, condition in (
            ("Nobody", "cancel item-not-found"),
            ("", "modify bad-request"),
            ("\x7f", "modify not-acceptable"),
        ):
            self.approve(self.moderator, nick)
            self.assertReceived(self.moderator, f"room message error {condition}")
        self.assertNothingReceived()

    def test_otherUser(self) -> None:
        """Another user who has the nick by now does not get voice."""
        for jid in ("other@localhost/x", "@"):
            self.approve(self.moderator, jid=jid)
            self.assertReceived(self.moderator, "room message error cancel item-not-found")
        self.assertNothingReceived()
        self.approve(self.moderator, jid="visitor@localhost/b")
        self.assertReceived(self.member, "Visitor available none/participant by=Moderator")

    def test_late(self) -> None:
        """Approving an occupant who has voice by now changes nothing: a moderator stays one."""
        for word in ("participant", "moderator"):
            self.change(role("Visitor", word))
            self.approve(self.owner)
        self.assertNothingReceived()
