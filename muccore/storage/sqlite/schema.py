# -*- test-case-name: tests.storage.test_sqlite_schema -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Schemas and their migrations.

A file can hold several schemas. The table C{muccore_schema} has the version of each: the number of migrations done.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from muccore.interfaces import SchemaTooNew, StoreUnavailable
from muccore.log.logger import Logger
from muccore.storage.sqlite.backup import backUp

_log: Final = Logger()

Step = str | Callable[[sqlite3.Connection], object]
"""An SQL statement, or a function of the connection; must neither begin nor end a transaction."""


@dataclass(frozen=True)
class Schema:
    """
    The tables of one kind of store.

    @ivar kind: such as C{accounts} or C{rooms}.
    @ivar migrations: in order; the first creates version 1, each other one the next version. Never change one that has
        been released: add another.
    """

    kind: str
    migrations: Sequence[Sequence[Step]]

    def check(self, connection: sqlite3.Connection, path: str) -> None:
        """
        Check that this database is ours, without changing it.

        @raise StoreUnavailable: if it belongs to another program.
        @raise SchemaTooNew: if a newer muccore has written it.
        """
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "muccore_schema" in tables:
            self._version(connection, path)
        elif tables:
            raise StoreUnavailable(f"{path}: it is a database of another program; name another file")

    def migrate(self, connection: sqlite3.Connection, path: str) -> None:
        """
        Migrate the tables in one transaction; this also checks that the database can be written. Before older tables
        are changed, the database is copied.

        @raise StoreUnavailable: if it cannot be copied.
        @raise SchemaTooNew: if a newer muccore has written it.
        """
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS muccore_schema"
                " (purpose TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL)"
            )
            version = self._version(connection, path)
            if 0 < version < len(self.migrations):
                copy = backUp(path, f"{self.kind}-v{version}")
                _log.info(
                    "{path}: migrating its schema for {kind} from version {old} to {new}; {copy} is a copy from before",
                    path=path, kind=self.kind, old=version, new=len(self.migrations), copy=copy,
                )
            for migration in self.migrations[version:]:
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
                f"{path}: its schema for {self.kind} is version {found}, and this muccore knows only up to {known};"
                " run the newer muccore that wrote it, or put a backup in its place"
            )
        return int(found)


def kindsIn(path: str) -> set[str]:
    """
    The kinds of stores that a database has, without changing it; none if it is another program's.

    @raise sqlite3.Error: if it cannot be read.
    """
    with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)) as connection:
        tables = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'muccore_schema'")
        if tables.fetchone() is None:
            return set()
        return {kind for (kind,) in connection.execute("SELECT purpose FROM muccore_schema")}
