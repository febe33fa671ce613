# Copyright (c) The muccore authors. See LICENSE for details.
"""C{twistd muccore} as a process, and its log."""

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

TIMEOUT = 60.0
"""Seconds after which a step has failed; nothing takes so long."""

CLEAN = -signal.SIGTERM
"""The status after SIGTERM: twistd shuts down and then ends by the same signal."""

TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")

_UNEXPECTED = re.compile(r"#(?:warn|error|critical)\]|Traceback|Unhandled|Exception")


class LoggedProcess(ProcessProtocol):
    """
    One run of a server.

    @ivar output: everything that it has written.
    @ivar status: its exit status, or minus the signal that ended it; C{None} while it runs.
    """

    def __init__(self) -> None:
        self.output = ""
        self.status: int | None = None
        self._waiting: list[tuple[re.Pattern[str], Deferred[re.Match[str]]]] = []
        self._ended: list[Deferred[int]] = []

    def outReceived(self, data: bytes) -> None:
        """Collect the output, and fire what waits for it."""
        self.output += data.decode("utf-8", "replace")
        for waiting in list(self._waiting):
            found = waiting[0].search(self.output)
            if found is not None:
                self._waiting.remove(waiting)
                waiting[1].callback(found)

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        """Record the status."""
        value: Any = reason.value
        self.status = value.exitCode if value.signal is None else -value.signal
        waiting, self._waiting = self._waiting, []
        for _, deferred in waiting:
            deferred.errback(Failure(ConnectionDone(f"the server has ended:\n{self.output}")))
        ended, self._ended = self._ended, []
        for done in ended:
            done.callback(self.status)

    def wait(self, pattern: str) -> Deferred[re.Match[str]]:
        """Wait until the output matches."""
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
        """Wait until the process has ended."""
        done: Deferred[int] = Deferred()
        if self.status is not None:
            done.callback(self.status)
        else:
            self._ended.append(done)
        return done


class ServerProcess(ConfigurationFile):
    """
    A server with its configuration, which can be started repeatedly.

    @ivar port: where clients connect.
    @ivar directPort: where clients connect with direct TLS, if enabled.
    @ivar environment: that of the process.
    """

    def __init__(self, test: TestCase, **overrides: Mapping[str, str]) -> None:
        """
        @param test: a process still running at its end is killed.
        @param overrides: see L{ConfigurationFile}.
        """
        super().__init__(test, **overrides)
        self.environment: Mapping[str, str] = ENVIRONMENT
        self._process: LoggedProcess | None = None
        test.addCleanup(self._kill)

    async def start(self, *arguments: str) -> None:
        """
        Start the server, and wait until it serves.

        @param arguments: other arguments of twistd than the usual ones.
        """
        process = self._process = LoggedProcess()
        spawn: Any = reactor
        arguments = arguments or ("-n", "--pidfile=", "muccore", "-c", self.path)
        spawn.spawnProcess(process, TWISTD[0], [*TWISTD, *arguments], env=self.environment, path=self.folder)
        await self.logged("muccore serves ")
        self.port = int(self.portsOf("C2SFactory")[-1])
        direct = self.portsOf("_DirectTLSFactory")
        if direct:
            self.directPort = int(direct[-1])

    def portsOf(self, factory: str) -> list[str]:
        """Return the ports on which a factory has listened, in order."""
        return re.findall(rf"\b{factory} starting on (\d+)", self.output)

    @property
    def _running(self) -> LoggedProcess:
        assert self._process is not None, "not started"
        return self._process

    @property
    def pid(self) -> int:
        """The number of the process."""
        transport: Any = self._running.transport
        return int(transport.pid)

    @property
    def output(self) -> str:
        """The log of this run so far."""
        return self._running.output

    @property
    def unexpectedLines(self) -> list[str]:
        """The warnings, errors and tracebacks in the log."""
        return [line for line in self.output.splitlines() if _UNEXPECTED.search(line)]

    def logged(self, pattern: str) -> Deferred[re.Match[str]]:
        """Wait until the log of this run matches."""
        return self._running.wait(pattern).addTimeout(TIMEOUT, reactor)

    def signal(self, name: str) -> None:
        """Send a signal, such as C{"HUP"}."""
        transport: Any = self._running.transport
        transport.signalProcess(getattr(signal, f"SIG{name}"))

    def ended(self) -> Deferred[int]:
        """Wait for the exit status, or minus the signal that has ended the process."""
        return self._running.ended().addTimeout(TIMEOUT, reactor)

    def stop(self) -> Deferred[int]:
        """Stop the server as a service manager does; the status should be L{CLEAN}."""
        self.signal("TERM")
        return self.ended()

    def _kill(self) -> Deferred[int] | None:
        if self._process is None or self._process.status is not None:
            return None
        self.signal("KILL")
        return self.ended()


async def run(*command: str, stdin: bytes | None = None, folder: str | None = None) -> tuple[int, str, str]:
    """Run a command; return its exit status, output and errors."""
    out, err, status = await getProcessOutputAndValue(
        command[0], command[1:], env=ENVIRONMENT, path=folder, reactor=reactor, stdinBytes=stdin
    ).addTimeout(TIMEOUT, reactor)
    return status, out.decode(), err.decode()


async def ctl(server: ServerProcess, *arguments: str, password: str | None = None) -> tuple[int, str, str]:
    """Run C{muccorectl} on a server's configuration; return its exit status, output and errors."""
    stdin = None if password is None else f"{password}\n".encode()
    return await run(sys.executable, "-m", "muccore.operations.ctl", "-c", server.path, *arguments, stdin=stdin)
