# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of the commands under "Back-up" in C{docs/operating.md}."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

from tests.configuration import ENVIRONMENT
from tests.operations.backuptestcase import BackupTestCase

OPERATING = Path(__file__).resolve().parents[2] / "docs" / "operating.md"


class BackupCommandsTests(BackupTestCase):
    """The commands run as they stand, with folders, user, program and configuration of the test."""

    def setUp(self) -> None:
        """Make the folders."""
        super().setUp()
        self.root = Path(self.files.folder)
        for folder in ("var/backups/muccore", "etc/muccore/tls"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "etc/muccore/tls/privkey.pem").write_text("key")
        section = OPERATING.read_text().split("\n## Back-up\n")[1].split("\n## ")[0]
        self.backUp, self.backUpConfiguration, self.restore = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)

    def execute(self, command: str, umask: int = 0o022) -> int:
        """Run a command in a shell. @return: its exit status."""
        ctl = f"{sys.executable} -m muccore.operations.ctl"
        command = command.replace("runuser -u muccore -- ", "").replace("/opt/muccore/bin/muccorectl", ctl)
        command = command.replace("/etc/muccore/server.cfg", self.files.path)
        command = re.sub(r"(?<= )/(?=(?:var|etc)\b)", f"{self.root}/", command)
        done = subprocess.run(["sh", "-c", command], umask=umask, env=ENVIRONMENT, capture_output=True)
        return done.returncode

    def mode(self, path: str) -> int:
        """The permissions of a file."""
        return stat.S_IMODE(os.stat(self.root / path).st_mode)

    def test_backUpAndRestore(self) -> None:
        """A later back-up replaces one before; what is restored is the last one."""
        for mark in (4, 5):
            self.mark(mark)
            self.assertEqual(self.execute(self.backUp), 0)
        self.assertEqual(self.mode("var/backups/muccore/muccore.tar"), 0o600)
        self.mark(6)
        self.assertEqual(self.execute(self.restore), 0)
        self.assertEqual(self.marks(), (5, 5))
        self.assertEqual(self.mode("rooms.db"), 0o600)

    def test_noDatabase(self) -> None:
        """Without a database it fails, keeps the back-up there is, and creates no database."""
        copy = self.root / "var/backups/muccore/muccore.tar"
        copy.write_text("before")
        os.unlink(self.rooms)
        self.assertNotEqual(self.execute(self.backUp), 0)
        self.assertEqual(copy.read_text(), "before")
        self.assertFalse(os.path.exists(self.rooms))

    def test_configuration(self) -> None:
        """The archive of the configuration is private and holds the certificate's key."""
        self.assertEqual(self.execute(self.backUpConfiguration), 0)
        self.assertEqual(self.mode("var/backups/muccore-etc.tar.gz"), 0o600)
        listed = subprocess.check_output(["tar", "-tzf", self.root / "var/backups/muccore-etc.tar.gz"], text=True)
        self.assertIn("muccore/tls/privkey.pem", listed)
