# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.occupants}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model import lookalikes
from muccore.muc.model.occupant import Occupant
from muccore.muc.model.occupants import Occupants
from muccore.muc.model.privileges import Affiliation, Role
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import parse

ROOM = parse("room@conference.localhost")


def occupant(nick: str) -> Occupant:
    """An occupant."""
    return Occupant(ROOM, nick, parse(f"{nick}@localhost"), Affiliation.NONE, Role.PARTICIPANT)


class OccupantsTests(SynchronousTestCase):
    """Two occupants."""

    def setUp(self) -> None:
        self.occupants = Occupants()
        self.romeo, self.juliet = occupant("Romeo"), occupant("Juliet")
        self.occupants.add(self.romeo)
        self.occupants.add(self.juliet)

    def isRefused(self, nick: str) -> bool:
        """Whether a nick looks like one that is there."""
        try:
            lookalikes.check("eve@localhost", nick, self.occupants.lookalikes, lookalikes.LookalikeIndex())
        except StanzaError:
            return True
        return False

    def test_lookup(self) -> None:
        """By exact nick, and in any spelling."""
        self.assertEqual(list(self.occupants), ["Romeo", "Juliet"])
        self.assertIs(self.occupants.get("Romeo"), self.romeo)
        self.assertIsNone(self.occupants.get("romeo"))
        self.assertIs(self.occupants.find("ROMEO"), self.romeo)
        self.assertIsNone(self.occupants.find("Rome"))
        self.assertTrue(self.isRefused("R\u043emeo"))

    def test_discard(self) -> None:
        """Who has gone is not found in any way."""
        self.occupants.discard(self.romeo)
        self.assertEqual(list(self.occupants), ["Juliet"])
        self.assertIsNone(self.occupants.find("romeo"))
        self.assertFalse(self.isRefused("R\u043emeo"))

    def test_ofAccount(self) -> None:
        """By account, under all its nicks, in the order in which these entered."""
        other = occupant("Montague")
        other.account = self.romeo.account
        self.occupants.add(other)
        account = self.romeo.account.bare
        self.assertEqual(self.occupants.ofAccount(account), (self.romeo, other))
        self.occupants.discard(self.romeo)
        self.assertEqual(self.occupants.ofAccount(account), (other,))
        self.occupants.discard(other)
        self.assertEqual(self.occupants.ofAccount(account), ())
        self.assertEqual(self.occupants.ofAccount("juliet@localhost"), (self.juliet,))

    def test_forget(self) -> None:
        """All go at once."""
        self.occupants.forget()
        self.assertEqual(len(self.occupants), 0)
        self.assertIsNone(self.occupants.find("romeo"))
        self.assertFalse(self.isRefused("R\u043emeo"))
        self.assertEqual(self.occupants.ofAccount(self.romeo.account.bare), ())
