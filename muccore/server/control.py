# -*- test-case-name: tests.server.test_control -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What C{muccorectl} asks the running server to do: each request is a line of JSON with an C{operation} and its arguments,
each answer a line with C{lines} of output, or with why it was C{refused}.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import IO, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import deferLater
from twisted.protocols.basic import LineOnlyReceiver
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from zope.interface import implementer

from muccore.config.errors import ConfigError
from muccore.config.schema import Settings
from muccore.interfaces import StoreError
from muccore.log.logger import Logger
from muccore.server import controlsocket

WAIT: Final = 20
"""Seconds for which a start waits for the lock, so that C{muccorectl} can finish what it does."""

CONNECTIONS_LIMIT: Final = 20

IDLE: Final = 60
"""Seconds for which a connection may say nothing."""

_STEP: Final = 0.1

_log: Final = Logger()

Operation = Callable[[Mapping[str, Any]], Awaitable[list[str]]]
"""Carries out a request; returns lines of output, or raises L{ControlRefused} or L{StoreError}."""


class ControlRefused(Exception):
    """A request cannot be carried out; C{str()} is a line for the operator."""


class _ControlProtocol(LineOnlyReceiver, TimeoutMixin):
    """One connection of C{muccorectl}."""

    delimiter = b"\n"
    MAX_LENGTH = controlsocket.REQUEST_LIMIT
    factory: _ControlFactory

    def connectionMade(self) -> None:
        """Refuse other users, and too many."""
        transport: Any = self.transport
        if len(self.factory.connected) >= CONNECTIONS_LIMIT or not controlsocket.mayUse(transport.socket):
            transport.abortConnection()
            return
        self.factory.connected.add(self)
        self._setTimeout(IDLE)
        self._busy = self._ending = False

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Forget it. What it has requested is carried out all the same."""
        self._setTimeout(None)
        self.factory.connected.discard(self)

    def _setTimeout(self, seconds: float | None) -> None:
        self.setTimeout(seconds)  # type: ignore[no-untyped-call]

    def endIfIdle(self) -> None:
        """End the connection unless a request is being carried out; then after its answer."""
        self._ending = True
        if not self._busy and self.transport is not None:
            self.transport.loseConnection()

    def lineReceived(self, line: bytes) -> None:
        """Carry out a request, one at a time."""
        transport: Any = self.transport
        if self._busy or self not in self.factory.connected:
            transport.abortConnection()
            return
        self._busy = True
        self._setTimeout(None)
        Deferred.fromCoroutine(self._answer(line))

    async def _answer(self, line: bytes) -> None:
        answer: dict[str, Any]
        try:
            request = json.loads(line)
            operation = self.factory.operations.get(request["operation"])
            if operation is None:
                raise ControlRefused("the running server is of another version; restart it")
            answer = {"lines": await operation(request)}
        except (ControlRefused, StoreError) as e:
            answer = {"refused": str(e)}
        except (KeyError, TypeError, ValueError):
            answer = {"refused": "the server does not understand the request"}
        except Exception:
            _log.failure("a request of muccorectl failed")
            answer = {"refused": "the server failed; its log says more"}
        self._busy = False
        if self in self.factory.connected:
            self._setTimeout(IDLE)
            self.sendLine(json.dumps(answer).encode())  # type: ignore[no-untyped-call]
            if self._ending:
                self.endIfIdle()


class _ControlFactory(ServerFactory):
    """Makes the protocols of connections."""

    noisy = False
    protocol = _ControlProtocol  # type: ignore[assignment]

    def __init__(self, operations: Mapping[str, Operation]) -> None:
        self.operations = operations
        self.connected: set[_ControlProtocol] = set()


@implementer(IReadDescriptor)
class _Acceptor:
    """
    Accepts connections. Twisted's own port sets the mode of the socket, so that for a moment every user could connect.
    """

    def __init__(self, listening: socket.socket, reactor: Any, factory: _ControlFactory) -> None:
        self._listening = listening
        self._reactor = reactor
        self._factory = factory
        reactor.addReader(self)

    def fileno(self) -> int:
        """See L{IReadDescriptor}."""
        return self._listening.fileno()

    def logPrefix(self) -> str:
        """See L{IReadDescriptor}."""
        return "control"

    def doRead(self) -> None:
        """Accept a connection."""
        try:
            connection, _ = self._listening.accept()
        except OSError:
            # It is gone again, or there are too many files: the next one is tried.
            return
        with connection:
            connection.setblocking(False)
            # Duplicates it.
            self._reactor.adoptStreamConnection(connection.fileno(), connection.family, self._factory)

    def connectionLost(self, reason: Failure) -> None:
        """See L{IReadDescriptor}."""
        self._listening.close()

    def close(self) -> None:
        """Accept no more; end the connections that wait for nothing."""
        self._reactor.removeReader(self)
        self._listening.close()
        for protocol in list(self._factory.connected):
            protocol.endIfIdle()


class Control:
    """The socket and the lock of one server."""

    def __init__(self, settings: Settings, reactor: Any) -> None:
        self._settings = settings
        self._reactor = reactor
        self._path = controlsocket.controlPath(settings)
        self._lock: IO[bytes] | None = None
        self._acceptor: _Acceptor | None = None

    async def takeLock(self) -> None:
        """
        Take the lock, before stores are opened. If it cannot be created, which is logged, there is no socket either.

        @raise ConfigError: if another process keeps it.
        """
        if self._path is None:
            return
        for _ in range(int(WAIT / _STEP)):
            try:
                self._lock = controlsocket.takeLock(self._path)
            except OSError as e:
                text = "{path}: muccorectl cannot reach this server: {error}"
                _log.warn(text, path=f"{self._path}.lock", error=e.strerror)
                return
            if self._lock is not None:
                return
            await deferLater(self._reactor, _STEP)
        text = f"{self._path}.lock is in use: another server uses this database"
        raise ConfigError([self._settings.problem(*self._settings.storage.placeOf("rooms")[0], text)])

    def listen(self, operations: Mapping[str, Operation]) -> None:
        """Take requests from now on."""
        if self._path is None or self._lock is None:
            return
        try:
            made = controlsocket.listen(self._path)
        except OSError as e:
            _log.warn("{path}: muccorectl cannot reach this server: {error}", path=self._path, error=e.strerror)
            return
        self._acceptor = _Acceptor(made, self._reactor, _ControlFactory(operations))

    def close(self) -> None:
        """Take no more requests. The lock stays, and so do connections whose requests are being carried out."""
        acceptor, self._acceptor = self._acceptor, None
        if acceptor is None or self._path is None:
            return
        with suppress(FileNotFoundError):
            os.unlink(self._path)
        acceptor.close()

    def release(self) -> None:
        """Release the lock: the stores are closed."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()
