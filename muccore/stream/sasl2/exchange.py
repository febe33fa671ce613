# -*- test-case-name: tests.stream.sasl2.test_profile -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The exchange of a log-in by SASL2: that of its mechanism, and what has to be done after it and before the success
(XEP-0388 §2.6).
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred

from muccore.stream.login import IExchange
from muccore.stream.sasl.exchange import Outcome, Success, begin, guarded
from muccore.stream.sasl2.request import Request


@dataclass(frozen=True)
class Authenticated(Success):
    """
    The success of a log-in by SASL2.

    @ivar answers: rendered answers to what was asked for inside the log-in.
    """

    answers: bytes = field(default=b"", repr=False)


class Authentication:
    """
    One log-in by SASL2.

    @ivar request: what the client has asked for.
    """

    def __init__(self, request: Request, exchange: IExchange) -> None:
        self.request = request
        self._exchange = exchange

    @property
    def claimed(self) -> str | None:
        """See L{IExchange.claimed<muccore.stream.login.IExchange.claimed>}."""
        return self._exchange.claimed

    def start(self, initial: bytes | None) -> Deferred[Outcome]:
        """See L{IExchange.start<muccore.stream.login.IExchange.start>}."""
        return self._goOn(self._exchange.start(initial))

    def respond(self, data: bytes) -> Deferred[Outcome]:
        """See L{IExchange.respond<muccore.stream.login.IExchange.respond>}."""
        return self._goOn(self._exchange.respond(data))

    def _goOn(self, outcome: Deferred[Outcome]) -> Deferred[Outcome]:
        return begin(guarded(self._complete(outcome)))

    async def _complete(self, step: Awaitable[Outcome]) -> Outcome:
        outcome = await step
        if not isinstance(outcome, Success):
            return outcome
        return Authenticated(outcome.user, outcome.data)
