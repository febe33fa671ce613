# -*- test-case-name: tests.net.test_transport -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Opportunistic writes: C{write} reaches the socket in the reactor turn in which it was called, without a round through
the poller, if the kernel takes it.

Theory of operation. L{OpportunisticConnection.write} appends to an outbox and schedules the connection with its
L{FlushScheduler}. At the end of the turn the outbox is joined and passed to the kernel with one C{send}; more than
L{PIECE} is passed piece by piece. What the kernel does not take of a piece goes to Twisted's buffer and is sent by the
poller; until that buffer is empty, all else stays in the outbox, in parts (L{muccore.net.outbox}). Under TLS a piece
goes to the TLS layer as one write, and the output of the TLS layer is collected, joined and sent in the same way.

Errors of C{send} are left to the reactor to find, so that C{connectionLost} never runs inside a write: there it would
start a broadcast inside another.

Direct TLS: the protocol calls C{transport.startTLS} in C{connectionMade}. The C{ssl:} endpoints would add a TLS layer
of their own, which delays small writes by a turn.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, Final, Literal, cast

from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IListeningPort

from muccore.net.connection import CLOSE_TIMEOUT, OUTBOX_LIMIT, BoundedConnection
from muccore.net.flush import FlushScheduler
from muccore.net.outbox import HIGH, LOW, PIECE, Bulk, Outboxes
from muccore.net.tlslayer import TLSLayer

_CLOSED: Final = 1 << 62
"""The size of a closed outbox: above any limit, so that C{write} needs no other check."""


