# -*- test-case-name: tests.im.test_guests -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What guests may do (XEP-0175): be present in rooms, and talk with users of their own host.

They have no contacts and store nothing, so that nothing of them has to be removed at their end, and register nowhere.
Other domains are out of their reach unless that is configured.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from zope.interface import implementer

from muccore.interfaces import ISession, ISessionObserver, IUserDomain
from muccore.interfaces.filters import CONSUMED, LOADING
from muccore.routing.handler import Handler
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.guestnames import isGuestName
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec

_SUBSCRIPTIONS: Final = frozenset(["subscribe", "subscribed", "unsubscribe", "unsubscribed"])
_REQUESTS: Final = frozenset(["get", "set"])

_SETTABLE: Final = frozenset([ns.SESSION, ns.CARBONS])
"""The namespaces of requests of type set, to the own account, that keep nothing."""

STAGE: Final = LOADING - 10
"""Before all filters of others: what is refused here has no effect."""


@implementer(ISessionObserver)
class GuestHandler(Handler):
    """
    Refuses what guests of a domain may not do.

    @ivar otherDomains: whether they may send to other domains than those of their host.
    @ivar endObserver: called with each session of the domain that has ended.
    """

    implements = (Spec(175, "Best Practices for Use of SASL ANONYMOUS", "1.2"),)

    parent: IUserDomain

    def __init__(self, domains: Collection[str], otherDomains: bool) -> None:
        """@param domains: those of the host: of the accounts, and of the rooms."""
        super().__init__()
        self.otherDomains = otherDomains
        self.endObserver: Callable[[ISession], None] = lambda session: None
        self._domains = frozenset(domains)

    def sessionEnded(self, session: ISession) -> None:
        """See L{ISessionObserver.sessionEnded}."""
        self.endObserver(session)

    # What they send

    def onSent(self, session: ISession, element: Element, to: JID | None) -> Element:
        """Refuse a stanza to another domain."""
        if to is None or self.otherDomains or to.domain in self._domains:
            return element
        if isGuestName(session.account.local):
            raise StanzaError("not-allowed", text="Guests cannot reach other domains.")
        return element

    def onPresence(self, session: ISession, element: Element, to: JID | None) -> Element:
        """Refuse subscriptions."""
        if element.attributes.get("type") in _SUBSCRIPTIONS and isGuestName(session.account.local):
            raise StanzaError("not-allowed", text="Guests have no contacts.")
        return self.onSent(session, element, to)

    def onRequest(self, session: ISession, element: Element, to: JID | None) -> Element:
        """Refuse registrations, and what would be stored."""
        type = element.attributes.get("type")
        if type in _REQUESTS and isGuestName(session.account.local):
            payload = next(element.childElements(), None)
            uri = None if payload is None else payload.uri
            if uri == ns.REGISTER:
                raise StanzaError("not-allowed", text="Guests cannot register.")
            own = to is None or (to.bare == session.account.bare and not to.resource)
            if own and type == "set" and uri not in _SETTABLE:
                raise StanzaError("not-allowed", text="The server stores nothing for guests.")
        return self.onSent(session, element, to)

    # What is sent to them

    def onReceived(self, element: Element, to: JID, recipients: Any) -> Any:
        """Refuse a subscription to a guest: nobody could accept it."""
        type = element.attributes.get("type")
        if type not in _SUBSCRIPTIONS or not isGuestName(to.local):
            return element
        if type == "subscribe":
            sender = jid.parse(element.attributes["from"])
            self.parent.send(stanza("presence", "unsubscribed", from_=to.bare, to=sender.bare))
        return CONSUMED

    def onOffline(self, element: Element, to: JID) -> Element:
        """Return a message to a guest who has left: they will not be back."""
        if isGuestName(to.local):
            raise StanzaError("service-unavailable")
        return element

    outbound = {("message", STAGE): onSent, ("presence", STAGE): onPresence, ("iq", STAGE): onRequest}
    inbound = {("presence", STAGE): onReceived}
    offline = {("message", STAGE): onOffline}
