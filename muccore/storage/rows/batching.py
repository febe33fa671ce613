# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A connection to a database of rows, with its own thread.

The requests of one turn of the reactor, and those that arrive while the thread is busy, run in one transaction with one
commit; then their results go to the reactor thread together, in order. A request that fails is rolled back alone, by
its savepoint, of which the only one of a group needs none.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from muccore.interfaces import StoreUnavailable

WAITING_LIMIT: Final = 100_000
"""Requests that may wait; more are refused."""

_T = TypeVar("_T")


class RowCursor(Protocol):
    """What operations use of a cursor (PEP 249)."""

    @property
    def rowcount(self) -> int:
        """How many rows the statement has written."""

    def fetchone(self) -> Any:
        """The next row, or C{None}."""

    def fetchall(self) -> list[Any]:
        """All remaining rows."""

    def __iter__(self) -> Iterator[Any]:
        """The remaining rows, one by one."""


class RowConnection(Protocol):
    """What operations use of a connection; parameters of statements are written as C{?}."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> RowCursor:
        """Execute a statement."""

    def executemany(self, sql: str, parameters: Sequence[Any], /) -> object:
        """Execute a statement with each of several tuples of parameters."""


C = TypeVar("C", bound=RowConnection)
"""The connections of one kind of database."""


class RowDatabase(Protocol):
    """What stores use of a database."""

    path: str
    """What errors and logs call it."""

    def probe(self) -> None:
        """See L{BatchingDatabase.probe}."""

    def open(self) -> Deferred[None]:
        """See L{BatchingDatabase.open}."""

    def close(self) -> Deferred[None]:
        """See L{BatchingDatabase.close}."""

    def read(self, operation: Callable[[Any], _T], *keys: str) -> Deferred[_T]:
        """
        Call an operation that changes nothing, after the writes that were requested before.

        @param keys: what it reads, such as the JID of an account: those of others need not be before it; nor are writes
            of the same that are requested later behind it. None: all writes are before it or behind it.
        @raise StoreUnavailable: (as failure) if the database cannot be read, is not open, or has too many requests.
        """

    def readCommitted(self, operation: Callable[[Any], _T]) -> Deferred[_T]:
        """Call an operation that changes nothing and reads whatever is committed; it waits for no write."""

    def write(self, operation: Callable[[Any], _T], *keys: str) -> Deferred[_T]:
        """
        Call an operation within a transaction, after all writes that were requested before. The Deferred fires when its
        changes are durable; if it fails, there are none.

        @param keys: all that it changes and reads name, as in L{read}; none: it may be anything.
        @raise StoreUnavailable: (as failure) if the database cannot be written, is not open, or has too many requests.
        """


@dataclass(frozen=True, slots=True)
class Request(Generic[C]):
    """
    A request to the thread.

    @ivar operation: called in the thread with the connection; must neither begin nor end a transaction. It may be
        called again, when what it has done is rolled back.
    @ivar answer: fired in the reactor thread with the operation's result.
    @ivar answering: called right before that, whoever has cancelled the answer.
    """

    operation: Callable[[C], Any]
    writes: bool
    answer: Deferred[Any]
    answering: Callable[[], object] | None = None


class BatchingDatabase(Generic[C]):
    """
    A connection and its thread. Cannot be opened again after L{close}.

    Cancelling a Deferred drops the result, not the request. Subclasses connect, and explain errors.
    """

    errors: ClassVar[type[Exception]]
    """The base class of the errors of connections."""

    isRemote: ClassVar = False
    """
    Whether each statement is a round trip, and one that fails spoils its transaction. Then savepoints are set, and for
    reads too, only when a group is run again because a request of it has failed.
    """

    def __init__(self, place: str, kind: str, reactor: Any) -> None:
        """
        @param place: what errors and logs call the database.
        @param kind: what is kept there, for the name of the thread.
        @param reactor: fires the Deferreds, in its thread.
        """
        self.path = place
        self._kind = kind
        self._reactor = reactor
        self._thread: threading.Thread | None = None
        self._accepting = False
        self._ended = False
        self._closers: list[Deferred[None]] = []
        # The requests of this turn, and the delayed call that submits them.
        self._batch: list[Request[C]] = []
        self._submitting: Any = None
        self._waiting = 0
        # One list for each turn; None ends the thread.
        self._inbox: SimpleQueue[list[Request[C]] | None] = SimpleQueue()

    def probe(self) -> None:
        """
        Open the database and close it again, in this thread.

        @raise StoreError: with a line that names the database.
        """
        self.disconnect(self.connect())

    # What subclasses do, in the thread

    def connect(self) -> C:
        """
        Connect and migrate the tables.

        @raise StoreError: with a line for the operator.
        """
        raise NotImplementedError("a database's connect")

    def disconnect(self, connection: C) -> None:
        """Close the connection; what is committed is durable already."""
        raise NotImplementedError("a database's disconnect")

    def begin(self, connection: C, writes: bool) -> None:
        """Begin the transaction of a group, which writes or only reads."""
        raise NotImplementedError("a database's begin")

    def setSavepoint(self, connection: C, again: bool) -> None:
        """Set the savepoint C{request}; C{again}: in place of the one that there is."""
        if again:
            connection.execute("RELEASE request")
        connection.execute("SAVEPOINT request")

    def commit(self, connection: C) -> None:
        """Commit the transaction of a group. If it raises one of L{errors}, nothing of it has been done."""
        connection.execute("COMMIT")

    def inTransaction(self, connection: C) -> bool:
        """Whether the transaction of a group is still there, so that what fails can be rolled back alone."""
        raise NotImplementedError("a database's inTransaction")

    def explain(self, error: Exception) -> StoreUnavailable:
        """Explain one of L{errors} to the operator."""
        raise NotImplementedError("a database's explain")

    # In the reactor thread

    def open(self) -> Deferred[None]:
        """
        Connect and migrate the tables. Requests made before it fires wait for it.

        @raise StoreError: (as failure) with a line that names the database.
        """
        if self._thread is not None or self._ended:
            return fail(StoreUnavailable(f"{self.path}: it has been opened before"))
        opened: Deferred[None] = Deferred()
        name = f"muccore {self._kind} {self.path}"
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

    def read(self, operation: Callable[[C], _T], *keys: str) -> Deferred[_T]:
        """See L{RowDatabase.read}; whatever it reads, it is called in the thread after all earlier requests."""
        return self.request(operation, False)

    def readCommitted(self, operation: Callable[[C], _T]) -> Deferred[_T]:
        """See L{RowDatabase.readCommitted}; it is a read as any other."""
        return self.request(operation, False)

    def write(self, operation: Callable[[C], _T], *keys: str) -> Deferred[_T]:
        """See L{RowDatabase.write}."""
        return self.request(operation, True)

    def request(
        self, operation: Callable[[C], _T], writes: bool, answering: Callable[[], object] | None = None
    ) -> Deferred[_T]:
        """
        Make a request; see L{read} and L{write}.

        @param answering: called right before it is answered, even if the caller has cancelled that.
        """
        refusal = None
        if not self._accepting:
            refusal = "it is not open"
        elif self._waiting >= WAITING_LIMIT:
            refusal = f"{self._waiting} requests are waiting; is the disk too slow?"
        if refusal is not None:
            if answering is not None:
                answering()
            return fail(StoreUnavailable(f"{self.path}: {refusal}"))
        self._waiting += 1
        answer: Deferred[_T] = Deferred()
        self._batch.append(Request(operation, writes, answer, answering))
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

    def _answer(self, group: Sequence[Request[C]], results: Sequence[Any]) -> None:
        for request, result in zip(group, results, strict=True):
            self._waiting -= 1
            if request.answering is not None:
                request.answering()
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

    def _takeRemaining(self) -> list[Request[C]] | None:
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
            connection = self.connect()
        except Exception:
            self._reactor.callFromThread(self._threadEnded, thread, opening, Failure())
            return
        self._reactor.callFromThread(opening.callback, None)
        for group in self._groups():
            self._reactor.callFromThread(self._answer, group, self._runGroup(connection, group))
        with contextlib.suppress(self.errors):
            self.disconnect(connection)
        self._reactor.callFromThread(self._threadEnded, thread, None, None)

    def _groups(self) -> Iterator[list[Request[C]]]:
        """Yield all waiting requests, again and again, until asked to end."""
        more = True
        while more:
            turn = self._inbox.get()
            group: list[Request[C]] = []
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

    def _runGroup(self, connection: C, group: Sequence[Request[C]], again: bool = False) -> list[Any]:
        """
        Run a group in one transaction.

        If it cannot be committed, its writes are refused, and its reads, which may have seen what is now rolled back,
        are run again.

        @param again: whether it is run again, since one of its requests has failed.
        """
        writes = any(request.writes for request in group)
        try:
            self.begin(connection, writes)
            guarded = len(group) > 1 and (again or (writes and not self.isRemote))
            results = self._runAll(connection, group, guarded)
            if len(results) < len(group):
                self._rollBack(connection)
                return self._runGroup(connection, group, True)
            if len(group) == 1 and isinstance(results[0], Failure):
                self._rollBack(connection)
            else:
                self.commit(connection)
            return results
        except self.errors as e:
            error = e
        self._rollBack(connection)
        if not writes:
            return [self._refusal(error) for request in group]
        reads = [request for request in group if not request.writes]
        answers = iter(self._runGroup(connection, reads) if reads else [])
        return [self._refusal(error) if request.writes else next(answers) for request in group]

    def _rollBack(self, connection: C) -> None:
        with contextlib.suppress(self.errors):
            if self.inTransaction(connection):
                connection.execute("ROLLBACK")

    def _runAll(self, connection: C, group: Sequence[Request[Any]], guarded: bool) -> list[Any]:
        """
        Run the requests of a group; return their results or failures. If one fails which is neither the only one nor
        guarded, and what it has done must not stay, the results end before it.

        @param guarded: whether a request that fails must leave what those before it have done.
        @raise Exception: one of L{errors}, if the database has rolled back the whole transaction by itself.
        """
        results: list[Any] = []
        hasSavepoint = isFresh = False
        for request in group:
            needed = guarded and (request.writes or self.isRemote)
            if needed and not isFresh:
                self.setSavepoint(connection, hasSavepoint)
                hasSavepoint = True
            isFresh, mustUndo = False, request.writes
            try:
                result = request.operation(connection)
            except self.errors as e:
                if not self.inTransaction(connection):
                    raise
                result = self._refusal(e)
                mustUndo = mustUndo or self.isRemote
            except Exception:
                result = Failure()
                # The frames of a traceback would keep cursors, and their rows, for the reactor thread to free.
                result.cleanFailure()
            if isinstance(result, Failure) and mustUndo and not guarded and len(group) > 1:
                return results
            if needed and isinstance(result, Failure):
                connection.execute("ROLLBACK TO request")
                # The savepoint is still there, and nothing has been done since.
                isFresh = True
            results.append(result)
        return results

    def _refusal(self, error: Exception) -> Failure:
        return Failure(self.explain(error))
