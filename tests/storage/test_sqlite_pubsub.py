# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.sqlite.pubsub}."""

from __future__ import annotations

import sqlite3

from twisted.internet import reactor
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.storage.sqlite.pubsub import SQLitePubSub
from muccore.testing.contracts import PubSubStoreContract

_POSITIONS = "COVERING INDEX pubsub_item_position"
_PLACE = "pubsub_item WHERE service = 'a' AND node = 'b'"


class SQLitePubSubContractTests(PubSubStoreContract, TestCase):
    """Nodes in SQLite pass the contract suite."""

    def makeStore(self, place: FilePath[str]) -> SQLitePubSub:
        """A store in a file."""
        return SQLitePubSub(place, reactor)


class SQLitePubSubTests(TestCase):
    """Properties that are not in the contract."""

    async def test_indexes(self) -> None:
        """Items are found by an index, and what does not concern payloads is read from it alone."""
        place = FilePath(self.mktemp())
        store = SQLitePubSub(place, reactor)
        self.assertEqual(store.location, place.realpath().path)
        await store.open()
        await store.close()
        connection = sqlite3.connect(place.path)
        self.addCleanup(connection.close)
        for query, expected in (
            (f"payload FROM {_PLACE} AND id = 'c'", "INDEX pubsub_item_id"),
            (f"position, size FROM {_PLACE} AND time >= 1 ORDER BY position DESC", _POSITIONS),
            ("sum(size) FROM pubsub_item WHERE service = 'a'", _POSITIONS),
            ("1 FROM pubsub_subscription WHERE bare = 'a'", "COVERING INDEX pubsub_subscription_bare"),
            ("1 FROM pubsub_affiliation WHERE jid = 'a'", "COVERING INDEX pubsub_affiliation_jid"),
        ):
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN SELECT {query}")]
            self.assertEqual(len(plan), 1, plan)
            self.assertRegex(plan[0], f"^SEARCH .* USING {expected}")
