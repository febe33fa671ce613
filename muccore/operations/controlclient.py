# -*- test-case-name: tests.operations.test_ctl -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""How C{muccorectl} reaches the running server, or keeps one from starting (L{muccore.server.controlsocket})."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from muccore.config.schema import Settings
from muccore.operations.refused import Refused
from muccore.server import controlsocket

WAIT: Final = 20.0
"""Seconds for which a server that starts or ends, or another C{muccorectl}, is waited for."""

_STEP: Final = 0.1
_ANSWER_LIMIT: Final = 1024 * 1024


class ServerConnection:
    """A connection to the running server."""

    def __init__(self, connection: socket.socket) -> None:
        self._file = connection.makefile("rwb")

    def request(self, operation: str, **arguments: Any) -> list[str]:
        """
        Have the server do something; wait as long as it takes.

        @return: lines of output.
        @raise Refused: if it does not, or ends meanwhile.
        """
        try:
            self._file.write(json.dumps({"operation": operation, **arguments}).encode() + b"\n")
            self._file.flush()
            answer = self._file.readline(_ANSWER_LIMIT)
        except OSError:
            answer = b""
        if not answer.endswith(b"\n"):
            raise Refused("the server has ended before it answered; see whether it has been done")
        found = json.loads(answer)
        if "refused" in found:
            raise Refused(str(found["refused"]))
        return [str(line) for line in found["lines"]]


@contextmanager
def exclusively(settings: Settings) -> Iterator[ServerConnection | None]:
    """
    Inside, the accounts may be changed: by the running server, to which this is a connection, or by this process, while
    no server can start (C{None}).

    @raise Refused: if neither is possible.
    """
    path = controlsocket.controlPath(settings)
    if path is None:
        yield None
        return
    until = time.monotonic() + WAIT
    while True:
        try:
            connection = controlsocket.connect(path)
            lock = None if connection is not None else controlsocket.takeLock(path)
        except FileNotFoundError:
            raise Refused(f"{path}: there is no such folder") from None
        except OSError as e:
            raise Refused(f"{path}: {e.strerror}; run this as the user of the server") from None
        if connection is not None:
            with connection:
                yield ServerConnection(connection)
            return
        if lock is not None:
            with lock:
                yield None
            return
        if time.monotonic() > until:
            raise Refused(f"{path}: a server that takes no requests is running; try again later")
        time.sleep(_STEP)


def checkKnown(settings: Settings) -> None:
    """
    Check that it can be found out whether the server runs.

    @raise Refused: if there is nowhere a socket could be.
    """
    if controlsocket.controlPath(settings) is None:
        raise Refused("it cannot be known whether the server runs; set [server] control_socket, and restart the server")


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """
    Inside, no server runs, and none can start.

    @raise Refused: if one runs.
    """
    with exclusively(settings) as server:
        if server is not None:
            raise Refused("the server is running; stop it first")
        yield
