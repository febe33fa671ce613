# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.voice}, through a whole server (XEP-0045 §7.13, §8.6).
"""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from muccore import ns
from muccore.element import Element
from muccore.testing.stage import Client
from tests.muc.company import ROOM, Scene, told


def submit(client: Client, *fields: tuple[str, str], type: str = "submit", formType: str = ns.MUC_REQUEST) -> None:
    """
    Let somebody submit a form to the room.
    """
    rows = "".join(f"<field var='{var}'><value>{value}</value></field>" for var, value in fields)
    kind = f"<field var='FORM_TYPE'><value>{formType}</value></field>" if formType else ""
    client.sends(f"<message to='{ROOM}' id='yd5'><x xmlns='{ns.DATA}' type='{type}'>{kind}{rows}</x></message>")


def valuesOf(form: Element) -> dict[str | None, list[str]]:
    """
    The values of a form, by field.
    """
    return {
        field.get("var"): [value.text() for value in field.childElements() if value.name == "value"]
        for field in form.childElements()
        if field.name == "field"
    }


class VoiceTestCase(SynchronousTestCase):
    """
    A moderated room with two moderators, a participant and a visitor with two sessions.
    """

    def setUp(self) -> None:
        """
        Let them in.
        """
        self.scene = Scene({"moderatedroom": "1"})
        self.owner = self.scene.owner
        self.moderator = self.scene.guest("moderator", "Moderator")
        self.scene.admin(nick="Moderator", role="moderator")
        self.scene.admin(jid="member@localhost", affiliation="member")
        self.member = self.scene.guest("member", "Member")
        self.visitor = self.scene.guest("visitor/a", "Visitor")
        self.phone = self.scene.guest("visitor/b", "Visitor")

    def silent(self) -> None:
        """
        See that nobody has heard anything.
        """
        for client in self.scene.clients.values():
            self.assertEqual(told(client), [], client.address)


class RequestTests(VoiceTestCase):
    """
    Asking.
    """

    def test_asked(self) -> None:
        """
        Every moderator, and nobody else, gets a form to approve it with: who asks, from which session, for what.
        """
        submit(self.visitor, ("muc#role", "participant"))
        for client in (self.owner, self.moderator):
            [message] = client.hears()
            self.assertEqual({**message.attributes}, {"to": client.address, "from": ROOM})
            form = message.child("x", ns.DATA)
            assert form is not None
            self.assertEqual(form.get("type"), "form")
            self.assertEqual(
                valuesOf(form),
                {
                    "FORM_TYPE": [ns.MUC_REQUEST],
                    "muc#role": ["participant"],
                    "muc#jid": ["visitor@localhost/a"],
                    "muc#roomnick": ["Visitor"],
                    "muc#request_allow": ["0"],
                },
            )
        self.silent()

    def test_hasVoice(self) -> None:
        """
        Who has voice is told so.
        """
        for client in (self.member, self.owner):
            submit(client, ("muc#role", "participant"))
            self.assertEqual(told(client), [f"room message error not-acceptable modify {ROOM}"])
        self.silent()

    def test_otherRole(self) -> None:
        """
        Nothing but voice can be asked for.
        """
        for fields in ((("muc#role", "moderator"),), (("muc#role", ""),), ()):
            submit(self.visitor, *fields)
            self.assertEqual(told(self.visitor), [f"room message error bad-request modify {ROOM}"])
        self.silent()

    def test_otherForms(self) -> None:
        """
        A form that is not of this kind, or is not submitted, is C{bad-request}.
        """
        for formType, type in ((ns.MUC_ROOMCONFIG, "submit"), ("", "submit"), (ns.MUC_REQUEST, "form")):
            submit(self.visitor, ("muc#role", "participant"), formType=formType, type=type)
            self.assertEqual(told(self.visitor), [f"room message error bad-request modify {ROOM}"])
        self.silent()

    def test_stranger(self) -> None:
        """
        Who is not in is told so.
        """
        stranger = self.scene.person("stranger")
        submit(stranger, ("muc#role", "participant"))
        self.assertEqual(told(stranger), [f"room message error not-acceptable modify {ROOM}"])
        self.silent()


class ApprovalTests(VoiceTestCase):
    """
    Granting.
    """

    def approve(
        self, client: Client, nick: str = "Visitor", allow: str = "true", jid: str = "visitor@localhost/a"
    ) -> None:
        """
        Let somebody answer.
        """
        submit(
            client,
            ("muc#role", "participant"),
            ("muc#jid", jid),
            ("muc#roomnick", nick),
            ("muc#request_allow", allow),
        )

    def test_granted(self) -> None:
        """
        Everybody hears who has voice now, and he can speak.
        """
        for allow in ("true", "1"):
            self.approve(self.moderator, allow=allow)
            self.assertEqual(told(self.member), ["Visitor available none/participant"])
            self.assertEqual(told(self.visitor), ["Visitor available none/participant jid=visitor@localhost/a 110"])
            self.visitor.sends(f"<message to='{ROOM}' type='groupchat'><body>a</body></message>")
            self.assertEqual(told(self.member), ["Visitor groupchat body:a"])
            self.scene.admin(nick="Visitor", role="visitor")

    def test_denied(self) -> None:
        """
        Who is not allowed hears nothing, and nobody else does; nor if a moderator closes the form.
        """
        for allow in ("false", "0", "", "perhaps"):
            self.approve(self.moderator, allow=allow)
        submit(self.moderator, type="cancel", formType="")
        self.silent()

    def test_forbidden(self) -> None:
        """
        Only a moderator may, whatever he says, and nobody learns anything by trying (§8).
        """
        for client, nick, allow, jid in product(
            (self.visitor, self.member),
            ("Visitor", "Member", "Nobody", ""),
            ("true", "false"),
            ("visitor@localhost", "other@localhost"),
        ):
            self.approve(client, nick, allow, jid)
            self.assertEqual(told(client), [f"room message error forbidden auth {ROOM}"])
        self.silent()

    def test_nobody(self) -> None:
        """
        One who is not here is C{item-not-found}; nobody at all is C{bad-request}; what can be no nick is
        C{not-acceptable}.
        """
        for nick, error in (
            ("Nobody", "item-not-found cancel"),
            ("", "bad-request modify"),
            ("&#x7f;", "not-acceptable modify"),
        ):
            self.approve(self.moderator, nick)
            self.assertEqual(told(self.moderator), [f"room message error {error} {ROOM}"])
        self.silent()

    def test_otherUser(self) -> None:
        """
        If another user has the nick by now, he gets no voice by it.
        """
        for jid in ("other@localhost/x", "@"):
            self.approve(self.moderator, jid=jid)
            self.assertEqual(told(self.moderator), [f"room message error item-not-found cancel {ROOM}"])
        self.silent()
        self.approve(self.moderator, jid="visitor@localhost/b")
        self.assertEqual(told(self.member), ["Visitor available none/participant"])

    def test_late(self) -> None:
        """
        Approving what has been approved already, or more, changes nothing: a moderator stays one.
        """
        self.scene.admin(nick="Visitor", role="participant")
        self.approve(self.owner)
        self.scene.admin(nick="Visitor", role="moderator")
        self.approve(self.owner)
        self.silent()
