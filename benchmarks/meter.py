# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""CPU time and memory of a process (Linux)."""

from __future__ import annotations

import time
from typing import Final

from benchmarks.failure import BenchmarkFailed

_PROCESS_CLOCK: Final = 2
"""The scheduler's clock of a whole process (C{CPUCLOCK_SCHED} in the kernel)."""


class Meter:
    """Reads the figures of one process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        # As clock_getcpuclockid(3): nanoseconds, ended threads included; /proc/PID/stat has hundredths of a second.
        self._clock = (~pid << 3) | _PROCESS_CLOCK

    def cpu(self) -> float:
        """
        Return the CPU time so far, of the program and the kernel for it, of all threads, in seconds.

        @raise BenchmarkFailed: if there is no such process.
        """
        try:
            return time.clock_gettime(self._clock)
        except OSError as e:
            raise BenchmarkFailed(f"cannot read the processor time of process {self._pid}: {e.strerror}") from None

    def mainThread(self) -> float:
        """
        Return the CPU time so far of the main thread, which runs the reactor, in seconds.

        @raise BenchmarkFailed: if there is no such process.
        """
        path = f"/proc/{self._pid}/task/{self._pid}/schedstat"
        try:
            with open(path, encoding="ascii") as file:
                return int(file.read().split()[0]) / 1e9
        except OSError as e:
            raise BenchmarkFailed(f"cannot read {path}: {e.strerror}") from None

    def memory(self) -> int:
        """
        Return the proportional set size (Pss) in KiB: private memory and a share of shared pages.

        @raise BenchmarkFailed: if there is no such process.
        """
        path = f"/proc/{self._pid}/smaps_rollup"
        try:
            with open(path, encoding="ascii") as file:
                for line in file:
                    if line.startswith("Pss:"):
                        return int(line.split()[1])
        except OSError as e:
            raise BenchmarkFailed(f"cannot read {path}: {e.strerror}") from None
        raise BenchmarkFailed(f"{path} has no Pss")
