# -*- test-case-name: tests.server.test_systemd -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The interface to systemd: service states (sd_notify(3)) and priorities of log lines (sd-daemon(3))."""

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

PRIORITIES: Final = {LogLevel.debug: 7, LogLevel.info: 6, LogLevel.warn: 4, LogLevel.error: 3, LogLevel.critical: 2}
"""Syslog priorities."""


def reloading() -> str:
    """The state while the configuration is reread; L{READY} ends it."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"


def notify(state: str, environment: MutableMapping[str, str] = os.environ) -> bool:
    """Send a state such as L{READY} to the service manager of a C{Type=notify} unit; return whether it was sent."""
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
        # Keep serving although the service manager does not listen.
        return False
    return True


def isJournal(stream: IO[str]) -> bool:
    """
    Whether a stream goes to the journal: whether it is the one that C{JOURNAL_STREAM} names (systemd.exec(5)), since a
    redirected process inherits the variable.
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def prioritized(text: str, level: Any) -> str:
    """
    Format lines for the journal, with their priority. Unprintable characters are escaped, since the journal would treat
    the line as binary; continuation lines begin with a tab, so that none looks like an event of its own.
    """
    prefix = f"<{PRIORITIES.get(level, 6)}>"
    lines = [escape(line.expandtabs()) for line in text.rstrip("\n").split("\n")]
    return prefix + f"\n{prefix}\t".join(lines)


@implementer(ILogObserver)
class JournalObserver:
    """A log observer that writes lines with their priority to the journal's stream, without the time."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __call__(self, event: LogEvent) -> None:
        """Write an event."""
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        if text:
            self._stream.write(prioritized(text, event.get("log_level")) + "\n")
            self._stream.flush()


def logObserver() -> ILogObserver:
    """Make the observer for C{twistd --logger}: a L{JournalObserver} for the journal, otherwise twistd's usual one."""
    stream = sys.stdout
    return JournalObserver(stream) if isJournal(stream) else textFileLogObserver(stream)
