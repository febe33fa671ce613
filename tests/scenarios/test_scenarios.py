# Copyright (c) The muccore authors. See LICENSE for details.
"""Run every scenario of this folder in exact mode, each against a whole server of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from muccore.testing.scansion.options import RunOptions
from muccore.testing.scansion.runner import run
from muccore.testing.scansion.script import load
from muccore.testing.server import RunningServer, startServer


class ScenarioTests(TestCase):
    """One test for each scenario, named after its file."""

    timeout = 60
    server: RunningServer

    def setUp(self) -> Deferred[None]:
        """Start a server."""

        def started(server: RunningServer) -> None:
            self.server = server
            self.addCleanup(server.stop)

        return startServer(reactor).addCallback(started)


def _testOf(path: Path) -> Callable[[ScenarioTests], Deferred[None]]:
    """Return the test of one scenario."""
    script = load(str(path))

    def test(self: ScenarioTests) -> Deferred[None]:
        return run(reactor, script, RunOptions(self.server.host, self.server.port, exact=True))

    test.__name__ = f"test_{path.stem}"
    test.__doc__ = f"{script.title}."
    return test


for _path in sorted(Path(__file__).parent.glob("*.scs")):
    setattr(ScenarioTests, f"test_{_path.stem}", _testOf(_path))
