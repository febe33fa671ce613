# -*- test-case-name: tests.storage.test_sqlite_connection -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Opening a database file, and saying in one line what is wrong with it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from muccore.interfaces import StoreUnavailable
from muccore.storage.sqlite.schema import Schema

_ADVICE: Final = {
    sqlite3.SQLITE_BUSY: "it stays locked by another process; wait for that to finish, or end it",
    sqlite3.SQLITE_LOCKED: "it stays locked by another process; wait for that to finish, or end it",
    sqlite3.SQLITE_NOTADB: "it is not an SQLite database; name another file, or put a backup in its place",
    sqlite3.SQLITE_CORRUPT: "it is damaged; put a backup in its place",
    sqlite3.SQLITE_FULL: "the disk is full; make room on it",
    sqlite3.SQLITE_IOERR: "the disk has failed or is full; check the disk",
    sqlite3.SQLITE_READONLY: "it may not be written; give the server's user permission to write it and its folder",
    sqlite3.SQLITE_PERM: "it may not be written; give the server's user permission to write it and its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; give the server's user permission to write it and its folder",
}
"""SQLite's primary result codes, and what to tell the operator."""

_RETRY: Final = 0.01
"""Seconds between tries where SQLite does not wait by itself."""

_creating: Final = threading.Lock()

_T = TypeVar("_T")


def toStoreError(path: str, error: sqlite3.Error) -> StoreUnavailable:
    """The line for the operator about what SQLite did not do."""
    advice = _ADVICE.get(_code(error))
    return StoreUnavailable(f"{path}: {advice} ({error})" if advice else f"{path}: {error}")


def connect(
    path: str, schema: Schema, patience: float, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    """
    Open a database, made if it is not there, with its tables up to date and every commit synchronous. It belongs to
    the thread that calls.

    @param patience: seconds to wait for locks of other processes, here and in whatever the connection does later.
    @raise StoreUnavailable: with a line that names the file, the trouble and what to do.
    @raise SchemaTooNew: likewise.
    """
    _create(path)
    connection = None
    try:
        connection = sqlite3.connect(path, timeout=patience, isolation_level=None, factory=factory)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        # Before the journal is touched: the file may belong to somebody else.
        schema.check(connection, path)
        mode = _retryWhileBusy(lambda: _useWAL(connection), patience)
        if mode != "wal":
            raise StoreUnavailable(
                f"{path}: it cannot keep a write-ahead log there (journal mode {mode}); name a file on a local disk"
            )
        schema.migrate(connection, path)
    except BaseException as e:
        if connection is not None:
            connection.close()
        if isinstance(e, sqlite3.Error):
            raise toStoreError(path, e) from e
        raise
    return connection


def _useWAL(connection: sqlite3.Connection) -> str:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    return str(mode)


def _retryWhileBusy(work: Callable[[], _T], patience: float) -> _T:
    """
    Try again while the database is locked: switching to the write-ahead log does not wait by itself when two
    connections do it at once.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return work()
        except sqlite3.OperationalError as e:
            if _code(e) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY)


def _code(error: sqlite3.Error) -> int:
    # An extended result code has the primary one in its low byte.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _create(path: str) -> None:
    """
    Make the file and its folders, readable by their owner alone. A file that is there is left as it is.

    SQLite gives its log and its index the same permissions. The lock is because closing a file drops all locks that
    this process has on it, SQLite's too: nobody may connect between our opening and our closing it.
    """
    try:
        _makeFolders(os.path.dirname(path))
        with _creating:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if os.path.isdir(path):
            raise StoreUnavailable(f"{path}: it is a folder; name a file in it") from None
    except OSError as e:
        raise StoreUnavailable(
            f"{path}: it cannot be made ({e.strerror}); make its folder and give the server's user permission to write"
        ) from None


def _makeFolders(folder: str) -> None:
    if not os.path.isdir(folder):
        _makeFolders(os.path.dirname(folder))
        # If it is there: made meanwhile, or something else has that name, and then making the file tells.
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
