# Copyright (c) The muccore authors. See LICENSE for details.
"""Where stanzas go: routes, the router, domains."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.words.protocols.jabber.ijabber import IXMPPHandlerCollection
from zope.interface import Attribute, Interface

from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered


class IRoute(Interface):
    """Where a rendered stanza can go: a session here; later a link to a domain or to a node."""

    def deliver(stanza: Rendered, to: bytes) -> None:
        """
        Take one stanza for this route.

        Never fails, never waits and never calls back into the caller: what becomes of a broken connection is found
        out later.

        @param stanza: rendered once, for however many.
        @param to: the C{to} attribute for this one, from L{muccore.xmpp.rendering.toAttribute}.
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
