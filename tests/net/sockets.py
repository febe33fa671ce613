# Copyright (c) The muccore authors. See LICENSE for details.
"""Connections on loopback with a reactor that goes step by step, and a clock that goes when told."""

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

from twisted.internet import reactor as theReactor
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

PATIENCE = 10.0
"""Seconds until a test that waits for the kernel gives up."""


@cache
def serverContext() -> CertificateOptions:
    """A TLS context with a certificate of its own, for as long as the process lives."""
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
    A socket that keeps what was sent, and whose C{send} can be told what to do.

    @ivar sent: what each C{send} has taken.
    @ivar plan: for each C{send} to come, how many bytes it takes at most, or the error it raises.
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
    A protocol that keeps what it gets.

    @ivar onData: called with what has come.
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
    The other side: a plain socket, which reads only when it is told to.

    @ivar received: what has come, under TLS decrypted.
    @ivar raw: what has come, as it came.
    @ivar end: C{""}, or how it ended: C{"eof"}, C{"reset"}, C{"close_notify"} or C{"alert"}.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setblocking(False)
        self.received = bytearray()
        self.raw = bytearray()
        self.end = ""
        self._tls: ssl.SSLObject | None = None

    def send(self, data: bytes) -> None:
        """Send, under TLS encrypted."""
        if self._tls is not None:
            self._tls.write(data)
            data = self._outgoing.read()
        self.sock.sendall(data)

    def startTLS(self) -> None:
        """Say the ClientHello."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)
        self._shaken = False
        self._step()

    def take(self, limit: int = 1 << 20) -> int:
        """
        Read what is there, up to a limit.

        @return: how many bytes there were.
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

    def takeSoon(self) -> int:
        """Read what comes without the reactor having a turn."""
        select.select([self.sock], [], [], PATIENCE)
        return self.take()

    def sayGoodbye(self) -> None:
        """Send our close_notify."""
        assert self._tls is not None
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        self.sock.sendall(self._outgoing.read())

    def _step(self) -> None:
        assert self._tls is not None
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
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
    """A producer that notes what it is told."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.onResume = lambda: None
        self.onPause = lambda: None

    def pauseProducing(self) -> None:
        """Note it."""
        self.log.append("pause")
        self.onPause()

    def resumeProducing(self) -> None:
        """Note it."""
        self.log.append("resume")
        self.onResume()

    def stopProducing(self) -> None:
        """Note it."""
        self.log.append("stop")


class SocketTestCase(SynchronousTestCase):
    """
    Tests with real sockets and a real reactor that is turned by hand: C{runUntilCurrent} runs what is timed,
    C{doIteration} polls.
    """

    def setUp(self) -> None:
        """Make a reactor of the kind that is installed."""
        self.now = 1000.0
        self.reactor: Any = type(theReactor)()
        self.reactor.seconds = lambda: self.now
        self.turn = FlushScheduler(self.reactor)
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

    def sockets2(self, sendBuffer: int = 0) -> tuple[socket.socket, socket.socket]:
        """
        Two connected sockets.

        @param sendBuffer: SO_SNDBUF of the first and SO_RCVBUF of the second, or 0 for what the system gives.
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
        """A connection: its transport, its protocol, its socket, and the other side."""
        server, client = self.sockets2(sendBuffer)
        spy = Spy(server)
        protocol = protocol or Recorder()
        made = transportClass(self.turn, opportunistic, **settings)
        transport = wrapSocket(spy, protocol, made, self.reactor)
        self.transports.append(transport)
        return transport, protocol, spy, Peer(client)

    def connectTLS(self, **settings: Any) -> tuple[BoundedConnection, Recorder, Spy, Peer]:
        """A connection on which TLS has been started and its handshake is done."""
        transport, protocol, spy, peer = self.connect(**settings)
        self.shakeHands(transport, protocol, peer)
        spy.sent.clear()
        return transport, protocol, spy, peer

    def shakeHands(self, transport: BoundedConnection, protocol: Recorder, peer: Peer) -> None:
        """Start TLS on both sides; return when both have seen something of each other."""
        transport.startTLS(serverContext())
        peer.startTLS()
        self.until(lambda: peer.take() < 0 or peer._shaken)
        peer.send(b"!")
        self.until(lambda: protocol.received.endswith(b"!"))
        transport.write(b"?")
        self.until(lambda: peer.take() < 0 or peer.received.endswith(b"?"))
        protocol.received = b""
        protocol.chunks.clear()
        peer.received.clear()
        peer.raw.clear()

    def turnOnce(self, patience: float = 0) -> None:
        """One turn of the reactor: what is timed, then what the poller has."""
        self.reactor.runUntilCurrent()
        self.reactor.doIteration(patience)

    def until(self, predicate: Callable[[], object]) -> None:
        """Turn the reactor until something is so."""
        for _ in range(int(PATIENCE / 0.005)):
            if predicate():
                return
            self.turnOnce(0.005)
        self.fail("It never came")

    def untilLost(self, protocol: Recorder) -> None:
        """Turn the reactor until the connection is lost."""
        self.until(lambda: protocol.reasons)


__all__ = ["Peer", "Producer", "Recorder", "SocketTestCase", "Spy", "reset", "serverContext", "wrapSocket"]
