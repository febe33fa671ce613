# -*- test-case-name: tests.storage.test_sqlite_rooms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What users have chosen for all rooms, in the database of rooms."""

from __future__ import annotations

import json
from typing import Any, Final

from muccore.storage.rows.batching import RowConnection

PREFERENCE_SCHEMA: Final = (
    """
    CREATE TABLE preference (
        name TEXT NOT NULL,
        user TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (name, user)
    ) WITHOUT ROWID
    """,
)
"""The table."""


def loadPreferences(connection: RowConnection, name: str) -> dict[str, Any]:
    """Read what users have chosen; see L{IRoomStore.preferences<muccore.interfaces.IRoomStore.preferences>}."""
    rows = connection.execute("SELECT json_group_object(user, json(value)) FROM preference WHERE name = ?", (name,))
    found: dict[str, Any] = json.loads(rows.fetchone()[0])
    return found
