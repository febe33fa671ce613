# -*- test-case-name: tests.operations.transfer.ejabberd.test_source -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""A folder into which ejabberd was exported, as a source (docs/moving.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from zope.interface import implementer

from muccore.im import lastactivity
from muccore.im.archivepreferences import ArchivePreferences
from muccore.operations.transfer.documentsource import DocumentSource
from muccore.operations.transfer.ejabberd.archives import archiveItem, preferencesOf
from muccore.operations.transfer.ejabberd.nodes import NODES, STATES, NodeTables
from muccore.operations.transfer.ejabberd.rooms import RoomReader
from muccore.operations.transfer.ejabberd.tables import ARCHIVE, HEADER, ITEMS, TablesFile, addressIn
from muccore.operations.transfer.ejabberd.terms import Term
from muccore.operations.transfer.ejabberd.values import addressOf, textOf
from muccore.operations.transfer.foreignelements import shown
from muccore.operations.transfer.foreignmessages import messages
from muccore.operations.transfer.pieces import DataError
from muccore.operations.transfer.records import ISource, Messages, Problem, Record, SourceError, User
from muccore.xmpp.jid import JID, make, parse

ROOMS: Final = "muc_room"
"""The table of rooms."""

NICKS: Final = "muc_registered"
"""The table of the nicks that are registered with services of rooms."""

PREFERENCES: Final = "archive_prefs"
"""The table of what accounts want to have archived."""

LAST: Final = "last_activity"
"""The table of when accounts were available last."""

_READ: Final = frozenset((ARCHIVE, ROOMS, NICKS, PREFERENCES, LAST, NODES, STATES, ITEMS))
_IN_DOCUMENT: Final = frozenset((
    "passwd", "roster", "roster_version", "private_storage", "privacy", "vcard", "vcard_search", "offline_msg",
))  # fmt: skip
"""What the document of XEP-0227 has."""

_TEMPORARY: Final = frozenset(("caps_features", "pubsub_index"))
_HEAD: Final = 4096


@implementer(ISource)
class EjabberdSource:
    """
    Reads the document that C{ejabberdctl export_piefxis} writes, for the accounts, and files with the tables that
    C{ejabberdctl dump} and C{dump_table} write, for rooms and archives.

    @ivar size: bytes of all files.
    @ivar position: bytes read.
    """

    unit = "B"

    def __init__(self, path: str) -> None:
        """
        @param path: the folder.
        @raise SourceError: if it cannot be read, or has not what it should.
        """
        self._path = path
        self._documents: list[str] = []
        self._unknown: list[str] = []
        self._tables: list[TablesFile] = []
        self._document: DocumentSource | None = None
        try:
            for name in sorted(os.listdir(path)):
                self._add(name)
        except OSError as error:
            raise SourceError(f"{error.filename}: {error.strerror}") from None
        self._check()
        if self._documents:
            self._document = DocumentSource(self._documents[0])
        self.size: int | None = sum(each.size for each in self._tables)
        self.size += (self._document.size or 0) if self._document is not None else 0

    def _add(self, name: str) -> None:
        """Add a file: what it is, its content says."""
        file = os.path.join(self._path, name)
        if not os.path.isfile(file):
            return
        with open(file, "rb") as opened:
            head = opened.read(_HEAD)
        if HEADER.match(head) is not None:
            self._tables.append(TablesFile(file))
        elif b"<server-data" in head:
            self._documents.append(file)
        elif b"<host" not in head:
            self._unknown.append(name)

    def _check(self) -> None:
        """
        Check that there is something, and nothing twice.

        @raise SourceError: if not.
        """
        if not self._documents and not self._tables:
            raise SourceError(f"{self._path} has neither a document of XEP-0227 nor a file with tables of ejabberd")
        if len(self._documents) > 1:
            names = " and ".join(map(os.path.basename, self._documents))
            raise SourceError(f"{self._path}: there are several exports of accounts, {names}; leave one there")
        for table in _READ:
            having = [os.path.basename(each.path) for each in self._tables if each.counts[table]]
            if len(having) > 1:
                raise SourceError(f"{self._path}: {table} is in {' and in '.join(having)}; leave it in one of them")

    @property
    def position(self) -> int:
        """See L{ISource}."""
        document = 0 if self._document is None else self._document.position
        return document + sum(each.position for each in self._tables)

    def records(self) -> Iterator[Record]:
        """See L{ISource}."""
        for file in self._tables:
            file.position = 0
        reading = _Reading(self._tables)
        yield from reading.prepare()
        for record in () if self._document is None else self._document.records():
            yield from reading.withArchive(record)
        yield from reading.rooms()
        yield from reading.left()
        for name in self._unknown:
            yield Problem("", f"file {shown(name)}", "it is no document of XEP-0227, and has no tables of ejabberd")


