# -*- test-case-name: tests.net.test_flush -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Flushing at the end of a reactor turn: each transport that was written to is flushed once, before the next poll. If they
are too many for one turn, others are served in between.

Theory of operation. In one turn a Twisted reactor runs the calls from other threads and the timed calls that are due,
then polls and handles what became readable or writable. The first L{FlushScheduler.schedule} of a turn requests
C{callLater(0)}. After a poller event or a call from a thread, that call runs before the next poll, and all writes of
the turn are joined. After a timed call it would run one poll too late; therefore L{FlushScheduler} is an
L{IReactorTime} itself and flushes after each call timed through it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from time import perf_counter, time
from typing import Any, Final, Protocol, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from muccore.log.logger import Logger

_T = TypeVar("_T")

_ROUNDS: Final = 16
"""Rounds of one flush, for transports that are written to while it runs; the rest waits for the next turn."""


_SLICE: Final = 0.01
"""
Seconds after the first write of a turn when the rest of its flush waits for the next turn: a message to 5000 occupants
is 5000 sends, during which nobody else is served.
"""

_LEAST: Final = 0.004
"""Seconds that a flush has if the writing took long, as it does when somebody enters a room of 5000."""

_GROUP: Final = 32
"""
Transports between two looks at the time. What they have to send is encrypted for all of them before the first is sent:
alternating between OpenSSL and the kernel costs more, as each finds the processor's caches full of the other's.
"""


class Flushable(Protocol):
    """
    What a L{FlushScheduler} can flush.

    @ivar TLS: whether there is anything to encrypt.
    """

    TLS: bool

    def encrypt(self) -> None:
        """Encrypt what was written since the last flush, which will follow at once. Must not block."""

    def flush(self) -> None:
        """Send what was written since the last flush. May call L{FlushScheduler.schedule}; must not block."""


@implementer(IReactorTime)
class FlushScheduler:
    """
    The transports that were written to in this reactor turn, and a clock whose calls end with a flush.

    @ivar now: see L{muccore.xmpp.datetimes.timeOfDay}.
    """

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, monotonic: Callable[[], float] = perf_counter, now: Callable[[], float] = time
    ) -> None:
        """
        @param clock: the reactor.
        @param monotonic: returns a time that passes while a flush runs, in seconds.
        @param now: returns the time of day, in seconds since the epoch.
        """
        self.now = now
        self._clock = clock
        self._monotonic = monotonic
        self._preparations: list[Callable[[], object]] = []
        self._pending: list[Flushable] = []
        # When the first of them was written to; infinite if that was in an earlier turn.
        self._since = math.inf
        self._later: list[tuple[Callable[..., object], tuple[object, ...]]] = []
        self._scheduled = False
        self._flushing = False
        self._depth = 0

    def schedule(self, transport: Flushable) -> None:
        """Flush a transport at the end of this turn. To be called with its first write of a turn only."""
        if not self._pending:
            self._since = self._monotonic()
            if not self._depth:
                self._scheduleFlush()
        self._pending.append(transport)

    def callBeforeSending(self, f: Callable[[], object]) -> None:
        """
        Call a function once, before anything more is sent: at the end of this turn, or earlier if a transport has to
        send at once. For what must be done before anybody learns of what happened, for all of a turn together.
        """
        if not (self._preparations or self._pending or self._depth):
            self._scheduleFlush()
        self._preparations.append(f)

    def prepare(self) -> None:
        """Call what L{callBeforeSending} has been given. Transports that send without being flushed do this first."""
        while self._preparations:
            calls = self._preparations.copy()
            self._preparations.clear()
            for f in calls:
                try:
                    f()
                except Exception:
                    self._log.failure("A call before sending failed")

    def flush(self) -> None:
        """Flush all scheduled transports. Inside a flush this does nothing: the outer one continues."""
        if self._flushing or not (self._pending or self._preparations):
            return
        self._flushing = True
        try:
            now = self._monotonic()
            deadline = max(min(self._since, now) + _SLICE, now + _LEAST)
            self._since = math.inf
            preparations = self._preparations
            for _ in range(_ROUNDS):
                if preparations:
                    self.prepare()
                pending, self._pending = self._pending, []
                for begin in range(0, len(pending), _GROUP):
                    end = begin + _GROUP
                    group = pending[begin:end]
                    for transport in group:
                        if transport.TLS:
                            try:
                                transport.encrypt()
                            except Exception:
                                self._log.failure("Encrypting what a transport has to send failed")
                    for transport in group:
                        if preparations:
                            self.prepare()
                        try:
                            transport.flush()
                        except Exception:
                            self._log.failure("Flushing a transport failed")
                    if self._monotonic() > deadline and end < len(pending):
                        self._pending = pending[end:] + self._pending
                        return
                if not (self._pending or preparations):
                    return
        finally:
            self._flushing = False
            if self._pending or self._preparations:
                self._scheduleFlush()

    def run(self, f: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
        """
        Call a function and flush what it wrote, also if it raises. For everything that does not come from the poller,
        such as calls timed by the reactor itself.
        """
        self._depth += 1
        try:
            return f(*args, **kwargs)
        finally:
            self._depth -= 1
            if not self._depth:
                self.flush()

    def callSoon(self, f: Callable[..., object], *args: object) -> None:
        """
        Call a function in the next reactor turn. All such calls of one turn are followed by a single flush; one that
        raises is logged, and the others still run.
        """
        if not self._later:
            self.callLater(0, self._runLater)
        self._later.append((f, args))

    @property
    def behind(self) -> bool:
        """Whether transports wait to be flushed: between turns, those that the last flush had no time for."""
        return bool(self._pending)

    # IReactorTime

    def seconds(self) -> float:
        """@see: L{IReactorTime.seconds}"""
        return self._clock.seconds()

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object) -> IDelayedCall:
        """Call a function later and flush what it wrote. See L{IReactorTime.callLater}."""
        return self._clock.callLater(delay, self.run, callable, *args, **kwargs)

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """@see: L{IReactorTime.getDelayedCalls}"""
        return self._clock.getDelayedCalls()

    # Scheduled calls

    def _scheduleFlush(self) -> None:
        if not self._scheduled and not self._flushing:
            self._scheduled = True
            self._clock.callLater(0, self._flushScheduled)

    def _flushScheduled(self) -> None:
        self._scheduled = False
        self.flush()

    def _runLater(self) -> None:
        calls, self._later = self._later, []
        for f, args in calls:
            try:
                f(*args)
            except Exception:
                self._log.failure("A call deferred to this reactor turn failed")
