# -*- test-case-name: tests.storage.test_postgresql_archive -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Message archives in a PostgreSQL database (design/0032).

While it cannot be reached, what is appended waits, in memory and in the journal, and is written when it is there again,
or after the next start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from muccore.interfaces import BadDescription, StoreUnavailable
from muccore.log.logger import Logger
from muccore.storage.numberedjournal import NumberedJournal
from muccore.storage.postgresql.address import Address
from muccore.storage.postgresql.archivequeries import PostgreSQLArchiveQueries
from muccore.storage.postgresql.archiverows import PostgreSQLArchiveRows
from muccore.storage.postgresql.archiveschema import SCHEMA
from muccore.storage.postgresql.database import Database, Link
from muccore.storage.rows.archive import Append, RowArchive

RETRY: Final = 1.0
"""Seconds until what could not be written is tried again."""

_log: Final = Logger()

_T = TypeVar("_T")


_PLANNING: Final = "-c plan_cache_mode=force_custom_plan -c enable_seqscan=off -c enable_sort=off"
"""Options of a connection: plans are for the values of each query, and by indexes, also before statistics are there."""


class SnapshotDatabase(Database):
    """A connection for reads, of which each group sees one state of the database."""

    reading = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    def __init__(self, address: Address, reactor: Any) -> None:
        """@param reactor: for threads and time."""
        options = {**address.options, "options": _PLANNING}
        super().__init__(replace(address, options=options), SCHEMA, reactor)


class PostgreSQLArchive(RowArchive[Link]):
    """Message archives in a PostgreSQL database, with the journal in files of this machine."""

    def __init__(self, address: Address, reactor: Any) -> None:
        """
        @param reactor: for threads and time.
        @raise BadDescription: if the address names no journal.
        """
        if address.journal is None:
            raise BadDescription(
                "postgresql: an archive needs ?journal=PATH, files on a disk of this machine that keep messages until"
                " PostgreSQL has them"
            )
        journal = self._numbered = NumberedJournal(address.journal)
        super().__init__(
            Database(address, SCHEMA, reactor), SnapshotDatabase(address, reactor), PostgreSQLArchiveRows(journal),
            PostgreSQLArchiveQueries(), journal, reactor,
        )  # fmt: skip
        self._address = address
        # The last positions of the groups that have been given to the database.
        self._underway: list[int] = []
        self._isBehind = False

    async def recover(self) -> None:
        """See L{RowArchive.recover}. What the journal has is written with what is appended from now on."""
        pool = self._reactor.getThreadPool()
        for position, archive, items in await deferToThreadPool(self._reactor, pool, self._numbered.resume):
            call = Append(position, archive, items)
            self._waiting.append(call)
            self._bytes += call.size
            # Those that the database has are not written again, and nobody waits for the others.
            call.answer.addErrback(lambda failure: None)

    async def begin(self) -> None:
        """See L{RowArchive.begin}. The database may not be there yet."""
        if self._waiting:
            _log.info(
                "{path}: the journal has {count} messages of an earlier server; those that are missing are written",
                path=self.writer.path, count=sum([len(each.items) for each in self._waiting]),
            )  # fmt: skip
        self.writeGroup()
        try:
            await super().begin()
        except StoreUnavailable:
            self.eraseLater()

    def unopened(self) -> Database:
        """See L{RowArchive.unopened}."""
        return Database(self._address, SCHEMA, self._reactor)

    def writeLater(self, delay: float) -> None:
        """See L{RowArchive.writeLater}."""
        super().writeLater(RETRY if self._isBehind else delay)

    def groupOperation(self, group: Sequence[Append]) -> Callable[[Link], list[Exception | None]]:
        """See L{RowArchive.groupOperation}. What is committed already is left out."""
        before = self._lastUnderway()
        self._underway.append(group[-1].position)

        def write(connection: Link) -> list[Exception | None]:
            committed = self.rows.getPosition(connection)
            _checkOrder(committed, before)
            missing = [each for each in group if each.position > committed]
            refused = self.rows.appendItems(connection, [(each.archive, each.items) for each in missing])
            self.rows.setPosition(connection, max(committed, group[-1].position))
            return [*[None] * (len(group) - len(missing)), *refused]

        return write

    def inOrder(self, operation: Callable[[Link], _T]) -> Callable[[Link], _T]:
        """See L{RowArchive.inOrder}."""
        before = self._lastUnderway()

        def write(connection: Link) -> _T:
            _checkOrder(self.rows.getPosition(connection), before)
            return operation(connection)

        return write

    def _lastUnderway(self) -> int:
        """The position of the last group that the database has not answered yet; 0 without one."""
        return self._underway[-1] if self._underway else 0

    def written(self, results: Any, group: list[Append]) -> None:
        """See L{RowArchive.written}. A group that could not be written waits."""
        self._underway.remove(group[-1].position)
        if not isinstance(results, Failure) or results.check(StoreUnavailable) is None:
            super().written(results, group)
            if self._isBehind:
                self._isBehind = False
                _log.info("{path}: the messages that had to wait are in the archives", path=self.writer.path)
            return
        if not self._isBehind:
            self._isBehind = True
            _log.error(
                "messages wait in the journal until the archives can be written: {reason}",
                reason=results.getErrorMessage(),
            )
        if self._accepting:
            # Later groups may have failed before.
            self._waiting = sorted([*group, *self._waiting], key=lambda each: each.position)
            self.writeLater(RETRY)
        else:
            # The journal keeps them for the next start.
            for each in group:
                each.answer.errback(results.value)


def _checkOrder(committed: int, before: int) -> None:
    if committed < before:
        raise StoreUnavailable("messages that were appended before cannot be written")
