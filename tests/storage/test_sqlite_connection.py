# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.sqlite.connection}."""

from __future__ import annotations

import os
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import StoreUnavailable
from muccore.storage.sqlite.connection import connect, toStoreError
from tests.storage.databases import SCHEMA, add, sqliteError, words

_NOBODY = 65534


class ConnectTests(SynchronousTestCase):
    """L{connect}"""

    def setUp(self) -> None:
        """Create a folder."""
        self.folder = os.path.abspath(self.mktemp())
        os.mkdir(self.folder)
        self.path = os.path.join(self.folder, "a.db")

    def connect(self, path: str | None = None, timeout: float = 5.0) -> sqlite3.Connection:
        """Connect; the connection is closed after the test."""
        connection = connect(path or self.path, SCHEMA, timeout)
        self.addCleanup(connection.close)
        return connection

    def refusal(self, path: str | None = None, timeout: float = 5.0) -> str:
        """The error of connecting, one line that names the file."""
        line = str(self.assertRaises(StoreUnavailable, connect, path or self.path, SCHEMA, timeout))
        self.assertTrue(line.startswith(f"{path or self.path}: "), line)
        self.assertNotIn("\n", line)
        return line

    def mode(self, path: str) -> int:
        """A file's permissions."""
        return stat.S_IMODE(os.stat(path).st_mode)

    def test_private(self) -> None:
        """A new database, its log, its index and its folders are private to their owner, whatever the umask."""
        self.addCleanup(os.umask, os.umask(0))
        path = os.path.join(self.folder, "var", "lib", "a.db")
        add("a")(self.connect(path))
        self.assertEqual([self.mode(path + suffix) for suffix in ("", "-wal", "-shm")], [0o600] * 3)
        self.assertEqual(self.mode(os.path.dirname(path)), 0o700)
        self.assertEqual(self.mode(os.path.dirname(os.path.dirname(path))), 0o700)

    def test_permissionsKept(self) -> None:
        """The permissions of an existing database are kept."""
        self.connect().close()
        os.chmod(self.path, 0o640)
        self.connect()
        self.assertEqual(self.mode(self.path), 0o640)

    def test_emptyFile(self) -> None:
        """An empty file becomes a database."""
        open(self.path, "wb").close()
        self.assertEqual(words(self.connect()), [])

    def test_folder(self) -> None:
        """A folder is refused."""
        self.assertIn("it is a folder", self.refusal(self.folder))

    def test_underFile(self) -> None:
        """A path below a file is refused."""
        open(self.path, "wb").close()
        self.assertIn("Not a directory", self.refusal(os.path.join(self.path, "b.db")))
        self.assertIn("cannot be created", self.refusal(os.path.join(self.path, "b", "c.db")))

    def test_notADatabase(self) -> None:
        """A file of another kind is refused and left as it is."""
        content = b"This is certainly not an SQLite database.\n" * 100
        with open(self.path, "wb") as file:
            file.write(content)
        self.assertIn("not an SQLite database; name another file", self.refusal())
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), content)

    def test_corrupt(self) -> None:
        """A damaged database is refused."""
        add("a")(connection := self.connect())
        connection.close()
        with open(self.path, "r+b") as file:
            file.seek(100)
            file.write(b"\xff" * 3900)
        self.assertIn("it is damaged; put a backup in its place", self.refusal())

    def test_anotherProgram(self) -> None:
        """Another program's database is refused and unchanged, its journal mode included."""
        other = sqlite3.connect(self.path)
        other.execute("CREATE TABLE bookmark (url TEXT)")
        other.close()
        with open(self.path, "rb") as file:
            content = file.read()
        self.assertIn("another program", self.refusal())
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), content)

    def test_locked(self) -> None:
        """A database that another process locks for longer than the timeout is refused."""
        self.connect().close()
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        self.assertIn("locked by another process", self.refusal(timeout=0.02))
        other.execute("COMMIT")
        self.assertEqual(words(self.connect()), [])

    def test_lockedNew(self) -> None:
        """A database that another process is creating is refused too."""
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN EXCLUSIVE")
        self.assertIn("locked by another process", self.refusal(timeout=0.02))

    def test_togetherNew(self) -> None:
        """Several connections can create a database at once."""

        def fill(n: int) -> None:
            connection = connect(path, SCHEMA, 30.0)
            add(f"word {n}")(connection)
            connection.close()

        with ThreadPoolExecutor(4) as pool:
            for turn in range(10):
                path = os.path.join(self.folder, f"{turn}.db")
                list(pool.map(fill, range(4)))
                self.assertEqual(len(words(self.connect(path))), 4)

    def test_lockedSwitching(self) -> None:
        """Switching to the write-ahead log is retried until the timeout, since SQLite does not wait for it."""
        busy = [sqliteError(sqlite3.SQLITE_BUSY, "database is locked")] * 3

        class Switching(sqlite3.Connection):
            """Finds the database locked when it changes the journal mode."""

            def execute(self, sql: str, *arguments: object) -> sqlite3.Cursor:
                if "journal_mode" in sql and busy:
                    raise busy.pop()
                return super().execute(sql, *arguments)

        connect(self.path, SCHEMA, 5.0, Switching).close()
        self.assertEqual(busy, [])
        busy += [sqliteError(sqlite3.SQLITE_BUSY, "database is locked")] * 3
        refusal = self.assertRaises(StoreUnavailable, connect, self.path, SCHEMA, 0.0, Switching)
        self.assertIn("locked by another process", str(refusal))

    def test_noPermission(self) -> None:
        """If the file, its folder or a new folder cannot be written, the error asks for permission."""
        self.connect().close()
        os.chmod(self.path, 0o444)
        os.chmod(self.folder, 0o555)
        self.addCleanup(os.chmod, self.folder, 0o755)
        if os.geteuid() == 0:
            # Root may do everything: run as nobody.
            os.seteuid(_NOBODY)
            self.addCleanup(os.seteuid, 0)
        for path in (self.path, os.path.join(self.folder, "b.db"), os.path.join(self.folder, "b", "c.db")):
            self.assertIn("give the server's user permission", self.refusal(path))

    def test_noWAL(self) -> None:
        """A place where no write-ahead log is possible is refused."""

        class Elsewhere(sqlite3.Connection):
            """Has no write-ahead log."""

            def execute(self, sql: str, *arguments: object) -> sqlite3.Cursor:
                return super().execute("SELECT 'delete'" if "journal_mode" in sql else sql, *arguments)

        refusal = self.assertRaises(StoreUnavailable, connect, self.path, SCHEMA, 5.0, Elsewhere)
        self.assertIn("local disk", str(refusal))


class ErrorTests(SynchronousTestCase):
    """L{toStoreError}"""

    def test_extendedCodes(self) -> None:
        """An extended result code is explained like its primary one."""
        line = str(toStoreError("/a.db", sqliteError(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error")))
        self.assertEqual(line, "/a.db: the disk has failed or is full; check the disk (disk I/O error)")

    def test_others(self) -> None:
        """Other errors have SQLite's text."""
        self.assertEqual(str(toStoreError("/a.db", sqliteError(1, "no such table: x"))), "/a.db: no such table: x")
        self.assertEqual(str(toStoreError("/a.db", sqlite3.ProgrammingError("odd"))), "/a.db: odd")
