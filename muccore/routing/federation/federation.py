# -*- test-case-name: tests.routing.federation.test_federation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Federation: the destination of all domains that this server does not have, and the host of the streams from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from weakref import WeakValueDictionary

from zope.interface import implementer

from muccore.interfaces import IDomain, IElsewhere, IRoute
from muccore.interfaces.federation import ILink, ILinkOwner, IPeerHost, IPeerStream, LinkPurpose
from muccore.log.logger import Logger
from muccore.net.limits import AddressBuckets, TokenBucket
from muccore.net.peertls import PeerTLS
from muccore.net.timingwheel import TimingWheel
from muccore.routing.federation.dialer import Dialer
from muccore.routing.federation.incoming import IncomingPeer
from muccore.routing.federation.link import Link
from muccore.routing.federation.returns import Returns
from muccore.routing.federation.settings import FederationSettings
from muccore.routing.router import Router
from muccore.stream.s2s.outgoing import NOT_FOUND
from muccore.stream.s2s.policy import PeerPolicy
from muccore.xmpp import jid as jids
from muccore.xmpp.dialback import Dialback, isKey
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError, StreamError
from muccore.xmpp.jid import JID, InvalidJID
from muccore.xmpp.rendering import Rendered, withAddress

QUEUE_LIMIT: Final = 64 * 1024 * 1024
"""Bytes that all links together keep for streams that are being opened."""

LINKS_LIMIT: Final = 10_000
"""Links that are open, being opened, or waiting after a failure."""

VERIFICATIONS_LIMIT: Final = 200
"""Keys of other servers that are being verified."""

QUESTIONS_RATE: Final = 2.0
"""Keys a second that are verified for one address in the long run."""

QUESTIONS_BURST: Final = 100
"""Keys that are verified at once beyond that: another server may have many domains."""

_REMEMBERED: Final = 10_000
"""Domains whose buckets are remembered, and links whose failures are."""

_log = Logger()


@implementer(ILinkOwner)
class _Question:
    """Whether a key is valid, to the server that should have made it."""

    def __init__(self, done: Callable[[str, str], None]) -> None:
        """@param done: called once, with the type and the condition of the answer to who has sent the key."""
        self._done: Callable[[str, str], None] | None = done

    def _finish(self, type: str, condition: str = "") -> None:
        done, self._done = self._done, None
        if done is not None:
            done(type, condition)

    def streamOpened(self, stream: IPeerStream, language: str | None, isBidirectional: bool) -> ILink:
        """Never called: nothing is sent on the stream."""
        raise AssertionError("a question opens no link")

    def streamFailed(self, condition: str, why: str, answered: bool) -> None:
        """See L{ILinkOwner.streamFailed}."""
        self._finish("error", NOT_FOUND if condition == NOT_FOUND else "remote-server-timeout")

    def keyVerified(self, id: str, type: str) -> None:
        """See L{ILinkOwner.keyVerified}: an error has to become this one (XEP-0220 §2.5)."""
        self._finish(type, NOT_FOUND if type == "error" else "")


