# -*- test-case-name: tests.storage.test_sqlite_audit -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Audit trails in an SQLite database, which may be that of the rooms (design/0016)."""

from __future__ import annotations

from typing import Any, Final

from twisted.python.filepath import FilePath

from muccore.storage.rows.audit import RowAudit
from muccore.storage.sqlite.databasepair import DatabasePair
from muccore.storage.sqlite.schema import Schema

SCHEMA: Final = Schema(
    "audit",
    (
        (
            # AUTOINCREMENT: numbers of deleted entries do not come back.
            """
            CREATE TABLE audit_entry (
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                room TEXT NOT NULL,
                instance TEXT NOT NULL,
                time INTEGER NOT NULL,
                kind TEXT NOT NULL,
                actor TEXT NOT NULL,
                target TEXT NOT NULL,
                reason TEXT NOT NULL,
                details TEXT NOT NULL
            )
            """,
            # Each ends with the id.
            "CREATE INDEX audit_entry_room ON audit_entry (room)",
            "CREATE INDEX audit_entry_kind ON audit_entry (room, kind)",
        ),
    ),
)
"""The table."""


class SQLiteAudit(RowAudit):
    """Audit trails in an SQLite database."""

    def __init__(self, path: FilePath[str], reactor: Any) -> None:
        """@param reactor: for threads and time."""
        super().__init__(DatabasePair(path, SCHEMA, reactor))
