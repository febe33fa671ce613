# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What a delivery costs in a large room, beside one in a small room: C{python -m benchmarks.growth}. Both take turns, each
on a new server, with as many deliveries.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.command import allowFiles
from benchmarks.load import Load, Plan
from benchmarks.meter import Meter
from benchmarks.server import Equipment, Server

_TIMEOUT: Final = 900.0
_PRINTED: Final = "{:<12}{:>16}{:>16}{:>16}"


def measure(users: int, senders: int, messages: int, tls: bool) -> float:
    """Fill a room and send messages; return the CPU time of the server for each delivery, in microseconds."""
    with Server(Equipment(True, tls, "memory", users)) as server:
        meter = Meter(server.pid)
        with Load(Plan(users, 1, senders, messages, _TIMEOUT), server.address, server.tls) as load:
            load.logIn()
            load.join()
            before = meter.cpu()
            deliveries = load.sendMessages()
            spent = meter.cpu() - before
        server.checkLog()
    return spent / deliveries * 1e6


def main(arguments: Sequence[str], write: Callable[[str], object] = sys.stdout.write) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--small", type=int, default=500, help="occupants of the small room (500)")
    parser.add_argument("--large", type=int, default=5000, help="occupants of the large room (5000)")
    parser.add_argument("--senders", type=int, default=1, help="how many of them send, one message at a time each (1)")
    parser.add_argument("--deliveries", type=int, default=200_000, help="of each turn (200000)")
    parser.add_argument("--turns", type=int, default=3, help="how often to measure each (3)")
    parser.add_argument("--tls", action="store_true", help="under TLS")
    options = parser.parse_args(arguments)
    sizes = (options.small, options.large)
    if not allowFiles(max(sizes)):
        parser.error(f"{max(sizes)} clients need as many open files; this system allows fewer (ulimit -Hn)")
    figures: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(options.turns):
        for size in sizes:
            messages = max(1, options.deliveries // (size * options.senders))
            figures[size].append(measure(size, options.senders, messages, options.tls))
    write(_PRINTED.format("occupants", "delivery: median", "least", "greatest") + "\n")
    for size, found in figures.items():
        cells = [f"{value:.2f} µs" for value in (statistics.median(found), min(found), max(found))]
        write(_PRINTED.format(size, *cells) + "\n")
    ratio = statistics.median(figures[options.large]) / statistics.median(figures[options.small])
    write(f"{options.large} to {options.small}: {ratio:.2f}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
