# -*- test-case-name: tests.storage.test_postgresql_archive -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The tables for message archives (design/0032).

L{muccore.storage.rows.archiverows} says what keys and C{block} are. The tokens of an item are its words, those of
sender and author, and one for each of L{LEVELS}: the part of the archive that it is in. So an index of tokens, which
knows no order, finds what matches in a part of an archive without looking at the rest.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from muccore.storage.postgresql.schema import Schema
from muccore.storage.rows.archiverows import PLACES

LEVELS: Final = (10, 14, 18)
"""The sizes of parts, in bits of places, from the smallest to the largest."""


@lru_cache(4096)
def token(kind: str, text: str) -> str:
    """
    The token of a sender or author; C{=} is in no word. JIDs may be too long for an index.

    @param kind: C{from} for a whole JID, C{bare} for its bare JID, C{author}.
    """
    return f"{kind}={urlsafe_b64encode(blake2b(text.encode(), digest_size=16).digest())[:22].decode()}"


def partToken(level: int, key: int) -> str:
    """The token of the part in which a key is."""
    return f"{level}={key >> level:x}"


def tokens(key: int, sender: str, author: str, words: str) -> str:
    """
    All tokens of an item, with a space between them.

    @param words: its words, with a space between them.
    """
    parts = [partToken(level, key) for level in LEVELS]
    people = (token("from", sender), token("bare", sender.partition("/")[0]), token("author", author))
    return " ".join((*parts, *people, words) if words else (*parts, *people))


SCHEMA: Final = Schema(
    "archive",
    (
        (
            # Without a name: deleted, and not yet erased.
            'CREATE TABLE archive (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text COLLATE "C" UNIQUE)',
            """
            CREATE TABLE item (
                key bigint PRIMARY KEY,
                id text COLLATE "C" NOT NULL,
                time bigint NOT NULL,
                sender text COLLATE "C" NOT NULL,
                author text COLLATE "C" NOT NULL,
                retracted boolean NOT NULL DEFAULT false,
                stanza text NOT NULL,
                tokens tsvector NOT NULL
            )
            """,
            f"CREATE UNIQUE INDEX item_id ON item (id, (key >> {PLACES}))",
            # Searches look through what is pending, in KiB.
            "CREATE INDEX item_tokens ON item USING gin (tokens) WITH (gin_pending_list_limit = 256)",
            """
            CREATE TABLE block (
                number bigint PRIMARY KEY,
                count bigint NOT NULL,
                earliest bigint NOT NULL,
                latest bigint NOT NULL
            )
            """,
            # The position of the last call of each journal that was committed.
            'CREATE TABLE journal (id text COLLATE "C" PRIMARY KEY, position bigint NOT NULL)',
        ),
    ),
)
"""The tables."""
