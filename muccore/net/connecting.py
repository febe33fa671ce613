# -*- test-case-name: tests.net.test_connecting -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Connections that this server opens: to the first of several addresses that accepts one (RFC 8305 §5), with the
transport of accepted ones.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Final, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocol,
    IReactorFDSet,
    IReactorTime,
    IReadWriteDescriptor,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from muccore.net.connection import BoundedConnection

ATTEMPT_DELAY: Final = 0.25
"""Seconds after which the next address is tried as well (RFC 8305 §5)."""

_numbers: Final = count(1)


class ConnectFailed(Exception):
    """No address has accepted a connection; C{str()} says why, in a clause."""


@implementer(IReadWriteDescriptor)
class _Attempt:
    """A socket that is being connected."""

    disconnected = False

    def __init__(self, reactor: IReactorFDSet, address: str, port: int, done: Callable[[_Attempt, int], None]) -> None:
        """@param done: called once, later, with the number of an error, 0 for none."""
        self.address = address
        self._reactor = reactor
        self._done = done
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.error = 0
        try:
            self.error = self.socket.connect_ex((address, port))
        except OSError as e:
            self.error = e.errno or errno.EINVAL
        if self.error in (0, errno.EINPROGRESS):
            self.error = 0
            reactor.addWriter(self)

    def fileno(self) -> int:
        """See L{IReadWriteDescriptor}."""
        return self.socket.fileno()

    def logPrefix(self) -> str:
        """See L{IReadWriteDescriptor}."""
        return type(self).__name__

    def doRead(self) -> None:
        """Never called: it is not a reader."""

    def doWrite(self) -> None:
        """The outcome is known."""
        self._reactor.removeWriter(self)
        self._done(self, self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def connectionLost(self, reason: Failure) -> None:
        """The poller has noticed a failure first."""
        self._reactor.removeWriter(self)
        self._done(self, self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or errno.ECONNABORTED)

    def cancel(self) -> None:
        """Give up."""
        self._reactor.removeWriter(self)
        self.socket.close()


class _Race:
    """Attempts at several addresses, of which the first that succeeds wins."""

    def __init__(self, reactor: Any, addresses: Sequence[str], port: int, timeout: float) -> None:
        self._reactor = reactor
        self._left = list(addresses)
        self._port = port
        self._running: list[_Attempt] = []
        self._error = errno.EADDRNOTAVAIL
        self._next: IDelayedCall | None = None
        self._timeout = cast(IReactorTime, reactor).callLater(timeout, self._timedOut)
        self.won: Deferred[socket.socket] = Deferred(lambda _: self._end())
        self._startNext()

    def _startNext(self) -> None:
        self._next = None
        while self._left:
            attempt = _Attempt(self._reactor, self._left.pop(0), self._port, self._attemptDone)
            if not attempt.error:
                self._running.append(attempt)
                if self._left:
                    self._next = self._reactor.callLater(ATTEMPT_DELAY, self._startNext)
                return
            self._error = attempt.error
            attempt.socket.close()
        if not self._running:
            self._fail(os.strerror(self._error))

    def _attemptDone(self, attempt: _Attempt, error: int) -> None:
        if attempt not in self._running:
            return
        self._running.remove(attempt)
        if not error:
            self._end()
            self.won.callback(attempt.socket)
            return
        attempt.socket.close()
        self._error = error
        if self._next is not None:
            self._next.cancel()
        self._startNext()

    def _timedOut(self) -> None:
        self._fail("no answer in time")

    def _fail(self, why: str) -> None:
        self._end()
        # Not before this has been returned to the caller.
        self._reactor.callLater(0, self._tell, why)

    def _tell(self, why: str) -> None:
        if not self.won.called:
            self.won.errback(ConnectFailed(f"cannot connect: {why}"))

    def _end(self) -> None:
        for call in (self._timeout, self._next):
            if call is not None and call.active():
                call.cancel()
        for attempt in self._running:
            attempt.cancel()
        self._running.clear()
        self._left.clear()


def race(reactor: Any, addresses: Sequence[str], port: int, timeout: float) -> Deferred[socket.socket]:
    """
    Connect to the first address that accepts it; the next is tried after L{ATTEMPT_DELAY}, or at once after a failure.

    @param addresses: IP addresses, in the order of preference.
    @param timeout: seconds for all of them.
    @return: fires with a socket, or fails with L{ConnectFailed}.
    """
    return _Race(reactor, addresses, port, timeout).won


def makeTransport(
    connected: socket.socket, protocol: IProtocol, cls: type[BoundedConnection], reactor: Any
) -> BoundedConnection:
    """
    Give a connected socket to a protocol.

    @param cls: from L{muccore.net.transport.transportClass}.
    """
    number = next(_numbers)
    transport = cls(connected, protocol, connected.getpeername(), None, number, reactor)
    transport.repstr = f"<{type(protocol).__name__} #{number} to {transport.hostname}>"
    protocol.makeConnection(cast(ITransport, transport))
    return transport
