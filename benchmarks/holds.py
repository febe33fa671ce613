# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
How long the reactor is held at a time in a large room, while somebody enters, speaks and leaves:
C{python -m benchmarks.holds}. Nobody else is served meanwhile.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.command import allowFiles
from benchmarks.holdmeter import HoldMeter
from benchmarks.load import Load, Plan
from benchmarks.meter import Meter
from benchmarks.server import Equipment, Server

_TIMEOUT: Final = 900.0
_PRINTED: Final = "{:<28}{:>18}{:>18}{:>18}"


def measure(users: int, times: int) -> dict[str, tuple[list[float], list[float]]]:
    """
    Fill a room, and let its last occupant leave, enter and speak again and again.

    @return: for each of these the longest time for which the reactor was held, and the CPU time of all of it, in
        seconds, for each time.
    """
    equipment = Equipment(opportunistic=True, tls=False, storage="memory", connections=users)
    with Server(equipment, measuresHolds=True) as server:
        meter, holds = Meter(server.pid), HoldMeter(server.holds)
        figures: dict[str, tuple[list[float], list[float]]] = {}

        def costs(name: str, phase: Callable[[], int]) -> None:
            before, holds.longest = meter.cpu(), 0.0
            phase()
            found = figures.setdefault(name, ([], []))
            found[0].append(holds.longest)
            found[1].append(meter.cpu() - before)

        with Load(Plan(users, 1, 1, 1, _TIMEOUT), server.address, server.tls) as load:
            load.logIn()
            load.join()
            for _ in range(times):
                costs("leaving", load.leaveAlone)
                costs("entering", load.enterAlone)
                costs("a message", load.sendMessages)
        server.checkLog()
    return figures


def main(arguments: Sequence[str], write: Callable[[str], object] = sys.stdout.write) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.holds", description=__doc__)
    parser.add_argument("--users", type=int, default=5000, help="occupants of the room (5000)")
    parser.add_argument("--times", type=int, default=5, help="how often to measure each (5)")
    options = parser.parse_args(arguments)
    if not allowFiles(options.users):
        parser.error(f"{options.users} clients need as many open files; this system allows fewer (ulimit -Hn)")
    figures = measure(options.users, options.times)
    write(_PRINTED.format(f"room of {options.users}", "held: median", "worst", "in all: median") + "\n")
    for name, (held, spent) in figures.items():
        shown = (statistics.median(held), max(held), statistics.median(spent))
        cells = [f"{seconds * 1e3:.1f} ms" for seconds in shown]
        write(_PRINTED.format(name, *cells) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
