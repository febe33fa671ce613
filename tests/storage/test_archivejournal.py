# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.archivejournal}, and of archives that read it."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muccore.interfaces import ArchiveItem, ArchiveQuery, ItemExists, StoreUnavailable
from muccore.log.logger import Logger
from muccore.storage.archivejournal import FILES, HEADER, ArchiveJournal, decodeCalls, encodeCall
from muccore.storage.rows import archive as archiveModule
from muccore.storage.sqlite.archive import SQLiteArchive
from muccore.testing.contracts.archivequeries import CAVE, HEATH, NOON, item, message, shown
from muccore.xmpp.rendering import Rendered

_text = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]))
_bytes = _text.map(str.encode)
_item = st.builds(
    ArchiveItem, _text, st.integers(-(2**52), 2**52), _text, _text, st.builds(Rendered, _bytes, _bytes), _text
)
_call = st.tuples(st.integers(1, 2**62), _text, st.lists(_item, max_size=3))


def _plain(calls: Any) -> list[Any]:
    return [(position, archive, [shown(each) for each in items]) for position, archive, items in calls]


class RecordTests(SynchronousTestCase):
    """Records."""

    @settings(max_examples=100)
    @given(st.lists(_call, min_size=1, max_size=4), st.data())
    def test_torn(self, calls: list[Any], data: Any) -> None:
        """Of a file that ends anywhere, or is damaged anywhere, all records before that are read, as they were."""
        records = [encodeCall(*call) for call in calls]
        whole = b"".join(records)
        self.assertEqual(_plain(decodeCalls(whole)), _plain(calls))
        at = data.draw(st.integers(0, len(whole) - 1))
        before = 0
        while len(b"".join(records[: before + 1])) <= at:
            before += 1
        self.assertEqual(_plain(decodeCalls(whole[:at])), _plain(calls[:before]))
        damaged = whole[:at] + bytes([whole[at] ^ 0x80]) + whole[at + 1 :]
        self.assertEqual(_plain(decodeCalls(damaged)), _plain(calls[:before]))

    def test_noText(self) -> None:
        """What the store refuses, or would not be read as it was, is no record."""
        stanza = Rendered(b"<message", b"/>")
        for bad in (
            ArchiveItem("\ud800", 0, CAVE, "", stanza),
            ArchiveItem(b"a", 0, CAVE, "", stanza),  # type: ignore[arg-type]
            ArchiveItem("a", 0, CAVE, "", stanza, "a\0b"),
            ArchiveItem("a", 0, CAVE, "", Rendered(b"<message", b"\0/>")),
        ):
            with self.assertRaises((TypeError, ValueError)):
                encodeCall(1, CAVE, [bad])


