# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{etc/muccore.service}, with systemd's own tools."""

from __future__ import annotations

import configparser
import contextlib
import io
import re
import shutil
import subprocess
import sys

from twisted.python.filepath import FilePath
from twisted.python.reflect import namedAny
from twisted.python.usage import UsageError
from twisted.scripts.twistd import ServerOptions
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muccore.server.systemd import logObserver

UNIT = FilePath(__file__).parent().parent().parent().descendant(["etc", "muccore.service"])
EXPOSURE = 2.0
"""What C{systemd-analyze security} may say at most, of 10."""


class UnitTests(SynchronousTestCase):
    """The unit file."""

    def setUp(self) -> None:
        """Read the unit."""
        self.text = UNIT.getContent().decode("ascii")
        parser = configparser.RawConfigParser(strict=False, comment_prefixes="#", delimiters="=")
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        parser.read_string(self.text)
        self.service = dict(parser["Service"])

    def analyze(self, *arguments: str) -> tuple[int, str]:
        """
        Have systemd-analyze check a copy of the unit that starts a program of this machine.

        @return: its status, and what it has written.
        """
        command = shutil.which("systemd-analyze")
        if command is None:
            raise SkipTest("systemd-analyze, of Debian's package systemd, is not installed")
        program = self.service["ExecStart"].split()[0]
        folder = FilePath(self.mktemp())
        folder.makedirs()
        copy = folder.child("muccore.service")
        copy.setContent(self.text.replace(f"ExecStart={program} ", f"ExecStart={sys.executable} ").encode())
        copy.chmod(0o644)
        done = subprocess.run(
            [command, *arguments, copy.path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout

    def test_verified(self) -> None:
        """systemd accepts all of it without a warning."""
        self.assertEqual(self.analyze("verify", "--man=no"), (0, ""))

    def test_verifiedWatchfully(self) -> None:
        """The check notices an unknown key."""
        self.text = self.text.replace("\nRestart=", "\nRestrat=")
        self.assertIn("Restrat", self.analyze("verify", "--man=no")[1])

    def test_hardened(self) -> None:
        """Its exposure, as systemd-analyze counts it, is at most 2.0."""
        status, output = self.analyze("security", "--offline=true", "--no-pager")
        (level,) = re.findall(r"Overall exposure level for muccore\.service: ([\d.]+)", output)
        self.assertEqual(status, 0)
        self.assertLessEqual(float(level), EXPOSURE)

    def test_command(self) -> None:
        """
        It starts twistd in the foreground, without a pid file, with the log in the journal and the configuration in
        C{/etc/muccore}; twistd accepts these arguments.
        """
        program, *arguments = self.service["ExecStart"].split()
        self.assertEqual(program.rpartition("/")[2], "twistd")
        options = ServerOptions()
        try:
            # That configuration need not be on this machine, and need not be a good one.
            with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):
                options.parseOptions(arguments)
        except UsageError as e:
            self.fail(str(e))
        self.assertEqual((options["nodaemon"], options["pidfile"], options.subCommand), (True, "", "muccore"))
        self.assertIs(namedAny(options["logger"]), logObserver)
        self.assertEqual(options.subOptions["config"], "/etc/muccore/server.cfg")

    def test_life(self) -> None:
        """
        systemd waits until it accepts clients, restarts it on failure, reloads it by SIGHUP, and grants it time to end.
        """
        for key, value in (
            ("Type", "notify"),
            ("SyslogIdentifier", "muccore"),
            ("Restart", "on-failure"),
            ("ExecReload", "/bin/kill -HUP $MAINPID"),
            ("User", "muccore"),
            ("StateDirectory", "muccore"),
        ):
            self.assertEqual(self.service[key], value)
        self.assertGreater(int(self.service["TimeoutStopSec"]), 10)
        self.assertGreater(int(self.service["LimitNOFILE"]), 50000)
