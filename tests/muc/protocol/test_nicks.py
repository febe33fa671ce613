# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.protocol.nicks}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.protocol.nicks import NICK_LIMIT, prepareNick, requestedNick
from muccore.xmpp.errors import StanzaError

BLANK = ("", "  ", "\u2800", "\u2800 \U0001d159", "\u0300", " \u20dd")
HIDDEN = ("Ro\U00013430meo", "\u0600", "Romeo\u0378", "Romeo\U0003fffd")


class NickTests(SynchronousTestCase):
    """Nicks in attributes, forms and addresses."""

    def test_prepared(self) -> None:
        """A nick is prepared as a resource, and stripped."""
        for given, nick in [("thirdwitch", "thirdwitch"), (" Third  Witch ", "Third  Witch"), ("wi\u00adtch", "witch")]:
            self.assertEqual(prepareNick(given), nick)

    def test_invalid(self) -> None:
        """A nick that is blank, too long or no resource is C{not-acceptable}; the longest is accepted."""
        for given in (*BLANK, *HIDDEN, "\x07", "\u202eoemoR", "é" * (NICK_LIMIT // 2) + "x"):
            error = self.assertRaises(StanzaError, prepareNick, given)
            self.assertEqual((error.condition, error.type), ("not-acceptable", "modify"), given)
        self.assertEqual(prepareNick("é" * (NICK_LIMIT // 2)), "é" * (NICK_LIMIT // 2))

    def test_requested(self) -> None:
        """A request to enter tells whether its nick was changed (status 210)."""
        for address, resource, expected in [
            ("room@conf/witch", "witch", ("witch", False)),
            ("room@conf/ witch", " witch", ("witch", True)),
            ("room@conf/wi\u00adtch", "witch", ("witch", True)),
            ("room@conf/a/b", "a/b", ("a/b", False)),
        ]:
            self.assertEqual(requestedNick(address, resource), expected)

    def test_requestedInvalid(self) -> None:
        """A nick in an address that is blank, has invisible characters or is too long is C{not-acceptable}."""
        for texts, text in [(BLANK, "must not be blank"), (HIDDEN, "invisible"), (("x" * (NICK_LIMIT + 1),), "long")]:
            for resource in texts:
                error = self.assertRaises(StanzaError, requestedNick, f"room@conf/{resource}", resource)
                self.assertEqual((error.condition, error.type), ("not-acceptable", "modify"), ascii(resource))
                self.assertIn(text, str(error.text), ascii(resource))

    def test_visible(self) -> None:
        """Letters with accents of their own, vowel signs, emoji and symbols are visible."""
        for nick in ("Zoe\u0308\u0323", "\u0939\u093f\u0928\u094d", "\U0001f98a", "\u2665 7", "\u05d0\u05b7"):
            self.assertEqual(requestedNick(f"room@conf/{nick}", nick), (nick, False))
