# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of the scripts of C{.ci/run}."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

CI = Path(__file__).resolve().parent.parent / ".ci"
SCRIPT = CI / "count.py"


class CountTests(SynchronousTestCase):
    """Counting what trial has counted."""

    def count(self, result: str) -> tuple[int, int]:
        """What is counted for a result line of trial."""
        return runpy.run_path(str(SCRIPT))["count"](f"Ran 9 tests in 0.1s\n\n{result}\n")

    def test_passed(self) -> None:
        """Tests that passed are counted; those that were skipped, or that failed as was to be expected, are not."""
        self.assertEqual(self.count("PASSED (successes=1818)"), (1818, 0))
        self.assertEqual(self.count("PASSED (skips=3, expectedFailures=2, successes=4)"), (4, 0))

    def test_failed(self) -> None:
        """Failures, errors, and tests that pass although they are expected to fail, have failed."""
        self.assertEqual(self.count("FAILED (failures=1)"), (0, 1))
        self.assertEqual(self.count("FAILED (failures=1, errors=2, unexpectedSuccesses=4, successes=8)"), (8, 7))

    def test_nothing(self) -> None:
        """A trial that did not come to its end has failed; one that ran nothing has passed nothing."""
        self.assertEqual(self.count("make: *** [Makefile:53: test] Killed"), (0, 1))
        self.assertEqual(self.count("PASSED"), (0, 0))

    def test_last(self) -> None:
        """What a test writes in the meantime does not count."""
        self.assertEqual(self.count("FAILED (failures=5, successes=1)\nmore\nPASSED (successes=2)"), (2, 0))

    def script(self, *texts: str) -> tuple[int, str]:
        """The status and the output of the script, for logs."""
        logs = []
        for text in texts:
            logs.append(Path(self.mktemp()))
            logs[-1].write_text(text)
        done = subprocess.run([sys.executable, SCRIPT, *logs], capture_output=True, text=True)
        return done.returncode, done.stdout

    def test_status(self) -> None:
        """It prints one line, and its status is 0 only if something passed in every run and nothing failed."""
        self.assertEqual(self.script("PASSED (successes=2)\n"), (0, "2 passed, 0 failed\n"))
        self.assertEqual(self.script("FAILED (errors=1, successes=2)\n"), (1, "2 passed, 1 failed\n"))
        self.assertEqual(self.script("PASSED\n"), (1, "0 passed, 0 failed\n"))
        self.assertEqual(self.script(""), (1, "0 passed, 1 failed\n"))
        passed = "PASSED (successes=2)\n"
        self.assertEqual(self.script(passed, passed), (0, "4 passed, 0 failed\n"))
        self.assertEqual(self.script(passed, ""), (1, "2 passed, 1 failed\n"))
        self.assertEqual(self.script(passed, "PASSED\n"), (1, "2 passed, 0 failed\n"))


class PythonsTests(SynchronousTestCase):
    """The interpreters that C{.ci/run} tests with."""

    def setUp(self) -> None:
        self.pythons = runpy.run_path(str(CI / "pythons.py"))

    def test_claimed(self) -> None:
        """The versions are those of setup.cfg, the oldest of which it requires; the README names the same."""
        claimed = self.pythons["claimed"]()
        self.assertIn(f"python_requires = >={claimed[0]}\n", (CI.parent / "setup.cfg").read_text())
        named = ", ".join(claimed[:-1]) + f" or {claimed[-1]}"
        self.assertIn(f"Python {named}.", (CI.parent / "README.md").read_text())

    def test_works(self) -> None:
        """Only an interpreter of the wanted version works: none of another, no command that fails or is missing."""
        works = self.pythons["works"]
        version = "{}.{}".format(*sys.version_info)
        self.assertTrue(works(sys.executable, version))
        for command, wanted in [(sys.executable, "3.1"), ("/bin/false", version), ("/nonexistent", version)]:
            self.assertFalse(works(command, wanted), command)

    def test_pyenv(self) -> None:
        """An interpreter that is not on PATH is found among those of pyenv."""
        root = Path(self.mktemp())
        folder = root / "versions" / "3.11.99" / "bin"
        folder.mkdir(parents=True)
        (folder / "python").symlink_to(sys.executable)
        self.patch(os, "environ", {"PATH": "", "PYENV_ROOT": str(root)})
        self.assertEqual(list(self.pythons["candidates"]("3.11")), [str(folder / "python")])
