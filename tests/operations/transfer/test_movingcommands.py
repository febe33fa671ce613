# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of the commands in C{docs/moving.md}."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from muccore.config.load import load
from muccore.config.schema import Settings
from muccore.operations.transfer.openstores import opened
from muccore.server.stores import ServerStores
from tests.configuration import ENVIRONMENT, ConfigurationFile
from tests.operations.transfer.transferstores import JULIET, exported, postgresqlPlace, put, sample
from tests.storage.postgres import missing

MOVING = Path(__file__).resolve().parents[3] / "docs" / "moving.md"


class MovingCommandsTests(TestCase):
    """The commands run as they stand, with the program and the configuration of the test."""

    def setUp(self) -> None:
        """Configure databases."""
        self.files = self.configure()
        self.commands = re.findall(r"```sh\n(.*?)```", MOVING.read_text(), re.DOTALL)

    def configure(self) -> ConfigurationFile:
        """Write a configuration with databases that are not there yet."""
        return ConfigurationFile(
            self, auth={"backend": "sqlite:accounts.db"},
            storage={"affiliations": "sqlite:rooms.db", "archive": "sqlite:archive.db"},
        )  # fmt: skip

    async def content(self, settings: Settings) -> bytes:
        """The document of what is stored."""
        stores = ServerStores(settings, reactor)
        async with opened(stores, False):
            return await exported(stores, settings)

    def execute(self, command: str, files: ConfigurationFile) -> str:
        """Run a command in a shell, which has to succeed; return its output."""
        ctl = f"{sys.executable} -m muccore.operations.ctl -c {files.path}"
        done = subprocess.run(
            ["sh", "-c", command.replace("muccorectl", ctl)], cwd=self.files.folder, env=ENVIRONMENT,
            capture_output=True, text=True,
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    async def test_migrate(self) -> None:
        """Everything goes to PostgreSQL, and the same again has nothing to do."""
        migrate, resume = self.commands[3:5]
        self.files.configure(auth={"backend": "sqlite:muccore.db"}, storage={"affiliations": "sqlite:muccore.db"})
        settings = load(self.files.path)
        stores = ServerStores(settings, reactor)
        async with opened(stores, False):
            await put(sample(), stores, settings)
        place = postgresqlPlace(self)
        told = [
            self.execute(command.replace("postgresql://muccore@db.example.org/muccore", place), self.files)
            for command in (migrate, resume)
        ]
        self.assertIn("rooms: 2 copied and compared, SHA-256 ", told[0])
        self.assertEqual(*told)
        before = await self.content(settings)
        self.files.configure(auth={"backend": place}, storage={"affiliations": place})
        self.assertEqual(await self.content(load(self.files.path)), before)

    test_migrate.skip = missing()  # type: ignore[attr-defined]

    async def test_person(self) -> None:
        """What belongs to a person is written, and removed."""
        exportUser, purgeUser = (command.replace("juliet@example.org", JULIET) for command in self.commands[5:7])
        settings = load(self.files.path)
        stores = ServerStores(settings, reactor)
        async with opened(stores, False):
            await put(sample(), stores, settings)
        self.assertIn("an account, 2 rooms with 2 messages", self.execute(exportUser, self.files))
        self.assertIn(f"{JULIET}: deleted", self.execute(purgeUser, self.files))
        self.assertNotIn(b'<user name="juliet"', await self.content(settings))

    async def test_exportAndImport(self) -> None:
        """What is exported comes to another server."""
        export, dryRun, importAll = self.commands[:3]
        settings = load(self.files.path)
        stores = ServerStores(settings, reactor)
        async with opened(stores, False):
            await put(sample(), stores, settings)
        self.assertIn("2 accounts, 2 rooms, 5 messages", self.execute(export, self.files))
        other = self.configure()
        self.assertIn("2 accounts, 2 rooms and 5 messages in archives would come", self.execute(dryRun, other))
        self.assertIn("2 accounts, 2 rooms and 5 messages in archives came", self.execute(importAll, other))
        self.assertEqual(await self.content(load(other.path)), await self.content(settings))
