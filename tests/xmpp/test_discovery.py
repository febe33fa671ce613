# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.discovery}; those of L{muccore.services.disco} are others."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.jid import JID as TwistedJID

from muccore.xmpp import jid
from muccore.xmpp.discovery import joined, wokkelJID


class JoiningTests(SynchronousTestCase):
    """L{joined}"""

    def test_nobody(self) -> None:
        """Without Deferreds the result is empty."""
        self.assertEqual(self.successResultOf(joined([])), [])

    def test_inOrder(self) -> None:
        """The results are in the order of the Deferreds, whichever fires first; C{None} is empty."""
        first: Deferred[Any] = Deferred()
        result = joined([first, succeed(["b"]), succeed(None)])
        self.assertNoResult(result)
        first.callback({"a"})
        self.assertEqual(self.successResultOf(result), ["a", "b"])


class AddressTests(SynchronousTestCase):
    """L{wokkelJID}"""

    def test_same(self) -> None:
        """It equals Twisted's JID of the same text."""
        for text in ("localhost", "a@localhost", "a@localhost/B c", "localhost/x"):
            made = wokkelJID(jid.parse(text))
            self.assertEqual(made, TwistedJID(text))
            self.assertEqual((made.full(), made.userhost()), (text, TwistedJID(text).userhost()))
            self.assertEqual(hash(made), hash(TwistedJID(text)))
