# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{benchmarks.floor}: of what it runs and prints, not of any speed."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from benchmarks.failure import BenchmarkFailed
from benchmarks.floor import command, programs
from benchmarks.floor.peers import PEERS, isInstalled
from benchmarks.floor.programs import CannotCompile, Floor, compilePrograms, runLoad


@cache
def compiled() -> tempfile.TemporaryDirectory[str]:
    """The folder of the programs, compiled once."""
    folder = tempfile.TemporaryDirectory()
    compilePrograms(Path(folder.name))
    return folder


class CompiledTestCase(SynchronousTestCase):
    """Needs the C programs."""

    def setUp(self) -> None:
        """Compile them, or skip these tests where that is impossible."""
        try:
            self.folder = Path(compiled().name)
        except CannotCompile as e:
            raise SkipTest(str(e)) from None

class ProgramsTests(CompiledTestCase):
    """The C programs."""

    def test_everythingIsDelivered(self) -> None:
        """The floor logs everybody in, and delivers every message to every occupant, in both ways."""
        for joined, tls in ((False, False), (True, True)):
            with Floor(self.folder, joined, tls) as floor:
                options = ("--users", "12", "--rooms", "2", "--senders", "3", "--messages", "5")
                found = runLoad(self.folder, floor.address, floor.pids, tls, options)
            self.assertEqual((found["deliveries"], found["messages"], found["dead"]), (2 * 3 * 5 * 6, 2 * 3 * 5, 0))
            for figure in ("login_cpu_us", "join_cpu_us_per_presence", "cpu_us_per_delivery", "p50_ms", "p99_ms"):
                self.assertGreater(found[figure], 0, figure)

    def test_largeRoom(self) -> None:
        """What the kernel does not take at once is sent later."""
        with Floor(self.folder, True, False) as floor:
            options = ("--users", "40", "--rooms", "1", "--senders", "40", "--messages", "4", "--size", "3900")
            found = runLoad(self.folder, floor.address, floor.pids, False, options)
        self.assertEqual(found["deliveries"], 40 * 40 * 4)

    def test_loadFails(self) -> None:
        """A server that is not there is an error, with what the load program says."""
        with Floor(self.folder, True, False) as floor:
            address = floor.address
        failed = self.assertRaises(BenchmarkFailed, runLoad, self.folder, address, [], False, ("--users", "3"))
        self.assertIn('"error": "login"', str(failed))


class PeerTests(CompiledTestCase):
    """Other servers, where they are installed: they log everybody in, and deliver every message to every occupant."""

    def check(self, name: str, tls: bool) -> None:
        """Put a little load on one."""
        if not isInstalled(name):
            raise SkipTest(f"{name} is not installed")
        with PEERS[name](tls) as peer:
            options = ("--users", "12", "--rooms", "2", "--senders", "3", "--messages", "5")
            found = runLoad(self.folder, peer.address, peer.pids, tls, options)
        self.assertEqual((found["deliveries"], found["dead"]), (2 * 3 * 5 * 6, 0))

    def test_prosody(self) -> None:
        """Prosody."""
        for tls in (False, True):
            self.check("prosody", tls)

    def test_ejabberd(self) -> None:
        """ejabberd, which takes long to start."""
        self.check("ejabberd", True)


def cell(each: float, joined: float, *ours: float) -> dict[str, list[float]]:
    """The figures of a row."""
    return {command.EACH: [each] * len(ours), command.JOINED: [joined] * len(ours), command.OURS: list(ours)}


class CommandTests(SynchronousTestCase):
    """The command line."""

    figures: command.Figures = {
        ("plain", "one room", "message µs"): cell(4, 2, 2.2, 3, 2.6),
        ("TLS", "50 rooms", "message µs"): cell(8, 4, 8, 9, 7),
    }


    def main(self, *argv: str) -> tuple[int, str, str]:
        """Run the command; return its status and what it prints."""
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            status = command.main(argv)
        return status, out.getvalue(), errors.getvalue()

    def test_table(self) -> None:
        """Medians, the median ratio to the joined floor with its extremes, and a bar in proportion to it."""
        first, second, third = command.table(self.figures, 500)
        self.assertEqual(first.split()[-5:], ["muccore", "ratio", "of", "the", "turns"])
        self.assertEqual(second.split()[-6:], ["2.60", "1.30", "1.10", "to", "1.50", "█" * 16])
        self.assertEqual(third.split()[-6:], ["8.00", "2.00", "1.75", "to", "2.25", "█" * 24])

    def test_json(self) -> None:
        """All figures of all turns."""
        self.patch(command, "compilePrograms", lambda folder: None)
        self.patch(command, "measure", lambda chosen, folder: self.figures)
        status, out, _ = self.main("--json")
        self.assertEqual(status, 0)
        self.assertEqual([round(ratio, 2) for ratio in json.loads(out)["rows"][0]["ratios"]], [1.1, 1.5, 1.3])

    def test_noCompiler(self) -> None:
        """Without a compiler, or with one that fails, nothing is measured: it says so, and is no error."""
        self.patch(command, "measure", None)
        self.patch(programs.shutil, "which", lambda name: None)
        self.patch(programs.os, "environ", {})
        status, out, errors = self.main()
        self.assertEqual((status, out), (0, ""))
        self.assertIn("skipped: there is no C compiler", errors)
        for compiler in ("false", "/no/such/compiler"):
            self.patch(programs.os, "environ", {"CC": compiler})
            status, out, errors = self.main()
            self.assertEqual((status, out), (0, ""))
            self.assertIn(f"skipped: {compiler} cannot", errors)

    def test_failure(self) -> None:
        """A server that fails is an error."""

        def measure(chosen: object, folder: Path) -> None:
            raise BenchmarkFailed("no luck")

        self.patch(command, "compilePrograms", lambda folder: None)
        self.patch(command, "measure", measure)
        self.assertEqual(self.main(), (1, "", "benchmarks.floor: no luck\n"))

    def test_peers(self) -> None:
        """Peers that are not installed are left out, with a word; the others are compared, first."""
        errors = io.StringIO()
        self.patch(command, "isInstalled", lambda name: False)
        with contextlib.redirect_stderr(errors):
            chosen = command.options(["--against", "prosody"])
        self.assertEqual(chosen.against, [])
        self.assertIn("prosody is not installed", errors.getvalue())
        self.patch(command, "isInstalled", lambda name: True)
        chosen = command.options(["--against", "prosody", "--against", "prosody"])
        self.assertEqual(list(command.servers(Path(), 20, True, chosen.against))[:2], ["prosody", command.EACH])

    def test_turns(self) -> None:
        """All servers take turns with each workload; a server of its own for each."""
        started: list[str] = []

        class Server:
            address, pids = ("127.0.0.1", 1), ()

            def __init__(self, name: str) -> None:
                self.name = name

            def __enter__(self) -> Server:
                started.append(self.name)
                return self

            def __exit__(self, *_: object) -> None:
                pass

        def runLoad(folder: Path, address: object, pids: object, tls: bool, options: object) -> Any:
            return {key: 1.0 for workload in command.workloads(20, 1) for _, key, _ in workload.rows}

        names = (command.EACH, command.JOINED, command.OURS)
        self.patch(command, "runLoad", runLoad)
        self.patch(command, "servers", lambda *_: {name: lambda name=name: Server(name) for name in names})
        chosen = command.options(["--users", "20", "--turns", "2", "--security", "tls"])
        figures = command.measure(chosen, Path())
        self.assertEqual(started, list(names) * 3 * 2)
        self.assertEqual(figures["TLS", "2 rooms", "message µs"][command.OURS], [1.0, 1.0])
