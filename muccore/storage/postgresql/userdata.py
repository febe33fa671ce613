# -*- test-case-name: tests.storage.test_postgresql -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Documents of users in a PostgreSQL database."""

from __future__ import annotations

from typing import Any, Final

from muccore.storage.postgresql.address import Address
from muccore.storage.postgresql.database import Database
from muccore.storage.postgresql.schema import Schema
from muccore.storage.rows.userdata import RowUserData

SCHEMA: Final = Schema(
    "userdata",
    (
        (
            """
            CREATE TABLE user_document (
                account text COLLATE "C" NOT NULL,
                kind text COLLATE "C" NOT NULL,
                key text COLLATE "C" NOT NULL,
                content bytea NOT NULL,
                PRIMARY KEY (account, kind, key)
            )
            """,
        ),
    ),
)
"""The table."""


class PostgreSQLUserData(RowUserData):
    """
    Documents of users in a PostgreSQL database.

    @ivar location: see L{IStore<muccore.interfaces.stores.IStore>}.
    """

    keySize = "octet_length(key)"

    def __init__(self, address: Address, reactor: Any) -> None:
        """@param reactor: for threads and time."""
        super().__init__(Database(address, SCHEMA, reactor))
        self.location = address.place
