# -*- test-case-name: tests.stream.sasl2.test_profile -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The exchange of a log-in by SASL2: that of its mechanism, and what has to be done after it and before the success
(XEP-0388 §2.6).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred, fail, succeed

from muccore.interfaces import ISession, StoreError
from muccore.log.logger import Logger
from muccore.stream.sasl.exchange import Challenge, Outcome, SASLExchange, SASLFailure, Success, begin, guarded
from muccore.stream.sasl2.fast import Fast, TokenExchange
from muccore.stream.sasl2.heldstream import HeldStream
from muccore.stream.sasl2.request import Request
from muccore.stream.sasl2.upgrade import Task, Upgrades
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError

_log = Logger()


@dataclass(frozen=True)
class Opened:
    """
    The session of a log-in.

    @ivar session: the session, or C{None} if there is none yet.
    @ivar resumed: whether it was there before.
    @ivar answers: rendered answers to what was asked for.
    @ivar held: what its stanzas are held back by, if by anything.
    @ivar error: what the stream ends with instead.
    """

    session: ISession | None = None
    resumed: bool = False
    answers: bytes = b""
    held: HeldStream | None = None
    error: StreamError | None = None


Open = Callable[[str], Awaitable[Opened]]
"""Resumes or binds a session for a user, as the client has asked for; may raise L{SASLFailure}."""


@dataclass(frozen=True)
class Authenticated(Success):
    """
    The success of a log-in by SASL2.

    @ivar opened: what has become of the session that was asked for.
    @ivar token: the token for the client, rendered; C{b""} for none.
    """

    opened: Opened = field(kw_only=True)
    token: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class TaskOffer(Challenge):
    """
    The success of the mechanism, or of a task, with another one to be performed.

    @ivar data: additional data of the mechanism; C{None} after a task.
    @ivar task: the name of the task.
    """

    data: bytes | None = field(repr=False)  # type: ignore[assignment]
    task: str = ""


@dataclass(frozen=True)
class TaskData(Challenge):
    """What a client needs for its task; the data is rendered."""


class NoSession(SASLFailure):
    """
    The log-in was right, but the account may not have another session.

    @ivar reason: the condition of the stanza error.
    """

    def __init__(self, condition: str, text: str | None) -> None:
        super().__init__("temporary-auth-failure", text)
        self.reason = condition


class TaskFailed(SASLFailure):
    """
    A task has failed, or what comes after it; no other log-in is allowed (§4.9).

    @ivar error: why.
    """

    def __init__(self, error: SASLFailure) -> None:
        super().__init__(error.condition, error.text)
        self.error = error


class Authentication:
    """
    One log-in by SASL2.

    @ivar request: what the client has asked for.
    """

    def __init__(
        self,
        request: Request,
        exchange: SASLExchange,
        upgrades: Upgrades,
        account: Callable[[str], str],
        check: Callable[[str], object],
        open: Open,
        fast: Fast | None = None,
        token: str | None = None,
    ) -> None:
        """
        @param upgrades: the tasks that it may ask for.
        @param account: makes the account of a user name.
        @param check: raises L{SASLFailure} if a user may not log in, although their credentials are right.
        @param open: opens the session.
        @param fast: gives tokens.
        @param token: the mechanism of the token that the client is to get.
        """
        self.request = request
        self._exchange = exchange
        self._account = account
        self._check = check
        self._open = open
        self._fast = fast
        self._token = token
        self._upgrades = upgrades
        self._tasks: list[Task] = []
        self._success: Success | None = None

    @property
    def claimed(self) -> str | None:
        """See L{IExchange.claimed<muccore.stream.login.IExchange.claimed>}."""
        return self._exchange.claimed

    def start(self, initial: bytes | None) -> Deferred[Outcome]:
        """See L{IExchange.start<muccore.stream.login.IExchange.start>}."""
        return begin(guarded(self._complete(initial)))

    def respond(self, data: bytes) -> Deferred[Outcome]:
        """See L{IExchange.respond<muccore.stream.login.IExchange.respond>}."""
        return begin(guarded(self._complete(data)))

    async def _complete(self, data: bytes | None) -> Outcome:
        outcome = await self._exchange.take(data)
        if not isinstance(outcome, Success):
            return outcome
        self._success = outcome
        if self.request.upgrades:
            account = self._account(outcome.user)
            self._tasks = await self._upgrades.choose(self.request.upgrades, account, outcome)
        return await self._next(outcome, outcome.data)

    async def _next(self, success: Success, data: bytes | None) -> Outcome:
        """Go on with the next task, or come to the end. Who may not log in is given nothing that is stored."""
        self._check(success.user)
        if self._tasks:
            return TaskOffer(data, self._tasks[0].name)
        token = await self._makeToken(success)
        opened = await self._open(success.user)
        return Authenticated(success.user, data, success.keys, opened=opened, token=token)

    def beginTask(self, name: str) -> Deferred[Outcome]:
        """Begin the task that was offered; fails with L{TaskFailed} if it is another one."""
        task = self._tasks[0]
        if name != task.name:
            return fail(TaskFailed(SASLFailure("malformed-request")))
        return succeed(TaskData(task.begin()))

    def performTask(self, data: Element) -> Deferred[Outcome]:
        """Perform a task that has begun; fails with L{TaskFailed}."""
        return begin(guarded(self._perform(data)))

    async def _perform(self, data: Element) -> Outcome:
        assert self._success is not None
        try:
            await guarded(self._tasks.pop(0).perform(data))
            return await guarded(self._next(self._success, None))
        except SASLFailure as e:
            raise TaskFailed(e) from None

    async def _makeToken(self, success: Success) -> bytes:
        """Give the client a token if it gets one; if that fails, it has logged in all the same."""
        if self._fast is None:
            return b""
        used = self._exchange if isinstance(self._exchange, TokenExchange) else None
        try:
            return await self._fast.answer(success, self.request.client, self._token, used)
        except StoreError as e:
            _log.error("A client gets no token: {error}", error=str(e))
            return b""
