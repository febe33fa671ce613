# Copyright (c) The muccore authors. See LICENSE for details.
"""PostgreSQL servers for tests: one for a process and one that tests may stop, with an empty database for a test."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muccore.storage.postgresql.address import Address, parseAddress
from muccore.storage.postgresql.connection import Connection, PostgreSQLError
from tests.certificates import makeCertificate

USER = "muccore"
_names = itertools.count()


def binaries() -> Path | None:
    """The folder of PostgreSQL's programs, if they are installed."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("initdb")
    candidates = [*installed, *([Path(found)] if found else [])]
    return candidates[-1 if not installed else len(installed) - 1].resolve().parent if candidates else None


def missing() -> str | None:
    """Why there can be no server, in a line."""
    if binaries() is None:
        return "PostgreSQL is not installed: there is no initdb"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "the package psycopg is not installed"
    return None


class Server:
    """A server on a free port of the loopback interface and a socket, in a temporary folder."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="muccore-postgres-")
        self._data = os.path.join(self.folder, "data")
        self._owner: dict[str, object] = {}
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._owner = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._programs = binaries()
        assert self._programs is not None
        self._run("initdb", "-D", self._data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._options: tuple[str, ...] = ()
        self._unused: list[str] = []

    def _run(self, program: str, *arguments: str) -> None:
        assert self._programs is not None
        done = subprocess.run(
            [self._programs / program, *arguments], cwd=self.folder, capture_output=True, check=False, **self._owner
        )  # type: ignore[call-overload]
        if done.returncode:
            raise AssertionError(f"{program}: {done.stderr.decode()}")

    def start(self, *options: str) -> None:
        """Start it, and wait until it can be used."""
        assert self._programs is not None
        self._options = options
        command = [
            self._programs / "postgres", "-D", self._data, "-p", str(self.port), "-k", self.folder,
            "-c", "listen_addresses=127.0.0.1", *options,
        ]  # fmt: skip
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, **self._owner)  # type: ignore[call-overload]
        self._wait()

    def starts(self) -> int:
        """How often it was ready to be used: it starts again by itself when a process of it was killed."""
        return Path(self.folder, "log").read_text().count("database system is ready to accept connections")

    def _wait(self) -> None:
        """Wait until it can be used."""
        deadline = time.monotonic() + 60
        while True:
            try:
                Connection(self.address("postgres"), 10).close()
                return
            except PostgreSQLError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def stop(self, how: int = signal.SIGINT) -> None:
        """End it at once, with all connections; SIGQUIT does so without closing its files."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def kill(self) -> None:
        """Kill it and all its processes at once."""
        assert self._process is not None
        pid = self._process.pid
        processes = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())]
        for each in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        self._process.wait(60)
        self._process = None
        # What is not gone has the shared memory still.
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{each}").exists() for each in processes[1:]) and time.monotonic() < deadline:
            time.sleep(0.01)

    def reset(self) -> None:
        """Have it run as at first, whatever a test has done with it."""
        configured = Path(self._data, "postgresql.auto.conf")
        changed = [line for line in configured.read_text().splitlines() if line and not line.startswith("#")]
        if changed or self._options:
            self.stop()
            configured.write_text("")
        if self._process is None or self._process.poll() is not None:
            self.start()

    def remove(self) -> None:
        """Stop it and remove its folder."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def tlsOptions(self, name: str) -> list[str]:
        """Make a certificate for a host in the folder, and return what lets L{start} use it."""
        certificate, key = makeCertificate(self.folder, [name])
        if self._owner:
            os.chown(key, pwd.getpwnam("nobody").pw_uid, -1)
        return ["-c", "ssl=on", "-c", f"ssl_key_file={key}", "-c", f"ssl_cert_file={certificate}"]

    def address(self, database: str, options: str = "", host: str = "127.0.0.1") -> Address:
        """The address of a database."""
        text = f"//{USER}:s3cret@{host}:{self.port}/{database}{options}"
        return parseAddress(text, FilePath(self.folder))

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Execute a statement as another client."""
        connection = Connection(self.address(database), 10)
        try:
            cursor = connection.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def makeDatabase(self) -> Address:
        """Make another database, which stays as long as the server."""
        name = f"test{next(_names)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.address(name)

    def emptyDatabase(self, test: SynchronousTestCase, journal: str | None = None) -> Address:
        """
        Make a database for a test, or empty one that an earlier test had: that takes less time, and less space.

        @param journal: see L{Address.journal}.
        """
        if self._unused:
            name = self._unused.pop()
            self.execute("DROP SCHEMA IF EXISTS muccore CASCADE", name)
        else:
            name = self.makeDatabase().options["dbname"]
        test.addCleanup(self._unused.append, name)
        return replace(self.address(name), journal=journal)


@cache
def server() -> Server:
    """The server of this process, which ends with it."""
    made = Server()
    atexit.register(made.remove)
    made.start("-c", "fsync=off")
    return made


@cache
def _stoppable() -> Server:
    made = Server()
    atexit.register(made.remove)
    return made


def stoppable() -> Server:
    """Another server of this process, which tests may stop and configure; it runs as if it were new."""
    _stoppable().reset()
    return _stoppable()
