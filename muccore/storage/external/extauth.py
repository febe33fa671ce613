# -*- test-case-name: tests.storage.external.test_extauth -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The protocol of ejabberd's C{extauth} programs, and one such program as a process.

A request is a length of two bytes, most significant first, and a text in UTF-8: C{auth:USER:SERVER:PASSWORD} or
C{isuser:USER:SERVER}. The password is the rest, with any colons in it. An answer is four bytes: the length 2, and 1 for
yes or 0 for no. A program answers in order; here it is asked one thing at a time, so no answer can be taken for that to
another question.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from muccore.interfaces import StoreUnavailable

YES: Final = b"\0\2\0\1"
NO: Final = b"\0\2\0\0"

UNKNOWN: Final = b"\0\2"
"""After its length, the beginning of an answer with a reason (L{muccore.storage.external.answering})."""

STOP_TIME: Final = 2.0
"""Seconds that a program has to end, after its input has, and again after SIGTERM."""

_PRIVATE: Final = ("NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "MAINPID", "FDSTORE", "CREDENTIALS_DIRECTORY")
"""Beginnings of environment variables that are for the server only."""


def authRequest(user: str, host: str, password: str) -> bytes:
    """Encode the question whether a password is right. C{ValueError} if a name has a separator, or it is too long."""
    return _encode("auth", user, host, password)


def isUserRequest(user: str, host: str) -> bytes:
    """Encode the question whether there is a user; raises as L{authRequest}."""
    return _encode("isuser", user, host)


def _encode(operation: str, user: str, host: str, *rest: str) -> bytes:
    if any(separator in name for name in (user, host) for separator in ":\0"):
        raise ValueError("a name has a separator in it")
    data = ":".join((operation, user, host, *rest)).encode("utf-8")
    # Programs read the length as a signed number, too.
    if len(data) > 0x7FFF:
        raise ValueError("the request is too long")
    return struct.pack(">H", len(data)) + data


def environmentOf(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program: that of the server, without what the service manager tells the server."""
    return {name: value for name, value in variables.items() if not name.startswith(_PRIVATE)}


class Gone(Exception):
    """
    A program has ended, or was ended, before it has answered. C{str()} says why.

    @ivar timedOut: whether it had its time.
    """

    def __init__(self, reason: str, timedOut: bool = False) -> None:
        super().__init__(reason)
        self.timedOut = timedOut


class ExtauthProcess(ProcessProtocol):
    """
    A program that runs.

    @ivar since: when it was started, by the clock.
    @ivar ended: fires when it has ended.
    @ivar trouble: why it was killed, or C{""}.
    """

    def __init__(
        self, clock: Any, timeout: float, endedWith: Callable[[ExtauthProcess, str], None], explains: bool = False
    ) -> None:
        """
        @param timeout: seconds that it has to answer. Then it is killed: a late answer would be that to the next
            question.
        @param endedWith: called once with this and the reason, when it has ended.
        @param explains: whether it may answer that it cannot tell, and why.
        """
        self.since = clock.seconds()
        self.ended: Deferred[None] = Deferred()
        self.trouble = ""
        self._clock = clock
        self._timeout = timeout
        self._endedWith = endedWith
        self._explains = explains
        self._answer: Deferred[bool] | None = None
        self._received = b""
        self._timer: IDelayedCall | None = None
        self._closing: IDelayedCall | None = None
        self._running = True

    @property
    def idle(self) -> bool:
        """Whether it can be asked."""
        return self._running and self._answer is None and not self.trouble

    def start(self, arguments: Sequence[str]) -> None:
        """Start the program, with the standard error of the server: what it writes there is not in the log."""
        environment = environmentOf(os.environ)
        self._clock.spawnProcess(self, arguments[0], arguments, environment, childFDs={0: "w", 1: "r", 2: 2})

    def ask(self, request: bytes) -> Deferred[bool]:
        """Ask an L{idle} program. Fails with L{Gone} if it ends or must be ended instead of answering, and with
        L{StoreUnavailable} if it cannot tell.
        """
        answer = self._answer = Deferred()
        self._timer = self._clock.callLater(self._timeout, self._timedOut)
        transport: Any = self.transport
        transport.write(request)
        return answer

    def stop(self) -> Deferred[None]:
        """End the program: by the end of its input, else by signals."""
        if self._running:
            transport: Any = self.transport
            transport.closeStdin()
            timers = [
                self._clock.callLater(STOP_TIME, self._signal, "TERM"),
                self._clock.callLater(2 * STOP_TIME, self._signal, "KILL"),
            ]

            def ended(_: None) -> None:
                for timer in timers:
                    if timer.active():
                        timer.cancel()

            self.ended.addCallback(ended)
        return self.ended

    def outReceived(self, data: bytes) -> None:
        """See C{ProcessProtocol}."""
        received = self._received = self._received + data
        if self._answer is None:
            self._kill("it wrote something that is no answer")
        elif received in (YES, NO):
            self._received = b""
            self._takeAnswer().callback(received == YES)
        elif any(each.startswith(received) for each in (YES, NO)):
            return
        elif self._explains and received[2:4] == UNKNOWN[: len(received) - 2] and received[0] == 0:
            if len(received) == 2 + received[1]:
                self._received = b""
                self._takeAnswer().errback(StoreUnavailable(received[4:].decode("utf-8", "replace")))
            elif len(received) > 2 + received[1]:
                self._kill("it wrote more than an answer")
        else:
            self._kill("it wrote something that is no answer")

    def errReceived(self, data: bytes) -> None:
        """See C{ProcessProtocol}; it has no standard error of its own."""

    def processExited(self, reason: Failure) -> None:
        """See C{ProcessProtocol}."""
        # A child of it may keep its output open.
        transport: Any = self.transport
        self._closing = self._clock.callLater(STOP_TIME, transport.loseConnection)

    def processEnded(self, reason: Failure) -> None:
        """See C{ProcessProtocol}."""
        self._running = False
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        if not self.trouble:
            status: Any = reason.value
            self.trouble = f"it has ended ({_describe(status)})"
        if self._answer is not None:
            self._takeAnswer().errback(Gone(self.trouble))
        self._endedWith(self, self.trouble)
        self.ended.callback(None)

    def _takeAnswer(self) -> Deferred[bool]:
        assert self._answer is not None and self._timer is not None
        answer, self._answer = self._answer, None
        timer, self._timer = self._timer, None
        if timer.active():
            timer.cancel()
        return answer

    def _timedOut(self) -> None:
        self._kill(f"it has not answered within {self._timeout:g} s", True)

    def _kill(self, trouble: str, timedOut: bool = False) -> None:
        if self._running and not self.trouble:
            self.trouble = trouble
            self._signal("KILL")
        # The end of its output may be long in coming if it has children.
        if self._answer is not None:
            self._takeAnswer().errback(Gone(trouble, timedOut))

    def _signal(self, name: str) -> None:
        transport: Any = self.transport
        with suppress(ProcessExitedAlready):
            transport.signalProcess(name)
        transport.loseConnection()


def _describe(status: Any) -> str:
    signal = getattr(status, "signal", None)
    return f"signal {signal}" if signal else f"exit status {getattr(status, 'exitCode', None)}"