class JournalTests(SynchronousTestCase):
    """The files."""

    def setUp(self) -> None:
        """Open a journal."""
        self.path = FilePath(self.mktemp()).path
        self.journal = self.opened()
        self.patch(Logger, "threshold", LogLevel.info)
        self.log: list[Any] = []
        globalLogPublisher.addObserver(self.log.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.log.append)

    def opened(self) -> ArchiveJournal:
        """Open one, which is closed after the test."""
        journal = ArchiveJournal(self.path)
        journal.open(0)
        self.addCleanup(journal.close)
        return journal

    def append(self, *ids: str) -> None:
        """Append an item by each of several calls."""
        for id in ids:
            self.journal.append(CAVE, [item(id)])

    def kept(self) -> list[str]:
        """The ids that would be read now."""
        return [each.id for _, _, items in ArchiveJournal(self.path).read() for each in items]

    def sizes(self) -> list[int]:
        """Bytes of records in each file."""
        return [os.stat(f"{self.path}-appended-{n}").st_size - len(HEADER) for n in range(1, FILES + 1)]

    def test_atOnce(self) -> None:
        """What is appended is in a file when the call returns, readable by its owner only."""
        self.append("a", "b")
        self.assertEqual(self.kept(), ["a", "b"])
        self.assertEqual(stat.S_IMODE(os.stat(f"{self.path}-appended-1").st_mode), 0o600)

    def test_turn(self) -> None:
        """Where calls before sending are possible, those of a turn are written together, before their group begins."""
        later: list[Any] = []
        self.journal.callBeforeSending = later.append
        self.append("a", "b")
        self.assertEqual((len(later), self.kept()), (1, []))
        later.pop()()
        self.assertEqual(self.kept(), ["a", "b"])
        self.append("c")
        self.journal.beginGroup()
        self.append("d")
        self.assertEqual((self.kept(), self.sizes()[1]), (["a", "b", "c"], 0))
        self.journal.close()
        self.assertEqual(self.kept(), ["a", "b", "c", "d"])
        for f in later:
            f()

    def test_groups(self) -> None:
        """Each group is forgotten when it is committed, however many are on their way."""
        positions = []
        for n in range(3 * FILES):
            self.append(f"m{n}")
            positions.append(self.journal.position)
            self.journal.beginGroup()
        self.assertEqual(self.kept(), [f"m{n}" for n in range(3 * FILES)])
        for n, position in enumerate(positions[: FILES - 1]):
            self.journal.committed(position)
            self.assertEqual(self.kept(), [f"m{n}" for n in range(n + 1, 3 * FILES)])
        self.journal.committed(positions[-1])
        self.assertEqual((self.kept(), sum(self.sizes())), ([], 0))

    def test_bounded(self) -> None:
        """With a group being committed while the next is gathered, each file has one group at most."""
        self.append("a")
        [largest, *_] = self.sizes()
        committing = 0
        for n in range(10):
            self.journal.committed(committing)
            committing = self.journal.position
            self.journal.beginGroup()
            self.append(f"{n}")
            self.assertLess(max(self.sizes()), 2 * largest)

    def test_full(self) -> None:
        """A full disk is logged once, and its end too; nothing of a record that did not fit is left."""
        self.append("a")
        write = os.write

        def tooMuch(file: int, data: bytes) -> int:
            """Write a part."""
            return write(file, data[:20])

        def full(file: int, data: bytes) -> int:
            """Write nothing."""
            raise OSError(errno.ENOSPC, "No space left on device")

        for broken in tooMuch, full:
            with patch("os.write", broken):
                self.append("b", "c")
            self.append("d")
            self.assertEqual(self.kept(), ["a", *["d"] * (1 if broken is tooMuch else 2)])
        lines = [str(formatEvent(event)) for event in self.log]
        self.assertEqual(len(lines), 4, lines)
        self.assertIn("a killed server loses the messages of its last moments", lines[0])
        self.assertIn(f"{self.path}-appended-1: it can be written again", lines[1])
        self.assertIn("No space left", lines[2])

    def test_cannotEmpty(self) -> None:
        """If a file cannot be emptied, that is logged, and tried again."""
        self.append("a")
        with patch("os.ftruncate", side_effect=OSError(errno.EIO, "Input/output error")):
            self.journal.committed(1)
        self.assertEqual(len(self.log), 1)
        self.journal.committed(1)
        self.assertEqual(self.kept(), [])

    def test_close(self) -> None:
        """When everything is committed, closing removes the files; otherwise they stay."""
        self.append("a")
        self.journal.close()
        self.append("ignored")
        self.assertEqual(self.kept(), ["a"])
        self.journal = self.opened()
        self.assertEqual(self.kept(), [])
        self.journal.close()
        self.assertEqual(os.listdir(os.path.dirname(self.path)), [])

    def test_probe(self) -> None:
        """Probing changes nothing, and finds files of other programs and those that cannot be written."""
        self.append("a")
        self.journal.probe()
        self.assertEqual(self.kept(), ["a"])
        self.journal.close()
        FilePath(f"{self.path}-appended-2").setContent(b"something else\n")
        for work in self.journal.probe, self.journal.read:
            with self.assertRaisesRegex(StoreUnavailable, "appended-2: it is a file of another program"):
                work()
        # A version that is not known.
        FilePath(f"{self.path}-appended-2").setContent(HEADER.replace(b" 1\n", b" 2\n") + b"x")
        self.assertEqual(self.kept(), ["a"])
        os.unlink(f"{self.path}-appended-1")
        os.mkdir(f"{self.path}-appended-1")
        with self.assertRaisesRegex(StoreUnavailable, "appended-1: it cannot be read"):
            self.journal.probe()
        with self.assertRaisesRegex(StoreUnavailable, "appended-1: it cannot be written"):
            self.journal.open(0)


