# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What users have chosen for all rooms, as rows."""

from __future__ import annotations

from muccore.storage.rows.batching import RowConnection


def listPreferences(connection: RowConnection) -> list[str]:
    """List the names; see L{IRoomStore.preferenceNames<muccore.interfaces.IRoomStore.preferenceNames>}."""
    return [name for (name,) in connection.execute("SELECT DISTINCT name FROM preference ORDER BY name")]


def putPreference(connection: RowConnection, name: str, user: str, value: str | None) -> None:
    """Write what a user has chosen, as JSON; C{None} removes it."""
    if value is None:
        connection.execute('DELETE FROM preference WHERE name = ? AND "user" = ?', (name, user))
    else:
        connection.execute(
            'INSERT INTO preference VALUES (?, ?, ?) ON CONFLICT (name, "user") DO UPDATE SET value = excluded.value',
            (name, user, value),
        )
