# -*- test-case-name: tests.storage.test_sqlite_rooms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tombstones of destroyed rooms in an SQLite database."""

from __future__ import annotations

from typing import Final

TOMBSTONE_SCHEMA: Final = (
    """
    CREATE TABLE tombstone (
        room TEXT NOT NULL PRIMARY KEY,
        destroyed REAL NOT NULL,
        expires REAL NOT NULL,
        venue TEXT,
        reason TEXT,
        open INTEGER NOT NULL,
        affiliates TEXT NOT NULL
    )
    """,
    "CREATE INDEX tombstone_expires ON tombstone (expires)",
)
"""The migration that adds them."""
