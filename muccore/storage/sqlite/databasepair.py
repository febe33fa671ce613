# -*- test-case-name: tests.storage.test_sqlite_databasepair -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
An SQLite database with a thread that writes and one that reads, so that reads do not wait for writes that have nothing
to do with them, nor for the locks of other processes.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.filepath import FilePath

from muccore.storage.sqlite.connection import connectReader
from muccore.storage.sqlite.database import BUSY_TIMEOUT, Database
from muccore.storage.sqlite.schema import Schema

_T = TypeVar("_T")

_EVERYTHING: Final = (None,)


class ReadingDatabase(Database):
    """A connection that only reads a database whose tables are there."""

    def connect(self) -> sqlite3.Connection:
        """See L{Database.connect}."""
        return connectReader(self.path, self._timeout, self.connectionClass)


class DatabasePair:
    """
    Two connections to a file, with the methods of one (L{muccore.storage.rows.batching.RowDatabase}).

    A read that names what it reads goes to the connection for reads, unless a write of the same waits for its answer:
    then it is behind that, as all reads are that name nothing. A write waits for such reads of the same before it. So
    requests about one thing are carried out and answered in order.

    @ivar writer: the connection for writes.
    @ivar reader: that for reads.
    """

    def __init__(self, path: FilePath[str], schema: Schema, reactor: Any, timeout: float = BUSY_TIMEOUT) -> None:
        """@param reactor, timeout: as for L{Database}."""
        self.writer = Database(path, schema, reactor, timeout)
        self.reader = ReadingDatabase(path, schema, reactor, timeout)
        self.path = self.writer.path
        self._isReading = False
        # How many writes that are not answered there are of each key; None: of those that name none.
        self._changing: Counter[str | None] = Counter()
        # The reads of each key by the other connection that are not answered; in each, what is then to be set.
        self._reading: dict[str, list[list[threading.Event]]] = {}

    def probe(self) -> None:
        """See L{Database.probe}."""
        self.writer.probe()

    def open(self) -> Deferred[None]:
        """See L{Database.open}."""
        return Deferred.fromCoroutine(self._open())

    async def _open(self) -> None:
        await self.writer.open()
        try:
            await self.reader.open()
        except BaseException:
            await self.writer.close()
            raise
        self._isReading = True

    def close(self) -> Deferred[None]:
        """See L{Database.close}."""
        self._isReading = False
        return self.writer.close().addCallback(lambda _: self.reader.close())

    def read(self, operation: Callable[[sqlite3.Connection], _T], *keys: str) -> Deferred[_T]:
        """See L{RowDatabase.read<muccore.storage.rows.batching.RowDatabase.read>}."""
        changing = self._changing
        if not keys or not self._isReading or (changing and (None in changing or not changing.keys().isdisjoint(keys))):
            return self.writer.read(operation)
        waiting: list[threading.Event] = []
        for key in keys:
            self._reading.setdefault(key, []).append(waiting)

        def answering() -> None:
            for key in keys:
                reads = self._reading[key]
                if len(reads) == 1:
                    del self._reading[key]
                else:
                    reads[:] = [each for each in reads if each is not waiting]
            for event in waiting:
                event.set()

        return self.reader.request(operation, False, answering)

    def readCommitted(self, operation: Callable[[sqlite3.Connection], _T]) -> Deferred[_T]:
        """See L{RowDatabase.readCommitted<muccore.storage.rows.batching.RowDatabase.readCommitted>}."""
        return self.reader.read(operation) if self._isReading else self.writer.read(operation)

    def write(self, operation: Callable[[sqlite3.Connection], _T], *keys: str) -> Deferred[_T]:
        """See L{RowDatabase.write<muccore.storage.rows.batching.RowDatabase.write>}."""
        changing = keys or _EVERYTHING
        for key in changing:
            self._changing[key] += 1

        def answering() -> None:
            for key in changing:
                self._changing[key] -= 1
                if not self._changing[key]:
                    del self._changing[key]

        if self._reading:
            operation = self._behindReads(operation, keys or self._reading)
        return self.writer.request(operation, True, answering)

    def _behindReads(
        self, operation: Callable[[sqlite3.Connection], _T], keys: Iterable[str]
    ) -> Callable[[sqlite3.Connection], _T]:
        """Let an operation wait, in its thread, until the reads of some keys are answered."""
        before = []
        for key in keys:
            for waiting in self._reading.get(key, ()):
                answered = threading.Event()
                waiting.append(answered)
                before.append(answered)
        if not before:
            return operation

        def wait(connection: sqlite3.Connection) -> _T:
            for each in before:
                each.wait()
            return operation(connection)

        return wait
