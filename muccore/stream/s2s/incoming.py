# -*- test-case-name: tests.stream.s2s.test_incoming -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The streams that other servers open: header, STARTTLS, SASL EXTERNAL (XEP-0178), until a domain is authenticated.

Dialback, which may follow at any time and for further domains, is the matter of the peer behind the stream
(L{IPeer<muccore.interfaces.federation.IPeer>}). ::

    OPENING --header--> UNSECURED --starttls--> HANDSHAKE --header--> SECURED       (direct TLS begins in HANDSHAKE)
                            |                                           |
                         dialback                        dialback <-----+-----> auth
                            |                                |                    |
                            v                                v                    v
                          BOUND                            BOUND     RESTARTING --header--> BOUND
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from zope.interface import implementer

from muccore.interfaces.federation import IPeer, IPeerStream
from muccore.log.eventlog import DOMAIN_CONNECTED, DOMAIN_DISCONNECTED, DOMAIN_REFUSED, Phrase
from muccore.stream.factory import C2SFactory
from muccore.stream.features import StreamFeatures
from muccore.stream.negotiation import Negotiation, languageOf
from muccore.stream.s2s.stream import (
    DIALBACK_NONZAS,
    PeerFeatures,
    PeerStream,
    checkVersion,
    makeId,
    renderAttributes,
)
from muccore.stream.states import State
from muccore.stream.streamlog import describeTLS
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError
from muccore.xmpp.jid import InvalidJID, prepareDomain
from muccore.xmpp.rendering import render
from muccore.xmpp.specs import Spec

implements: Final = (
    Spec(288, "Bidirectional Server-to-Server Connections", "1.0.1"),
    Spec(178, "Best Practices for Use of SASL EXTERNAL with Certificates", "1.2", "Between servers."),
    Spec(6120, "XMPP: Core", note="Server to server.", series="RFC"),
)

NONZAS: Final[Mapping[Any, Callable[[Any, Element], Any]]] = {
    key: lambda peer, element: peer.dialbackReceived(element) for key in DIALBACK_NONZAS
}
"""What such streams handle that are no stanzas, once a domain is authenticated."""


class DomainRefused(StreamError):
    """A domain is refused."""

    def __init__(self, condition: str, domain: str, text: str) -> None:
        super().__init__(condition, text)
        self.domain = domain


