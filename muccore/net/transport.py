# -*- test-case-name: tests.net.test_transport -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Opportunistic writes: C{write} reaches the socket in the reactor turn in which it was called, without a round through
the poller, if the kernel takes it.

Theory of operation. L{OpportunisticConnection.write} appends to an outbox and schedules the connection with its
L{FlushScheduler}. At the end of the turn the outbox is joined and passed to the kernel with one C{send}. What the
kernel does not take goes to Twisted's buffer and is sent by the poller; until that buffer is empty, all later writes
go behind it. Under TLS the joined outbox goes to the TLS layer as one write, and the output of the TLS layer is
collected, joined and sent in the same way.

Errors of C{send} are left to the reactor to find, so that C{connectionLost} never runs inside a write: there it would
start a broadcast inside another.

Direct TLS: the protocol calls C{transport.startTLS} in C{connectionMade}. The C{ssl:} endpoints would add a TLS layer
of their own, which delays small writes by a turn.
"""

from __future__ import annotations

import socket
from typing import Any, Final, cast

from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IListeningPort

from muccore.net.connection import CLOSE_TIMEOUT, OUTBOX_LIMIT, BoundedConnection
from muccore.net.flush import FlushScheduler
from muccore.net.tlslayer import TLSLayer

_CLOSED: Final = 1 << 62
"""The size of a closed outbox: above any limit, so that C{write} needs no other check."""


class OpportunisticConnection(BoundedConnection):
    """
    An accepted connection whose writes are sent in the reactor turn in which they were made.

    @ivar _outbox: what was written in this turn, under TLS not yet encrypted. The connection is scheduled for flushing
        exactly while this or C{_encrypted} is not empty.
    @ivar _size: bytes in the outbox, plus those buffered at the last flush; from L{_CLOSED} on nothing may be written.
    @ivar _threshold: the size above which a write flushes at once: the limit, or with a producer its pause mark.
    @ivar _encrypted: output of the TLS layer in this turn.
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
        """Write above the threshold: flush, since the kernel may take enough to stay below the limit."""
        if self._size >= _CLOSED:
            return
        self._outbox.append(data)
        self.flush()
        if self.producer is not None and not self.streamingProducer and self.connected:
            # Only the poller asks a pull producer for more.
            self.startWriting()

    def encrypt(self) -> None:
        """@see: L{Flushable.encrypt<muccore.net.flush.Flushable.encrypt>}"""
        outbox = self._outbox
        if not outbox:
            return
        data = b"".join(outbox)
        outbox.clear()
        self._size = 0
        layer = cast(TLSLayer, self.protocol)
        records = layer.encrypt(data)
        # Even if it is empty: it keeps writeCiphertext from scheduling this connection again.
        self._encrypted.append(records or b"")
        if records is None:
            layer.write(data)  # type: ignore[no-untyped-call]
            if layer._appSendBuffer:
                self._checkWaiting()

    def flush(self) -> None:
        """Send what was written since the last flush, under TLS encrypted, with one C{send}."""
        if self.TLS:
            self.encrypt()
            written = self._encrypted
        else:
            written = self._outbox
            if written:
                self._size = 0
        if written:
            data = b"".join(written)
            written.clear()
            if data:
                self._send(data)

    def _send(self, data: bytes) -> None:
        if self.dataBuffer or self._tempDataLen:
            FileDescriptor.write(self, data)
        else:
            try:
                sent = self.socket.send(data)
            except OSError:
                # Full or broken: left to the poller.
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

    # Producers are paused by the size of Twisted's buffer, so their writes must reach it early.

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


def transportClass(
    flusher: FlushScheduler,
    opportunistic: bool = True,
    outboxLimit: int = OUTBOX_LIMIT,
    closeTimeout: float = CLOSE_TIMEOUT,
) -> type[BoundedConnection]:
    """
    Create a transport class with these settings, which then need no memory per connection.

    @param opportunistic: C{False} to send everything through the poller.
    """
    base = OpportunisticConnection if opportunistic else BoundedConnection
    settings = {
        "__doc__": base.__doc__,
        "flusher": flusher,
        "outboxLimit": outboxLimit,
        "closeTimeout": closeTimeout,
        "_threshold": outboxLimit,
    }
    return type(base.__name__, (base,), settings)


def installOnPort(port: IListeningPort, cls: type[BoundedConnection]) -> bool:
    """
    Set the transport class of a listening port. To be called in the turn in which it began to listen, before anything
    is accepted.

    @param port: the result of an endpoint's C{listen}.
    @param cls: from L{transportClass}.
    @return: C{False} if the port is not TCP over IP (a UNIX socket, for example) and stays as it is.
    """
    if not isinstance(port, tcp.Port) or port.addressFamily not in (socket.AF_INET, socket.AF_INET6):
        return False
    port.transport = cls
    return True
