# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.tools.requirementspage}; those of the page itself are in L{tests.muc.test_requirements}."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from muccore.tools.requirements import parse
from muccore.tools.requirementspage import render
from tests.configuration import ENVIRONMENT

TEXT = """specification: XEP-9999 1.0
§1 Greetings
1-1 MUST: A service sends <hello/> | greets.
  test: tests/scenarios/hello.scs
  test: tests.greetings.HelloTests.test_hello
1-2 MUST: Of *all* it greets everybody.
  test: tests/scenarios/hello.scs
  decided: It greets friends.
1-3 MAY: It may bow.
  pending: The bow.
Example 7: Hello
  test: tests/scenarios/hello.scs
§2 Farewells
others: client MUST leave
"""


class RenderTests(SynchronousTestCase):
    """The page."""

    def test_rows(self) -> None:
        """Requirements stand by section, examples at the end, each with links to its tests and with its reason."""
        lines = render(parse(TEXT, "x"), "xep-9999.txt").splitlines()
        hello = "[hello](../tests/scenarios/hello.scs)"
        for row in (
            "# XEP-9999 1.0, requirement by requirement",
            "## §1 Greetings",
            f"| 1-1 | must | A service sends \\<hello/> \\| greets. | {hello}, "
            "[HelloTests.test_hello](../tests/greetings.py) |",
            f"| 1-2 | must | Of \\*all\\* it greets everybody. | {hello}<br>*Decided:* It greets friends. |",
            "| 1-3 | may | It may bow. | *Being built:* The bow. |",
            f"| 1 | 7 | Hello | {hello} |",
        ):
            self.assertIn(row, lines)
        self.assertNotIn("## §2 Farewells", lines)

    def test_counts(self) -> None:
        """They are counted by level, and by whether they are as the text says."""
        lines = render(parse(TEXT, "x"), "xep-9999.txt").splitlines()
        for row in (
            "| must | 1 | 1 | 0 | 2 |",
            "| may | 0 | 0 | 1 | 1 |",
            "| should | 0 | 0 | 0 | 0 |",
            "| all requirements | 1 | 1 | 1 | 3 |",
            "| examples | 1 | 0 | 0 | 1 |",
        ):
            self.assertIn(row, lines)

    def test_mistake(self) -> None:
        """A mistake in the file is an error, with nothing on standard output."""
        path = Path(self.mktemp())
        path.write_text("specification: X\n§1 A\n1-7 MUST: a\n", "utf-8")
        ran = subprocess.run(
            [sys.executable, "-m", "muccore.tools.requirementspage", str(path)],
            capture_output=True,
            env=ENVIRONMENT,
            timeout=60,
            check=False,
        )
        self.assertEqual((ran.returncode, ran.stdout), (1, b""))
        self.assertEqual(ran.stderr.decode(), f"{path}:3: the next requirement here is 1-1\n")
