# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.invitations}: what a room remembers of invitations is bounded."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.invitations import REMEMBERED, SentInvitations
from muccore.xmpp.jid import parse


class BoundsTests(SynchronousTestCase):
    """The oldest entries are dropped."""

    def test_declines(self) -> None:
        """The latest invitations can be declined; one that is repeated counts as new."""
        sent = SentInvitations()
        for n in (*range(REMEMBERED), 0, REMEMBERED):
            sent.add(parse(f"u{n}@x"), "r@y/Nick", "a@x")
        self.assertEqual([sent.decline(parse(f"u{n}@x/r"), "r@y/Nick") for n in (0, 1, 2)], ["a@x", None, "a@x"])
