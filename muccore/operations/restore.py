# -*- test-case-name: tests.operations.test_restore -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{muccorectl restore}: put the databases of a back-up into their places, while no server runs (design/0033)."""

from __future__ import annotations

import argparse
import contextlib
import os
from typing import BinaryIO, Final

from muccore.config.schema import Settings
from muccore.operations.backup import findDatabases
from muccore.operations.backupfile import BackupReader, SavedDatabase, digestOf
from muccore.operations.controlclient import alone
from muccore.operations.refused import Refused
from muccore.server.stores import occupantsPlace
from muccore.storage.files import createPrivate, makeFolders
from muccore.storage.sqlite.snapshot import finishLog, hasLogs, readVersions, takePlace

NAME: Final = "restore"
HELP: Final = "put the databases of a back-up into their places, while the server does not run"

UNFINISHED: Final = ".restoring"
"""The end of a database's name until all of them are complete."""


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    parser.add_argument("file", metavar="FILE", help="what the command backup has written")
    parser.add_argument("--discard", action="store_true", help="do not keep what is replaced (as NAME.replaced)")


def restoreBackup(settings: Settings, options: argparse.Namespace) -> list[str]:
    """
    Restore a back-up. Nothing is changed before all of it was checked and written; when this is killed, it can be done
    again.

    @return: what was done.
    @raise Refused: if a server runs, the file is no whole back-up, or it does not match the configuration.
    @raise StoreError: if a database in it is damaged or too new, or one that is to be replaced is in use.
    """
    path = options.file
    places, others = findDatabases(settings)
    if os.geteuid() == 0:
        for place in places:
            _checkOwner(place)
    with alone(settings):
        if not os.path.isfile(path):
            raise Refused(f"{path}: there is no such file")
        try:
            with open(path, "rb") as file:
                return [*_restore(settings, BackupReader(file, path), places, not options.discard), *others]
        except OSError as e:
            name = path if e.filename is None else e.filename
            raise Refused(f"{name}: it cannot be restored: {e.strerror}") from None


def _checkOwner(path: str) -> None:
    """Refuse to write, as root, what the server's user could not read."""
    with contextlib.suppress(FileNotFoundError):
        owner = os.stat(path if os.path.exists(path) else os.path.dirname(path)).st_uid
        if owner != 0:
            raise Refused(f"{path}: it belongs to the user {owner}; run this as that user")


def _match(databases: list[SavedDatabase], places: dict[str, list[str]]) -> dict[str, SavedDatabase]:
    """Which database belongs to which place, by its purposes."""
    placeOf = {purpose: place for place, purposes in places.items() for purpose in purposes}
    found: dict[str, SavedDatabase] = {}
    for database in databases:
        wanted = sorted({placeOf[purpose] for purpose in database.purposes if purpose in placeOf})
        purposes = ", ".join(database.purposes)
        if not wanted:
            raise Refused(f"the back-up has a database for {purposes}; the configuration has none for any of that")
        if len(wanted) > 1:
            raise Refused(
                f"the back-up has one database for {purposes}, and the configuration several, {' and '.join(wanted)};"
                " configure one"
            )
        if wanted[0] in found:
            raise Refused(
                f"the back-up has several databases for what the configuration keeps in {wanted[0]}; configure several"
            )
        found[wanted[0]] = database
    return found


def _restore(settings: Settings, backup: BackupReader, places: dict[str, list[str]], keep: bool) -> list[str]:
    matched = _match(backup.databases, places)
    lines = [f"{place}: not in the back-up, and left as it is" for place in places if place not in matched]
    written: list[str] = []
    try:
        for place, database in matched.items():
            makeFolders(os.path.dirname(place))
            written.append(place + UNFINISHED)
            with os.fdopen(createPrivate(written[-1]), "wb") as file:
                _write(backup, database, file)
            readVersions(written[-1], f"{database.name} of the back-up")
        replaced = [place for place, database in matched.items() if not _isRestored(place, database)]
        for place in matched:
            if place not in replaced:
                lines.append(f"{place}: it is as in the back-up already")
            else:
                finishLog(place)
        if any("rooms" in places[place] for place in replaced):
            _removePlaces(settings)
        for place in replaced:
            kept = takePlace(place + UNFINISHED, place, keep)
            lines.append(f"{place}: restored" + ("" if kept is None else f"; what it replaces is {kept}"))
    finally:
        for copy in written:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(copy)
    return lines


def _write(backup: BackupReader, database: SavedDatabase, file: BinaryIO) -> None:
    backup.extract(database, file)
    file.flush()
    os.fsync(file.fileno())


def _removePlaces(settings: Settings) -> None:
    """Remove who is in which room: it is about other rooms than those of the back-up."""
    scheme, _, argument = occupantsPlace(settings).partition(":")
    if scheme == "file":
        path = os.path.join(settings.base.path, argument)
        for name in (path, f"{path}-sessions"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)


def _isRestored(place: str, database: SavedDatabase) -> bool:
    """Whether a database is in its place already, by an earlier process that was killed."""
    return os.path.exists(place) and not hasLogs(place) and digestOf(place) == database.sha256
