# -*- test-case-name: tests.net.test_timingwheel -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
One timer for many: who has to be looked at in which second.

A timer of its own for each connection would cost memory, and time whenever it is put off. Here being put off costs
nothing: whoever is looked at too early says when to look again.
"""

from __future__ import annotations

from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

TICK: Final = 1.0
"""Seconds from one tick to the next."""


class Timed(Protocol):
    """
    What a L{TimingWheel} looks at. Hashable by identity.

    @ivar due: the tick at which it is looked at next; 0 for never. Only the wheel sets it.
    """

    due: int

    def timeoutDue(self, tick: int) -> int:
        """
        It is time to look.

        @param tick: which tick it is.
        @return: in how many ticks to look again; 0 for never.
        """


class TimingWheel:
    """
    Looks at things at their time. Nothing is running while there is nothing to look at.

    @ivar tick: the number of the present tick. It is counted, not taken from a clock, so that a clock that is set
        hurts nobody.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self.tick = 1
        self._clock = clock
        self._due: dict[int, set[Timed]] = {}
        self._call: IDelayedCall | None = None

    def schedule(self, watched: Timed, ticks: int) -> None:
        """Look at something in so many ticks, at least one, whatever was said before."""
        self.remove(watched)
        watched.due = due = self.tick + max(1, ticks)
        at = self._due.get(due)
        if at is None:
            at = self._due[due] = set()
        at.add(watched)
        if self._call is None:
            self._call = self._clock.callLater(TICK, self._advance)

    def remove(self, watched: Timed) -> None:
        """Look at something no more. Removing what is not there changes nothing."""
        due, watched.due = watched.due, 0
        at = self._due.get(due)
        if at is not None:
            at.discard(watched)
            if not at:
                del self._due[due]
                if not self._due and self._call is not None:
                    self._call.cancel()
                    self._call = None

    def _advance(self) -> None:
        self._call = None
        self.tick = tick = self.tick + 1
        for watched in self._due.pop(tick, ()):
            if watched.due != tick:
                # Removed, or put elsewhere, by somebody who was looked at before it.
                continue
            watched.due = 0
            try:
                again = watched.timeoutDue(tick)
            except Exception:
                self._log.failure("A timeout failed")
                continue
            if again:
                self.schedule(watched, again)
        if self._due and self._call is None:
            self._call = self._clock.callLater(TICK, self._advance)


__all__ = ["TICK", "Timed", "TimingWheel"]
