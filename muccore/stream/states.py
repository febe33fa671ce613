# -*- test-case-name: tests.stream.test_negotiation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Where a negotiation stands, and what it needs around it. See L{muccore.stream.negotiation}."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

from twisted.python.failure import Failure

from muccore.interfaces import ISession
from muccore.net.tls import ChannelBindings
from muccore.xmpp.errors import StreamError


class State(enum.Enum):
    """Where a negotiation stands."""

    OPENING = enum.auto()
    """Nothing has come yet."""
    UNSECURED = enum.auto()
    """The header has been answered; there is no TLS."""
    HANDSHAKE = enum.auto()
    """TLS has begun; nothing has come through it yet."""
    SECURED = enum.auto()
    """The header has been answered under TLS."""
    CHECKING = enum.auto()
    """The accounts are asked."""
    AUTHENTICATING = enum.auto()
    """The client has to answer a challenge."""
    RESTARTING = enum.auto()
    """The client has been told that it is logged in; its header has not come yet."""
    AUTHENTICATED = enum.auto()
    """The header has been answered; no resource is bound."""
    BOUND = enum.auto()
    """There is a session; everything else is its business."""
    CLOSED = enum.auto()
    """It is over."""


class INegotiationHost(Protocol):
    """What a negotiation needs around it: an L{ICarrier} that can do a little more."""

    write: Callable[[bytes], None]

    def close(self, error: StreamError | None) -> None:
        """See L{ICarrier.close}."""

    def startTLS(self) -> None:
        """Go on under TLS, with a new stream. What has been received already is thrown away."""

    def bindings(self) -> ChannelBindings | None:
        """The channel bindings of this connection, or C{None} where there is no TLS or they are switched off."""

    def pauseParsing(self) -> None:
        """Hold back whatever comes, until L{resumeParsing}."""

    def resumeParsing(self) -> None:
        """Go on with what was held back."""

    def restartStream(self) -> None:
        """What comes now is a new stream, of somebody who is known."""

    def authenticationFailed(self, condition: str) -> None:
        """
        A try to log in has failed.

        @param condition: why, as the client was told (RFC 6120 §6.5).
        """

    def sessionBound(self, session: ISession) -> None:
        """What comes now is for the session."""

    def internalError(self, failure: Failure) -> None:
        """Something went wrong that is the server's fault."""


__all__ = ["INegotiationHost", "State"]
