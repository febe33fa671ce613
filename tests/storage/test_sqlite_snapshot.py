# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.storage.sqlite.snapshot}."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import SchemaTooNew, StoreUnavailable
from muccore.storage.archivejournal import ArchiveJournal
from muccore.storage.sqlite import archiveschema, backup, snapshot
from muccore.storage.sqlite.archiverows import SQLiteArchiveRows
from muccore.storage.sqlite.connection import connect
from muccore.storage.sqlite.snapshot import copyInUse, finishLog, hasLogs, readVersions, takePlace
from muccore.testing.contracts.archivequeries import item

ROOM = "room@rooms.example.org"


class CopyTests(SynchronousTestCase):
    """Copies of an archive's database that is in use."""

    def setUp(self) -> None:
        """Create the database, and an empty file for the copy."""
        folder = Path(self.mktemp())
        folder.mkdir()
        self.path, self.copy = str(folder / "archive #1?.db"), str(folder / "copy")
        self.connection = connect(self.path, archiveschema.SCHEMA, 0.1)
        self.addCleanup(self.connection.close)
        Path(self.copy).touch()

    def journal(self, *ids: str) -> ArchiveJournal:
        """Let a server have given these items to the archive, without having committed them."""
        journal = ArchiveJournal(self.path)
        journal.open(0)
        self.addCleanup(journal.close)
        for id in ids:
            journal.append(ROOM, [item(id)])
        return journal

    def ids(self) -> list[str]:
        """The ids of the items in the copy."""
        with closing(sqlite3.connect(self.copy)) as connection:
            return [id for (id,) in connection.execute("SELECT id FROM item ORDER BY key")]

    def test_journal(self) -> None:
        """What is in the journal only is in the copy, which knows that it has it; the database is not changed."""
        self.journal("a", "b")
        versions = copyInUse(self.path, self.copy)
        self.assertEqual(versions, {"archive": len(archiveschema.SCHEMA.migrations)})
        self.assertEqual(self.ids(), ["a", "b"])
        with closing(connect(self.copy, archiveschema.SCHEMA, 1)) as connection:
            self.assertEqual(SQLiteArchiveRows().replayCalls(connection, ArchiveJournal(self.path).read()), (2, 0))
        self.assertEqual(self.connection.execute("SELECT count(*) FROM item").fetchone(), (0,))

    def test_committedMeanwhile(self) -> None:
        """What is committed between reading the journal and copying is in the copy once."""
        self.journal("a", "b")
        copyDatabase = backup.copyDatabase

        def commitFirst(path: str, to: str) -> None:
            self.connection.execute("BEGIN")
            calls = ArchiveJournal(self.path).read()
            SQLiteArchiveRows().replayCalls(self.connection, calls[:1])
            self.connection.execute("COMMIT")
            copyDatabase(path, to)

        self.patch(snapshot, "copyDatabase", commitFirst)
        copyInUse(self.path, self.copy)
        self.assertEqual(self.ids(), ["a", "b"])

    def test_olderJournal(self) -> None:
        """Messages that a killed server of an older version has left are not dropped silently."""
        self.journal("a")
        self.connection.execute("UPDATE muccore_schema SET version = version - 1")
        failure = self.assertRaises(StoreUnavailable, copyInUse, self.path, self.copy)
        self.assertIn("start the server once", str(failure))

    def test_writing(self) -> None:
        """An open transaction of a writer neither waits nor is waited for; it may be committed while it is copied."""
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.execute("INSERT INTO archive (name) VALUES ('new')")
        copyInUse(self.path, self.copy)
        self.connection.execute("COMMIT")
        with closing(sqlite3.connect(self.copy)) as connection:
            self.assertEqual(connection.execute("SELECT count(*) FROM archive").fetchone(), (0,))

    def test_locked(self) -> None:
        """A database that somebody has locked against readers is waited for, but not for ever."""
        self.connection.execute("PRAGMA journal_mode = DELETE")
        self.connection.execute("BEGIN EXCLUSIVE")
        connectExisting = backup.connectExisting

        def hurried(path: str, parameters: str = "mode=rw") -> sqlite3.Connection:
            connection = connectExisting(path, parameters)
            connection.execute("PRAGMA busy_timeout = 1")
            return connection

        self.patch(backup, "connectExisting", hurried)
        failure = self.assertRaises(StoreUnavailable, copyInUse, self.path, self.copy)
        self.assertIn("it is locked by another process", str(failure))

    def test_full(self) -> None:
        """If there is no space for the copy, that is what the error says."""
        self.connection.execute("CREATE TABLE large AS SELECT randomblob(1000000)")

        def full(path: str, to: str) -> None:
            with closing(sqlite3.connect(to)) as connection:
                connection.execute("PRAGMA max_page_count = 10")
                connection.execute("CREATE TABLE large AS SELECT randomblob(1000000)")

        self.patch(snapshot, "copyDatabase", full)
        failure = self.assertRaises(StoreUnavailable, copyInUse, self.path, self.copy)
        self.assertTrue(str(failure).startswith(f"{self.copy}: the disk is full"), str(failure))

    def test_checked(self) -> None:
        """Copies that are damaged, too new, or of another program are recognized; nothing is written beside them."""
        copyInUse(self.path, self.copy)
        self.assertEqual(readVersions(self.copy, "it"), {"archive": len(archiveschema.SCHEMA.migrations)})
        with closing(sqlite3.connect(self.copy)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("UPDATE muccore_schema SET version = 4711")
            connection.commit()
        self.assertRaises(SchemaTooNew, readVersions, self.copy, "it")
        Path(self.copy).write_bytes(Path(self.copy).read_bytes()[:8192])
        self.assertIn("it: it is damaged", str(self.assertRaises(StoreUnavailable, readVersions, self.copy, "it")))
        Path(self.copy).write_bytes(b"no database at all, but long enough to be taken for one" * 100)
        self.assertIn("not an SQLite", str(self.assertRaises(StoreUnavailable, readVersions, self.copy, "it")))
        os.unlink(self.copy)
        with closing(sqlite3.connect(self.copy)) as connection:
            connection.execute("CREATE TABLE other (x)")
        self.assertIn("another program", str(self.assertRaises(StoreUnavailable, readVersions, self.copy, "it")))
        self.assertEqual([name for name in os.listdir(os.path.dirname(self.copy)) if name.startswith("copy")], ["copy"])

    def test_finishLog(self) -> None:
        """The log goes into the database once nobody uses it."""
        self.assertIn("another process uses it", str(self.assertRaises(StoreUnavailable, finishLog, self.path)))
        self.connection.close()
        finishLog(self.path)
        self.assertFalse(hasLogs(self.path))
        finishLog(f"{self.path}-missing")
        self.assertFalse(os.path.exists(f"{self.path}-missing"))

    def test_takePlace(self) -> None:
        """What belongs to a database is kept with it, under the same ends; an index is not."""
        self.connection.close()
        ends = ("-wal", "-journal", "-appended-1", "-appended-2", "-appended-3", "-appended-4")
        for end in (*ends, "-shm"):
            Path(self.path + end).write_text(end)
        old = Path(self.path).read_bytes()
        Path(self.copy).write_text("new")
        self.assertTrue(hasLogs(self.path))
        kept = takePlace(self.copy, self.path, keep=True)
        self.assertEqual(kept, f"{self.path}.replaced")
        self.assertEqual(Path(f"{self.path}.replaced").read_bytes(), old)
        for end in ends:
            self.assertEqual(Path(f"{self.path}.replaced{end}").read_text(), end)
        self.assertEqual(Path(self.path).read_text(), "new")
        self.assertEqual(len(os.listdir(os.path.dirname(self.path))), 2 + len(ends))
