# -*- test-case-name: tests.server.test_systemd -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What systemd is told: how the server is (sd_notify(3)), and how important its log lines are (sd-daemon(3))."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import MutableMapping
from typing import IO, Any, Final

from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText, textFileLogObserver
from zope.interface import implementer

from muccore.log.eventlog import escape

READY = "READY=1"
STOPPING = "STOPPING=1"

PRIORITIES: Final = {
    LogLevel.debug: 7,
    LogLevel.info: 6,
    LogLevel.warn: 4,
    LogLevel.error: 3,
    LogLevel.critical: 2,
}
"""Priorities of syslog."""


def reloading() -> str:
    """The state of one that rereads its configuration; L{READY} ends it."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"


def notify(state: str, environment: MutableMapping[str, str] = os.environ) -> bool:
    """
    Send a state to whoever started us with C{Type=notify}.

    @param state: such as L{READY}.
    @return: whether somebody wanted to know.
    """
    address = environment.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.connect(address)
            sock.sendall(state.encode())
    except OSError:
        # A service manager that does not listen is no reason to stop serving.
        return False
    return True


def isJournal(stream: IO[str]) -> bool:
    """
    Whether a stream goes to the journal (C{JOURNAL_STREAM}, systemd.exec(5)). It does not if it has been redirected,
    though the variable is inherited.
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def prioritized(text: str, level: Any) -> str:
    """
    Lines for the journal, with their priority. What is not printable is escaped, since the journal would show all of
    it as binary; lines behind the first one begin with a tab, so that none of them looks like one of its own.
    """
    prefix = f"<{PRIORITIES.get(level, 6)}>"
    lines = [escape(line.expandtabs()) for line in text.rstrip("\n").split("\n")]
    return prefix + f"\n{prefix}\t".join(lines)


@implementer(ILogObserver)
class JournalObserver:
    """Logs to the journal by a stream: each line with its priority, and without the time, which the journal keeps."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __call__(self, event: LogEvent) -> None:
        """Write an event."""
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        if text:
            self._stream.write(prioritized(text, event.get("log_level")) + "\n")
            self._stream.flush()


def logObserver() -> ILogObserver:
    """
    Make the observer for C{twistd --logger}: for the journal if that is where standard output goes, otherwise the one
    that twistd has for standard output.
    """
    stream = sys.stdout
    return JournalObserver(stream) if isJournal(stream) else textFileLogObserver(stream)


__all__ = ["READY", "STOPPING", "JournalObserver", "isJournal", "logObserver", "notify", "prioritized", "reloading"]
