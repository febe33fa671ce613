# -*- test-case-name: tests.routing.test_router -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The router: finds the domain of an address, and the route to a full JID."""

from __future__ import annotations

from zope.interface import implementer

from muccore.interfaces import IDomain, IRoute, IRouter, ISessions
from muccore.xmpp import jid
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError, errorReplyOrNone
from muccore.xmpp.jid import JID, InvalidJID


@implementer(IRouter)
class Router:
    """
    Routes stanzas.

    @ivar domains: the domains of this server by host name.
    @ivar sessions: who is bound here.
    """

    def __init__(self, sessions: ISessions) -> None:
        self.domains: dict[str, IDomain] = {}
        self.sessions = sessions

    def addDomain(self, domain: IDomain) -> None:
        """
        Add a domain.

        @raise ValueError: if there is one of that name.
        """
        if domain.name in self.domains:
            raise ValueError(f"domain {domain.name} is there already")
        self.domains[domain.name] = domain

    def route(self, element: Element, to: JID) -> None:
        """See L{IRouter.route}."""
        domain = self.domains.get(to.domain)
        if domain is not None:
            domain.dispatch(element, to)
        else:
            self._remoteServerNotFound(element)

    def _remoteServerNotFound(self, element: Element) -> None:
        """Refuse a stanza to a domain that is not at this server (RFC 6120 §8.3.3.16)."""
        answer = errorReplyOrNone(element, StanzaError("remote-server-not-found"))
        if answer is None:
            return
        try:
            sender = jid.parse(answer.attributes["to"])
        except InvalidJID:
            return
        # An error is never answered: should the sender be elsewhere too, this ends here.
        self.route(answer, sender)

    def routeTo(self, jid: JID) -> IRoute | None:
        """See L{IRouter.routeTo}."""
        return self.sessions.byFullJID(jid)