class _Reading:
    """One pass through the files."""

    def __init__(self, tables: list[TablesFile]) -> None:
        self._tables = tables
        self._nicks: dict[tuple[str, str], str] = {}
        self._used: set[tuple[str, str]] = set()
        self._preferences: dict[str, ArchivePreferences] = {}
        self._last: dict[str, bytes] = {}
        self._nodes = NodeTables()
        # Those that have not been given yet, by address.
        self._archives: dict[str, tuple[TablesFile, bytes]] = {}

    def prepare(self) -> Iterator[Problem]:
        """Read what belongs to accounts and rooms that come later."""
        yield from self._nodes.prepare(self._tables, _each)
        for file in self._tables:
            yield from _each(file, NICKS, self._addNick)
            yield from _each(file, PREFERENCES, self._addPreferences)
            yield from _each(file, LAST, self._addLast)
            for key in file.archives():
                try:
                    name, host = addressIn(key)
                    address = make(textOf(name), textOf(host)).bare
                except ValueError as error:
                    yield Problem("", "an archive", str(error))
                else:
                    self._archives[address] = file, key

    def withArchive(self, record: Record) -> Iterator[Record]:
        """A record of the document; after an account come its nodes and its archive."""
        if not isinstance(record, User):
            yield record
            return
        account = record.account
        last = self._last.pop(account, None)
        documents = {} if last is None else {(lastactivity.KIND, lastactivity.KEY): last}
        yield replace(record, archiving=self._preferences.pop(account, record.archiving), documents=documents)
        yield from self._nodes.of(account)
        yield from self._archive(parse(account))

    def rooms(self) -> Iterator[Record]:
        """The rooms, each with its archive."""
        for file in self._tables:
            reader = RoomReader(self._nicks, os.stat(file.path).st_mtime)
            try:
                for row in file.rows(ROOMS):
                    room = reader.record(row)
                    if room is None:
                        # Its archive ends with it.
                        self._archives.pop(reader.room, None)
                        yield from reader.problems
                        continue
                    yield room
                    yield from reader.problems
                    self._used.update((parse(room.room).domain, account) for account in room.affiliates)
                    yield from self._archive(parse(room.room))
            except DataError as error:
                yield Problem("", f"rooms in {os.path.basename(file.path)}", str(error))

    def left(self) -> Iterator[Problem]:
        """What belongs to no account or room, or has no place here."""
        missing = "there is no such account or room in the export"
        for address in self._archives:
            yield Problem(address, "archive", missing)
        for account in self._preferences:
            yield Problem(account, "what is to be archived", missing)
        yield from self._nodes.left()
        for service, account in sorted(self._nicks.keys() - self._used):
            yield Problem(account, f"registered nick at {service}", "nicks are registered with rooms, to members")
        for file in self._tables:
            for table, count in sorted(file.counts.items()):
                if count and table not in _READ | _IN_DOCUMENT | _TEMPORARY:
                    yield Problem("", f"table {table}, with {count} rows", "muccore has nothing like it")

    def _archive(self, address: JID) -> Iterator[Messages | Problem]:
        found = self._archives.pop(address.bare, None)
        if found is not None:
            file, key = found
            yield from messages(address.bare, file.archived(key), lambda row, number: archiveItem(row, address))

    def _addNick(self, row: tuple[Term, ...]) -> None:
        _, key, nick = row
        if not (isinstance(key, tuple) and len(key) == 2):
            raise DataError("it is no registered nick")
        self._nicks[textOf(key[1]), addressOf(key[0]).bare] = textOf(nick)

    def _addPreferences(self, row: tuple[Term, ...]) -> None:
        account, preferences = preferencesOf(row)
        self._preferences[account] = preferences

    def _addLast(self, row: tuple[Term, ...]) -> None:
        _, key, time, status = row
        if not isinstance(time, int):
            raise DataError("it has no time")
        text = textOf(status)[: lastactivity.STATUS_LIMIT]
        self._last[addressOf(key).bare] = json.dumps({"time": time, "status": text}, ensure_ascii=False).encode()


def _each(file: TablesFile, table: str, add: Callable[[tuple[Term, ...]], None]) -> Iterator[Problem]:
    """Add the rows of a table; yield what is wrong with some."""
    try:
        for row in file.rows(table):
            try:
                add(row)
            except ValueError as error:
                # DataError, InvalidJID, and a row with other fields.
                yield Problem("", f"a row of {table}", str(error))
    except DataError as error:
        yield Problem("", f"table {table}", str(error))