@implementer(IElsewhere, IPeerHost)
class Federation:
    """
    The other servers.

    @ivar settings: limits and times.
    @ivar policy: with whom to speak.
    @ivar certificates: those of the domains of this server.
    @ivar dialer: opens streams.
    @ivar returns: what could not be sent.
    @ivar queued: bytes that links keep.
    @ivar queueLimit: the most that they may.
    @ivar ending: whether the server ends.
    """

    dialer: Dialer
    queueLimit = QUEUE_LIMIT

    def __init__(
        self, router: Router, clock: Any, settings: FederationSettings, policy: PeerPolicy, secret: bytes,
        certificates: Mapping[str, PeerTLS],
    ) -> None:  # fmt: skip
        """@param secret: what keys of dialback are made from."""
        self.router = router
        self.clock = clock
        self.settings = settings
        self.policy = policy
        self.certificates = certificates
        self.returns = Returns(router, clock)
        self.queued = 0
        self.ending = False
        self._secret = secret
        self._wheel = TimingWheel(clock)
        # A room may keep a link that is not in use.
        self._links: WeakValueDictionary[tuple[str, str], Link] = WeakValueDictionary()
        self._active: dict[Link, None] = {}
        self._buckets: dict[str, TokenBucket] = {}
        self._failures: dict[tuple[str, str], int] = {}
        self._verifying = 0
        self._questions = AddressBuckets(QUESTIONS_RATE, QUESTIONS_BURST, clock.seconds)
        self._peers: dict[IncomingPeer, None] = {}

    def configure(self, settings: FederationSettings, policy: PeerPolicy, certificates: Mapping[str, PeerTLS]) -> None:
        """Change the configuration. Streams stay, but those with domains that are blocked now."""
        if (settings.rate, settings.burst) != (self.settings.rate, self.settings.burst):
            self._buckets.clear()
        self.settings, self.policy, self.certificates = settings, policy, certificates
        for link in list(self._active):
            if not policy.isAllowed(link.remote):
                link.close(StreamError("policy-violation", "Streams to this domain are not allowed any more."))
                self.domainLost(link.local, link.remote)
        for peer in list(self._peers):
            peer.dropBlocked()

    # IElsewhere

    def link(self, local: str, remote: str) -> Link:
        """The link from a domain of this server to one elsewhere."""
        link = self._links.get((local, remote))
        if link is None:
            link = self._links[local, remote] = Link(self, local, remote)
        return link

    def dispatch(self, element: Element, to: JID) -> None:
        """See L{IElsewhere.dispatch<muccore.interfaces.IDestination.dispatch>}."""
        local = self._senderOf(element)
        if local is not None:
            self.link(local, to.domain).deliver(*withAddress(element))

    def _senderOf(self, element: Element) -> str | None:
        """The domain of this server that a stanza is from."""
        try:
            domain = jids.parse(element.attributes.get("from", "")).domain
        except InvalidJID:
            return None
        if domain in self.router.domains:
            return domain
        _log.warn("a handler sent {name} elsewhere from {domain}, which is not here", name=element.name, domain=domain)
        return None

    def deliver(self, stanza: Rendered, to: bytes) -> None:
        """See L{IRoute.deliver<muccore.interfaces.IRoute.deliver>}: slower than by the route of an address."""
        element = stanza.elementTo(to)
        self.dispatch(element, jids.parse(element.attributes["to"]))

    def deliverAll(self, stanzas: Sequence[Rendered], to: bytes) -> None:
        """See L{IRoute.deliverAll<muccore.interfaces.IRoute.deliverAll>}."""
        for stanza in stanzas:
            self.deliver(stanza, to)

    def routeWithin(self, jid: JID) -> IRoute:
        """See L{IElsewhere.routeWithin<muccore.interfaces.IDestination.routeWithin>}."""
        return self

    def routeFrom(self, sender: str, jid: JID) -> IRoute:
        """See L{IElsewhere.routeFrom}."""
        return self.link(sender, jid.domain) if sender else self

    # Links

    def refusal(self, link: Link) -> StanzaError | None:
        """Why a link may not be opened; C{None} if it may."""
        if not self.policy.isAllowed(link.remote):
            return StanzaError("not-allowed", text="This server does not speak with that domain.")
        if self.ending:
            return StanzaError("remote-server-timeout", text="This server ends.")
        if link not in self._active and len(self._active) >= LINKS_LIMIT:
            return StanzaError("resource-constraint", text="There are too many links.")
        return None

    def linkActive(self, link: Link) -> None:
        """Keep a link that is being opened."""
        self._active[link] = None

    def linkIdle(self, link: Link) -> None:
        """Let go of a link that has nothing to do; rooms may keep it."""
        self._active.pop(link, None)

    def countFailure(self, link: Link) -> int:
        """Count a failure to open the stream of a link, also of a forgotten one; return the number in a row."""
        pair = link.local, link.remote
        count = self._failures[pair] = self._failures.pop(pair, 0) + 1
        if len(self._failures) > _REMEMBERED:
            del self._failures[next(iter(self._failures))]
        return count

    def forgetFailures(self, link: Link) -> None:
        """Begin to count anew: the domain can be reached."""
        self._failures.pop((link.local, link.remote), None)

    def used(self) -> Iterator[Link]:
        """The links that are open, are being opened, or wait after a failure."""
        return iter(list(self._active))

    def links(self) -> Iterator[Link]:
        """The links that are open."""
        return (link for link in self._active if link.stream is not None)

    def peers(self) -> Iterator[IncomingPeer]:
        """What is behind streams on which others may send, as far as a domain is authenticated."""
        return (peer for peer in self._peers if peer.domains)

    def watch(self, link: Link) -> None:
        """Look after a link with a stream."""
        self._wheel.schedule(link, link.period())

    def unwatch(self, link: Link) -> None:
        """Look after a link no more."""
        self._wheel.remove(link)

    def heard(self, local: str, remote: str) -> None:
        """Note that a domain elsewhere has sent something to one of this server."""
        link = self._links.get((local, remote))
        if link is not None:
            link.peerHeard()

    def domainLost(self, local: str, remote: str) -> None:
        """
        Tell the handlers of a domain of this server that nothing at one elsewhere can be reached: later, since this may
        be inside a broadcast, but before anything is returned.
        """

        def tell() -> None:
            destination = self.router.domains.get(local)
            if IDomain.providedBy(destination):
                destination.domainLost(remote)

        self.clock.callLater(0, tell)

    def closeLinks(self, error: StreamError) -> None:
        """End all links in order, and return what waits."""
        for link in list(self._active):
            link.close(error)

    def closeAll(self) -> None:
        """End all links in order: the server ends."""
        self.ending = True
        self.closeLinks(StreamError("system-shutdown"))

    # IPeerHost

    def serves(self, domain: str) -> bool:
        """See L{IPeerHost.serves}."""
        return domain in self.router.domains

    def tlsFor(self, domain: str) -> PeerTLS | None:
        """See L{IPeerHost.tlsFor}. A component has the certificate of the host that it is below, or the first one."""
        name = domain
        while name not in self.certificates:
            _, dot, name = name.partition(".")
            if not dot:
                return next(iter(self.certificates.values()), None)
        return self.certificates[name]

    def makePeer(self, stream: IPeerStream) -> IncomingPeer:
        """See L{IPeerHost.makePeer}."""
        return IncomingPeer(self, stream)

    def peerMade(self, peer: IncomingPeer) -> None:
        """Note a new peer."""
        self._peers[peer] = None

    def peerLost(self, peer: IncomingPeer) -> None:
        """Forget a peer whose stream has ended."""
        self._peers.pop(peer, None)

    def bucketFor(self, domain: str) -> TokenBucket | None:
        """See L{IPeerHost.bucketFor}. It outlives the streams of the domain."""
        if not self.settings.rate:
            return None
        bucket = self._buckets.pop(domain, None)
        if bucket is None:
            bucket = TokenBucket(self.settings.rate, self.settings.burst, self.clock.seconds)
        self._buckets[domain] = bucket
        if len(self._buckets) > _REMEMBERED:
            del self._buckets[next(iter(self._buckets))]
        return bucket

    # Dialback

    def mayVerify(self, address: str) -> bool:
        """
        Whether another key can be verified for a peer at an address, who pays for it: otherwise they could have this
        server connect to others as often as they like.
        """
        if self._verifying >= VERIFICATIONS_LIMIT:
            return False
        bucket = self._questions.of(address)
        if not bucket.take(1):
            return True
        bucket.take(-1)
        return False

    def verifyOwn(self, request: Dialback, isUnencrypted: bool) -> tuple[str, str]:
        """Answer whether a key is one of this server (XEP-0220 §2.2.2): type and condition."""
        if not self.serves(request.to):
            return "error", "item-not-found"
        if isUnencrypted:
            return "error", "policy-violation"
        valid = isKey(request.key, self._secret, request.sender, request.to, request.id)
        return ("valid" if valid else "invalid"), ""

    def verify(self, request: Dialback, id: str, done: Callable[[str, str], None]) -> None:
        """
        Ask the server of a domain whether a key is its own (XEP-0220 §2.1.2).

        @param id: that of the stream on which the key came.
        @param done: called once with the type and the condition of the answer for that stream.
        """
        self._verifying += 1

        def finished(type: str, condition: str) -> None:
            self._verifying -= 1
            done(type, condition)

        purpose = LinkPurpose(request.to, request.sender, (id, request.key))
        self.dialer.open(purpose, _Question(finished))
