# -*- test-case-name: tests.storage.test_sqlite_rooms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
How many public rooms the domains of a database have: triggers count them, since to count 100,000 takes as long as to
read 4,000 pages of them.
"""

from __future__ import annotations

from typing import Final

_ONE_MORE: Final = (
    "INSERT INTO room_count VALUES (NEW.domain, 1) ON CONFLICT (domain) DO UPDATE SET public = public + 1"
)
_ONE_LESS: Final = "UPDATE room_count SET public = public - 1 WHERE domain = OLD.domain"

COUNT_SCHEMA: Final = (
    "CREATE TABLE room_count (domain TEXT NOT NULL PRIMARY KEY, public INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO room_count SELECT domain, count(*) FROM room WHERE public = 1 GROUP BY domain",
    f"CREATE TRIGGER room_count_insert AFTER INSERT ON room WHEN NEW.public = 1 BEGIN {_ONE_MORE}; END",
    f"CREATE TRIGGER room_count_delete AFTER DELETE ON room WHEN OLD.public = 1 BEGIN {_ONE_LESS}; END",
    "CREATE TRIGGER room_count_publish AFTER UPDATE OF public ON room WHEN NEW.public > OLD.public"
    f" BEGIN {_ONE_MORE}; END",
    "CREATE TRIGGER room_count_hide AFTER UPDATE OF public ON room WHEN NEW.public < OLD.public"
    f" BEGIN {_ONE_LESS}; END",
)
"""The migration that counts them."""
