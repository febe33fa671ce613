# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.archivedmessages}: retraction in rooms with an archive (XEP-0424 §4, §5.2)."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.interfaces import ArchiveQuery
from muccore.muc.extensions import archivedmessages, bulkretraction
from muccore.storage.memoryarchive import MemoryArchive
from muccore.storage.sqlite.archive import SQLiteArchive
from muccore.testing.inmemory import Client, InMemoryServer
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import Rendered
from muccore.xmpp.retractions import isRetraction
from tests.muc.extensions.retractions import RetractionTestCase, child, moderate, retractAll, stanzaId
from tests.muc.muchelpers import ROOM, configure, join, say, sendGroupchat, sendIQ, setSubject, summaries, summary


class ArchivedTestCase(RetractionTestCase):
    """A persistent room of Romeo, Juliet and Tybalt, with an archive."""

    def startServer(self, store: Any = None, **options: Any) -> None:
        self.archive = options.pop("archive", None) or MemoryArchive()
        self.archive.open()
        self.server = InMemoryServer(store, archive=self.archive, **options)
        self.clients: list[Client] = []

    def openRoom(self, **fields: Any) -> None:
        super().openRoom(enablelogging=True, persistentroom=True, **fields)

    def restart(self) -> None:
        """Start the server again, with the same stores, and let all enter; what they get of the history is left out."""
        self.startServer(self.server.store, archive=self.archive)
        self.romeo, self.juliet, self.tybalt = self.login("romeo", "juliet", "tybalt")
        self.enterAll(self.romeo, self.juliet, self.tybalt)

    def sayMany(self, count: int, client: Client | None = None) -> None:
        """Let Tybalt, or somebody else, say much."""
        for number in range(count):
            say(client or self.tybalt, f"bla {number}")
        self.discardReceived()

    def archived(self, id: str) -> Element:
        """An archived message."""
        item = self.successResultOf(self.archive.get(ROOM, id))
        assert item is not None
        element: Element = item.stanza.element
        return element

    def found(self, **query: Any) -> list[str]:
        """Summaries of what Tybalt finds in the archive."""
        inside = "".join(f"<field var='{name}'><value>{value}</value></field>" for name, value in query.items())
        form = f"<field var='FORM_TYPE'><value>{ns.MAM}</value></field>{inside}"
        set_ = f"<set xmlns='{ns.RSM}'><max>100</max><before/></set>"
        x = f"<x xmlns='{ns.DATA}' type='submit'>{form}</x>"
        self.discardReceived()
        sendIQ(self.tybalt, "set", f"<query xmlns='{ns.MAM}'>{x}{set_}</query>")
        *results, _ = self.tybalt.received()
        path = ("result", ns.MAM), ("forwarded", ns.FORWARD), ("message", ns.CLIENT)
        return [summary(child(each, *path)) for each in results]


