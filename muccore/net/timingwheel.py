# -*- test-case-name: tests.net.test_timingwheel -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A timing wheel: the timeouts of many connections on one timer.

A timer for each connection would cost memory, and time at each postponement. Here postponing is free: an object whose
timeout comes too early returns when to call it again.
"""

from __future__ import annotations

from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

TICK: Final = 1.0
"""Seconds from one tick to the next."""


class Timed(Protocol):
    """An object with a timeout, hashable by identity. Only the wheel sets C{due}, the tick of it, 0 for none."""

    due: int

    def timeoutDue(self, tick: int) -> int:
        """Handle the timeout in a tick; return the ticks until the next one, 0 for none."""


class TimingWheel:
    """
    Calls objects at their timeouts. No timer runs while there is none.

    @ivar tick: the number of the current tick. Ticks are counted, not computed from a clock, so setting the clock
        changes no timeout.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self.tick = 1
        self._clock = clock
        self._due: dict[int, set[Timed]] = {}
        self._call: IDelayedCall | None = None

    def schedule(self, timed: Timed, ticks: int) -> None:
        """Set the timeout of an object, at least one tick from now; this replaces its present one."""
        self.remove(timed)
        timed.due = due = self.tick + max(1, ticks)
        slot = self._due.get(due)
        if slot is None:
            slot = self._due[due] = set()
        slot.add(timed)
        if self._call is None:
            self._call = self._clock.callLater(TICK, self._advance)

    def remove(self, timed: Timed) -> None:
        """Remove the timeout of an object, if it has one."""
        due, timed.due = timed.due, 0
        slot = self._due.get(due)
        if slot is not None:
            slot.discard(timed)
            if not slot:
                del self._due[due]
                if not self._due and self._call is not None:
                    self._call.cancel()
                    self._call = None

    def _advance(self) -> None:
        self._call = None
        self.tick = tick = self.tick + 1
        for timed in self._due.pop(tick, ()):
            if timed.due != tick:
                # An object of the same tick, called before it, has removed or rescheduled it.
                continue
            timed.due = 0
            try:
                again = timed.timeoutDue(tick)
            except Exception:
                self._log.failure("Handling a timeout failed")
                continue
            if again:
                self.schedule(timed, again)
        if self._due and self._call is None:
            self._call = self._clock.callLater(TICK, self._advance)
