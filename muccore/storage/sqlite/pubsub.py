# -*- test-case-name: tests.storage.test_sqlite_pubsub -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Publish-subscribe nodes in an SQLite database, which may be that of the accounts."""

from __future__ import annotations

from typing import Any, Final

from twisted.python.filepath import FilePath

from muccore.storage.rows.pubsub import RowPubSub
from muccore.storage.sqlite.database import Database
from muccore.storage.sqlite.schema import Schema

SCHEMA: Final = Schema(
    "pubsub",
    (
        (
            """
            CREATE TABLE pubsub_node (
                service TEXT NOT NULL,
                node TEXT NOT NULL,
                configuration TEXT NOT NULL,
                creator TEXT NOT NULL,
                created REAL NOT NULL,
                PRIMARY KEY (service, node)
            ) WITHOUT ROWID
            """,
            """
            CREATE TABLE pubsub_affiliation (
                service TEXT NOT NULL,
                node TEXT NOT NULL,
                jid TEXT NOT NULL,
                affiliation TEXT NOT NULL,
                PRIMARY KEY (service, node, jid)
            ) WITHOUT ROWID
            """,
            "CREATE INDEX pubsub_affiliation_jid ON pubsub_affiliation (jid, service)",
            """
            CREATE TABLE pubsub_subscription (
                service TEXT NOT NULL,
                node TEXT NOT NULL,
                jid TEXT NOT NULL,
                bare TEXT NOT NULL,
                subid TEXT NOT NULL,
                state TEXT NOT NULL,
                options TEXT NOT NULL,
                PRIMARY KEY (service, node, jid)
            ) WITHOUT ROWID
            """,
            "CREATE INDEX pubsub_subscription_bare ON pubsub_subscription (bare, service)",
            # With rowids: payloads may be large, and the indexes are searched without passing them.
            """
            CREATE TABLE pubsub_item (
                service TEXT NOT NULL,
                node TEXT NOT NULL,
                id TEXT NOT NULL,
                position INTEGER NOT NULL,
                time REAL NOT NULL,
                size INTEGER NOT NULL,
                publisher TEXT NOT NULL,
                payload BLOB NOT NULL
            )
            """,
            "CREATE UNIQUE INDEX pubsub_item_id ON pubsub_item (service, node, id)",
            "CREATE UNIQUE INDEX pubsub_item_position ON pubsub_item (service, node, position, time, size)",
        ),
    ),
)
"""The tables."""


class SQLitePubSub(RowPubSub):
    """
    Publish-subscribe nodes in an SQLite database.

    @ivar location: see L{IStore<muccore.interfaces.stores.IStore>}.
    """

    elements = "json_each(?)"

    def __init__(self, path: FilePath[str], reactor: Any) -> None:
        """@param reactor: for threads and time."""
        super().__init__(Database(path, SCHEMA, reactor))
        self.location = path.realpath().path
