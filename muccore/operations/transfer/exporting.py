# -*- test-case-name: tests.operations.transfer.test_exporting -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{muccorectl export}: accounts and rooms as a document of XEP-0227, also while the server runs (design/0035)."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterable
from typing import BinaryIO, Final

from muccore.config.plugins import globalReactor
from muccore.config.schema import Settings
from muccore.operations.newfile import newFile
from muccore.operations.progress import Progress
from muccore.operations.refused import Refused
from muccore.operations.transfer.documentwriter import DocumentWriter
from muccore.operations.transfer.openstores import checkReadable, opened
from muccore.operations.transfer.records import Messages, Problem, Room, User
from muccore.operations.transfer.storereader import StoreReader
from muccore.server.stores import ServerStores
from muccore.xmpp.jid import InvalidJID, parse

NAME: Final = "export"
HELP: Final = "write accounts and rooms to a file that other servers can read (XEP-0227)"

PROBLEMS_LIMIT: Final = 1000
"""Different problems that are listed."""


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    parser.add_argument("file", metavar="FILE", help="the file to write, which only its owner can read")
    parser.add_argument("--user", metavar="JID", action="append", help="only this account; may be given several times")
    parser.add_argument("--room", metavar="JID", action="append", help="only this room; may be given several times")
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")


async def writeExport(settings: Settings, options: argparse.Namespace, beside: bool) -> list[str]:
    """
    Write the document.

    @param beside: whether the server runs.
    @return: what was written, and a line for each problem.
    @raise Refused: if there is nothing to export, an account or room does not exist, or the file cannot be written.
    @raise StoreError: if a store cannot be read.
    """
    checkReadable(settings)
    path = os.path.abspath(options.file)
    stores = ServerStores(settings, globalReactor())
    async with opened(stores, beside):
        reader = StoreReader(stores, settings)
        users, rooms = await _chosen(reader, options)
        with newFile(path, options.force) as file:
            counts, problems = await _write(reader, users, rooms, file)
    written = ", ".join(f"{counts[kind]} {kind}" for kind in ("accounts", "rooms", "messages"))
    return [f"{path}: {written}", *lines(problems)]


async def _chosen(reader: StoreReader, options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The accounts and rooms to export."""
    isChosen = options.user or options.room
    users = await reader.users() if options.user or not isChosen else []
    rooms = await reader.rooms() if options.room or not isChosen else []
    if not isChosen:
        return users, rooms
    return _among(users, options.user or (), "account"), _among(rooms, options.room or (), "room")


def _among(known: list[str], wanted: Iterable[str], what: str) -> list[str]:
    found = set()
    for text in wanted:
        try:
            address = parse(text).bare
        except InvalidJID as e:
            raise Refused(f"{text!r} is no address: {e}") from None
        if address not in known:
            raise Refused(f"{address}: there is no such {what}")
        found.add(address)
    return [each for each in known if each in found]


async def _write(
    reader: StoreReader, users: list[str], rooms: list[str], file: BinaryIO
) -> tuple[Counter[str], Counter[Problem]]:
    counts: Counter[str] = Counter()
    problems: Counter[Problem] = Counter()
    writer = DocumentWriter(file)
    with Progress("export", len(users) + len(rooms), "accounts and rooms") as progress:
        async for record in reader.read(users, rooms):
            found = [record] if isinstance(record, Problem) else writer.write(record)
            problems.update(found)
            if any(each.wholly for each in found):
                continue
            if isinstance(record, User):
                counts["accounts"] += 1
            elif isinstance(record, Room):
                counts["rooms"] += 1
            elif isinstance(record, Messages):
                counts["messages"] += len(record.items) - len(found)
            progress.advance(max(0, counts["accounts"] + counts["rooms"] - 1))
    writer.finish()
    return counts, problems


def lines(problems: Counter[Problem]) -> list[str]:
    """A line for each problem, with the number of times that it has occurred."""
    listed = [f"{problem}" + (f" ({count} times)" if count > 1 else "") for problem, count in problems.items()]
    left = len(listed) - PROBLEMS_LIMIT
    return listed if left <= 0 else [*listed[:PROBLEMS_LIMIT], f"and {left} further problems"]
