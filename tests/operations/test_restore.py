# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.operations.restore}."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from typing import Any

from muccore.operations import restore
from muccore.operations.backupfile import BackupReader
from muccore.server import controlsocket
from muccore.storage.sqlite import snapshot
from muccore.storage.sqlite.schema import Schema
from tests.operations.backuptestcase import BackupTestCase, markOf


class RestoreTests(BackupTestCase):
    """C{muccorectl restore}, of a back-up in which the mark is 1; it is 2 now."""

    def setUp(self) -> None:
        """Make the back-up."""
        super().setUp()
        self.succeed("backup", self.backup)
        self.mark(2)

    def names(self) -> set[str]:
        """The names of the databases' files."""
        return {name for name in os.listdir(self.files.folder) if ".db" in name and not name.endswith(".lock")}

    def assertUnchanged(self, reason: str) -> None:
        """It is refused, and all databases stay as they are."""
        self.assertRefused(reason, "restore", self.backup)
        self.assertEqual(self.marks(), (2, 2))

    def test_restored(self) -> None:
        """The databases are private and as they were; what they replace is kept, each time."""
        lines = self.succeed("restore", self.backup)
        self.assertEqual(lines[0], f"{self.rooms}: restored; what it replaces is {self.rooms}.replaced")
        self.assertEqual(lines[-1], "accounts of localhost: in insecure:, which backup and restore leave alone")
        self.assertEqual(self.marks(), (1, 1))
        self.assertEqual(markOf(f"{self.archive}.replaced"), 2)
        for path in (self.rooms, f"{self.rooms}.replaced"):
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.mark(3)
        self.succeed("restore", self.backup)
        self.assertEqual(self.marks(), (1, 1))
        self.assertEqual((markOf(f"{self.rooms}.replaced"), markOf(f"{self.rooms}.replaced.2")), (2, 3))

    def test_discarded(self) -> None:
        """If that is asked for, nothing is kept."""
        self.succeed("restore", self.backup, "--discard")
        self.assertEqual(self.marks(), (1, 1))
        self.assertEqual(self.names(), {"rooms.db", "archive.db"})

    def test_elsewhere(self) -> None:
        """Databases that are missing are created; a link to one remains a link."""
        os.unlink(self.rooms)
        os.mkdir(self.files.file("disk"))
        os.rename(self.archive, self.files.file("disk/archive.db"))
        os.symlink("disk/archive.db", self.archive)
        self.succeed("restore", self.backup)
        self.assertEqual(self.marks(), (1, 1))
        self.assertTrue(os.path.islink(self.archive))
        self.assertFalse(os.path.exists(f"{self.rooms}.replaced"))

    def test_filesBeside(self) -> None:
        """The journals of a damaged database are kept with it: the server would write them into the new one."""
        with open(self.archive, "wb") as file:
            file.write(b"damaged")
        for end in ("-appended-1", "-appended-4"):
            with open(self.archive + end, "wb") as file:
                file.write(b"left")
        self.succeed("restore", self.backup)
        self.assertEqual(self.marks(), (1, 1))
        kept = {f"archive.db.replaced{end}" for end in ("", "-appended-1", "-appended-4")}
        self.assertEqual(self.names(), {"rooms.db", "archive.db", "rooms.db.replaced", *kept})

    def test_places(self) -> None:
        """Who was in which room is forgotten, since it is about other rooms."""
        for name in ("rooms.db-occupants", "rooms.db-occupants-sessions"):
            with open(self.files.file(name), "wb") as file:
                file.write(b"somebody")
        self.succeed("restore", self.backup, "--discard")
        self.assertEqual(self.names(), {"rooms.db", "archive.db"})

    def test_serverRuns(self) -> None:
        """Nothing is restored under a server, nor under another process that has a database open."""
        path = controlsocket.controlPath(self.settings)
        assert path is not None
        lock, server = controlsocket.takeLock(path), controlsocket.listen(path)
        assert lock is not None
        with lock, server:
            self.assertUnchanged("the server is running; stop it first")
        os.unlink(path)
        with closing(sqlite3.connect(self.archive)) as reader:
            reader.execute("SELECT * FROM mark").fetchall()
            self.assertUnchanged("archive.db: another process uses it")

    def test_otherUser(self) -> None:
        """Root does not restore what belongs to another user, who could not read it then."""
        self.patch(os, "geteuid", lambda: 0)
        status = os.stat(self.rooms)
        changed = os.stat_result((*status[:4], 4711, *status[5:10]))
        self.patch(restore.os, "stat", lambda path: changed)
        self.assertUnchanged("it belongs to the user 4711; run this as that user")

    def test_damaged(self) -> None:
        """A file that is missing, no file, damaged or truncated changes nothing."""
        with open(self.backup, "rb") as file:
            data = file.read()
        for changed in (data[: len(data) // 2], data[:6000] + b"!" + data[6001:], b""):
            with open(self.backup, "wb") as file:
                file.write(changed)
            self.assertUnchanged("back.up: it is")
        os.unlink(self.backup)
        self.assertUnchanged("there is no such file")
        os.mkfifo(self.backup)
        self.assertUnchanged("there is no such file")

    def test_tooNew(self) -> None:
        """A database of a newer muccore is refused."""
        with closing(sqlite3.connect(self.rooms)) as connection:
            connection.execute("UPDATE muccore_schema SET version = 4711")
            connection.commit()
        # Made by the newer one, which knows that version.
        known = snapshot._SCHEMAS
        newer = [Schema("rooms", [()] * 4711) if schema.kind == "rooms" else schema for schema in known]
        self.patch(snapshot, "_SCHEMAS", newer)
        self.succeed("backup", self.backup, "--force")
        self.patch(snapshot, "_SCHEMAS", known)
        self.assertUnchanged("of the back-up: its schema for rooms is version 4711, and this muccore knows only up to")

    def test_full(self) -> None:
        """If the disk is full, nothing is changed."""

        def full(file: int) -> None:
            raise OSError(28, "No space left on device")

        self.patch(restore.os, "fsync", full)
        self.assertUnchanged("it cannot be restored: No space left on device")

    def test_otherConfiguration(self) -> None:
        """What the configuration keeps nowhere, or in several databases, is not restored."""
        self.files.configure(storage={"archive": ""})
        self.assertUnchanged("the back-up has a database for archive; the configuration has none")
        self.files.configure(storage={"archive": "sqlite:archive.db", "audit": "sqlite:audit.db"})
        self.assertUnchanged("and the configuration several")
        self.files.configure(storage={"archive": "sqlite:rooms.db", "audit": ""})
        self.assertUnchanged("several databases for what the configuration keeps in")

    def test_notInBackup(self) -> None:
        """A database that is not in the back-up stays as it is, and is named."""
        self.files.configure(storage={"archive": ""})
        self.succeed("backup", self.backup, "--force")
        self.files.configure(storage={"archive": "sqlite:archive.db"})
        self.mark(3)
        lines = self.succeed("restore", self.backup)
        self.assertIn(f"{self.archive}: not in the back-up, and left as it is", lines)
        self.assertEqual(self.marks(), (2, 3))

    def test_killed(self) -> None:
        """
        Killed after each step, it can be done again; no database is missing or has the journal of another meanwhile.
        """
        journal = f"{self.archive}-appended-1"
        rename, link, unlink = os.rename, os.link, os.unlink
        for step in range(100):
            left = step

            def count(function: Any) -> Any:
                def counted(*arguments: Any) -> None:
                    nonlocal left
                    left -= 1
                    if left < 0:
                        raise SystemExit
                    function(*arguments)

                return counted

            self.mark(2)
            with open(journal, "wb") as file:
                file.write(b"of 2")
            for name, function in (("rename", rename), ("link", link), ("unlink", unlink)):
                self.patch(os, name, count(function))
            try:
                self.runCtl("restore", self.backup)
            except SystemExit:
                pass
            finally:
                for name, function in (("rename", rename), ("link", link), ("unlink", unlink)):
                    self.patch(os, name, function)
            self.assertTrue({*self.marks()} <= {1, 2})
            self.assertFalse(markOf(self.archive) == 1 and os.path.exists(journal))
            if left >= 0:
                break
            self.succeed("restore", self.backup)
            self.assertEqual(self.marks(), (1, 1))
        self.assertGreater(step, 4)
        self.assertEqual(self.marks(), (1, 1))

    def test_onceMore(self) -> None:
        """What is restored already is not replaced by the same."""
        self.succeed("restore", self.backup)
        with open(self.backup, "rb") as file:
            first = BackupReader(file, self.backup).databases[0]
        self.assertEqual(first.size, os.path.getsize(self.rooms))
        lines = self.succeed("restore", self.backup)
        # Neither database was opened as a server does, which marks it as one with a log.
        self.assertEqual(lines[:2], [f"{path}: it is as in the back-up already" for path in (self.rooms, self.archive)])
