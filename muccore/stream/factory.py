# -*- test-case-name: tests.stream.test_c2s -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The factory of client streams: one for all listeners of a server."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, ServerFactory

from muccore.log.eventlog import CONNECTION_REFUSED, Phrase
from muccore.net.limits import AddressBuckets, AddressLimit, TokenBucket
from muccore.net.timingwheel import TimingWheel
from muccore.stream.c2s import C2SStream, StreamSettings
from muccore.stream.features import StreamFeatures
from muccore.stream.flowcontrol import PAYABLE, InputQueue, InputRate
from muccore.stream.framing import STREAM_CLOSE
from muccore.stream.throttle import ACCOUNT_DELAY, LoginThrottle
from muccore.xmpp.errors import StreamError

CLOSE_TIMEOUT: Final = 10.0
"""Default time for closing all streams, in seconds."""

_ABORT_TIMEOUT: Final = 1.0


class RejectedStream(Protocol):
    """A rejected connection: it is sent a stream error (RFC 6120 §4.9.1.2), and its input is ignored."""

    transport: Any

    def __init__(self, header: bytes, error: StreamError, direct: bool) -> None:
        self._header = header
        self._error = error
        self._direct = direct

    def connectionMade(self) -> None:
        """Send the error and close; under direct TLS only close, to save the handshake."""
        if self._direct:
            self.transport.abortConnection()
        else:
            self.transport.write(self._header + self._error.render() + STREAM_CLOSE)
            self.transport.loseConnection()


class C2SFactory(ServerFactory):
    """
    Creates the streams of clients, for listeners with STARTTLS or without TLS.

    @cvar streamClass: the class of its streams.
    @ivar clock: the reactor's L{FlushScheduler<muccore.net.flush.FlushScheduler>}.
    @ivar settings: limits and timeouts of new streams.
    @ivar features: what new streams offer.
    @ivar streams: all connected streams.
    @ivar limit: counts them by address.
    @ivar queue: when the input of its streams is handled.
    @ivar throttle: slows down password guessing.
    @ivar wheel: the timeouts of the streams.
    @ivar directTLS: the factory for listeners with direct TLS, whose streams belong to this one.
    """

    noisy = False

    streamClass: ClassVar[type[C2SStream]] = C2SStream

    def __init__(self, clock: IReactorTime, features: StreamFeatures, settings: StreamSettings) -> None:
        self.clock = clock
        self.streams: set[C2SStream] = set()
        self.limit = AddressLimit(0)
        self.queue = InputQueue(clock)
        self.throttle = LoginThrottle(clock)
        self.wheel = TimingWheel(clock)
        self.directTLS = _DirectTLSFactory(self)
        self._ending: StreamError | None = None
        self._addressRate: tuple[int, int] | None = None
        self._waiting: list[Deferred[None]] = []
        self._deadline: IDelayedCall | None = None
        self.configure(features, settings)

    def configure(self, features: StreamFeatures, settings: StreamSettings) -> None:
        """
        Change the configuration. Existing streams keep their features, sizes and rate; timeouts change for all. New
        limits of number disconnect nobody.
        """
        self.features = features
        self.settings = settings
        rate = (settings.addressRate, settings.addressBurst)
        if rate != self._addressRate:
            self._addressRate = rate
            self._addresses = AddressBuckets(*rate, self.clock.seconds)
        limit = self.limit
        limit.perAddress, limit.total, limit.exempt = (
            settings.connectionsPerAddress,
            settings.connections,
            settings.exempt,
        )
        self.throttle.exempt = settings.exempt
        # The owner of an account must be able to log in within the timeout while others guess.
        self.throttle.accountDelay = min(ACCOUNT_DELAY, settings.loginTimeout / 4)

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """See L{ServerFactory.buildProtocol}."""
        return self.build(addr, False)

    def build(self, addr: IAddress | None, direct: bool) -> Protocol:
        """Create the protocol of a connection, C{direct} under TLS."""
        if self._ending is not None:
            return self._reject(self._ending, direct)
        if direct and self.features.tls is None:
            # The certificate was removed from the configuration after the listener was created.
            return self._reject(StreamError("internal-server-error"), direct)
        host: str = getattr(addr, "host", "")
        condition = self.admit(host)
        if condition is not None:
            return self._reject(StreamError(condition, "Too many connections."), direct)
        return self.streamClass(self, host, direct)

    def _reject(self, error: StreamError, direct: bool) -> RejectedStream:
        return RejectedStream(self.streamClass.renderHeader(self.features.header(None)), error, direct)

    def admit(self, host: str, isProxy: bool = False) -> str | None:
        """Count a connection, which may not carry a stream yet: L{AddressLimit.enter} with a log line."""
        condition = self.limit.enter(host, isProxy)
        if condition is not None:
            total, here = f"connections ({self.limit.total})", f"connections_per_address ({self.limit.perAddress})"
            CONNECTION_REFUSED.log(host, limit=Phrase(total if condition == "resource-constraint" else here))
        return condition

    def rateFor(self, host: str) -> InputRate | None:
        """What a stream from an address pays for its input; C{None} for nothing."""
        settings = self.settings
        if host in settings.exempt or not (settings.rate or settings.addressRate):
            return None
        own = TokenBucket(settings.rate, settings.burst, self.clock.seconds) if settings.rate else None
        address = self._addresses.of(host) if settings.addressRate else None
        lowest = min(filter(None, (settings.rate, settings.addressRate)))
        return InputRate(own, address, min(PAYABLE, lowest / 16), settings.stanzaCost)

    def release(self, host: str) -> None:
        """Stop counting a connection that was admitted, and carried no stream."""
        self.limit.leave(host)

    @property
    def ending(self) -> bool:
        """Whether all streams are being closed, and new ones rejected."""
        return self._ending is not None

    def streamClosed(self, stream: C2SStream, host: str) -> None:
        """Remove a stream whose connection was lost. Only streams call this."""
        self.streams.discard(stream)
        self.limit.leave(host)
        if not self.streams:
            self._allClosed()

    def closeAll(self, error: StreamError, timeout: float = CLOSE_TIMEOUT) -> Deferred[None]:
        """Close all streams, and reject new ones; fires when none is left. After C{timeout} seconds abort the rest."""
        self._ending = error
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.clock.callLater(timeout, self._abortAll)
        for stream in list(self.streams):
            stream.close(error)
        if not self.streams:
            self._allClosed()
        return done

    def _abortAll(self) -> None:
        # connectionLost is called in a later turn; do not wait longer than this for it.
        self._deadline = self.clock.callLater(_ABORT_TIMEOUT, self._closeTimedOut)
        for stream in list(self.streams):
            stream.transport.abortConnection()

    def _closeTimedOut(self) -> None:
        self._deadline = None
        self._allClosed()

    def _allClosed(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.callback(None)


class _DirectTLSFactory(ServerFactory):
    """Creates streams with direct TLS for another factory."""

    noisy = False

    def __init__(self, factory: C2SFactory) -> None:
        self._factory = factory

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """See L{ServerFactory.buildProtocol}."""
        return self._factory.build(addr, True)
