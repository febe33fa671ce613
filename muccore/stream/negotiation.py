# -*- test-case-name: tests.stream.test_negotiation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The negotiation of a client's stream until a resource is bound: header, STARTTLS, SASL, bind (RFC 6120 §4 to §7).

This module reads no bytes and knows no socket: those belong to the L{INegotiationHost}.

Theory of operation
===================

A negotiation is in one L{State}. For each state, L{TABLE} and the L{StreamFeatures} have the expected elements with
their step and the next state; a step that leads elsewhere sets the state itself. Any other element is a stream error.
The header of a stream is an element like the others. ::

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

SASL2 begins with C{authenticate} and has states of its own: RESPONDING to a challenge, CONTINUING with a task and
PERFORMING it, each leading to CHECKING. Its success leads to AUTHENTICATED or BOUND, without a new header; after a task
has failed, the state is REFUSED.

In CHECKING, credentials are being checked; meanwhile the host buffers what the client sends, so clients may pipeline.
"""

from __future__ import annotations

import re
from typing import Final, cast

from muccore.interfaces import ISession, IStream, RegistrationState, UserAgent
from muccore.interfaces.streams import Stage
from muccore.stream.features import LANGUAGE, StreamFeatures
from muccore.stream.login import Login
from muccore.stream.sasl.exchange import Attempt
from muccore.stream.states import INegotiationHost, Row, State
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError
from muccore.xmpp.jid import JID, InvalidJID
from muccore.xmpp.specs import Spec

implements: Final = (Spec(6120, "XMPP: Core", note="Client to server.", series="RFC"),)

_STANZAS: Final = frozenset(["iq", "message", "presence"])

_LANGUAGE: Final = re.compile(r"(?=.{1,35}\Z)[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
"""A language tag (RFC 5646 §2.1) of at most the length to be expected (§4.4.1)."""

_VERSION: Final = re.compile(r"0*([0-9]{1,9})\.[0-9]{1,9}")


class Negotiation:
    """
    The negotiation of one connection.

    @ivar features: what it offers; unaffected by a new configuration. Those of the default host until the first header.
    @ivar secure: whether the stream is under TLS.
    @ivar headerSent: whether the header of the present stream was sent.
    @ivar claimedJID: the bare JID in C{from} of the client's header, which is no more than a hint.
    @ivar account: the authenticated bare JID.
    @ivar userAgent: what the client has told about itself.
    @ivar registration: what the stream has done to register an account; C{None} for nothing.
    """

    __slots__ = ("_failures", "_hosts", "_language", "_since", "account", "claimedJID", "features", "headerSent",
                 "host", "login", "registration", "secure", "state", "userAgent")  # fmt: skip

    def __init__(
        self, host: INegotiationHost, features: StreamFeatures, direct: bool = False, attempt: Attempt | None = None
    ) -> None:
        """
        @param direct: whether the host has started TLS already.
        @param attempt: schedules password checks; at once unless given.
        """
        self.host = host
        self.features = features
        self._hosts = features.hosts
        self.state = State.HANDSHAKE if direct else State.OPENING
        self.secure = direct
        self.headerSent = False
        self.login = Login(attempt)
        self.account: JID | None = None
        self.userAgent: UserAgent | None = None
        self.registration: RegistrationState | None = None
        self._language: str | None = None
        self.claimedJID: str | None = None
        self._failures = 0
        self._since = features.access.count

    def received(self, element: Element) -> None:
        """Take the step for an element; L{StreamError} if the stream must be closed with an error."""
        key = (element.uri, element.name)
        row = TABLE[self.state].get(key) or self.features.steps[self.state].get(key)
        if row is None:
            # RFC 6120 §4.9.3.12, §4.9.3.24, §7.1.
            stanza = element.uri == ns.CLIENT and element.name in _STANZAS
            bindable = self.state is State.AUTHENTICATED
            raise StreamError("unsupported-stanza-type" if bindable and not stanza else "not-authorized")
        step, self.state = row
        step(self, element)

    def connectionLost(self) -> None:
        """End the negotiation. May be called again."""
        self.state = State.CLOSED
        self.login.cancel()

    def errorReceived(self, element: Element) -> None:
        """End the stream on an error of the client, which is not answered with another (RFC 6120 §4.9.1.1)."""
        self.host.close(None)

    # Headers (RFC 6120 §4.7)

    def beginStream(self) -> None:
        """Begin a new stream, for which the client must send a header."""
        self.claimedJID = None
        self.headerSent = False

    def sendPendingHeader(self) -> None:
        """Send the server's header if it must precede what is sent next."""
        if not self.headerSent:
            self.headerSent = True
            self.host.sendHeader(self.features.header(self.claimedJID))

    def headerReceived(self, header: Element) -> None:
        """Answer a header with that of the server and the features."""
        self._checkHeader(header)
        stage = Stage.LOGIN
        if self.state is State.AUTHENTICATED:
            stage = Stage.BINDING
        self._language = languageOf(header)
        self.sendPendingHeader()
        self.host.sendNonza(self.features.offer(stage, self.secure, self.host.bindings()))

    def _checkHeader(self, header: Element) -> None:
        """
        Check a header (RFC 6120 §4.7, §4.9.3).

        C{from} is a hint (§4.7.1), echoed in C{to} (§4.7.2): any JID is accepted, since XML::Stream and sendxmpp put
        the name of their machine there. SASL determines the account. The first C{to} determines the host, for which TLS
        shows a certificate and the client logs in.
        """
        attributes = header.attributes
        sender = attributes.get("from")
        try:
            self.claimedJID = None if sender is None else jid.parse(sender).bare
        except InvalidJID:
            raise StreamError("invalid-from") from None
        to = attributes.get("to", "")
        features = self._hosts.get(to)
        if features is None:
            # Written in another way, perhaps.
            try:
                to = jid.parse(to).full
            except InvalidJID:
                to = ""
            features = self._hosts.get(to)
        if features is None:
            raise StreamError("host-unknown")
        self.features, self._hosts = features, {to: features}
        version = _VERSION.fullmatch(attributes.get("version", "0.9"))
        if version is None or version[1] == "0":
            raise StreamError("unsupported-version")

    # The account and its session

    def refusal(self, account: JID) -> str | None:
        """See L{AccountAccess.refusal<muccore.stream.accountaccess.AccountAccess.refusal>}."""
        return self.features.access.refusal(account.bare, self._since)

    def _checkAccess(self) -> None:
        """@raise StreamError: if the account was removed or disabled since it has logged in."""
        if self.refusal(cast(JID, self.account)) is not None:
            raise StreamError("not-authorized")

    def authenticated(self, account: JID) -> None:
        """Note the outcome of the log-in. Failed log-ins do not count as failures to bind a resource."""
        self.account = account
        self._failures = 0

    def bind(self, resource: str | None, client: str = "", stream: IStream | None = None) -> ISession:
        """
        Bind a resource, with the language of the stream.

        @param client: see L{ISessionBinder.bind<muccore.interfaces.ISessionBinder.bind>}.
        @param stream: where it is sent to; by default this stream.
        @raise StanzaError: see L{ISessionBinder.bind<muccore.interfaces.ISessionBinder.bind>}.
        @raise StreamError: C{not-authorized} if the account may not log in any more.
        """
        self._checkAccess()
        to = cast(IStream, self.host) if stream is None else stream
        session = self.features.binder.bind(cast(JID, self.account), resource, to, client)
        return self._describe(session)

    def resume(self, id: str, handled: int) -> ISession:
        """
        Resume a session, with the language of this stream.

        @raise ResumptionFailed: see L{ISessionBinder.resume<muccore.interfaces.ISessionBinder.resume>}.
        @raise StreamError: as L{bind}.
        """
        self._checkAccess()
        session = self.features.binder.resume(cast(JID, self.account), id, handled, cast(IStream, self.host))
        return self._describe(session)

    def _describe(self, session: ISession) -> ISession:
        session.language = self._language
        if self.userAgent is not None:
            session.userAgent = self.userAgent
        return session

    # Failures

    def countFailure(self) -> None:
        """Count a failure of the client; too many end the stream."""
        self._failures += 1
        if self._failures >= self.features.loginTries:
            self.tooManyFailures()

    def tooManyFailures(self) -> None:
        """End the stream."""
        self.host.close(StreamError("policy-violation", "Too many failed attempts."))


