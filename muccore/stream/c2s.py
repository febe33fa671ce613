# -*- test-case-name: tests.stream.test_c2s -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The stream of a client: connects transport, parser, negotiation and session.

There is one L{C2SStream} per connection, so it is kept small: its negotiation is dropped when a resource is bound, its
parser frees memory when idle, and its timeouts share one timing wheel with all others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, cast

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from muccore.interfaces import ISession, IStream
from muccore.log.eventlog import LOGOUT, STREAM_ERROR, EventKind, Phrase
from muccore.log.logger import Logger
from muccore.net.limits import Networks
from muccore.net.timingwheel import TICK
from muccore.net.tls import ChannelBindings, ServerTLS, TLSByName
from muccore.stream import streamlog
from muccore.stream.features import Nonza, StreamFeatures
from muccore.stream.flowcontrol import THROTTLE_LOG_INTERVAL, FlowControl
from muccore.stream.framing import TCPFraming
from muccore.stream.negotiation import Negotiation
from muccore.stream.outboxwatch import OutboxWatch
from muccore.stream.parser.events import Event
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError

if TYPE_CHECKING:
    from muccore.stream.factory import C2SFactory

PARSER_IDLE: Final = 15
"""Ticks without input after which the parser frees its memory."""

_log = Logger()


@dataclass(frozen=True)
class StreamSettings:
    """
    Limits and timeouts of streams. Sizes are in bytes, times in seconds.

    @ivar stanzaSize: of a stanza, after the log-in.
    @ivar stanzaSizeUnauthenticated: of an element, before the log-in.
    @ivar depth: levels of elements in a stanza.
    @ivar attributes: attributes of an element.
    @ivar elements: elements in a stanza.
    @ivar loginTimeout: from the connection to a bound resource.
    @ivar idleTimeout: without input; 0 for none.
    @ivar keepalive: time without input after which a space is sent; 0 for never.
    @ivar rate: bytes per second read from a client in the long run; 0 for no limit.
    @ivar burst: bytes read at once beyond that.
    @ivar stanzaCost: bytes that a stanza counts besides its own, for C{rate} and C{addressRate}.
    @ivar addressRate: as C{rate}, of all clients with one address together; 0 for no limit.
    @ivar addressBurst: bytes read at once beyond that.
    @ivar connections: streams in all; 0 for no limit.
    @ivar connectionsPerAddress: streams from one address; 0 for no limit.
    @ivar exempt: networks without C{rate}, C{addressRate} and C{connectionsPerAddress}.
    @ivar stallTimeout: without progress of what waits to be read.
    """

    stanzaSize: int
    stanzaSizeUnauthenticated: int
    depth: int
    attributes: int
    elements: int
    loginTimeout: float
    idleTimeout: float
    keepalive: float
    rate: int
    burst: int
    stanzaCost: int
    addressRate: int
    addressBurst: int
    connections: int
    connectionsPerAddress: int
    exempt: Networks
    stallTimeout: float


def _ticks(seconds: float) -> int:
    return math.ceil(seconds / TICK)


