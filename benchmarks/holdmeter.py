# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
How long the reactor is held at a time: the CPU time of its thread from one poll to the next, while nobody else is read
from or written to. The server writes the longest into a file that the benchmark reads and resets.
"""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path
from typing import Any, Final

_LONGEST: Final = struct.Struct("d")

START: Final = (
    "import sys; from benchmarks.holdmeter import install; install(sys.argv.pop(1)); "
    "from twisted.scripts.twistd import run; run()"
)
"""What the Python of the server runs, with the file as first argument."""


class HoldMeter:
    """The file, for both."""

    def __init__(self, path: str) -> None:
        """@param path: the file; it is made if it does not exist."""
        Path(path).touch()
        with open(path, "r+b") as file:
            file.truncate(_LONGEST.size)
            self._shared = mmap.mmap(file.fileno(), _LONGEST.size)

    @property
    def longest(self) -> float:
        """The longest time in seconds; settable."""
        seconds: float = _LONGEST.unpack(self._shared[:])[0]
        return seconds

    @longest.setter
    def longest(self, seconds: float) -> None:
        self._shared[:] = _LONGEST.pack(seconds)


class MeteredPoller:
    """The C{epoll} object of a reactor, which measures from poll to poll."""

    def __init__(self, poller: Any, meter: HoldMeter) -> None:
        self._poller = poller
        self._meter = meter
        self._since = time.thread_time()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)

    def poll(self, *args: Any) -> Any:
        """Poll."""
        held = time.thread_time() - self._since
        if held > self._meter.longest:
            self._meter.longest = held
        try:
            return self._poller.poll(*args)
        finally:
            self._since = time.thread_time()


def install(path: str) -> None:
    """Install the reactor in the server's process, with its meter."""
    from twisted.internet import epollreactor

    epollreactor.install()
    from twisted.internet import reactor

    installed: Any = reactor
    installed._poller = MeteredPoller(installed._poller, HoldMeter(path))
