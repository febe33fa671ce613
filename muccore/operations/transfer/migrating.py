# -*- test-case-name: tests.operations.transfer.test_migrating -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{muccorectl migrate}: everything from one database to another, while the server does not run (design/0035)."""

from __future__ import annotations

import argparse
import hashlib
import os
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from muccore.config.plugins import globalReactor
from muccore.config.schema import Settings
from muccore.interfaces import BadDescription, IAccountStore
from muccore.operations.progress import Progress
from muccore.operations.refused import Refused
from muccore.operations.transfer.storecontents import (
    Accounts,
    Contents,
    Documents,
    Preferences,
    Rooms,
    Rosters,
    Tombstones,
)
from muccore.operations.transfer.storelogs import ArchiveDigests, AuditTrails
from muccore.operations.transfer.storenodes import Nodes
from muccore.storage.registry import hasScheme, makeStore
from muccore.storage.sqlite.schema import kindsIn

NAME: Final = "migrate"
HELP: Final = "copy everything from one database to another, while the server does not run"


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    example = "such as sqlite:/var/lib/muccore/muccore.db, with paths as in the configuration"
    parser.add_argument("source", metavar="FROM", help=f"the database that has everything, {example}")
    parser.add_argument("target", metavar="TO", help="the database that gets it, likewise")
    parser.add_argument(
        "--resume", action="store_true",
        help="go on although there is something in TO, as after an interruption; what is different there is replaced",
    )  # fmt: skip


_CONTENTS: Final[Mapping[str, Sequence[Contents]]] = {
    "accounts": (Accounts(),),
    "userdata": (Documents(),),
    "pubsub": (Nodes(),),
    "rosters": (Rosters(),),
    "rooms": (Rooms(), Tombstones(), Preferences()),
    "archive": (ArchiveDigests(),),
    "audit": (AuditTrails(),),
}
"""What is copied of each kind of stores, in this order."""


class _Pair(NamedTuple):
    """The stores of one kind."""

    kind: str
    source: Any
    target: Any


async def migrate(settings: Settings, options: argparse.Namespace) -> list[str]:
    """
    Copy, and compare what is there then.

    @return: for each part the number of pieces and their digest.
    @raise Refused: if something is in the target already, or is not the same at the end.
    @raise StoreError: if a store fails.
    """
    pairs, told = _pairs(settings, options)
    opened: list[Any] = []
    try:
        for pair in pairs:
            for store in (pair.source, pair.target):
                opened.append(store)
                await store.open()
        if not options.resume:
            for pair in pairs:
                await _checkEmpty(pair)
        for pair in pairs:
            for contents in _CONTENTS[pair.kind]:
                told.append(await _copy(contents, pair))
    finally:
        for store in reversed(opened):
            await store.close()
    return told


def _pairs(settings: Settings, options: argparse.Namespace) -> tuple[list[_Pair], list[str]]:
    """The stores of each kind that both places can have, and a line for each that stays where it is."""
    source, target = options.source, options.target
    if _place(settings, source) == _place(settings, target):
        raise Refused("FROM and TO are the same")
    there = _kindsIn(settings, source)
    pairs, told = [], []
    for kind in _CONTENTS:
        if not hasScheme(kind, source) or (there is not None and kind not in there):
            continue
        if not hasScheme(kind, target):
            told.append(f"{kind}: {target.partition(':')[0]}: cannot keep it; it stays where it is")
            continue
        try:
            made = _make(kind, source, settings)
        except Refused as e:
            if kind != "archive":
                raise
            # The place of accounts need not be one of archives.
            told.append(f"archive: left out: {e}")
            continue
        pairs.append(_Pair(kind, made, _make(kind, target, settings)))
    if not pairs:
        raise Refused("there is nothing in FROM that could be copied to TO; both are written as in the configuration")
    return pairs, told


def _make(kind: str, description: str, settings: Settings) -> Any:
    try:
        host = settings.server.domain if kind == "accounts" else None
        made = makeStore(kind, description, settings.base, globalReactor(), host)
    except BadDescription as e:
        raise Refused(str(e)) from None
    if kind == "accounts" and not IAccountStore.providedBy(made):
        raise Refused(f"{description.partition(':')[0]}: it only checks passwords; accounts cannot be copied")
    return made


def _place(settings: Settings, description: str) -> str:
    scheme, _, argument = description.partition(":")
    path = os.path.realpath(os.path.join(settings.base.path, argument))
    return f"sqlite:{path}" if scheme == "sqlite" else description


def _kindsIn(settings: Settings, description: str) -> set[str] | None:
    """The kinds of stores that an SQLite database has; C{None} if it is another one."""
    scheme, _, argument = description.partition(":")
    if scheme == "memory":
        raise Refused("memory: what is in the memory of a server cannot be copied from here")
    if scheme != "sqlite":
        return None
    path = os.path.join(settings.base.path, argument)
    if not os.path.exists(path):
        raise Refused(f"{path}: there is no such database")
    try:
        return kindsIn(path)
    except sqlite3.Error as e:
        raise Refused(f"{path}: it cannot be read: {e}") from None


async def _checkEmpty(pair: _Pair) -> None:
    for contents in _CONTENTS[pair.kind]:
        async for _ in contents.names(pair.target):
            text = "name an empty database, or go on with a migration that was interrupted by --resume"
            raise Refused(f"there are {contents.unit} in TO already; {text}")


async def _copy(contents: Contents, pair: _Pair) -> str:
    """Copy what is different, then compare all; return a line about it."""
    names = [name async for name in contents.names(pair.source)]
    with Progress(f"copy {contents.unit}", len(names), contents.unit) as progress:
        for number, name in enumerate(names):
            await contents.copy(pair.source, pair.target, name)
            progress.advance(number + 1)
    count, digest = 0, hashlib.sha256()
    with Progress(f"compare {contents.unit}", len(names), contents.unit) as progress:
        for name in names:
            found = [await contents.load(store, name) for store in (pair.source, pair.target)]
            encoded = [None if each is None else contents.encode(each) for each in found]
            if encoded[0] != encoded[1]:
                raise Refused(f"{contents.unit}: {name!r} is not the same in TO; do the same again with --resume")
            if encoded[0] is not None:
                count += 1
                digest.update(hashlib.sha256(name.encode() + b"\0" + encoded[0]).digest())
            progress.advance(count)
    left = len(names) - count
    without = f"; {left} in which nothing is were left out" if left else ""
    return f"{contents.unit}: {count} copied and compared, SHA-256 {digest.hexdigest()}{without}"
