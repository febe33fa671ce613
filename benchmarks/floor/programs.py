# -*- test-case-name: tests.test_floorbenchmark -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The C programs: C{floor}, the server to compare with, and C{load}, which puts the load on any server."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.failure import BenchmarkFailed
from benchmarks.server import ENDING, STARTING
from muccore.net.selfsigned import selfSigned

_SHOWN: Final = 1000


class CannotCompile(Exception):
    """There is no C compiler, or OpenSSL's headers are missing; C{str()} of it says which."""


def compilePrograms(folder: Path) -> None:
    """
    Compile both programs into a folder.

    @raise CannotCompile: if this machine cannot.
    """
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise CannotCompile("there is no C compiler (on Debian and Ubuntu: apt-get install gcc libssl-dev)")
    for name in ("floor", "load"):
        source = Path(__file__).with_name(f"{name}.c")
        command = [*compiler.split(), "-O2", "-o", str(folder / name), str(source), "-lssl", "-lcrypto"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as e:
            raise CannotCompile(f"{compiler} cannot be run: {e.strerror}") from None
        if done.returncode:
            raise CannotCompile(
                f"{compiler} cannot compile {name}.c; are OpenSSL's headers installed (libssl-dev)?\n"
                f"{done.stderr[:_SHOWN].strip()}"
            )


class Program:
    """
    A server to compare with, running inside C{with}.

    @ivar address: its host and port.
    @ivar pids: its process.
    """

    address: tuple[str, int]
    pids: Sequence[int]

    def __init__(self, tls: bool) -> None:
        """@param tls: require TLS; the certificate and key are C{server.crt} and C{server.key} in its folder."""
        self.tls = tls

    def command(self, folder: Path, port: int) -> list[str]:
        """
        The command to run it in the foreground, on loopback.

        @param folder: a new folder for its files, in which it is run.
        """
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="muccore-floor-")
        try:
            folder = Path(self._folder.name)
            selfSigned(["localhost"], str(folder / "server.crt"), str(folder / "server.key"))
            # Bound but not listening: no other program gets this port, and the server can listen on it.
            with socket.socket() as keeper:
                keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                keeper.bind(("127.0.0.1", 0))
                self.address = keeper.getsockname()
                command = self.command(folder, self.address[1])
                with (folder / "output").open("wb") as output:
                    self._process = subprocess.Popen(
                        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
                    )
                self.pids = [self._process.pid]
                try:
                    self._awaitService()
                except BaseException:
                    self._end()
                    raise
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._folder.cleanup()

    def _awaitService(self) -> None:
        end = time.monotonic() + STARTING
        while time.monotonic() < end:
            if self._process.poll() is not None:
                output = Path(self._folder.name, "output").read_text(encoding="utf-8", errors="replace")
                name = type(self).__name__.lower()
                raise BenchmarkFailed(f"{name} ended with status {self._process.returncode}: {output[-_SHOWN:]}")
            try:
                socket.create_connection(self.address, timeout=1).close()
                return
            except OSError:
                time.sleep(0.01)
        raise BenchmarkFailed(f"{type(self).__name__.lower()} does not listen")

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Floor(Program):
    """The floor program."""

    def __init__(self, programs: Path, joined: bool, tls: bool) -> None:
        """
        @param programs: the folder of the programs.
        @param joined: send what one turn writes to a client together, not each stanza at once.
        """
        super().__init__(tls)
        self._program = programs / "floor"
        self._how = "joined" if joined else "each"

    def command(self, folder: Path, port: int) -> list[str]:
        """See L{Program.command}."""
        return [str(self._program), str(port), self._how, *(["server.crt", "server.key"] if self.tls else [])]


def runLoad(
    folder: Path, address: tuple[str, int], pids: Sequence[int], tls: bool, options: Sequence[str]
) -> dict[str, Any]:
    """
    Put a load on a server; return its figures, as load.c prints them.

    @param options: of the load program, besides those that follow from the other parameters.
    @raise BenchmarkFailed: if anything has not arrived.
    """
    command = [
        *(str(folder / "load"), "--host", address[0], "--port", str(address[1])),
        *("--pid", ",".join(map(str, pids)), *options, *(["--tls"] if tls else [])),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkFailed(f"{' '.join(command[1:])}: {(done.stdout + done.stderr)[-_SHOWN:].strip()}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures
