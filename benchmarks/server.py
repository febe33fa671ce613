# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The server that is measured: a process of its own, on a free loopback port, with a configuration made for it."""

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
from muccore.net.selfsigned import selfSigned

STARTING: Final = 30.0
"""Seconds that the server may take to serve."""

ENDING: Final = 15.0
"""Seconds that the server may take to end, before it is made to."""

_CONFIGURATION: Final = """\
[server]
domain = {domain}
log_level = warn

[c2s]
listen = tcp:{port}:interface=127.0.0.1
tls = {tls}
allow_plaintext_auth = yes

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

[muc]
domain = {rooms}
rooms_per_user = 0
max_users_limit = {connections}
"""

_SHOWN: Final = 2000


@dataclass(frozen=True)
class Equipment:
    """
    How the server is set up.

    @ivar opportunistic: whether writes go out in the turn in which they were made.
    @ivar tls: whether clients have to encrypt.
    @ivar storage: where rooms are kept, C{memory} or C{sqlite}.
    @ivar connections: how many clients there will be.
    """

    opportunistic: bool
    tls: bool
    storage: str
    connections: int


class Server:
    """
    A server that serves while it is used in C{with}.

    @ivar address: where.
    @ivar pid: its process.
    @ivar tls: what its clients encrypt with, or C{None}.
    """

    address: tuple[str, int]
    pid: int
    tls: ssl.SSLContext | None = None

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment

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
        # Bound, not listening: nobody else is given this port, and the server can have it.
        with socket.socket() as keeper:
            keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            keeper.bind(("127.0.0.1", 0))
            self.address = keeper.getsockname()
            configuration = folder / "server.cfg"
            configuration.write_text(self._configuration(), encoding="utf-8")
            command = [
                *(sys.executable, "-c", "from twisted.scripts.twistd import run; run()"),
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
        return _CONFIGURATION.format(
            domain=DOMAIN,
            rooms=ROOMS,
            port=self.address[1],
            tls="required" if equipment.tls else "off",
            writes="yes" if equipment.opportunistic else "no",
            # The one of _awaitService may still be counted when the first clients come.
            connections=equipment.connections + 1,
            storage="sqlite:rooms.db" if equipment.storage == "sqlite" else "memory:",
        )

    def _awaitService(self) -> None:
        """Wait until it listens, which it does when everything else is ready."""
        end = time.monotonic() + STARTING
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise BenchmarkFailed(f"the server ended with status {self._process.returncode}: {self.complaints()}")
            try:
                socket.create_connection(self.address, timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise BenchmarkFailed(f"the server did not serve after {STARTING:g} seconds: {self.complaints()}")

    def complaints(self) -> str:
        """What it has said last on its standard error and in its log."""
        said = []
        for name in ("stderr", "server.log"):
            path = Path(self._folder.name, name)
            if path.exists():
                said.append(path.read_text(encoding="utf-8", errors="replace")[-_SHOWN:].strip())
        return "\n".join(filter(None, said)) or "it said nothing"

    def checkLog(self) -> None:
        """
        See that it has not run into a fault of its own.

        @raise BenchmarkFailed: if it has.
        """
        complaints = self.complaints()
        if "Traceback" in complaints:
            raise BenchmarkFailed(f"the server ran into an error: {complaints}")

    def _end(self) -> None:
        process = self._process
        process.terminate()
        try:
            process.wait(ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _path() -> str:
    """The import path of the server: it runs the same muccore as this process."""
    return os.pathsep.join([str(Path(muccore.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])


__all__ = ["ENDING", "STARTING", "Equipment", "Server"]
