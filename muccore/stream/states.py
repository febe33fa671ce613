# -*- test-case-name: tests.stream.test_negotiation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The states and steps of a negotiation, and its host. See L{muccore.stream.negotiation}."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from twisted.python.failure import Failure

from muccore.interfaces import ISession
from muccore.net.tls import ChannelBindings
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import Rendered

if TYPE_CHECKING:
    from muccore.stream.negotiation import Negotiation


class State(enum.Enum):
    """The state of a negotiation."""

    # Members are singletons; Enum's own method is in Python, and states are looked up for each element.
    __hash__ = object.__hash__

    OPENING = enum.auto()
    """Nothing was received yet."""
    UNSECURED = enum.auto()
    """The header was answered, without TLS."""
    HANDSHAKE = enum.auto()
    """TLS was started; nothing was received through it yet."""
    SECURED = enum.auto()
    """The header was answered under TLS."""
    CHECKING = enum.auto()
    """Credentials are being checked."""
    AUTHENTICATING = enum.auto()
    """The client must answer a challenge."""
    RESPONDING = enum.auto()
    """SASL2: the client must answer a challenge."""
    CONTINUING = enum.auto()
    """SASL2: the client must begin a task."""
    PERFORMING = enum.auto()
    """SASL2: the client must send the data of a task."""
    REFUSED = enum.auto()
    """SASL2: a task has failed, after which no other log-in is allowed."""
    RESTARTING = enum.auto()
    """The log-in succeeded; the client must send a new header."""
    AUTHENTICATED = enum.auto()
    """The new header was answered; no resource is bound."""
    BOUND = enum.auto()
    """A resource is bound; everything else is for its session."""
    CLOSED = enum.auto()
    """The stream has ended."""


Step = Callable[["Negotiation", Element], Any]
"""Handles an element; may set a state other than the next one of its row, and raise L{StreamError}."""

Row = dict[tuple[str | None, str], tuple[Step, State]]
"""The expected elements of a state by namespace and name, with their step and the next state."""


class INegotiationHost(Protocol):
    """What a negotiation runs on: an L{IStream<muccore.interfaces.IStream>} with more methods."""

    @property
    def address(self) -> str:
        """The address of the client."""

    def sendHeader(self, attributes: bytes) -> None:
        """See L{TCPFraming.sendHeader<muccore.stream.framing.TCPFraming.sendHeader>}."""

    def send(self, stanza: Rendered, to: bytes) -> None:
        """See L{IStream.send<muccore.interfaces.IStream.send>}."""

    def sendNonza(self, element: bytes) -> None:
        """See L{IStream.sendNonza<muccore.interfaces.IStream.sendNonza>}."""

    def close(self, error: StreamError | None) -> None:
        """See L{IStream.close<muccore.interfaces.IStream.close>}."""

    def startTLS(self) -> None:
        """Start TLS, and expect a new stream. Data received before is dropped."""

    def bindings(self) -> ChannelBindings | None:
        """The channel bindings of the connection, or C{None} without TLS or if they are switched off."""

    def pauseParsing(self) -> None:
        """Buffer input until L{resumeParsing}."""

    def resumeParsing(self) -> None:
        """Handle buffered and further input."""

    def restartStream(self) -> None:
        """Expect a new stream, of an authenticated client."""

    def continueStream(self) -> None:
        """Go on with the same stream, of an authenticated client."""

    def authenticationFailed(self, condition: str) -> None:
        """Note a failed log-in, with the condition that was sent to the client (RFC 6120 §6.5)."""

    def sessionBound(self, session: ISession, resumed: bool = False) -> None:
        """Pass further stanzas to the session, which is new unless C{resumed}."""

    def internalError(self, failure: Failure) -> None:
        """Log a fault of the server, and close the stream."""
