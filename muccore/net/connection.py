# -*- test-case-name: tests.net.test_connection -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Accepted connections with bounded memory and bounded closing: the base of opportunistic writes, and what runs without
them.

Theory of operation. Everything that Twisted buffers, the output of the TLS layer included, enters the buffer through
C{startWriting}, so the limit is checked there. A connection that exceeds it is aborted in a later reactor turn,
together with all others aborted in the same one, so that the writes that follow from their ends are joined. A timer
limits closing.

TLS is started here and not by Twisted's C{_newtls}, whose TLS layer would bypass C{write} and C{loseConnection} of a
subclass.

Private parts of Twisted in use: C{FileDescriptor._tempDataBuffer}, C{_tempDataLen} and C{_writeDisconnected};
C{Connection._aborting} and C{_dataReceived}; of L{TLSMemoryBIOProtocol} the third parameter (our protocol is connected
already), C{_appSendBuffer} (what was written before the end of the handshake) and C{_aborted} (deliver nothing more).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Final, Literal, cast

from twisted.internet import main, tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IAddress, IConsumer, IDelayedCall, IProtocol, ISSLTransport, ITransport
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer

from muccore.log.eventlog import OUTBOX_OVERFLOW, OUTBOXES_OVERFLOW
from muccore.net.flush import FlushScheduler
from muccore.net.outbox import Outboxes
from muccore.net.tlslayer import TLSLayer

OUTBOX_LIMIT: Final = 4 * 1024 * 1024
"""Default limit for the unsent bytes of a connection."""

CLOSE_TIMEOUT: Final = 10.0
"""Default limit for the time that closing a connection takes, in seconds."""


class _TLSFactory(TLSMemoryBIOFactory):
    """Makes TLS layers. Kept as long as the context stays the same, to save the memory of one per connection."""

    def __init__(self, context: Any, isClient: bool, clock: FlushScheduler, opportunistic: bool) -> None:
        super().__init__(context, isClient, Factory(), clock)
        self.key = (context, isClient)
        if opportunistic:
            # The default delays small writes by a turn to join them; ours are joined already.
            self.protocol = TLSLayer


