# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What a process has used: its time on the processor and its memory, as Linux tells them."""

from __future__ import annotations

import time
from typing import Final

from benchmarks.failure import BenchmarkFailed

_PROCESS_CLOCK: Final = 2
"""The clock that the scheduler keeps for a whole process (C{CPUCLOCK_SCHED} in the kernel)."""


class Meter:
    """Reads one process's figures."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        # What clock_getcpuclockid(3) answers for this process. It counts nanoseconds, and threads that have ended
        # too; /proc/PID/stat counts hundredths of a second.
        self._clock = (~pid << 3) | _PROCESS_CLOCK

    def cpu(self) -> float:
        """
        Seconds on the processor until now, in the program and in the kernel, of all threads.

        @raise BenchmarkFailed: if there is no such process.
        """
        try:
            return time.clock_gettime(self._clock)
        except OSError as e:
            raise BenchmarkFailed(f"cannot read the processor time of process {self._pid}: {e.strerror}") from None

    def memory(self) -> int:
        """
        KiB of memory: what it has alone, and its part of what it shares with others.

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


__all__ = ["Meter"]
