# -*- test-case-name: tests.stream.test_c2s -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The stream of a client: parser, negotiation, transport and session, joined.

L{C2SStream} is the only thing here that is there once for each connection, so it is kept small: its negotiation goes
when it is bound, its parser gives its memory back when nothing comes, its timeouts are on one wheel with all others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from muccore.interfaces import ISession, IStream
from muccore.log.eventlog import CLIENT_THROTTLED, LOGOUT, STREAM_ERROR, Phrase
from muccore.log.logger import Logger
from muccore.net.limits import LOOPBACK, Networks, TokenBucket
from muccore.net.timingwheel import TICK
from muccore.net.tls import ChannelBindings
from muccore.stream import streamlog
from muccore.stream.negotiation import Negotiation, answerStreamIQ
from muccore.stream.parser import parser
from muccore.stream.parser.parser import CLOSED, StanzaParser
from muccore.stream.sending import StanzaSender
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError

if TYPE_CHECKING:
    from muccore.stream.factory import C2SFactory

PARSER_IDLE: Final = 15
"""Ticks of silence after which the parser's memory is given back."""

TIME_SLICE: Final = 0.02
"""Seconds after which one client is no longer listened to in a turn of the reactor, though there is more of what it
has sent: then it is the others' turn, and if it has been cut off meanwhile, that was all."""

PIPELINE_LIMIT: Final = 64 * 1024
"""Bytes that a client may send ahead while the accounts are being asked."""

EPISODE: Final = 60
"""Ticks after which a client that is slowed down again is worth another line in the log."""

STREAM_CLOSE: Final = b"</stream:stream>"
"""What ends a stream."""

_log = Logger()


@dataclass(frozen=True)
class StreamSettings:
    """
    How streams are treated. Sizes are in bytes, times in seconds; 0 switches off what can be switched off.

    @ivar stanzaSize: of a stanza, after the log-in.
    @ivar stanzaSizeUnauthenticated: of an element, before the log-in.
    @ivar depth: levels of elements in a stanza.
    @ivar attributes: of one element.
    @ivar elements: in one stanza.
    @ivar loginTimeout: from the connection to a bound resource.
    @ivar idleTimeout: after the client was last heard; 0 for none.
    @ivar keepalive: after so much silence of the client it is sent a space; 0 for never.
    @ivar rate: bytes a second that are read from one client in the long run; 0 for any number.
    @ivar burst: bytes that are read at once beyond that.
    @ivar connections: streams in all; 0 for any number.
    @ivar connectionsPerAddress: streams from one address; 0 for any number.
    @ivar exempt: from where C{rate} and C{connectionsPerAddress} do not count.
    """

    stanzaSize: int = parser.STANZA_SIZE
    stanzaSizeUnauthenticated: int = 10_000
    depth: int = parser.DEPTH
    attributes: int = parser.ATTRIBUTES
    elements: int = parser.ELEMENTS
    loginTimeout: float = 60.0
    idleTimeout: float = 24 * 60 * 60.0
    keepalive: float = 180.0
    rate: int = 64 * 1024
    burst: int = 1024 * 1024
    connections: int = 50_000
    connectionsPerAddress: int = 50
    exempt: Networks = LOOPBACK


def _ticks(seconds: float) -> int:
    return math.ceil(seconds / TICK)


