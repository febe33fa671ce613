# -*- test-case-name: tests.storage.test_sqlite_archive -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The tables for message archives (design/0014).

L{muccore.storage.rows.archiverows} says what keys and C{block} are. C{search} is an index without content: words, and
tokens for sender and author, to keys.
"""

from __future__ import annotations

from typing import Final

from muccore.storage.rows.archiverows import BLOCK, PLACES
from muccore.storage.sqlite.schema import Schema


def token(kind: str, text: str) -> str:
    """
    The token in C{search} of a sender or author: C{=} is in no word.

    @param kind: C{from} for a whole JID, C{bare} for its bare JID, C{author}.
    """
    return f"{kind}={text.encode().hex()}"


def tokens(row: str) -> str:
    """The SQL expression for all tokens of a row; the tokenizer ignores the case of hexadecimal digits."""
    bare = f"substr({row}.sender, 1, instr({row}.sender || '/', '/') - 1)"
    return (
        f"'from=' || hex({row}.sender) || ' bare=' || hex({bare}) || ' author=' || hex({row}.author)"
        f" || ' ' || {row}.words"
    )


SCHEMA: Final = Schema(
    "archive",
    (
        (
            # Without a name: deleted, and not yet erased.
            "CREATE TABLE archive (id INTEGER PRIMARY KEY, name TEXT UNIQUE)",
            """
            CREATE TABLE item (
                key INTEGER PRIMARY KEY,
                id TEXT NOT NULL,
                time INTEGER NOT NULL,
                sender TEXT NOT NULL,
                author TEXT NOT NULL,
                retracted INTEGER NOT NULL DEFAULT 0,
                stanza TEXT NOT NULL,
                words TEXT NOT NULL
            )
            """,
            f"CREATE UNIQUE INDEX item_id ON item (id, key >> {PLACES})",
            """
            CREATE TABLE block (
                number INTEGER PRIMARY KEY,
                count INTEGER NOT NULL,
                earliest INTEGER NOT NULL,
                latest INTEGER NOT NULL
            )
            """,
            """
            CREATE VIRTUAL TABLE search USING fts5 (
                words, content='', columnsize=0, detail=none, tokenize="ascii tokenchars '_='"
            )
            """,
            # A row: what was removed from the search index is still in parts of it.
            "CREATE TABLE erasure (id INTEGER PRIMARY KEY)",
            f"""
            CREATE TRIGGER item_added AFTER INSERT ON item BEGIN
                INSERT INTO block VALUES (new.key >> {BLOCK}, 1, new.time, new.time)
                    ON CONFLICT (number) DO UPDATE SET count = count + 1,
                    earliest = min(earliest, excluded.earliest), latest = max(latest, excluded.latest);
                INSERT INTO search (rowid, words) VALUES (new.key, {tokens("new")});
            END
            """,
            f"""
            CREATE TRIGGER item_changed AFTER UPDATE OF words ON item WHEN old.words <> new.words BEGIN
                INSERT INTO search (search, rowid, words) VALUES ('delete', old.key, {tokens("old")});
                INSERT INTO search (rowid, words) VALUES (new.key, {tokens("new")});
            END
            """,
            f"""
            CREATE TRIGGER item_deleted AFTER DELETE ON item BEGIN
                UPDATE block SET count = count - 1 WHERE number = old.key >> {BLOCK};
                DELETE FROM block WHERE number = old.key >> {BLOCK} AND count = 0;
                INSERT INTO search (search, rowid, words) VALUES ('delete', old.key, {tokens("old")});
            END
            """,
        ),
        (
            # The position of the last call that was committed.
            "CREATE TABLE journal (position INTEGER NOT NULL)",
            "INSERT INTO journal VALUES (0)",
        ),
        (
            # Who adds items does for all of them together what it did for each.
            "DROP TRIGGER item_added",
        ),
    ),
)
"""The tables."""
