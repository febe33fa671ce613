# -*- test-case-name: tests.stream.test_websocket -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The stream of a client over WebSocket (RFC 7395). The handshake is over: see L{muccore.http.websocket}.

TLS is below HTTP and never negotiated here (§3.9). A stream is secure if its connection is under TLS, or comes from a
trusted proxy that has terminated TLS; then it has no channel bindings. Otherwise the policy for TCP applies: without
TLS, log-in is impossible, so there is no stream, or possible with the same mechanisms.

Closing. C{<close/>} is followed by a Close frame; then the client's Close frame is awaited, for a limited time, because
closing the socket with unread data would reset the connection, and might lose what was sent last.
"""

from __future__ import annotations

from typing import Final, cast

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from muccore.net.tls import ChannelBindings, ServerTLS, TLSByName
from muccore.net.websocket import CLOSE, GOING_AWAY, NORMAL, PING, PONG, FrameError, closeCode, closeFrame, frame
from muccore.stream.c2s import C2SStream
from muccore.stream.factory import C2SFactory
from muccore.stream.features import StreamFeatures
from muccore.stream.flowcontrol import PIPELINE_LIMIT
from muccore.stream.websocketframing import FramingError, MessageParser, WebSocketFraming
from muccore.xmpp.errors import StreamError
from muccore.xmpp.specs import Spec

implements: Final = (Spec(7395, "An XMPP Subprotocol for WebSocket", note="All but see-other-uri.", series="RFC"),)

CLOSE_TICKS: Final = 5
"""Ticks for the client's Close frame."""


class WebSocketStream(WebSocketFraming, C2SStream):
    """The stream of one client over WebSocket."""

    __slots__ = ("_closeCode", "_closing", "_ignored")

    def __init__(self, factory: C2SFactory, host: str, secure: bool, features: StreamFeatures) -> None:
        super().__init__(factory, host, secure, features)
        self._closeCode = NORMAL
        # Whether the client's Close frame was received, or will not be awaited.
        self._closing = False
        self._ignored = 0

    def _secure(self, tls: ServerTLS | TLSByName | None) -> None:
        """Do nothing: TLS was started below HTTP, if at all."""

    def bindings(self) -> ChannelBindings | None:
        """See L{muccore.stream.states.INegotiationHost.bindings}. The TLS of a proxy is not the client's."""
        transport = self.transport
        direct = ISSLTransport.providedBy(transport) and transport.getPeer().host == self._host
        return super().bindings() if direct else None

    def dataReceived(self, data: bytes) -> None:
        """Handle what the client sends; after the end, look only for its Close frame, if that is awaited."""
        if not self._ended:
            super().dataReceived(data)
        elif not self._closing:
            self._ignored += len(data)
            try:
                list(self._parser.feed(data))
            except StreamError:
                self._stopWaiting()
            if self._ignored > PIPELINE_LIMIT:
                self._stopWaiting()

    def _stopWaiting(self) -> None:
        """Close the connection. Under TLS data still arrives then, which must not be buffered."""
        self._closing = True
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See L{C2SStream.connectionLost}."""
        super().connectionLost(reason)
        # The method refers to this stream: a cycle.
        cast(MessageParser, self._parser).control = _ignore

    def controlReceived(self, opcode: int, payload: bytes) -> None:
        """See L{WebSocketFraming.controlReceived}."""
        rate = self._rate
        if rate is not None:
            rate.owed += rate.stanzaCost
        if opcode == PING:
            self.write(frame(PONG, payload))
        elif opcode == CLOSE:
            self._closeReceived(payload)

    def _closeReceived(self, payload: bytes) -> None:
        """End the stream. Without C{<close/>} it ends as if the connection were lost (§3.6)."""
        if self._ended:
            self._stopWaiting()
            return
        self._closing = True
        try:
            self._closeCode = closeCode(payload)
        except FrameError as e:
            self._closeCode = e.code
        self.close(None)
        self._endSession(False, False, Failure(ConnectionDone()))

    def close(self, error: StreamError | None) -> None:
        """See L{C2SStream.close}."""
        if isinstance(error, FramingError):
            self._closing, self._closeCode = True, error.code
        elif error is not None and error.condition == "system-shutdown":
            self._closeCode = GOING_AWAY
        super().close(error)

    def sendEnd(self) -> None:
        """See L{WebSocketFraming.sendEnd}. The answer to a Close frame is nothing but a Close frame."""
        if not self._closing:
            super().sendEnd()
        self.write(closeFrame(self._closeCode))

    def endConnection(self) -> None:
        """See L{TCPFraming.endConnection<muccore.stream.framing.TCPFraming.endConnection>}."""
        if self._closing:
            self.transport.loseConnection()
        else:
            self.factory.wheel.schedule(self, CLOSE_TICKS)
            self.transport.resumeProducing()

    def timeoutDue(self, tick: int) -> int:
        """See L{muccore.net.timingwheel.Timed.timeoutDue}."""
        if self._ended:
            self._stopWaiting()
            return 0
        return super().timeoutDue(tick)


def _ignore(opcode: int, payload: bytes) -> None:
    """Replaces C{controlReceived} once the connection is lost."""


class WebSocketFactory:
    """
    Creates the streams of WebSocket connections, which the HTTP site has counted. They belong to another factory.

    @ivar features: what new streams offer, without STARTTLS.
    @ivar tlsRequired: whether streams must be secure.
    """

    def __init__(self, factory: C2SFactory, features: StreamFeatures, tlsRequired: bool) -> None:
        self.features = features
        self.tlsRequired = tlsRequired
        self._factory = factory

    def accepts(self, secure: bool) -> bool:
        """Whether clients could log in."""
        return secure or not self.tlsRequired

    def build(self, host: str, secure: bool) -> WebSocketStream | None:
        """
        Create a stream; C{None} if the server is ending.

        @param host: the client's address.
        @param secure: whether TLS protects the client's connection.
        """
        if self._factory.ending:
            return None
        return WebSocketStream(self._factory, host, secure, self.features)
