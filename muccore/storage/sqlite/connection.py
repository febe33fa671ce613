# -*- test-case-name: tests.storage.test_sqlite_connection -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Connections to a database file, and one-line explanations of its errors."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from muccore.interfaces import StoreUnavailable
from muccore.storage.files import makeFolders
from muccore.storage.sqlite.backup import connectExisting
from muccore.storage.sqlite.schema import Schema

_ADVICE: Final = {
    sqlite3.SQLITE_BUSY: "it is locked by another process; wait for that to finish, or end it",
    sqlite3.SQLITE_LOCKED: "it is locked by another process; wait for that to finish, or end it",
    sqlite3.SQLITE_NOTADB: "it is not an SQLite database; name another file, or put a backup in its place",
    sqlite3.SQLITE_CORRUPT: "it is damaged; put a backup in its place",
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_IOERR: "the disk has failed or is full; check the disk",
    sqlite3.SQLITE_READONLY: "it may not be written; give the server's user permission to write it and its folder",
    sqlite3.SQLITE_PERM: "it may not be written; give the server's user permission to write it and its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; give the server's user permission to write it and its folder",
}
"""SQLite's primary result codes, and the line for the operator."""

_RETRY: Final = 0.01
"""Seconds between tries if SQLite does not wait by itself."""

_creating: Final = threading.Lock()

_T = TypeVar("_T")


def toStoreError(path: str, error: sqlite3.Error) -> StoreUnavailable:
    """Explain an SQLite error to the operator."""
    advice = _ADVICE.get(resultCode(error))
    return StoreUnavailable(f"{path}: {advice} ({error})" if advice else f"{path}: {error}")


def connect(
    path: str, schema: Schema, timeout: float, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    """
    Open or create a database, migrate its tables, and make commits synchronous. Only the calling thread may use the
    connection.

    @param timeout: seconds to wait for locks of other processes, now and later.
    @raise StoreUnavailable: with a line that names the file, the problem and what to do.
    @raise SchemaTooNew: likewise.
    """
    _create(path)
    connection = None
    try:
        connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, factory=factory)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        # What is deleted is overwritten in the file.
        connection.execute("PRAGMA secure_delete = ON")
        # Before the journal mode is changed: the file may belong to another program.
        schema.check(connection, path)
        mode = _retryWhileBusy(lambda: _useWAL(connection), timeout)
        if mode != "wal":
            raise StoreUnavailable(
                f"{path}: no write-ahead log is possible there (journal mode {mode}); name a file on a local disk"
            )
        schema.migrate(connection, path)
    except BaseException as e:
        if connection is not None:
            connection.close()
        if isinstance(e, sqlite3.Error):
            raise toStoreError(path, e) from e
        raise
    return connection


def connectReader(
    path: str, timeout: float, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    """
    Connect to a database that L{connect} has opened, for reads only.

    @raise StoreUnavailable: with a line that names the file.
    """
    try:
        connection = connectExisting(path, timeout=timeout, factory=factory)
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as e:
        raise toStoreError(path, e) from e
    return connection


def _useWAL(connection: sqlite3.Connection) -> str:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    return str(mode)


def _retryWhileBusy(work: Callable[[], _T], timeout: float) -> _T:
    """Retry: SQLite does not wait if two connections switch to the write-ahead log at once."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return work()
        except sqlite3.OperationalError as e:
            if resultCode(e) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY)


def resultCode(error: sqlite3.Error) -> int:
    # An extended result code has the primary one in its low byte.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _create(path: str) -> None:
    """
    Create the file and its folders, readable by their owner only, if missing. SQLite's log and index get the same
    permissions.

    Closing a file drops all locks of this process on it, SQLite's too, so no other thread may connect meanwhile.
    """
    try:
        makeFolders(os.path.dirname(path))
        with _creating:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if os.path.isdir(path):
            raise StoreUnavailable(f"{path}: it is a folder; name a file in it") from None
    except OSError as e:
        raise StoreUnavailable(
            f"{path}: it cannot be created ({e.strerror}); give the server's user permission to write its folder"
        ) from None
