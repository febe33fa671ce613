# -*- test-case-name: tests.routing.federation.test_incoming -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What is behind a stream that another server has opened: the domains that were authenticated on it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, cast

from zope.interface import implementer

from muccore.interfaces import IStream
from muccore.interfaces.federation import IPeer, IPeerStream
from muccore.routing.outside import routeFromOutside
from muccore.xmpp import dialback, jid
from muccore.xmpp.dialback import Dialback, InvalidDialback
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError
from muccore.xmpp.jid import JID, InvalidJID
from muccore.xmpp.stanzas import checkIsStanza

if TYPE_CHECKING:
    from muccore.routing.federation.federation import Federation
    from muccore.routing.federation.link import Link

PENDING_LIMIT: Final = 10
"""Keys of one stream that are being verified."""

DOMAINS_LIMIT: Final = 200
"""Domains that may be authenticated on one stream."""


def describeEncryption(stream: IPeerStream) -> str:
    """Whether a stream is encrypted, in words."""
    return "encrypted" if stream.isEncrypted else "not encrypted"


@implementer(IPeer)
class IncomingPeer:
    """
    The peer behind a stream.

    @ivar domains: what it may send from.
    """

    management: Final = None

    def __init__(self, federation: Federation, stream: IPeerStream) -> None:
        self.domains: dict[str, None] = {}
        self._federation = federation
        self._stream: IPeerStream | None = stream
        self._language: str | None = None
        self._claimed = self._local = ""
        self._pending: set[tuple[str, str]] = set()
        self._isBidirectional = False
        # The links that use the stream, which the peer has opened.
        self._lent: list[Link] = []
        federation.peerMade(self)

    @property
    def jid(self) -> JID:
        """See L{IPeer}; before any domain is authenticated, the one that it claims."""
        return JID("", next(iter(self.domains), self._claimed), "")

    def describe(self) -> str:
        """A line for operators."""
        stream = self._stream
        state = "ended" if stream is None else f"on a stream with {stream.address}, {describeEncryption(stream)}"
        return f"{', '.join(self.domains)}: received {state}"

    def headerReceived(self, remote: str, local: str, language: str | None) -> None:
        """See L{IPeer.headerReceived}."""
        self._claimed, self._local = remote, local
        self._language = language

    def authenticated(self, remote: str) -> None:
        """See L{IPeer.authenticated}."""
        self.domains[remote] = None

    def streamLost(self, stream: IStream, final: bool) -> bool:
        """See L{IPeer.streamLost}."""
        if stream is self._stream:
            self._stream = None
            self._federation.peerLost(self)
            while self._lent:
                self._lent.pop().streamLost(stream, final)
        return False

    def bidirectionRequested(self) -> None:
        """See L{IPeer.bidirectionRequested}."""
        self._isBidirectional = True

    def streamReady(self, remote: str, local: str) -> None:
        """See L{IPeer.streamReady}."""
        if self._isBidirectional and self._stream is not None:
            link = self._federation.link(local, remote)
            if link.borrow(self._stream):
                self._lent.append(link)

    def dropBlocked(self) -> None:
        """End the stream if a domain on it is blocked now."""
        blocked = [domain for domain in self.domains if not self._federation.policy.isAllowed(domain)]
        if blocked and self._stream is not None:
            self._stream.close(StreamError("policy-violation", "Streams from this domain are not accepted any more."))

    # Stanzas

    def stanzaReceived(self, element: Element) -> None:
        """
        See L{IPeer.stanzaReceived}.

        @raise StreamError: if it is no stanza; C{improper-addressing} without a valid C{from}, or C{to};
            C{invalid-from} from another domain; C{host-unknown} to a domain that this server does not have.
        """
        checkIsStanza(element)
        attributes = element.attributes
        if "from" not in attributes or "to" not in attributes:
            raise StreamError("improper-addressing", "A stanza between servers needs from and to.")
        try:
            sender = jid.parse(attributes["from"])
        except InvalidJID:
            raise StreamError("improper-addressing", "From must be an address.") from None
        if sender.domain not in self.domains:
            raise StreamError("invalid-from")
        try:
            to = jid.parse(attributes["to"]).domain
        except InvalidJID:
            to = None
        if to is not None:
            if not self._federation.serves(to):
                raise StreamError("host-unknown")
            self._federation.heard(to, sender.domain)
        answer = routeFromOutside(self._federation.router, element, sender, self._language)
        if answer is not None:
            if to is None:
                # What is no address cannot send the error.
                answer.attributes["from"] = self._local
            self._federation.dispatch(answer, sender)

    # Dialback

    def dialbackReceived(self, element: Element) -> None:
        """
        See L{IPeer.dialbackReceived}.

        @raise StreamError: C{bad-format} for what cannot be answered, C{not-authorized} for an answer that nobody has
            asked for (XEP-0220 §3.1).
        """
        try:
            request = dialback.parse(element)
        except InvalidDialback as e:
            raise StreamError("bad-format", f"Invalid dialback: {e}.") from None
        if request.type is not None:
            if cast(IPeerStream, self._stream).isOwn:
                # Late.
                return
            raise StreamError("not-authorized", "Nobody has asked for dialback on this stream.")
        if request.name == dialback.VERIFY:
            self._answer(request, *self._federation.verifyOwn(request, self._isUnencrypted))
        else:
            self._authorize(request)

    @property
    def _isUnencrypted(self) -> bool:
        return self._federation.policy.tlsRequired and not cast(IPeerStream, self._stream).isEncrypted

    def _answer(self, request: Dialback, type: str, condition: str = "") -> None:
        if self._stream is not None:
            self._stream.sendNonza(request.answer(type, condition).render())

    def _authorize(self, request: Dialback) -> None:
        """Answer a request for authorization (XEP-0220 §2.2.1), now or once the key is verified."""
        remote, stream = request.sender, cast(IPeerStream, self._stream)
        if remote in self.domains and self._federation.serves(request.to):
            self._answer(request, "valid")
            self.streamReady(remote, request.to)
            return
        refused = self._refusal(request)
        if refused is not None:
            condition, why = refused
            stream.domainRefused(remote, f"dialback {condition}: {why}")
            self._answer(request, "error", condition)
            return
        problem = stream.certificateProblem(remote)
        if problem is None:
            # Dialback without a key that is verified: the certificate is better (XEP-0220 §1.2).
            self._accept(request, "certificate")
        elif not self._federation.policy.allowsDialback(remote):
            stream.domainRefused(remote, f"dialback not-authorized: {problem}")
            self._answer(request, "error", "not-authorized")
        elif not self._federation.mayVerify(stream.address):
            stream.domainRefused(remote, "dialback resource-constraint: too many keys are to be verified")
            self._answer(request, "error", "resource-constraint")
        else:
            self._pending.add((remote, request.to))
            self._federation.verify(request, stream.id, partial(self._verified, request))

    def _refusal(self, request: Dialback) -> tuple[str, str] | None:
        """Why a request is refused before anything is verified: the condition of XEP-0220 §2.5, and words."""
        federation, pair = self._federation, (request.sender, request.to)
        if not federation.serves(request.to):
            return "item-not-found", "this server does not have the domain that is wanted"
        if self._isUnencrypted:
            return "policy-violation", "it is not encrypted"
        if federation.serves(request.sender):
            return "not-acceptable", "this server has that domain itself"
        if not federation.policy.isAllowed(request.sender):
            return "policy-violation", "streams from this domain are not accepted"
        if pair in self._pending:
            return "unexpected-request", "the same key is being verified"
        if len(self._pending) >= PENDING_LIMIT or len(self.domains) >= DOMAINS_LIMIT:
            return "resource-constraint", "too many domains on one stream"
        return None

    def _verified(self, request: Dialback, type: str, condition: str) -> None:
        """Report the outcome of a verification (XEP-0220 §2.2.1)."""
        stream = self._stream
        self._pending.discard((request.sender, request.to))
        if stream is None:
            return
        if type == "valid":
            self._accept(request, "dialback")
            return
        stream.domainRefused(request.sender, f"dialback {type}" + (f": {condition}" if condition else ""))
        if type == "error":
            self._answer(request, "error", condition)
        elif self.domains:
            self._answer(request, "error", "forbidden")
        else:
            self._answer(request, "invalid")
            stream.close(None)

    def _accept(self, request: Dialback, method: str) -> None:
        stream = cast(IPeerStream, self._stream)
        self.domains[request.sender] = None
        self._answer(request, "valid")
        stream.peerAuthenticated(self, method)
        self.streamReady(request.sender, request.to)
