# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The command line: its options, and the table or JSON that it prints."""

from __future__ import annotations

import argparse
import json
import platform
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Final

from benchmarks.failure import BenchmarkFailed
from benchmarks.load import Plan
from benchmarks.measure import Result, measure
from benchmarks.server import Equipment
from muccore import __version__

ROOM_SIZE: Final = 10
"""Occupants of a small room."""

_QUICK: Final = {"users": 50, "messages": 4, "quiet": 0.05}
_WHOLE: Final = {"users": 500, "messages": 40, "quiet": 0.2}

_SPARE_FILES: Final = 64
"""Open files of a process besides its connections."""

_COLUMNS: Final[tuple[tuple[str, Callable[[Result], str]], ...]] = (
    ("writes", lambda r: "opportunistic" if r.opportunistic else "by the poller"),
    ("", lambda r: "TLS" if r.tls else "plain"),
    ("rooms", lambda r: f"{r.rooms} of {r.users // r.rooms}"),
    ("archive", lambda r: "yes" if r.archive else "no"),
    ("log-in µs", lambda r: f"{r.logIn:.0f}"),
    ("idle KiB", lambda r: f"{r.idle:.1f}"),
    ("join µs", lambda r: f"{r.join:.2f}"),
    ("message µs", lambda r: f"{r.message:.2f}"),
    ("reactor µs", lambda r: f"{r.messageReactor:.2f}"),
    ("leave µs", lambda r: f"{r.leave:.2f}"),
    ("messages/s", lambda r: f"{r.rate:.0f}"),
)
_LEFT: Final = 4
"""The number of columns that hold words."""


def positiveNumber(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, found {text!r}")
    return int(text)


def options(argv: Sequence[str]) -> argparse.Namespace:
    """
    Parse the command line, C{argv} being without the program's name.

    @raise SystemExit: with status 2 if it is wrong, 0 after C{--help}.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the server's CPU time and memory per operation. See docs/benchmarks.md.",
    )
    parser.add_argument("--users", type=positiveNumber, help="clients (default: 500)")
    parser.add_argument("--senders", type=positiveNumber, default=5, help="senders in each room (default: 5)")
    parser.add_argument("--messages", type=positiveNumber, help="messages of each sender (default: 40)")
    parser.add_argument("--quick", action="store_true", help="default to 50 users and 4 messages")
    parser.add_argument("--writes", choices=("on", "off", "both"), default="both", help="opportunistic writes")
    parser.add_argument("--security", choices=("plain", "tls", "both"), default="both", help="STARTTLS or none")
    parser.add_argument(
        "--rooms", choices=("one", "many", "both"), default="both", help=f"one for all clients, or rooms of {ROOM_SIZE}"
    )
    parser.add_argument("--storage", choices=("memory", "sqlite"), default="memory", help="the store of the rooms")
    parser.add_argument(
        "--archive", choices=("on", "off", "both"), default="off", help="archive the messages of the rooms, in SQLite"
    )
    parser.add_argument("--stream-management", action="store_true", help="clients enable stream management (XEP-0198)")
    over = parser.add_mutually_exclusive_group()
    over.add_argument(
        "--websocket", action="store_const", const="websocket", default="tcp", dest="transport",
        help="clients connect over WebSocket (RFC 7395)",
    )  # fmt: skip
    over.add_argument(
        "--bosh", action="store_const", const="bosh", default="tcp", dest="transport",
        help="clients connect over BOSH (XEP-0206), plain only",
    )  # fmt: skip
    parser.add_argument(
        "--log-in", choices=("sasl", "sasl2", "fast"), default="sasl", dest="profile",
        help="how clients log in: by SASL, by SASL2 with Bind 2, or with tokens as well; the last two under TLS only",
    )  # fmt: skip
    parser.add_argument("--timeout", type=positiveNumber, default=120, help="seconds for each phase (default: 120)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    chosen = parser.parse_args(argv)
    for name, default in (_QUICK if chosen.quick else _WHOLE).items():
        if getattr(chosen, name, None) is None:
            setattr(chosen, name, default)
    if chosen.profile != "sasl" and (chosen.security != "tls" or chosen.transport != "tcp"):
        parser.error(f"--log-in {chosen.profile} needs --security tls, and is measured over TCP")
    if chosen.transport == "bosh" and chosen.security != "plain":
        parser.error("--bosh needs --security plain")
    if not allowFiles(connectionsOf(chosen)):
        parser.error(f"{chosen.users} clients need as many open files; this system allows fewer (ulimit -Hn)")
    return chosen


def connectionsOf(chosen: argparse.Namespace) -> int:
    """How many connections the server counts: over BOSH, each client has a session and two connections."""
    users: int = chosen.users
    return users * 3 if chosen.transport == "bosh" else users


def allowFiles(connections: int) -> bool:
    """Raise the limit of open files for this process and its children; return whether the system allows it."""
    needed = connections + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and needed > hard:
        return False
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return True


def cases(chosen: argparse.Namespace) -> Iterator[tuple[Equipment, Plan]]:
    """Yield the measurements to make."""
    many = max(1, chosen.users // ROOM_SIZE)
    sizes = {"one": (1,), "many": (many,), "both": dict.fromkeys((1, many))}[chosen.rooms]
    switches = [_positions(chosen.writes, "on", "off"), _positions(chosen.archive, "off", "on")]
    for security, rooms, writes, archive in product(_positions(chosen.security, "plain", "tls"), sizes, *switches):
        yield (
            Equipment(
                writes == "on", security == "tls", chosen.storage, connectionsOf(chosen), chosen.transport != "tcp",
                archive == "on",
            ),
            Plan(
                chosen.users, rooms, chosen.senders, chosen.messages, chosen.timeout, chosen.quiet,
                chosen.stream_management, chosen.transport, chosen.profile,
            ),
        )  # fmt: skip


def _positions(chosen: str, *all: str) -> tuple[str, ...]:
    """What an option chooses of all."""
    return all if chosen == "both" else (chosen,)


def line(cells: Sequence[str]) -> str:
    """Format one line of the table."""
    widths = [max(len(title), 14 if at < 1 else 9) for at, (title, _) in enumerate(_COLUMNS)]
    return "  ".join(
        cell.ljust(width) if at < _LEFT else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ).rstrip()


def main(argv: Sequence[str], write: Callable[[str], object] = sys.stdout.write) -> int:
    """
    Run the command.

    @param write: called with the text to print.
    @return: the exit status: 0, 1 if the server failed, 130 after an interrupt.
    """
    chosen = options(argv)
    results = []
    try:
        if not chosen.json:
            write(line([title for title, _ in _COLUMNS]) + "\n")
        for equipment, plan in cases(chosen):
            result = measure(equipment, plan)
            results.append(result)
            if not chosen.json:
                write(line([show(result) for _, show in _COLUMNS]) + "\n")
                sys.stdout.flush()
    except BenchmarkFailed as e:
        print(f"benchmarks: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmarks: interrupted", file=sys.stderr)
        return 130
    if chosen.json:
        about = {
            "muccore": __version__,
            "python": platform.python_version(),
            "machine": platform.platform(),
            "senders": chosen.senders,
            "messages": chosen.messages,
            "stream_management": chosen.stream_management,
            "profile": chosen.profile,
            "transport": chosen.transport,
            "results": [vars(result) for result in results],
        }
        write(json.dumps(about, indent=2) + "\n")
    return 0
