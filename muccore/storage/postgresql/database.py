# -*- test-case-name: tests.storage.test_postgresql -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A PostgreSQL database with its own thread, and a connection that is made again when it is lost.

While the database cannot be reached, requests fail at once; whether it can is tried when one comes, at growing
intervals.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any, ClassVar, Final

from muccore.interfaces import StoreError, StoreUnavailable
from muccore.log.logger import Logger
from muccore.storage.postgresql.address import Address
from muccore.storage.postgresql.connection import Connection, PostgreSQLError, toStoreError
from muccore.storage.postgresql.schema import Schema
from muccore.storage.rows.batching import BatchingDatabase

_log: Final = Logger()

TIMEOUT: Final = 10.0
"""Seconds that a statement may take."""

FIRST_PAUSE: Final = 0.5
"""Seconds without another try after the first that failed; it doubles each time."""

LONGEST_PAUSE: Final = 15.0
"""Seconds between tries at most."""

DOUBT: Final = 30.0
"""Seconds in which it has to become known whether a transaction was committed, if the connection was lost meanwhile."""


class _Outages:
    """The places that cannot be reached, of which each is logged once for all its stores."""

    def __init__(self) -> None:
        self._places: set[str] = set()
        self._lock = threading.Lock()

    def begin(self, place: str) -> bool:
        """Note an outage; return whether it is a new one."""
        with self._lock:
            isNew = place not in self._places
            self._places.add(place)
            return isNew

    def end(self, place: str) -> bool:
        """Note that a place is reached; return whether that ends an outage."""
        with self._lock:
            wasThere = place in self._places
            self._places.discard(place)
            return wasThere


_outages: Final = _Outages()


class Link:
    """
    The connection of a thread: lost, and made again by L{require}.

    @ivar transaction: the number of the transaction that writes, C{None} if there is none.
    """

    def __init__(self, address: Address, schema: Schema, timeout: float) -> None:
        self._address = address
        self._schema = schema
        self._timeout = timeout
        self._connection: Connection | None = None
        self._pause = 0.0
        self._next = 0.0
        self._error = PostgreSQLError("", "it is not connected")
        self.transaction: str | None = None

    @property
    def inTransaction(self) -> bool:
        """See L{Connection.inTransaction}."""
        return self._connection is not None and self._connection.inTransaction

    @property
    def isOpen(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._connection is not None and self._connection.isOpen

    def require(self) -> Connection:
        """
        Return the connection, see L{connect}.

        @raise PostgreSQLError: if there is none, or the database cannot be used any more.
        """
        try:
            return self.connect()
        except StoreError as e:
            raise PostgreSQLError("", str(e).removeprefix(f"{self._address.place}: ")) from None

    def connect(self) -> Connection:
        """
        Return the connection; make it if there is none and it is time for another try.

        @raise PostgreSQLError: if there is none.
        @raise StoreError: if the database cannot be used.
        """
        if self._connection is not None and self._connection.isOpen:
            return self._connection
        self.close()
        if time.monotonic() < self._next:
            raise self._error
        try:
            connection = Connection(self._address, self._timeout)
            try:
                self._schema.migrate(connection, self._address.place)
            except BaseException:
                connection.close()
                raise
        except PostgreSQLError as e:
            if _outages.begin(self._address.place):
                _log.error(
                    "{error}; requests fail until it is there, which is tried again and again",
                    error=toStoreError(self._address.place, e),
                )
            self._error = e
            self._pause = min(max(self._pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
            self._next = time.monotonic() + self._pause
            raise
        if _outages.end(self._address.place):
            _log.warn("{place}: it is there again", place=self._address.place)
        self._pause = 0.0
        self._connection = connection
        return connection

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """See L{Connection.execute}; a connection that is lost is not made again."""
        return self._current().execute(sql, parameters)

    def executeAll(self, sql: str, /) -> Any:
        """See L{Connection.executeAll}; a connection that is lost is not made again."""
        return self._current().executeAll(sql)

    def executemany(self, sql: str, parameters: Any, /) -> None:
        """See L{Connection.executemany}."""
        self._current().executemany(sql, parameters)

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _current(self) -> Connection:
        if self._connection is None:
            raise self._error
        return self._connection


class Database(BatchingDatabase[Link]):
    """A connection to PostgreSQL, and its thread."""

    errors = PostgreSQLError
    isRemote = True
    reading: ClassVar = "BEGIN READ ONLY"
    """Begins the transaction of a group that only reads."""

    def __init__(self, address: Address, schema: Schema, reactor: Any, timeout: float = TIMEOUT) -> None:
        """
        @param reactor: fires the Deferreds, in its thread.
        @param timeout: seconds that a statement may take.
        """
        super().__init__(address.place, schema.kind, reactor)
        self._address = address
        self._schema = schema
        self._timeout = timeout

    def connect(self) -> Link:
        """
        See L{BatchingDatabase.connect}. A database that cannot be reached is no error: it may be started later.
        """
        link = Link(self._address, self._schema, self._timeout)
        # It has been logged.
        with contextlib.suppress(PostgreSQLError):
            link.connect()
        return link

    def disconnect(self, connection: Link) -> None:
        """See L{BatchingDatabase.disconnect}."""
        connection.close()

    def begin(self, connection: Link, writes: bool) -> None:
        """See L{BatchingDatabase.begin}."""
        connection.transaction = None
        for last in (False, True):
            try:
                if writes:
                    begun = connection.require().executeAll("BEGIN; SELECT pg_current_xact_id()::text")
                    (connection.transaction,) = begun.fetchone()
                else:
                    connection.require().execute(self.reading)
                return
            except PostgreSQLError:
                # It may have been lost since the last group, as when PostgreSQL was restarted.
                if last or connection.isOpen:
                    raise

    def setSavepoint(self, connection: Link, again: bool) -> None:
        """See L{BatchingDatabase.setSavepoint}."""
        connection.executeAll("RELEASE request; SAVEPOINT request" if again else "SAVEPOINT request")

    def commit(self, connection: Link) -> None:
        """See L{BatchingDatabase.commit}. If the connection is lost meanwhile, PostgreSQL is asked what it has done."""
        try:
            done = connection.execute("COMMIT").statusmessage
        except PostgreSQLError:
            if connection.isOpen or connection.transaction is None or not self._wasCommitted(connection):
                raise
            return
        if done != "COMMIT":
            raise PostgreSQLError("", "the transaction had failed")

    def inTransaction(self, connection: Link) -> bool:
        """See L{BatchingDatabase.inTransaction}."""
        return connection.inTransaction

    def explain(self, error: Exception) -> StoreUnavailable:
        """See L{BatchingDatabase.explain}."""
        assert isinstance(error, PostgreSQLError)
        return toStoreError(self.path, error)

    def _wasCommitted(self, connection: Link) -> bool:
        deadline = time.monotonic() + DOUBT
        while time.monotonic() < deadline:
            try:
                (status,) = (
                    connection.require().execute("SELECT pg_xact_status(?::xid8)", (connection.transaction,)).fetchone()
                )
            except PostgreSQLError:
                status = "unknown"
            if status in ("committed", "aborted"):
                return bool(status == "committed")
            time.sleep(0.1)
        _log.critical(
            "{place}: the connection was lost during a commit, and PostgreSQL did not come back within {doubt} seconds;"
            " what was refused may have been done: restart muccore when PostgreSQL is there",
            place=self.path, doubt=DOUBT,
        )  # fmt: skip
        return False
