# -*- test-case-name: tests.muc.model.test_ratelimit -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Limits of how often each of many may do something in a room.

The state of one is the time at which their allowance is full again, a single number. Who has their whole allowance is
not remembered, so a limit remembers those only who have used it within its period.
"""

from __future__ import annotations

from typing import Final

REMEMBERED: Final = 10_000
"""Those whom one limit remembers; above it the ones who used it least recently are forgotten."""

_NEGLIGIBLE: Final = 1e-6
"""Seconds that rounding may add."""


class RateLimit:
    """
    An allowance for each, which is refilled evenly.

    @ivar count: how often one may do it at once.
    @ivar period: the time in which a used allowance is full again, in seconds.
    """

    __slots__ = ("_full", "count", "period")

    def __init__(self, count: int, period: float) -> None:
        self.count = count
        self.period = period
        self._full: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._full)

    def wait(self, key: str, now: float, times: int = 1) -> float:
        """
        Find out how long one has to wait; nothing is used.

        @param now: the time, in seconds. If it was set back, nobody waits longer than C{period}.
        @param times: how often they want to do it at once. More than C{count} never fit.
        @return: 0, or the seconds until they may.
        """
        full = min(self._full.get(key, now), now + self.period)
        late = max(full, now) + self.period / self.count * times - (now + self.period)
        return late if late > _NEGLIGIBLE else 0.0

    def take(self, key: str, now: float, times: int = 1) -> float:
        """
        Use the allowance of one, if so much of it is left.

        @return: as L{wait}; if it is not 0, nothing is used.
        """
        late = self.wait(key, now, times)
        if late:
            return late
        full = self._full.pop(key, now)
        # The order is that of use.
        self._full[key] = max(full, now) + self.period / self.count * times
        self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Forget some whose allowance is full: two at most, so that one use costs little, and more go than come."""
        table = self._full
        for _ in range(2):
            oldest = next(iter(table))
            if table[oldest] > now and len(table) <= REMEMBERED:
                break
            del table[oldest]
