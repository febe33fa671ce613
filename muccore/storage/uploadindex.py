# -*- test-case-name: tests.storage.test_fileuploads -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The index of a folder of uploaded files: what is known of each, as rows of an SQLite database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.defer import Deferred

from muccore.interfaces.uploads import Upload, UploadUsage
from muccore.storage.rows.batching import RowConnection
from muccore.storage.rows.store import RowStore
from muccore.storage.sqlite.schema import Schema

SCHEMA: Final = Schema(
    "uploads",
    (
        (
            """
            CREATE TABLE upload (
                id TEXT NOT NULL PRIMARY KEY,
                owner TEXT NOT NULL,
                filename TEXT NOT NULL,
                content_type TEXT NOT NULL,
                size INTEGER NOT NULL,
                created INTEGER NOT NULL,
                expires INTEGER
            )
            """,
            # What a quota needs, without the table.
            "CREATE INDEX upload_owner ON upload (owner, size, expires)",
            "CREATE INDEX upload_expires ON upload (expires) WHERE expires IS NOT NULL",
        ),
    ),
)
"""The table."""

Removed = list[tuple[str, int]]
"""The ids and sizes of files whose rows were removed."""


class UploadIndex(RowStore):
    """The rows. Those of one file are added when it is durable, and removed before it is."""

    def add(self, upload: Upload) -> Deferred[None]:
        """Add a file."""
        row = (
            upload.id, upload.owner, upload.filename, upload.contentType, upload.size, upload.created, upload.expires,
        )  # fmt: skip

        def insert(connection: RowConnection) -> None:
            connection.execute("INSERT INTO upload VALUES (?, ?, ?, ?, ?, ?, ?)", row)

        return self.database.write(insert)

    def find(self, id: str) -> Deferred[Upload | None]:
        """Find a file."""

        def load(connection: RowConnection) -> Upload | None:
            row = connection.execute(
                "SELECT id, owner, filename, content_type, size, created, expires FROM upload WHERE id = ?", (id,)
            ).fetchone()
            return None if row is None else Upload(*row)

        return self.database.read(load)

    def known(self, ids: Sequence[str]) -> Deferred[set[str]]:
        """Those of some ids that have a row."""

        def load(connection: RowConnection) -> set[str]:
            found = (connection.execute("SELECT id FROM upload WHERE id = ?", (id,)).fetchone() for id in ids)
            return {row[0] for row in found if row is not None}

        return self.database.read(load)

    def total(self) -> Deferred[int]:
        """The bytes of all files."""

        def load(connection: RowConnection) -> int:
            return int(connection.execute("SELECT coalesce(sum(size), 0) FROM upload").fetchone()[0])

        return self.database.read(load)

    def usage(self, owner: str) -> Deferred[UploadUsage]:
        """The bytes of the files of an owner, and when the first of these expires; not those of others."""

        def load(connection: RowConnection) -> UploadUsage:
            size, earliest = connection.execute(
                "SELECT coalesce(sum(size), 0), min(expires) FROM upload WHERE owner = ?", (owner,)
            ).fetchone()
            return UploadUsage(size, 0, earliest)

        return self.database.read(load)

    def removeExpired(self, now: int, most: int) -> Deferred[Removed]:
        """Remove the rows of files that have expired, those first that did earliest."""
        return self.database.write(
            _remover("SELECT id, size FROM upload WHERE expires <= ? ORDER BY expires LIMIT ?", now, most)
        )

    def removeOwned(self, owner: str, most: int) -> Deferred[Removed]:
        """Remove rows of an owner."""
        return self.database.write(_remover("SELECT id, size FROM upload WHERE owner = ? LIMIT ?", owner, most))


def _remover(query: str, *parameters: object) -> Callable[[RowConnection], Removed]:
    def remove(connection: RowConnection) -> Removed:
        rows = [(id, size) for id, size in connection.execute(query, parameters)]
        connection.executemany("DELETE FROM upload WHERE id = ?", [(id,) for id, _ in rows])
        return rows

    return remove