class IncomingNegotiation:
    """
    The negotiation of a stream that another server has opened.

    @ivar secure: whether the stream is under TLS.
    @ivar problem: why the certificate does not prove the domain; C{None} if it does.
    """

    __slots__ = ("_headerSent", "_local", "_peer", "_remote", "_stream", "features", "problem", "secure", "state")

    def __init__(self, stream: IncomingStream, features: PeerFeatures, direct: bool) -> None:
        self.features = features
        self.secure = direct
        self.state = State.HANDSHAKE if direct else State.OPENING
        self.problem: str | None = "it is not encrypted"
        self._stream = stream
        self._peer = features.host.makePeer(stream)
        self._local: str | None = None
        self._remote: str | None = None
        self._headerSent = False

    @property
    def tls(self) -> Any:
        """What makes connections with the certificate of the domain that the peer wants."""
        return self.features.host.tlsFor(self._local or "")

    def received(self, element: Element) -> None:
        """Take the step for an element; L{StreamError} if the stream must be closed with an error."""
        row = TABLE[self.state].get((element.uri, element.name))
        if row is None:
            raise StreamError("not-authorized")
        step, self.state = row
        step(self, element)

    def connectionLost(self) -> None:
        """End the negotiation. May be called again."""
        self.state = State.CLOSED
        self._peer.streamLost(self._stream, True)

    def sendPendingHeader(self) -> None:
        """Send the server's header if it must precede what is sent next."""
        if not self._headerSent:
            self._headerSent = True
            self._stream.sendHeader(renderAttributes(self._local, self._remote, self._stream.id))

    def _errorReceived(self, element: Element) -> None:
        self._stream.close(None)

    def _headerReceived(self, header: Element) -> None:
        """
        Answer a header, and offer features.

        @raise StreamError: by RFC 6120 §4.7 and §4.9.3.
        """
        attributes = header.attributes
        if not attributes.get("from") or not attributes.get("to"):
            raise StreamError("improper-addressing", "A stream between servers needs from and to.")
        try:
            remote, local = prepareDomain(attributes["from"]), prepareDomain(attributes["to"])
        except (InvalidJID, UnicodeError):
            raise StreamError("improper-addressing", "From and to must be domains.") from None
        if not self.features.host.serves(local) or self._local not in (None, local):
            raise StreamError("host-unknown")
        if self._remote not in (None, remote):
            raise StreamError("invalid-from")
        self._local, self._remote = local, remote
        checkVersion(header)
        policy = self.features.policy
        if self.features.host.serves(remote):
            raise DomainRefused("invalid-from", remote, "This server serves that domain.")
        if not policy.isAllowed(remote):
            raise DomainRefused("policy-violation", remote, "Streams from this domain are not accepted.")
        self._peer.headerReceived(remote, local, languageOf(header))
        if self.state is State.BOUND:
            self.sendPendingHeader()
            self._stream.sendNonza(self._offer())
            self._stream.peerAuthenticated(self._peer, "certificate")
            self._peer.streamReady(remote, local)
            return
        if self.secure:
            self.problem = self._stream.certificateProblem(remote)
            if self.problem is not None and not policy.allowsDialback(remote):
                raise DomainRefused("not-authorized", remote, f"{self.problem[0].upper()}{self.problem[1:]}.")
        self.sendPendingHeader()
        self._stream.sendNonza(self._offer())

    def _offer(self) -> bytes:
        """Render the features of this stage."""
        features = Element((None, "stream:features"))
        policy = self.features.policy
        if self.state is State.UNSECURED:
            if self.tls is not None:
                starttls = features.add("starttls", ns.TLS)
                if policy.tlsRequired:
                    starttls.add("required")
        elif self.state is State.SECURED and self.problem is None:
            features.add("mechanisms", ns.SASL).add("mechanism", text="EXTERNAL")
        if self.secure or not policy.tlsRequired:
            features.add("dialback", ns.DIALBACK_FEATURE).add("errors")
            if policy.bidirectional and self.state is not State.BOUND:
                features.add("bidi", ns.BIDI_FEATURE)
        return render(features)

    def _startTLS(self, element: Element) -> None:
        if self.tls is None:
            self._stream.sendNonza(f"<failure xmlns='{ns.TLS}'/>".encode())
            self._stream.close(None)
            return
        self._stream.sendNonza(f"<proceed xmlns='{ns.TLS}'/>".encode())
        self._restart()
        self.secure = True
        self._stream.startTLS()

    def _restart(self) -> None:
        """Expect a new stream, which has an id of its own."""
        self._headerSent = False
        self._stream.id = makeId()

    def _auth(self, element: Element) -> None:
        """Authenticate the domain by its certificate (XEP-0178 §3, RFC 6120 §6)."""
        condition = self._authCondition(element)
        if condition is not None:
            self._stream.sendNonza(f"<failure xmlns='{ns.SASL}'><{condition}/></failure>".encode())
            self._stream.domainRefused(cast(str, self._remote), f"SASL {condition}")
            if not self.features.policy.allowsDialback(cast(str, self._remote)):
                self._stream.close(None)
            else:
                self.state = State.SECURED
            return
        self._peer.authenticated(cast(str, self._remote))
        self._stream.sendNonza(f"<success xmlns='{ns.SASL}'/>".encode())
        self._restart()
        self._stream.restartStream()

    def _authCondition(self, element: Element) -> str | None:
        """Why SASL fails (RFC 6120 §6.5); C{None} if it does not."""
        if element.attributes.get("mechanism") != "EXTERNAL":
            return "invalid-mechanism"
        if self.problem is not None:
            return "not-authorized"
        text = element.text().strip()
        try:
            identity = "" if text == "=" else b64decode(text, validate=True).decode()
        except (binascii.Error, ValueError):
            return "incorrect-encoding"
        try:
            isOwn = not identity or prepareDomain(identity) == self._remote
        except (InvalidJID, UnicodeError):
            isOwn = False
        return None if isOwn else "invalid-authzid"

    def _dialback(self, element: Element) -> None:
        self._peer.dialbackReceived(element)

    def _bidirection(self, element: Element) -> None:
        """
        Note that the peer wants a bidirectional stream (XEP-0288 §2.2).

        @raise StreamError: C{not-authorized} if it was not offered.
        """
        policy = self.features.policy
        if not policy.bidirectional or not (self.secure or not policy.tlsRequired):
            raise StreamError("not-authorized")
        self._peer.bidirectionRequested()


