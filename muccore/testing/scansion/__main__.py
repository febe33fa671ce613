# -*- test-case-name: tests.testing.test_scansion_main -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{python -m muccore.testing.scansion HOST PORT FILES}: run scenarios, one after the other, against one server.

The exit status is 0 if all passed, 1 if any failed, 2 if the arguments are wrong.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from muccore.testing.scansion import runner
from muccore.testing.scansion.language import ScriptError
from muccore.testing.scansion.options import RunOptions, ScenarioFailed
from muccore.testing.scansion.script import load


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"expected a port number, found {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of seconds, found {text!r}")
    return seconds


def _file(text: str) -> str:
    if not os.path.isfile(text) or not os.access(text, os.R_OK):
        raise argparse.ArgumentTypeError(f"cannot read {text!r}")
    return text


def parseArguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line without the program's name. Exits with status 2 if it is wrong, 0 after C{--help}."""
    parser = argparse.ArgumentParser(
        prog="python -m muccore.testing.scansion",
        description="Run scenarios (scansion scripts) against an XMPP server. See docs/scenarios.md.",
    )
    parser.add_argument("host", metavar="HOST", help="the server's address, whatever domain it serves")
    parser.add_argument("port", metavar="PORT", type=_port)
    parser.add_argument("files", metavar="FILE", nargs="+", type=_file, help="a script (.scs)")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--exact", action="store_true", help="each next stanza must be the expected one, none left over")
    mode.add_argument("--strict-payloads", action="store_true", help="be as strict as scansion outside jabber:client")
    parser.add_argument("--timeout", type=_seconds, default=5.0, metavar="SECONDS", help="for each step (default: 5)")
    parser.add_argument("--websocket", action="store_true", help="connect to ws://HOST:PORT/xmpp-websocket")
    parser.add_argument("--tls", action="store_true", help="use STARTTLS, or wss: (any certificate is accepted)")
    return parser.parse_args(argv)


async def run(reactor: Any, chosen: argparse.Namespace, write: Callable[[str], object]) -> int:
    """Run all scenarios of L{parseArguments}, and C{write} the outcome; return the exit status."""
    options = RunOptions(
        chosen.host, chosen.port, chosen.exact, chosen.strict_payloads, chosen.timeout, chosen.tls, chosen.websocket
    )
    failed = 0
    for path in chosen.files:
        try:
            await runner.run(reactor, load(path), options)
        except (ScenarioFailed, ScriptError, OSError) as e:
            failed += 1
            write(f"FAILED {path}\n")
            write("".join(f"  {line}\n" for line in str(e).splitlines()))
        else:
            write(f"ok {path}\n")
    write(f"{len(chosen.files) - failed} passed, {failed} failed\n")
    return 1 if failed else 0


def main(argv: Sequence[str]) -> None:
    """Run the command. Does not return."""

    async def whole(reactor: Any) -> None:
        sys.exit(await run(reactor, chosen, sys.stdout.write))

    chosen = parseArguments(argv)
    # Failures show what servers sent: characters that the terminal cannot encode must not raise.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    react(lambda reactor: Deferred.fromCoroutine(whole(reactor)))


if __name__ == "__main__":
    main(sys.argv[1:])
