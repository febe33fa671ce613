# -*- test-case-name: tests.storage.test_sqlite_database -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
An SQLite database with its own thread.

The requests of one turn of the reactor, and those that arrive while the thread is busy, run in one transaction with one
commit; then their results go to the reactor thread together, in order. A request that fails is rolled back alone, by
its savepoint.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath

from muccore.interfaces import StoreUnavailable
from muccore.storage.sqlite.connection import connect, toStoreError
from muccore.storage.sqlite.schema import Schema

BUSY_TIMEOUT: Final = 5.0
"""Seconds to wait for locks of other processes."""

WAITING_LIMIT: Final = 100_000
"""Requests that may wait; more are refused."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Request:
    """
    A request to the thread.

    @ivar operation: called in the thread with the connection; must neither begin nor end a transaction.
    @ivar answer: fired in the reactor thread with the operation's result.
    """

    operation: Callable[[sqlite3.Connection], Any]
    writes: bool
    answer: Deferred[Any]


class Database:
    """
    A connection and its thread. Cannot be opened again after L{close}.

    Cancelling a Deferred drops the result, not the request.
    """

    connectionClass: type[sqlite3.Connection] = sqlite3.Connection

    def __init__(self, path: FilePath[str], schema: Schema, reactor: Any, timeout: float = BUSY_TIMEOUT) -> None:
        """
        @param reactor: fires the Deferreds, in its thread.
        @param timeout: seconds to wait for locks of other processes.
        """
        self.path = path.path
        self._schema = schema
        self._reactor = reactor
        self._timeout = timeout
        self._thread: threading.Thread | None = None
        self._accepting = False
        self._ended = False
        self._closers: list[Deferred[None]] = []
        # The requests of this turn, and the delayed call that submits them.
        self._batch: list[_Request] = []
        self._submitting: Any = None
        self._waiting = 0
        # One list for each turn; None ends the thread.
        self._inbox: SimpleQueue[list[_Request] | None] = SimpleQueue()

    def probe(self) -> None:
        """Open the database and close it again, in this thread; L{StoreError} has a line that names the file."""
        connect(self.path, self._schema, self._timeout).close()

    # In the reactor thread

    def open(self) -> Deferred[None]:
        """
        Open or create the database and migrate its tables. Requests made before it fires wait for it.

        @raise StoreError: (as failure) with a line that names the file.
        """
        if self._thread is not None or self._ended:
            return fail(StoreUnavailable(f"{self.path}: it has been opened before"))
        opened: Deferred[None] = Deferred()
        name = f"muccore {self._schema.kind} {self.path}"
        # A daemon, so that it does not keep the process alive if the reactor crashes; close() waits for it.
        self._thread = threading.Thread(target=self._work, args=(opened,), name=name, daemon=True)
        self._accepting = True
        self._thread.start()
        return opened

    def close(self) -> Deferred[None]:
        """Carry out what has been accepted, then close. Idempotent."""
        if self._thread is None or self._ended:
            self._ended = True
            return succeed(None)
        closed: Deferred[None] = Deferred()
        self._closers.append(closed)
        if self._accepting:
            self._accepting = False
            self._submit()
            self._inbox.put(None)
        return closed

    def read(self, operation: Callable[[sqlite3.Connection], _T]) -> Deferred[_T]:
        """
        Call an operation that changes nothing in the thread, after all earlier requests.

        @raise StoreUnavailable: (as failure) if the database cannot be read, is not open, or has too many requests.
        """
        return self._ask(operation, False)

    def write(self, operation: Callable[[sqlite3.Connection], _T]) -> Deferred[_T]:
        """
        Call an operation in the thread, within a transaction. The Deferred fires when its changes are durable; if it
        fails, there are none.

        @raise StoreUnavailable: (as failure) if the database cannot be written, is not open, or has too many requests.
        """
        return self._ask(operation, True)

    def _ask(self, operation: Callable[[sqlite3.Connection], _T], writes: bool) -> Deferred[_T]:
        if not self._accepting:
            return fail(StoreUnavailable(f"{self.path}: it is not open"))
        if self._waiting >= WAITING_LIMIT:
            return fail(StoreUnavailable(f"{self.path}: {self._waiting} requests are waiting; is the disk too slow?"))
        self._waiting += 1
        answer: Deferred[_T] = Deferred()
        self._batch.append(_Request(operation, writes, answer))
        if self._submitting is None:
            self._submitting = self._reactor.callLater(0, self._submit)
        return answer

    def _submit(self) -> None:
        if self._submitting is not None:
            if self._submitting.active():
                self._submitting.cancel()
            self._submitting = None
        if self._batch:
            self._inbox.put(self._batch)
            self._batch = []

    def _answer(self, group: Sequence[_Request], results: Sequence[Any]) -> None:
        for request, result in zip(group, results, strict=True):
            self._waiting -= 1
            # A failure makes it fail.
            request.answer.callback(result)

    def _threadEnded(self, thread: threading.Thread, opening: Deferred[None] | None, failure: Failure | None) -> None:
        """Finish after the thread has ended; C{opening} is the Deferred of L{open} if that failed."""
        thread.join()
        self._accepting = False
        self._ended = True
        self._submit()
        if opening is not None and failure is not None:
            opening.errback(failure)
        for turn in iter(self._takeRemaining, None):
            self._answer(turn, [Failure(StoreUnavailable(f"{self.path}: it is not open")) for _ in turn])
        closers, self._closers = self._closers, []
        for closed in closers:
            closed.callback(None)

    def _takeRemaining(self) -> list[_Request] | None:
        while True:
            try:
                turn = self._inbox.get_nowait()
            except Empty:
                return None
            if turn is not None:
                return turn

    # In the thread

    def _work(self, opening: Deferred[None]) -> None:
        thread = threading.current_thread()
        try:
            connection = connect(self.path, self._schema, self._timeout, self.connectionClass)
        except Exception:
            self._reactor.callFromThread(self._threadEnded, thread, opening, Failure())
            return
        self._reactor.callFromThread(opening.callback, None)
        for group in self._groups():
            self._reactor.callFromThread(self._answer, group, self._runGroup(connection, group))
        # If closing fails, the next connection reads what was committed from the log.
        with contextlib.suppress(sqlite3.Error):
            connection.close()
        self._reactor.callFromThread(self._threadEnded, thread, None, None)

    def _groups(self) -> Iterator[list[_Request]]:
        """Yield all waiting requests, again and again, until asked to end."""
        more = True
        while more:
            turn = self._inbox.get()
            group: list[_Request] = []
            while True:
                if turn is None:
                    more = False
                    break
                group += turn
                try:
                    turn = self._inbox.get_nowait()
                except Empty:
                    break
            if group:
                yield group

    def _runGroup(self, connection: sqlite3.Connection, group: Sequence[_Request]) -> list[Any]:
        """
        Run a group in one transaction.

        If it cannot be committed, its writes are refused, and its reads, which may have seen what is now rolled back,
        are run again.
        """
        writes = any(request.writes for request in group)
        try:
            connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            results = [self._runOne(connection, request) for request in group]
            connection.execute("COMMIT")
            return results
        except sqlite3.Error as e:
            error = e
        with contextlib.suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        if not writes:
            return [self._refusal(error) for request in group]
        reads = [request for request in group if not request.writes]
        answers = iter(self._runGroup(connection, reads) if reads else [])
        return [self._refusal(error) if request.writes else next(answers) for request in group]

    def _runOne(self, connection: sqlite3.Connection, request: _Request) -> Any:
        """
        Run a request; return its result or failure.

        @raise sqlite3.Error: if SQLite has rolled back the whole transaction by itself.
        """
        if request.writes:
            connection.execute("SAVEPOINT request")
        try:
            result = request.operation(connection)
        except sqlite3.Error as e:
            if not connection.in_transaction:
                raise
            result = self._refusal(e)
        except Exception:
            result = Failure()
            # The frames of a traceback would keep cursors, and their rows, for the reactor thread to free.
            result.cleanFailure()
        if request.writes:
            if isinstance(result, Failure):
                connection.execute("ROLLBACK TO request")
            connection.execute("RELEASE request")
        return result

    def _refusal(self, error: sqlite3.Error) -> Failure:
        return Failure(toStoreError(self.path, error))
