# -*- test-case-name: tests.storage.test_sqlite_rooms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Searches of rooms in an SQLite database: of the public ones by their texts, and of those in which a user has an
affiliation.

A search reads the index C{room_search}, which has the texts as they are compared, in the order of the result. Rows of
the table, with their settings, are read only for the rooms of the page.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from muccore.storage.folding import fold


def foldStoredRooms(connection: sqlite3.Connection) -> None:
    """Fill in the texts of rooms that were stored without."""
    connection.create_function("fold", 1, fold, deterministic=True)
    connection.execute(
        "UPDATE room SET description = coalesce(json_extract(settings, '$.description'), ''),"
        " language = coalesce(json_extract(settings, '$.language'), '')"
    )
    connection.execute(
        "UPDATE room SET folded_jid = fold(jid), folded_name = fold(name), folded_description = fold(description)"
    )
    connection.create_function("fold", 1, None)


SEARCH_SCHEMA: Final = (
    "ALTER TABLE room ADD COLUMN description TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE room ADD COLUMN language TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE room ADD COLUMN folded_jid TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE room ADD COLUMN folded_name TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE room ADD COLUMN folded_description TEXT NOT NULL DEFAULT ''",
    foldStoredRooms,
    "CREATE INDEX room_search ON room (domain, jid, folded_jid, folded_name, folded_description, language)"
    " WHERE public = 1",
    "CREATE INDEX affiliate_jid ON affiliate (jid, affiliation)",
)
"""The migration that adds what searches need."""
