# -*- test-case-name: tests.server.test_preflight -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.server.preflight}."""

from __future__ import annotations

import errno
import os
import socket

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase

from muccore.config.errors import ConfigError
from muccore.config.load import load
from muccore.server import preflight
from tests.configuration import ENCRYPTED, ConfigurationFile

MEMORY = {"backend": "memory:"}
"""The section C{[auth]} of a server that may listen anywhere."""


class CheckTests(SynchronousTestCase):
    """Checking a configuration before the start."""

    def problems(self, file: ConfigurationFile) -> list[str]:
        """The problems found."""
        try:
            preflight.check(load(file.path), reactor)
        except ConfigError as e:
            return [str(problem).removeprefix(f"{file.path}:") for problem in e.problems]
        return []

    def assertProblems(self, file: ConfigurationFile, *problems: str) -> None:
        """
        Check the problems found.

        @param problems: a regular expression for each problem, from behind the line's number on.
        """
        found = self.problems(file)
        self.assertEqual(len(found), len(problems), found)
        for line, problem in zip(found, problems, strict=True):
            self.assertRegex(line, rf"\A\d+: {problem}\Z")

    def take(self) -> int:
        """Occupy a port."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        port: int = listening.getsockname()[1]
        return port

    def test_fine(self) -> None:
        """A complete working configuration has no problem, and can be checked again: the check releases everything."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
        file = ConfigurationFile(
            self,
            c2s={**ENCRYPTED, "listen": f"tcp:{port}:interface=127.0.0.1"},
            auth={"backend": "sqlite:muccore.db"},
            storage={"affiliations": "sqlite:muccore.db", "archive": "sqlite:archive.db"},
        )
        for _ in range(2):
            self.assertEqual(self.problems(file), [])
        socket.create_server(("127.0.0.1", port)).close()

    def test_everything(self) -> None:
        """All problems are reported at once: certificate, all databases, both kinds of ports."""
        taken, direct = (f"tcp:{self.take()}:interface=127.0.0.1" for _ in range(2))
        file = ConfigurationFile(
            self,
            c2s={**ENCRYPTED, "listen": taken, "direct_tls_listen": direct},
            auth={"backend": "sqlite:accounts"},
            storage={"affiliations": "sqlite:rooms", "archive": "sqlite:archive"},
        )
        os.remove(file.certificate)
        for name in ("accounts", "rooms", "archive"):
            os.mkdir(file.file(name))
        busy = "another program listens there; end it, or choose another port"
        self.assertProblems(
            file,
            rf"\[tls\] certificate: {file.certificate}: cannot be read \(.*\); .*",
            rf"\[auth\] backend: {file.file('accounts')}: .*",
            rf"\[storage\] affiliations: {file.file('rooms')}: .*",
            rf"\[storage\] archive: {file.file('archive')}: .*",
            rf"\[c2s\] listen: cannot listen on {taken}: {busy}",
            rf"\[c2s\] direct_tls_listen: cannot listen on {direct}: {busy}",
        )

    def test_conflict(self) -> None:
        """Two endpoints that exclude each other are found."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
        everywhere = f"tcp:{port}:interface=0.0.0.0"
        listen = f"tcp:{port}:interface=127.0.0.1\n  {everywhere}"
        file = ConfigurationFile(self, c2s={**ENCRYPTED, "listen": listen}, auth=MEMORY)
        self.assertProblems(file, rf"\[c2s\] listen: cannot listen on {everywhere}: another program .*")

    def test_notOurs(self) -> None:
        """An address that this machine does not have is reported."""
        endpoint = "tcp:0:interface=192.0.2.1"
        file = ConfigurationFile(self, c2s={**ENCRYPTED, "listen": endpoint}, auth=MEMORY)
        self.assertProblems(
            file, rf"\[c2s\] listen: cannot listen on {endpoint}: this machine does not have that address"
        )

    def test_socketNotPassed(self) -> None:
        """A socket that systemd did not pass is found."""
        for endpoint in ("systemd:domain=INET:index=0", "systemd:domain=INET6:name=clients"):
            file = ConfigurationFile(self, c2s={**ENCRYPTED, "listen": endpoint}, auth=MEMORY)
            self.assertProblems(
                file,
                rf"\[c2s\] listen: cannot listen on {endpoint}: no such socket has been handed over; "
                "have systemd start the server by it",
            )

    def test_nothingIsMade(self) -> None:
        """Stores in memory leave no file behind."""
        file = ConfigurationFile(self)
        self.assertEqual(self.problems(file), [])
        self.assertEqual(os.listdir(file.folder), ["server.cfg"])


class ExpatTests(SynchronousTestCase):
    """The XML parser of this Python."""

    def test_reparseDeferral(self) -> None:
        """A parser that delays stanzas until more data comes is refused in one line, which says what to use."""
        file = ConfigurationFile(self)
        self.patch(preflight, "hasReparseDeferral", lambda: True)
        error = self.assertRaises(ConfigError, preflight.check, load(file.path), reactor)
        self.assertRegex(str(error), r"\A/.*: its expat_[0-9.]+ would delay stanzas; use Python .* or newer\Z")


class TLSTests(SynchronousTestCase):
    """Whether a certificate is needed."""

    def test_usesTLS(self) -> None:
        """It is needed for STARTTLS and direct TLS only; otherwise it may be anything."""
        file = ConfigurationFile(self, c2s=ENCRYPTED)
        for tls, direct, needed in (
            ("required", "", True),
            ("optional", "", True),
            ("off", "tcp:0:interface=127.0.0.1", True),
            ("off", "", False),
        ):
            file.configure(c2s={"tls": tls, "direct_tls_listen": direct})
            settings = load(file.path)
            self.assertEqual(preflight.usesTLS(settings), needed)
            self.assertEqual(list(preflight.loadCertificates(settings)), ["localhost"] if needed else [])
        os.remove(file.certificate)
        preflight.check(settings, reactor)


class ErrorTests(SynchronousTestCase):
    """Descriptions of errors of ports."""

    def test_privilege(self) -> None:
        """The description of a privileged port names the privilege."""
        self.assertIn("CAP_NET_BIND_SERVICE", preflight.describeError(OSError(errno.EACCES, "Permission denied")))

    def test_noAddress(self) -> None:
        """An interface that is neither an address nor a name of one is reported."""
        error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        self.assertIn("its interface is no address", preflight.describeError(error))

    def test_other(self) -> None:
        """Other errors are described in the system's words, or in Python's if it has none."""
        self.assertEqual(preflight.describeError(OSError(errno.ENOBUFS, "x")), os.strerror(errno.ENOBUFS))
        self.assertEqual(preflight.describeError(OSError("strange")), "strange")
