# -*- test-case-name: tests.operations.test_backup -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{muccorectl backup}: copies of all databases in one file, also while the server runs (design/0033)."""

from __future__ import annotations

import argparse
import os
import time
from typing import BinaryIO, Final

from muccore import __version__
from muccore.config.schema import Settings
from muccore.operations.backupfile import SavedDatabase, addMember, finish
from muccore.operations.newfile import UNFINISHED, newFile
from muccore.operations.refused import Refused
from muccore.server.stores import permanent
from muccore.storage.files import createPrivate
from muccore.storage.sqlite.snapshot import copyInUse

NAME: Final = "backup"
HELP: Final = "copy all databases to one file, whether the server runs or not"


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    parser.add_argument("file", metavar="FILE", help="the file to write, which only its owner can read")
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")


def findDatabases(settings: Settings) -> tuple[dict[str, list[str]], list[str]]:
    """
    What is kept where.

    @return: the paths of databases, each with its purposes, and a line for each purpose that has none.
    """
    databases: dict[str, list[str]] = {}
    others: list[str] = []
    for purpose, description in permanent(settings):
        scheme, _, argument = description.partition(":")
        if scheme == "sqlite":
            path = os.path.realpath(os.path.join(settings.base.path, argument))
            databases.setdefault(path, []).append(purpose)
        else:
            # What follows may have a password in it.
            others.append(f"{purpose}: in {scheme}:, which backup and restore leave alone")
    return databases, others


def writeBackup(settings: Settings, options: argparse.Namespace) -> list[str]:
    """
    Write a back-up. It has the name only when it is complete and durable.

    @return: what was done, and a line for each store that is not in it.
    @raise Refused: if the file exists or cannot be written, or there is nothing to back up.
    @raise StoreError: if a database cannot be read.
    """
    path = os.path.abspath(options.file)
    databases, others = findDatabases(settings)
    if not databases:
        raise Refused("no database is configured that could be backed up")
    if os.path.realpath(path) in databases:
        raise Refused(f"{path}: it is a database of the server; name another file")
    for database in databases:
        if not os.path.exists(database):
            raise Refused(f"{database}: there is no such database; start the server once, which creates it")
    begun = int(time.time())
    unfinished = path + UNFINISHED
    with newFile(path, options.force) as file:
        saved = [
            _add(file, f"database-{number}.db", database, purposes, unfinished + ".db", begun)
            for number, (database, purposes) in enumerate(databases.items(), 1)
        ]
        finish(file, saved, __version__, begun)
    size = sum(database.size for database in saved)
    listed = [f"{path}: {name}, {', '.join(purposes)}" for name, purposes in databases.items()]
    return [*listed, f"{path}: written, {size} bytes of databases", *others]


def _add(file: BinaryIO, name: str, database: str, purposes: list[str], copy: str, begun: int) -> SavedDatabase:
    """Append a database, by a copy of it that is removed again."""
    os.close(createPrivate(copy))
    try:
        schemas = copyInUse(database, copy)
        with open(copy, "rb") as source:
            size = os.fstat(source.fileno()).st_size
            digest = addMember(file, name, source, size, begun)
    finally:
        os.unlink(copy)
    return SavedDatabase(name, purposes, schemas, size, digest)
