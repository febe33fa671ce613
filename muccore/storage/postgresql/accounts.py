# -*- test-case-name: tests.storage.test_postgresql -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Accounts in a PostgreSQL database."""

from __future__ import annotations

from typing import Any, Final

from muccore.storage.postgresql.address import Address
from muccore.storage.postgresql.database import Database
from muccore.storage.postgresql.schema import Schema
from muccore.storage.rows.accounts import RowAccounts

SCHEMA: Final = Schema(
    "accounts",
    (
        (
            'CREATE TABLE account (jid text COLLATE "C" PRIMARY KEY)',
            """
            CREATE TABLE account_key (
                account text COLLATE "C" NOT NULL REFERENCES account ON DELETE CASCADE,
                hash text COLLATE "C" NOT NULL,
                salt bytea NOT NULL,
                iterations integer NOT NULL,
                stored_key bytea NOT NULL,
                server_key bytea NOT NULL,
                PRIMARY KEY (account, hash)
            )
            """,
        ),
    ),
)
"""The tables."""


class PostgreSQLAccounts(RowAccounts):
    """
    Accounts in a PostgreSQL database.

    @ivar location: see L{IStore<muccore.interfaces.stores.IStore>}.
    """

    def __init__(self, address: Address, reactor: Any) -> None:
        """@param reactor: for threads and time."""
        super().__init__(Database(address, SCHEMA, reactor), reactor)
        self.location = address.place
