# -*- test-case-name: tests.storage.test_postgresql -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Schemas and their migrations.

All tables are in PostgreSQL's schema C{muccore}; C{muccore.schema_version} has the number of migrations done for each
kind of store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from muccore.interfaces import SchemaTooNew
from muccore.storage.postgresql.connection import Connection

_LOCK: Final = 0x6D7563636F7265
"""The advisory lock of migrations; any number that others do not use."""


@dataclass(frozen=True)
class Schema:
    """
    The tables of one kind of store.

    @ivar kind: such as C{rosters}.
    @ivar migrations: the statements of each, in order. Never change one that has been released: add another.
    """

    kind: str
    migrations: Sequence[Sequence[str]]

    def migrate(self, connection: Connection, place: str) -> None:
        """
        Migrate the tables in one transaction, which others that do the same wait for.

        @raise SchemaTooNew: if a newer muccore has written them.
        """
        connection.execute("BEGIN")
        try:
            connection.execute("SELECT pg_advisory_xact_lock(?)", (_LOCK,))
            if connection.execute("SELECT to_regclass('muccore.schema_version')").fetchone()[0] is None:
                # IF NOT EXISTS would need the right to create a schema even if there is one.
                if connection.execute("SELECT to_regnamespace('muccore')").fetchone()[0] is None:
                    connection.execute("CREATE SCHEMA muccore")
                connection.execute(
                    'CREATE TABLE schema_version (purpose text COLLATE "C" PRIMARY KEY, version integer NOT NULL)'
                )
            row = connection.execute("SELECT version FROM schema_version WHERE purpose = ?", (self.kind,)).fetchone()
            found, known = row[0] if row else 0, len(self.migrations)
            if found > known:
                raise SchemaTooNew(
                    f"{place}: its schema for {self.kind} is version {found}, and this muccore knows only up to"
                    f" {known}; run the newer muccore that wrote it, or restore a backup"
                )
            for migration in self.migrations[found:]:
                for statement in migration:
                    connection.execute(statement)
            if found < known:
                connection.execute(
                    "INSERT INTO schema_version VALUES (?, ?) ON CONFLICT (purpose) DO UPDATE"
                    " SET version = excluded.version",
                    (self.kind, known),
                )
            connection.execute("COMMIT")
        except BaseException:
            if connection.inTransaction:
                connection.execute("ROLLBACK")
            raise