@implementer(IStream)
class C2SStream(TCPFraming, OutboxWatch, Protocol):
    """
    The stream of one client.

    @ivar session: its session, once a resource is bound.
    @ivar secure: see L{IStream}; valid once it has a session.
    @ivar write: the transport's method.
    """

    # Protocol has no slots, but its dictionary is created only when another attribute is set.
    __slots__ = (
        "_boundAt", "_congested", "_ended", "_error", "_events", "_held", "_heldUntil", "_host", "_lastKeepalive",
        "_lastReceived", "_negotiation", "_nonzas", "_parser", "_parsingPaused", "_progress", "_rate", "_stalledSince",
        "_throttledUntil", "connected", "due", "factory", "secure", "session", "transport", "write",
    )  # fmt: skip

    endEvent: ClassVar[EventKind] = LOGOUT
    """Logged when a stream with a session ends."""

    peerKind: ClassVar[str] = "client"
    """What is at the other end, in log lines."""

    factory: C2SFactory

    def __init__(self, factory: C2SFactory, host: str, direct: bool, features: StreamFeatures | None = None) -> None:
        """
        @param host: the peer's address.
        @param direct: whether TLS begins with the first byte.
        @param features: what it offers, if not what the factory's other streams do.
        """
        settings = factory.settings
        self.factory = factory
        self.transport = None
        self.connected = 0
        self.session: ISession | None = None
        self.secure = direct
        self.due = 0
        self._host = host
        self._ended = False
        self._error: Phrase | None = None
        self._throttledUntil = -THROTTLE_LOG_INTERVAL
        self._parsingPaused = self._congested = False
        self._held: list[FlowControl] | None = None
        self._heldUntil = 0.0
        self._events: Iterator[Event] | None = None
        self._progress, self._stalledSince = -1, 0
        self._rate = factory.rateFor(host)
        self._parser = self.makeParser(settings)
        self._negotiation: Negotiation | None = self.negotiate(features or factory.features, direct)
        # Until a resource is bound, the tick of the connection.
        self._lastReceived = self._lastKeepalive = self._boundAt = factory.wheel.tick

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._host} {self._user()}>"

    @property
    def address(self) -> str:
        """See L{IStream.address<muccore.interfaces.IStream.address>}."""
        return self._host

    def negotiate(self, features: StreamFeatures, direct: bool) -> Negotiation:
        """Make the negotiation."""
        return Negotiation(self, features, direct, self.factory.throttle.bind(self._host))

    def _user(self) -> str:
        return "-" if self.session is None else self.session.jid.full

    # The connection

    def connectionMade(self) -> None:
        """Start the login timeout, and direct TLS."""
        factory = self.factory
        factory.streams.add(self)
        factory.wheel.schedule(self, _ticks(factory.settings.loginTimeout))
        self.write = self.transport.write
        if self._rate is not None:
            self.transport.countEncrypted = self.countEncrypted
        negotiation = cast(Negotiation, self._negotiation)
        if negotiation.secure:
            try:
                self._secure(negotiation.features.directTLS)
            except Exception:
                self.internalError(Failure())

    def _boundReceived(self, session: ISession, element: Element) -> None:
        if element.uri != ns.CLIENT:
            handle = self._nonzas.get((element.uri, element.name))
            if handle is not None:
                handle(session, element)
                # Many clients send nothing but acknowledgements for a long time; see sessionBound.
                self._parser.idle()
                return
            if element.uri == ns.STREAM and element.name == "error":
                self._finish(None, final=False)
                return
        session.stanzaReceived(element)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Drop the stream, and end its session."""
        factory, lost = self.factory, None if self._ended else reason
        self._ended = True
        self._release()
        self._endSession(False, lost is None, lost)
        # The transport's method refers to the transport.
        self.write = _discard
        factory.streamClosed(self, self._host)

    def isWaiting(self) -> bool:
        """See L{IStream.isWaiting}."""
        return self._ended or bool(self.transport.isWaiting())

    # Ending

    def close(self, error: StreamError | None) -> None:
        """See L{IStream.close}. The session ends when the connection is lost."""
        if self._ended:
            return
        self._ended = True
        if error is not None:
            # As text: the traceback of the error would refer to this stream.
            self._error = streamlog.describeError(error)
            self.logError(error)
        if self._negotiation is not None:
            self._negotiation.sendPendingHeader()
        if error is not None:
            self.sendNonza(error.render())
        self.sendEnd()
        self.write = _discard
        self._release()
        self.endConnection()

    def logError(self, error: StreamError) -> None:
        """Log the error that the stream is closed with."""
        if error.condition not in streamlog.ORDERLY:
            STREAM_ERROR.log(self._host, error=streamlog.describeError(error), jid=self._user())

    def _finish(self, error: StreamError | None, clean: bool = False, final: bool = True) -> None:
        """
        Close the stream, and tell the session at once.

        @param clean: whether the client has closed it.
        @param final: whether the session cannot be resumed.
        """
        self.close(error)
        self._endSession(clean, final)

    def internalError(self, failure: Failure) -> None:
        """See L{muccore.stream.states.INegotiationHost.internalError}."""
        _log.failure("A stream failed with an internal error", failure)
        self._finish(StreamError("internal-server-error"))

    def _release(self) -> None:
        """Drop parser and negotiation: further input is ignored."""
        self._parser.stop()
        self._parsingPaused = False
        self.stopHolding()
        self.factory.wheel.remove(self)
        negotiation, self._negotiation = self._negotiation, None
        if negotiation is not None:
            negotiation.connectionLost()

    def _endSession(self, clean: bool, final: bool, lost: Failure | None = None) -> None:
        session, self.session = self.session, None
        if session is None:
            return
        held = False
        try:
            held = session.streamLost(self, final)
        except Exception:
            _log.failure("Ending a session failed")
        why = streamlog.describeEnd(self._error, clean, lost, held, self.peerKind)
        self.endEvent.log(self._host, jid=session.jid.full, seconds=self.factory.wheel.tick - self._boundAt, why=why)

    # INegotiationHost

    def startTLS(self) -> None:
        """See L{muccore.stream.states.INegotiationHost.startTLS}."""
        self._parser.restart(discard=True)
        self._secure(cast(Negotiation, self._negotiation).features.tls)

    def _secure(self, tls: ServerTLS | TLSByName | None) -> None:
        self.transport.startTLS(tls)
        # The transport may have a new one; the old one could send in the clear.
        self.write = self.transport.write

    def bindings(self) -> ChannelBindings | None:
        """See L{muccore.stream.states.INegotiationHost.bindings}."""
        negotiation = cast(Negotiation, self._negotiation)
        tls = negotiation.features.tls if negotiation.features.channelBinding else None
        return tls.channelBindings(self.transport) if negotiation.secure and tls is not None else None

    def restartStream(self) -> None:
        """See L{muccore.stream.states.INegotiationHost.restartStream}."""
        self._parser.restart()
        self.continueStream()

    def continueStream(self) -> None:
        """See L{muccore.stream.states.INegotiationHost.continueStream}."""
        self._parser.stanzaSize = self.factory.settings.stanzaSize

    def authenticationFailed(self, condition: str) -> None:
        """See L{muccore.stream.states.INegotiationHost.authenticationFailed}."""
        streamlog.logLoginFailed(self._host, self.transport, cast(Negotiation, self._negotiation), condition)

    def sessionBound(self, session: ISession, resumed: bool = False) -> None:
        """See L{muccore.stream.states.INegotiationHost.sessionBound}."""
        negotiation = cast(Negotiation, self._negotiation)
        streamlog.logLogin(self._host, self.transport, negotiation, session.jid.full, resumed)
        self.attach(session)

    def attach(self, session: ISession) -> None:
        """Pass everything to a session, and what else the features handle to them."""
        negotiation = cast(Negotiation, self._negotiation)
        self._nonzas: Mapping[tuple[str | None, str], Nonza] = negotiation.features.nonzas
        self.secure = negotiation.secure
        self.session = session
        self._negotiation = None
        self._parser.stepwise = False
        # Many clients are idle after the log-in; the others get a new expat parser in 3 µs.
        self._parser.idle()
        self._lastReceived = self._lastKeepalive = self._boundAt = self.factory.wheel.tick
        self.factory.wheel.schedule(self, PARSER_IDLE)

    # Timeouts

    def timeoutDue(self, tick: int) -> int:
        """See L{muccore.net.timingwheel.Timed.timeoutDue}."""
        settings = self.factory.settings
        if self.session is None:
            left = self._lastReceived + _ticks(settings.loginTimeout) - tick
            if left > 0:
                return left
            self._finish(StreamError("connection-timeout", "The log-in took too long."))
            return 0
        idle, keepalive = _ticks(settings.idleTimeout), _ticks(settings.keepalive)
        if self.isHeld:
            # It is not read.
            self._lastReceived = tick
        silence = tick - self._lastReceived
        if idle and silence >= idle:
            self._finish(StreamError("connection-timeout", "No data was received for too long."), final=False)
            return 0
        management = self.session.management
        # A client that is not read may have answered.
        waits = management is not None and not self.isHeld
        if waits and not management.checkAcknowledgements(tick, silence):
            self._finish(StreamError("connection-timeout", "No acknowledgement was received."), final=False)
            return 0
        stalled = self.checkStalled(tick)
        if not stalled:
            return 0
        again = min(PARSER_IDLE, stalled)
        if idle:
            again = min(again, idle - silence)
        if keepalive:
            unpinged = tick - max(self._lastReceived, self._lastKeepalive)
            if unpinged >= keepalive:
                self._lastKeepalive = tick
                unpinged = 0
                self.sendKeepalive()
            again = min(again, keepalive - unpinged)
        if silence >= PARSER_IDLE:
            self._parser.idle()
        return again


def _discard(data: bytes) -> None:
    """Replaces C{write} of a closed stream."""
