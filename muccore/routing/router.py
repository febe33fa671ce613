# -*- test-case-name: tests.routing.test_router -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The router: finds the destination of a stanza, and the route to an address, by the domain."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from muccore.interfaces import IComponent, IDestination, IDomain, IElsewhere, IRoute, IRouter
from muccore.routing.unreachable import Unreachable
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID


@implementer(IRouter)
class Router:
    """
    Routes stanzas.

    @ivar domains: the destinations that this server knows, by domain.
    @ivar elsewhere: the destination of all other domains (RFC 6120 §10.4).
    """

    elsewhere: IElsewhere

    def __init__(self, clock: IReactorTime) -> None:
        self.domains: dict[str, IDestination] = {}
        self.elsewhere = Unreachable(self, clock, "remote-server-not-found")

    def addDomain(self, domain: IDomain | IComponent) -> None:
        """
        Add a domain.

        @raise ValueError: if there is one of that name.
        """
        if domain.name in self.domains:
            raise ValueError(f"domain {domain.name} is there already")
        self.domains[domain.name] = domain

    def removeDomain(self, name: str) -> None:
        """Remove a domain; from now on it is elsewhere."""
        del self.domains[name]

    def route(self, element: Element, to: JID) -> None:
        """See L{IRouter.route}."""
        self.domains.get(to.domain, self.elsewhere).dispatch(element, to)

    def routeTo(self, jid: JID, sender: str = "") -> IRoute:
        """See L{IRouter.routeTo}."""
        destination = self.domains.get(jid.domain)
        return self.elsewhere.routeFrom(sender, jid) if destination is None else destination.routeWithin(jid)

    def domainLost(self, domain: str) -> None:
        """See L{IRouter.domainLost}."""
        for destination in list(self.domains.values()):
            if IDomain.providedBy(destination):
                destination.domainLost(domain)
