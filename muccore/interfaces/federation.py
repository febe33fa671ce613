# Copyright (c) The muccore authors. See LICENSE for details.
"""Other servers, as their streams see this one, and as it uses those streams."""

from __future__ import annotations

from typing import Any

from zope.interface import Attribute, Interface

from muccore.interfaces.streams import IStream
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID


class IPeer(Interface):
    """What is behind a stream that another server has opened: the domains that may send on it."""

    jid = Attribute("The first of them, as a L{JID<muccore.xmpp.jid.JID>}.")
    management = Attribute("C{None}: there is no stream management (XEP-0198).")

    def headerReceived(remote: str, local: str, language: str | None) -> None:
        """
        Note between which domains the stream is opened.

        @param language: the C{xml:lang} for stanzas that have none.
        """

    def authenticated(remote: str) -> None:
        """Accept what comes from a domain: it has proved itself by its certificate."""

    def bidirectionRequested() -> None:
        """Note that the peer wants to be sent stanzas on the stream, too (XEP-0288)."""

    def streamReady(remote: str, local: str) -> None:
        """Send what is for a domain, from one of this server, on the stream from now on, if that was requested."""

    def dialbackReceived(element: Element) -> None:
        """
        Handle a request of dialback, before or after the first domain is authenticated.

        @raise StreamError: if it ends the stream.
        """

    def stanzaReceived(element: Element) -> None:
        """
        Route a stanza.

        @param element: in C{jabber:client}; this owns it from now on.
        @raise StreamError: if it ends the stream.
        """

    def streamLost(stream: IStream, final: bool) -> bool:
        """Note the end of the stream; return C{False}, since it cannot be resumed."""


class IPeerStream(IStream):
    """A stream on which another server may send."""

    id = Attribute("The id that the server which accepted it gave it.")
    isOwn = Attribute("C{bool}: whether this server has opened it.")
    isEncrypted = Attribute("C{bool}: whether it is under TLS.")

    def certificateProblem(domain: str) -> str | None:
        """Say why its certificate does not prove that the peer serves a domain; C{None} if it does."""

    def peerAuthenticated(peer: IPeer, method: str) -> None:
        """Pass everything to the peer from now on: a domain is authenticated. Does nothing the second time."""

    def domainRefused(domain: str, why: str) -> None:
        """Log that a domain was refused."""


class IPeerHost(Interface):
    """This server, as streams that others open see it."""

    def serves(domain: str) -> bool:
        """Whether a prepared domain is one of this server."""

    def tlsFor(domain: str) -> Any:
        """The L{PeerTLS<muccore.net.peertls.PeerTLS>} of a domain of this server, or C{None} without a certificate."""

    def makePeer(stream: IPeerStream) -> IPeer:
        """Make what is behind a new stream."""

    def bucketFor(domain: str) -> Any:
        """The L{TokenBucket<muccore.net.limits.TokenBucket>} that a domain pays from, or C{None} for no limit."""


class ILink(Interface):
    """What is behind a stream that this server has opened."""

    jid = Attribute("The other domain, as a L{JID<muccore.xmpp.jid.JID>}.")
    management = Attribute("C{None}: there is no stream management (XEP-0198).")

    def stanzaReceived(element: Element) -> None:
        """
        Refuse a stanza, unless the stream is bidirectional: other servers send on their own streams.

        @raise StreamError: if it ends the stream.
        """

    def dialbackReceived(element: Element) -> None:
        """Handle an element of dialback; L{StreamError} if it ends the stream."""

    def streamLost(stream: IStream, final: bool) -> bool:
        """
        Note the end of the stream; return C{False}, since it cannot be resumed.

        @param final: whether one side has closed it in order.
        """


class ILinkOwner(Interface):
    """Who has a stream to another server opened. One of its methods is called, once."""

    def streamOpened(stream: IPeerStream, language: str | None, isBidirectional: bool) -> ILink:
        """
        The peer accepts stanzas on the stream; return what is behind it.

        @param language: the C{xml:lang} for the peer's stanzas that have none.
        @param isBidirectional: whether the peer may send, too (XEP-0288).
        """

    def streamFailed(condition: str, why: str, answered: bool) -> None:
        """
        The stream has ended before.

        @param condition: of the stanza error for what was to be sent.
        @param why: in a clause.
        @param answered: whether the peer had answered: another address would not help.
        """

    def keyVerified(id: str, type: str) -> None:
        """The peer has said of a key whether it is C{"valid"} or C{"invalid"}; C{"error"} if it cannot tell."""


class LinkPurpose:
    """
    What a stream to another server is opened for.

    @ivar local: the domain of this server.
    @ivar remote: the domain of the other one.
    @ivar question: the id and the key that it is asked about (XEP-0220 §2.1.2); C{None} to send stanzas.
    """

    __slots__ = ("local", "question", "remote")

    def __init__(self, local: str, remote: str, question: tuple[str, str] | None = None) -> None:
        self.local = local
        self.remote = remote
        self.question = question

    @property
    def jid(self) -> JID:
        """The remote domain."""
        return JID("", self.remote, "")
