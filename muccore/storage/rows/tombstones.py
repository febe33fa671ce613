# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tombstones of destroyed rooms as rows."""

from __future__ import annotations

import json

from muccore.interfaces import Tombstone
from muccore.storage.rows.batching import RowConnection


def loadTombstone(connection: RowConnection, room: str) -> Tombstone | None:
    """Read the tombstone of a room; see L{IRoomStore.tombstone}."""
    row = connection.execute(
        "SELECT destroyed, expires, venue, reason, open, affiliates FROM tombstone WHERE room = ?", (room,)
    ).fetchone()
    if row is None:
        return None
    destroyed, expires, venue, reason, isOpen, affiliates = row
    return Tombstone(destroyed, expires, venue, reason, bool(isOpen), json.loads(affiliates))


def replaceTombstone(connection: RowConnection, room: str, tombstone: Tombstone | None) -> None:
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
