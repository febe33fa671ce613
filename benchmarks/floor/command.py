# -*- test-case-name: tests.test_floorbenchmark -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The command line: what is measured, in which order, and the table or JSON that it prints."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.command import allowFiles, positiveNumber
from benchmarks.failure import BenchmarkFailed
from benchmarks.floor.peers import PEERS, isInstalled
from benchmarks.floor.programs import CannotCompile, Floor, compilePrograms, runLoad
from benchmarks.server import Equipment, Server

EACH: Final = "C, each"
JOINED: Final = "C, joined"
OURS: Final = "muccore"

_WIDTH: Final = 24
"""Characters of a whole bar."""


@dataclass(frozen=True)
class Workload:
    """
    What clients do.

    @ivar name: printed.
    @ivar options: of C{load.c}.
    @ivar rows: its figures: a name, the key in the output of C{load.c}, and the decimals.
    """

    name: str
    options: tuple[str, ...]
    rows: tuple[tuple[str, str, int], ...]


_LATENCY: Final = (("p50 ms", "p50_ms", 1), ("p99 ms", "p99_ms", 1))


def workloads(users: int, seconds: int) -> tuple[Workload, ...]:
    """The workloads for a number of users; the steady one lasts for C{seconds}."""
    who = ("--users", str(users))
    rooms = max(1, users // 10)
    return (
        Workload(
            "one room",
            (*who, "--rooms", "1", "--senders", "5", "--messages", str(20 * seconds)),
            (
                ("log-in µs", "login_cpu_us", 0),
                ("idle KiB", "conn_kib", 1),
                ("join µs", "join_cpu_us_per_presence", 2),
                ("message µs", "cpu_us_per_delivery", 2),
            ),
        ),
        Workload(
            "20 a second",
            (*who, "--rooms", "1", "--senders", "5", "--messages", str(4 * seconds), "--rate", "20"),
            (("message µs", "cpu_us_per_delivery", 2), *_LATENCY),
        ),
        Workload(
            f"{rooms} rooms",
            (*who, "--rooms", str(rooms), "--senders", "5", "--messages", str(8 * seconds)),
            (("message µs", "cpu_us_per_delivery", 2),),
        ),
    )


class Ours(Server):
    """This server, as C{load.c} needs it."""

    @property
    def pids(self) -> Sequence[int]:
        """Its process."""
        return [self.pid]


Start = Callable[[], AbstractContextManager[Any]]
"""Makes a server with C{address} and C{pids}, which runs inside C{with}."""

Figures = dict[tuple[str, str, str], dict[str, list[float]]]
"""By security, workload and row: by server, one figure for each turn."""


def servers(folder: Path, users: int, tls: bool, peers: Sequence[str] = ()) -> dict[str, Start]:
    """What is compared, by name."""
    return {
        **{name: partial(PEERS[name], tls) for name in peers},
        EACH: lambda: Floor(folder, False, tls),
        JOINED: lambda: Floor(folder, True, tls),
        OURS: lambda: Ours(Equipment(True, tls, "memory", users)),
    }


def measure(chosen: argparse.Namespace, folder: Path) -> Figures:
    """Run all workloads on all servers, in turns."""
    figures: Figures = {}
    securities = ("plain", "TLS") if chosen.security == "both" else ("TLS" if chosen.security == "tls" else "plain",)
    for _ in range(chosen.turns):
        for security in securities:
            starts = servers(folder, chosen.users, security == "TLS", chosen.against)
            for workload in workloads(chosen.users, chosen.seconds):
                for name, start in starts.items():
                    with start() as server:
                        found = runLoad(folder, server.address, server.pids, security == "TLS", workload.options)
                    for row, key, _decimals in workload.rows:
                        cell = figures.setdefault((security, workload.name, row), {})
                        cell.setdefault(name, []).append(found[key])
    return figures


def ratios(cell: dict[str, list[float]]) -> list[float]:
    """Ours to the joined floor, for each turn."""
    return [ours / floor for ours, floor in zip(cell[OURS], cell[JOINED], strict=True) if floor]


def table(figures: Figures, users: int) -> Iterator[str]:
    """Yield the lines of the table: medians, the ratio of ours to the joined floor with its spread, and a bar."""
    decimals = {(w.name, row): places for w in workloads(users, 1) for row, _, places in w.rows}
    names = list(next(iter(figures.values())))
    most = max((statistics.median(ratios(cell) or [0]) for cell in figures.values()), default=0)
    yield f"{'':6}{'':12}{'':12}" + "".join(f"{name:>11}" for name in names) + f"{'ratio':>8}  of the turns"
    for (security, workload, row), cell in figures.items():
        places = decimals[workload, row]
        line = f"{security:6}{workload:12}{row:12}"
        line += "".join(f"{statistics.median(cell[name]):11.{places}f}" for name in names)
        found = ratios(cell)
        if found:
            median = statistics.median(found)
            bar = "█" * round(median / most * _WIDTH)
            line += f"{median:8.2f}  {f'{min(found):.2f} to {max(found):.2f}':14}{bar}"
        yield line


def options(argv: Sequence[str]) -> argparse.Namespace:
    """
    Parse the command line, C{argv} being without the program's name.

    @raise SystemExit: with status 2 if it is wrong, 0 after C{--help}.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.floor",
        description="Compare the server's CPU time with that of a C program. See docs/benchmarks.md.",
    )
    parser.add_argument("--users", type=positiveNumber, default=500, help="clients (default: 500)")
    parser.add_argument("--turns", type=positiveNumber, default=3, help="runs of everything (default: 3)")
    parser.add_argument("--seconds", type=positiveNumber, default=5, help="of the steady load (default: 5)")
    parser.add_argument("--security", choices=("plain", "tls", "both"), default="both", help="STARTTLS or none")
    parser.add_argument("--against", choices=PEERS, action="append", default=[], help="another server, if installed")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    chosen = parser.parse_args(argv)
    if not allowFiles(chosen.users):
        parser.error(f"{chosen.users} clients need as many open files; this system allows fewer (ulimit -Hn)")
    for name in chosen.against:
        if not isInstalled(name):
            print(f"benchmarks.floor: {name} is not installed, and left out", file=sys.stderr)
    chosen.against = list(filter(isInstalled, dict.fromkeys(chosen.against)))
    return chosen


def main(argv: Sequence[str]) -> int:
    """Run the comparison, and return the exit status; C{argv} is without the program's name."""
    chosen = options(argv)
    with tempfile.TemporaryDirectory(prefix="muccore-floor-") as name:
        folder = Path(name)
        try:
            compilePrograms(folder)
        except CannotCompile as e:
            print(f"benchmarks.floor: skipped: {e}", file=sys.stderr)
            return 0
        try:
            figures = measure(chosen, folder)
        except BenchmarkFailed as e:
            print(f"benchmarks.floor: {e}", file=sys.stderr)
            return 1
    if chosen.json:
        rows = [
            {"security": security, "workload": workload, "row": row, "figures": cell, "ratios": ratios(cell)}
            for (security, workload, row), cell in figures.items()
        ]
        print(json.dumps({"users": chosen.users, "turns": chosen.turns, "rows": rows}))
    else:
        print("\n".join(table(figures, chosen.users)))
    return 0
