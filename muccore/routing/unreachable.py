# -*- test-case-name: tests.routing.test_router -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Destinations that cannot be reached: each stanza comes back with an error."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from muccore.interfaces import IElsewhere, IRoute, IRouter
from muccore.routing.outside import sendBack
from muccore.xmpp import jid
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered


@implementer(IElsewhere)
class Unreachable:
    """Returns stanzas with an error, except those that must not be answered."""

    def __init__(self, router: IRouter, clock: IReactorTime, condition: str, text: str | None = None) -> None:
        """
        @param condition: the condition of the error.
        @param text: its text.
        """
        self._router = router
        self._clock = clock
        self._error = StanzaError(condition, text=text)
        self._pending: list[tuple[Rendered, bytes]] = []

    def dispatch(self, element: Element, to: JID) -> None:
        """See L{IDestination.dispatch<muccore.interfaces.IDestination.dispatch>}."""
        sendBack(self._router, element, self._error)

    def deliver(self, stanza: Rendered, to: bytes) -> None:
        """See L{IRoute.deliver<muccore.interfaces.IRoute.deliver>}."""
        if not self._pending:
            self._clock.callLater(0, self._returnPending)
        self._pending.append((stanza, to))

    def deliverAll(self, stanzas: Sequence[Rendered], to: bytes) -> None:
        """See L{IRoute.deliverAll<muccore.interfaces.IRoute.deliverAll>}."""
        for stanza in stanzas:
            self.deliver(stanza, to)

    def _returnPending(self) -> None:
        pending, self._pending = self._pending, []
        for stanza, to in pending:
            element = stanza.elementTo(to)
            self.dispatch(element, jid.parse(element.attributes["to"]))

    def routeWithin(self, jid: JID) -> IRoute:
        """See L{IDestination.routeWithin<muccore.interfaces.IDestination.routeWithin>}."""
        return self

    def routeFrom(self, sender: str, jid: JID) -> IRoute:
        """See L{IElsewhere.routeFrom<muccore.interfaces.IElsewhere.routeFrom>}."""
        return self
