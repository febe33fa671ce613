# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.service.invitationpolicy}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.service.invitationpolicy import INVITED, INVITER, PAIR, ROOM, InvitationPolicy
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import parse

SHOWN = "r@conference.localhost"


class PolicyTests(SynchronousTestCase):
    """The limits of one host."""

    def setUp(self) -> None:
        self.now = 1000.0
        self.policy = InvitationPolicy(lambda: self.now)
        self.policy.services["conference.localhost"] = {}

    def assertRefused(self, inviter: str, room: str, invited: list[str], text: str) -> None:
        """It is refused, for this reason."""
        error = self.assertRaises(StanzaError, self.policy.admit, inviter, room, invited)
        self.assertEqual((error.condition, error.type), ("resource-constraint", "wait"))
        self.assertIn(text, str(error.text))

    def test_inviter(self) -> None:
        """One user invites so many at once, whatever the rooms, and then more from time to time."""
        count, period = INVITER
        for n in range(count):
            self.policy.admit("a@x", f"r{n}@y", [f"u{n}@z"])
        self.assertRefused("a@x", "r@y", ["u@z"], "You have invited too many")
        self.policy.admit("b@x", "r@y", ["u@z"])
        self.now += period / count
        self.policy.admit("a@x", "r@y", ["u@z"])
        self.assertRefused("a@x", "r@y", ["u@z"], "You have invited too many")

    def test_room(self) -> None:
        """To one room so many are invited, by whomever."""
        count, period = ROOM
        for n in range(count // 100):
            self.policy.admit(f"a{n}@x", "r@y", [f"u{m}@z{n}" for m in range(100)])
        self.assertRefused("a@x", "r@y", ["u@z"], "to this room")
        self.policy.admit("a@x", "s@y", ["u@z"])
        self.now += period / count
        self.policy.admit("a@x", "r@y", ["u@z"])

    def test_invited(self) -> None:
        """One user is invited so often, to whatever rooms and by whomever."""
        count, period = INVITED
        for n in range(count):
            self.policy.admit(f"a{n}@x", f"r{n}@y", ["u@z"])
        self.assertRefused("a@x", "r@y", ["u@z"], "This user has been invited")
        self.policy.admit("a@x", "r@y", ["v@z"])
        self.now += period / count
        self.policy.admit("a@x", "r@y", ["u@z"])

    def test_pair(self) -> None:
        """One user invites another so often, also in one message; others may still invite them."""
        count, period = PAIR
        self.assertRefused("a@x", "r@y", ["u@z"] * (count + 1), "This user has been invited")
        self.policy.admit("a@x", "r@y", ["u@z"] * count)
        self.assertRefused("a@x", "s@y", ["u@z"], "This user has been invited")
        self.policy.admit("b@x", "r@y", ["u@z"])
        self.now += period / count
        self.policy.admit("a@x", "r@y", ["u@z"])

    def test_allOrNothing(self) -> None:
        """What is refused is not counted."""
        count, _ = PAIR
        for _ in range(INVITER[0]):
            self.assertRefused("a@x", "r@y", ["v@z", *["u@z"] * (count + 1)], "This user has been invited")
        self.policy.admit("a@x", "r@y", ["u@z"] * count)
        self.policy.admit("a@x", "r@y", ["v@z"])

    def test_direct(self) -> None:
        """Those between users count as well, but not for a room; those that rooms send have been counted."""
        inviter, invited = parse("a@x/r"), parse("u@z/r")
        for _ in range(INVITED[0] * 2):
            self.policy.admitDirect(parse(SHOWN), invited)
            self.policy.admitDirect(parse("u@z/s"), invited)
        for _ in range(PAIR[0]):
            self.policy.admitDirect(inviter, invited)
        self.assertRaises(StanzaError, self.policy.admitDirect, inviter, invited)
        self.assertRefused("a@x", "r@y", ["u@z"], "This user has been invited")

    def test_notices(self) -> None:
        """Other messages to chosen users count for who causes them."""
        for _ in range(INVITER[0]):
            self.policy.admitNotice("a@x")
        self.assertRaises(StanzaError, self.policy.admitNotice, "a@x")
        self.assertRefused("a@x", "r@y", ["u@z"], "You have invited too many")
