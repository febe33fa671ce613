# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.muc.model.personalrows}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model import personalrows

ROMEO = "romeo@montague.lit"


class PersonalRowTests(SynchronousTestCase):
    """Which rows are about a user."""

    def test_isOf(self) -> None:
        """Those whose key is the address, or begins with it and a space."""
        for key, expected in ((ROMEO, True), (f"{ROMEO} urn:hat", True), (f"{ROMEO}x", False), (f"x{ROMEO}", False),
                              ("", False)):  # fmt: skip
            self.assertEqual(personalrows.isOf(ROMEO, key), expected)

    def test_removable(self) -> None:
        """Sanctions stay, and what goes by itself."""
        states = {
            "hats-assigned": {f"{ROMEO} urn:hat": True, "juliet@capulet.lit urn:hat": True},
            "membership-requests": {ROMEO: "nick"}, "timed-mutes": {ROMEO: [None, True, None]},
            "timed-affiliations": {ROMEO: []}, "affiliation-version": {ROMEO: 1}, "hats": {"urn:hat": []},
        }  # fmt: skip
        found = list(personalrows.removable(ROMEO, states))
        self.assertEqual(found, [("hats-assigned", f"{ROMEO} urn:hat"), ("membership-requests", ROMEO)])
