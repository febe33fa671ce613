# Copyright (c) The muccore authors. See LICENSE for details.
"""How stanzas get from one floor to the next: routes, carriers, sessions, domains."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.words.protocols.jabber.ijabber import IXMPPHandlerCollection
from zope.interface import Attribute, Interface

from muccore.xmpp.element import Element, Rendered
from muccore.xmpp.errors import StreamError
from muccore.xmpp.jid import JID


class IRoute(Interface):
    """Where a rendered stanza can go: a session here; later a link to a domain or to a node."""

    def deliver(stanza: Rendered, to: bytes) -> None:
        """
        Take one stanza for this route.

        Never fails, never waits and never calls back into the caller: what becomes of a broken connection is found
        out later.

        @param stanza: rendered once, for however many.
        @param to: the C{to} attribute for this one, from L{muccore.xmpp.element.toAttribute}.
        """


class IStream(Interface):
    """What carries a session: a client's stream."""

    def send(stanza: Rendered, to: bytes) -> None:
        """
        Send one stanza: the only way out of a session. After the end nothing happens.

        @param to: as in L{IRoute.deliver}.
        """

    def close(error: StreamError | None) -> None:
        """End the stream: the error if there is one, the closing tag, then the connection."""


class ISession(IRoute):
    """One bound resource of one account."""

    jid = Attribute("The full L{JID}.")
    stream = Attribute("The L{IStream}, or C{None} while there is none.")
    language = Attribute(
        "The C{xml:lang} for stanzas of the client that have none (RFC 6120 §8.1.5), or C{None}; the carrier sets it."
    )

    def stanzaReceived(element: Element) -> None:
        """
        A stanza has come from the client.

        @param element: in C{jabber:client}; the session owns it from now on.
        @raise StreamError: if the stream has to end for it.
        """

    def streamLost(carrier: IStream, clean: bool) -> None:
        """
        A carrier is gone. Nothing happens if it is not the one that carries this session now, so calling it again
        changes nothing.

        @param clean: the client has closed its stream, rather than vanished.
        """


class ISessionBinder(Interface):
    """Where a stream that has authenticated finds its session (RFC 6120 §7)."""

    def bind(account: JID, resource: str | None, carrier: IStream) -> ISession:
        """
        Bind a resource. A session that had it gets the stream error C{conflict}.

        @param account: the bare JID.
        @param resource: the resource asked for, not yet prepared, or C{None}: the server makes one up.
        @raise StanzaError: C{bad-request} for a resource that may not be, C{resource-constraint} for one too many.
        """


class IRouter(Interface):
    """Finds the way for a stanza."""

    def route(element: Element, to: JID) -> None:
        """
        Give the stanza to whoever answers for C{to}; what cannot be delivered is answered with an error stanza.

        @param element: with C{from} and C{to}.
        @param to: its C{to}, parsed.
        """

    def routeTo(jid: JID) -> IRoute | None:
        """The route to a full JID, or C{None} if nobody is there."""


class IDomain(IXMPPHandlerCollection):
    """One host of this server and its handlers; a handler's C{parent}."""

    name = Attribute("The host name, C{str}.")
    clock = Attribute("An L{IReactorTime} provider; what its calls write is flushed when they return.")
    xmlstream = Attribute("The C{EventDispatcher} that stock wokkel handlers observe and C{send} to.")

    def dispatch(element: Element, to: JID) -> None:
        """Handle a stanza that is addressed to this host or to an address at it."""

    def send(element: Element) -> None:
        """Route a stanza by its C{to}."""

    def routeTo(jid: JID) -> IRoute | None:
        """See L{IRouter.routeTo}."""

    def request(request: Any) -> Deferred[Element]:
        """
        Send an IQ request and wait for its answer, as wokkel's C{StreamManager.request} does.

        @param request: a C{wokkel.generic.Request}.
        """

    def shutDown() -> Deferred[None]:
        """
        The server is about to stop: let the handlers that have a C{shutDown} say goodbye to those whom they serve
        (XEP-0045 §11.2), and wait for them.
        """
