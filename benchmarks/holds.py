# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
How long the reactor is held at a time in a large room, while somebody enters, speaks and leaves, or all are changed or
put out: C{python -m benchmarks.holds}. Nobody else is served meanwhile.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from benchmarks.command import allowFiles
from benchmarks.holdmeter import HoldMeter
from benchmarks.load import Load, Plan
from benchmarks.meter import Meter
from benchmarks.server import Equipment, Server

_TIMEOUT: Final = 900.0
_PRINTED: Final = "{:<28}{:>18}{:>18}{:>18}"


Figures = dict[str, tuple[list[float], list[float]]]
"""For each thing that happens, the longest time for which the reactor was held, and the CPU time, in seconds."""


@contextmanager
def _room(users: int, figures: Figures) -> Iterator[tuple[Load, Callable[[str, Callable[[], int]], None]]]:
    """Fill a room; the value has the load, and what measures a phase of it."""
    equipment = Equipment(opportunistic=True, tls=False, storage="memory", connections=users)
    with Server(equipment, measuresHolds=True) as server:
        meter, holds = Meter(server.pid), HoldMeter(server.holds)

        def costs(name: str, phase: Callable[[], int]) -> None:
            before, holds.longest = meter.cpu(), 0.0
            phase()
            found = figures.setdefault(name, ([], []))
            found[0].append(holds.longest)
            found[1].append(meter.cpu() - before)

        with Load(Plan(users, 1, 1, 1, _TIMEOUT), server.address, server.tls) as load:
            load.logIn()
            load.join()
            yield load, costs
        server.checkLog()


def measure(users: int, times: int) -> Figures:
    """Let the last occupant of a room leave, enter and speak again and again."""
    figures: Figures = {}
    with _room(users, figures) as (load, costs):
        for _ in range(times):
            costs("leaving", load.leaveAlone)
            costs("entering", load.enterAlone)
            costs("a message", load.sendMessages)
    return figures


def measureCrowd(users: int) -> Figures:
    """Change the affiliation of all occupants of a room by one item, destroy it, and put all out of another one."""
    figures: Figures = {}
    with _room(users, figures) as (load, costs):
        costs("one item for all", load.affiliateAll)
        costs("destroying the room", load.destroyRoom)
    with _room(users, figures) as (load, costs):
        costs("putting all out", load.closeRoom)
    return figures


def main(arguments: Sequence[str], write: Callable[[str], object] = sys.stdout.write) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.holds", description=__doc__)
    parser.add_argument("--users", type=int, default=5000, help="occupants of the room (5000)")
    parser.add_argument("--times", type=int, default=5, help="how often to measure each (5)")
    parser.add_argument("--crowd", type=int, default=1000, help="occupants of the room in which all are changed (1000)")
    options = parser.parse_args(arguments)
    if not allowFiles(max(options.users, options.crowd)):
        parser.error(f"{options.users} clients need as many open files; this system allows fewer (ulimit -Hn)")
    _print(options.users, measure(options.users, options.times), write)
    _print(options.crowd, measureCrowd(options.crowd), write)


def _print(users: int, figures: Figures, write: Callable[[str], object]) -> None:
    write(_PRINTED.format(f"room of {users}", "held: median", "worst", "in all: median") + "\n")
    for name, (held, spent) in figures.items():
        shown = (statistics.median(held), max(held), statistics.median(spent))
        cells = [f"{seconds * 1e3:.1f} ms" for seconds in shown]
        write(_PRINTED.format(name, *cells) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
