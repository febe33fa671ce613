# -*- test-case-name: tests.stream.s2s.test_outgoing -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The streams that this server opens to others: header, STARTTLS, then SASL EXTERNAL or dialback, until the peer accepts
stanzas; or dialback's question whether a key is valid. ::

    HEADER --header--> FEATURES --features: starttls--> PROCEED --proceed--> HEADER, now under TLS
                          |
                          +--features: EXTERNAL--> SASL --success--> HEADER, now authenticated --features--> OPEN
                          |                          |
                          |                       failure
                          |                          v
                          +--features: dialback--> RESULT --result: valid--> OPEN
                          |
                          +--a question--> ANSWER --verify--> the stream is closed
"""

from __future__ import annotations

import enum
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from twisted.internet.protocol import Protocol
from zope.interface import implementer

from muccore.interfaces.federation import ILinkOwner, IPeer, IPeerStream, LinkPurpose
from muccore.log.eventlog import DOMAIN_REFUSED, LINK_CLOSED, LINK_OPENED, Phrase
from muccore.stream.factory import C2SFactory
from muccore.stream.features import StreamFeatures
from muccore.stream.negotiation import Negotiation, languageOf
from muccore.stream.s2s.stream import DIALBACK_NONZAS, PeerFeatures, PeerStream, checkVersion, renderAttributes
from muccore.stream.streamlog import describeTLS
from muccore.xmpp import dialback, ns
from muccore.xmpp.dialback import Dialback, InvalidDialback
from muccore.xmpp.element import Element
from muccore.xmpp.errors import STREAM_CONDITIONS, StreamError

NOT_FOUND: Final = "remote-server-not-found"
"""There is no server of the domain (RFC 6120 §8.3.3.16)."""

TIMEOUT: Final = "remote-server-timeout"
"""There is one, but no stream to it (RFC 6120 §8.3.3.17)."""


NONZAS: Final[Mapping[Any, Callable[[Any, Element], Any]]] = dict.fromkeys(
    DIALBACK_NONZAS, lambda link, element: link.dialbackReceived(element)
)
"""What open streams handle that are no stanzas."""


class _State(enum.Enum):
    """The state of a stream that is being opened."""

    __hash__ = object.__hash__

    HEADER = enum.auto()
    FEATURES = enum.auto()
    PROCEED = enum.auto()
    SASL = enum.auto()
    RESULT = enum.auto()
    ANSWER = enum.auto()
    DONE = enum.auto()


class LinkFailed(Exception):
    """The stream cannot be opened; arguments are the condition of the stanza error, and why, in a clause."""


class OutgoingNegotiation:
    """
    The negotiation of a stream to another server.

    @ivar secure: whether the stream is under TLS.
    """

    __slots__ = (
        "_answered", "_authenticated", "_bidirectional", "_declared", "_id", "_language", "_method", "_owner",
        "_problem", "_purpose", "_state", "_stream", "features", "secure",
    )  # fmt: skip

    def __init__(self, stream: OutgoingStream, features: PeerFeatures, direct: bool) -> None:
        self.features = features
        self.secure = direct
        self._stream = stream
        self._purpose = stream.purpose
        self._owner: ILinkOwner | None = stream.owner
        self._state = _State.HEADER
        self._id = ""
        self._method = ""
        self._declared = self._authenticated = self._answered = self._bidirectional = False
        self._language: str | None = None
        self._problem: tuple[str, str] = (TIMEOUT, "the connection was lost")

    # The host of the negotiation

    def begin(self) -> None:
        """Send a header."""
        self._state = _State.HEADER
        self._stream.sendHeader(renderAttributes(self._purpose.local, self._purpose.remote))

    def sendPendingHeader(self) -> None:
        """Nothing is pending: this side sends its header first."""

    def received(self, element: Element) -> None:
        """Take the step for an element."""
        step = TABLE.get((self._state, element.uri, element.name))
        try:
            if element.uri == ns.STREAM and element.name == "error":
                raise LinkFailed(*_describe(element))
            if step is None:
                raise LinkFailed(TIMEOUT, "its server does not follow the protocol")
            step(self, element)
        except LinkFailed as e:
            self._problem = e.args
            self._stream.close(None)

    def connectionLost(self) -> None:
        """Tell the owner, unless they know. May be called again."""
        owner, self._owner = self._owner, None
        self._state = _State.DONE
        if owner is not None:
            owner.streamFailed(*self._problem, self._answered)

    def failed(self, error: StreamError) -> None:
        """Note why this server ends the stream."""
        self._problem = (TIMEOUT, f"{error.condition}: {error.text or 'its server is at fault'}".rstrip("."))

    # Steps

    def _headerReceived(self, header: Element) -> None:
        self._answered = True
        checkVersion(header)
        self._id = self._stream.id = header.attributes.get("id", "")
        self._language = languageOf(header)
        self._declared = self._declared or ns.DIALBACK in header.localPrefixes.values()
        self._state = _State.FEATURES

    def _featuresReceived(self, features: Element) -> None:
        policy = self.features.policy
        if self._authenticated:
            self._open()
        elif not self.secure and features.child("starttls", ns.TLS) is not None and self._tls is not None:
            self._stream.sendNonza(f"<starttls xmlns='{ns.TLS}'/>".encode())
            self._state = _State.PROCEED
        elif not self.secure and policy.tlsRequired:
            raise LinkFailed(TIMEOUT, "its server offers no encryption")
        elif self._purpose.question is not None:
            self._ask(*self._purpose.question)
        else:
            self._authenticate(features)

    @property
    def _tls(self) -> Any:
        return self.features.host.tlsFor(self._purpose.local)

    def _proceed(self, element: Element) -> None:
        self.secure = True
        self._stream.startTLS()
        self.begin()

    def _refused(self, element: Element) -> None:
        raise LinkFailed(TIMEOUT, "its server refuses encryption")

    def _authenticate(self, features: Element) -> None:
        """Check who the peer is, and prove who this server is (XEP-0178 §3)."""
        remote, local = self._purpose.remote, self._purpose.local
        problem = self._stream.certificateProblem(remote)
        if problem is not None and not self.features.policy.allowsDialback(remote):
            raise LinkFailed(TIMEOUT, problem)
        if self.features.policy.bidirectional and features.child("bidi", ns.BIDI_FEATURE) is not None:
            self._stream.sendNonza(f"<bidi xmlns='{ns.BIDI}'/>".encode())
            self._bidirectional = True
        mechanisms = features.child("mechanisms", ns.SASL)
        offered = () if mechanisms is None else mechanisms.childElements()
        if self.secure and any(each.text().strip() == "EXTERNAL" for each in offered):
            identity = b64encode(local.encode()).decode()
            self._stream.sendNonza(f"<auth xmlns='{ns.SASL}' mechanism='EXTERNAL'>{identity}</auth>".encode())
            self._state = _State.SASL
        else:
            self._declared = self._declared or features.child("dialback", ns.DIALBACK_FEATURE) is not None
            self._requestResult("its server offers no way to authenticate")

    def _success(self, element: Element) -> None:
        self._authenticated = True
        self._method = "certificate"
        self._stream.restartStream()
        self.begin()

    def _failure(self, element: Element) -> None:
        condition = next((child.name for child in element.childElements()), "unknown")
        self._requestResult(f"its server refuses our certificate: {condition[:64]}")

    # Dialback

    def _requestResult(self, otherwise: str) -> None:
        """Ask for authorization by a key (XEP-0220 §2.1.1), which the peer may verify or not."""
        if not self._declared or not self._id or not self.features.policy.allowsDialback(self._purpose.remote):
            raise LinkFailed(TIMEOUT, otherwise)
        local, remote = self._purpose.local, self._purpose.remote
        key = self._stream.makeKey(remote, local, self._id)
        self._stream.sendNonza(Dialback(dialback.RESULT, local, remote, key=key).render())
        self._state = _State.RESULT

    def _resultReceived(self, element: Element) -> None:
        result = self._correlated(element)
        if result is None:
            return
        if result.type == "invalid":
            raise LinkFailed("internal-server-error", "its server says that our key is invalid")
        if result.type == "error":
            raise LinkFailed(TIMEOUT, f"dialback failed: {result.condition}")
        self._method = "dialback"
        self._open()

    def _ask(self, id: str, key: str) -> None:
        local, remote = self._purpose.local, self._purpose.remote
        self._stream.sendNonza(Dialback(dialback.VERIFY, local, remote, id, key=key).render())
        self._state = _State.ANSWER

    def _answerReceived(self, element: Element) -> None:
        answer = self._correlated(element)
        question = self._purpose.question
        if answer is None or question is None or answer.id != question[0]:
            return
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.keyVerified(answer.id, answer.type or "error")
        self._stream.close(None)

    def _correlated(self, element: Element) -> Dialback | None:
        """An answer between the domains of this stream; C{None} for anything else (XEP-0220 §3.1)."""
        try:
            found = dialback.parse(element)
        except InvalidDialback as e:
            raise LinkFailed(TIMEOUT, f"invalid dialback: {e}") from None
        pair = (found.sender, found.to)
        return found if found.type is not None and pair == (self._purpose.remote, self._purpose.local) else None

    def _open(self) -> None:
        owner, self._owner = self._owner, None
        self._state = _State.DONE
        if owner is not None:
            self._stream.opened(owner, self._method, self._language, self._bidirectional)


def _describe(error: Element) -> tuple[str, str]:
    """The stanza error for the stream error of a peer, and why."""
    condition = next((child.name for child in error.childElements() if child.name in STREAM_CONDITIONS), "unknown")
    found = condition not in ("host-unknown", "host-gone")
    return TIMEOUT if found else NOT_FOUND, f"its server says {condition}"


_Step = Callable[[OutgoingNegotiation, Element], Any]

TABLE: Final[dict[tuple[_State, str | None, str], _Step]] = {
    (_State.HEADER, ns.STREAM, "stream"): OutgoingNegotiation._headerReceived,
    (_State.FEATURES, ns.STREAM, "features"): OutgoingNegotiation._featuresReceived,
    (_State.PROCEED, ns.TLS, "proceed"): OutgoingNegotiation._proceed,
    (_State.PROCEED, ns.TLS, "failure"): OutgoingNegotiation._refused,
    (_State.SASL, ns.SASL, "success"): OutgoingNegotiation._success,
    (_State.SASL, ns.SASL, "failure"): OutgoingNegotiation._failure,
    (_State.RESULT, ns.DIALBACK, dialback.RESULT): OutgoingNegotiation._resultReceived,
    (_State.ANSWER, ns.DIALBACK, dialback.VERIFY): OutgoingNegotiation._answerReceived,
}
"""The expected elements by state, with their step."""


@implementer(IPeerStream)
class OutgoingStream(PeerStream):
    """
    A stream to another server.

    @ivar id: the id that the other server has given it.
    @ivar purpose: what it is for.
    @ivar owner: who has it opened.
    """

    __slots__ = ("_direct", "id", "owner", "purpose")

    endEvent = LINK_CLOSED
    isOwn: Final = True

    factory: OutgoingFactory

    def __init__(
        self, factory: OutgoingFactory, host: str, direct: bool, purpose: LinkPurpose, owner: ILinkOwner
    ) -> None:
        self.purpose = purpose
        self.owner = owner
        self._direct = direct
        self.id = ""
        super().__init__(factory, host, direct)

    def negotiate(self, features: StreamFeatures, direct: bool) -> Negotiation:
        """See L{C2SStream.negotiate}."""
        return cast(Negotiation, OutgoingNegotiation(self, self.features, direct))

    def connectionMade(self) -> None:
        """Begin the stream."""
        super().connectionMade()
        if self._negotiation is not None:
            cast(OutgoingNegotiation, self._negotiation).begin()

    def makeKey(self, receiving: str, originating: str, id: str) -> str:
        """Make a key of dialback."""
        return dialback.makeKey(self.factory.secret, receiving, originating, id)

    def startTLS(self) -> None:
        """Start TLS. Data received before is dropped."""
        self._parser.restart(discard=True)
        self._secure(None)

    def _secure(self, tls: Any) -> None:
        tls = self.features.host.tlsFor(self.purpose.local)
        self.transport.startTLS(tls.clientTo(self.purpose.remote, self._direct), normal=False)
        # The transport may have a new one; the old one could send in the clear.
        self.write = self.transport.write

    def peerAuthenticated(self, peer: IPeer, method: str) -> None:
        """See L{IPeerStream.peerAuthenticated}: it was."""

    def domainRefused(self, domain: str, why: str) -> None:
        """See L{IPeerStream.domainRefused}."""
        DOMAIN_REFUSED.log(self._host, domain=domain, why=Phrase(why))

    def opened(self, owner: ILinkOwner, method: str, language: str | None, isBidirectional: bool) -> None:
        """Let the owner send stanzas."""
        if self._ended:
            return
        LINK_OPENED.log(
            self.purpose.local, domain=self.purpose.remote, peer=self._host, method=Phrase(method),
            tls=describeTLS(self.transport, self.isEncrypted),
        )  # fmt: skip
        self.payFrom(self.features.host.bucketFor(self.purpose.remote))
        self.bind(owner.streamOpened(self, language, isBidirectional))

    def close(self, error: StreamError | None) -> None:
        """See L{C2SStream.close}."""
        if error is not None and self._negotiation is not None:
            cast(OutgoingNegotiation, self._negotiation).failed(error)
        super().close(error)

    def logError(self, error: StreamError) -> None:
        """See L{C2SStream.logError}. Before the stream is open, the owner says why it failed."""
        if self.session is not None:
            super().logError(error)


class OutgoingFactory(C2SFactory):
    """
    Creates the streams to other servers.

    @ivar secret: what keys of dialback are made from.
    """

    streamClass = OutgoingStream

    def __init__(self, clock: Any, features: PeerFeatures, settings: Any, secret: bytes) -> None:
        self.secret = secret
        super().__init__(clock, cast(StreamFeatures, features), settings)

    def canEncrypt(self, local: str) -> bool:
        """Whether a domain of this server has a certificate."""
        return cast(PeerFeatures, self.features).host.tlsFor(local) is not None

    def makeStream(self, address: str, direct: bool, purpose: LinkPurpose, owner: ILinkOwner) -> Protocol | None:
        """Create the protocol of a connection; C{None} if there are too many, or the server ends."""
        if self.ending or self.limit.enter(address, isProxy=True) is not None:
            return None
        return OutgoingStream(self, address, direct, purpose, owner)
