# -*- test-case-name: tests.net.test_flush -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The end of a reactor turn: who wrote in it is flushed once, before the reactor polls again.

Theory of operation. A Twisted reactor first runs what other threads have handed over and the timed calls that are
due, then polls and runs what became readable or writable, and so on in a circle. The first write that is noted asks
for C{callLater(0)}. After an event of the poller, or something from a thread, that call comes before the next poll:
just what is wanted, with all writes of the turn joined. From inside a timed call it would come only after
another poll. So L{FlushScheduler} is an L{IReactorTime} itself, and whatever is timed through it is followed by a
flush.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from muccore.log.logger import Logger

_T = TypeVar("_T")

_ROUNDS: Final = 16
"""How often one flush goes over writers that note themselves while it runs; the rest waits for the next turn."""


class Flushable(Protocol):
    """What a L{FlushScheduler} can flush."""

    def flush(self) -> None:
        """Send what was written since the last flush. May note itself again, must not wait."""


@implementer(IReactorTime)
class FlushScheduler:
    """The transports that wrote in this reactor turn, and a clock whose calls end with a flush."""

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        """@param clock: the reactor."""
        self._clock = clock
        self._pending: list[Flushable] = []
        self._later: list[tuple[Callable[..., object], tuple[object, ...]]] = []
        self._scheduled = False
        self._flushing = False
        self._depth = 0

    def schedule(self, writer: Flushable) -> None:
        """
        Have somebody flushed at the end of this turn. Whoever is noted twice is flushed twice: a transport notes
        itself with the first of its writes only.
        """
        if not self._pending and not self._depth:
            self._scheduleFlush()
        self._pending.append(writer)

    def flush(self) -> None:
        """Flush everybody who has been noted. From inside a flush this does nothing: the one under way sees to it."""
        if self._flushing or not self._pending:
            return
        self._flushing = True
        try:
            for _ in range(_ROUNDS):
                writers, self._pending = self._pending, []
                for writer in writers:
                    try:
                        writer.flush()
                    except Exception:
                        self._log.failure("A transport could not be flushed")
                if not self._pending:
                    return
        finally:
            self._flushing = False
            if self._pending:
                self._scheduleFlush()

    def run(self, f: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
        """
        Call a function and flush what it wrote, also if it raises. For everything that does not come from the poller:
        timed calls that were not made through this object, results that arrive from elsewhere.

        @return: what it returned.
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
        Call a function in the next turn of the reactor. All that are put here in one turn run together with one flush
        behind them, so that their writes are joined; one that raises is logged and keeps no other from running.
        """
        if not self._later:
            self.callLater(0, self._runLater)
        self._later.append((f, args))

    # IReactorTime

    def seconds(self) -> float:
        """@see: L{IReactorTime.seconds}"""
        return self._clock.seconds()

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object) -> IDelayedCall:
        """
        Call a function later and flush what it wrote.

        @see: L{IReactorTime.callLater}
        """
        return self._clock.callLater(delay, self.run, callable, *args, **kwargs)

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """@see: L{IReactorTime.getDelayedCalls}"""
        return self._clock.getDelayedCalls()

    # How it works

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
                self._log.failure("A call put off to this turn failed")


__all__ = ["FlushScheduler", "Flushable"]
