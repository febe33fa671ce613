# -*- test-case-name: tests.im.test_userdomain -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The domain of the accounts: stanzas to users of this server, by RFC 6121 §8.5.

Where the text leaves a choice:

  - C{normal} and C{chat} messages to a bare JID go to all available resources that share the highest priority, if it
    is not negative (§8.5.2.1.1, the example it gives for "most available").
  - A C{chat} message to a full JID without a session is treated as one to the bare JID; C{normal} and C{groupchat} ones
    are answered with C{service-unavailable}, C{headline} is dropped (§8.5.3.2.1).
  - Where a message could be stored, the offline filters get it (L{muccore.interfaces.filters}); if none takes it,
    C{service-unavailable} is the answer (§8.5.2.2.1). An account that does not exist is answered like one without
    sessions (§8.5.1), so that others cannot tell which it is.
  - An IQ to a full JID is delivered to its session. §8.5.3.1 advises against that between users who do not share
    presence, which is not known without subscriptions.

C{to} stays as it was, so a stanza for several resources is rendered once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.words.protocols.jabber.ijabber import IXMPPHandler
from zope.interface import implementer

from muccore.interfaces import (
    IAccountArchive,
    IDeliveryObserver,
    IHeldMessageObserver,
    IRoute,
    IRouter,
    ISession,
    ISessionObserver,
    ISessions,
    IUserDomain,
)
from muccore.interfaces.handlers import (
    BARE,
    FULL,
    HOST,
    NOT_HANDLED,
    Function,
    InvalidHandler,
    Key,
    canDecline,
    isFromAccount,
    shownKey,
)
from muccore.log.logger import Logger
from muccore.routing.dispatch import Method, handlerName
from muccore.routing.domain import Domain
from muccore.routing.filters import Filters, mergeFilters, passed
from muccore.routing.unreachable import Unreachable
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered, toAttribute
from muccore.xmpp.specs import Spec

implements = (
    Spec(6120, "XMPP: Core", note="Stanzas and addresses.", series="RFC"),
    Spec(6121, "XMPP: Instant Messaging and Presence", note="Delivery of stanzas (§8.5).", series="RFC"),
)

_TO_ACCOUNT: Final = frozenset([None, "unavailable"])
_TO_SESSION: Final = frozenset([None, "unavailable", "error"])
"""The types of presence that are delivered. Subscriptions and probes concern the account, and are not supported yet."""


_NOT_ANSWERED: Final = {"message": frozenset(["error", "headline"]), "iq": frozenset(["result", "error"])}
"""The types of stanzas that are dropped when nobody gets them."""

_log = Logger()


def mayBeStored(message: Element, to: JID) -> bool:
    """Whether offline filters get a message without recipients; others are refused, or dropped (RFC 6121 §8.5)."""
    type = message.attributes.get("type")
    return type == "chat" or not (to.resource or type == "groupchat" or type in _NOT_ANSWERED["message"])


