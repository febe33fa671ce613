# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{.ci/count.py}, by whose word a change is taken or not."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

SCRIPT = Path(__file__).resolve().parent.parent / ".ci" / "count.py"


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

    def script(self, text: str) -> tuple[int, str]:
        """The status and the output of the script, for a log."""
        log = Path(self.mktemp())
        log.write_text(text)
        done = subprocess.run([sys.executable, SCRIPT, log], capture_output=True, text=True)
        return done.returncode, done.stdout

    def test_status(self) -> None:
        """It prints one line, and its status is 0 only if something passed and nothing failed."""
        self.assertEqual(self.script("PASSED (successes=2)\n"), (0, "2 passed, 0 failed\n"))
        self.assertEqual(self.script("FAILED (errors=1, successes=2)\n"), (1, "2 passed, 1 failed\n"))
        self.assertEqual(self.script("PASSED\n"), (1, "0 passed, 0 failed\n"))
        self.assertEqual(self.script(""), (1, "0 passed, 1 failed\n"))
