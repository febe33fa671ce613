# Copyright (c) The muccore authors. See LICENSE for details.
"""Routing of stanzas: routes, destinations, the router, domains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.words.protocols.jabber.ijabber import IXMPPHandlerCollection
from zope.interface import Attribute, Interface

from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered


class IRoute(Interface):
    """Where rendered stanzas can be delivered: a session, or a whole L{IDestination}."""

    def deliver(stanza: Rendered, to: bytes) -> None:
        """
        Deliver a stanza. Never fails, waits or calls back into the caller: a broken connection is noticed later, and a
        stanza that cannot be delivered comes back as an error in a later turn.

        @param stanza: rendered once for all its recipients.
        @param to: the C{to} attribute for this one, from L{muccore.xmpp.rendering.toAttribute}.
        """

    def deliverAll(stanzas: Sequence[Rendered], to: bytes) -> None:
        """
        Deliver several stanzas that were asked for, in order, as L{deliver}. A client gets them as it reads them,
        however much it is.

        @param stanzas: not to be changed from now on.
        """


class IDestination(IRoute):
    """
    What stanzas to a domain are given to, and the route to the addresses there that have no route of their own: a
    domain of this server, or an unreachable one; later a link to another server or node.
    """

    def dispatch(element: Element, to: JID) -> None:
        """Handle a stanza with C{from} and C{to}, or pass it on; C{to} is parsed."""

    def routeWithin(jid: JID) -> IRoute:
        """Find the route to an address at this destination."""


class IElsewhere(IDestination):
    """All domains that this server does not have."""

    def routeFrom(sender: str, jid: JID) -> IRoute:
        """Find the route from a domain of this server to an address elsewhere."""


class IDomainObserver(Interface):
    """A handler that is told when the stream to a domain ends."""

    def domainLost(domain: str) -> None:
        """Note that nothing at a domain can be reached any more."""


class IRouter(Interface):
    """Routes stanzas to the destination or session that they are addressed to."""

    def route(element: Element, to: JID) -> None:
        """
        Route a stanza; one that cannot be delivered is answered with an error stanza.

        @param element: with C{from} and C{to}.
        @param to: its C{to}, parsed.
        """

    def routeTo(jid: JID, sender: str = "") -> IRoute:
        """
        Find the route to an address. What is delivered where nothing can be reached comes back as an error.

        @param sender: the domain of this server that sends, if it is known: other servers are reached by links of it.
        """

    def domainLost(domain: str) -> None:
        """Tell the handlers of all domains that nothing at a domain can be reached any more."""


class IDomain(IDestination, IXMPPHandlerCollection):
    """A host of this server with its handlers; a handler's C{parent}."""

    name = Attribute("The host name, C{str}.")
    clock = Attribute(
        "An L{IReactorTime} provider; what its calls write is flushed when they return. Its C{seconds} have no epoch."
    )
    now = Attribute("Returns the time of day, in seconds since the epoch; it may be set back and forward.")
    xmlstream = Attribute("The C{EventDispatcher} that stock wokkel handlers observe and C{send} to.")

    def send(element: Element) -> None:
        """Route a stanza by its C{to}."""

    def routeTo(jid: JID) -> IRoute:
        """See L{IRouter.routeTo}."""

    def domainLost(domain: str) -> None:
        """Tell the handlers that are L{IDomainObserver}s. Never fails."""

    def toStanzaError(failure: Failure) -> Any:
        """Get the stanza error that a handler has failed with. Anything else is logged, and not told."""

    def request(request: Any) -> Deferred[Element]:
        """Send a C{wokkel.generic.Request}, as C{StreamManager.request} does; fires with the response."""

    def shutDown(final: bool) -> Deferred[None]:
        """
        Shut down the handlers that have a C{shutDown}, before the server stops. Fires when all have finished.

        @param final: whether it ends for good: a room service tells its occupants (XEP-0045 §11.2).
        """
