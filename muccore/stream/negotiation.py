# -*- test-case-name: tests.stream.test_negotiation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The negotiation of a client's stream until a resource is bound: header, STARTTLS, SASL, bind (RFC 6120 §4 to §7).

This module reads no bytes and knows no socket: those belong to the L{INegotiationHost}.

Theory of operation
===================

A negotiation is in one L{State}. For each state, L{TABLE} has the expected elements with their step and the next
state; a step that leads elsewhere sets the state itself. Any other element is a stream error. The header of a stream
is an element like the others. ::

    OPENING --header--> UNSECURED --starttls--> HANDSHAKE --header--> SECURED      (direct TLS begins in HANDSHAKE)
                            |                                            |
                            +-------------------auth---------------------+
                                                 |
                                                 v
       UNSECURED or SECURED <--failure-- CHECKING --challenge--> AUTHENTICATING
                                         |      ^                      |
                                      success   +-------response-------+
                                         |
                                         v
                                     RESTARTING --header--> AUTHENTICATED --bind--> BOUND

In CHECKING, credentials are being checked; meanwhile the host buffers what the client sends, so clients may pipeline.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, cast

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from muccore.interfaces import ISession, IStream
from muccore.log.logger import Logger
from muccore.stream.features import BINDING_TRIES, LANGUAGE, OFF, REQUIRED, StreamFeatures
from muccore.stream.sasl.elements import decodeData, renderData, renderFailure
from muccore.stream.sasl.exchange import Attempt, BindingRefused, Challenge, Outcome, SASLExchange, SASLFailure, Success
from muccore.stream.states import INegotiationHost, State
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element, reply
from muccore.xmpp.errors import StanzaError, StreamError, errorReply
from muccore.xmpp.jid import JID, InvalidJID
from muccore.xmpp.rendering import withAddress
from muccore.xmpp.specs import Spec

implements: Final = (
    Spec(6120, "XMPP: Core", note="Client to server.", series="RFC"),
    Spec(3921, "XMPP: Instant Messaging and Presence", note="The session request, which does nothing.", series="RFC"),
)
"""The specifications that this module implements."""

_STANZAS: Final = frozenset(["iq", "message", "presence"])

