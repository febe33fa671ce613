# -*- test-case-name: tests.storage.test_sqlite_schema -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Which tables a database has, and how older ones become today's.

A file can serve several purposes. For each the table C{muccore_schema} holds the version, which is the number of
migrations that have been carried out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from muccore.interfaces import SchemaTooNew, StoreUnavailable

Step = str | Callable[[sqlite3.Connection], object]
"""One SQL statement, or a function that is given the connection; neither begins nor ends a transaction."""


@dataclass(frozen=True)
class Schema:
    """
    The tables for one purpose.

    @ivar kind: what they are for.
    @ivar migrations: in order; the first makes the tables of version 1, each other one leads to the next version.
        Never change one that has been released: add another.
    """

    kind: str
    migrations: Sequence[Sequence[Step]]

    def check(self, connection: sqlite3.Connection, path: str) -> None:
        """
        Look, without changing anything, whether this is a database that we may use.

        @raise StoreUnavailable: if it is somebody else's.
        @raise SchemaTooNew: if a newer program has written it.
        """
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "muccore_schema" in tables:
            self._version(connection, path)
        elif tables:
            raise StoreUnavailable(f"{path}: it is the database of another program; name another file")

    def migrate(self, connection: sqlite3.Connection, path: str) -> None:
        """
        Bring the tables up to date, wholly or not at all. Shows in passing that the database can be written.

        @raise SchemaTooNew: if a newer program has written it.
        """
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS muccore_schema"
                " (purpose TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL)"
            )
            for migration in self.migrations[self._version(connection, path) :]:
                for step in migration:
                    if isinstance(step, str):
                        connection.execute(step)
                    else:
                        step(connection)
            connection.execute(
                "INSERT INTO muccore_schema VALUES (?, ?)"
                " ON CONFLICT (purpose) DO UPDATE SET version = excluded.version WHERE version <> excluded.version",
                (self.kind, len(self.migrations)),
            )
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _version(self, connection: sqlite3.Connection, path: str) -> int:
        row = connection.execute("SELECT version FROM muccore_schema WHERE purpose = ?", (self.kind,)).fetchone()
        found = row[0] if row else 0
        known = len(self.migrations)
        if found > known:
            raise SchemaTooNew(
                f"{path}: its schema for {self.kind} is version {found} and this muccore knows {known} at the most;"
                " run the newer muccore that wrote it, or put a backup in its place"
            )
        return int(found)