class RetractionTests(ArchivedTestCase):
    """Retraction of what was archived."""

    def test_tombstone(self) -> None:
        """The archive has a tombstone with the message's ids, and the retraction, which has an id as well (§4)."""
        id = self.said(self.juliet, "secret", "m")
        self.retract(self.juliet, id)
        retraction = self.romeo.received()[-1]
        self.assertEqual(self.found(), ["Juliet groupchat retracted", "Juliet groupchat retract"])
        tombstone = self.archived(id)
        self.assertEqual((tombstone["id"], stanzaId(tombstone)), ("m", id))
        self.assertEqual(child(tombstone, ("retracted", ns.RETRACT))["id"], "r")
        self.assertEqual(child(self.archived(stanzaId(retraction)), ("retract", ns.RETRACT))["id"], id)
        self.assertEqual(self.found(**{f"{{{ns.FULL_TEXT}}}fulltext": "secret"}), [])

    def test_hints(self) -> None:
        """A retraction is archived whatever its sender wants, since others would not learn of it (§5.2)."""
        for number, hint in enumerate(("no-store", "no-permanent-store")):
            id = self.said(self.juliet, "secret", "m")
            self.retract(self.juliet, id, f"<{hint} xmlns='{ns.HINTS}'/>")
            found = self.found()
            self.assertEqual(len(found), 2 * (number + 1))
            self.assertRegex(found[-1], "^Juliet groupchat retract ")
            self.assertEqual(found[-2], "Juliet groupchat retracted")

    def test_leftHistory(self) -> None:
        """A message that has left the history and memory long ago is found, by both of its ids, for its author only."""
        for own in (False, True):
            id = self.said(self.juliet, "secret", "mine")
            self.sayMany(201)
            self.retract(self.tybalt, id)
            self.assertEqual(self.errorOf(self.tybalt), "forbidden")
            self.retract(self.juliet, "mine" if own else id)
            [message] = self.romeo.received()
            self.assertEqual(child(message, ("retract", ns.RETRACT))["id"], id)
            self.discardReceived()
            self.assertEqual(summary(self.archived(id)), "Juliet groupchat retracted")
            self.retract(self.juliet, id)
            self.assertEqual(self.errorOf(self.juliet), "item-not-found")

    def test_restart(self) -> None:
        """After a restart authors are known, of messages of the history and of older ones."""
        ids = [self.said(self.juliet, "secret", "old")]
        self.sayMany(30)
        ids.append(self.said(self.juliet, "secret", "new"))
        self.restart()
        for id, own in zip(ids, ("old", "new"), strict=True):
            for given in (id, own):
                self.retract(self.tybalt, given)
                self.assertEqual(self.errorOf(self.tybalt), "item-not-found" if given == "old" else "forbidden")
            self.retract(self.juliet, own)
            self.assertEqual(summaries(self.romeo), ["Juliet groupchat retract"])
            self.discardReceived()
            self.assertEqual(summary(self.archived(id)), "Juliet groupchat retracted")
        self.assertNotIn("secret", "".join(each.toXml() for each in self.history()))

    def test_corrections(self) -> None:
        """Corrections in the archive are retracted with the message."""
        ids = [self.said(self.juliet, "first", "a")]
        ids.append(self.said(self.juliet, "second", "b", f"<replace xmlns='{ns.CORRECT}' id='a'/>"))
        self.sayMany(201)
        self.retract(self.juliet, ids[0])
        for id in ids:
            self.assertEqual(summary(self.archived(id)), "Juliet groupchat retracted")

    def test_notArchived(self) -> None:
        """What only the history has is retracted there."""
        self.said(self.juliet, "another", "other")
        sendGroupchat(self.juliet, f"<body>secret</body><no-permanent-store xmlns='{ns.HINTS}'/>", "m")
        self.discardReceived()
        self.retract(self.juliet, "m")
        self.discardReceived()
        self.assertEqual(
            [summary(each) for each in self.history()][1:],
            ["Juliet groupchat retracted delayed", "Juliet groupchat retract delayed"],
        )
        self.assertEqual(self.found(), ["Juliet groupchat body:another", "Juliet groupchat retract"])

    def test_switchedOff(self) -> None:
        """What was archived before the owner has switched that off is retracted, too: it may be switched on again."""
        id = self.said(self.juliet, "secret")
        configure(self.romeo, enablelogging=False)
        self.sayMany(201)
        self.retract(self.juliet, id)
        self.assertEqual(summary(self.archived(id)), "Juliet groupchat retracted")

    def test_moderators(self) -> None:
        """Moderators retract old messages, in both forms; the announcement is archived, with an id."""
        for older in (False, True):
            id = self.said(self.juliet, "secret")
            self.sayMany(201)
            moderate(self.romeo, id, "Spam", older)
            announcement, _ = self.romeo.received()
            self.assertEqual(summary(self.archived(id)), "Juliet groupchat retracted moderated")
            self.assertEqual(summary(self.archived(stanzaId(announcement))), "room groupchat apply-to retract")
            self.discardReceived()

    def test_everything(self) -> None:
        """Everything that a user wrote is found, whether tombstones are among it or not."""
        self.patch(archivedmessages, "PAGES", 3)
        ids = [self.said(self.juliet, f"secret {number}", f"m{number}") for number in range(250)]
        for id in ids[-220:-20]:
            self.retract(self.juliet, id)
        self.discardReceived()
        retractAll(self.romeo, "jid='juliet@localhost'")
        self.server.clock.advance(10)
        result = self.romeo.received()[-1]
        self.assertEqual(child(result, ("retract-all", ns.MODERATION))["count"], "50")
        page = self.successResultOf(self.archive.query(ROOM, ArchiveQuery(author="juliet@localhost", limit=1000)))
        self.assertNotIn(b"secret", b"".join(item.stanza.tail for item in page.items))

    def test_repeated(self) -> None:
        """Retractions, however many, hide no older messages; what one says besides goes as well."""
        self.patch(bulkretraction, "LIMIT", 5)
        self.said(self.juliet, "secret")
        for number in range(6):
            self.retract(self.juliet, self.said(self.juliet), messageId=f"r{number}")
        text = f"<body>secret</body><store xmlns='{ns.HINTS}'/>"
        self.retract(self.juliet, self.said(self.juliet), text)
        self.discardReceived()
        retractAll(self.romeo, "jid='juliet@localhost'")
        self.server.clock.advance(10)
        result = self.romeo.received()[-1]
        self.assertEqual(child(result, ("retract-all", ns.MODERATION))["count"], "2")
        page = self.successResultOf(self.archive.query(ROOM, ArchiveQuery(author="juliet@localhost", limit=1000)))
        self.assertNotIn(b"secret", b"".join(item.stanza.tail for item in page.items))
        # All can still be followed by clients that have been away.
        self.assertEqual(sum(isRetraction(item.stanza.element) for item in page.items), 7)


