# -*- test-case-name: tests.tools.test_speclist -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.tools.speclist}."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from muccore.tools import speclist
from muccore.xmpp.specs import Spec
from tests.configuration import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]


class PageTests(SynchronousTestCase):
    """The page C{docs/xeps.md}."""

    def test_fresh(self) -> None:
        """The page is what C{python -m muccore.tools.speclist} writes."""
        written = subprocess.run(
            [sys.executable, "-m", "muccore.tools.speclist"],
            capture_output=True,
            env=ENVIRONMENT,
            timeout=60,
            check=True,
        )
        self.assertEqual(written.stderr, b"")
        self.assertEqual(
            (ROOT / "docs" / "xeps.md").read_bytes(),
            written.stdout,
            "docs/xeps.md is stale: python -m muccore.tools.speclist > docs/xeps.md",
        )

    def test_rows(self) -> None:
        """
        Every text that a module declares has a row with its number, title and version and the modules it is from; the
        rows are in order.
        """
        rows = [line for line in speclist.render().splitlines() if re.match(r"\| (XEP|RFC)-", line)]
        declared = speclist.declarations()
        self.assertEqual(len(rows), len(declared))
        for text, names in declared.items():
            number = f"{text.number:04}" if text.series == "XEP" else f"{text.number}"
            columns = f"| {text.series}-{number} {text.title} | {text.version} | {text.note} |"
            [row] = [row for row in rows if row.startswith(columns)]
            for name in names:
                self.assertIn(f"`{name}`", row)
        keys = [(row[2:5], int(re.findall(r"\d+", row)[0])) for row in rows]
        self.assertEqual(keys, sorted(keys))

    def test_heart(self) -> None:
        """What this server is for is on the page, from the modules of the rooms."""
        declared = speclist.declarations().items()
        places = [name for text, names in declared if (text.series, text.number) == ("XEP", 45) for name in names]
        self.assertTrue(any(name.startswith("muccore.muc.") for name in places), places)

    def test_modules(self) -> None:
        """No module is imported that does something by being imported, and the tools for tests declare nothing."""
        names = {module.__name__ for module in speclist.modules()}
        self.assertIn("muccore.stream.sasl.scram", names)
        self.assertFalse([name for name in names if name.endswith("__main__") or name.startswith("muccore.testing")])

    def test_declarations(self) -> None:
        """What is declared are texts."""
        for text in speclist.declarations():
            self.assertIsInstance(text, Spec)
