# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests of L{muccore.im.directinvitations}, and of L{muccore.muc.extensions.privateinvitations} (XEP-0249).
"""

from __future__ import annotations

from muccore.muc.service.invitationpolicy import PAIR
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from tests.muc.muchelpers import HOST, ROOM, RoomTestCase


def invite(client: Client, to: str, attributes: str = "", type: str = "normal") -> None:
    """Send a direct invitation."""
    room = f"other@{HOST}"
    client.sends(f"<message to='{to}' type='{type}'><x xmlns='{ns.CONFERENCE}' jid='{room}'{attributes}/></message>")


class DirectInvitationTests(RoomTestCase):
    """Romeo and Juliet are in the room, and Paris online."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet = self.enter("romeo"), self.enter("juliet")
        self.paris = self.client("paris")
        for client in (self.romeo, self.juliet, self.paris):
            client.sends("<presence/>")
        self.discardReceived()

    def test_delivered(self) -> None:
        """It is delivered as it is."""
        invite(self.romeo, "juliet@localhost", " reason='Love' thread='t'")
        [message] = self.juliet.received()
        x = message.child("x", ns.CONFERENCE)
        assert x is not None
        self.assertEqual(x.attributes, {"jid": f"other@{HOST}", "reason": "Love", "thread": "t"})

    def test_tooMany(self) -> None:
        """
        Above the limit it is C{resource-constraint}, with those that a room has sent and those in private messages;
        other messages pass, and others may invite.
        """
        invited = f"<x xmlns='{ns.MUC_USER}'><invite to='juliet@localhost'/></x>"
        self.romeo.sends(f"<message to='{ROOM}'>{invited}</message>")
        invite(self.romeo, f"{ROOM}/Juliet", type="chat")
        for _ in range(PAIR[0] - 2):
            invite(self.romeo, "juliet@localhost/a")
        self.assertEqual(len(self.juliet.received()), PAIR[0])
        for to in ("juliet@localhost", "juliet@localhost/a", f"{ROOM}/Juliet"):
            invite(self.romeo, to)
            [refused] = self.romeo.received()
            error = refused.child("error")
            assert error is not None
            self.assertEqual((error.get("type"), next(error.childElements()).name), ("wait", "resource-constraint"))
        self.romeo.sends(f"<message to='{ROOM}'>{invited}</message>")
        self.assertReceived(self.romeo, "room message error wait resource-constraint")
        self.romeo.sends("<message to='juliet@localhost'><body>Hello</body></message>")
        invite(self.paris, "juliet@localhost")
        self.assertEqual(len(self.juliet.received()), 2)
        self.assertNothingReceived()

    def test_error(self) -> None:
        """One that comes back is no invitation."""
        for _ in range(PAIR[0] + 1):
            invite(self.romeo, "juliet@localhost/a", type="error")
        self.assertEqual(len(self.juliet.received()), PAIR[0] + 1)

    def test_tooLong(self) -> None:
        """With a reason above 1024 characters, or a thread above 256, it is C{not-acceptable}."""
        for attributes in (f" reason='{'x' * 1025}'", f" thread='{'x' * 257}'"):
            invite(self.romeo, "juliet@localhost", attributes)
            [refused] = self.romeo.received()
            error = refused.child("error")
            assert error is not None
            self.assertEqual(next(error.childElements()).name, "not-acceptable")
        invite(self.romeo, "juliet@localhost", f" reason='{'x' * 1024}' thread='{'x' * 256}'")
        self.assertEqual(len(self.juliet.received()), 1)
        self.assertNothingReceived()
