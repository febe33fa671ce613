# -*- test-case-name: tests.net.test_connection -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
An accepted connection whose memory and whose ending are bounded: the ground that opportunistic writes stand on, and
what runs when they are off.

Theory of operation. Everything that Twisted buffers enters its buffer through C{startWriting}, so the bound is
checked there, for what the TLS layer writes as well. Whoever exceeds it is cut off in a later turn, with all aborted
connections of one turn together, so that what their rooms have to say about it is joined. Closing has a timer over
it.

TLS is started here and not by Twisted's C{_newtls}, because that makes the TLS layer write past whatever a subclass
does about writing and closing.

Besides Twisted's public interface this needs C{FileDescriptor._tempDataBuffer}, C{_tempDataLen} and
C{_writeDisconnected}; C{Connection._aborting}; of L{TLSMemoryBIOProtocol} the third parameter (our protocol is
connected already), C{_appSendBuffer} (what was written before the handshake was done) and C{_aborted} (deliver
nothing more).
"""

from __future__ import annotations

import socket
from typing import Any, ClassVar, Final, cast

from twisted.internet import main, tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IAddress, IConsumer, IDelayedCall, ISSLTransport, ITransport
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer

from muccore.log.eventlog import OUTBOX_OVERFLOW
from muccore.net.flush import FlushScheduler

OUTBOX_LIMIT: Final = 4 * 1024 * 1024
"""Bytes that a connection may have waiting, unless configured."""

CLOSE_TIMEOUT: Final = 10.0
"""Seconds that closing a connection may take, unless configured."""


class _TLSFactory(TLSMemoryBIOFactory):
    """
    Makes TLS layers; kept for as long as the same context is used, because one for each connection would cost memory.
    """

    def __init__(self, context: Any, isClient: bool, clock: FlushScheduler, opportunistic: bool) -> None:
        super().__init__(context, isClient, Factory(), clock)
        self.key = (context, isClient)
        if opportunistic:
            # The default holds small writes back for a turn; ours come joined.
            self.protocol = TLSMemoryBIOProtocol


@implementer(ITransport, IConsumer)
class _TLSTransport:
    """
    What the TLS layer of a connection takes for its transport.

    It has no C{__getattr__}: nothing may reach the socket past the methods that are here.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: BoundedConnection) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        self._connection.writeCiphertext(data)

    def writeSequence(self, data: Any) -> None:
        self._connection.writeCiphertext(b"".join(data))

    def loseConnection(self) -> None:
        self._connection.loseSocket()

    def abortConnection(self) -> None:
        self._connection.abortConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        FileDescriptor.registerProducer(self._connection, producer, streaming)

    def unregisterProducer(self) -> None:
        FileDescriptor.unregisterProducer(self._connection)

    def getPeer(self) -> IAddress:
        return cast(IAddress, tcp.Server.getPeer(self._connection))

    def getHost(self) -> IAddress:
        return cast(IAddress, tcp.Server.getHost(self._connection))


