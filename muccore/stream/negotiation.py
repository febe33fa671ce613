# -*- test-case-name: tests.stream.test_negotiation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What a client's stream goes through until it is bound: header, STARTTLS, SASL, bind (RFC 6120 §4 to §7).

No bytes are read here and no socket is known; that is the business of the L{INegotiationHost} around it.

Theory of operation
===================

A negotiation is in one L{State}. L{TABLE} says for each state which elements are expected, which step each of them
takes and which state that leads to; a step that goes another way says so itself. What the table does not have is a
stream error. A stream's header is an element like the others. ::

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

In CHECKING the accounts are being asked. Until they have answered, the shell holds back what comes in: so clients may
send ahead, nothing is lost and nothing overtakes.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any, Final, cast

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from muccore.interfaces import ISession, IStream
from muccore.log.logger import Logger
from muccore.stream.features import BINDING_TRIES, LANGUAGE, OFF, REQUIRED, StreamFeatures
from muccore.stream.sasl.exchange import Attempt, BindingRefused, Challenge, Outcome, SASLExchange, SASLFailure, Success
from muccore.stream.states import INegotiationHost, State
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element, reply
from muccore.xmpp.errors import StanzaError, StreamError, errorReply
from muccore.xmpp.jid import JID, InvalidJID
from muccore.xmpp.rendering import escapeText, render
from muccore.xmpp.specs import Spec

implements: Final = (
    Spec(6120, "XMPP: Core", note="Client to server.", series="RFC"),
    Spec(3921, "XMPP: Instant Messaging and Presence", note="The session request, which does nothing.", series="RFC"),
)
"""What this module implements."""

STANZAS: Final = frozenset(["iq", "message", "presence"])
"""What a stream is for."""