_LANGUAGE: Final = re.compile(r"(?=.{1,35}\Z)[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
"""A language tag (RFC 5646 §2.1) of at most the length to be expected (§4.4.1)."""

_VERSION: Final = re.compile(r"0*([0-9]{1,9})\.[0-9]{1,9}")

_log = Logger()


class Negotiation:
    """
    The negotiation of one connection.

    @ivar features: what it offers; unaffected by a new configuration.
    @ivar state: its state.
    @ivar secure: whether the stream is under TLS.
    @ivar headerSent: whether the header of the present stream was sent.
    @ivar account: the authenticated bare JID.
    @ivar mechanism: the SASL mechanism that the client named last, C{""} for none.
    @ivar claimed: the user name in the last failed log-in, as L{SASLExchange.claimed}.
    """

    __slots__ = (
        "_attempt", "_bindingFailures", "_clientJID", "_exchange", "_failures", "_host", "_language", "_paused",
        "_pending", "account", "claimed", "features", "headerSent", "mechanism", "secure", "state",
    )  # fmt: skip

    def __init__(
        self, host: INegotiationHost, features: StreamFeatures, direct: bool = False, attempt: Attempt | None = None
    ) -> None:
        """
        @param direct: whether the host has started TLS already.
        @param attempt: schedules password checks; at once unless given.
        """
        self._host = host
        self._attempt = attempt
        self.features = features
        self.state = State.HANDSHAKE if direct else State.OPENING
        self.secure = direct
        self.headerSent = False
        self.account: JID | None = None
        self.mechanism = ""
        self.claimed: str | None = None
        self._language: str | None = None
        self._clientJID: str | None = None
        self._exchange: SASLExchange | None = None
        self._pending: Deferred[Outcome] | None = None
        self._paused = False
        self._failures = self._bindingFailures = 0

    def received(self, element: Element) -> None:
        """
        Take the step for an element.

        @raise StreamError: if the stream must be closed with an error.
        """
        row = TABLE[self.state].get((element.uri, element.name))
        if row is None:
            # RFC 6120 §4.9.3.12, §4.9.3.24, §7.1.
            stanza = element.uri == ns.CLIENT and element.name in _STANZAS
            bindable = self.state is State.AUTHENTICATED
            raise StreamError("unsupported-stanza-type" if bindable and not stanza else "not-authorized")
        step, self.state = row
        step(self, element)

    def sendPendingHeader(self) -> None:
        """Send the server's header if it must precede what is sent next."""
        if not self.headerSent:
            self.headerSent = True
            self._host.sendHeader(self.features.header(self._clientJID))

    def connectionLost(self) -> None:
        """End the negotiation. May be called again."""
        self.state = State.CLOSED
        self._exchange = None
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.cancel()

    def _errorReceived(self, element: Element) -> None:
        # RFC 6120 §4.9.1.1: not answered with another error.
        self._host.close(None)

    # Headers (RFC 6120 §4.7)

    def _headerReceived(self, header: Element) -> None:
        self._checkHeader(header)
        if self.state is State.AUTHENTICATED:
            features = self.features.bindFeatures
            self._language = _languageOf(header)
        else:
            features = self.features.loginFeatures(self.secure, self._host.bindings())
        self.sendPendingHeader()
        self._host.sendNonza(features)

    def _checkHeader(self, header: Element) -> None:
        """
        Check a header (RFC 6120 §4.7, §4.9.3).

        C{from} is a hint (§4.7.1), echoed in C{to} (§4.7.2): any JID is accepted, since XML::Stream and sendxmpp put
        the name of their machine there. SASL determines the account.
        """
        attributes = header.attributes
        sender = attributes.get("from")
        try:
            self._clientJID = None if sender is None else jid.parse(sender).bare
        except InvalidJID:
            raise StreamError("invalid-from") from None
        try:
            to = jid.parse(attributes.get("to", "")).full
        except InvalidJID:
            to = ""
        if to != self.features.domain:
            raise StreamError("host-unknown")
        version = _VERSION.fullmatch(attributes.get("version", "0.9"))
        if version is None or version[1] == "0":
            raise StreamError("unsupported-version")

    # STARTTLS (RFC 6120 §5)

    def _startTLS(self, element: Element) -> None:
        if self.features.tlsMode == OFF:
            self._refuseTLS(element)
            return
        self._host.sendNonza(f"<proceed xmlns='{ns.TLS}'/>".encode())
        self._clientJID = None
        self.headerSent = False
        self.secure = True
        self._host.startTLS()

    def _refuseTLS(self, element: Element) -> None:
        self._host.sendNonza(f"<failure xmlns='{ns.TLS}'/>".encode())
        self._host.close(None)

    # SASL (RFC 6120 §6)

    def _auth(self, element: Element) -> None:
        self.mechanism = mechanism = element.attributes.get("mechanism", "")
        try:
            if not self.secure and self.features.tlsMode == REQUIRED:
                raise SASLFailure("encryption-required")
            exchange = self.features.sasl.begin(mechanism, self.secure, self._host.bindings(), self._attempt)
            initial = decodeData(element)
        except SASLFailure as e:
            self._fail(e)
            return
        self._exchange = exchange
        self._awaitOutcome(exchange.start(initial))

    def _respond(self, element: Element) -> None:
        try:
            data = decodeData(element) or b""
        except SASLFailure as e:
            self._fail(e)
            return
        self._awaitOutcome(cast(SASLExchange, self._exchange).respond(data))

    def _abort(self, element: Element) -> None:
        self._fail(SASLFailure("aborted"))

    def _unexpectedSASL(self, element: Element) -> None:
        self._fail(SASLFailure("malformed-request", "This element is not expected now."))

    def _awaitOutcome(self, outcome: Deferred[Outcome]) -> None:
        """Go on with the outcome of a SASL step, now or later."""
        self._pending = outcome
        outcome.addCallbacks(self._stepSucceeded, self._stepFailed)
        outcome.addErrback(self._internalError)
        if self.state is State.CHECKING:
            self._paused = True
            self._host.pauseParsing()

    def _stepSucceeded(self, outcome: Outcome) -> None:
        if self.state is not State.CHECKING:
            return
        if isinstance(outcome, Challenge):
            self.state = State.AUTHENTICATING
            self._host.sendNonza(renderData("challenge", outcome.data))
        else:
            self._succeed(outcome)
        self._resume()

    def _stepFailed(self, failure: Failure) -> None:
        failure.trap(SASLFailure)
        if self.state is State.CHECKING:
            self._fail(cast(SASLFailure, failure.value))
            self._resume()

    def _internalError(self, failure: Failure) -> None:
        if self.state is not State.CLOSED:
            self._host.internalError(failure)

    def _resume(self) -> None:
        self._pending = None
        if self._paused:
            self._paused = False
            self._host.resumeParsing()

    def _succeed(self, success: Success) -> None:
        self.state = State.RESTARTING
        self.account = JID(success.user, self.features.domain, "")
        self._exchange = None
        self._clientJID = None
        # Failed log-ins do not count as failures to bind a resource.
        self._failures = 0
        self._host.sendNonza(renderData("success", success.data))
        self.headerSent = False
        self._host.restartStream()

    def _fail(self, error: SASLFailure) -> None:
        self.state = State.SECURED if self.secure else State.UNSECURED
        self.claimed = None if self._exchange is None else self._exchange.claimed
        self._exchange = None
        self._host.sendNonza(renderFailure(error))
        if isinstance(error, BindingRefused):
            self._bindingFailures += 1
            _log.debug("{stream}: channel binding refused: {error}", stream=self._host, error=str(error))
        else:
            self._failures += 1
            self._host.authenticationFailed(error.condition)
        self._checkFailures()

    def _checkFailures(self) -> None:
        if self._failures >= self.features.loginTries or self._bindingFailures >= BINDING_TRIES:
            self._host.close(StreamError("policy-violation", "Too many failed attempts."))

    # Resource binding (RFC 6120 §7)

    def _bind(self, iq: Element) -> None:
        request = iq.child("bind", ns.BIND)
        if request is None or iq.get("type") != "set":
            raise StreamError("not-authorized")
        resource = request.child("resource")
        try:
            if iq.get("id") is None:
                raise StanzaError("bad-request", text="an IQ must have an id")
            wanted = None if resource is None else resource.text()
            session = self.features.binder.bind(cast(JID, self.account), wanted, cast(IStream, self._host))
        except StanzaError as e:
            self.state = State.AUTHENTICATED
            self._failures += 1
            self._host.send(*withAddress(errorReply(iq, e)))
            self._checkFailures()
            return
        session.language = self._language
        result = reply(iq, "result")
        result.add("bind", ns.BIND).add("jid", text=session.jid.full)
        self._host.send(*withAddress(result))
        self._host.sessionBound(session)


def _languageOf(header: Element) -> str | None:
    """
    The language of a client's header (RFC 6120 §4.7.4), or C{None} if it is invalid or the default of the server's
    streams, which need not be stamped on stanzas.
    """
    language = header.attributes.get((ns.XML, "lang"))
    if language is None or _LANGUAGE.fullmatch(language) is None or language.lower() == LANGUAGE:
        return None
    return language


def answerStreamIQ(iq: Element, session: ISession) -> Element | None:
    """
    Answer an IQ about the stream of a bound session.

    @return: C{None} if the IQ is for the session.
    """
    attributes = iq.attributes
    if attributes.get("type") != "set" or "id" not in attributes:
        return None
    if attributes.get("to") not in (None, session.jid.domain, session.jid.bare):
        return None
    if iq.child("session", ns.SESSION) is not None:
        # COMPAT: RFC 3921 §3.
        return reply(iq, "result")
    if iq.child("bind", ns.BIND) is not None:
        # RFC 6120 §7.6.2.2: one resource per stream.
        return errorReply(iq, StanzaError("not-allowed"))
    return None


_HEADER: Final = (ns.STREAM, "stream")
_ERROR: Final = (ns.STREAM, "error")
_STARTTLS: Final = (ns.TLS, "starttls")
_AUTH: Final = (ns.SASL, "auth")
_RESPONSE: Final = (ns.SASL, "response")
_ABORT: Final = (ns.SASL, "abort")
_IQ: Final = (ns.CLIENT, "iq")

_Step = Callable[[Negotiation, Element], Any]
_Row = dict[tuple[str | None, str], tuple[_Step, State]]

TABLE: Final[dict[State, _Row]] = {
    State.OPENING: {_HEADER: (Negotiation._headerReceived, State.UNSECURED)},
    State.UNSECURED: {
        _STARTTLS: (Negotiation._startTLS, State.HANDSHAKE),
        _AUTH: (Negotiation._auth, State.CHECKING),
        _RESPONSE: (Negotiation._unexpectedSASL, State.UNSECURED),
        _ABORT: (Negotiation._abort, State.UNSECURED),
        _ERROR: (Negotiation._errorReceived, State.CLOSED),
    },
    State.HANDSHAKE: {_HEADER: (Negotiation._headerReceived, State.SECURED)},
    State.SECURED: {
        _STARTTLS: (Negotiation._refuseTLS, State.CLOSED),
        _AUTH: (Negotiation._auth, State.CHECKING),
        _RESPONSE: (Negotiation._unexpectedSASL, State.SECURED),
        _ABORT: (Negotiation._abort, State.SECURED),
        _ERROR: (Negotiation._errorReceived, State.CLOSED),
    },
    State.CHECKING: {},
    State.AUTHENTICATING: {
        _STARTTLS: (Negotiation._refuseTLS, State.CLOSED),
        _RESPONSE: (Negotiation._respond, State.CHECKING),
        _ABORT: (Negotiation._abort, State.AUTHENTICATING),
        _AUTH: (Negotiation._unexpectedSASL, State.AUTHENTICATING),
        _ERROR: (Negotiation._errorReceived, State.CLOSED),
    },
    State.RESTARTING: {_HEADER: (Negotiation._headerReceived, State.AUTHENTICATED)},
    State.AUTHENTICATED: {
        _STARTTLS: (Negotiation._refuseTLS, State.CLOSED),
        _IQ: (Negotiation._bind, State.BOUND),
        _ERROR: (Negotiation._errorReceived, State.CLOSED),
    },
    State.BOUND: {},
    State.CLOSED: {},
}
"""For each state: the expected elements, their step and the next state."""


__all__ = ["TABLE", "INegotiationHost", "Negotiation", "State", "answerStreamIQ"]
