# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What stores of rows have in common: a database that is opened and closed."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from muccore.storage.rows.batching import RowConnection, RowDatabase


def namesFrom(connection: RowConnection, table: str, column: str, after: str, limit: int) -> list[str]:
    """List the different texts in a column with an index, sorted, from the first that follows C{after}."""
    rows = connection.execute(
        f"SELECT DISTINCT {column} FROM {table} WHERE {column} > ? ORDER BY {column} LIMIT ?", (after, limit)
    )
    return [name for (name,) in rows]


class RowStore:
    """A store whose content is in a database."""

    def __init__(self, database: RowDatabase) -> None:
        """@param database: has the tables, or makes them when it is opened."""
        self.database = database

    def open(self) -> Deferred[None]:
        """See L{IStore.open<muccore.interfaces.stores.IStore.open>}."""
        return self.database.open()

    def close(self) -> Deferred[None]:
        """See L{IStore.close<muccore.interfaces.stores.IStore.close>}."""
        return self.database.close()

    def probe(self) -> None:
        """See L{BatchingDatabase.probe}."""
        self.database.probe()