_LANGUAGE: Final = re.compile(r"(?=.{1,35}\Z)[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
"""A language tag (RFC 5646 §2.1), and as long as one has to be expected (§4.4.1)."""

_VERSION: Final = re.compile(r"0*([0-9]{1,9})\.[0-9]{1,9}")


_log = Logger()


class Negotiation:
    """
    The negotiation of one connection.

    @ivar offer: what it offers; stays the same if the configuration changes.
    @ivar state: where it stands.
    @ivar secure: whether there is TLS.
    @ivar headerSent: whether the header of the present stream has been answered.
    @ivar account: the bare JID, once it is proved.
    @ivar mechanism: the SASL mechanism that the client named last, C{""} for none.
    @ivar claimed: the user name in the log-in that failed last, see L{SASLExchange.claimed}.
    """

    __slots__ = (
        "_attempt", "_exchange", "_holding", "_host", "_language", "_peer", "_pending", "_tries", "_unbound",
        "account", "claimed", "headerSent", "mechanism", "offer", "secure", "state",
    )  # fmt: skip

    def __init__(
        self, shell: INegotiationHost, offer: StreamFeatures, direct: bool = False, attempt: Attempt | None = None
    ) -> None:
        """
        @param direct: whether the shell has started TLS already.
        @param attempt: what has passwords checked; at once unless given.
        """
        self._host = shell
        self._attempt = attempt
        self.offer = offer
        self.state = State.HANDSHAKE if direct else State.OPENING
        self.secure = direct
        self.headerSent = False
        self.account: JID | None = None
        self.mechanism = ""
        self.claimed: str | None = None
        self._language: str | None = None
        self._peer: str | None = None
        self._exchange: SASLExchange | None = None
        self._pending: Deferred[Outcome] | None = None
        self._holding = False
        self._tries = 0
        self._unbound = 0

    def received(self, element: Element) -> None:
        """
        Take the step that the table has for an element.

        @raise StreamError: if the stream has to end for it.
        """
        row = TABLE[self.state].get((element.uri, element.name))
        if row is None:
            raise self._unexpected(element)
        step, self.state = row
        step(self, element)

    def _unexpected(self, element: Element) -> StreamError:
        """The error for what the table does not have (RFC 6120 §4.9.3.12, §4.9.3.24, §7.1)."""
        stanza = element.uri == ns.CLIENT and element.name in STANZAS
        if self.state is State.AUTHENTICATED and not stanza:
            return StreamError("unsupported-stanza-type")
        return StreamError("not-authorized")

    def pendingHeader(self) -> bytes:
        """
        The answer to the client's header if it has not been given, for whatever has to be sent now; otherwise
        nothing.
        """
        if self.headerSent:
            return b""
        self.headerSent = True
        return self.offer.header(self._peer)

    def connectionLost(self) -> None:
        """The stream is over. Calling it again changes nothing."""
        self.state = State.CLOSED
        self._exchange = None
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.cancel()

    def _stop(self, element: Element) -> None:
        """The client has sent a stream error (RFC 6120 §4.9.1.1): there is nothing to answer."""
        self._host.close(None)

    # Headers

    def _headerReceived(self, header: Element) -> None:
        self._checkHeader(header)
        if self.state is State.AUTHENTICATED:
            features = self.offer.bindFeatures
            self._language = _languageOf(header)
        else:
            features = self.offer.loginFeatures(self.secure, self._host.bindings())
        self._host.write(self.pendingHeader() + features)

    def _checkHeader(self, header: Element) -> None:
        """
        RFC 6120 §4.7, §4.9.3.

        C{from} is a hint (§4.7.1): it is answered with C{to} (§4.7.2), and proves and refuses nothing. XML::Stream,
        and sendxmpp with it, puts the name of its machine there. Who the client is, SASL says.
        """
        attributes = header.attributes
        sender = attributes.get("from")
        try:
            self._peer = None if sender is None else jid.parse(sender).bare
        except InvalidJID:
            raise StreamError("invalid-from") from None
        try:
            to = jid.parse(attributes.get("to", "")).full
        except InvalidJID:
            to = ""
        if to != self.offer.domain:
            raise StreamError("host-unknown")
        version = _VERSION.fullmatch(attributes.get("version", "0.9"))
        if version is None or version[1] == "0":
            raise StreamError("unsupported-version")

    # STARTTLS (RFC 6120 §5)

    def _startTLS(self, element: Element) -> None:
        if self.offer.tlsMode == OFF:
            self._refuseTLS(element)
            return
        self._host.write(f"<proceed xmlns='{ns.TLS}'/>".encode())
        self._peer = None
        self.headerSent = False
        self.secure = True
        self._host.startTLS()

    def _refuseTLS(self, element: Element) -> None:
        self._host.write(f"<failure xmlns='{ns.TLS}'/>".encode())
        self._host.close(None)

    # SASL (RFC 6120 §6)

    def _auth(self, element: Element) -> None:
        self.mechanism = mechanism = element.attributes.get("mechanism", "")
        try:
            if not self.secure and self.offer.tlsMode == REQUIRED:
                raise SASLFailure("encryption-required")
            exchange = self.offer.sasl.begin(mechanism, self.secure, self._host.bindings(), self._attempt)
            text = _content(element)
            initial = _decode(text) if text else None
        except SASLFailure as e:
            self._fail(e)
            return
        self._exchange = exchange
        self._awaitOutcome(exchange.start(initial))

    def _respond(self, element: Element) -> None:
        try:
            data = _decode(_content(element))
        except SASLFailure as e:
            self._fail(e)
            return
        self._awaitOutcome(cast(SASLExchange, self._exchange).respond(data))

    def _abort(self, element: Element) -> None:
        self._fail(SASLFailure("aborted"))

    def _outOfTurn(self, element: Element) -> None:
        self._fail(SASLFailure("malformed-request", "This is not the time for it."))

    def _awaitOutcome(self, answer: Deferred[Outcome]) -> None:
        """Go on with what the accounts say, now or later."""
        self._pending = answer
        answer.addCallbacks(self._outcome, self._refused)
        answer.addErrback(self._broken)
        if self.state is State.CHECKING:
            self._holding = True
            self._host.pauseParsing()

    def _outcome(self, outcome: Outcome) -> None:
        if self.state is not State.CHECKING:
            return
        if isinstance(outcome, Challenge):
            self.state = State.AUTHENTICATING
            self._host.write(_sasl("challenge", outcome.data))
        else:
            self._succeed(outcome)
        self._answered()

    def _refused(self, failure: Failure) -> None:
        failure.trap(SASLFailure)
        if self.state is State.CHECKING:
            self._fail(cast(SASLFailure, failure.value))
            self._answered()

    def _broken(self, failure: Failure) -> None:
        if self.state is not State.CLOSED:
            self._host.internalError(failure)

    def _answered(self) -> None:
        self._pending = None
        if self._holding:
            self._holding = False
            self._host.resumeParsing()

    def _succeed(self, success: Success) -> None:
        self.state = State.RESTARTING
        self.account = JID(success.user, self.offer.domain, "")
        self._exchange = None
        self._peer = None
        # What was mistyped has no part in how often the client may fail to bind a resource.
        self._tries = 0
        self._host.write(_sasl("success", success.data))
        self.headerSent = False
        self._host.restartStream()

    def _fail(self, error: SASLFailure) -> None:
        self.state = State.SECURED if self.secure else State.UNSECURED
        self.claimed = None if self._exchange is None else self._exchange.claimed
        self._exchange = None
        text = "" if error.text is None else f"<text xml:lang='en'>{escapeText(error.text)}</text>"
        self._host.write(f"<failure xmlns='{ns.SASL}'><{error.condition}/>{text}</failure>".encode())
        if isinstance(error, BindingRefused):
            self._unbound += 1
            _log.debug("{stream}: channel binding refused: {error}", stream=self._host, error=str(error))
        else:
            self._tries += 1
            self._host.authenticationFailed(error.condition)
        self._checkTries()

    def _checkTries(self) -> None:
        if self._tries >= self.offer.tries or self._unbound >= BINDING_TRIES:
            self._host.close(StreamError("policy-violation", "Too many attempts."))

    # Binding (RFC 6120 §7)

    def _bind(self, iq: Element) -> None:
        request = iq.child("bind", ns.BIND)
        if request is None or iq.get("type") != "set":
            raise StreamError("not-authorized")
        resource = request.child("resource")
        try:
            if iq.get("id") is None:
                raise StanzaError("bad-request", text="an IQ has to have an id")
            wanted = None if resource is None else resource.text()
            stream = cast(IStream, self._host)
            session = self.offer.binder.bind(cast(JID, self.account), wanted, stream)
        except StanzaError as e:
            self.state = State.AUTHENTICATED
            self._tries += 1
            self._host.write(render(errorReply(iq, e)))
            self._checkTries()
            return
        session.language = self._language
        result = render(reply(iq, "result")).removesuffix(b"/>")
        bound = f"><bind xmlns='{ns.BIND}'><jid>{escapeText(session.jid.full)}</jid></bind></iq>"
        self._host.write(result + bound.encode())
        self._host.sessionBound(session)


def _languageOf(header: Element) -> str | None:
    """
    The language that a client's header gives for all that follows (RFC 6120 §4.7.4), or C{None} if that is no news to
    anybody: it is what the server's own headers say of all that they do not say otherwise.
    """
    language = header.attributes.get((ns.XML, "lang"))
    if language is None or _LANGUAGE.fullmatch(language) is None or language.lower() == LANGUAGE:
        return None
    return language


def _content(element: Element) -> str:
    """The text of an element that may have nothing else."""
    if any(not isinstance(child, str) for child in element.children):
        raise SASLFailure("malformed-request", "There is an element in it.")
    return element.text()


def _decode(text: str) -> bytes:
    """Decode what a SASL element holds: base64, or C{=} for data of no length (RFC 6120 §6.4.2)."""
    if text == "=":
        return b""
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SASLFailure("incorrect-encoding") from None


def _sasl(name: str, data: bytes | None) -> bytes:
    """Render a SASL element; C{None} leaves it empty."""
    if data is None:
        return f"<{name} xmlns='{ns.SASL}'/>".encode()
    # RFC 6120 §6.4.6: in a success, no data and data of no length are not the same.
    encoded = b64encode(data) if data or name == "challenge" else b"="
    return b"<%s xmlns='%s'>%s</%s>" % (name.encode(), ns.SASL.encode(), encoded, name.encode())


def answerStreamIQ(iq: Element, session: ISession) -> bytes | None:
    """The answer to an IQ that is about the stream though there is a session, or C{None} if it is the session's."""
    attributes = iq.attributes
    if attributes.get("type") != "set" or "id" not in attributes:
        return None
    if attributes.get("to") not in (None, session.jid.domain, session.jid.bare):
        return None
    if iq.child("session", ns.SESSION) is not None:
        # COMPAT: RFC 3921 §3.
        return render(reply(iq, "result"))
    if iq.child("bind", ns.BIND) is not None:
        # RFC 6120 §7.6.2.2: there is one resource to a stream.
        return render(errorReply(iq, StanzaError("not-allowed")))
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
    State.OPENING: {
        _HEADER: (Negotiation._headerReceived, State.UNSECURED),
    },
    State.UNSECURED: {
        _STARTTLS: (Negotiation._startTLS, State.HANDSHAKE),
        _AUTH: (Negotiation._auth, State.CHECKING),
        _RESPONSE: (Negotiation._outOfTurn, State.UNSECURED),
        _ABORT: (Negotiation._abort, State.UNSECURED),
        _ERROR: (Negotiation._stop, State.CLOSED),
    },
    State.HANDSHAKE: {
        _HEADER: (Negotiation._headerReceived, State.SECURED),
    },
    State.SECURED: {
        _STARTTLS: (Negotiation._refuseTLS, State.CLOSED),
        _AUTH: (Negotiation._auth, State.CHECKING),
        _RESPONSE: (Negotiation._outOfTurn, State.SECURED),
        _ABORT: (Negotiation._abort, State.SECURED),
        _ERROR: (Negotiation._stop, State.CLOSED),
    },
    State.CHECKING: {},
    State.AUTHENTICATING: {
        _STARTTLS: (Negotiation._refuseTLS, State.CLOSED),
        _RESPONSE: (Negotiation._respond, State.CHECKING),
        _ABORT: (Negotiation._abort, State.AUTHENTICATING),
        _AUTH: (Negotiation._outOfTurn, State.AUTHENTICATING),
        _ERROR: (Negotiation._stop, State.CLOSED),
    },
    State.RESTARTING: {
        _HEADER: (Negotiation._headerReceived, State.AUTHENTICATED),
    },
    State.AUTHENTICATED: {
        _STARTTLS: (Negotiation._refuseTLS, State.CLOSED),
        _IQ: (Negotiation._bind, State.BOUND),
        _ERROR: (Negotiation._stop, State.CLOSED),
    },
    State.BOUND: {},
    State.CLOSED: {},
}
"""What is expected, the step it takes, the state that leads to."""


__all__ = ["STANZAS", "TABLE", "INegotiationHost", "Negotiation", "State", "answerStreamIQ"]
