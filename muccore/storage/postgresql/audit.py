# -*- test-case-name: tests.storage.test_postgresql -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Audit trails in a PostgreSQL database."""

from __future__ import annotations

from typing import Any, Final

from muccore.storage.postgresql.address import Address
from muccore.storage.postgresql.database import Database
from muccore.storage.postgresql.schema import Schema
from muccore.storage.rows.audit import RowAudit

SCHEMA: Final = Schema(
    "audit",
    (
        (
            """
            CREATE TABLE audit_entry (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                room text COLLATE "C" NOT NULL,
                instance text NOT NULL,
                time bigint NOT NULL,
                kind text COLLATE "C" NOT NULL,
                actor text NOT NULL,
                target text NOT NULL,
                reason text NOT NULL,
                details text NOT NULL
            )
            """,
            "CREATE INDEX audit_entry_room ON audit_entry (room, id)",
            "CREATE INDEX audit_entry_kind ON audit_entry (room, kind, id)",
        ),
    ),
)
"""The table."""


class PostgreSQLAudit(RowAudit):
    """Audit trails in a PostgreSQL database."""

    def __init__(self, address: Address, reactor: Any) -> None:
        """@param reactor: for threads and time."""
        super().__init__(Database(address, SCHEMA, reactor))
