# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.prosody.eventing}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer.prosody.eventing import BOOKMARKS, Published
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
        self.assertIsNone(self.published.bookmarks())
        self.assertEqual(self.published.others(), [])

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

    def test_bookmarks(self) -> None:
        """Bookmarks are those of XEP-0048 again."""
        children = element("nick", '"Romeo"'), element("password", '"s3cret"'), element("extensions")
        one = element("conference", *children, xmlns=BOOKMARKS, name="Orchard", autojoin="true")
        other = element("conference", xmlns=BOOKMARKS)
        self.publish(BOOKMARKS, stored(one, 1, "orchard@x"), stored(other, 1, "b@x"), stored(element("x"), 1, "c@x"))
        found = self.published.bookmarks()
        assert found is not None
        self.assertEqual(
            render(found).decode(),
            "<storage xmlns='storage:bookmarks'><conference jid='orchard@x' name='Orchard' autojoin='true'>"
            "<nick>Romeo</nick><password>s3cret</password></conference><conference jid='b@x'/></storage>",
        )

    def test_olderBookmarks(self) -> None:
        """Bookmarks that are published as XEP-0048 had it come, unless there are newer ones."""
        storage = element("storage", element("conference", jid="orchard@x"), xmlns="storage:bookmarks")
        self.publish("storage:bookmarks", stored(storage, 1, "current"))
        found = self.published.bookmarks()
        assert found is not None
        self.assertEqual(
            render(found).decode(), "<storage xmlns='storage:bookmarks'><conference jid='orchard@x'/></storage>"
        )
        self.publish("storage:bookmarks", stored(element("x"), 1, "current"))
        self.assertIsNone(self.published.bookmarks())

    def test_others(self) -> None:
        """Other nodes are listed, if there is something."""
        nodes = f'{{["urn:x"] = {{}}, ["{BOOKMARKS}"] = {{}}, ["a"] = {{}}, ["empty"] = {{}}}}'
        self.folder.put("localhost/pep/romeo.dat", nodes)
        for node in ("urn:x", "a", BOOKMARKS):
            self.publish(node, stored(element("x"), 1, "1"))
        self.assertEqual(self.published.others(), ["a", "urn:x"])
