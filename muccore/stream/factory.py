# -*- test-case-name: tests.stream.test_c2s -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Where clients' streams come from: one factory for all listeners of a domain, which knows all streams."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, ServerFactory

from muccore.log.eventlog import CONNECTION_REFUSED, Phrase
from muccore.net.limits import AddressLimit
from muccore.net.timingwheel import TimingWheel
from muccore.stream.c2s import STREAM_CLOSE, C2SStream, StreamSettings
from muccore.stream.features import StreamFeatures
from muccore.stream.throttle import ACCOUNT_DELAY, LoginThrottle
from muccore.xmpp.errors import StreamError

CLOSE_TIMEOUT: Final = 10.0
"""Seconds that closing all streams may take, unless told otherwise."""

_ABORT_TIMEOUT: Final = 1.0


class RejectedStream(Protocol):
    """A connection that may not stay: it hears why (RFC 6120 §4.9.1.2), and nothing of what it sends is looked at."""

    transport: Any

    def __init__(self, offer: StreamFeatures, error: StreamError, direct: bool) -> None:
        self._features = offer
        self._error = error
        self._direct = direct

    def connectionMade(self) -> None:
        """Say so and go. A handshake would cost too much for that."""
        if self._direct:
            self.transport.abortConnection()
        else:
            self.transport.write(self._features.header(None) + self._error.render() + STREAM_CLOSE)
            self.transport.loseConnection()


class C2SFactory(ServerFactory):
    """
    Makes the streams of clients, for listeners on which TLS comes by STARTTLS or not at all.

    @ivar clock: tells the time; the reactor's L{muccore.net.flush.Turn}.
    @ivar settings: how streams are treated.
    @ivar features: what streams are offered.
    @ivar streams: all that are connected.
    @ivar limit: counts them.
    @ivar throttle: slows down guessing on them.
    @ivar wheel: their timeouts.
    @ivar directTLS: the factory for listeners on which TLS begins with the first byte; its streams are among these.
    """

    noisy = False

    def __init__(self, clock: IReactorTime, offer: StreamFeatures, settings: StreamSettings | None = None) -> None:
        self.clock = clock
        self.streams: set[C2SStream] = set()
        self.limit = AddressLimit(0)
        self.throttle = LoginThrottle(clock)
        self.wheel = TimingWheel(clock)
        self.directTLS = _DirectTLSFactory(self)
        self._ending: StreamError | None = None
        self._waiting: list[Deferred[None]] = []
        self._deadline: IDelayedCall | None = None
        self.configure(offer, settings)

    def configure(self, offer: StreamFeatures, settings: StreamSettings | None = None) -> None:
        """
        Treat streams otherwise from now on. Those there are keep the sizes, rate and offer with which they began;
        timeouts and limits of their number change for all of them, and nobody is disconnected for it.
        """
        if settings is None:
            settings = StreamSettings()
        self.features = offer
        self.settings = settings
        limit = self.limit
        limit.perAddress, limit.total, limit.exempt = (
            settings.connectionsPerAddress,
            settings.connections,
            settings.exempt,
        )
        self.throttle.exempt = settings.exempt
        # So that the owner of an account gets in while others guess, whatever time there is for it.
        self.throttle.accountDelay = min(ACCOUNT_DELAY, settings.loginTimeout / 4)

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """See L{ServerFactory.buildProtocol}."""
        return self.build(addr, False)

    def build(self, addr: IAddress | None, direct: bool) -> Protocol:
        """
        Make the protocol of a connection.

        @param direct: whether TLS begins with the first byte.
        """
        if self._ending is not None:
            return RejectedStream(self.features, self._ending, direct)
        if direct and self.features.tls is None:
            # There was a certificate when the listener was made.
            return RejectedStream(self.features, StreamError("internal-server-error"), direct)
        host: str = getattr(addr, "host", "")
        condition = self.limit.enter(host)
        if condition is not None:
            total, here = f"connections ({self.limit.total})", f"connections_per_address ({self.limit.perAddress})"
            CONNECTION_REFUSED.log(host, limit=Phrase(total if condition == "resource-constraint" else here))
            return RejectedStream(self.features, StreamError(condition, "Too many connections."), direct)
        return C2SStream(self, host, direct)

    def streamClosed(self, stream: C2SStream, host: str) -> None:
        """A stream has lost its connection. Only streams call this."""
        self.streams.discard(stream)
        self.limit.leave(host)
        if not self.streams:
            self._allClosed()

    def closeAll(self, error: StreamError, timeout: float = CLOSE_TIMEOUT) -> Deferred[None]:
        """
        Close all streams, and refuse those that still come.

        @param timeout: seconds after which those that are left are cut off.
        @return: fires when all of them are gone.
        """
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
        # Each of them hears of its end in a later turn; whatever does not is not waited for.
        self._deadline = self.clock.callLater(_ABORT_TIMEOUT, self._abortRemaining)
        for stream in list(self.streams):
            stream.transport.abortConnection()

    def _abortRemaining(self) -> None:
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
    """Makes streams under TLS for another factory."""

    noisy = False

    def __init__(self, factory: C2SFactory) -> None:
        self._factory = factory

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """See L{ServerFactory.buildProtocol}."""
        return self._factory.build(addr, True)


__all__ = ["CLOSE_TIMEOUT", "C2SFactory", "RejectedStream"]
