# -*- test-case-name: tests.storage.test_sqlite_database -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
An SQLite database that is worked on in a thread of its own.

What is asked for in one turn of the reactor, and whatever has gathered while the thread was busy, is carried out in
one transaction and made durable by one commit; then the answers go to the reactor thread together, in order. A
request that fails is undone alone, by its savepoint.
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
"""Seconds to wait for another process that has locked the database."""

WAITING_LIMIT: Final = 100_000
"""How many requests may wait; more are refused."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Request:
    """
    Something to be done with the database.

    @ivar operation: called in the thread with the connection; neither begins nor ends a transaction.
    @ivar writes: whether it may change something.
    @ivar answer: fired in the reactor thread with what the operation returns.
    """

    operation: Callable[[sqlite3.Connection], Any]
    writes: bool
    answer: Deferred[Any]


@dataclass(frozen=True, slots=True)
class _Refused:
    """What a request that failed is answered with."""

    reason: Failure


class _TransactionRolledBack(Exception):
    """SQLite has undone the whole transaction by itself."""

    def __init__(self, error: sqlite3.Error) -> None:
        super().__init__(error)
        self.error = error


class Database:
    """
    One connection and its thread. Lives once: after L{close} it cannot be opened again.

    Cancelling a Deferred forgets the answer; the request is carried out nevertheless.
    """

    connectionClass: type[sqlite3.Connection] = sqlite3.Connection

    def __init__(self, path: FilePath[str], schema: Schema, reactor: Any, patience: float = BUSY_TIMEOUT) -> None:
        """
        @param path: the file.
        @param schema: its tables.
        @param reactor: whose thread is answered.
        @param patience: seconds to wait for another process that has locked the database.
        """
        self.path = path.path
        self._schema = schema
        self._reactor = reactor
        self._patience = patience
        self._thread: threading.Thread | None = None
        self._accepting = False
        self._ended = False
        self._closers: list[Deferred[None]] = []
        # What has been asked for in this turn, and the call that hands it over at the turn's end.
        self._batch: list[_Request] = []
        self._submitting: Any = None
        self._waiting = 0
        # One list for each turn; None asks the thread to end.
        self._inbox: SimpleQueue[list[_Request] | None] = SimpleQueue()

    def probe(self) -> None:
        """
        Open the database and close it again, in this thread, before anything runs.

        @raise StoreError: with a line that names the file.
        """
        connect(self.path, self._schema, self._patience).close()

    # In the reactor thread

    def open(self) -> Deferred[None]:
        """
        Open or make the database and bring its tables up to date. Requests may be made at once: they wait for it.

        @raise StoreError: (as failure) with a line that names the file.
        """
        if self._thread is not None or self._ended:
            return fail(StoreUnavailable(f"{self.path}: it has been opened before"))
        opened: Deferred[None] = Deferred()
        name = f"muccore {self._schema.kind} {self.path}"
        # A daemon, because a thread must not keep a process alive whose reactor has crashed; close() waits for it.
        self._thread = threading.Thread(target=self._work, args=(opened,), name=name, daemon=True)
        self._accepting = True
        self._thread.start()
        return opened

    def close(self) -> Deferred[None]:
        """Carry out what has been accepted, then close. Calling it again is harmless."""
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
        Call the operation in the thread, behind whatever has been asked for before; it changes nothing.

        @raise StoreUnavailable: (as failure) if the database cannot be read or is not open, or if too much waits.
        """
        return self._ask(operation, False)

    def write(self, operation: Callable[[sqlite3.Connection], _T]) -> Deferred[_T]:
        """
        Call the operation in the thread, within a transaction. The Deferred fires when what it did is durable; if it
        fails, nothing of it has been done.

        @param operation: may be called again if SQLite had to undo it.
        @raise StoreUnavailable: (as failure) if the database cannot be written or is not open, or if too much waits.
        """
        return self._ask(operation, True)

    def _ask(self, operation: Callable[[sqlite3.Connection], _T], writes: bool) -> Deferred[_T]:
        if not self._accepting:
            return fail(StoreUnavailable(f"{self.path}: it is not open"))
        if self._waiting >= WAITING_LIMIT:
            return fail(StoreUnavailable(f"{self.path}: {self._waiting} requests wait already; is the disk too slow?"))
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
            if isinstance(result, _Refused):
                request.answer.errback(result.reason)
            else:
                request.answer.callback(result)

    def _end(self, thread: threading.Thread, opening: Deferred[None] | None, failure: Failure | None) -> None:
        """
        The thread has nothing more to do.

        @param opening: the Deferred of L{open}, if that is what failed.
        """
        thread.join()
        self._accepting = False
        self._ended = True
        self._submit()
        if opening is not None and failure is not None:
            opening.errback(failure)
        for turn in iter(self._left, None):
            self._answer(turn, [_Refused(Failure(StoreUnavailable(f"{self.path}: it is not open"))) for _ in turn])
        closers, self._closers = self._closers, []
        for closed in closers:
            closed.callback(None)

    def _left(self) -> list[_Request] | None:
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
            connection = connect(self.path, self._schema, self._patience, self.connectionClass)
        except Exception:
            self._reactor.callFromThread(self._end, thread, opening, Failure())
            return
        self._reactor.callFromThread(opening.callback, None)
        for group in self._groups():
            self._reactor.callFromThread(self._answer, group, self._runGroup(connection, group))
        # What has been committed is durable: if closing fails, the next one to open reads it from the log.
        with contextlib.suppress(sqlite3.Error):
            connection.close()
        self._reactor.callFromThread(self._end, thread, None, None)

    def _groups(self) -> Iterator[list[_Request]]:
        """Whatever waits, each time; ends when that is asked for."""
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
        Carry out a group in one transaction.

        If it cannot be committed, nothing of it has been done: its writes are refused, and its reads, which may have
        seen what is now undone, are carried out anew.
        """
        writes = any(request.writes for request in group)
        try:
            connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            results = [self._runOne(connection, request) for request in group]
            connection.execute("COMMIT")
            return results
        except (sqlite3.Error, _TransactionRolledBack) as e:
            error = e.error if isinstance(e, _TransactionRolledBack) else e
        with contextlib.suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        if not writes:
            return [self._refusal(error) for request in group]
        reads = [request for request in group if not request.writes]
        answers = iter(self._runGroup(connection, reads) if reads else [])
        return [self._refusal(error) if request.writes else next(answers) for request in group]

    def _runOne(self, connection: sqlite3.Connection, request: _Request) -> Any:
        if request.writes:
            connection.execute("SAVEPOINT request")
        try:
            result = request.operation(connection)
        except Exception as e:
            if isinstance(e, sqlite3.Error):
                if not connection.in_transaction:
                    raise _TransactionRolledBack(e) from e
                refused = self._refusal(e)
            else:
                refused = _Refused(Failure())
                # A traceback's frames would keep cursors, and through them rows, for the reactor thread to free.
                refused.reason.cleanFailure()
            if request.writes:
                connection.execute("ROLLBACK TO request")
                connection.execute("RELEASE request")
            return refused
        if request.writes:
            connection.execute("RELEASE request")
        return result

    def _refusal(self, error: sqlite3.Error) -> _Refused:
        return _Refused(Failure(toStoreError(self.path, error)))