class OpportunisticConnection(BoundedConnection):
    """
    An accepted connection whose writes are sent in the reactor turn in which they were made.

    @ivar _outbox: what waits, under TLS not yet encrypted. While it, or C{_encrypted}, is not empty, the connection is
        scheduled for flushing, or the poller has to send what is buffered first.
    @ivar _size: bytes in the outbox but those of L{Bulk}, plus C{_held}; from L{_CLOSED} on nothing may be written.
    @ivar _held: the bytes buffered by Twisted when it was looked at last.
    @ivar _bulk: the number of L{Bulk} in the outbox.
    @ivar _slow: whether a flush has more to do than to join and send all: there is bulk, or C{_held}.
    @ivar _exempt: whether what is held does not count for the limit, since some of it is bulk.
    @ivar _threshold: the size above which a write flushes at once: L{HIGH}, or with a producer its pause mark.
    @ivar _encrypted: output of the TLS layer in this turn.
    """

    _opportunistic = True
    _threshold: int = HIGH
    _held = 0
    _bulk = 0
    _slow = False
    _exempt = False

    def __init__(self, sock: socket.socket, *args: Any) -> None:
        self._outbox: list[bytes | Bulk] = []
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

    def writeParts(self, head: bytes, to: bytes, tail: bytes) -> None:
        """See L{BoundedConnection.writeParts}: they are not joined before they are sent."""
        size = self._size = self._size + len(head) + len(to) + len(tail)
        if size > self._threshold:
            self._writeSlowly(head, to, tail)
            return
        outbox = self._outbox
        if not outbox:
            self.flusher.schedule(self)
        outbox += head, to, tail

    def _writeSlowly(self, *parts: bytes) -> None:
        """Write above the threshold: flush, since the kernel may take enough to stay below the limit."""
        if self._size >= _CLOSED:
            return
        if self._exceeded:
            self._size -= sum(map(len, parts))
            return
        self._outbox += parts
        if self.producer is not None or not self._slow:
            self._flushSlowly()
        else:
            self._account()
        if self.producer is not None and not self.streamingProducer and self.connected:
            # Only the poller asks a pull producer for more.
            self.startWriting()

    def writeBulk(self, pieces: Iterator[bytes], size: int, own: bool = False) -> None:
        """See L{BoundedConnection.writeBulk}: it is made as the kernel takes it."""
        if self._size >= _CLOSED or self._exceeded:
            return
        if not self._outbox:
            self.flusher.schedule(self)
        self._outbox.append(Bulk(pieces, size, own))
        self._bulk += 1
        self._slow = True
        if self._size + size > self._threshold:
            self._flushSlowly()

    # Flushing

    def encrypt(self) -> None:
        """@see: L{Flushable.encrypt<muccore.net.flush.Flushable.encrypt>}"""
        outbox = self._outbox
        if outbox and not self._slow:
            data = b"".join(cast("list[bytes]", outbox))
            outbox.clear()
            self._size = 0
            if data:
                self._encryptAll(data)

    def flush(self) -> None:
        """Send what was written since the last flush, under TLS encrypted, with one C{send}."""
        outbox = self._outbox
        if outbox and self._slow:
            self._flushSlowly()
        elif self.TLS:
            self.encrypt()
        elif outbox:
            data = b"".join(cast("list[bytes]", outbox))
            outbox.clear()
            self._size = 0
            # As _send, without a call for each connection.
            try:
                sent = self.socket.send(data)
            except OSError:
                sent = 0
            if sent != len(data):
                self.progress += sent
                FileDescriptor.write(self, data[sent:])
                self._account()
            return
        if self._encrypted:
            self._sendEncrypted()
            if self.dataBuffer or self._tempDataLen:
                self._account()

    def _flushSlowly(self) -> None:
        """Send piece by piece, until the kernel takes no more. A producer is paused by what is buffered: send all."""
        self.flusher.prepare()
        outbox = self._outbox
        while outbox and (self.producer is not None or not self._isBuffered()) and self.connected:
            self._pass(self._take(PIECE))
        self._account()

    def flushAll(self) -> None:
        """See L{BoundedConnection.flushAll}; bulk of which nothing is sent yet is dropped."""
        self.flusher.prepare()
        self.flush()
        outbox = self._outbox
        if outbox:
            data = b"".join(part for part in outbox if isinstance(part, bytes))
            outbox.clear()
            self._size, self._bulk = self._held, 0
            self._pass(data)
            self._account()

    def _take(self, limit: int) -> bytes:
        """Take parts out of the outbox, until they have as many bytes as C{limit}."""
        outbox = self._outbox
        taken: list[bytes] = []
        size = used = 0
        self._exempt = False
        for part in outbox:
            if size >= limit:
                break
            if isinstance(part, Bulk):
                self._exempt = True
                data = part.take(limit - size)
                taken.append(data)
                size += len(data)
                if size >= limit:
                    # It may have more.
                    break
                self._bulk -= 1
            else:
                taken.append(part)
                size += len(part)
                self._size -= len(part)
            used += 1
        del outbox[:used]
        return b"".join(taken)

    def _pass(self, data: bytes) -> None:
        if not data:
            # Bulk has ended. An empty record of TLS would look like the end of the connection.
            return
        if self.TLS:
            self._encryptAll(data)
            self._sendEncrypted()
        else:
            self._send(data)

    def _encryptAll(self, data: bytes) -> None:
        layer = cast(TLSLayer, self.protocol)
        records = layer.encrypt(data)
        # Even if it is empty: it keeps writeCiphertext from scheduling this connection again.
        self._encrypted.append(records or b"")
        if records is None:
            layer.write(data)  # type: ignore[no-untyped-call]
            if layer._appSendBuffer:
                self._checkWaiting()

    def _sendEncrypted(self) -> None:
        data = b"".join(self._encrypted)
        self._encrypted.clear()
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
            self.progress += sent
            FileDescriptor.write(self, data[sent:])

    def startWriting(self) -> None:
        """@see: L{BoundedConnection.startWriting}; the limit is applied elsewhere."""
        if self._aborting:
            self._release()
        else:
            FileDescriptor.startWriting(self)

    def doWrite(self) -> Any:
        """@see: L{FileDescriptor.doWrite}; then go on with the outbox."""
        result = FileDescriptor.doWrite(self)
        if result is None and self.connected and not self._isBuffered() and (self._outbox or self._held):
            self._flushSlowly()
        return result

    # Accounting

    def _isBuffered(self) -> bool:
        return bool(self.dataBuffer or self._tempDataLen)

    def isWaiting(self) -> bool:
        """See L{BoundedConnection.isWaiting}."""
        return bool(self._outbox or self.dataBuffer or self._tempDataLen)

    def _tellOwner(self, method: Literal["outboxFilled", "outboxDrained"]) -> None:
        tell = self._owner(method)
        if tell is not None:
            tell()

    def _account(self) -> None:
        """Update the size, and do what follows from it."""
        if self._size >= _CLOSED or self._aborting:
            return
        held = self._buffered()
        size = self._size = self._size - self._held + held
        self._held = held
        self._slow = bool(held or self._bulk)
        if not held:
            self._exempt = False
        if size - (held if self._exempt else 0) > self.outboxLimit:
            self._overflow()
            return
        waiting = kept = size
        if self._bulk:
            for part in self._outbox:
                if isinstance(part, Bulk):
                    waiting += part.size
                    kept += part.size if part.own else 0
        if self._filled:
            if waiting < LOW:
                self._filled = False
                self._tellOwner("outboxDrained")
        elif waiting > HIGH:
            self._filled = True
            self._tellOwner("outboxFilled")
        self.outboxes.report(self, kept)

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
        self._threshold = min(self.bufferSize, HIGH) if streaming else -1
        super().registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """@see: L{FileDescriptor.unregisterProducer}"""
        vars(self).pop("_threshold", None)
        super().unregisterProducer()

    # Ending

    def loseWriteConnection(self) -> None:
        """@see: L{FileDescriptor.loseWriteConnection}"""
        self.flushAll()
        FileDescriptor.loseWriteConnection(self)

    def _startClosing(self) -> None:
        self.flushAll()
        self._close()
        super()._startClosing()

    def _close(self) -> None:
        """Let nothing more be written, nor counted."""
        self._size = _CLOSED
        self._held = self._bulk = 0
        self.outboxes.report(self, 0)

    def _setExceeded(self, exceeded: bool) -> None:
        super()._setExceeded(exceeded)
        if exceeded:
            self._threshold = -1
        else:
            vars(self).pop("_threshold", None)

    def dropOutbox(self) -> None:
        """@see: L{BoundedConnection.dropOutbox}"""
        if self._size < _CLOSED:
            self._outbox.clear()
            self._size, self._bulk = self._held, 0
            self._slow = bool(self._held)
            self.outboxes.report(self, self._size)

    def _release(self) -> None:
        self._close()
        self._outbox.clear()
        self._encrypted.clear()
        super()._release()


def transportClass(
    flusher: FlushScheduler,
    opportunistic: bool = True,
    outboxLimit: int = OUTBOX_LIMIT,
    closeTimeout: float = CLOSE_TIMEOUT,
    outboxes: Outboxes | None = None,
) -> type[BoundedConnection]:
    """
    Create a transport class with these settings, which then need no memory per connection.

    @param opportunistic: C{False} to send everything through the poller.
    @param outboxes: bounds the outboxes of all connections of several classes together; C{None}: of this one only.
    """
    base = OpportunisticConnection if opportunistic else BoundedConnection
    settings = {
        "__doc__": base.__doc__,
        "flusher": flusher,
        "outboxLimit": outboxLimit,
        "closeTimeout": closeTimeout,
        "outboxes": outboxes or Outboxes(),
        "_threshold": min(HIGH, outboxLimit),
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
