# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.operations.backup}."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import tarfile
from contextlib import closing

from muccore.operations import backup, backupfile
from muccore.operations.backupfile import BackupReader
from muccore.operations.refused import Refused
from muccore.server.stores import permanent
from muccore.storage.registry import KINDS
from tests.operations.backuptestcase import BackupTestCase


class BackupTests(BackupTestCase):
    """C{muccorectl backup}."""

    def saved(self) -> dict[str, list[str]]:
        """The databases in the back-up, with their purposes."""
        with open(self.backup, "rb") as file:
            return {each.name: each.purposes for each in BackupReader(file, self.backup).databases}

    def test_written(self) -> None:
        """It is a private tar file with each database once; what is not in it is named, without its password."""
        lines = self.succeed("backup", self.backup)
        kept = ["userdata of localhost", "pubsub of localhost", "rooms", "audit", "rosters"]
        self.assertEqual(self.saved(), {"database-1.db": kept, "database-2.db": ["archive"]})
        self.assertEqual(stat.S_IMODE(os.stat(self.backup).st_mode), 0o600)
        self.assertEqual(lines[0], f"{self.backup}: {self.rooms}, {', '.join(kept)}")
        self.assertEqual(lines[-1], "accounts of localhost: in insecure:, which backup and restore leave alone")
        with tarfile.open(self.backup) as tar:
            self.assertEqual(tar.getnames(), ["database-1.db", "database-2.db", "manifest.json"])
        self.assertNotIn("back.up.new", os.listdir(self.files.folder))

    def test_allKinds(self) -> None:
        """
        Every kind of store is backed up or named, but for who is in which room; with all databases in one file, too.
        """
        self.files.configure(
            auth={"backend": "sqlite:accounts.db"}, upload={"store": "files:uploads"},
            http={"listen": "tcp:0:interface=127.0.0.1", "public_url": "https://chat.example"},
        )  # fmt: skip
        self.assertEqual(
            backup.findDatabases(self.settings)[0][self.files.file("accounts.db")],
            ["accounts of localhost", "userdata of localhost", "pubsub of localhost"],
        )
        kinds = {purpose.split()[0] for purpose, _ in permanent(self.settings)}
        self.assertEqual(kinds, {*KINDS} - {"occupants"})
        every = ["audit", "rosters", "userdata", "pubsub"]
        self.files.configure(storage={key: f"sqlite:{key}.db" for key in every})
        databases, others = backup.findDatabases(self.settings)
        for key in every:
            (purpose,) = databases[self.files.file(f"{key}.db")]
            self.assertEqual(purpose.split()[0], key)
        self.assertEqual(others, ["uploads: in files:, which backup and restore leave alone"])

    def test_inUse(self) -> None:
        """What stands in the write-ahead log only is in it; an open transaction is not, and is not disturbed."""
        with closing(sqlite3.connect(self.rooms)) as writer:
            writer.execute("UPDATE mark SET number = 7")
            writer.commit()
            writer.execute("UPDATE mark SET number = 8")
            self.succeed("backup", self.backup)
            writer.commit()
        self.mark(9)
        self.succeed("restore", self.backup)
        self.assertEqual(self.marks(), (7, 1))

    def test_exists(self) -> None:
        """A file is replaced only if that is asked for, and never a database."""
        with open(self.backup, "w") as file:
            file.write("before")
        self.assertRefused("it exists", "backup", self.backup)
        self.assertRefused("it is a database of the server", "backup", self.archive, "--force")
        with open(self.backup) as file:
            self.assertEqual(file.read(), "before")
        self.succeed("backup", self.backup, "--force")
        self.assertEqual(len(self.saved()), 2)

    def test_killed(self) -> None:
        """What a killed process has left is replaced; what a running one writes is not."""
        for name in (".new", ".new.db"):
            with open(self.backup + name, "w") as file:
                file.write("left")
        self.succeed("backup", self.backup)
        self.assertEqual(sorted(self.saved()), ["database-1.db", "database-2.db"])
        with open(self.backup + ".new", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.assertRefused("another process is writing it", "backup", self.backup, "--force")

    def test_failing(self) -> None:
        """Without a folder, a database or space, there is one line, and nothing is left; an older back-up stays."""
        self.assertRefused("No such file", "backup", self.files.file("no/folder"))
        self.succeed("backup", self.backup)
        before = self.saved()

        def full(*arguments: object) -> str:
            raise OSError(28, "No space left on device")

        self.patch(backup, "addMember", full)
        self.assertRefused("it cannot be written: No space left", "backup", self.backup, "--force")
        self.assertEqual(self.saved(), before)
        os.unlink(self.archive)
        self.assertRefused("archive.db: there is no such database", "backup", self.files.file("other"))

    def test_interrupted(self) -> None:
        """Ctrl-C leaves nothing behind."""

        def interrupt(*arguments: object) -> str:
            raise KeyboardInterrupt

        self.patch(backup, "addMember", interrupt)
        self.assertRefused("interrupted", "backup", self.backup)

    def test_damaged(self) -> None:
        """A damaged database is not backed up."""
        with open(self.archive, "r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * 4096)
        self.assertRefused("archive.db: it is damaged", "backup", self.backup)

    def test_nothing(self) -> None:
        """Without any database there is no back-up."""
        self.files.configure(storage={"affiliations": "memory:", "archive": ""})
        self.assertRefused("no database is configured", "backup", self.backup)

    def test_constantMemory(self) -> None:
        """A database is copied in pieces, and has to be as long as it was said to be."""
        with open(self.archive, "rb") as source, open(self.backup, "wb") as file:
            self.patch(backupfile, "_CHUNK", 100)
            with self.assertRaises(Refused):
                backupfile.addMember(file, "x", source, os.path.getsize(self.archive) + 1, 0)
            self.assertEqual(file.tell(), 512 + os.path.getsize(self.archive))
