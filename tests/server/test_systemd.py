# -*- test-case-name: tests.server.test_systemd -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.server.systemd}."""

from __future__ import annotations

import io
import os
import re
import socket
import sys
import time
from typing import IO, Any

from twisted.logger import LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from muccore import tap
from muccore.log.logger import Logger, setThreshold
from muccore.server.systemd import READY, STOPPING, JournalObserver, isJournal, logObserver, notify, reloading


class NotifyTests(SynchronousTestCase):
    """States sent to the service manager."""

    def listen(self, address: str) -> socket.socket:
        """Listen as the service manager."""
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(address)
        manager.setblocking(False)
        return manager

    def test_path(self) -> None:
        """A state is sent to the socket that the environment names."""
        # mktemp's paths are too long for a socket's.
        folder = os.getcwd()
        self.addCleanup(os.chdir, folder)
        os.makedirs(path := self.mktemp())
        os.chdir(path)
        manager = self.listen("notify")
        for state in (READY, STOPPING):
            self.assertTrue(notify(state, {"NOTIFY_SOCKET": "notify"}))
            self.assertEqual(manager.recv(1024).decode(), state)

    def test_abstract(self) -> None:
        """A name that begins with an at sign is that of an abstract socket."""
        name = f"muccore test {os.getpid()}"
        manager = self.listen(f"\0{name}")
        self.assertTrue(notify(READY, {"NOTIFY_SOCKET": f"@{name}"}))
        self.assertEqual(manager.recv(1024), b"READY=1")

    def test_nobody(self) -> None:
        """Without a service manager, or if it does not listen, nothing happens."""
        self.assertFalse(notify(READY, {}))
        for address in ("", "/nowhere/at/all", "x" * 200):
            self.assertFalse(notify(READY, {"NOTIFY_SOCKET": address}))

    def test_states(self) -> None:
        """The states are those of sd_notify(3)."""
        self.assertEqual((READY, STOPPING), ("READY=1", "STOPPING=1"))

    def test_reloading(self) -> None:
        """The reloading state has the monotonic time in microseconds, which the manager compares with its own."""
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        match = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", reloading())
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert match is not None
        self.assertTrue(before <= int(match[1]) <= after)


class JournalTests(SynchronousTestCase):
    """Lines for the journal."""

    def setUp(self) -> None:
        """Log all levels."""
        self.patch(Logger, "threshold", Logger.threshold)
        setThreshold("debug")

    def stream(self, journal: bool = True) -> IO[str]:
        """
        A double of standard output.

        @param journal: whether it is said to be the journal's.
        """
        stream = open(self.mktemp(), "w+", encoding="utf-8")  # noqa: SIM115
        self.addCleanup(stream.close)
        status = os.fstat(stream.fileno())
        self.patch(os, "environ", {**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        if not journal:
            os.environ["JOURNAL_STREAM"] += "0"
        return stream

    def logTo(self, observer: Any) -> Logger:
        """A logger with one observer."""
        return Logger(observer=LogPublisher(observer), namespace="muccore.somewhere")

    def test_priorities(self) -> None:
        """Each level has its priority; no time or level is written out."""
        stream = io.StringIO()
        log = self.logTo(JournalObserver(stream))
        for level in ("debug", "info", "warn", "error", "critical"):
            getattr(log, level)("it is {word}", word=level)
        self.assertEqual(
            stream.getvalue(),
            "<7>it is debug\n<6>it is info\n<4>it is warn\n<3>it is error\n<2>it is critical\n",
        )

    def test_lines(self) -> None:
        """
        Each line of an event has its priority, and only the first begins like an event; unprintable characters are
        escaped.
        """
        stream = io.StringIO()
        log = self.logTo(JournalObserver(stream))
        log.warn("{text}", text="a\nlogin-failed from 6.6.6.6\n\tb\r\x1b\ud800")
        log.info("")
        try:
            raise ValueError("x\n<6>login-failed from 6.6.6.6: not-authorized")
        except ValueError:
            log.failure("It failed")
        first, second, third, *trace = stream.getvalue().splitlines()
        self.assertEqual(
            [first, second, third], ["<4>a", "<4>\tlogin-failed from 6.6.6.6", "<4>\t        b\\r\\x1b\\ud800"]
        )
        self.assertEqual(trace[0], "<2>It failed")
        self.assertIn("<2>\t<6>login-failed from 6.6.6.6: not-authorized", trace)
        self.assertEqual([line for line in trace[1:] if not line.startswith("<2>\t")], [])

    def test_recognized(self) -> None:
        """The journal is recognized by device and inode; another stream, or one without a file, is not the journal."""
        self.assertTrue(isJournal(self.stream()))
        self.assertFalse(isJournal(self.stream(False)))
        self.assertFalse(isJournal(io.StringIO()))
        closed = self.stream()
        closed.close()
        self.assertFalse(isJournal(closed))
        stream = self.stream()
        del os.environ["JOURNAL_STREAM"]
        self.assertFalse(isJournal(stream))

    def test_observer(self) -> None:
        """twistd gets the observer for the journal if standard output is the journal, otherwise its usual one."""
        usual = r"\A[-0-9]+T[:0-9]+[+-]\d+ \[muccore.somewhere#info\] x\n\Z"
        for journal, expected in ((True, r"\A<6>x\n\Z"), (False, usual)):
            stream = self.stream(journal)
            self.patch(sys, "stdout", stream)
            self.logTo(logObserver()).info("x")
            stream.seek(0)
            self.assertRegex(stream.read(), expected)

    def test_badConfiguration(self) -> None:
        """An invalid configuration is reported with the priority of an error."""
        stream = self.stream()
        self.patch(sys, "stderr", stream)
        options = tap.Options()
        self.assertRaises(SystemExit, options.parseOptions, ["-c", "/nowhere/at/all"])
        stream.seek(0)
        self.assertRegex(stream.read(), r"\A<3>/nowhere/at/all: .*\n\Z")
