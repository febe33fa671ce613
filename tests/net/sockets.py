# Copyright (c) The muccore authors. See LICENSE for details.
"""Connections on loopback, with a reactor run step by step and a clock set by the test."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from typing import Any

from twisted.internet import reactor as globalReactor
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from muccore.net.connection import BoundedConnection
from muccore.net.flush import FlushScheduler
from muccore.net.transport import transportClass
from tests.certificates import makeCertificate

TIMEOUT = 10.0
"""Seconds after which waiting for the kernel fails."""


@cache
def serverContext() -> CertificateOptions:
    """A TLS context with a self-signed certificate, one per process."""
    with tempfile.TemporaryDirectory() as directory:
        paths = makeCertificate(directory)
        return PrivateCertificate.loadPEM(b"".join(open(path, "rb").read() for path in paths)).options()


def reset(sock: socket.socket) -> None:
    """Close a socket so that the other side sees a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def wrapSocket(sock: Any, protocol: Protocol, cls: type[BoundedConnection], reactor: Any) -> BoundedConnection:
    """Connect a protocol to a connected socket of either side."""
    peer = sock.getpeername() if sock.family != socket.AF_UNIX else ("local", 0)
    transport = cls(sock, protocol, peer, None, 0, reactor)
    protocol.makeConnection(transport)  # type: ignore[arg-type]
    return transport


class Spy:
    """
    A socket that records what was sent, with a scripted C{send}.

    @ivar sent: the bytes taken by each C{send}.
    @ivar plan: for each further C{send}, the number of bytes it takes at most, or the error it raises.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.sent: list[bytes] = []
        self.plan: list[int | OSError] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def send(self, data: Any) -> int:
        step = self.plan.pop(0) if self.plan else len(data)
        if isinstance(step, OSError):
            raise step
        taken = self._sock.send(data[:step])
        if taken:
            self.sent.append(bytes(data[:taken]))
        return taken


class Recorder(Protocol):
    """
    A protocol that records what it receives.

    @ivar onData: called with received data.
    @ivar onLost: called when the connection is lost.
    """

    def __init__(self) -> None:
        self.received = b""
        self.chunks: list[bytes] = []
        self.reasons: list[Failure] = []
        self.onData: Callable[[bytes], object] = lambda data: None
        self.onLost: Callable[[], object] = lambda: None

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.chunks.append(data)
        self.onData(data)

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        self.reasons.append(reason)
        self.onLost()


class Peer:
    """
    The other side: a plain socket that reads only on demand.

    @ivar received: the data received, under TLS decrypted.
    @ivar raw: the bytes received.
    @ivar end: C{""}, or how it ended: C{"eof"}, C{"reset"}, C{"close_notify"} or C{"alert"}.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setblocking(False)
        self.received = bytearray()
        self.raw = bytearray()
        self.end = ""
        self.handshakeDone = False
        self._tls: ssl.SSLObject | None = None

    def send(self, data: bytes) -> None:
        """Send, under TLS encrypted."""
        if self._tls is not None:
            self._tls.write(data)
            data = self._outgoing.read()
        self.sock.sendall(data)

    def startTLS(self) -> None:
        """Send the ClientHello."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)
        self._step()

    def take(self, limit: int = 1 << 20) -> int:
        """
        Read what has arrived, up to a limit.

        @return: the number of bytes.
        """
        try:
            data = self.sock.recv(limit)
        except BlockingIOError:
            return 0
        except ConnectionResetError:
            self.end = "reset"
            return 0
        if not data:
            self.end = self.end or "eof"
            return 0
        self.raw += data
        if self._tls is None:
            self.received += data
        else:
            self._incoming.write(data)
            self._step()
        return len(data)

    def takeWhenReady(self) -> int:
        """Wait for data and read it, without running the reactor."""
        select.select([self.sock], [], [], TIMEOUT)
        return self.take()

    def sendCloseNotify(self) -> None:
        """Send a close_notify."""
        assert self._tls is not None
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        self.sock.sendall(self._outgoing.read())

    def _step(self) -> None:
        assert self._tls is not None
        try:
            if not self.handshakeDone:
                self._tls.do_handshake()
                self.handshakeDone = True
            while data := self._tls.read(1 << 16):
                self.received += data
            self.end = "close_notify"
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.end = "close_notify"
        except ssl.SSLError:
            self.end = "alert"
        if self._outgoing.pending:
            self.sock.sendall(self._outgoing.read())


@implementer(IPushProducer, IPullProducer)
class Producer:
    """A producer that records the calls to it."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.onResume = lambda: None
        self.onPause = lambda: None

    def pauseProducing(self) -> None:
        """Record it."""
        self.log.append("pause")
        self.onPause()

    def resumeProducing(self) -> None:
        """Record it."""
        self.log.append("resume")
        self.onResume()

    def stopProducing(self) -> None:
        """Record it."""
        self.log.append("stop")