class RecoveryTests(TestCase):
    """Archives whose process was killed: copies of their files."""

    def setUp(self) -> None:
        """Let appends wait for their commit for long."""
        self.patch(archiveModule, "GATHER", 60.0)
        self.folder = FilePath(self.mktemp())
        self.folder.makedirs()

    async def opened(self, folder: FilePath[str] | None = None) -> SQLiteArchive:
        """Open the archive of a folder; it is closed after the test."""
        store = SQLiteArchive((folder or self.folder).child("archive.db"), reactor)
        await store.open()
        self.addCleanup(store.close)
        return store

    def copy(self, journal: FilePath[str] | None = None) -> FilePath[str]:
        """Copy the files as they are now, but for the journal, which may be from another moment."""
        copied = FilePath(self.mktemp())
        shutil.copytree(self.folder.path, copied.path)
        for each in journal.children() if journal else ():
            if "-appended-" in each.basename():
                each.copyTo(copied.child(each.basename()))
        return copied

    async def items(self, store: SQLiteArchive, archive: str = CAVE) -> Sequence[Any]:
        """What is in an archive."""
        return [shown(each) for each in (await store.query(archive, ArchiveQuery(limit=1000))).items]

    async def test_recovered(self) -> None:
        """What was appended is there, in order, whole calls only, and found by its words; once, however often."""
        store = await self.opened()
        given = [item(f"m{n}", NOON - n, text=f"fire burn {n}") for n in range(20)]
        await gatherResults([store.append(CAVE, given[:2]), store.query(CAVE, ArchiveQuery())])
        for each in given[2:]:
            store.append(CAVE, [each]).addErrback(lambda _: None)
        store.append(CAVE, [item("x"), item("m0")]).addErrback(lambda failure: failure.trap(ItemExists))
        store.append(HEATH, [item("m0"), item("m1")])
        killed = self.copy()
        for n in range(3):
            again = await self.opened(killed)
            self.assertEqual(await self.items(again), [shown(each) for each in given])
            self.assertEqual(len(await self.items(again, HEATH)), 2)
            page = await again.query(CAVE, ArchiveQuery(text="burn", counted=True))
            self.assertEqual((len(page.items), page.count), (20, 20))
            again.append("other@x", [item(f"n{n}")])
            await again.close()
        killed.restat()
        self.assertEqual([each.basename() for each in killed.children() if "-appended-" in each.basename()], [])

    async def test_torn(self) -> None:
        """A file that ends within a record has those before it."""
        store = await self.opened()
        store.append(CAVE, [item("a")])
        store.append(CAVE, [item("b")])
        killed = self.copy()
        journal = killed.child("archive.db-appended-1")
        journal.setContent(journal.getContent()[:-1], ext=".new")
        self.assertEqual([each[0] for each in await self.items(await self.opened(killed))], ["a"])

    async def test_removed(self) -> None:
        """What was retracted, expired or deleted does not come back, even if the journal has not been emptied."""
        store = await self.opened()
        store.append(CAVE, [item("a", NOON), item("b", NOON + 1), item("c", NOON + 2)])
        store.append(HEATH, [item("a")])
        journal = self.copy()
        await store.retract(CAVE, {"b": message("gone")})
        await store.expire(CAVE, NOON + 1)
        await store.delete(HEATH)
        store.append(CAVE, [item("d")])
        for killed in self.copy(journal), self.copy():
            again = await self.opened(killed)
            found = [each for each in (await again.query(CAVE, ArchiveQuery())).items if each.id != "d"]
            self.assertEqual([(each.id, each.retracted) for each in found], [("b", True), ("c", False)])
            self.assertEqual(await self.items(again, HEATH), [])

    async def test_nothingLeft(self) -> None:
        """When an append is committed, the journal has nothing of it."""
        store = await self.opened()
        secret = ArchiveItem("a", NOON, CAVE, "", message("abracadabra"), "abracadabra")
        store.append(CAVE, [secret])
        self.assertIn(b"abracadabra", self.folder.child("archive.db-appended-1").getContent())
        retracting = store.retract(CAVE, {"a": message("")})
        store.append(CAVE, [item("b")])
        await retracting
        for each in self.folder.children():
            if "-appended-" in each.basename():
                self.assertNotIn(b"abracadabra", each.getContent())

    async def test_refused(self) -> None:
        """What its caller was told has failed does not come back."""
        store = await self.opened()
        await gatherResults([store.append(CAVE, [item("a")]), store.query(CAVE, ArchiveQuery())])
        refused = store.append(CAVE, [item("b"), item("a")])
        failed = self.assertFailure(refused, ItemExists)
        await gatherResults([store.query(CAVE, ArchiveQuery()), failed])
        self.assertEqual(len(await self.items(await self.opened(self.copy()))), 1)

    async def test_olderDatabase(self) -> None:
        """If a database is put back, what the journal has after it is written, except what is there already."""
        store = await self.opened()
        await gatherResults([store.append(CAVE, [item("a")]), store.query(CAVE, ArchiveQuery())])
        older = self.copy()
        for id in "bcd":
            await gatherResults([store.append(CAVE, [item(id)]), store.query(CAVE, ArchiveQuery())])
        store.append(CAVE, [item("e")])
        journal = self.copy()
        for each in journal.children():
            if "-appended-" in each.basename():
                each.copyTo(older.child(each.basename()))
        again = await self.opened(older)
        self.assertEqual([each[0] for each in await self.items(again)], ["a", "e"])

    async def test_cannotBeRead(self) -> None:
        """A journal that cannot be read or written keeps the archive from being opened; nothing is left running."""
        for journal in self.folder.child("archive.db-appended-1"), self.folder.child("archive.db-appended-2"):
            journal.makedirs()
            store = SQLiteArchive(self.folder.child("archive.db"), reactor)
            with self.assertRaisesRegex(StoreUnavailable, journal.path):
                await store.open()
            with self.assertRaises(StoreUnavailable):
                await store.append(CAVE, [item("a")])
            await store.close()
            journal.remove()
