# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.stanzaids} (XEP-0359)."""

from __future__ import annotations

from uuid import UUID

from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.muchelpers import ROOM, MUCTestCase, join, sendGroupchat


def stanzaIds(message: Element) -> list[dict[str, str]]:
    """The attributes of all stanza ids."""
    return [dict(e.attributes) for e in message.childElements() if (e.uri, e.name) == (ns.STANZA_ID, "stanza-id")]


class StanzaIdTests(MUCTestCase):
    """Ids of messages to the room."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet = self.login("romeo", "juliet")
        self.createRoom(self.romeo)
        self.enterAll(self.juliet)

    def send(self, inside: str, client: Client | None = None) -> Element:
        """Send a message; return what others receive, which is what the sender receives."""
        sendGroupchat(client or self.romeo, inside)
        [own], [message] = self.romeo.received(), self.juliet.received()
        self.assertEqual(stanzaIds(own), stanzaIds(message))
        return message

    def test_unique(self) -> None:
        """Each message has one, by the room, the same for all; subjects too."""
        found = set()
        for inside in ("<body>a</body>", "<body>a</body>", "<subject>s</subject>", "<x xmlns='urn:x'/>"):
            [stamp] = stanzaIds(self.send(inside))
            self.assertEqual((set(stamp), stamp["by"]), ({"id", "by"}, ROOM))
            id = UUID(stamp["id"])
            self.assertEqual((id.version, str(id)), (4, stamp["id"]))
            found.add(id)
        self.assertEqual(len(found), 4)

    def test_history(self) -> None:
        """The history has the same."""
        [stamp] = stanzaIds(self.send("<body>a</body>"))
        paris = self.client("paris")
        join(paris, "Paris")
        [message] = [each for each in paris.received() if each.child("body") is not None]
        self.assertEqual(stanzaIds(message), [stamp])

    def test_forged(self) -> None:
        """One that claims to be the room's, however written, or has no address, is removed; others stay."""
        uri = ns.STANZA_ID
        others = f"<stanza-id xmlns='{uri}' id='2' by='juliet@localhost'/><origin-id xmlns='{uri}' id='3'/>"
        for by in (f" by='{ROOM}'", f" by='{ROOM.upper()}'", "", " by='@'"):
            message = self.send(f"<body>a</body><stanza-id xmlns='{ns.STANZA_ID}' id='1'{by}/>{others}")
            [other, own] = stanzaIds(message)
            self.assertEqual((other, own["by"]), ({"id": "2", "by": "juliet@localhost"}, ROOM))
            self.assertNotEqual(own["id"], "1")
            self.assertEqual([e["id"] for e in message.childElements() if e.name == "origin-id"], ["3"])
