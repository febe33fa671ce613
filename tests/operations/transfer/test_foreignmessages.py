# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.foreignmessages}."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import ArchiveItem
from muccore.operations.transfer import foreignmessages
from muccore.operations.transfer.foreignmessages import StoredMessage, accountItem, addDelay, roomItem
from muccore.operations.transfer.pieces import DataError
from muccore.operations.transfer.records import Messages, Problem
from muccore.xmpp import ns
from muccore.xmpp.jid import InvalidJID, parse
from muccore.xmpp.rendering import render
from tests.routing.helpers import xml

ROOM = "orchard@conference.lit"
ROMEO = "romeo@montague.lit"


def text(item: ArchiveItem | None) -> str:
    """The stanza of an item."""
    assert item is not None
    return (item.stanza.head + item.stanza.tail).decode()


class RoomItemTests(SynchronousTestCase):
    """Messages in archives of rooms."""

    def item(
        self, content: str, author: str = "", sender: str = f"{ROOM}/Romeo", extra: str = ""
    ) -> ArchiveItem | None:
        """Make an item."""
        message = xml(f"<message from='{sender}' type='groupchat'{extra}>{content}</message>")
        return roomItem(StoredMessage(message, 17, "a", author), parse(ROOM))

    def test_stanza(self) -> None:
        """
        A message has the id of the archive as its stanza id, and no recipient; ids that it had from there are replaced,
        those of others stay.
        """
        others = f"<stanza-id xmlns='{ns.STANZA_ID}' by='other.lit' id='b'/>"
        own = f"<stanza-id xmlns='{ns.STANZA_ID}' by='{ROOM}' id='old'/>"
        item = self.item(f"<body>Hi</body>{own}{others}", extra=" to='juliet@capulet.lit/x' xml:lang='en'")
        self.assertEqual(
            text(item),
            f"<message from='{ROOM}/Romeo' type='groupchat' xml:lang='en'><body>Hi</body>{others}"
            f"<stanza-id xmlns='{ns.STANZA_ID}' by='{ROOM}' id='a'/></message>",
        )
        assert item is not None
        self.assertEqual((item.id, item.time, item.sender, item.text), ("a", 17, f"{ROOM}/Romeo", "Hi"))

    def test_author(self) -> None:
        """Who has written it is apart, as far as that is known."""
        x = f"<x xmlns='{ns.MUC_USER}'><item jid='{ROMEO}/y' role='moderator'/></x>"
        for content, author, expected in (("", "", ""), (x, "", ROMEO), ("", ROMEO, ROMEO)):
            item = self.item(content, author)
            assert item is not None
            self.assertEqual(item.author, expected)
            self.assertNotIn("montague", text(item))

    def test_retracted(self) -> None:
        """Tombstones are known as such."""
        retracted = f"<retracted xmlns='{ns.RETRACT}'/>"
        moderated = f"<moderated xmlns='{ns.MODERATE_0}'><retracted xmlns='{ns.RETRACT_0}'/></moderated>"
        for content, expected in ((retracted, True), (moderated, True), ("<body>retracted</body>", False)):
            item = self.item(content)
            assert item is not None
            self.assertIs(item.retracted, expected)

    def test_others(self) -> None:
        """What is no message of the room is none here, or wrong."""
        for stanza in ("<presence/>", "<message type='error'/>", "<message/>"):
            self.assertIsNone(roomItem(StoredMessage(xml(stanza), 0, "a"), parse(ROOM)))
        with self.assertRaises(DataError):
            self.item("", sender="other@conference.lit/Romeo")
        with self.assertRaises(InvalidJID):
            self.item("", sender="@")


class AccountItemTests(SynchronousTestCase):
    """Messages in archives of accounts."""

    def test_ends(self) -> None:
        """A message is found by the address at the other end, and keeps its recipient."""
        for sender, to, other, author in (
            (f"{ROMEO}/a", "juliet@capulet.lit/b", "juliet@capulet.lit/b", ROMEO),
            ("juliet@capulet.lit/b", ROMEO, "juliet@capulet.lit/b", "juliet@capulet.lit"),
            (f"{ROMEO}/a", ROMEO, ROMEO, ROMEO),
        ):
            message = xml(f"<message from='{sender}' to='{to}'><body>Hi</body></message>")
            item = accountItem(StoredMessage(message, 17, "a"), parse(ROMEO))
            assert item is not None
            self.assertEqual((item.sender, item.author, item.text), (other, author, "Hi"))
            self.assertEqual(text(item), f"<message to='{to}' from='{sender}'><body>Hi</body></message>")

    def test_own(self) -> None:
        """Without addresses it is to and from the account itself; its own stanza id goes."""
        own = f"<stanza-id xmlns='{ns.STANZA_ID}' by='{ROMEO}' id='old'/>"
        item = accountItem(StoredMessage(xml(f"<message>{own}</message>"), 17, "a"), parse(ROMEO))
        assert item is not None
        self.assertEqual((item.sender, item.author), (ROMEO, ROMEO))
        self.assertEqual(text(item), f"<message to='{ROMEO}'/>")
        self.assertIsNone(accountItem(StoredMessage(xml("<iq/>"), 17, "a"), parse(ROMEO)))


class MessagesTests(SynchronousTestCase):
    """Archives."""

    def read(self, values: Iterator[int]) -> list[Messages | Problem]:
        """Read an archive of numbers: 0 is left out, those below are wrong."""

        def make(value: int, number: int) -> ArchiveItem | None:
            if value < 0:
                raise DataError(f"it is {value}")
            message = StoredMessage(xml("<message type='groupchat'/>"), value, f"{number}")
            return roomItem(message, parse(ROOM)) if value else None

        return list(foreignmessages.messages(ROOM, values, make))

    def test_batches(self) -> None:
        """Long archives come in pieces, in order."""
        self.patch(foreignmessages, "BATCH", 3)
        found = self.read(iter([1, 2, 0, 3, 4, 5, 6, 7]))
        times = [[item.time for item in each.items] for each in found if isinstance(each, Messages)]
        self.assertEqual(times, [[1, 2, 3], [4, 5, 6], [7]])
        self.assertEqual(self.read(iter([0])), [])

    def test_problems(self) -> None:
        """What is wrong is counted by reason; an archive that ends too early has what precedes."""

        def values() -> Iterator[int]:
            yield from (1, -1, 2, -2, -1)
            raise DataError("it is torn")

        messages, *problems = self.read(values())
        assert isinstance(messages, Messages)
        self.assertEqual([item.id for item in messages.items], ["1", "3"])
        self.assertEqual(
            [str(each) for each in problems],
            [
                f"{ROOM}: 2 archived messages: it is -1",
                f"{ROOM}: 1 archived messages: it is -2",
                f"{ROOM}: archive after 5 messages: it is torn",
            ],
        )

    def test_delay(self) -> None:
        """A message without a stamp gets one; another keeps its own."""
        message = xml("<message/>")
        for _ in range(2):
            addDelay(message, "montague.lit", 86_400_000_000)
        stamp = "from='montague.lit' stamp='1970-01-02T00:00:00Z'"
        self.assertEqual(render(message).decode(), f"<message><delay xmlns='{ns.DELAY}' {stamp}/></message>")
