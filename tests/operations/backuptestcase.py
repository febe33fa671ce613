# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of back-ups, with small databases."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

from muccore.config.load import load
from muccore.config.schema import Settings
from muccore.storage.sqlite import archiveschema, rooms
from muccore.storage.sqlite.connection import connect
from tests.configuration import ConfigurationFile
from tests.operations.ctltestcase import CtlTestCase

STORAGE = {"affiliations": "sqlite:rooms.db", "archive": "sqlite:archive.db"}
"""Rooms, and what is kept with them, in one database, and an archive in another."""


def setMark(path: str, mark: int) -> None:
    """Let a database contain a number, in its log if it is open."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS mark (number INTEGER)")
        connection.execute("DELETE FROM mark")
        connection.execute("INSERT INTO mark VALUES (?)", (mark,))
        connection.commit()


def markOf(path: str) -> int:
    """The number that a database contains."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT number FROM mark").fetchone()[0])


class BackupTestCase(CtlTestCase):
    """
    A configuration with two databases, which have the mark 1.

    @ivar backup: the path of a back-up that is not there yet.
    """

    def setUp(self) -> None:
        """Create the databases."""
        self.files = ConfigurationFile(self, storage=STORAGE)
        self.configurationPath = self.files.path
        self.rooms, self.archive, self.backup = map(self.files.file, ("rooms.db", "archive.db", "back.up"))
        connect(self.rooms, rooms.SCHEMA, 1).close()
        connect(self.archive, archiveschema.SCHEMA, 1).close()
        self.mark(1)

    def mark(self, mark: int) -> None:
        """Give both databases a mark."""
        setMark(self.rooms, mark)
        setMark(self.archive, mark)

    def marks(self) -> tuple[int, int]:
        """The marks of both databases."""
        return markOf(self.rooms), markOf(self.archive)

    @property
    def settings(self) -> Settings:
        """The configuration."""
        return load(self.files.path)

    def assertRefused(self, reason: str, *arguments: str) -> None:
        """C{muccorectl} fails with one line, which has the reason, and leaves no file behind."""
        before = os.listdir(self.files.folder)
        self.assertRefusal(reason, *arguments)
        lock = {"rooms.db-control.lock"}
        self.assertEqual({*os.listdir(self.files.folder)} - lock, {*before} - lock)
