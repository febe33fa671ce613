# Copyright (c) The muccore authors. See LICENSE for details.
"""C{muccorectl} in the process of a test."""

from __future__ import annotations

import io
import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations import ctl


class CtlTestCase(SynchronousTestCase):
    """
    Runs commands.

    @ivar configurationPath: the configuration file.
    """

    configurationPath: str

    def runCtl(self, *arguments: str) -> tuple[int, list[str], str]:
        """
        Run a command, whose stores wait for nothing.

        @return: exit status, lines of output, errors.
        """
        out, errors = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", errors)
        status = ctl.main(["-c", self.configurationPath, *arguments], self._finishAtOnce)
        return status, out.getvalue().splitlines(), errors.getvalue()

    def _finishAtOnce(self, function: Any) -> None:
        self.successResultOf(function())

    def succeed(self, *arguments: str) -> list[str]:
        """Run a command, which has to succeed; return its output."""
        status, lines, errors = self.runCtl(*arguments)
        self.assertEqual((status, errors), (0, ""))
        return lines

    def assertRefusal(self, reason: str, *arguments: str) -> None:
        """A command fails with one line, which has the reason."""
        status, lines, errors = self.runCtl(*arguments)
        self.assertEqual((status, lines), (1, []))
        self.assertIn(reason, errors)
        self.assertEqual(errors.count("\n"), 1)
