# -*- test-case-name: tests.operations.test_usage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{muccorectl usage}: how many rooms are stored, what they take, who has created them, and the limits."""

from __future__ import annotations

import argparse
from typing import Final

from muccore.config.plugins import globalReactor
from muccore.config.schema import Settings
from muccore.log.eventlog import escape
from muccore.operations.refused import Refused
from muccore.server.stores import ServerStores

NAME: Final = "usage"
HELP: Final = "show how many rooms are stored, what they take in bytes, and who has created most"


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    parser.add_argument("--limit", metavar="N", type=int, default=10, help="how many creators at most (10); 0: all")


async def listUsage(settings: Settings, options: argparse.Namespace) -> list[str]:
    """
    List what the rooms of each service take, with tabs between service, creator (C{*} for all, C{-} if it is not
    known), rooms and bytes, each with limit and percentage. Creators whose rooms take most come first.

    @raise Refused: if there are none to be read.
    @raise StoreError: if the store cannot be read.
    """
    place = settings.storage.placeOf("rooms")[1]
    if place.startswith("memory:"):
        raise Refused(f"found {place!r}, which keeps no rooms that can be read from here")
    muc, store = settings.muc, ServerStores(settings, globalReactor()).rooms
    lines: list[str] = []
    await store.open()
    try:
        for service in (each for host in settings.hosts for each in host.roomServices):
            found = await store.usage(service)
            rooms, size = (sum(values) for values in zip(*found.values(), strict=True)) if found else (0, 0)
            lines.append(_line(service, "*", rooms, muc.roomsLimit, size, muc.totalSizeLimit))
            ranked = sorted(found.items(), key=lambda item: (-item[1][1], -item[1][0], item[0]))
            for creator, (count, taken) in ranked[: options.limit or None]:
                lines.append(_line(service, creator or "-", count, muc.roomsPerUser, taken, muc.userSizeLimit))
    finally:
        await store.close()
    return lines


def _line(service: str, creator: str, rooms: int, roomsLimit: int, size: int, sizeLimit: int) -> str:
    return "\t".join((service, escape(creator), _share(rooms, roomsLimit), _share(size, sizeLimit)))


def _share(used: int, limit: int) -> str:
    return f"{used} of {limit} ({100 * used // limit} %)" if limit else str(used)
