# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of the commands under "Back-up" in C{docs/operating.md}."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

OPERATING = Path(__file__).resolve().parents[2] / "docs" / "operating.md"


class BackupTests(SynchronousTestCase):
    """The commands run as they stand, with folders, user and interpreter of the test."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        for folder in ("var/lib/muccore", "var/backups", "etc/muccore/tls"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "etc/muccore/tls/privkey.pem").write_text("key")
        self.database = self.root / "var/lib/muccore/muccore.db"
        section = OPERATING.read_text().split("\n## Back-up\n")[1].split("\n## ")[0]
        self.backUp, self.restore, self.backUpConfiguration = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)

    def run_(self, command: str, umask: int = 0o022) -> int:
        """Run a command in a shell. @return: its exit status."""
        command = re.sub(r"/(?=(?:var|etc)\b)", f"{self.root}/", command).replace("python3", sys.executable)
        command = command.replace("-o muccore -g muccore ", "")
        return subprocess.run(["sh", "-c", command], umask=umask, stderr=subprocess.DEVNULL).returncode

    def writeDatabase(self) -> sqlite3.Connection:
        """Write a database with a row that stands in its write-ahead log only, while the connection is open."""
        writer = sqlite3.connect(self.database)
        self.addCleanup(writer.close)
        writer.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)")
        return writer

    def rows(self, path: Path) -> list[tuple[int]]:
        """The rows of a database."""
        reader = sqlite3.connect(path)
        self.addCleanup(reader.close)
        return reader.execute("SELECT x FROM t").fetchall()

    def mode(self, path: str) -> int:
        """The permissions of a file."""
        return stat.S_IMODE(os.stat(self.root / path).st_mode)

    def test_backUp(self) -> None:
        """The copy of a database in use is whole and private, and replaces the one before."""
        writer = self.writeDatabase()
        for expected in ([(1,)], [(1,), (2,)]):
            self.assertEqual(self.run_(self.backUp), 0)
            self.assertEqual(self.rows(self.root / "var/backups/muccore.db"), expected)
            self.assertEqual(self.mode("var/backups/muccore.db"), 0o600)
            writer.execute("INSERT INTO t VALUES (2)")
            writer.commit()

    def test_noDatabase(self) -> None:
        """Without a database it fails, keeps the copy there is, and creates no database."""
        copy = self.root / "var/backups/muccore.db"
        copy.write_text("before")
        self.assertNotEqual(self.run_(self.backUp), 0)
        self.assertEqual(copy.read_text(), "before")
        self.assertFalse(self.database.exists())

    def test_restore(self) -> None:
        """The copy takes the place of a database, whose log of later changes goes."""
        writer = self.writeDatabase()
        self.run_(self.backUp)
        writer.execute("INSERT INTO t VALUES (2)")
        writer.commit()
        self.assertEqual(self.run_(self.restore), 0)
        self.assertEqual(self.rows(self.database), [(1,)])
        self.assertEqual(self.mode("var/lib/muccore/muccore.db"), 0o600)

    def test_configuration(self) -> None:
        """The archive of the configuration is private and holds the certificate's key."""
        self.assertEqual(self.run_(self.backUpConfiguration), 0)
        self.assertEqual(self.mode("var/backups/muccore-etc.tar.gz"), 0o600)
        listed = subprocess.check_output(["tar", "-tzf", self.root / "var/backups/muccore-etc.tar.gz"], text=True)
        self.assertIn("muccore/tls/privkey.pem", listed)
