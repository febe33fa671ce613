# -*- test-case-name: tests.storage.test_sqlite_rooms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Who has created the rooms of a database, and what these take."""

from __future__ import annotations

import json
import sqlite3
from typing import Final


def _unescapedSize(text: str) -> int:
    """The bytes of a JSON text without escapes, as those count who store rooms."""
    return len(json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8", "surrogatepass"))


def measureStoredRooms(connection: sqlite3.Connection) -> None:
    """Set the sizes of rooms, as L{muccore.muc.model.roomsize} counts them."""
    connection.create_function("unescaped_size", 1, _unescapedSize, deterministic=True)
    connection.execute(
        """
        UPDATE room SET size = 512 + unescaped_size(settings)
            + coalesce(length(CAST(subject_text AS BLOB)), 0) + coalesce(length(CAST(subject_nick AS BLOB)), 0)
            + coalesce(length(CAST(subject_language AS BLOB)), 0) + length(CAST(subject_author AS BLOB))
            + (
                SELECT coalesce(sum(
                    32 + length(CAST(jid AS BLOB)) + coalesce(length(CAST(nick AS BLOB)), 0)
                    + coalesce(length(CAST(reason AS BLOB)), 0)
                ), 0) FROM affiliate WHERE room = room.id
            )
            + (
                SELECT coalesce(sum(32 + length(CAST(key AS BLOB)) + unescaped_size(value)), 0)
                FROM extension_state WHERE room = room.id
            )
        """
    )
    connection.create_function("unescaped_size", 1, None)


USAGE_SCHEMA: Final = (
    "ALTER TABLE room ADD COLUMN creator TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE room ADD COLUMN size INTEGER NOT NULL DEFAULT 0",
    # Nobody noted who created these; their only owner is taken for it.
    """
    UPDATE room SET creator = coalesce(
        (SELECT min(jid) FROM affiliate WHERE room = room.id AND affiliation = 'owner' HAVING count(*) = 1), ''
    )
    """,
    measureStoredRooms,
)
"""The migration that adds them."""
