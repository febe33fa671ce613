# -*- test-case-name: tests.storage.test_sqlite_rooms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tombstones of destroyed rooms in an SQLite database."""

from __future__ import annotations

import json
import sqlite3
from typing import Final

from muccore.interfaces import Tombstone

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


def loadTombstone(connection: sqlite3.Connection, room: str) -> Tombstone | None:
    """Read the tombstone of a room; see L{IRoomStore.tombstone}."""
    row = connection.execute(
        "SELECT destroyed, expires, venue, reason, open, affiliates FROM tombstone WHERE room = ?", (room,)
    ).fetchone()
    if row is None:
        return None
    destroyed, expires, venue, reason, isOpen, affiliates = row
    return Tombstone(destroyed, expires, venue, reason, bool(isOpen), json.loads(affiliates))


def replaceTombstone(connection: sqlite3.Connection, room: str, tombstone: Tombstone | None) -> None:
    """Delete the tombstone of a room, or replace it by another and delete expired ones; see L{IRoomStore.destroy}."""
    connection.execute("DELETE FROM tombstone WHERE room = ?", (room,))
    if tombstone is not None:
        connection.execute("DELETE FROM tombstone WHERE expires <= ?", (tombstone.destroyed,))
        connection.execute(
            "INSERT INTO tombstone VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                room,
                tombstone.destroyed,
                tombstone.expires,
                tombstone.venue,
                tombstone.reason,
                tombstone.open,
                json.dumps(dict(tombstone.affiliates)),
            ),
        )
