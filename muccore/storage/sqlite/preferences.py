# -*- test-case-name: tests.storage.test_sqlite_rooms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What users have chosen for all rooms, in the database of rooms."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Final

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


def loadPreferences(connection: sqlite3.Connection, name: str) -> dict[str, Any]:
    """Read what users have chosen; see L{IRoomStore.preferences<muccore.interfaces.IRoomStore.preferences>}."""
    rows = connection.execute("SELECT json_group_object(user, json(value)) FROM preference WHERE name = ?", (name,))
    found: dict[str, Any] = json.loads(rows.fetchone()[0])
    return found


def putPreference(connection: sqlite3.Connection, name: str, user: str, value: str | None) -> None:
    """Write what a user has chosen, as JSON; C{None} removes it."""
    if value is None:
        connection.execute("DELETE FROM preference WHERE name = ? AND user = ?", (name, user))
    else:
        connection.execute("REPLACE INTO preference VALUES (?, ?, ?)", (name, user, value))
