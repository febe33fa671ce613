# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.net.polling}."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muccore.net import polling
from muccore.net.polling import DispatchingPoller, dispatchDirectly


class Descriptor(FileDescriptor):
    """One end of a pair of sockets, which calls functions."""

    def __init__(self, reactor: Any, onRead: Callable[[], object], onLost: Callable[[], object] = lambda: None) -> None:
        super().__init__(reactor)
        self.socket, self.peer = socket.socketpair()
        self.onRead = onRead
        self.onLost = onLost
        self.reasons: list[Failure] = []

    def fileno(self) -> int:
        """Of the socket."""
        return self.socket.fileno()

    def doRead(self) -> Any:
        """Read, and call the function."""
        self.socket.recv(10)
        return self.onRead()

    def connectionLost(self, reason: Failure) -> None:
        """Note it."""
        self.reasons.append(reason)
        self.onLost()


class DispatchTests(SynchronousTestCase):
    """Real events, on a reactor of its own."""

    def setUp(self) -> None:
        """Make a reactor."""
        self.reactor = EPollReactor()
        self.addCleanup(self.reactor._poller.close)
        for reader in list(self.reactor.getReaders()):
            self.reactor.removeReader(reader)
        dispatchDirectly(self.reactor)
        self.log: list[Any] = []

    def add(self, onRead: Callable[[], object], onLost: Callable[[], object] = lambda: None) -> Descriptor:
        """Add a descriptor that has something to read."""
        descriptor = Descriptor(self.reactor, onRead, onLost)
        self.addCleanup(descriptor.socket.close)
        self.addCleanup(descriptor.peer.close)
        self.reactor.addReader(descriptor)
        descriptor.peer.send(b"x")
        return descriptor

    def test_all(self) -> None:
        """Everything that is ready is handled in one iteration, once."""
        for n in range(5):
            self.add(lambda n=n: self.log.append(n))
        self.reactor.doIteration(1)
        self.assertEqual(sorted(self.log), list(range(5)))
        self.reactor.doIteration(0)
        self.assertEqual(len(self.log), 5)

    def test_bound(self) -> None:
        """A turn handles so many events at most, and later ones the rest, each once; timed calls run in between."""
        self.patch(polling, "EVENTS", 4)
        for number in range(10):
            self.add(lambda number=number: self.log.append(number))
        while len(self.log) < 13:
            self.reactor.callLater(0, self.log.append, "timer")
            self.reactor.runUntilCurrent()
            self.reactor.doIteration(1)
        self.assertEqual(sorted(each for each in self.log if each != "timer"), list(range(10)))
        self.assertEqual([n for n, each in enumerate(self.log) if each == "timer"], [0, 5, 10])

    def test_removed(self) -> None:
        """What was removed by the event of another is not handled any more."""
        both: list[Descriptor] = []

        def removeBoth() -> None:
            self.log.append("read")
            for descriptor in both:
                self.reactor.removeReader(descriptor)

        both += [self.add(removeBoth), self.add(removeBoth)]
        self.reactor.doIteration(1)
        self.assertEqual(self.log, ["read"])

    def test_errors(self) -> None:
        """An error ends the connection where it happens; one in connectionLost, too, leaves the others alone."""

        def fail() -> None:
            raise ValueError

        failing = [self.add(fail), self.add(fail, fail), self.add(fail)]
        self.add(lambda: self.log.append("read"))
        self.reactor.doIteration(1)
        self.assertEqual(self.log, ["read"])
        self.assertEqual([len(descriptor.reasons) for descriptor in failing], [1, 1, 1])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 4)
        self.assertEqual(len(self.reactor.getReaders()), 1)

    def test_hangUp(self) -> None:
        """The end of the other side is noticed."""
        descriptor = self.add(lambda: None)
        self.reactor.doIteration(1)
        self.reactor.removeReader(descriptor)
        self.reactor.addWriter(descriptor)
        descriptor.peer.close()
        self.reactor.doIteration(1)
        self.assertEqual(len(descriptor.reasons), 1)

    def test_once(self) -> None:
        """It is installed once, and on C{epoll} only."""
        poller = self.reactor._poller
        dispatchDirectly(self.reactor)
        self.assertIs(self.reactor._poller, poller)
        self.assertIsInstance(poller, DispatchingPoller)
        clock = Clock()
        dispatchDirectly(clock)
        self.assertFalse(hasattr(clock, "_poller"))
