# -*- test-case-name: tests.storage.test_postgresql -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Connections to PostgreSQL, and one-line explanations of its errors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from muccore.interfaces import StoreUnavailable
from muccore.storage.postgresql.address import Address

if TYPE_CHECKING:
    import psycopg

_OPTIONS: Final = {
    # A network that loses everything is noticed within twenty seconds.
    "connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 3, "keepalives_count": 3,
    "tcp_user_timeout": 15_000, "application_name": "muccore", "client_encoding": "UTF8",
}  # fmt: skip

_ADVICE: Final = {
    "08": "the connection was lost; it is made again for the next request",
    "25006": "it may not be written; name the primary server",
    "28": "it refuses the log-in; check user, password and pg_hba.conf",
    "3D": "there is no such database; create it",
    "42501": "it may not be written; give the role the right to create in the database, and to write its tables",
    "53100": "the disk of PostgreSQL is full; free some space",
    "53300": "PostgreSQL has too many connections; raise max_connections",
    "55P03": "another session holds a lock; wait for it, or end it (pg_stat_activity)",
    "57014": "a statement took too long, or waited for a lock; see pg_stat_activity for sessions that hold locks",
    "57P": "PostgreSQL was stopped, or the connection was ended; it is made again for the next request",
}
"""SQLSTATE codes or their beginnings, and the line for the operator."""


class PostgreSQLError(Exception):
    """
    PostgreSQL refused something, or cannot be reached.

    @ivar code: its SQLSTATE code, C{""} if there is none, as without connection.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def toStoreError(place: str, error: PostgreSQLError) -> StoreUnavailable:
    """Explain an error to the operator."""
    for beginning, advice in _ADVICE.items():
        if error.code.startswith(beginning):
            return StoreUnavailable(f"{place}: {advice} ({error})")
    return StoreUnavailable(f"{place}: {error}")


@lru_cache(512)
def _placeholders(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")

# Of a connection that is lost, it would write to standard error what its exception says.
logging.getLogger("psycopg").addHandler(logging.NullHandler())


class Connection:
    """
    A connection whose statements have C{?} for parameters and raise L{PostgreSQLError}.

    Only statements of constant text with C{?} for parameters alone may be executed, since their translations are kept.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        """
        Connect.

        @param timeout: seconds that a statement may take, and wait for locks.
        @raise PostgreSQLError: if that fails.
        @raise StoreUnavailable: without the package psycopg, or if the database cannot keep every text.
        """
        if find_spec("psycopg") is None:
            raise StoreUnavailable("the package psycopg is not installed; install muccore[postgresql]")
        import psycopg

        self._error = psycopg.Error
        self._secret = address.options.get("password", "")
        try:
            options: dict[str, Any] = {**_OPTIONS, **address.options}
            self._connection: psycopg.Connection[Any] = psycopg.connect(autocommit=True, **options)
        except psycopg.Error as e:
            raise self._translated(e, "it cannot be reached; check that PostgreSQL runs, and the address: ") from None
        try:
            self._prepare(address.place, timeout)
        except BaseException:
            self.close()
            raise

    def _prepare(self, place: str, timeout: float) -> None:
        milliseconds = str(round(timeout * 1000))
        # Of a server that does not wait for its disk, this connection does.
        encoding, _ = self.execute(
            "SELECT current_setting('server_encoding'), set_config('synchronous_commit',"
            " CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'"
            " ELSE current_setting('synchronous_commit') END, false)"
        ).fetchone()
        if encoding != "UTF8":
            raise StoreUnavailable(f"{place}: its encoding is {encoding}; create the database with ENCODING 'UTF8'")
        for name, value in (
            ("search_path", "muccore"), ("statement_timeout", milliseconds), ("lock_timeout", milliseconds),
            ("idle_in_transaction_session_timeout", "60000"), ("default_transaction_isolation", "read committed"),
            # It takes longer than any statement here.
            ("jit", "off"),
        ):  # fmt: skip
            self.execute("SELECT set_config(?, ?, false)", (name, value))

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any:
        """Execute a statement; see L{muccore.storage.rows.batching.RowConnection}."""
        try:
            return self._connection.execute(_placeholders(sql).encode(), parameters)
        except self._error as e:
            raise self._translated(e) from None

    def executeAll(self, sql: str, /) -> Any:
        """Execute statements without parameters in one round trip; return the cursor for the result of the last one."""
        try:
            cursor = self._connection.execute(sql.encode())
            while cursor.nextset():
                pass
        except self._error as e:
            raise self._translated(e) from None
        return cursor

    def executemany(self, sql: str, parameters: Sequence[Any], /) -> None:
        """Execute a statement with each of several tuples of parameters, in one round trip."""
        if not parameters:
            return
        if len(parameters) == 1:
            # Without the round trips of a pipeline.
            self.execute(sql, parameters[0])
            return
        try:
            self._connection.cursor().executemany(_placeholders(sql).encode(), parameters)
        except self._error as e:
            raise self._translated(e) from None

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    @property
    def isOpen(self) -> bool:
        """Whether it has not been lost, as far as is known."""
        return not self._connection.closed

    @property
    def inTransaction(self) -> bool:
        """Whether there is a transaction, which may have failed."""
        return self.isOpen and self._connection.info.transaction_status.name in ("INTRANS", "INERROR")

    def _translated(self, error: psycopg.Error, prefix: str = "") -> PostgreSQLError:
        text = " ".join((error.diag.message_primary or str(error)).split())
        if self._secret:
            text = text.replace(self._secret, "***")
        return PostgreSQLError(error.sqlstate or "", prefix + text)