class SocketTestCase(SynchronousTestCase):
    """
    Tests with real sockets and a real reactor run step by step: C{runUntilCurrent} runs timed calls, C{doIteration}
    polls.
    """

    def setUp(self) -> None:
        """Create a reactor of the installed type."""
        self.now = 1000.0
        self.reactor: Any = type(globalReactor)()
        self.reactor.seconds = lambda: self.now
        self.flusher = FlushScheduler(self.reactor)
        self.transports: list[BoundedConnection] = []
        self.sockets: list[socket.socket] = []
        self.addCleanup(self._end)

    def _end(self) -> None:
        for transport in self.transports:
            transport.abortConnection()
        self.reactor.runUntilCurrent()
        for sock in self.sockets:
            sock.close()
        for internal in list(self.reactor._internalReaders):
            self.reactor.removeReader(internal)
            internal.connectionLost(None)

    def socketPair(self, sendBuffer: int = 0) -> tuple[socket.socket, socket.socket]:
        """
        Create two connected sockets.

        @param sendBuffer: SO_SNDBUF of the first and SO_RCVBUF of the second; 0 for the default.
        """
        with socket.socket() as listener:
            client = socket.socket()
            if sendBuffer:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, sendBuffer)
            listener.bind(("127.0.0.1", 0))
            listener.listen(1)
            client.connect(listener.getsockname())
            server, _ = listener.accept()
        if sendBuffer:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sendBuffer)
        self.sockets += [server, client]
        return server, client

    def connect(
        self, opportunistic: bool = True, sendBuffer: int = 0, protocol: Recorder | None = None, **settings: Any
    ) -> tuple[BoundedConnection, Recorder, Spy, Peer]:
        """Create a connection: its transport, protocol and socket, and the other side."""
        server, client = self.socketPair(sendBuffer)
        spy = Spy(server)
        protocol = protocol or Recorder()
        transport = wrapSocket(spy, protocol, transportClass(self.flusher, opportunistic, **settings), self.reactor)
        self.transports.append(transport)
        return transport, protocol, spy, Peer(client)

    def connectTLS(self, **settings: Any) -> tuple[BoundedConnection, Recorder, Spy, Peer]:
        """Create a connection under TLS, after the handshake."""
        transport, protocol, spy, peer = self.connect(**settings)
        self.handshake(transport, protocol, peer)
        spy.sent.clear()
        return transport, protocol, spy, peer

    def handshake(self, transport: BoundedConnection, protocol: Recorder, peer: Peer) -> None:
        """Start TLS on both sides, and exchange data."""
        transport.startTLS(serverContext())
        peer.startTLS()
        self.receive(peer, lambda: peer.handshakeDone)
        peer.send(b"!")
        self.until(lambda: protocol.received.endswith(b"!"))
        transport.write(b"?")
        self.receive(peer, lambda: peer.received.endswith(b"?"))
        protocol.received = b""
        protocol.chunks.clear()
        peer.received.clear()
        peer.raw.clear()

    def runTurn(self, patience: float = 0) -> None:
        """Run one reactor turn: timed calls, then the poller."""
        self.reactor.runUntilCurrent()
        self.reactor.doIteration(patience)

    def until(self, predicate: Callable[[], object]) -> None:
        """Run the reactor until a condition holds."""
        for _ in range(int(TIMEOUT / 0.005)):
            if predicate():
                return
            self.runTurn(0.005)
        self.fail("timed out")

    def receive(self, peer: Peer, predicate: Callable[[], object]) -> None:
        """Run the reactor and read at the other side until a condition holds."""
        self.until(lambda: peer.take() < 0 or predicate())

    def untilLost(self, protocol: Recorder) -> None:
        """Run the reactor until the connection is lost."""
        self.until(lambda: protocol.reasons)


def waiting(transport: Any) -> int:
    """The number of bytes written to a transport and not yet sent."""
    parts: Any = getattr(transport, "_outbox", ())
    return sum(len(part) if isinstance(part, bytes) else part.size for part in parts) + transport._buffered()


__all__ = ["Peer", "Producer", "Recorder", "SocketTestCase", "Spy", "reset", "serverContext", "waiting", "wrapSocket"]
