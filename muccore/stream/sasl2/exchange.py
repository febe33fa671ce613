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

from muccore.interfaces import StoreError
from muccore.log.logger import Logger
from muccore.stream.login import IExchange
from muccore.stream.sasl.exchange import Outcome, Success, begin, guarded
from muccore.stream.sasl2.fast import Fast, TokenExchange
from muccore.stream.sasl2.request import Request

_log = Logger()


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

    def __init__(
        self, request: Request, exchange: IExchange, fast: Fast | None = None, token: str | None = None
    ) -> None:
        """
        @param fast: gives tokens.
        @param token: the mechanism of the token that the client is to get.
        """
        self.request = request
        self._exchange = exchange
        self._fast = fast
        self._token = token

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
        return Authenticated(outcome.user, outcome.data, await self._makeToken(outcome.user))

    async def _makeToken(self, user: str) -> bytes:
        """Give the client a token if it gets one; if that fails, it has logged in all the same."""
        if self._fast is None:
            return b""
        used = self._exchange if isinstance(self._exchange, TokenExchange) else None
        try:
            return await self._fast.answer(user, self.request.client, self._token, used)
        except StoreError as e:
            _log.error("A client gets no token: {error}", error=str(e))
            return b""
