# Copyright (c) The muccore authors. See LICENSE for details.
"""C{twistd muccore} as a process, its log, and the end of both."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Mapping
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.utils import getProcessOutputAndValue
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.configuration import ENVIRONMENT, ConfigurationFile

PATIENCE = 60.0
"""Seconds after which whatever is waited for is held to be lost; nothing takes so long."""

CLEAN = -signal.SIGTERM
"""How a server ends that has been asked to: twistd does what is to be done and then ends by the same signal."""

TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")

_TROUBLE = re.compile(r"#(?:warn|error|critical)\]|Traceback|Unhandled|Exception")


class _Process(ProcessProtocol):
    """
    One run of the server.

    @ivar output: everything it has written.
    @ivar status: its exit status, or minus the signal that ended it; C{None} while it runs.
    """

    def __init__(self) -> None:
        self.output = ""
        self.status: int | None = None
        self._waiting: list[tuple[re.Pattern[str], Deferred[re.Match[str]]]] = []
        self._ended: list[Deferred[int]] = []

    def outReceived(self, data: bytes) -> None:
        """Keep it, and tell those who wait for it."""
        self.output += data.decode("utf-8", "replace")
        for waiting in list(self._waiting):
            found = waiting[0].search(self.output)
            if found is not None:
                self._waiting.remove(waiting)
                waiting[1].callback(found)

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        """Note how."""
        value: Any = reason.value
        self.status = value.exitCode if value.signal is None else -value.signal
        waiting, self._waiting = self._waiting, []
        for _, deferred in waiting:
            deferred.errback(Failure(ConnectionDone(f"the server has ended:\n{self.output}")))
        ended, self._ended = self._ended, []
        for done in ended:
            done.callback(self.status)

    def wait(self, pattern: str) -> Deferred[re.Match[str]]:
        """Wait until the output has something."""
        compiled = re.compile(pattern)
        found = compiled.search(self.output)
        if found is not None:
            return succeed(found)
        waiting: Deferred[re.Match[str]] = Deferred()
        if self.status is not None:
            waiting.errback(ConnectionDone(f"the server has ended:\n{self.output}"))
        else:
            self._waiting.append((compiled, waiting))
        return waiting

    def ended(self) -> Deferred[int]:
        """Wait for its end."""
        done: Deferred[int] = Deferred()
        if self.status is not None:
            done.callback(self.status)
        else:
            self._ended.append(done)
        return done


class ServerProcess(ConfigurationFile):
    """
    A server with its configuration, which can be started again and again.

    @ivar port: where clients connect.
    @ivar directPort: where clients connect with TLS from the first byte on, if there is such a place.
    """

    def __init__(self, test: TestCase, **overrides: Mapping[str, str]) -> None:
        """
        @param test: kills at its end what it has left running.
        @param overrides: see L{ConfigurationFile}.
        """
        super().__init__(test, **overrides)
        self._process: _Process | None = None
        test.addCleanup(self._kill)

    async def start(self) -> None:
        """Start it, and wait until it serves."""
        process = self._process = _Process()
        spawn: Any = reactor
        arguments = [*TWISTD, "-n", "--pidfile=", "muccore", "-c", self.path]
        spawn.spawnProcess(process, TWISTD[0], arguments, env=ENVIRONMENT, path=self.folder)
        await self.logged("muccore serves ")
        self.port = int(self.portsOf("C2SFactory")[-1])
        direct = self.portsOf("_DirectTLSFactory")
        if direct:
            self.directPort = int(direct[-1])

    def portsOf(self, factory: str) -> list[str]:
        """On which ports connections have been taken by a factory, in the order of their beginning."""
        return re.findall(rf"\b{factory} starting on (\d+)", self.output)

    @property
    def _running(self) -> _Process:
        assert self._process is not None, "it has been started"
        return self._process

    @property
    def output(self) -> str:
        """What this run has written so far: the log."""
        return self._running.output

    @property
    def troubles(self) -> list[str]:
        """The lines of the log that should not be there."""
        return [line for line in self.output.splitlines() if _TROUBLE.search(line)]

    def logged(self, pattern: str) -> Deferred[re.Match[str]]:
        """Wait until the log of this run has something."""
        return self._running.wait(pattern).addTimeout(PATIENCE, reactor)

    def signal(self, name: str) -> None:
        """Send a signal, such as C{"HUP"}."""
        transport: Any = self._running.transport
        transport.signalProcess(getattr(signal, f"SIG{name}"))

    def ended(self) -> Deferred[int]:
        """
        Wait for its end.

        @return: its exit status, or minus the signal that has ended it.
        """
        return self._running.ended().addTimeout(PATIENCE, reactor)

    def stop(self) -> Deferred[int]:
        """
        End it as a service manager does.

        @return: L{CLEAN}, if all went well.
        """
        self.signal("TERM")
        return self.ended()

    def _kill(self) -> Deferred[int] | None:
        if self._process is None or self._process.status is not None:
            return None
        self.signal("KILL")
        return self.ended()


async def run(*command: str, stdin: bytes | None = None, folder: str | None = None) -> tuple[int, str, str]:
    """
    Run a command to its end.

    @return: exit status, output, errors.
    """
    out, err, status = await getProcessOutputAndValue(
        command[0], command[1:], env=ENVIRONMENT, path=folder, reactor=reactor, stdinBytes=stdin
    ).addTimeout(PATIENCE, reactor)
    return status, out.decode(), err.decode()


async def ctl(server: ServerProcess, *arguments: str, password: str | None = None) -> tuple[int, str, str]:
    """
    Run C{muccorectl} on a server's configuration.

    @return: exit status, output, errors.
    """
    stdin = None if password is None else f"{password}\n".encode()
    return await run(sys.executable, "-m", "muccore.operations.ctl", "-c", server.path, *arguments, stdin=stdin)