Step = Callable[[IncomingNegotiation, Element], Any]

_HEADER: Final = (ns.STREAM, "stream")


def _row(state: State) -> dict[tuple[str | None, str], tuple[Step, State]]:
    """The steps of a negotiating state that can be left by an error and by dialback."""
    row: dict[tuple[str | None, str], tuple[Step, State]] = {
        (ns.STREAM, "error"): (IncomingNegotiation._errorReceived, State.CLOSED)
    }
    for key in DIALBACK_NONZAS:
        row[key] = (IncomingNegotiation._dialback, state)
    row[ns.BIDI, "bidi"] = (IncomingNegotiation._bidirection, state)
    return row


TABLE: Final[dict[State, dict[tuple[str | None, str], tuple[Step, State]]]] = {
    State.OPENING: {_HEADER: (IncomingNegotiation._headerReceived, State.UNSECURED)},
    State.UNSECURED: {
        **_row(State.UNSECURED), (ns.TLS, "starttls"): (IncomingNegotiation._startTLS, State.HANDSHAKE),
    },
    State.HANDSHAKE: {_HEADER: (IncomingNegotiation._headerReceived, State.SECURED)},
    State.SECURED: {**_row(State.SECURED), (ns.SASL, "auth"): (IncomingNegotiation._auth, State.RESTARTING)},
    State.RESTARTING: {_HEADER: (IncomingNegotiation._headerReceived, State.BOUND)},
    State.BOUND: {},
    State.CLOSED: {},
}  # fmt: skip
"""For each state: the expected elements, with the step and the next state."""


@implementer(IPeerStream)
class IncomingStream(PeerStream):
    """
    A stream that another server has opened.

    @ivar id: the id that this server has given it.
    """

    __slots__ = ("id",)

    endEvent = DOMAIN_DISCONNECTED
    isOwn: Final = False

    def negotiate(self, features: StreamFeatures, direct: bool) -> Negotiation:
        """See L{C2SStream.negotiate}."""
        self.id = makeId()
        return cast(Negotiation, IncomingNegotiation(self, self.features, direct))

    def startTLS(self) -> None:
        """Start TLS, and expect a new stream. Data received before is dropped."""
        self._parser.restart(discard=True)
        self._secure(cast(IncomingNegotiation, self._negotiation).tls)

    def peerAuthenticated(self, peer: IPeer, method: str) -> None:
        """See L{IPeerStream.peerAuthenticated}."""
        if self._ended or self.session is not None:
            return
        domain = peer.jid.full
        DOMAIN_CONNECTED.log(
            self._host, domain=domain, method=Phrase(method), tls=describeTLS(self.transport, self.isEncrypted)
        )
        self.payFrom(self.features.host.bucketFor(domain))
        self.bind(peer)

    def domainRefused(self, domain: str, why: str) -> None:
        """See L{IPeerStream.domainRefused}."""
        DOMAIN_REFUSED.log(self._host, domain=domain, why=Phrase(why))

    def logError(self, error: StreamError) -> None:
        """See L{C2SStream.logError}."""
        if isinstance(error, DomainRefused):
            self.domainRefused(error.domain, f"{error.condition} ({(error.text or '').rstrip('.')})")
        else:
            super().logError(error)


class IncomingFactory(C2SFactory):
    """Creates the streams that other servers open."""

    streamClass = IncomingStream