@implementer(ITransport, IConsumer)
class _TLSTransport:
    """The transport of a connection's TLS layer. Without C{__getattr__}, so that nothing else reaches the socket."""

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
    An accepted connection that writes through the poller, as Twisted does, with a bounded buffer and bounded closing.

    @cvar flusher: flushes it; also the clock of its timers.
    @cvar outboxLimit: limit for the bytes not yet taken by the kernel, under TLS as encrypted; above it the connection
        is ended by its protocol if that is an L{OutboxOwner<muccore.net.outbox.OutboxOwner>}, and aborted otherwise.
    @cvar closeTimeout: seconds from L{loseConnection} until the connection is aborted.
    @cvar outboxes: the bound for all connections together.
    @ivar progress: bytes that the kernel has taken of what had to wait.
    """

    flusher: ClassVar[FlushScheduler]
    outboxLimit: ClassVar[int] = OUTBOX_LIMIT
    closeTimeout: ClassVar[float] = CLOSE_TIMEOUT
    outboxes: ClassVar[Outboxes] = Outboxes()
    progress = 0

    countEncrypted: Callable[[int], object] | None = None
    """
    Called with the number of bytes of each read under TLS, before they are decrypted: records without data, key
    updates and refused renegotiation cost time too, but reach no protocol.
    """

    _opportunistic: ClassVar[bool] = False
    _tlsFactory: ClassVar[_TLSFactory | None] = None
    _provided: ClassVar[Any] = None
    __provides__: Any

    _aborting: bool
    _closing: IDelayedCall | None = None
    _filled = False
    _exceeded = False

    def __init__(self, sock: socket.socket, *args: Any) -> None:
        super().__init__(sock, *args)
        if sock.family != socket.AF_UNIX:
            # Writes are joined already; Nagle's algorithm would only delay them.
            self.setTcpNoDelay(True)

    # Writing

    def write(self, data: bytes) -> None:
        """Send bytes in order. After L{loseConnection} or the end of the connection they are dropped silently."""
        if self._closing is None and not self._aborting:
            tcp.Server.write(self, data)
            if self.TLS:
                self._checkWaiting()

    def writeSequence(self, iovec: Any) -> None:
        """Send several pieces in order without joining them: large data for many recipients is kept once."""
        for data in iovec:
            self.write(data)

    def writeParts(self, head: bytes, to: bytes, tail: bytes) -> None:
        """Send a stanza in three parts, of which the first and the last are those of other recipients, too."""
        self.write(head + to + tail)

    def writeBulk(self, pieces: Iterator[bytes], size: int, own: bool = False) -> None:
        """
        Send much, of C{size} bytes, after what was written before. It is dropped if the connection is closed before it
        is sent.

        @param pieces: each is sent whole or not at all.
        @param own: whether it was made for this reader: then it counts for the limit of all connections together.
        """
        for piece in pieces:
            self.write(piece)

    def encrypt(self) -> None:
        """Encrypt what was written since the last flush. Called by the L{FlushScheduler} under TLS."""

    def flush(self) -> None:
        """Send what was written since the last flush. Called by the L{FlushScheduler}."""

    def flushAll(self) -> None:
        """Send or buffer everything that was written: what follows is sent otherwise, or not at all."""
        self.flush()

    def isWaiting(self) -> bool:
        """Whether something waits until the other side reads."""
        return self._buffered() > 0

    def writeSomeData(self, data: bytes) -> Any:
        """@see: L{tcp.Connection.writeSomeData}"""
        self.flusher.prepare()
        taken = super().writeSomeData(data)
        if isinstance(taken, int):
            self.progress += taken
        return taken

    def writeCiphertext(self, data: bytes) -> None:
        """Take bytes from the TLS layer."""
        FileDescriptor.write(self, data)

    def startWriting(self) -> None:
        """Let the poller ask for what is buffered, unless that exceeds the limit."""
        if self._aborting:
            self._release()
        elif self._buffered() > self.outboxLimit:
            self._overflow()
        else:
            FileDescriptor.startWriting(self)

    # TLS

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        """
        Start TLS: what was written before is sent as it is, what is written from now on is encrypted. Does nothing on
        a connection that is closing.

        @param ctx: as for L{TLSMemoryBIOFactory}.
        @param normal: whether this side is the server of the handshake.
        @raise RuntimeError: if TLS was started before.
        """
        if self.TLS:
            raise RuntimeError("TLS has been started already")
        self.flushAll()
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
            # The context is unusable. Send nothing in the clear, but call connectionLost of our protocol.
            self.protocol, self.producer, self.TLS = protocol, producer, False
            self.abortConnection()
            raise
        # Certificate.peerFromTransport and channel bindings need the TLS connection.
        self.getHandle = layer.getHandle  # type: ignore[method-assign]
        self.getPeerCertificate = layer.getPeerCertificate
        self._provideSSLTransport()
        if producer is not None:
            self.registerProducer(producer, streaming)

    def _provideSSLTransport(self) -> None:
        cls = type(self)
        provided = cls._provided
        if provided is None:
            directlyProvides(self, ISSLTransport)
            cls._provided = self.__provides__
        else:
            # What directlyProvides does, which is slow.
            self.__provides__ = provided

    def _makeLayer(self, context: Any, isClient: bool) -> TLSMemoryBIOProtocol:
        factory = self._tlsFactory
        if factory is None or factory.key != (context, isClient):
            factory = _TLSFactory(context, isClient, self.flusher, self._opportunistic)
            type(self)._tlsFactory = factory
        # False: our protocol is connected already and keeps its transport.
        return factory.protocol(factory, self.protocol, False)

    # Protocols

    def switchProtocol(self, protocol: IProtocol) -> None:
        """Give the connection to another protocol, above TLS if that was started. A producer is unregistered."""
        if self.producer is not None:
            self.unregisterProducer()
        if self.TLS:
            cast(TLSMemoryBIOProtocol, self.protocol).wrappedProtocol = protocol
        else:
            self.protocol = protocol
        protocol.makeConnection(cast(ITransport, self))
        FileDescriptor.resumeProducing(self)

    # Reading

    def _dataReceived(self, data: bytes | None) -> Any:
        if data and self.TLS and self.countEncrypted is not None:
            self.countEncrypted(len(data))
        return super()._dataReceived(data)

    def pauseProducing(self) -> None:
        """Stop reading, except while closing: then the peer's close_notify must be read."""
        if self._closing is None:
            FileDescriptor.pauseProducing(self)

    # Producers: typed, as Twisted's methods are not.

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """See L{FileDescriptor.registerProducer}."""
        tcp.Server.registerProducer(self, producer, streaming)

    def unregisterProducer(self) -> None:
        """See L{FileDescriptor.unregisterProducer}."""
        tcp.Server.unregisterProducer(self)

    # Ending

    def loseConnection(self) -> None:
        """
        Close the connection when everything written has been sent, at the latest in C{closeTimeout} seconds. A
        registered producer is stopped: a paused one would keep the connection open forever.
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
        """Close the socket when what is buffered is sent; the TLS layer writes nothing more."""
        if not self.connected or self._aborting:
            return
        self._startClosing()
        if self._writeDisconnected:
            # Twisted would call connectionLost at once.
            self._disconnect(main.CONNECTION_DONE)
        elif not self._aborting:
            FileDescriptor.loseConnection(self)

    def abortConnection(self) -> None:
        """
        Close the connection without sending what is buffered. C{connectionLost} is called in a later turn through the
        L{FlushScheduler}, so that what it writes to other connections is flushed.
        """
        self._disconnect(ConnectionAborted())

    def connectionLost(self, reason: Failure) -> None:
        """@see: L{tcp.Connection.connectionLost}"""
        self._release()
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        self.countEncrypted = None
        super().connectionLost(reason)
        # Methods of the TLS layer, which refers to this: thousands that end together are freed one by one, not all in
        # one run of the garbage collector.
        vars(self).pop("getHandle", None)
        vars(self).pop("getPeerCertificate", None)

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
            # Otherwise the layer would deliver what it has decrypted already, and give its own reason.
            cast(TLSMemoryBIOProtocol, self.protocol).failVerification(failure)
        self.flusher.callSoon(self.connectionLost, failure)

    # Accounting

    def _buffered(self) -> int:
        return len(self.dataBuffer) - self.offset + self._tempDataLen

    def _checkWaiting(self) -> None:
        """Apply the limit also to what the TLS layer keeps until the end of the handshake."""
        waiting = cast(TLSMemoryBIOProtocol, self.protocol)._appSendBuffer if self.connected else ()
        if waiting and sum(map(len, waiting)) + self._buffered() > self.outboxLimit:
            self._overflow()

    def _overflow(self) -> None:
        if not self._aborting and not self._exceeded:
            OUTBOX_OVERFLOW.log(str(self.hostname), limit=self.outboxLimit)
            text = f"left more than {self.outboxLimit} bytes unread"
            self._endForOutbox("policy-violation", text)

    def endForAll(self, limit: int) -> None:
        """See L{Waiting<muccore.net.outbox.Waiting>}."""
        if not self._aborting and not self._exceeded:
            OUTBOXES_OVERFLOW.log(str(self.hostname), limit=limit)
            self._endForOutbox("resource-constraint", "too much waits for all clients together, and most for this one")

    def dropOutbox(self) -> None:
        """Drop what waits, up to the end of what is being sent: what is written next is the next to arrive."""

    def _endForOutbox(self, condition: str, text: str) -> None:
        """Drop what waits, and end the connection by its protocol in a later turn: this may be inside a write."""
        if not self._opportunistic or self._owner("outboxExceeded") is None:
            self._disconnect(ConnectionAborted(text))
            return
        self._setExceeded(True)
        self.dropOutbox()
        self.flusher.callSoon(self._tellExceeded, condition, text)

    def _setExceeded(self, exceeded: bool) -> None:
        """Let writes be dropped, or not any more."""
        self._exceeded = exceeded

    def _tellExceeded(self, condition: str, text: str) -> None:
        self._setExceeded(False)
        tell = self._owner("outboxExceeded")
        if tell is not None and self.connected and self._closing is None and not self._aborting:
            tell(condition, text)

    def _owner(self, method: Literal["outboxFilled", "outboxDrained", "outboxExceeded"]) -> Any:
        """A method of L{OutboxOwner} of the protocol, or C{None}."""
        protocol: Any = self.protocol
        return getattr(protocol.wrappedProtocol if self.TLS else protocol, method, None)

    def _release(self) -> None:
        """Drop everything buffered."""
        self.dataBuffer = b""
        self.offset = 0
        self._tempDataBuffer = []
        self._tempDataLen = 0


def _nothing() -> None:
    """Replaces C{doRead} and C{doWrite} of an aborted connection, for an event that the poller has noticed already."""
