# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.archivereading}."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import ArchivePage, ArchiveQuery, NoSuchItem, QueryRefused, StoreUnavailable
from muccore.storage.memoryarchive import MemoryArchive
from muccore.testing.contracts.archivequeries import CAVE, item
from muccore.xmpp import ns
from muccore.xmpp.archivereading import WAITING, ArchiveReader
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import parse

HAG = parse("hag66@shakespeare.lit/pda")


class SlowArchive(MemoryArchive):
    """An archive whose queries wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Deferred[ArchivePage]] = []

    def query(self, archive: str, query: ArchiveQuery) -> Deferred[ArchivePage]:
        """See L{IArchiveStore.query}."""
        self.waiting.append(Deferred())
        return self.waiting[-1]


class ReadingTests(SynchronousTestCase):
    """Queries."""

    def setUp(self) -> None:
        """Make a reader."""
        self.store = SlowArchive()
        self.reader = ArchiveReader(self.store)
        self.sent: list[ArchivePage] = []

    def ask(self) -> Deferred[object]:
        """Send a query."""
        return self.reader.query(CAVE, HAG, ArchiveQuery(), self.sent.append)

    def test_page(self) -> None:
        """The page is sent, then the end is made."""
        asked = self.ask()
        page = ArchivePage([item("a")], True)
        self.store.waiting[0].callback(page)
        self.assertEqual(self.sent, [page])
        fin = self.successResultOf(asked)
        self.assertEqual(fin.toXml().count(f"<fin xmlns='{ns.MAM}' complete='true'>"), 1)  # type: ignore[attr-defined]

    def test_many(self) -> None:
        """Few of one account are pending, whatever the resource is; when one is answered, another may be sent."""
        asked = [self.ask() for _ in range(WAITING)]
        error = self.assertRaises(StanzaError, self.ask)
        self.assertEqual(error.condition, "resource-constraint")
        other = self.reader.query(CAVE, parse("x@localhost"), ArchiveQuery(), self.sent.append)
        self.store.waiting[0].errback(StoreUnavailable("test"))
        self.failureResultOf(asked[0], StoreUnavailable)
        self.assertNoResult(self.ask())
        self.assertNoResult(other)

    def test_refused(self) -> None:
        """Errors of the query have the condition of the text; what the caller raises comes through."""
        for failure, condition in ((NoSuchItem("x"), "item-not-found"), (QueryRefused("x"), "policy-violation")):
            asked = self.ask()
            self.store.waiting[-1].errback(failure)
            self.assertEqual(self.failureResultOf(asked, StanzaError).value.condition, condition)

        def refuse(page: ArchivePage) -> None:
            raise StanzaError("forbidden")

        asked = self.reader.query(CAVE, HAG, ArchiveQuery(), refuse)
        self.store.waiting[-1].callback(ArchivePage([], True))
        self.assertEqual(self.failureResultOf(asked, StanzaError).value.condition, "forbidden")
