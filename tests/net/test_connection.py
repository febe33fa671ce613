# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.net.connection}."""

from __future__ import annotations

import socket

from muccore.net.transport import transportClass
from tests.net.connection_contract import ConnectionContract
from tests.net.sockets import Recorder, SocketTestCase, wrapSocket
from tests.net.tls_contract import TLSContract


class PlainTests(ConnectionContract, SocketTestCase):
    """Buffered writes in plain."""

    def test_throughThePoller(self) -> None:
        """When opportunistic writes are off, nothing leaves before the poller says so."""
        transport, _, spy, peer = self.make()
        transport.write(b"a")
        transport.write(b"b")
        self.flusher.flush()
        self.reactor.runUntilCurrent()
        self.assertEqual(spy.sent, [])
        self.reactor.doIteration(1)
        self.assertEqual(spy.sent, [b"ab"])
        peer.takeWhenReady()
        self.assertEqual(peer.received, b"ab")

    def test_noDelay(self) -> None:
        """TCP_NODELAY is set: joining small writes is our business."""
        transport, *_ = self.make()
        self.assertTrue(transport.getTcpNoDelay())


class EncryptedTests(ConnectionContract, SocketTestCase):
    """Buffered writes under TLS."""

    tls = True

    def test_throughThePoller(self) -> None:
        """When opportunistic writes are off, nothing leaves before the poller says so."""
        transport, _, spy, _ = self.make()
        transport.write(b"a")
        self.flusher.flush()
        self.reactor.runUntilCurrent()
        self.assertEqual(spy.sent, [])
        self.reactor.doIteration(1)
        self.assertEqual(len(spy.sent), 1)


class StartTLSTests(TLSContract, SocketTestCase):
    """Starting TLS with buffered writes."""


class AbortTests(SocketTestCase):
    """What others are told about an aborted connection."""

    def test_joinedAndFlushedInTheTurn(self) -> None:
        """
        Connections that are aborted in one turn are lost in one turn, and what their ends make others write leaves
        in it, joined.
        """
        witness, _, spy, _ = self.connect()
        for n in range(5):
            transport, protocol, _, _ = self.connect()
            protocol.onLost = lambda n=n: witness.write(b"left %d;" % n)
            transport.abortConnection()
        self.reactor.runUntilCurrent()
        self.assertEqual(spy.sent, [b"left 0;left 1;left 2;left 3;left 4;"])

    def test_unixSocketPair(self) -> None:
        """A socket that is not TCP is left alone."""
        ours, theirs = socket.socketpair()
        self.sockets += [ours, theirs]
        transport = wrapSocket(ours, Recorder(), transportClass(self.flusher), self.reactor)
        self.transports.append(transport)
        transport.write(b"a")
        self.flusher.flush()
        self.assertEqual(theirs.recv(10), b"a")