@implementer(IUserDomain)
class UserDomain(Domain):
    """A domain of accounts of this server."""

    outbound: Mapping[str, Filters]

    def __init__(self, name: str, router: IRouter, clock: IReactorTime, sessions: ISessions) -> None:
        super().__init__(name, router, clock)
        self.sessions = sessions
        self._noSession = Unreachable(router, clock, "recipient-unavailable")
        sessions.addDomain(self)

    @staticmethod
    def bind(handler: Any, key: Key, function: Function) -> Method:
        """
        Bind a function of a table: with L{HOST}, or with L{BARE} for IQs. The latter gets what the account itself
        sends unless it is declared with L{muccore.interfaces.handlers.answersAnyone}.

        @raise InvalidHandler: if users send each other what has this key.
        """
        method = Domain.bind(handler, key, function)
        kind, isIQ = (key[1], True) if len(key) == 4 else (key[2], key[0] == "iq")
        if kind is HOST:
            return method
        if kind is FULL or not isIQ:
            raise InvalidHandler(
                f"{handlerName(handler)} handles {shownKey(key)}, which users send each other (RFC 6121 §8.5); "
                "allowed at the accounts' domain: HOST, and BARE for IQs"
            )
        if getattr(function, "answersAnyone", False):
            return method
        declines = canDecline(function)

        def forOwner(element: Element, to: JID) -> Any:
            if isFromAccount(element, to):
                return method(element, to)
            if declines:
                return NOT_HANDLED
            # As without a handler: the answer must not show whether the account exists.
            raise StanzaError("service-unavailable")

        return forOwner

    @classmethod
    def checkFilters(cls, handlers: Iterable[IXMPPHandler]) -> None:
        """Check the filters of handlers; see L{mergeFilters}."""
        mergeFilters(handlers)

    def _mergeTables(self, handlers: Sequence[IXMPPHandler]) -> None:
        super()._mergeTables(handlers)
        filters = mergeFilters(handlers)
        self.outbound, self._inbound = filters["outbound"], filters["inbound"]
        self._redelivered = filters["redelivered"]["message"]
        self._offline = filters["offline"]["message"]
        self.accountArchive = next((handler for handler in handlers if IAccountArchive.providedBy(handler)), None)
        self._observers: list[Any] = [handler for handler in handlers if ISessionObserver.providedBy(handler)]
        self._watchers: list[Any] = [handler for handler in handlers if IHeldMessageObserver.providedBy(handler)]
        self._trackers: list[Any] = [handler for handler in handlers if IDeliveryObserver.providedBy(handler)]

    def filterOutbound(self, session: ISession, element: Element, to: JID | None) -> Element | None:
        """See L{IUserDomain.filterOutbound}."""
        for method in self.outbound[element.name]:
            try:
                result = method(session, element, to)
                if result is element:
                    continue
                if not passed(result):
                    return None
            except Exception:
                session.sendError(element, self.toStanzaError(Failure()))
                return None
            element = result
        return element

    def sessionEnded(self, session: ISession) -> None:
        """See L{IUserDomain.sessionEnded}."""
        for handler in self._observers:
            try:
                handler.sessionEnded(session)
            except Exception:
                _log.failure("{domain}: a handler failed at the end of a session", domain=self.name)

    def deliverySettled(self, session: ISession, tags: Sequence[str], delivered: bool) -> None:
        """See L{IUserDomain.deliverySettled}."""
        for handler in self._trackers:
            try:
                handler.deliverySettled(session, tags, delivered)
            except Exception:
                _log.failure("{domain}: a handler failed at the delivery of messages", domain=self.name)

    def messageHeld(self, session: ISession, message: Rendered) -> None:
        """See L{IUserDomain.messageHeld}."""
        for handler in self._watchers:
            try:
                handler.messageHeld(session, message)
            except Exception:
                _log.failure("{domain}: a handler failed at a message that is held", domain=self.name)

    def mayObserve(self, element: Element, to: JID) -> bool:
        """Whether stock handlers may see a stanza: one to the server itself, or an IQ as L{bind} has it for tables."""
        if not to.local:
            return True
        return element.name == "iq" and not to.resource and isFromAccount(element, to)

    # Delivery

    def routeWithin(self, jid: JID) -> IRoute:
        """
        See L{IDestination.routeWithin<muccore.interfaces.IDestination.routeWithin>}: to a session, or to handlers of
        the domain itself. What is broadcast to a session that has ended is returned, so that a room notices.
        """
        return (self.sessions.byFullJID(jid) or self._noSession) if jid.local else self

    def waitsForDelivered(self, to: JID) -> bool:
        """
        Whether a stanza is to the domain itself. Others must not wait: a room delivers its broadcasts to sessions at
        once, and sends them its answers through the domain.
        """
        return not to.local

    def stanzaUnhandled(self, element: Element, to: JID) -> None:
        """Filter and deliver a stanza that no handler has taken."""
        if not to.local:
            super().stanzaUnhandled(element, to)
            return
        # Filters are asked when it is delivered: they are told who gets it.
        if not self.sessions.postpone(self, element, to):
            self.receive(element, to)

    def receive(self, element: Element, to: JID) -> None:
        """See L{IUserDomain.receive}."""
        recipients = self._recipients(element, to)
        # IQs to an account have passed before, or are its own.
        filtered = element if element.name == "iq" and not to.resource else self._filterInbound(element, to, recipients)
        if filtered is not None:
            self._deliver(filtered, to, recipients)

    def _dispatchRequest(self, element: Element, to: JID, key: tuple[str, Any]) -> None:
        """Filter a request of somebody else to an account, before a handler is asked to answer it; then dispatch it."""
        if key[1] is BARE and not isFromAccount(element, to):
            filtered = self._filterInbound(element, to, ())
            if filtered is None:
                return
            element = filtered
        super()._dispatchRequest(element, to, key)

    def _filterInbound(self, element: Element, to: JID, recipients: tuple[ISession, ...]) -> Element | None:
        """Pass a stanza through the inbound filters; return C{None} if one has consumed or refused it."""
        for method in self._inbound[element.name]:
            try:
                result = method(element, to, recipients)
                if result is element:
                    continue
                if not passed(result):
                    return None
            except Exception:
                self._sendFailure(Failure(), element)
                return None
            element = result
        return element

    def redeliver(self, element: Element, to: JID) -> None:
        """See L{IUserDomain.redeliver}."""
        if element.name == "message":
            for method in self._redelivered:
                try:
                    result = method(element, to)
                    if not passed(result):
                        return
                except Exception:
                    self._sendFailure(Failure(), element)
                    return
                element = result
        self._deliver(element, to, self._recipients(element, to))

    def _deliver(self, element: Element, to: JID, recipients: Sequence[ISession]) -> None:
        """Deliver a stanza to sessions; if there are none, do what RFC 6121 §8.5 says."""
        if recipients:
            rendered, address = Rendered.of(element), toAttribute(element.attributes["to"])
            for session in recipients:
                session.deliver(rendered, address)
            return
        # An IQ is here because no handler answers it for the account (§8.5.2.1.3), or there is no such session.
        type = element.attributes.get("type")
        if element.name == "presence" or type in _NOT_ANSWERED[element.name]:
            return
        if not (element.name == "message" and mayBeStored(element, to) and self._storeOffline(element, to)):
            self.sendError(element, StanzaError("service-unavailable"))

    def _storeOffline(self, element: Element, to: JID) -> bool:
        """Pass a message through the offline filters; return whether one has taken or refused it."""
        for method in self._offline:
            try:
                result = self._toDeferred(method(element, to))
                if isinstance(result, Deferred):
                    result.addErrback(self._sendFailure, element)
                    return True
                if not passed(result):
                    return True
            except Exception:
                self._sendFailure(Failure(), element)
                return True
            element = result
        return False

    def _recipients(self, element: Element, to: JID) -> tuple[ISession, ...]:
        """Find the sessions that get a stanza."""
        name = element.name
        type = element.attributes.get("type")
        if to.resource:
            # RFC 6121 §8.5.3
            if name == "presence" and type not in _TO_SESSION:
                return ()
            session = self.sessions.byFullJID(to)
            if session is not None:
                return (session,)
            if name != "message" or type != "chat":
                return ()
        # RFC 6121 §8.5.2
        sessions = self.sessions.forAccount(to.bare).values()
        if name == "presence":
            return tuple(session for session in sessions if session.priority is not None) if type in _TO_ACCOUNT else ()
        if name == "iq" or type in ("error", "groupchat"):
            return ()
        if len(sessions) == 1:
            [session] = sessions
            return () if session.priority is None or session.priority < 0 else (session,)
        ready = [session for session in sessions if session.priority is not None and session.priority >= 0]
        if type != "headline" and ready:
            highest = max(session.priority for session in ready)
            ready = [session for session in ready if session.priority == highest]
        return tuple(ready)
