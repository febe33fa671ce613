# -*- test-case-name: tests.operations.transfer.prosody.test_source -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The data directory of Prosody as a source (docs/moving.md)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from zope.interface import implementer

from muccore.operations.transfer.foreignelements import shown
from muccore.operations.transfer.prosody import eventing, rooms, users
from muccore.operations.transfer.prosody.folder import DATA, LIST, DataFolder
from muccore.operations.transfer.prosody.rooms import HostRooms
from muccore.operations.transfer.prosody.users import HostUsers
from muccore.operations.transfer.records import ISource, Problem, Record, SourceError
from muccore.xmpp.jid import InvalidJID, prepareDomain

_READ: Final = users.STORES | rooms.STORES
_TEMPORARY: Final = frozenset((
    "archive_cleanup", "muc_log_cleanup", "cron", "smacks_h", "skeletons", "pep_data",
))  # fmt: skip
"""Stores that mean nothing elsewhere: what is to be cleaned, what can be resumed, and indices."""

_OF_HOSTS: Final = frozenset(("persistent", "cron"))
"""The same for stores that are one file: the list of rooms, each of which has a file, and when something ran last."""

_DATABASES: Final = (".sqlite", ".sqlite3", ".db")


@implementer(ISource)
class ProsodySource:
    """
    Reads the files; Prosody should be stopped, so that it does not change them meanwhile.

    @ivar size: bytes of all files.
    @ivar position: bytes read.
    """

    unit = "B"

    def __init__(self, path: str) -> None:
        """
        @param path: the folder, such as F{/var/lib/prosody}.
        @raise SourceError: if it is none.
        """
        self._folder = DataFolder(path)
        try:
            hosts = self._folder.hosts()
            found = any(self._isOfUsers(host) or self._isOfRooms(host) for host in hosts)
            databases = self._databases()
            self.size: int | None = self._folder.size()
        except OSError as error:
            raise SourceError(f"{error.filename}: {error.strerror}") from None
        if not found:
            hint = f"; {databases[0]} is of its SQL storage" if databases else ""
            raise SourceError(f'{path} has no data of Prosody\'s storage "internal"{hint}')

    @property
    def position(self) -> int:
        """See L{ISource}."""
        return self._folder.position

    def records(self) -> Iterator[Record]:
        """See L{ISource}."""
        self._folder.position = 0
        try:
            for name in self._databases():
                yield Problem("", shown(name), "data in SQL are not read: convert them with prosody-migrator first")
            for host in self._folder.hosts():
                yield from self._host(host)
        except OSError as error:
            raise SourceError(f"{error.filename}: {error.strerror}") from None

    def _host(self, host: str) -> Iterator[Record]:
        try:
            prepareDomain(host)
        except InvalidJID as error:
            yield Problem("", f"host {shown(host)}", str(error))
            return
        if self._isOfRooms(host):
            yield from HostRooms(self._folder, host).records()
        elif self._isOfUsers(host):
            yield from HostUsers(self._folder, host).records()
        yield from self._others(host)

    def _isOfRooms(self, host: str) -> bool:
        found = self._folder.names(host, rooms.CONFIGURATIONS) or self._folder.names(host, rooms.ARCHIVES, LIST)
        return bool(found)

    def _isOfUsers(self, host: str) -> bool:
        return any(self._folder.names(host, store) for store in users.STORES)

    def _databases(self) -> list[str]:
        return [name for name in self._folder.files() if os.path.splitext(name)[1] in _DATABASES]

    def _others(self, host: str) -> Iterator[Problem]:
        """What other modules keep."""
        for store in self._folder.stores(host):
            if store in _READ or store in _TEMPORARY or store.startswith(eventing.ITEMS):
                continue
            count = len({*self._folder.names(host, store, DATA), *self._folder.names(host, store, LIST)})
            if count:
                yield _notRead(f"{shown(store)} of {host}, with {count} entries")
        for file in self._folder.files(host):
            store, ending = os.path.splitext(file)
            if ending in (DATA, LIST) and store not in _OF_HOSTS:
                yield _notRead(f"{shown(store)} of {host}")


def _notRead(store: str) -> Problem:
    return Problem("", f"store {store}", "muccore has nothing like it")
