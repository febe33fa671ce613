# -*- test-case-name: tests.storage.test_sqlite_backup -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Copies of a database file: those made before its tables are migrated, and those for back-ups."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from itertools import count
from typing import Any
from urllib.parse import quote

from muccore.interfaces import StoreUnavailable
from muccore.storage.files import sync


def backUp(path: str, label: str) -> str:
    """
    Copy a database to a new file beside it, readable by its owner only and never in place of another one. The copy is
    durable when this returns; if the process ends before, there is no file of the final name.

    @param path: the file, which the caller has locked against writes.
    @param label: part of the file's name.
    @return: the file, C{PATH.LABEL.bak} or C{PATH.LABEL.2.bak} and so on.
    @raise StoreUnavailable: if it cannot be written.
    """
    unfinished = f"{path}.{label}.bak.new"
    try:
        # One that an earlier process did not finish.
        with suppress(FileNotFoundError):
            os.unlink(unfinished)
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            copyDatabase(path, unfinished)
            sync(unfinished, os.O_RDWR)
            name = _linkUnused(unfinished, f"{path}.{label}")
        finally:
            os.unlink(unfinished)
        sync(os.path.dirname(name) or ".")
    except (OSError, sqlite3.Error) as e:
        reason = e.strerror if isinstance(e, OSError) else str(e)
        raise StoreUnavailable(
            f"{path}: it cannot be copied to {unfinished} before its tables are migrated ({reason}); make room for the "
            "copy, and give the server's user permission to write the folder"
        ) from None
    return name


def connectExisting(path: str, parameters: str = "mode=rw", **options: Any) -> sqlite3.Connection:
    """
    Connect to a database without creating it.

    @param parameters: those of SQLite's URIs.
    @param options: further arguments of C{sqlite3.connect}.
    """
    address = f"file:{quote(os.path.abspath(path))}?{parameters}"
    connection: sqlite3.Connection = sqlite3.connect(address, uri=True, isolation_level=None, **options)
    return connection


def copyDatabase(path: str, to: str) -> None:
    """
    Copy a database, as it is at one moment, to an empty file; others may read and write it meanwhile.

    @raise sqlite3.Error: if it cannot be read, or the copy not be written.
    """
    # A connection of its own: SQLite does not copy from one that has begun to write.
    with closing(connectExisting(path)) as original, closing(connectExisting(to)) as copy:
        # Without a journal, of which a killed process would leave a part.
        copy.execute("PRAGMA journal_mode = OFF")
        # All pages are of this transaction. Without it, a locked database would be waited for without end.
        original.execute("BEGIN")
        original.execute("SELECT count(*) FROM sqlite_master").fetchone()
        original.backup(copy)


def _linkUnused(file: str, name: str) -> str:
    """Give a file the first unused of the possible names."""
    for number in count(1):
        free = f"{name}.bak" if number == 1 else f"{name}.{number}.bak"
        with suppress(FileExistsError):
            os.link(file, free)
            return free
    raise AssertionError("unreachable")
