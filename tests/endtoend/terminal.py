# Copyright (c) The muccore authors. See LICENSE for details.
"""Programs in terminals of tmux: what is typed into them, and what they show."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue
from twisted.python.runtime import seconds
from twisted.trial.unittest import TestCase

from tests.endtoend.serverprocess import TIMEOUT

COLUMNS: Final = 200
"""The width of a terminal. Programs wrap longer lines."""

_LINES: Final = 60
_INTERVAL: Final = 0.1
"""Seconds between two looks at a terminal."""


class Terminals:
    """The terminals of one test, on a tmux server of its own. They and their programs end with the test."""

    def __init__(self, test: TestCase) -> None:
        # The paths of sockets are short, those of tests are not.
        self._folder = tempfile.mkdtemp(prefix="tmux-")
        self._socket = os.path.join(self._folder, "socket")
        test.addCleanup(self._end)

    async def tmux(self, *arguments: str) -> str:
        """Run a command of tmux, and return its output."""
        command = ("-u", "-S", self._socket, "-f", "/dev/null", *arguments)
        out, errors, status = await getProcessOutputAndValue("tmux", command, env=os.environ, reactor=reactor)
        if status:
            raise AssertionError(f"tmux {shlex.join(arguments)}: {errors.decode()}")
        return str(out.decode())

    async def open(self, name: str, *command: str, environment: Mapping[str, str]) -> Terminal:
        """
        Run a program in a new terminal.

        @param environment: what differs from that of the tests.
        """
        variables = (f"{key}={value}" for key, value in {"TERM": "screen", "LANG": "C.UTF-8", **environment}.items())
        # Trial's workers name their Python's library in the environment, and Profanity runs another Python.
        line = shlex.join(("env", "-u", "PYTHONPATH", *variables, *command))
        await self.tmux("new-session", "-d", "-x", str(COLUMNS), "-y", str(_LINES), "-s", name, line)
        return Terminal(self, name)

    async def _end(self) -> None:
        # There is none if no terminal was opened, or all programs have ended.
        with suppress(AssertionError):
            await self.tmux("kill-server")
        shutil.rmtree(self._folder)


class Terminal:
    """One terminal."""

    def __init__(self, terminals: Terminals, name: str) -> None:
        self._terminals = terminals
        self._name = name

    async def type(self, *lines: str) -> None:
        """Type lines, each with the Enter key."""
        for line in lines:
            await self._terminals.tmux("send-keys", "-t", self._name, "-l", "--", line)
            await self._terminals.tmux("send-keys", "-t", self._name, "Enter")

    async def screen(self) -> str:
        """Return what the terminal shows."""
        return await self._terminals.tmux("capture-pane", "-p", "-t", self._name)

    async def shows(self, pattern: str) -> re.Match[str]:
        """Wait until what the terminal shows matches; C{^} and C{$} match at lines."""
        compiled = re.compile(pattern, re.MULTILINE)
        end = seconds() + TIMEOUT
        while True:
            screen = await self.screen()
            found = compiled.search(screen)
            if found is not None:
                return found
            if seconds() > end:
                raise AssertionError(f"{self._name} does not show {pattern!r}:\n{screen}")
            await _pause()


def _pause() -> Deferred[None]:
    return deferLater(reactor, _INTERVAL, lambda: None)  # type: ignore[arg-type]
