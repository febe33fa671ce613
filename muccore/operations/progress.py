# -*- test-case-name: tests.operations.test_progress -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
How far a command is, on standard error: a bar on a terminal, if tqdm is installed (the extra C{muccore[progress]}), and
otherwise a line now and then.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self, TextIO

INTERVAL: Final = 10.0
"""Seconds between two lines."""


class Progress:
    """Shows how much of something is done. It is a context manager; at its end, a bar is removed."""

    def __init__(
        self, what: str, total: int | None, unit: str, stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """
        @param what: what is done, in a word.
        @param total: how much there is; C{None}: that is not known.
        @param unit: the unit of that.
        @param stream: where it is shown; by default standard error.
        """
        self._what = what
        self._total = total
        self._unit = unit
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._begun = self._last = clock()
        self._bar = _bar(what, total, unit, self._stream)

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()

    def advance(self, done: int) -> None:
        """
        Show how far it is, unless that was shown a moment ago.

        @param done: how much is done of all.
        """
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
            return
        now = self._clock()
        if now - self._last >= INTERVAL:
            self._last = now
            print(self._line(done, now - self._begun), file=self._stream, flush=True)

    def _line(self, done: int, seconds: float) -> str:
        rate = done / seconds
        of = "" if self._total is None else f" of {_amount(self._total)}"
        line = f"{self._what}: {_amount(done)}{of} {self._unit}, {_amount(round(rate))} {self._unit}/s"
        if self._total is not None and rate:
            line += f", {_duration((self._total - done) / rate)} left"
        return line


def _bar(what: str, total: int | None, unit: str, stream: TextIO) -> Any:
    if not stream.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(
        desc=what, total=total, unit=f" {unit}", unit_scale=True, file=stream, leave=False, dynamic_ncols=True
    )


def _amount(number: int) -> str:
    """A number with a prefix, in at most four digits and a letter."""
    for prefix in ("", "k", "M", "G"):
        if number < 10_000 or prefix == "G":
            break
        number //= 1000
    return f"{number}{prefix}"


def _duration(seconds: float) -> str:
    minutes = round(max(0.0, seconds) / 60)
    if minutes < 2:
        return f"{round(max(0.0, seconds))} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
