# -*- test-case-name: tests.storage.test_postgresql -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Rosters in a PostgreSQL database."""

from __future__ import annotations

from typing import Any, Final

from muccore.storage.postgresql.address import Address
from muccore.storage.postgresql.database import Database
from muccore.storage.postgresql.schema import Schema
from muccore.storage.rows.rosters import RowRosters

SCHEMA: Final = Schema(
    "rosters",
    (
        (
            """
            CREATE TABLE roster (
                account text COLLATE "C" PRIMARY KEY,
                epoch text NOT NULL,
                version bigint NOT NULL,
                floor bigint NOT NULL
            )
            """,
            # The item is a JSON array, NULL for a contact that was removed.
            """
            CREATE TABLE roster_item (
                account text COLLATE "C" NOT NULL,
                jid text COLLATE "C" NOT NULL,
                version bigint NOT NULL,
                item text,
                PRIMARY KEY (account, jid)
            )
            """,
        ),
    ),
)
"""The tables."""


class PostgreSQLRosters(RowRosters):
    """Rosters in a PostgreSQL database."""

    def __init__(self, address: Address, reactor: Any) -> None:
        """@param reactor: for threads and time."""
        super().__init__(Database(address, SCHEMA, reactor))
