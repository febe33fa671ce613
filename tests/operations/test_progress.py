# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.progress}."""

from __future__ import annotations

import builtins
import io
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.progress import INTERVAL, Progress


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


class ProgressTests(SynchronousTestCase):
    """What is shown."""

    def shown(self, total: int | None, *steps: tuple[float, int], stream: io.StringIO | None = None) -> str:
        """What is shown of steps: the seconds after the one before, and how much is done by then."""
        clock, stream = Clock(), stream or io.StringIO()
        with Progress("import", total, "B", stream, clock.seconds) as progress:
            for seconds, done in steps:
                clock.advance(seconds)
                progress.advance(done)
        return stream.getvalue()

    def test_short(self) -> None:
        """What is done in a moment needs no line."""
        self.assertEqual(self.shown(100, (0, 50), (1, 100)), "")

    def test_lines(self) -> None:
        """Now and then there is a line with the rate and the time that is left."""
        self.assertEqual(
            self.shown(5_000_000, (INTERVAL, 1_000_000), (1, 1_100_000), (INTERVAL - 1, 2_000_000)),
            "import: 1000k of 5000k B, 100k B/s, 40 s left\nimport: 2000k of 5000k B, 100k B/s, 30 s left\n",
        )

    def test_durations(self) -> None:
        """Long times are in minutes and hours."""
        self.assertIn(", 17 min left", self.shown(1010, (INTERVAL, 10)))
        self.assertIn(", 2 h 47 min left", self.shown(10010, (INTERVAL, 10)))

    def test_unknownTotal(self) -> None:
        """Without a total there is no time that is left."""
        self.assertEqual(self.shown(None, (INTERVAL, 20)), "import: 20 B, 2 B/s\n")

    def test_terminal(self) -> None:
        """On a terminal there is a bar, which is removed at the end."""
        shown = self.shown(100, (1, 10), (1, 100), stream=Terminal())
        self.assertIn("import:", shown)
        self.assertIn("100", shown)
        self.assertNotIn("\n", shown)

    def test_terminalWithoutBar(self) -> None:
        """Without tqdm there are lines on a terminal as well."""
        load = builtins.__import__

        def fail(name: str, *arguments: Any) -> Any:
            if name == "tqdm":
                raise ImportError(name)
            return load(name, *arguments)

        self.patch(builtins, "__import__", fail)
        self.assertEqual(self.shown(None, (INTERVAL, 20), stream=Terminal()), "import: 20 B, 2 B/s\n")