def languageOf(header: Element) -> str | None:
    """
    The language of a peer's header (RFC 6120 §4.7.4), or C{None} if it is invalid or the default of the server's
    streams, which need not be stamped on stanzas.
    """
    language = header.attributes.get((ns.XML, "lang"))
    if language is None or _LANGUAGE.fullmatch(language) is None or language.lower() == LANGUAGE:
        return None
    return language


_HEADER: Final = (ns.STREAM, "stream")
_ERROR: Final[Row] = {(ns.STREAM, "error"): (Negotiation.errorReceived, State.CLOSED)}

TABLE: Final[dict[State, Row]] = {
    State.OPENING: {_HEADER: (Negotiation.headerReceived, State.UNSECURED)},
    State.UNSECURED: _ERROR,
    State.HANDSHAKE: {_HEADER: (Negotiation.headerReceived, State.SECURED)},
    State.SECURED: _ERROR,
    State.CHECKING: {},
    State.AUTHENTICATING: _ERROR,
    State.RESPONDING: _ERROR,
    State.CONTINUING: _ERROR,
    State.PERFORMING: _ERROR,
    State.REFUSED: _ERROR,
    State.RESTARTING: {_HEADER: (Negotiation.headerReceived, State.AUTHENTICATED)},
    State.AUTHENTICATED: _ERROR,
    State.BOUND: {},
    State.CLOSED: {},
}
"""For each state: the elements that do not depend on the features."""
