# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.protocol.nicks}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.protocol.nicks import NICK_LIMIT, prepareNick, requestedNick
from muccore.xmpp.errors import StanzaError


class NickTests(SynchronousTestCase):
    """Nicks in attributes, forms and addresses."""

    def test_prepared(self) -> None:
        """A nick is prepared as a resource, and stripped."""
        for given, nick in [("thirdwitch", "thirdwitch"), (" Third  Witch ", "Third  Witch"), ("wi\u00adtch", "witch")]:
            self.assertEqual(prepareNick(given), nick)

    def test_invalid(self) -> None:
        """A nick that is blank, too long or no resource is C{not-acceptable}; the longest is accepted."""
        for given in ("", "  ", "\x07", "é" * (NICK_LIMIT // 2) + "x"):
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
        """A blank nick in an address is C{jid-malformed} (XEP-0045 §17.1), one that is too long C{not-acceptable}."""
        for resource, condition in [(" ", "jid-malformed"), ("x" * (NICK_LIMIT + 1), "not-acceptable")]:
            error = self.assertRaises(StanzaError, requestedNick, f"room@conf/{resource}", resource)
            self.assertEqual(error.condition, condition)
