# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.net.connection}."""

from __future__ import annotations

import socket

from muccore.net.transport import transportClass
from tests.net.connection_contract import ConnectionContract
from tests.net.sockets import Recorder, SocketTestCase, wrapSocket
from tests.net.tls_contract import TLSContract


class PlainTests(ConnectionContract, SocketTestCase):
    """Writes through the poller, in the clear."""

    def test_throughThePoller(self) -> None:
        """Without opportunistic writes, nothing is sent before the next poll."""
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
        """TCP_NODELAY is set."""
        transport, *_ = self.make()
        self.assertTrue(transport.getTcpNoDelay())


class EncryptedTests(ConnectionContract, SocketTestCase):
    """Writes through the poller, under TLS."""

    tls = True

    def test_throughThePoller(self) -> None:
        """Without opportunistic writes, nothing is sent before the next poll."""
        transport, _, spy, _ = self.make()
        transport.write(b"a")
        self.flusher.flush()
        self.reactor.runUntilCurrent()
        self.assertEqual(spy.sent, [])
        self.reactor.doIteration(1)
        self.assertEqual(len(spy.sent), 1)


class StartTLSTests(TLSContract, SocketTestCase):
    """Starting TLS with writes through the poller."""


class AbortTests(SocketTestCase):
    """Writes caused by aborted connections."""

    def test_joinedAndFlushedInTheTurn(self) -> None:
        """Connections aborted in one turn are lost in one turn, and what they write to others is sent joined."""
        witness, _, spy, _ = self.connect()
        for n in range(5):
            transport, protocol, _, _ = self.connect()
            protocol.onLost = lambda n=n: witness.write(b"left %d;" % n)
            transport.abortConnection()
        self.reactor.runUntilCurrent()
        self.assertEqual(spy.sent, [b"left 0;left 1;left 2;left 3;left 4;"])

    def test_unixSocket(self) -> None:
        """A UNIX socket works too, without TCP_NODELAY."""
        ours, theirs = socket.socketpair()
        self.sockets += [ours, theirs]
        transport = wrapSocket(ours, Recorder(), transportClass(self.flusher), self.reactor)
        self.transports.append(transport)
        transport.write(b"a")
        self.flusher.flush()
        self.assertEqual(theirs.recv(10), b"a")
