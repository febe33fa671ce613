# -*- test-case-name: tests.storage.test_postgresql -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Publish-subscribe nodes in a PostgreSQL database."""

from __future__ import annotations

from typing import Any, Final

from muccore.storage.postgresql.address import Address
from muccore.storage.postgresql.database import Database
from muccore.storage.postgresql.schema import Schema
from muccore.storage.rows.pubsub import RowPubSub

SCHEMA: Final = Schema(
    "pubsub",
    (
        (
            """
            CREATE TABLE pubsub_node (
                service text COLLATE "C" NOT NULL,
                node text COLLATE "C" NOT NULL,
                configuration text NOT NULL,
                creator text NOT NULL,
                created double precision NOT NULL,
                PRIMARY KEY (service, node)
            )
            """,
            """
            CREATE TABLE pubsub_affiliation (
                service text COLLATE "C" NOT NULL,
                node text COLLATE "C" NOT NULL,
                jid text COLLATE "C" NOT NULL,
                affiliation text NOT NULL,
                PRIMARY KEY (service, node, jid)
            )
            """,
            "CREATE INDEX pubsub_affiliation_jid ON pubsub_affiliation (jid, service)",
            """
            CREATE TABLE pubsub_subscription (
                service text COLLATE "C" NOT NULL,
                node text COLLATE "C" NOT NULL,
                jid text COLLATE "C" NOT NULL,
                bare text COLLATE "C" NOT NULL,
                subid text NOT NULL,
                state text NOT NULL,
                options text NOT NULL,
                PRIMARY KEY (service, node, jid)
            )
            """,
            "CREATE INDEX pubsub_subscription_bare ON pubsub_subscription (bare, service)",
            """
            CREATE TABLE pubsub_item (
                service text COLLATE "C" NOT NULL,
                node text COLLATE "C" NOT NULL,
                id text COLLATE "C" NOT NULL,
                position bigint NOT NULL,
                time double precision NOT NULL,
                size integer NOT NULL,
                publisher text NOT NULL,
                payload bytea NOT NULL,
                PRIMARY KEY (service, node, id)
            )
            """,
            "CREATE UNIQUE INDEX pubsub_item_position ON pubsub_item (service, node, position, time, size)",
        ),
    ),
)
"""The tables."""


class PostgreSQLPubSub(RowPubSub):
    """
    Publish-subscribe nodes in a PostgreSQL database.

    @ivar location: see L{IStore<muccore.interfaces.stores.IStore>}.
    """

    elements = "json_array_elements_text(CAST(? AS json))"

    def __init__(self, address: Address, reactor: Any) -> None:
        """@param reactor: for threads and time."""
        super().__init__(Database(address, SCHEMA, reactor))
        self.location = address.place
