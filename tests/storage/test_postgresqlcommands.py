# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of the commands under "PostgreSQL" in C{docs/operating.md}."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.storage.postgresql.accounts import PostgreSQLAccounts
from muccore.storage.postgresql.address import parseAddress
from tests.storage.postgres import USER, binaries, missing, server

OPERATING = Path(__file__).resolve().parents[2] / "docs" / "operating.md"


class PostgreSQLCommandsTests(TestCase):
    """The commands run as they stand, with the user of the test."""

    skip = missing()

    def setUp(self) -> None:
        """Let there be no role and no database of these names afterwards."""
        self.server = server()
        for each in ("ROLE IF EXISTS service", "DATABASE IF EXISTS muccore"):
            self.addCleanup(self.server.execute, f"DROP {each}")
        self.folder = tempfile.mkdtemp(dir=self.server.folder)
        section = OPERATING.read_text().split("\n## PostgreSQL\n")[1].split("\n## ")[0]
        self.make, self.backUp, self.restore = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)

    def execute(self, commands: str, typed: str = "") -> None:
        """Run commands in a shell, for the first database user of the server."""
        path = f"{binaries()}{os.pathsep}{os.environ['PATH']}"
        # Without a terminal, passwords are read from standard input.
        done = subprocess.run(
            ["sh", "-e", "-c", commands.replace("sudo -u postgres ", "")],
            cwd=self.folder, input=typed, text=True, capture_output=True, start_new_session=True,
            env={"PATH": path, "PGHOST": "127.0.0.1", "PGPORT": str(self.server.port), "PGUSER": USER},
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)

    def store(self) -> PostgreSQLAccounts:
        """The accounts, as the role that the commands make."""
        address = parseAddress(f"//service@127.0.0.1:{self.server.port}/muccore", FilePath(self.folder))
        return PostgreSQLAccounts(address, reactor)

    async def test_commands(self) -> None:
        """Role and database are those of muccore; a back-up that is restored has the accounts."""
        # The role muccore is the test's own.
        make, count = re.subn("(--pwprompt|--owner) muccore", r"\1 service", self.make)
        self.assertEqual(count, 2)
        self.execute(make, "s3cret\ns3cret\n")
        store = self.store()
        await store.open()
        await store.create("romeo@localhost", "pencil")
        self.execute(self.backUp)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.folder, "muccore.dump")).st_mode), 0o600)
        await store.close()
        self.execute("dropdb muccore")
        self.execute(make.splitlines()[1])
        self.execute(self.restore)
        store = self.store()
        await store.open()
        self.addCleanup(store.close)
        self.assertTrue(await store.checkPassword("romeo@localhost", "pencil"))
