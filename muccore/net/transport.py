# -*- test-case-name: tests.net.test_transport -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The transport of accepted connections: C{write} goes to the socket in the reactor turn in which it was called, without
a round through the poller, whenever the kernel will take it.

Theory of operation. L{OpportunisticConnection.write} appends to an outbox and notes the connection in its
L{FlushScheduler}. At the end of the turn the outbox is joined and offered to the kernel with one C{send}. What the
kernel does not take goes into the buffer that Twisted keeps, and the poller asks for it; as long as anything is in
that buffer, everything else goes behind it. Under TLS there are two steps: the joined outbox goes to the TLS layer as
one write, and what the TLS layer puts out is collected, joined and offered in the same way.

Whatever C{send} says is wrong with a socket is left to the reactor to find, so that C{connectionLost} never runs
inside a write: there it would start the next broadcast inside the first.

Direct TLS: the protocol calls C{transport.startTLS} in C{connectionMade}. The C{ssl:} endpoints wrap the factory in a
TLS layer of their own, which holds small writes back for a turn.
"""

from __future__ import annotations

import socket
from typing import Any, Final, cast

from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IListeningPort, IProtocol, ITransport
from twisted.protocols.tls import TLSMemoryBIOProtocol

from muccore.net.connection import CLOSE_TIMEOUT, OUTBOX_LIMIT, BoundedConnection
from muccore.net.flush import FlushScheduler

_CLOSED: Final = 1 << 62
"""The size of an outbox that takes nothing more: beyond any limit, so that C{write} needs no other check."""


class OpportunisticConnection(BoundedConnection):
    """
    An accepted connection whose writes leave in the reactor turn in which they were made.

    @ivar _outbox: what was written in this turn, under TLS not yet encrypted. The connection is noted in the turn
        exactly while there is something in it or in C{_encrypted}.
    @ivar _size: bytes in the outbox, and what was buffered at the last flush; L{_CLOSED} or more if nothing may be
        written.
    @ivar _threshold: the size from which a write looks closer: the limit, or with a producer where it is to be
        paused.
    @ivar _encrypted: what the TLS layer has put out in this turn.
    """

    _opportunistic = True
    _threshold: int = OUTBOX_LIMIT

    def __init__(self, sock: socket.socket, *args: Any) -> None:
        self._outbox: list[bytes] = []
        self._encrypted: list[bytes] = []
        self._size = 0
        super().__init__(sock, *args)

    def write(self, data: bytes) -> None:
        """@see: L{BoundedConnection.write}"""
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        size = self._size = self._size + len(data)
        if size > self._threshold:
            self._writeSlowly(data)
            return
        outbox = self._outbox
        if not outbox:
            self.flusher.schedule(self)
        outbox.append(data)

    def _writeSlowly(self, data: bytes) -> None:
        """Write beyond the threshold: the kernel may have taken, or may now take, enough to make room."""
        if self._size >= _CLOSED:
            return
        self._outbox.append(data)
        self.flush()
        if self.producer is not None and not self.streamingProducer and self.connected:
            # A pull producer is asked for more by the poller only.
            self.startWriting()

    def flush(self) -> None:
        """
        Send what was written since the last flush: under TLS one write to the TLS layer, then in any case one
        C{send}.
        """
        outbox = self._outbox
        if outbox:
            data = b"".join(outbox)
            outbox.clear()
            self._size = 0
            if not self.TLS:
                self._send(data)
                return
            layer = cast(TLSMemoryBIOProtocol, self.protocol)
            # So that writeBeneath does not note us once more.
            self._encrypted.append(b"")
            layer.write(data)
            if layer._appSendBuffer:
                self._checkWaiting()
        encrypted = self._encrypted
        if encrypted:
            data = b"".join(encrypted)
            encrypted.clear()
            if data:
                self._send(data)

    def _send(self, data: bytes) -> None:
        if self.dataBuffer or self._tempDataLen:
            FileDescriptor.write(self, data)
        else:
            try:
                sent = self.socket.send(data)
            except OSError:
                # Full, or broken: the poller will find out.
                sent = 0
            if sent == len(data):
                return
            FileDescriptor.write(self, data[sent:])
        self._size += self._buffered()

    def writeCiphertext(self, data: bytes) -> None:
        """Take bytes from the TLS layer."""
        if self.connected and not self._aborting:
            encrypted = self._encrypted
            if not encrypted and not self._outbox:
                self.flusher.schedule(self)
            encrypted.append(data)

    # Producers: they are paused by what Twisted has buffered, so it must get there before there is too much.

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """@see: L{FileDescriptor.registerProducer}"""
        self._threshold = min(self.bufferSize, self.outboxLimit) if streaming else -1
        super().registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """@see: L{FileDescriptor.unregisterProducer}"""
        self._threshold = self.outboxLimit
        super().unregisterProducer()

    # Ending

    def loseWriteConnection(self) -> None:
        """@see: L{FileDescriptor.loseWriteConnection}"""
        self.flush()
        FileDescriptor.loseWriteConnection(self)

    def _startClosing(self) -> None:
        self.flush()
        self._size = _CLOSED
        super()._startClosing()

    def _release(self) -> None:
        self._size = _CLOSED
        self._outbox.clear()
        self._encrypted.clear()
        super()._release()


# Making them


def transportClass(
    turn: FlushScheduler,
    opportunistic: bool = True,
    outboxLimit: int = OUTBOX_LIMIT,
    closeTimeout: float = CLOSE_TIMEOUT,
) -> type[BoundedConnection]:
    """
    A class of transports with these settings: they cost no memory for each connection.

    @param opportunistic: C{False}: everything is sent by the poller.
    """
    base = OpportunisticConnection if opportunistic else BoundedConnection
    settings = {
        "__doc__": base.__doc__,
        "flusher": turn,
        "outboxLimit": outboxLimit,
        "closeTimeout": closeTimeout,
        "_threshold": outboxLimit,
    }
    return type(base.__name__, (base,), settings)


def installOnPort(
    port: IListeningPort,
    turn: FlushScheduler,
    opportunistic: bool = True,
    outboxLimit: int = OUTBOX_LIMIT,
    closeTimeout: float = CLOSE_TIMEOUT,
) -> bool:
    """
    Have a port that is listening accept its connections with these settings. Must be called in the turn in which it
    began to listen, so that nothing has been accepted yet.

    @param port: what an endpoint's C{listen} has given.
    @return: C{False} if the port is not TCP over IP (a UNIX socket for example); then it stays as it is.
    """
    if not isinstance(port, tcp.Port) or port.addressFamily not in (socket.AF_INET, socket.AF_INET6):
        return False
    port.transport = transportClass(turn, opportunistic, outboxLimit, closeTimeout)
    return True


def wrapSocket(
    sock: socket.socket, protocol: IProtocol, made: type[BoundedConnection], reactor: Any
) -> BoundedConnection:
    """
    Connect a protocol over a socket that is connected already, whichever side it is; for clients and tests. The
    client's side starts TLS with C{startTLS(context, normal=False)}.

    @param made: by L{transportClass}.
    """
    peer = sock.getpeername() if sock.family != socket.AF_UNIX else ("local", 0)
    transport = made(sock, protocol, peer, None, 0, reactor)
    transport.repstr = f"<{protocol.__class__.__name__} with {peer[0]}>"
    protocol.makeConnection(cast(ITransport, transport))
    return transport


__all__ = [
    "CLOSE_TIMEOUT",
    "OUTBOX_LIMIT",
    "BoundedConnection",
    "FlushScheduler",
    "OpportunisticConnection",
    "installOnPort",
    "transportClass",
    "wrapSocket",
]
