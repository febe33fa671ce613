# -*- test-case-name: tests.routing.federation.test_link -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A link: the route from one domain of this server to one elsewhere.

Theory of operation. A link has a stream, or it opens one for what it has to send, or it waits after a failure. While it
opens one, stanzas are kept, within limits. After a failure it refuses what it gets until a time that is longer after
each failure, and a matter of chance, so that not all links try again together.

A link whose stream is lost, and was not closed in order, opens another one soon, even if there is nothing to send: if
none can be opened within the grace time, the domain is reported lost to the handlers of this link's domain, and so its
occupants leave their rooms. What is sent meanwhile is kept; if that is too much, the grace time is over.

A peer that has been sent something and is silent is pinged (XEP-0199 §4.4), and its stream lost if it goes on so:
otherwise nobody would notice that a server hangs.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from random import uniform
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from muccore.interfaces import IRoute, IStream
from muccore.interfaces.federation import ILink, ILinkOwner, IPeerStream, LinkPurpose
from muccore.log.eventlog import LINK_FAILED, LINK_OPENED, Phrase
from muccore.net.timingwheel import TICK
from muccore.routing.federation.incoming import IncomingPeer, describeEncryption
from muccore.xmpp import ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError, StreamError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered, withAddress

if TYPE_CHECKING:
    from muccore.routing.federation.federation import Federation

FIRST_WAIT: Final = 5.0
"""Seconds to wait after the first failure, at most; the second time twice as long, and so on."""

LONGEST_WAIT: Final = 300.0
"""Seconds to wait after any failure, at most."""

_REOPEN: Final = 1.0
"""Seconds after the loss of a stream until another one is opened, at most."""

PING_TIMEOUT: Final = 60
"""Seconds for a silent peer to answer, or the time between pings if that is less."""


