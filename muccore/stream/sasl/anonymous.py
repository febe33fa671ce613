# -*- test-case-name: tests.stream.sasl.test_anonymous -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The SASL mechanism ANONYMOUS (RFC 4505, XEP-0175), by which guests log in: a row for the table of mechanisms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred

from muccore.log.eventlog import clean
from muccore.log.logger import Logger
from muccore.stream.sasl.exchange import Outcome, SASLExchange, SASLFailure, Success, decodeUTF8
from muccore.stream.sasl.mechanisms import Mechanism
from muccore.xmpp.guestnames import newGuestName
from muccore.xmpp.specs import Spec

implements = (Spec(4505, "The ANONYMOUS SASL Mechanism", series="RFC"),)

TRACE_LIMIT: Final = 255
"""Characters of trace data (RFC 4505 §2)."""

_log: Final = Logger()


class AnonymousExchange(SASLExchange):
    """Gives a client the name of a new guest. What it sends is for debugging only (XEP-0175 §3)."""

    def __init__(self, hasRoom: Callable[[], bool]) -> None:
        """@param hasRoom: whether one more guest may log in."""
        super().__init__()
        self._hasRoom = hasRoom

    def start(self, initial: bytes | None) -> Deferred[Outcome]:
        """See L{SASLExchange.start}. Without an initial response there is no trace data, and nothing to ask for."""
        return self.respond(initial or b"")

    async def first(self, data: bytes) -> Outcome:
        """Log the guest in."""
        trace = decodeUTF8(data)
        if len(trace) > TRACE_LIMIT:
            raise SASLFailure("malformed-request", f"Trace data has at most {TRACE_LIMIT} characters.")
        if not self._hasRoom():
            raise SASLFailure("temporary-auth-failure", "There are too many guests; try again later.")
        user = newGuestName()
        if trace:
            _log.debug("guest {user} sends trace data: {trace}", user=user, trace=clean(trace))
        return Success(user)


def anonymous(hasRoom: Callable[[], bool]) -> Mechanism:
    """
    Create the row of the mechanism, for a domain that has guests.

    @param hasRoom: see L{AnonymousExchange}.
    """
    return Mechanism("ANONYMOUS", lambda sasl, layer: None, lambda sasl, layer: AnonymousExchange(hasRoom))
