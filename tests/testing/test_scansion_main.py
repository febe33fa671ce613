# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.testing.scansion.__main__}."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muccore.testing.scansion.__main__ import parseArguments, run
from tests.testing.fakeserver import PASSWORD, FakeServer

SCRIPT = f"""\
[Client] Romeo
\tjid: romeo@localhost
\tpassword: {PASSWORD}
-----
Romeo connects
Romeo sends:
\t<message id='a'/>
\t<message id='b'/>
Romeo receives:
\t<message id='b' from='{{scansion:any}}'/>
"""


class ArgumentTests(SynchronousTestCase):
    """The command line."""

    def setUp(self) -> None:
        """Write a script."""
        self.path = self.mktemp()
        Path(self.path).write_text(SCRIPT)

    def test_defaults(self) -> None:
        """Scenarios run in lenient mode, with five seconds for each step and without TLS."""
        chosen = parseArguments(["127.0.0.1", "5222", self.path])
        self.assertEqual((chosen.host, chosen.port, chosen.files), ("127.0.0.1", 5222, [self.path]))
        self.assertEqual(
            (chosen.exact, chosen.strict_payloads, chosen.timeout, chosen.tls), (False, False, 5.0, False)
        )

    def test_wrong(self) -> None:
        """A wrong command line exits with status 2 and a message that names the mistake."""
        missing = self.mktemp()
        for argv, word in (
            ([], "HOST"),
            (["h", "5222"], "FILE"),
            (["h", "0", self.path], "'0'"),
            (["h", "x", self.path], "'x'"),
            (["h", "5222", missing], missing),
            (["h", "5222", self.path, "--timeout", "soon"], "'soon'"),
            (["h", "5222", self.path, "--timeout", "0"], "'0'"),
            (["h", "5222", self.path, "--timeout", "inf"], "'inf'"),
            (["h", "5222", self.path, "--exact", "--strict-payloads"], "--exact"),
        ):
            printed: list[str] = []
            self.patch(sys, "stderr", type("Output", (), {"write": staticmethod(printed.append)}))
            error = self.assertRaises(SystemExit, parseArguments, argv)
            self.assertEqual(error.code, 2)
            self.assertIn(word, "".join(printed))


class RunTests(TestCase):
    """Running files."""

    timeout = 30

    def setUp(self) -> None:
        """Start a server and write files."""
        self.server = FakeServer()
        self.port = self.server.start()
        self.addCleanup(self.server.stop)
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.good = self.write("good.scs", SCRIPT)
        self.broken = self.write("broken.scs", SCRIPT.replace("Romeo connects", "Romeo sings"))

    def write(self, name: str, text: str) -> str:
        """Write a script; return its path."""
        path = os.path.join(self.folder, name)
        Path(path).write_text(text)
        return path

    async def scansion(self, *arguments: str) -> tuple[int, list[str]]:
        """Return the status and the printed lines."""
        printed: list[str] = []
        status = await run(reactor, parseArguments(["127.0.0.1", str(self.port), *arguments]), printed.append)
        return status, "".join(printed).splitlines()

    async def test_allPass(self) -> None:
        """If all scenarios pass, each has its line, and the status is 0."""
        status, lines = await self.scansion(self.good, self.good)
        self.assertEqual((status, lines), (0, [f"ok {self.good}", f"ok {self.good}", "2 passed, 0 failed"]))

    async def test_someFail(self) -> None:
        """A script that fails or is not valid is reported with its position; the others run."""
        status, lines = await self.scansion(self.broken, self.good)
        self.assertEqual(status, 1)
        self.assertEqual(lines[0], f"FAILED {self.broken}")
        self.assertTrue(lines[1].startswith(f"  {self.broken}:5: "), lines)
        self.assertEqual(lines[-2:], [f"ok {self.good}", "1 passed, 1 failed"])

    async def test_exact(self) -> None:
        """What passes in lenient mode can fail in exact mode."""
        status, lines = await self.scansion("--exact", self.good)
        self.assertEqual((status, lines[0], lines[-1]), (1, f"FAILED {self.good}", "0 passed, 1 failed"))
        self.assertTrue(lines[1].startswith(f"  {self.good}:10: Romeo expected"), lines)

    async def test_fileThatVanishes(self) -> None:
        """A file that can no longer be read counts as failed."""
        chosen = parseArguments(["127.0.0.1", str(self.port), self.good])
        os.remove(self.good)
        printed: list[str] = []
        self.assertEqual(await run(reactor, chosen, printed.append), 1)
        self.assertIn(self.good, printed[0])

    async def test_process(self) -> None:
        """The program prints the lines and exits with the status."""
        for files, expected in (([self.good], 0), ([self.good, self.broken], 1)):
            out, err, status = await getProcessOutputAndValue(
                sys.executable,
                ["-m", "muccore.testing.scansion", "127.0.0.1", str(self.port), *files],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "ascii"},
            )
            self.assertEqual(err, b"")
            self.assertEqual(status, expected)
            self.assertTrue(out.startswith(f"ok {self.good}\n".encode()), out)
            self.assertTrue(out.endswith(f"passed, {expected} failed\n".encode()), out)
