# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.accountarchives}."""

from __future__ import annotations

from muccore.im.archive import ArchiveHandler
from muccore.im.archivecleaning import ArchiveCleaning
from muccore.storage.memoryarchive import MemoryArchive
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import render
from muccore.xmpp.stanzaids import stanzaIdBy
from tests.muc.muchelpers import ROOM, MUCTestCase, sendGroupchat

JULIET = "juliet@localhost"


class PrivateMessageTests(MUCTestCase):
    """A room of Romeo and Juliet, who has two clients."""

    def setUp(self) -> None:
        """Enter."""
        super().setUp()
        self.archives = MemoryArchive()
        self.archives.open()
        cleaning = ArchiveCleaning(self.archives, 0, 0)
        self.archive = ArchiveHandler(self.archives, self.server.rosters, "always", cleaning)
        self.server.addHandler(self.archive)
        self.romeo, self.juliet, self.phone = self.login("romeo", "juliet", "juliet/phone")
        self.createRoom(self.romeo)
        self.enterAll(self.juliet)
        self.enter(self.phone, "Juliet")
        for client in (self.romeo, self.juliet, self.phone):
            client.received()

    def kept(self, account: str) -> list[tuple[str, str, Element]]:
        """Other end, author and message of what is in an archive."""
        archive = self.archives._archives.get(account)
        items = [] if archive is None else archive.items.values()
        return [(item.sender, item.author, item.stanza.withoutElement().element) for item in items]

    def write(self, sender: Client, nick: str, inside: str, type: str = "chat") -> None:
        """Send a private message."""
        sender.sends(f"<message type='{type}' to='{ROOM}/{nick}' id='m'>{inside}</message>")

    def test_archived(self) -> None:
        """It is in the archives of both, once, and both clients get its id; what claims to be that is removed."""
        forged = f"<stanza-id xmlns='{ns.STANZA_ID}' by='{JULIET}' id='forged'/>"
        self.write(self.romeo, "Juliet", f"<body>psst</body>{forged}")
        [(other, author, message)] = self.kept(JULIET)
        self.assertEqual((other, author), (f"{ROOM}/Romeo", ROOM))
        self.assertEqual((message["to"], message["from"]), (JULIET, f"{ROOM}/Romeo"))
        self.assertIsNotNone(message.child("occupant-id", ns.OCCUPANT_ID))
        self.assertIsNotNone(message.child("x", ns.MUC_USER))
        [item] = self.archives._archives[JULIET].items.values()
        for client in (self.juliet, self.phone):
            [received] = client.received()
            self.assertEqual(stanzaIdBy(received, JULIET), item.id)
            self.assertNotIn(b"forged", render(received))
        [(other, author, message)] = self.kept("romeo@localhost")
        self.assertEqual((other, author), (f"{ROOM}/Juliet", "romeo@localhost"))

    def test_notArchived(self) -> None:
        """Chat states, what comes back, and messages to all are not."""
        self.write(self.romeo, "Juliet", f"<composing xmlns='{ns.CHAT_STATES}'/>")
        self.write(self.juliet, "Romeo", "<body>x</body><error type='cancel'/>", "error")
        sendGroupchat(self.romeo, "hello")
        self.assertEqual(len(self.juliet.received()), 2)
        self.assertEqual((self.kept(JULIET), self.kept("romeo@localhost")), ([], []))

    def test_never(self) -> None:
        """The user may not want it; then it has no id."""
        self.archive.default = "never"
        self.write(self.romeo, "Juliet", "<body>psst</body>")
        [received] = self.juliet.received()
        self.assertIsNone(stanzaIdBy(received, JULIET))
        self.assertEqual(self.kept(JULIET), [])

    def test_withoutArchive(self) -> None:
        """Without archives it passes."""
        self.archive.disownHandlerParent(self.server.users)
        self.write(self.romeo, "Juliet", "<body>psst</body>")
        self.assertEqual(len(self.phone.received()), 1)
