# -*- test-case-name: tests.stream.test_negotiation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The log-in of a stream: runs SASL exchanges for a profile, and limits failures.

Credentials may be checked in a thread. Meanwhile the negotiation is in CHECKING, and its host buffers what the client
sends, so that clients may pipeline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, cast

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from muccore.log.logger import Logger
from muccore.stream.sasl.exchange import Attempt, BindingRefused, Challenge, Outcome, SASLFailure, Success
from muccore.stream.states import State
from muccore.xmpp.jid import JID

if TYPE_CHECKING:
    from muccore.stream.negotiation import Negotiation

BINDING_TRIES: Final = 8
"""Refused channel bindings after which the stream is closed. A client has no reason for more than one per mechanism."""

_log = Logger()


class ILoginProfile(Protocol):
    """A profile of SASL: the elements of log-ins on the wire."""

    def sendChallenge(self, negotiation: Negotiation, challenge: Challenge) -> None:
        """Send a challenge, and set the state in which it is answered."""

    def sendFailure(self, negotiation: Negotiation, error: SASLFailure) -> None:
        """Send a failure, after which the client may try again unless this sets another state."""

    def sendSuccess(self, negotiation: Negotiation, account: JID, success: Success) -> None:
        """
        Send the success, note the account, and set the negotiation's next state.

        @raise SASLFailure: if the log-in fails after all; then nothing was sent.
        """


class IExchange(Protocol):
    """What a log-in consists of: an L{SASLExchange}, or one with more steps."""

    @property
    def claimed(self) -> str | None:
        """See L{SASLExchange}."""

    def start(self, initial: bytes | None) -> Deferred[Outcome]:
        """See L{SASLExchange.start}."""

    def respond(self, data: bytes) -> Deferred[Outcome]:
        """See L{SASLExchange.respond}."""


class Login:
    """
    The log-in of one stream.

    @ivar attempt: schedules password checks.
    @ivar exchange: the exchange that is going on.
    @ivar mechanism: the SASL mechanism that the client named last, C{""} for none.
    @ivar claimed: the user name in the last failed log-in, as L{SASLExchange.claimed}.
    """

    __slots__ = ("_paused", "_pending", "_refusedBindings", "attempt", "claimed", "exchange", "mechanism")

    def __init__(self, attempt: Attempt | None) -> None:
        """@param attempt: schedules password checks; at once unless given."""
        self.attempt = attempt
        self.exchange: IExchange | None = None
        self._pending: Deferred[Outcome] | None = None
        self._paused = False
        self._refusedBindings = 0
        self.mechanism = ""
        self.claimed: str | None = None

    def begin(
        self, negotiation: Negotiation, profile: ILoginProfile, exchange: IExchange, initial: bytes | None
    ) -> None:
        """Begin an exchange with the initial response."""
        self.exchange = exchange
        self.awaitOutcome(negotiation, profile, exchange.start(initial))

    def respond(self, negotiation: Negotiation, profile: ILoginProfile, data: bytes) -> None:
        """Go on with the client's response."""
        self.awaitOutcome(negotiation, profile, cast(IExchange, self.exchange).respond(data))

    def cancel(self) -> None:
        """Drop the exchange: the stream has ended."""
        self.exchange = None
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.cancel()

    def awaitOutcome(self, negotiation: Negotiation, profile: ILoginProfile, outcome: Deferred[Outcome]) -> None:
        """Go on with the outcome of a step, now or later."""
        if outcome.called and isinstance(outcome.result, Challenge | Success):
            # Nothing had to be waited for.
            try:
                self._stepSucceeded(outcome.result, negotiation, profile)
            except Exception:
                self._internalError(Failure(), negotiation)
            return
        self._pending = outcome
        args = (negotiation, profile)
        outcome.addCallbacks(self._stepSucceeded, self._stepFailed, callbackArgs=args, errbackArgs=args)
        outcome.addErrback(self._internalError, negotiation)
        if negotiation.state is State.CHECKING:
            self._paused = True
            negotiation.host.pauseParsing()

    def _stepSucceeded(self, outcome: Outcome, negotiation: Negotiation, profile: ILoginProfile) -> None:
        if negotiation.state is not State.CHECKING:
            return
        if isinstance(outcome, Challenge):
            profile.sendChallenge(negotiation, outcome)
        else:
            account = JID(outcome.user, negotiation.features.domain, "")
            refusal = negotiation.refusal(account)
            try:
                if refusal is not None:
                    raise SASLFailure(refusal)
                profile.sendSuccess(negotiation, account, outcome)
            except SASLFailure as e:
                self.fail(negotiation, profile, e)
            self.exchange = None
        self._resume(negotiation)

    def _stepFailed(self, failure: Failure, negotiation: Negotiation, profile: ILoginProfile) -> None:
        failure.trap(SASLFailure)
        if negotiation.state is State.CHECKING:
            self.fail(negotiation, profile, cast(SASLFailure, failure.value))
            self._resume(negotiation)

    def _internalError(self, failure: Failure, negotiation: Negotiation) -> None:
        if negotiation.state is not State.CLOSED:
            negotiation.host.internalError(failure)

    def _resume(self, negotiation: Negotiation) -> None:
        self._pending = None
        if self._paused:
            self._paused = False
            negotiation.host.resumeParsing()

    def fail(self, negotiation: Negotiation, profile: ILoginProfile, error: SASLFailure) -> None:
        """Refuse the log-in; the client may try again, as often as the limit allows."""
        negotiation.state = State.SECURED if negotiation.secure else State.UNSECURED
        self.claimed = None if self.exchange is None else self.exchange.claimed
        self.exchange = None
        profile.sendFailure(negotiation, error)
        if isinstance(error, BindingRefused):
            self._refusedBindings += 1
            _log.debug("{stream}: channel binding refused: {error}", stream=negotiation.host, error=str(error))
            if self._refusedBindings >= BINDING_TRIES:
                negotiation.tooManyFailures()
        else:
            negotiation.host.authenticationFailed(error.condition)
            negotiation.countFailure()
