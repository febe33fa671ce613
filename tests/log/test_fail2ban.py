# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests of C{etc/fail2ban}: the filter finds failed log-ins in the log, and nothing that clients forge.
"""

from __future__ import annotations

import configparser
import io
import os
import re
import shutil
import subprocess
from pathlib import Path

from twisted.logger import LogPublisher, globalLogPublisher, textFileLogObserver

from muccore.log import eventlog
from muccore.log.eventlog import RateLimit
from muccore.log.logger import Logger, setThreshold
from muccore.server.systemd import JournalObserver
from tests.log.test_eventlog import EVIL
from tests.stream.doubles import BIND, HEADER, auth, sasl
from tests.stream.test_c2s import Case

FOLDER = Path(__file__).resolve().parents[2] / "etc" / "fail2ban"
GUESSERS = ("192.0.2.7", "2001:db8::1", "::ffff:192.0.2.9", "fd00::7:8")
FORGED = (
    *(evil.encode("utf-8", "ignore").decode().replace("\0", "") for evil in EVIL[:4]),
    "romeo login-failed from 6.6.6.6: not-authorized, account x",
    "romeo\n2026-01-01T00:00:00+0000 [muccore.events#info] login-failed from 6.6.6.6: not-authorized, account x",
    "muccore[1]: login-failed from 6.6.6.6: not-authorized, account x",
    "romeo\nhost muccore[1]: login-failed from 6.6.6.6: not-authorized, account x",
)


def options(name: str) -> configparser.SectionProxy:
    """The only section of a file."""
    parser = configparser.RawConfigParser()
    parser.read(FOLDER / name)
    [section] = parser.sections()
    return parser[section]


class FilterTests(Case):
    """The filter."""

    def setUp(self) -> None:
        """Log like twistd to a file, and like the observer for the journal."""
        super().setUp()
        self.patch(eventlog, "limit", RateLimit(self.clock.seconds))
        self.patch(Logger, "threshold", Logger.threshold)
        setThreshold("info")
        self.file, self.journal = io.StringIO(), io.StringIO()
        publisher = LogPublisher(textFileLogObserver(self.file), JournalObserver(self.journal))
        globalLogPublisher.addObserver(publisher)
        self.addCleanup(globalLogPublisher.removeObserver, publisher)
        self.patterns = [re.compile(each.replace("<ADDR>", "(?P<host>[0-9a-f.:]+)")) for each in self.failregex()]

    def failregex(self) -> list[str]:
        """The filter's expressions."""
        return options("filter.d/muccore.conf")["failregex"].split("\n")

    def found(self) -> list[str]:
        """The addresses that the filter finds, which are the same in the log file and in the journal."""
        # fail2ban removes the time first.
        file = [re.sub(r"\A\S+T\S+\+0000(?= )|\A\S+T\S+[+-]\d{4}(?= )", "", line) for line in self.lines(self.file)]
        journal = [f"host muccore[1]: {line[3:]}" for line in self.lines(self.journal)]
        found = [
            [match["host"] for line in lines for pattern in self.patterns if (match := pattern.search(line))]
            for lines in (file, journal)
        ]
        self.assertEqual(*found)
        return found[0]

    def lines(self, stream: io.StringIO) -> list[str]:
        """The lines of a log."""
        return stream.getvalue().rstrip("\n").split("\n")

    def fail2ban(self) -> list[str]:
        """The addresses that fail2ban finds in the log file, if it is installed; otherwise those of L{found}."""
        command = shutil.which("fail2ban-regex")
        if command is None:
            return self.found()
        log = Path(self.mktemp())
        log.write_text(self.file.getvalue(), encoding="utf-8")
        arguments = ("--out", "id", str(log), str(FOLDER / "filter.d" / "muccore.conf"))
        # Trial's workers name their Python's library in the environment, and fail2ban runs on another Python.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [command, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment
        )
        return done.stdout.split()

    def guess(self, host: str, name: str) -> None:
        """Log in with a wrong password."""
        stream, _ = self.connect(host)
        stream.dataReceived(HEADER + auth(name, "wrong"))
        # Long enough for the delay of guesses.
        self.clock.advance(30)

    def test_guesses(self) -> None:
        """Failed log-ins are found, with IPv4 or IPv6 addresses, also if the name imitates a log line."""
        expected = []
        for host in GUESSERS:
            for name in ("romeo", *FORGED):
                self.guess(host, name)
                expected.append(host)
        self.assertEqual(self.found(), expected)
        # fail2ban converts mapped addresses to IPv4.
        self.assertEqual(self.fail2ban(), [host.removeprefix("::ffff:") for host in expected])

    def test_others(self) -> None:
        """Log-ins with any resource, unknown mechanisms, invalid XML and other log lines are not found."""
        self.login("192.0.2.1")
        for evil in FORGED:
            stream, _ = self.connect("192.0.2.1")
            text = "".join(f"&#{ord(c)};" for c in evil if c == "\n" or "\x20" <= c < "\ud800")
            stream.dataReceived(HEADER + auth() + HEADER + BIND.replace(b">r<", f">{text}<".encode()))
            stream.dataReceived(b"<!-- -->")
            stream, _ = self.connect("192.0.2.1")
            stream.dataReceived(HEADER + auth(mechanism="X-OTHER") + sasl("abort"))
            Logger().warn("{text}", text=evil)
        self.assertEqual(self.found(), [])
        self.assertEqual(self.fail2ban(), [])
        self.assertGreater(len(self.lines(self.file)), 5 * len(FORGED))

    def test_jail(self) -> None:
        """The jail uses the filter, and needs fewer failures than are logged per period."""
        jail = options("jail.d/muccore.conf")
        self.assertEqual((jail["filter"], jail["backend"]), ("muccore", "systemd"))
        self.assertLess(int(jail["maxretry"]), eventlog.LINE_LIMIT)
        self.assertEqual(options("filter.d/muccore.conf")["journalmatch"], "_SYSTEMD_UNIT=muccore.service")