class BoundedConnection(tcp.Server):
    """
    An accepted connection that writes as Twisted does, through the poller, but whose buffer and closing are bounded.
    This is what runs when opportunistic writes are off.

    @cvar flusher: where it is flushed, and the clock of its timers.
    @cvar outboxLimit: bytes that may wait until the kernel takes them, under TLS as they are after encryption.
        With more the connection ends as by L{abortConnection}.
    @cvar closeTimeout: seconds from L{loseConnection} until the connection is aborted.
    """

    flusher: ClassVar[FlushScheduler]
    outboxLimit: ClassVar[int] = OUTBOX_LIMIT
    closeTimeout: ClassVar[float] = CLOSE_TIMEOUT

    _opportunistic: ClassVar[bool] = False
    _tlsFactory: ClassVar[_TLSFactory | None] = None

    _aborting: bool
    _closing: IDelayedCall | None = None

    def __init__(self, sock: socket.socket, *args: Any) -> None:
        super().__init__(sock, *args)
        if sock.family != socket.AF_UNIX:
            # Writes are joined already; waiting for more to join would only delay them.
            self.setTcpNoDelay(True)

    # Writing

    def write(self, data: bytes) -> None:
        """
        Send bytes, in order, as soon as the kernel takes them. After L{loseConnection}, or when the connection has
        ended, they are dropped silently.
        """
        if self._closing is None and not self._aborting:
            tcp.Server.write(self, data)
            if self.TLS:
                self._checkWaiting()

    def writeSequence(self, iovec: Any) -> None:
        """
        Send several pieces, in one turn and with nothing in between, without joining them: what is large and goes to
        many is kept once.
        """
        for data in iovec:
            self.write(data)

    def flush(self) -> None:
        """Send what was written since the last flush. The L{FlushScheduler} calls this."""

    def writeCiphertext(self, data: bytes) -> None:
        """Take bytes from the TLS layer."""
        FileDescriptor.write(self, data)

    def startWriting(self) -> None:
        """
        Have the poller ask for what is buffered. Everything that enters the buffer comes by here, so here is its
        bound.
        """
        if self._aborting:
            self._release()
        elif self._buffered() > self.outboxLimit:
            self._overflow()
        else:
            FileDescriptor.startWriting(self)

    # TLS

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        """
        Go on in TLS: everything written before goes out as it is, everything written from now on is encrypted.
        On a connection that is ending this does nothing.

        @param ctx: what L{TLSMemoryBIOFactory} takes.
        @param normal: whether this side is the server of the handshake.
        @raise RuntimeError: if TLS has been started already.
        """
        if self.TLS:
            raise RuntimeError("TLS has been started already")
        self.flush()
        if not self.connected or self._closing is not None or self._aborting:
            return
        producer, streaming = self.producer, self.streamingProducer
        if producer is not None:
            self.unregisterProducer()
        protocol = self.protocol
        try:
            layer = self._makeLayer(ctx, not normal)
            self.protocol = layer
            self.TLS = True
            layer.makeConnection(cast(ITransport, _TLSTransport(self)))
        except BaseException:
            # The context is of no use. Nothing may be sent now, but our protocol must hear of the end.
            self.protocol, self.producer, self.TLS = protocol, producer, False
            self.abortConnection()
            raise
        # So that Certificate.peerFromTransport and whoever wants channel bindings get at the TLS connection.
        self.getHandle = layer.getHandle  # type: ignore[method-assign]
        self.getPeerCertificate = layer.getPeerCertificate
        directlyProvides(self, ISSLTransport)
        if producer is not None:
            self.registerProducer(producer, streaming)

    def _makeLayer(self, context: Any, isClient: bool) -> TLSMemoryBIOProtocol:
        factory = self._tlsFactory
        if factory is None or factory.key != (context, isClient):
            factory = _TLSFactory(context, isClient, self.flusher, self._opportunistic)
            type(self)._tlsFactory = factory
        # False: our protocol has been connected long since and wants no other transport.
        return factory.protocol(factory, self.protocol, False)

    # Reading

    def pauseProducing(self) -> None:
        """Stop reading, for as long as the connection is not being closed: then the peer's goodbye must be read."""
        if self._closing is None:
            FileDescriptor.pauseProducing(self)

    # Producers

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """@see: L{FileDescriptor.registerProducer}"""
        tcp.Server.registerProducer(self, producer, streaming)

    def unregisterProducer(self) -> None:
        """@see: L{FileDescriptor.unregisterProducer}"""
        tcp.Server.unregisterProducer(self)

    # Ending

    def loseConnection(self) -> None:
        """
        End the connection when everything that was written has been sent, but C{closeTimeout} seconds from now
        at the latest. A producer that is registered is stopped: a paused one would keep the connection open for ever.
        """
        if not self.connected or self._closing is not None or self._aborting:
            return
        self._startClosing()
        if self.connected and not self._aborting:
            if self.TLS:
                # The TLS layer ends only when it has read the peer's close_notify.
                FileDescriptor.startReading(self)
                tcp.Server.loseConnection(self)
            else:
                self.loseSocket()

    def loseSocket(self) -> None:
        """End the connection when what is buffered is sent: nothing is to come any more, from the TLS layer either."""
        if not self.connected or self._aborting:
            return
        self._startClosing()
        if self._writeDisconnected:
            # Twisted would run connectionLost at once.
            self._disconnect(main.CONNECTION_DONE)
        elif not self._aborting:
            FileDescriptor.loseConnection(self)

    def abortConnection(self) -> None:
        """
        End the connection without sending what is still here; C{connectionLost} is called in a later turn. What that
        writes to others is flushed in the turn, which is why this is not left to Twisted.
        """
        self._disconnect(ConnectionAborted())

    def connectionLost(self, reason: Failure) -> None:
        """@see: L{tcp.Connection.connectionLost}"""
        self._release()
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        super().connectionLost(reason)

    def _startClosing(self) -> None:
        self.flush()
        if self._closing is None:
            self._closing = self.flusher.callLater(self.closeTimeout, self._closeTimedOut)
        producer = self.producer
        if producer is not None:
            self.unregisterProducer()
            producer.stopProducing()

    def _closeTimedOut(self) -> None:
        self._disconnect(ConnectionAborted(f"did not close within {self.closeTimeout:g} s"))

    def _disconnect(self, reason: Exception) -> None:
        if self.disconnected or self._aborting:
            return
        self._aborting = True
        FileDescriptor.stopReading(self)
        FileDescriptor.stopWriting(self)
        self.doRead = self.doWrite = _nothing  # type: ignore[method-assign]
        self._release()
        failure = Failure(reason)
        if self.TLS:
            # Without this the layer would deliver what it has decrypted already, and give a reason of its own.
            cast(TLSMemoryBIOProtocol, self.protocol).failVerification(failure)
        self.flusher.callSoon(self.connectionLost, failure)

    # Accounting

    def _buffered(self) -> int:
        return len(self.dataBuffer) - self.offset + self._tempDataLen

    def _checkWaiting(self) -> None:
        """Count what the TLS layer keeps because its handshake is not done as well."""
        waiting = cast(TLSMemoryBIOProtocol, self.protocol)._appSendBuffer if self.connected else ()
        if waiting and sum(map(len, waiting)) + self._buffered() > self.outboxLimit:
            self._overflow()

    def _overflow(self) -> None:
        if self._aborting:
            return
        OUTBOX_OVERFLOW.log(str(self.hostname), limit=self.outboxLimit)
        self._disconnect(ConnectionAborted(f"left more than {self.outboxLimit} bytes unread"))

    def _release(self) -> None:
        """Let go of everything that waits."""
        self.dataBuffer = b""
        self.offset = 0
        self._tempDataBuffer = []
        self._tempDataLen = 0


def _nothing() -> None:
    """Reads and writes of an aborted connection, should the poller have noticed something meanwhile."""


__all__ = ["CLOSE_TIMEOUT", "OUTBOX_LIMIT", "BoundedConnection"]