@implementer(IRoute, ILink, ILinkOwner)
class Link:
    """
    A link.

    @ivar stream: its stream, or C{None}.
    @ivar used: whether something was sent since something came from the domain, or this was looked at last.
    @ivar heard: whether something came from the domain since then.
    @ivar due: see L{Timed<muccore.net.timingwheel.Timed>}.
    """

    management: Final = None

    __slots__ = (
        "__weakref__", "_bytes", "_federation", "_graceUntil", "_isBorrowed", "_opening", "_pinged",
        "_queue", "_refusal", "_retry", "_unused", "due", "heard", "jid", "local", "remote", "stream", "used",
    )  # fmt: skip

    def __init__(self, federation: Federation, local: str, remote: str) -> None:
        self.local = local
        self.remote = remote
        self.jid = JID("", remote, "")
        self.stream: IPeerStream | None = None
        self.used = self.heard = False
        self.due = 0
        self._federation = federation
        self._queue: list[tuple[Rendered, bytes]] = []
        self._bytes = 0
        self._opening: Deferred[None] | None = None
        self._refusal: StanzaError | None = None
        self._retry: IDelayedCall | None = None
        self._graceUntil = -math.inf
        self._pinged = self._isBorrowed = False
        self._unused = 0

    def __repr__(self) -> str:
        return f"<Link {self.local} to {self.remote}>"

    def describe(self) -> str:
        """A line for operators."""
        if self.stream is not None:
            state = f"open to {self.stream.address}, {describeEncryption(self.stream)}"
            if self._isBorrowed:
                state += ", by the stream of that server"
        elif self._refusal is not None:
            state = f"{self._refusal.condition}: {self._refusal.text}"
        else:
            state = f"being opened, {len(self._queue)} stanzas wait"
        return f"{self.local} to {self.remote}: {state}"

    # To the other server

    def deliver(self, stanza: Rendered, to: bytes) -> None:
        """See L{IRoute.deliver<muccore.interfaces.IRoute.deliver>}."""
        stream = self.stream
        if stream is not None:
            self.used = True
            stream.send(stanza, to)
        else:
            self._keep(stanza, to)

    def deliverAll(self, stanzas: Sequence[Rendered], to: bytes) -> None:
        """See L{IRoute.deliverAll<muccore.interfaces.IRoute.deliverAll>}."""
        stream = self.stream
        if stream is not None:
            self.used = True
            stream.sendAll(stanzas, to)
        else:
            for each in stanzas:
                self._keep(each, to)

    def _keep(self, stanza: Rendered, to: bytes) -> None:
        """Keep a stanza until there is a stream, or return it."""
        federation = self._federation
        refusal = self._refusal or federation.refusal(self)
        size = stanza.size + len(to)
        if refusal is None and not self._hasRoom(size):
            if self._inGrace:
                self._giveUp("remote-server-timeout", "too much waits for the lost link")
                refusal = self._refusal
            else:
                refusal = StanzaError("resource-constraint", text="Too much waits for the server of this domain.")
        if refusal is not None:
            federation.returns.add(stanza, to, refusal)
            return
        # What is kept needs less memory without the element.
        self._queue.append((stanza.withoutElement(), to))
        self._bytes += size
        federation.queued += size
        if self._opening is None and self._retry is None:
            self._open()

    def _hasRoom(self, size: int) -> bool:
        federation = self._federation
        settings = federation.settings
        return (
            len(self._queue) < settings.queueStanzas
            and self._bytes + size <= settings.queueBytes
            and federation.queued + size <= federation.queueLimit
        )

    @property
    def _inGrace(self) -> bool:
        now: float = self._federation.clock.seconds()
        return now < self._graceUntil

    def _open(self) -> None:
        self._retry = None
        self._federation.linkActive(self)
        self._opening = self._federation.dialer.open(LinkPurpose(self.local, self.remote), self)

    def _takeQueue(self) -> list[tuple[Rendered, bytes]]:
        queue, self._queue = self._queue, []
        self._federation.queued -= self._bytes
        self._bytes = 0
        return queue

    # ILinkOwner

    def streamOpened(self, stream: IPeerStream, language: str | None, isBidirectional: bool) -> ILink:
        """See L{ILinkOwner.streamOpened}: send what was kept."""
        self._opening = None
        self._isBorrowed = False
        self._use(stream)
        return LinkPeer(self, self._federation, stream, language) if isBidirectional else self

    def borrow(self, stream: IPeerStream) -> bool:
        """
        Use a stream that the peer has opened (XEP-0288), unless there is one, or one is being opened: the peer might do
        the same, and both would end what the other uses.

        @return: whether it is used.
        """
        if self.stream is not None or self._opening is not None:
            return False
        self._stopRetry()
        self._refusal = None
        self._isBorrowed = True
        self._federation.linkActive(self)
        LINK_OPENED.log(
            self.local, domain=self.remote, peer=stream.address, method=Phrase("the stream of that server"),
            tls=Phrase("in both directions"),
        )  # fmt: skip
        self._use(stream)
        return True

    def _use(self, stream: IPeerStream) -> None:
        self._federation.forgetFailures(self)
        self._graceUntil = -math.inf
        self.stream = stream
        self.heard = self._pinged = False
        self._unused = 0
        self.used = True
        for kept, to in self._takeQueue():
            stream.send(kept, to)
        self._federation.watch(self)

    def streamFailed(self, condition: str, why: str, answered: bool) -> None:
        """See L{ILinkOwner.streamFailed}: try again later within the grace time, or give up."""
        self._opening = None
        if self._inGrace:
            left = self._graceUntil - self._federation.clock.seconds()
            self._retryIn(min(left, self._nextWait()))
        else:
            self._giveUp(condition, why)

    def keyVerified(self, id: str, type: str) -> None:
        """Nothing: a link asks nothing."""

    def _nextWait(self) -> float:
        """Count a failure; return the seconds to wait."""
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(self._federation.countFailure(self) - 1, 10))
        return uniform(longest / 2, longest)

    def _stopRetry(self) -> None:
        retry, self._retry = self._retry, None
        if retry is not None and retry.active():
            retry.cancel()

    def _retryIn(self, seconds: float) -> None:
        self._retry = self._federation.clock.callLater(seconds, self._open)

    def _giveUp(self, condition: str, why: str) -> None:
        """Report the domain lost, return what was kept, and refuse everything for a time."""
        federation = self._federation
        self._graceUntil = -math.inf
        self._stopRetry()
        self._refusal = StanzaError(condition, text=f"{self.remote}: {why}.")
        self._retry = federation.clock.callLater(self._nextWait(), self._waitIsOver)
        queue = self._takeQueue()
        LINK_FAILED.log(self.local, domain=self.remote, condition=condition, why=Phrase(why), count=len(queue))
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
        # Before anything comes back: occupants leave once, and are not sent that others do.
        federation.domainLost(self.local, self.remote)
        for kept, to in queue:
            federation.returns.add(kept, to, self._refusal)

    def _waitIsOver(self) -> None:
        """Try again with the next stanza."""
        self._retry = self._refusal = None
        self._federation.linkIdle(self)

    def peerHeard(self) -> None:
        """Note that the domain has sent something: it does not hang, and its server can be reached again."""
        self.heard, self.used = True, False
        if self._refusal is not None:
            self._stopRetry()
            self._federation.forgetFailures(self)
            self._waitIsOver()

    # ILink

    def stanzaReceived(self, element: Element) -> None:
        """See L{ILink.stanzaReceived}."""
        raise StreamError("not-authorized", "Stanzas are accepted on streams that their server has opened.")

    def dialbackReceived(self, element: Element) -> None:
        """See L{ILink.dialbackReceived}: nobody waits for an answer, and there is nobody to answer to."""
        if "type" not in element.attributes:
            raise StreamError("not-authorized", "Dialback is answered on streams that their server has opened.")

    def streamLost(self, stream: IStream, final: bool) -> bool:
        """See L{ILink.streamLost}."""
        if stream is not self.stream:
            return False
        self.stream = None
        federation = self._federation
        federation.unwatch(self)
        if final or federation.ending:
            federation.linkIdle(self)
        else:
            self._graceUntil = federation.clock.seconds() + federation.settings.grace
            self._retryIn(uniform(0, min(_REOPEN, federation.settings.grace)))
        return False

    def close(self, error: StreamError | None) -> None:
        """Close the stream in order, and give up what is being opened."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
        self._stopRetry()
        self._refusal = None
        stream, self.stream = self.stream, None
        if stream is not None:
            self._federation.unwatch(self)
            stream.close(error)
        refusal = StanzaError("remote-server-timeout", text="The link was closed.")
        for kept, to in self._takeQueue():
            self._federation.returns.add(kept, to, refusal)
        self._federation.linkIdle(self)

    # Silence

    def timeoutDue(self, tick: int) -> int:
        """See L{Timed<muccore.net.timingwheel.Timed>}: ping a silent peer, close what is not used."""
        settings = self._federation.settings
        used, heard = self.used, self.heard
        self.used = self.heard = False
        if self._pinged and not heard:
            self._pinged = False
            self._lose()
            return 0
        self._pinged = False
        self._unused = 0 if used or heard else self._unused + 1
        period = self.period()
        if settings.idleTimeout and not self._isBorrowed and self._unused * period * TICK >= settings.idleTimeout:
            self.close(None)
            return 0
        if used and settings.pingInterval:
            self._ping()
            return min(PING_TIMEOUT, period)
        return period

    def period(self) -> int:
        """Ticks from one look at the stream to the next."""
        settings = self._federation.settings
        times = [each for each in (settings.pingInterval, settings.idleTimeout) if each]
        return max(1, math.ceil(min(times, default=3600) / TICK))

    def _ping(self) -> None:
        self._pinged = True
        ping = stanza("iq", "get", from_=self.local, to=self.remote, id=secrets.token_urlsafe(9))
        ping.add("ping", ns.PING)
        if self.stream is not None:
            self.stream.send(*withAddress(ping))

    def _lose(self) -> None:
        """End the stream of a peer that does not answer."""
        stream = self.stream
        if stream is not None:
            stream.close(StreamError("connection-timeout", "The server does not answer."))
            self.streamLost(stream, False)


@implementer(ILink)
class LinkPeer(IncomingPeer):
    """What is behind a stream of a link on which the other server may send, too."""

    def __init__(self, link: Link, federation: Federation, stream: IPeerStream, language: str | None) -> None:
        super().__init__(federation, stream)
        self.headerReceived(link.remote, link.local, language)
        self.authenticated(link.remote)
        self._link = link

    def streamLost(self, stream: IStream, final: bool) -> bool:
        """See L{ILink.streamLost}."""
        super().streamLost(stream, final)
        return self._link.streamLost(stream, final)