@implementer(IStream)
class C2SStream(StanzaSender, Protocol):
    """
    One client's connection.

    Everything that comes is taken in L{dataReceived} and nowhere else, and whatever is raised under it ends there.

    @ivar factory: whose it is.
    @ivar session: the session it carries, once there is one.
    @ivar write: the transport's own.
    @ivar due: see L{muccore.net.timingwheel.Watched}.
    """

    # Protocol has no slots, but a dictionary is only made when something else is set.
    __slots__ = (
        "_bucket", "_ended", "_error", "_heard", "_host", "_negotiation", "_parser", "_parsingPaused", "_pinged",
        "_since", "_throttled", "_waitingForTokens", "connected", "due", "factory", "session", "transport", "write",
    )  # fmt: skip

    factory: C2SFactory

    def __init__(self, factory: C2SFactory, host: str, direct: bool) -> None:
        """
        @param host: the peer's address.
        @param direct: whether TLS begins with the first byte.
        """
        settings = factory.settings
        self.factory = factory
        self.transport = None
        self.connected = 0
        self.session: ISession | None = None
        self.due = 0
        self._host = host
        self._ended = False
        self._error: Phrase | None = None
        self._throttled = -EPISODE
        self._parsingPaused = False
        self._waitingForTokens: IDelayedCall | None = None
        self._bucket: TokenBucket | None = None
        if settings.rate and host not in settings.exempt:
            self._bucket = TokenBucket(settings.rate, settings.burst, factory.clock.seconds)
        self._parser = StanzaParser(
            settings.stanzaSizeUnauthenticated, settings.depth, settings.attributes, settings.elements, stepwise=True
        )
        self._negotiation: Negotiation | None = Negotiation(self, factory.features, direct, factory.throttle.bind(host))
        # Until there is a session, this is when the connection was made.
        self._heard = self._pinged = self._since = factory.wheel.tick

    def __repr__(self) -> str:
        return f"<C2SStream {self._host} {self._user()}>"

    def _user(self) -> str:
        return "-" if self.session is None else self.session.jid.full

    # The connection

    def connectionMade(self) -> None:
        """Start TLS if that is how it begins."""
        factory = self.factory
        factory.streams.add(self)
        factory.wheel.schedule(self, _ticks(factory.settings.loginTimeout))
        self.write = self.transport.write
        if cast(Negotiation, self._negotiation).secure:
            try:
                self._secure()
            except Exception:
                self.internalError(Failure())

    def dataReceived(self, data: bytes) -> None:
        """Take what the client sends."""
        if self.session is not None:
            self._heard = self.factory.wheel.tick
        if self._bucket is not None:
            delay = self._bucket.take(len(data))
            if delay:
                self._throttle(delay)
        if self._parsingPaused:
            ahead = self._parser.buffer(data)
            if ahead > PIPELINE_LIMIT and self.session is None:
                self._finish(StreamError("policy-violation", "Too much was sent ahead."))
        else:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        self._take(self._parser.feed(data))

    def _take(self, events: Iterator[parser.Event]) -> None:
        seconds = self.factory.clock.seconds
        until = seconds() + TIME_SLICE
        try:
            for event in events:
                session = self.session
                if session is not None:
                    self._boundReceived(session, event)
                    if seconds() > until and not self._ended:
                        self.pauseParsing()
                        self.factory.clock.callLater(0, self._resumeSlice, events)
                        return
                elif event is CLOSED:
                    self._finish(None, clean=True)
                else:
                    cast(Negotiation, self._negotiation).received(cast(Element, event))
                    if self._parsingPaused:
                        return
        except StreamError as e:
            self._finish(e)
        except Exception:
            self.internalError(Failure())

    def _resumeSlice(self, events: Iterator[parser.Event]) -> None:
        """Take what is left, unless the connection has ended."""
        if not self._ended:
            self._parsingPaused = False
            self._take(events)
            if not self._parsingPaused:
                self._updateReading()

    def _boundReceived(self, session: ISession, event: parser.Event) -> None:
        if event is CLOSED:
            self._finish(None, clean=True)
            return
        element = cast(Element, event)
        if element.name == "iq":
            answer = answerStreamIQ(element, session)
            if answer is not None:
                self.write(answer)
                return
        elif element.uri == ns.STREAM and element.name == "error":
            self._finish(None)
            return
        session.stanzaReceived(element)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone, however that came about."""
        factory, lost = self.factory, None if self._ended else reason
        self._ended = True
        self._release()
        if self._waitingForTokens is not None:
            self._waitingForTokens.cancel()
            self._waitingForTokens = None
        self._endSession(False, lost)
        # The transport's holds the transport.
        self.write = _discard
        factory.streamClosed(self, self._host)

    # Ending

    def close(self, error: StreamError | None) -> None:
        """See L{IStream.close}. The session hears of it when the connection is gone."""
        if self._ended:
            return
        self._ended = True
        if error is not None:
            # Not the error itself: its traceback would keep this stream.
            self._error = streamlog.describeError(error)
            if error.condition not in streamlog.ORDERLY:
                STREAM_ERROR.log(self._host, error=self._error, jid=self._user())
        negotiation = self._negotiation
        preamble = b"" if negotiation is None else negotiation.pendingHeader()
        self.write(preamble + (b"" if error is None else error.render()) + STREAM_CLOSE)
        self.write = _discard
        self._release()
        self.transport.loseConnection()

    def _finish(self, error: StreamError | None, clean: bool = False) -> None:
        """End the stream from below: the session is told at once."""
        self.close(error)
        self._endSession(clean)

    def internalError(self, failure: Failure) -> None:
        """See L{muccore.stream.states.Shell.broken}."""
        _log.failure("A stream failed by a fault of the server", failure)
        self._finish(StreamError("internal-server-error"))

    def _release(self) -> None:
        """Let go of everything that is for what the client still sends."""
        self._parser.stop()
        self._parsingPaused = False
        self.factory.wheel.remove(self)
        negotiation, self._negotiation = self._negotiation, None
        if negotiation is not None:
            negotiation.connectionLost()

    def _endSession(self, clean: bool, lost: Failure | None = None) -> None:
        session, self.session = self.session, None
        if session is None:
            return
        why = streamlog.describeEnd(self._error, clean, lost)
        LOGOUT.log(self._host, jid=session.jid.full, seconds=self.factory.wheel.tick - self._since, why=why)
        try:
            session.streamLost(self, clean)
        except Exception:
            _log.failure("A session failed at its end")

    # What the negotiation needs

    def startTLS(self) -> None:
        """See L{muccore.stream.states.Shell.startTLS}."""
        self._parser.restart(discard=True)
        self._secure()

    def _secure(self) -> None:
        self.transport.startTLS(cast(Negotiation, self._negotiation).offer.tls)
        # The transport may have another one now; the old one must not be used: it could send in the clear.
        self.write = self.transport.write

    def bindings(self) -> ChannelBindings | None:
        """See L{muccore.stream.states.Shell.bindings}."""
        negotiation = cast(Negotiation, self._negotiation)
        tls = negotiation.offer.tls if negotiation.offer.channelBinding else None
        return tls.channelBindings(self.transport) if negotiation.secure and tls is not None else None

    def pauseParsing(self) -> None:
        """See L{muccore.stream.states.Shell.hold}."""
        if not self._ended:
            self._parsingPaused = True
            self._updateReading()

    def resumeParsing(self) -> None:
        """See L{muccore.stream.states.Shell.resume}."""
        if self._parsingPaused:
            self._parsingPaused = False
            self._updateReading()
            self._feed(b"")

    def restartStream(self) -> None:
        """See L{muccore.stream.states.Shell.authenticated}."""
        self._parser.restart()
        self._parser.stanzaSize = self.factory.settings.stanzaSize

    def authenticationFailed(self, condition: str) -> None:
        """See L{muccore.stream.states.Shell.refused}."""
        streamlog.logLoginFailed(self._host, self.transport, cast(Negotiation, self._negotiation), condition)

    def sessionBound(self, session: ISession) -> None:
        """See L{muccore.stream.states.Shell.bound}."""
        negotiation = cast(Negotiation, self._negotiation)
        streamlog.logLogin(self._host, self.transport, negotiation, session.jid.full)
        self.session = session
        self._negotiation = None
        self._parser.stepwise = False
        # Many a client logs in and is silent. Whoever is not gets another expat for some 3 µs.
        self._parser.idle()
        self._heard = self._pinged = self._since = self.factory.wheel.tick
        self.factory.wheel.schedule(self, PARSER_IDLE)

    # Time

    def timeoutDue(self, tick: int) -> int:
        """See L{muccore.net.timingwheel.Watched.look}."""
        settings = self.factory.settings
        if self.session is None:
            left = self._heard + _ticks(settings.loginTimeout) - tick
            if left > 0:
                return left
            self._finish(StreamError("connection-timeout", "The log-in took too long."))
            return 0
        idle, keepalive = _ticks(settings.idleTimeout), _ticks(settings.keepalive)
        silence = tick - self._heard
        if idle and silence >= idle:
            self._finish(StreamError("connection-timeout", "Nothing has come for too long."))
            return 0
        again = PARSER_IDLE
        if idle:
            again = min(again, idle - silence)
        if keepalive:
            unpinged = tick - max(self._heard, self._pinged)
            if unpinged >= keepalive:
                self._pinged = tick
                unpinged = 0
                self.write(b" ")
            again = min(again, keepalive - unpinged)
        if silence >= PARSER_IDLE:
            self._parser.idle()
        return again

    def _throttle(self, delay: float) -> None:
        """Read nothing more for a while; what has been read is not lost."""
        if self._waitingForTokens is None and not self._ended:
            tick = self.factory.wheel.tick
            if tick - self._throttled >= EPISODE:
                CLIENT_THROTTLED.log(self._host, rate=self.factory.settings.rate, jid=self._user())
            self._throttled = tick + _ticks(delay)
            self._waitingForTokens = self.factory.clock.callLater(delay, self._unthrottle)
            self._updateReading()

    def _unthrottle(self) -> None:
        self._waitingForTokens = None
        delay = cast(TokenBucket, self._bucket).take(0)
        if delay:
            self._throttle(delay)
        else:
            self._updateReading()

    def _updateReading(self) -> None:
        """
        Read, or do not. While the accounts are being asked reading goes on: it would not be noticed otherwise that
        somebody has hung up, and he would keep others waiting.
        """
        if self._ended:
            return
        if self._waitingForTokens is not None or (self._parsingPaused and self.session is not None):
            self.transport.pauseProducing()
        else:
            self.transport.resumeProducing()


def _discard(data: bytes) -> None:
    """Write to a stream that has ended."""


__all__ = ["PARSER_IDLE", "PIPELINE_LIMIT", "STREAM_CLOSE", "TIME_SLICE", "C2SStream", "StreamSettings"]
