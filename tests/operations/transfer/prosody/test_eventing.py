# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.prosody.eventing}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer.prosody.eventing import Published
from muccore.operations.transfer.prosody.vcards import VCARD4
from muccore.xmpp.rendering import render
from tests.operations.transfer.prosody.datafolder import WrittenFolder, element, stored

AVATAR = "urn:xmpp:avatar"


class EventingTests(SynchronousTestCase):
    """What Romeo publishes."""

    def setUp(self) -> None:
        """Begin with nothing."""
        self.folder = WrittenFolder(self)
        self.published = Published(self.folder, "localhost", "romeo")

    def publish(self, node: str, *items: str) -> None:
        """Publish items on a node."""
        self.folder.put(f"localhost/pep_{node}/romeo.list", "".join(items))

    def test_nothing(self) -> None:
        """Nothing is published."""
        self.assertIsNone(self.published.vCard())

    def test_vCard(self) -> None:
        """The last vCard, and the avatar that is announced."""
        cards = [
            stored(element("vcard", element("fn", element("text", f'"{name}"')), xmlns=VCARD4), 1, "current")
            for name in ("Old", "Romeo")
        ]
        self.publish("urn:xmpp:vcard4", *cards)
        for id, data in (("one", "AAAA"), ("two", "BBBB")):
            self.publish(f"{AVATAR}:data", stored(element("data", f'"{data}"', xmlns=f"{AVATAR}:data"), 1, id))
        info = element("info", id="two", type="image/png")
        self.publish(f"{AVATAR}:metadata", stored(element("metadata", info, xmlns=f"{AVATAR}:metadata"), 1, "two"))
        card = self.published.vCard()
        assert card is not None
        photo = "<PHOTO><TYPE>image/png</TYPE><BINVAL>BBBB</BINVAL></PHOTO>"
        self.assertEqual(render(card).decode(), f"<vCard xmlns='vcard-temp'><FN>Romeo</FN>{photo}</vCard>")