class FindByTests(ArchivedTestCase):
    """The last messages of an author."""

    def by(self, account: str, limit: int) -> list[str]:
        """The ids that they were given."""
        finding = Deferred.fromCoroutine(archivedmessages.findBy(self.archive, ROOM, account, limit))
        return [past.messageId for past in self.successResultOf(finding)]

    def test_pages(self) -> None:
        """They come in order, as many as wanted, whatever is retracted or another's."""
        ids = []
        for number in range(7):
            ids.append(self.said(self.juliet, "x", f"m{number}"))
            self.said(self.tybalt, "y", f"t{number}")
        for number in (3, 4, 5):
            self.successResultOf(self.archive.retract(ROOM, {ids[number]: Rendered(b"<message", b"/>")}))
        self.assertEqual(self.by("juliet@localhost", 2), ["m2", "m6"])
        self.assertEqual(self.by("juliet@localhost", 3), ["m1", "m2", "m6"])
        self.assertEqual(self.by("juliet@localhost", 99), ["m0", "m1", "m2", "m6"])
        self.assertEqual(self.by("nobody@localhost", 9), [])


class HistoryTests(ArchivedTestCase):
    """The history after a restart."""

    def after(self) -> list[str]:
        """Summaries of the history, after a restart."""
        self.restart()
        return [summary(each) for each in self.history()]

    def test_retracted(self) -> None:
        """It has retractions, for clients that know the message, but nothing of what was retracted."""
        id = self.said(self.juliet, "secret")
        self.said(self.tybalt, "Hm")
        self.retract(self.juliet, id)
        self.assertEqual(self.after(), ["Tybalt groupchat body:Hm delayed", "Juliet groupchat retract delayed"])

    def test_everything(self) -> None:
        """What moderators retract at once does not displace what others have said."""
        configure(self.romeo, **{"muc#maxhistoryfetch": 3})
        for text in ("one", "two", "three"):
            self.said(self.tybalt, text)
        self.sayMany(90, self.juliet)
        retractAll(self.romeo, "nick='Juliet'")
        self.server.clock.advance(10)
        self.assertEqual(len([line for line in self.found() if line.startswith("room ")]), 90)
        self.assertEqual(self.after(), [f"Tybalt groupchat body:{text} delayed" for text in ("one", "two", "three")])

    def test_bounded(self) -> None:
        """Nobody waits until a whole archive is read."""
        self.patch(archivedmessages, "HISTORY_PAGES", (10, 10))
        self.said(self.tybalt, "one")
        for number in range(60):
            setSubject(self.romeo, f"{number}")
        self.assertEqual(self.after(), [])
        self.patch(archivedmessages, "HISTORY_PAGES", (10, 10, 10))
        self.assertEqual(self.after(), ["Tybalt groupchat body:one delayed"])


class FileTests(ArchivedTestCase, TestCase):
    """With an archive in a file."""

    def setUp(self) -> None:  # type: ignore[override]
        """The archive is opened first."""

    def startServer(self, store: Any = None, **options: Any) -> None:
        self.server = InMemoryServer(store, archive=self.archive, **options)
        self.clients: list[Client] = []

    async def start(self, path: FilePath[str]) -> None:
        """Open the archive."""
        self.archive = SQLiteArchive(path, reactor)
        self.archive.eraseDelay = self.archive.erasePause = 0.0
        await self.archive.open()
        self.addCleanup(self.archive.close)

    async def until(self, client: Client) -> list[Element]:
        """Wait until a client has received something."""
        while not (received := client.received()):
            await deferLater(reactor, 0.01)
        return received

    async def test_gone(self) -> None:
        """After a restart an old message is retracted, and nothing of its content is left in the file."""
        path = FilePath(self.mktemp())
        await self.start(path)
        self.startServer()
        self.openRoom()
        id = self.said(self.juliet, "abracadabra")
        self.sayMany(250)
        await self.archive.close()
        self.assertIn(b"racadabra", path.getContent())
        await self.start(path)
        self.startServer(self.server.store)
        self.juliet, self.tybalt = self.login("juliet", "tybalt")
        for client, nick in ((self.juliet, "Juliet"), (self.tybalt, "Tybalt")):
            join(client, nick)
            await self.until(client)
        self.discardReceived()
        self.retract(self.tybalt, id)
        [refused] = await self.until(self.tybalt)
        self.assertEqual(summary(refused), "room message error auth forbidden")
        self.retract(self.juliet, id)
        [received] = await self.until(self.tybalt)
        self.assertEqual(child(received, ("retract", ns.RETRACT))["id"], id)
        item = await self.archive.get(ROOM, id)
        self.assertEqual(summary(item.stanza.element), "Juliet groupchat retracted")
        while await self.archive.reader.read(self.archive.rows.mustErase):
            await deferLater(reactor, 0.01)
        await self.archive.close()
        self.assertNotIn(b"racadabra", path.getContent())
