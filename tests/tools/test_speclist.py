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
from tests.configuration import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]


class PageTests(SynchronousTestCase):
    """The page C{docs/xeps.md}."""

    def test_fresh(self) -> None:
        """The page is up to date; otherwise run C{make docs}."""
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
        """Every declared specification has a row with number, title, version and modules, in order."""
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

    def test_declaring(self) -> None:
        """Handlers, extensions of rooms and modules declare them."""
        found = {text.number: names for text, names in speclist.declarations().items() if text.series == "XEP"}
        self.assertEqual(found[45], {"muccore.muc.handler"})
        self.assertEqual(found[421], {"muccore.muc.extensions.occupantids"})

    def test_modules(self) -> None:
        """Modules that run something on import and test tools are excluded."""
        names = {module.__name__ for module in speclist.modules()}
        self.assertIn("muccore.stream.sasl.scram", names)
        self.assertFalse([name for name in names if name.endswith("__main__") or name.startswith("muccore.testing")])
