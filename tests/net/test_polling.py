# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.net.polling}."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.net import polling
from muccore.net.polling import boundTurns


class Reader(FileDescriptor):
    """Notes that its socket can be read, and reads it."""

    def __init__(self, sock: socket.socket, number: int, log: list[Any], reactor: Any) -> None:
        super().__init__(reactor)
        self._sock = sock
        self._note = lambda: log.append(number)
        self.startReading()

    def fileno(self) -> int:
        """Its descriptor."""
        return self._sock.fileno()

    def doRead(self) -> None:
        """Read."""
        self._sock.recv(1)
        self._note()


class BoundTurnsTests(SynchronousTestCase):
    """L{boundTurns}"""

    def test_bound(self) -> None:
        """A turn handles so many events at most, and later ones the rest, each once; timed calls run in between."""
        self.patch(polling, "EVENTS", 4)
        reactor: Any = EPollReactor()
        self.addCleanup(reactor._poller.close)
        boundTurns(reactor)
        boundTurns(reactor)
        log: list[Any] = []
        for number in range(10):
            ours, theirs = socket.socketpair()
            self.addCleanup(ours.close)
            self.addCleanup(theirs.close)
            theirs.send(b"x")
            Reader(ours, number, log, reactor)
        while len(log) < 13:
            reactor.callLater(0, log.append, "timer")
            reactor.runUntilCurrent()
            reactor.doIteration(1)
        self.assertEqual(sorted(each for each in log if each != "timer"), list(range(10)))
        self.assertEqual([n for n, each in enumerate(log) if each == "timer"], [0, 5, 10])

    def test_others(self) -> None:
        """Any other reactor stays as it is."""
        clock = Clock()
        before = dict(vars(clock))
        boundTurns(clock)
        self.assertEqual(vars(clock), before)
