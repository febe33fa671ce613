# -*- test-case-name: tests.config.test_storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The section C{[storage]}, declared here, and what it says of each purpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from muccore.config.hosts import Place
from muccore.config.option import option as _option
from muccore.config.plugins import DefaultStoreType, StoreType, SwitchableStoreType
from muccore.storage.registry import hasScheme

ROW_STORES: Final = "sqlite:PATH, postgresql://USER@HOST/DATABASE, memory:, or what an installed plugin provides"
"""The stores of what can be in PostgreSQL."""

ARCHIVES: Final = (
    "sqlite:PATH, postgresql://USER@HOST/DATABASE?journal=PATH, memory:, or what an installed plugin provides"
)
"""The stores of archives, in words."""


@dataclass(frozen=True)
class StorageSection:
    """Storage."""

    default: str = _option(
        DefaultStoreType(ROW_STORES),
        "",
        "Where everything is that has no key of its own: accounts ([auth] backend), and all of this section that can "
        'be there. "sqlite:PATH" keeps it in a database, "postgresql:" in one of a PostgreSQL server '
        '(docs/operating.md); "memory:" loses it when the server ends.',
    )
    rooms: str = _option(
        StoreType("rooms", ROW_STORES, optional=True),
        "",
        'Where rooms, their configuration and their affiliations are, if not where "default" says.',
    )
    affiliations: str = _option(
        StoreType("rooms", ROW_STORES, optional=True), "", 'The older name of "rooms". Only one of them may be given.'
    )
    occupants: str = _option(
        StoreType("occupants", "file:PATH, memory:, or what an installed plugin provides", optional=True),
        "",
        "Where the places of occupants are over a restart ([muc] occupant_grace), and the sessions that can be "
        'resumed. "file:PATH" keeps them in files on a local disk; "memory:" loses them when the server ends. By '
        'default the file is beside the database of the rooms, its name followed by "-occupants"; if they are in '
        'PostgreSQL, it is "memory:".',
    )
    archive: str | None = _option(
        SwitchableStoreType("archive", ARCHIVES),
        "",
        'Where the messages of rooms and users are kept for later. "sqlite:PATH" keeps them in a database, which '
        "should be a file of its own, so that changes of rooms need not wait for messages to be written. With "
        '"postgresql:", "journal=PATH" names files on a local disk that keep messages until PostgreSQL has them. '
        'Without the key, it is where "default" says; with no value, or without "default", there is no archive.',
    )
    audit: str = _option(
        StoreType("audit", ROW_STORES, optional=True),
        "",
        'Where it is kept who has moderated and configured rooms. Without "default", it is where rooms are.',
    )
    rosters: str = _option(
        StoreType("rosters", ROW_STORES, optional=True),
        "",
        'Where the contacts of users and their subscriptions are. Without "default", it is where rooms are.',
    )
    userdata: str = _option(
        StoreType("userdata", ROW_STORES, optional=True),
        "",
        "Where it is kept what users store on the server: bookmarks and other private data, vCards, block lists. "
        'Without "default", it is where the accounts of each domain are, or where rooms are if it cannot be there.',
    )
    pubsub: str = _option(
        StoreType("pubsub", ROW_STORES, optional=True),
        "",
        "Where it is kept what users publish (XEP-0163): avatars, bookmarks, keys. "
        'Without "default", it is where the accounts of each domain are, or where rooms are if it cannot be there.',
    )

    def placeOf(self, kind: str) -> tuple[Place, str]:
        """See L{placeOf}."""
        return placeOf(self, kind)


def placeOf(storage: StorageSection, kind: str) -> tuple[Place, str]:
    """
    Where the stores of a kind are, but for accounts: the key that says it, and the description; C{""}: nowhere.

    What has no key of its own is where C{default} says, if there can be such a store; audit trails, rosters,
    documents and nodes else where rooms are.
    """
    if kind == "rooms":
        for key in ("rooms", "affiliations"):
            if getattr(storage, key):
                return ("storage", key), getattr(storage, key)
        return ("storage", "default"), storage.default
    own = getattr(storage, kind)
    if own or (own is not None and kind == "archive"):
        return ("storage", kind), own
    if storage.default and hasScheme(kind, storage.default):
        return ("storage", "default"), storage.default
    if kind in ("archive", "occupants"):
        return ("storage", kind), ""
    place, rooms = placeOf(storage, "rooms")
    return place, rooms if hasScheme(kind, rooms) else ""
