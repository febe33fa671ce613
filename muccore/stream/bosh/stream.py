# -*- test-case-name: tests.stream.bosh.test_stream -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The stream of a client over BOSH (XEP-0124, XEP-0206).

Negotiation, sessions, limits and throttling are those of other streams. As over WebSocket, TLS is below HTTP and never
negotiated here, and there are no channel bindings: requests may come over many connections.
"""

from __future__ import annotations

from typing import Final, cast

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from muccore.net.tls import ChannelBindings, ServerTLS, TLSByName
from muccore.stream.bosh.body import WRAPPER_SIZE, Body
from muccore.stream.bosh.errors import CODES, REMOTE_STREAM_ERROR, BindingError
from muccore.stream.bosh.framing import BodyParser, BOSHFraming
from muccore.stream.c2s import C2SStream
from muccore.stream.factory import C2SFactory
from muccore.stream.features import StreamFeatures
from muccore.xmpp.errors import StreamError
from muccore.xmpp.specs import Spec

implements: Final = (
    Spec(124, "Bidirectional-streams Over Synchronous HTTP (BOSH)", "1.11.2", "One stream a session, UTF-8 only."),
    Spec(206, "XMPP Over BOSH", "1.4"),
)

BACKLOG: Final = 4
"""How many of the largest bodies may wait to be handled."""


class BOSHStream(BOSHFraming, C2SStream):
    """The stream of one client over BOSH."""

    __slots__ = ("_condition",)

    def __init__(self, factory: C2SFactory, host: str, secure: bool, features: StreamFeatures) -> None:
        super().__init__(factory, host, secure, features)
        self._condition: str | None = None

    def _secure(self, tls: ServerTLS | TLSByName | None) -> None:
        """Do nothing: TLS was started below HTTP, if at all."""

    def bindings(self) -> ChannelBindings | None:
        """See L{muccore.stream.states.INegotiationHost.bindings}."""
        return None

    def bodyReceived(self, body: Body) -> None:
        """Handle a body, after those before it."""
        if self._ended:
            return
        settings = self.factory.settings
        rate = self._rate
        if rate is not None:
            # Each costs at least as much as a stanza.
            rate.owed += rate.stanzaCost
        if self.session is None and body.size > settings.stanzaSizeUnauthenticated + WRAPPER_SIZE:
            self._finish(StreamError("policy-violation", "Too much data before the end of the log-in."))
            return
        self.dataReceived(cast(bytes, body))
        parser = cast(BodyParser, self._parser)
        if parser.waiting > BACKLOG * (settings.stanzaSize + WRAPPER_SIZE):
            self._finish(StreamError("policy-violation", "Too much was sent while much waits to be read."))

    def bodyHandled(self, rid: int) -> None:
        """See L{BOSHFraming.bodyHandled}."""
        self.transport.handled(rid)

    def checkStalled(self, tick: int) -> int:
        """See L{OutboxWatch.checkStalled<muccore.stream.outboxwatch.OutboxWatch>}: inactivity has a limit already."""
        return max(1, int(self.factory.settings.stallTimeout))

    # Ending

    def violated(self, error: BindingError) -> None:
        """End the session: its client has violated BOSH. That may be a fault of the network, so it may be resumed."""
        self._finish(error, final=False)

    def close(self, error: StreamError | None) -> None:
        """See L{C2SStream.close}."""
        if error is not None:
            self._condition = error.binding if isinstance(error, BindingError) else REMOTE_STREAM_ERROR
        super().close(error)

    def endConnection(self) -> None:
        """See L{TCPFraming.endConnection<muccore.stream.framing.TCPFraming.endConnection>}."""
        self.transport.terminate(self._condition, CODES.get(self._condition or "", 200))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See L{C2SStream.connectionLost}."""
        super().connectionLost(reason)
        # The method refers to this stream: a cycle.
        cast(BodyParser, self._parser).handled = _ignore


def _ignore(rid: int) -> None:
    """Replaces C{bodyHandled} once the session has ended."""
