# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The measured server: a process on a free loopback port with a temporary configuration."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import muccore
from benchmarks.client import DOMAIN, ROOMS
from benchmarks.failure import BenchmarkFailed
from benchmarks.holdmeter import START
from muccore.net.selfsigned import selfSigned

STARTING: Final = 30.0
"""Timeout of the start, in seconds."""

ENDING: Final = 15.0
"""Seconds after SIGTERM until SIGKILL."""

_CONFIGURATION: Final = """\
[server]
domain = {domain}
log_level = warn

[c2s]
listen = tcp:{port}:interface=127.0.0.1
tls = {tls}
allow_plaintext_auth = yes

[http]
{web}

[s2s]
{peer}

[tls]
certificate = server.crt
private_key = server.key

[transport]
opportunistic_writes = {writes}

[limits]
connections = {connections}

[auth]
backend = insecure:

[storage]
affiliations = {storage}
{archive}

[muc]
domain = {rooms}
rooms_per_user = 0
rooms_per_minute = 0
max_users_limit = {connections}
occupant_rate = 1 GiB
occupant_burst = 64 GiB
room_rate = 1 GiB
room_burst = 64 GiB
"""

_PEER: Final = """\
listen = tcp:{}:interface=127.0.0.1
tls = optional
dialback = yes
routes = {} 127.0.0.1:{}
"""

_SHOWN: Final = 2000


@dataclass(frozen=True)
class Equipment:
    """
    The configuration of the server.

    @ivar opportunistic: use opportunistic writes.
    @ivar tls: require TLS.
    @ivar storage: of the rooms, C{memory} or C{sqlite}.
    @ivar connections: the number of clients.
    @ivar http: whether clients connect over HTTP.
    @ivar archive: archive the messages of the rooms, in SQLite.
    @ivar peer: the domain and the port of another server, without TLS; C{None} for none.
    """

    opportunistic: bool
    tls: bool
    storage: str
    connections: int
    http: bool = False
    archive: bool = False
    peer: tuple[str, int] | None = None


class Server:
    """
    A server that runs inside C{with}.

    @ivar address: its host and port.
    @ivar peerAddress: the same for another server.
    @ivar pid: its process.
    @ivar tls: the context of its clients, or C{None}.
    @ivar holds: the file of L{benchmarks.holdmeter}, if that is asked for.
    """

    address: tuple[str, int]
    peerAddress: tuple[str, int]
    pid: int
    tls: ssl.SSLContext | None = None
    holds: str

    def __init__(self, equipment: Equipment, measuresHolds: bool = False) -> None:
        """@param measuresHolds: whether it measures for how long its reactor is held."""
        self._equipment = equipment
        self._measuresHolds = measuresHolds

    def __enter__(self) -> Server:
        self._folder = tempfile.TemporaryDirectory(prefix="muccore-benchmark-")
        try:
            self._start(Path(self._folder.name))
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._folder.cleanup()

    def _start(self, folder: Path) -> None:
        equipment = self._equipment
        selfSigned([DOMAIN], str(folder / "server.crt"), str(folder / "server.key"))
        if equipment.tls:
            self.tls = ssl.create_default_context(cafile=str(folder / "server.crt"))
        # Bound but not listening: no other program gets this port, and the server can listen on it.
        with socket.socket() as keeper, socket.socket() as other:
            for each in (keeper, other):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                each.bind(("127.0.0.1", 0))
            self.address, self.peerAddress = keeper.getsockname(), other.getsockname()
            configuration = folder / "server.cfg"
            configuration.write_text(self._configuration(), encoding="utf-8")
            self.holds = str(folder / "holds")
            program = (START, self.holds) if self._measuresHolds else ("from twisted.scripts.twistd import run; run()",)
            command = [
                *(sys.executable, "-c", *program),
                *("--nodaemon", "--pidfile=", f"--logfile={folder / 'server.log'}"),
                *("muccore", f"--config={configuration}"),
            ]
            environment = {**os.environ, "PYTHONPATH": _path()}
            with (folder / "stderr").open("wb") as errors, open(os.devnull, "r+b") as nothing:
                self._process = subprocess.Popen(
                    command, cwd=folder, env=environment, stdin=nothing, stdout=nothing, stderr=errors
                )
            self.pid = self._process.pid
            try:
                self._awaitService()
            except BaseException:
                self._end()
                raise

    def _configuration(self) -> str:
        equipment = self._equipment
        option = "tls_listen" if equipment.tls else "listen"
        return _CONFIGURATION.format(
            domain=DOMAIN,
            rooms=ROOMS,
            port=0 if equipment.http else self.address[1],
            web=f"{option} = tcp:{self.address[1]}:interface=127.0.0.1" if equipment.http else "",
            peer="" if equipment.peer is None else _PEER.format(self.peerAddress[1], *equipment.peer),
            tls="required" if equipment.tls else "off",
            writes="yes" if equipment.opportunistic else "no",
            # That of _awaitService may still be counted when the first clients connect.
            connections=equipment.connections + 1,
            storage="sqlite:rooms.db" if equipment.storage == "sqlite" else "memory:",
            archive="archive = sqlite:archive.db" if equipment.archive else "",
        )

    def _awaitService(self) -> None:
        """Wait until it listens, the last step of its start."""
        end = time.monotonic() + STARTING
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise BenchmarkFailed(f"the server ended with status {self._process.returncode}: {self.lastOutput()}")
            try:
                socket.create_connection(self.address, timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise BenchmarkFailed(f"the server did not serve after {STARTING:g} seconds: {self.lastOutput()}")

    def lastOutput(self) -> str:
        """Return the end of its standard error and of its log."""
        parts = []
        for name in ("stderr", "server.log"):
            path = Path(self._folder.name, name)
            if path.exists():
                parts.append(path.read_text(encoding="utf-8", errors="replace")[-_SHOWN:].strip())
        return "\n".join(filter(None, parts)) or "no output"

    def checkLog(self) -> None:
        """
        Check the log for tracebacks.

        @raise BenchmarkFailed: if there is one.
        """
        lastOutput = self.lastOutput()
        if "Traceback" in lastOutput:
            raise BenchmarkFailed(f"the server ran into an error: {lastOutput}")

    def _end(self) -> None:
        process = self._process
        process.terminate()
        try:
            process.wait(ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _path() -> str:
    """Return the import path: the server runs the same muccore as this process."""
    return os.pathsep.join([str(Path(muccore.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
