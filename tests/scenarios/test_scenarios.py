# Copyright (c) The muccore authors. See LICENSE for details.
"""
Performs every play in this folder, in exact mode, each against a whole server of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from muccore.testing.scansion.options import RunOptions
from muccore.testing.scansion.runner import perform
from muccore.testing.scansion.script import load
from muccore.testing.server import RunningServer, startServer


class ScenarioTests(TestCase):
    """
    One test for each play; its name is the file's.
    """

    timeout = 60
    server: RunningServer

    def setUp(self) -> Deferred[None]:
        """
        Start a server.
        """

        def started(server: RunningServer) -> None:
            self.server = server
            self.addCleanup(server.stop)

        return startServer(reactor).addCallback(started)


def _performing(path: Path) -> Callable[[ScenarioTests], Deferred[None]]:
    """
    Make the test of one play.
    """
    script = load(str(path))

    def test(self: ScenarioTests) -> Deferred[None]:
        return perform(reactor, script, RunOptions(self.server.host, self.server.port, exact=True))

    test.__doc__ = f"{script.title}."
    return test


for _path in sorted(Path(__file__).parent.glob("*.scs")):
    _test = _performing(_path)
    _test.__name__ = f"test_{_path.stem}"
    setattr(ScenarioTests, _test.__name__, _test)
