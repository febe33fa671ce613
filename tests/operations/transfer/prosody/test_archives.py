# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.prosody.archives}."""

from __future__ import annotations

import io

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer.foreignmessages import StoredMessage
from muccore.operations.transfer.pieces import DataError
from muccore.operations.transfer.prosody import archives
from muccore.operations.transfer.prosody.luadata import readItems
from muccore.xmpp.rendering import render
from tests.operations.transfer.prosody.datafolder import element, stored

MESSAGE = element("message", element("body", '"Hi"'), type="chat")


class StoredTests(SynchronousTestCase):
    """Stored messages."""

    def read(self, text: str) -> StoredMessage:
        """Read one that is the seventh of its list."""
        [value] = readItems(io.BytesIO(text.encode()))
        return archives.stored(value, 7)

    def test_message(self) -> None:
        """Id and time are beside the stanza."""
        found = self.read(stored(MESSAGE, 1.5, "a", "juliet@localhost"))
        self.assertEqual((found.id, found.time, found.author), ("a", 1_500_000, ""))
        self.assertEqual(render(found.element), b"<message type='chat'><body>Hi</body></message>")

    def test_old(self) -> None:
        """Of old versions, the time is an attribute, and the id is the number of the item."""
        old = element("message", stamp="1970-01-01T00:01:40Z", stamp_legacy="19700101T00:01:40")
        found = self.read(f"item({old.replace('stamp:legacy', 'stamp_legacy')})")
        self.assertEqual((found.id, found.time), ("7", 100_000_000))
        self.assertEqual(render(found.element), b"<message/>")

    def test_refused(self) -> None:
        """What is no message, or has no time, is refused."""
        for text in (
            "item(1)", "item({})", stored(MESSAGE, "(1/0)"), stored(MESSAGE, "-1"), stored(MESSAGE, "1e15"),
            stored(MESSAGE, '"now"'), f"item({MESSAGE})",
        ):  # fmt: skip
            with self.assertRaises(DataError):
                self.read(text)
