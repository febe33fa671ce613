# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.ejabberd.archives}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.im.archivepreferences import ArchivePreferences
from muccore.interfaces import ArchiveItem
from muccore.operations.transfer.ejabberd.archives import archiveItem, preferencesOf
from muccore.operations.transfer.pieces import DataError
from muccore.xmpp import ns
from muccore.xmpp.jid import parse
from tests.operations.transfer.ejabberd.tablefiles import address, archived, message, row

ROOM = "orchard@conference.lit"


class ArchiveTests(SynchronousTestCase):
    """Rows of archives."""

    def item(self, text: str, archive: str = ROOM) -> ArchiveItem:
        """Make an item."""
        found = archiveItem(row(text), parse(archive))
        assert found is not None
        return found

    def test_room(self) -> None:
        """What an occupant has sent is from their address in the room, with its id; the author is apart."""
        packet = message("Hi", **{"from": "romeo@montague.lit/x", "to": ROOM, "type": "groupchat"})
        nick, key = '<<"Romeo">>', address("orchard", "conference.lit")
        item = self.item(archived(key, packet, "17", nick, "groupchat", "{1796,26094,660195}"))
        self.assertEqual((item.id, item.time, item.text), ("17", 1_796_026_094_660_195, "Hi"))
        self.assertEqual((item.sender, item.author), (f"{ROOM}/Romeo", "romeo@montague.lit"))
        self.assertEqual(
            item.stanza.head + item.stanza.tail,
            f"<message from='{ROOM}/Romeo' type='groupchat'><body>Hi</body>"
            f"<stanza-id xmlns='{ns.STANZA_ID}' by='{ROOM}' id='17'/></message>".encode(),
        )

    def test_account(self) -> None:
        """What an account has sent or got is as it was."""
        packet = message("Hi", **{"from": "juliet@capulet.lit/y", "to": "romeo@montague.lit", "type": "chat"})
        item = self.item(archived(address("romeo", "montague.lit"), packet), "romeo@montague.lit")
        self.assertEqual((item.sender, item.author), ("juliet@capulet.lit/y", "juliet@capulet.lit"))
        self.assertTrue(item.stanza.tail.startswith(b" to='romeo@montague.lit' from='juliet@capulet.lit/y'"))

    def test_wrong(self) -> None:
        """Other rows are refused."""
        key, packet = address("orchard", "conference.lit"), message("Hi")
        for text in (
            "{archive_msg}", archived(key, "x"), archived(key, packet, time="now"), archived(key, packet, id=""),
            archived(key, packet, type="groupchat", nick="[]"),
        ):  # fmt: skip
            with self.assertRaises(DataError):
                archiveItem(row(text), parse(ROOM))

    def test_preferences(self) -> None:
        """What an account wants to have archived; an address in both lists is in one."""
        both = '[{<<"a">>,<<"x">>,<<>>},{<<"b">>,<<"x">>,<<"r">>}]'
        found = preferencesOf(
            row(f'{{archive_prefs,{address("romeo", "x")},roster,{both},[{{<<"a">>,<<"x">>,<<>>}}]}}')
        )
        self.assertEqual(found, ("romeo@x", ArchivePreferences("roster", frozenset({"b@x/r"}), frozenset({"a@x"}))))
        key = address("romeo", "x")
        for text in ("{archive_prefs}", f"{{archive_prefs,{key},maybe,[],[]}}", f"{{archive_prefs,{key},never,x,[]}}"):
            with self.assertRaises(DataError):
                preferencesOf(row(text))
