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
    """Opening a database file."""

    def setUp(self) -> None:
        """A folder without a file."""
        self.folder = os.path.abspath(self.mktemp())
        os.mkdir(self.folder)
        self.path = os.path.join(self.folder, "a.db")

    def connect(self, path: str | None = None, timeout: float = 5.0) -> sqlite3.Connection:
        """A connection that will be closed."""
        connection = connect(path or self.path, SCHEMA, timeout)
        self.addCleanup(connection.close)
        return connection

    def refusal(self, path: str | None = None, timeout: float = 5.0) -> str:
        """What opening is refused with: one line that names the file."""
        line = str(self.assertRaises(StoreUnavailable, connect, path or self.path, SCHEMA, timeout))
        self.assertTrue(line.startswith(f"{path or self.path}: "), line)
        self.assertNotIn("\n", line)
        return line

    def mode(self, path: str) -> int:
        """A file's permissions."""
        return stat.S_IMODE(os.stat(path).st_mode)

    def test_private(self) -> None:
        """
        A new database, its log and its index can be read by their owner alone, and so can folders made for them,
        whatever the umask.
        """
        self.addCleanup(os.umask, os.umask(0))
        path = os.path.join(self.folder, "var", "lib", "a.db")
        add("a")(self.connect(path))
        self.assertEqual([self.mode(path + suffix) for suffix in ("", "-wal", "-shm")], [0o600] * 3)
        self.assertEqual(self.mode(os.path.dirname(path)), 0o700)
        self.assertEqual(self.mode(os.path.dirname(os.path.dirname(path))), 0o700)

    def test_permissionsKept(self) -> None:
        """The permissions of a database that is there are its operator's business."""
        self.connect().close()
        os.chmod(self.path, 0o640)
        self.connect()
        self.assertEqual(self.mode(self.path), 0o640)

    def test_emptyFile(self) -> None:
        """An empty file becomes a database."""
        open(self.path, "wb").close()
        self.assertEqual(words(self.connect()), [])

    def test_folder(self) -> None:
        """A folder is no database."""
        self.assertIn("it is a folder", self.refusal(self.folder))

    def test_underFile(self) -> None:
        """Nothing can be made where a folder of the path is a file."""
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
        """Another program's database is refused and left as it is, its journal mode too."""
        other = sqlite3.connect(self.path)
        other.execute("CREATE TABLE bookmark (url TEXT)")
        other.close()
        with open(self.path, "rb") as file:
            content = file.read()
        self.assertIn("another program", self.refusal())
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), content)

    def test_locked(self) -> None:
        """A database that another process keeps locked for longer than our timeout is refused."""
        self.connect().close()
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        self.assertIn("locked by another process", self.refusal(timeout=0.02))
        other.execute("COMMIT")
        self.assertEqual(words(self.connect()), [])

    def test_lockedNew(self) -> None:
        """So is one that another process is just making."""
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN EXCLUSIVE")
        self.assertIn("locked by another process", self.refusal(timeout=0.02))

    def test_togetherNew(self) -> None:
        """Several connections can make one database at once: none fails for another, none makes it twice."""

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
        """
        Switching to the write-ahead log, for which SQLite does not wait when another connection is at it, is tried
        again, as long as our timeout lasts.
        """
        busy = [sqliteError(sqlite3.SQLITE_BUSY, "database is locked")] * 3

        class Switching(sqlite3.Connection):
            """Finds the database locked when it switches the journal."""

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
        """
        Where the server's user may not write, whether the file, its folder or what would be its folder, the line asks
        for permission.
        """
        self.connect().close()
        os.chmod(self.path, 0o444)
        os.chmod(self.folder, 0o555)
        self.addCleanup(os.chmod, self.folder, 0o755)
        if os.geteuid() == 0:
            # Nothing is forbidden to root: be nobody for a while.
            os.seteuid(_NOBODY)
            self.addCleanup(os.seteuid, 0)
        for path in (self.path, os.path.join(self.folder, "b.db"), os.path.join(self.folder, "b", "c.db")):
            self.assertIn("give the server's user permission", self.refusal(path))

    def test_noLogAhead(self) -> None:
        """Where SQLite cannot keep a write-ahead log, opening is refused, not done with less."""

        class Elsewhere(sqlite3.Connection):
            """Cannot keep a write-ahead log."""

            def execute(self, sql: str, *arguments: object) -> sqlite3.Cursor:
                return super().execute("SELECT 'delete'" if "journal_mode" in sql else sql, *arguments)

        refusal = self.assertRaises(StoreUnavailable, connect, self.path, SCHEMA, 5.0, Elsewhere)
        self.assertIn("local disk", str(refusal))


class ExplainTests(SynchronousTestCase):
    """Lines for the operator."""

    def test_extendedCodes(self) -> None:
        """An extended result code is explained like its primary one."""
        line = str(toStoreError("/a.db", sqliteError(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error")))
        self.assertEqual(line, "/a.db: the disk has failed or is full; check the disk (disk I/O error)")

    def test_others(self) -> None:
        """What we have no advice for is said in SQLite's words."""
        self.assertEqual(str(toStoreError("/a.db", sqliteError(1, "no such table: x"))), "/a.db: no such table: x")
        self.assertEqual(str(toStoreError("/a.db", sqlite3.ProgrammingError("odd"))), "/a.db: odd")
