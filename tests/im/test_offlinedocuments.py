# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.im.offlinedocuments}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.im import offlinedocuments
from muccore.xmpp.element import stanza
from muccore.xmpp.rendering import Rendered


class OfflineDocumentsTests(SynchronousTestCase):
    """Keys and contents."""

    def test_order(self) -> None:
        """Keys sort by time, then by number, and tell the time."""
        places = [(0, 0), (0, 7), (99, 3), (100, 1), (10**15, 0), (10**15, 999_999)]
        keys = [offlinedocuments.keyOf(*place) for place in places]
        self.assertEqual(keys, sorted(keys))
        self.assertEqual([offlinedocuments.timeOf(key) for key in keys], [time for time, _ in places])
        self.assertEqual(offlinedocuments.keyOf(-1, 1_000_002), offlinedocuments.keyOf(0, 2))

    def test_content(self) -> None:
        """A message comes back with its address, whatever is in both."""
        message = stanza("message", "chat", to="juliet@capulet.lit/a'\n<&", from_="romeo@montague.lit")
        message.add("body", text="a\nb\n'<&")
        content = offlinedocuments.contentOf(message.attributes["to"], Rendered.of(message))
        found = offlinedocuments.messageIn(content)
        self.assertEqual(found.attributes, message.attributes)
        self.assertEqual(found.childText("body"), "a\nb\n'<&")
