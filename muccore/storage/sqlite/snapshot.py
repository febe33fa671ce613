# -*- test-case-name: tests.storage.test_sqlite_snapshot -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Databases in back-ups: copies of those in use, checks of copies, and how a copy takes the place of a database."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import count
from typing import Final

from muccore.interfaces import StoreUnavailable
from muccore.storage.archivejournal import FILES, ArchiveJournal
from muccore.storage.files import sync
from muccore.storage.sqlite import archiveschema, audit, pubsub, rooms, rosters, userdata
from muccore.storage.sqlite.accounts import schema as accountsSchema
from muccore.storage.sqlite.archiverows import SQLiteArchiveRows
from muccore.storage.sqlite.backup import connectExisting, copyDatabase
from muccore.storage.sqlite.connection import resultCode, toStoreError
from muccore.storage.sqlite.schema import Schema

_SCHEMAS: Final[Sequence[Schema]] = (
    accountsSchema(None), rooms.SCHEMA, archiveschema.SCHEMA, audit.SCHEMA, rosters.SCHEMA, userdata.SCHEMA,
    pubsub.SCHEMA,
)  # fmt: skip

_LOGS: Final = ("-wal", "-journal", *(f"-appended-{number}" for number in range(1, FILES + 1)))
"""Ends of the names of files that belong to the content of one database, and would change another."""

_INDEX: Final = "-shm"

_IN_USE: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def copyInUse(path: str, to: str) -> dict[str, int]:
    """
    Copy a database that a server may be using to an empty file, with the messages that its archive was given and has
    not yet committed.

    @return: the versions of its schemas, by kind.
    @raise StoreError: if it cannot be copied, is damaged, or was written by a newer muccore.
    """
    # First: what is committed later is in the copy.
    calls = ArchiveJournal(path).read()
    try:
        copyDatabase(path, to)
        versions = readVersions(to, path)
        if not calls:
            return versions
        if versions.get("archive") != len(archiveschema.SCHEMA.migrations):
            raise StoreUnavailable(
                f"{path}: a killed server of an older version has left messages beside it; start the server once, which"
                " writes them, or use the muccorectl of that version"
            )
        with closing(connectExisting(to)) as connection:
            # If this is interrupted, the copy is of no use anyway.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("BEGIN IMMEDIATE")
            SQLiteArchiveRows().replayCalls(connection, calls)
            connection.execute("COMMIT")
    except sqlite3.Error as e:
        raise toStoreError(to if resultCode(e) == sqlite3.SQLITE_FULL else path, e) from None
    return versions


def readVersions(copy: str, name: str) -> dict[str, int]:
    """
    Check a copy, which nobody writes and beside which nothing is written.

    @param name: what errors call it.
    @return: the versions of its schemas, by kind.
    @raise StoreUnavailable: if it is damaged, or a database of another program.
    @raise SchemaTooNew: if a newer muccore has written it.
    """
    try:
        with closing(connectExisting(copy, "mode=ro&immutable=1")) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise StoreUnavailable(f"{name}: it is damaged ({' '.join(str(found).split())})")
            for schema in _SCHEMAS:
                schema.check(connection, name)
            return dict(connection.execute("SELECT purpose, version FROM muccore_schema"))
    except sqlite3.Error as e:
        raise toStoreError(name, e) from None


def takePlace(copy: str, path: str, keep: bool) -> str | None:
    """
    Put a durable copy into the place of a database, if there is one, after L{finishLog}. If the process ends meanwhile,
    it can be done again with another copy.

    @param keep: whether the database remains under another name, with what belongs to it.
    @return: that name, C{PATH.replaced} or C{PATH.replaced.2} and so on; C{None} if nothing was kept.
    @raise OSError: if the folder cannot be written.
    """
    aside = _unused(f"{path}.replaced") if keep and os.path.exists(path) else None
    if aside is not None:
        os.link(path, aside)
    # Before the copy has the name: SQLite would write an old log into it, and the server an old journal.
    for end in (*_LOGS, _INDEX):
        with contextlib.suppress(FileNotFoundError):
            if aside is None or end == _INDEX:
                os.unlink(path + end)
            else:
                os.rename(path + end, aside + end)
    folder = os.path.dirname(path) or "."
    sync(folder)
    os.rename(copy, path)
    sync(folder)
    return aside


def hasLogs(path: str) -> bool:
    """Whether there are files beside a database that change what is in it."""
    return any(os.path.exists(path + end) for end in _LOGS)


def finishLog(path: str) -> None:
    """
    Have SQLite write its log into the database, and remove it; a damaged database is left as it is.

    @raise StoreUnavailable: if a process uses the database.
    """
    if not os.path.exists(path):
        return
    try:
        with closing(connectExisting(path)) as connection:
            # Refused while there is any other connection.
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as e:
        if resultCode(e) in _IN_USE:
            raise StoreUnavailable(f"{path}: another process uses it; end that first") from None


def _unused(name: str) -> str:
    names = (name if number == 1 else f"{name}.{number}" for number in count(1))
    return next(each for each in names if not os.path.lexists(each))
