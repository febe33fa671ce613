# -*- test-case-name: tests.routing.test_domain -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A domain: the handlers of one host.

The tables of muccore's own handlers (L{muccore.interfaces.handlers}) are merged when a handler is added, so a stanza
costs one or two lookups. What a method returns or raises is turned into the reply here only.

A stock wokkel handler observes C{xmlstream} instead. It gets what no table has taken, and sets C{handled} on an IQ that
it has answered.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from types import MethodType
from typing import Any, Final, cast

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.words.protocols.jabber.error import StanzaError as _AnyStanzaError
from twisted.words.protocols.jabber.ijabber import IXMPPHandler
from twisted.words.xish import domish
from zope.interface import implementer

from muccore.interfaces import IDomain, IDomainObserver, IRoute, IRouter
from muccore.interfaces.handlers import ANSWERED, ANY, BARE, FULL, HOST, NOT_HANDLED, Function, Key
from muccore.log.logger import Logger
from muccore.routing.dispatch import Method, handlerName, merge
from muccore.routing.filters import checkNoFilters
from muccore.routing.shadowing import findShadowed
from muccore.routing.wokkelstream import WokkelStream, toStanza
from muccore.xmpp import jid
from muccore.xmpp.datetimes import timeOfDay
from muccore.xmpp.element import Element, reply
from muccore.xmpp.errors import STANZA_CONDITIONS, StanzaError, errorReplyOrNone
from muccore.xmpp.jid import JID, InvalidJID
from muccore.xmpp.rendering import Rendered

_MESSAGE_TYPES: Final = {type: type for type in ("chat", "error", "groupchat", "headline", "normal")}

_log = Logger()


def _taken(result: Any) -> Any:
    """
    Pass on what a method returned.

    @raise TypeError: if it has declined without being declared with L{muccore.interfaces.handlers.mayDecline}, or too
        late.
    """
    if result is NOT_HANDLED:
        raise TypeError("NOT_HANDLED from a method that is not declared with mayDecline, or from a Deferred")
    return result


def _addressed(stanza: Element | Rendered, to: JID | bytes) -> tuple[Element, JID]:
    """A stanza that was dispatched or delivered, with its address."""
    if isinstance(stanza, Rendered):
        element = stanza.elementTo(cast(bytes, to))
        return element, jid.parse(element.attributes["to"])
    return stanza, cast(JID, to)


@implementer(IDomain)
class Domain:
    """
    One host of this server and its handlers.

    @ivar handlers: its handlers in the order in which they were added.
    """

    def __init__(self, name: str, router: IRouter, clock: IReactorTime) -> None:
        self.name = name
        self.clock = clock
        self.now = timeOfDay(clock)
        self.handlers: list[IXMPPHandler] = []
        self._router = router
        self._mergeTables([])
        self._dispatching = False
        # Whether stanzas that were delivered wait for the next turn of the reactor.
        self._delivered = False
        self._observed: Element | None = None
        self._pending: deque[tuple[Element, JID] | tuple[Rendered, bytes]] = deque()
        self.xmlstream = WokkelStream(self.send, clock)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    # Handlers

    def __iter__(self) -> Iterator[IXMPPHandler]:
        return iter(list(self.handlers))

    def addHandler(self, handler: IXMPPHandler) -> None:
        """
        Add a handler. Called by its C{setHandlerParent}.

        @raise InvalidHandler: if another handler has one of its keys (see L{muccore.routing.dispatch}), or one of
            them is not for this domain; then nothing is added.
        """
        self._mergeTables([*self.handlers, handler])
        self.handlers.append(handler)
        handler.makeConnection(self.xmlstream)
        handler.connectionInitialized()

    def removeHandler(self, handler: IXMPPHandler) -> None:
        """Remove a handler. Called by its C{disownHandlerParent}."""
        self.handlers.remove(handler)
        self._mergeTables(self.handlers)
        self.xmlstream.removeObserversOf(handler)
        handler.connectionLost(Failure(ConnectionDone()))

    @staticmethod
    def bind(handler: Any, key: Key, function: Function) -> Method:
        """Bind a function of a table to its handler; L{InvalidHandler} if this kind of domain has no such key."""
        return MethodType(function, handler)

    @classmethod
    def checkFilters(cls, handlers: Iterable[IXMPPHandler]) -> None:
        """@raise InvalidHandler: for any filter of a handler, since only user domains have filters."""
        checkNoFilters(handlers)

    def _mergeTables(self, handlers: Sequence[IXMPPHandler]) -> None:
        self.checkFilters(handlers)
        self._stanzas, self._iqs, self._takers = merge(handlers, self.bind, self._untaken)

    def warnOfShadowed(self) -> None:
        """Log a warning for each stock handler that a table keeps stanzas from (L{muccore.routing.shadowing})."""
        for handler, observed in findShadowed(self.xmlstream.observers, self._takers).items():
            _log.warn(
                "{domain}: stanzas to the domain itself never reach {handler}: {observed}",
                domain=self.name,
                handler=handlerName(handler),
                observed=observed,
            )

    def shutDown(self, final: bool) -> Deferred[None]:
        """See L{IDomain.shutDown}. A failure is logged, and the other handlers are shut down all the same."""
        waiting = [maybeDeferred(handler.shutDown, final) for handler in self if hasattr(handler, "shutDown")]
        for deferred in waiting:
            deferred.addErrback(
                lambda failure: _log.failure("{domain}: a handler failed to shut down", failure, domain=self.name)
            )
        return DeferredList(waiting).addCallback(lambda _: None)

    # Incoming

    def dispatch(self, element: Element, to: JID) -> None:
        """
        See L{IDomain.dispatch}.

        A stanza that comes back while a handler is running, such as an error, waits until the handler has returned: a
        room must not get a request in the middle of a broadcast. It also waits behind those that L{deliver} keeps.
        """
        if self._dispatching or (self._delivered and self.waitsForDelivered(to)):
            self._pending.append((element, to))
            return
        self._dispatching = True
        try:
            self._dispatchOne(element, to)
        finally:
            self._dispatching = False
            if self._pending and not self._delivered:
                self._dispatchPending()

    def waitsForDelivered(self, to: JID) -> bool:
        """Whether a stanza to an address must not overtake those that L{deliver} keeps."""
        return True

    def deliver(self, stanza: Rendered, to: bytes) -> None:
        """
        See L{IRoute.deliver<muccore.interfaces.IRoute.deliver>}. The stanza is dispatched when the caller, such as a
        room in the middle of a broadcast, has finished.
        """
        self._pending.append((stanza, to))
        if not (self._dispatching or self._delivered):
            self._delivered = True
            self.clock.callLater(0, self._dispatchPending)

    def deliverAll(self, stanzas: Sequence[Rendered], to: bytes) -> None:
        """See L{IRoute.deliverAll<muccore.interfaces.IRoute.deliverAll>}."""
        for stanza in stanzas:
            self.deliver(stanza, to)

    def _dispatchPending(self) -> None:
        self._delivered = False
        self._dispatching = True
        try:
            while self._pending:
                self._dispatchOne(*_addressed(*self._pending.popleft()))
        finally:
            self._dispatching = False

    def routeWithin(self, jid: JID) -> IRoute:
        """See L{IDestination.routeWithin<muccore.interfaces.IDestination.routeWithin>}."""
        return self

    def _dispatchOne(self, element: Element, to: JID) -> None:
        kind = (FULL if to.resource else BARE) if to.local else HOST
        attributes = element.attributes
        type = attributes.get("type")
        name = element.name
        if name == "message":
            type = _MESSAGE_TYPES.get(type, "normal")  # type: ignore[arg-type]
        elif name == "iq":
            if type == "get" or type == "set":
                self._dispatchRequest(element, to, (type, kind))
                return
            if self.xmlstream.iqDeferreds and self.xmlstream.handleResponse(element):
                return
        method = self._stanzas.get((name, type, kind)) or self._stanzas.get((name, ANY, kind))
        if method is None:
            self._untaken(element, to)
            return
        try:
            result = method(element, to)
            if result is not None:
                result = self._toDeferred(result)
                if isinstance(result, Deferred):
                    result.addCallback(_taken).addErrback(self._sendFailure, element)
        except Exception:
            self._sendFailure(Failure(), element)

    def _dispatchRequest(self, element: Element, to: JID, key: tuple[str, Any]) -> None:
        """Dispatch an IQ of type get or set; it gets exactly one response (RFC 6120 §8.2.3)."""
        for payload in element.children:
            if not isinstance(payload, str):
                break
        else:
            self.sendError(element, StanzaError("bad-request"))
            return
        method = self._iqs.get((*key, payload.uri, payload.name)) or self._stanzas.get(("iq", *key))
        if method is None:
            self._untaken(element, to)
            return
        try:
            result = method(element, to)
            if result is ANSWERED:
                return
            result = self._toDeferred(result)
            if not isinstance(result, Deferred):
                self._sendResult(result, element)
                return
        except Exception:
            self._sendFailure(Failure(), element)
            return
        result.addCallback(self._sendResult, element)
        result.addErrback(self._sendFailure, element)

    @staticmethod
    def _toDeferred(result: Any) -> Any:
        """Convert a coroutine to a Deferred, and pass on anything else."""
        return Deferred.fromCoroutine(result) if inspect.iscoroutine(result) else _taken(result)

    def _sendResult(self, result: Any, request: Element) -> None:
        """Reply to an IQ with what its method returned."""
        if _taken(result) is ANSWERED:
            return
        answer = reply(request, "result")
        if result is not None:
            for payload in [result] if isinstance(result, domish.Element) else result:
                if not isinstance(payload, domish.Element):
                    # Log its type only: the content is private.
                    raise TypeError(f"a method for an IQ returned {type(payload).__name__} for a payload")
                answer.children.append(payload)
        self.send(answer)

    def _sendFailure(self, failure: Failure, element: Element) -> None:
        """Reply with an error for what a method raised."""
        self.sendError(element, self.toStanzaError(failure))

    def toStanzaError(self, failure: Failure) -> Any:
        """Get the stanza error that a handler raised, or log what else it raised."""
        error = failure.value
        if isinstance(error, _AnyStanzaError) and (error.type or error.condition in STANZA_CONDITIONS):
            return error
        # Do not log the stanza, which is private.
        _log.failure("{domain}: a handler failed", failure=failure, domain=self.name)
        return StanzaError("internal-server-error")

    def sendError(self, element: Element, error: _AnyStanzaError) -> None:
        """Reply with an error if one may be sent (L{muccore.xmpp.errors.mayReplyWithError})."""
        answer = errorReplyOrNone(element, error)
        if answer is not None:
            self.send(answer)

    def _untaken(self, element: Element, to: JID) -> None:
        """Offer a stanza that no table has taken to stock handlers."""
        if not self._observe(element, to):
            self.stanzaUnhandled(element, to)

    def mayObserve(self, element: Element, to: JID) -> bool:
        """Whether stock handlers may observe a stanza."""
        return True

    def _observe(self, element: Element, to: JID) -> bool:
        """Dispatch a stanza to stock handlers; return whether one has taken it."""
        stream = self.xmlstream
        if not stream.hasObservers or not self.mayObserve(element, to):
            return False
        self._observed = element
        try:
            return stream.dispatchToObservers(element)
        finally:
            self._observed = None

    def stanzaUnhandled(self, element: Element, to: JID) -> None:
        """Refuse an unhandled request or message; drop headlines, errors, presence and unexpected responses."""
        type = element.attributes.get("type")
        if (element.name == "iq" and type in ("get", "set")) or (
            element.name == "message" and type not in ("error", "headline")
        ):
            self.sendError(element, StanzaError("service-unavailable"))

    # Outgoing

    def send(self, element: domish.Element) -> None:
        """See L{IDomain.send}. The default of C{from} is the domain itself."""
        if type(element) is not Element or element.uri is None:
            element = toStanza(element)
        attributes = element.attributes
        if "from" not in attributes:
            attributes["from"] = self.name
        try:
            to = jid.parse(attributes.get("to", ""))
        except InvalidJID:
            _log.warn("{domain}: a handler sent {name} without a valid address", domain=self.name, name=element.name)
            return
        if element.name == "iq":
            shown = self._observed
            if (
                shown is not None
                and attributes.get("type") in ("result", "error")
                and attributes.get("id") == shown.attributes.get("id")
                and attributes.get("to") == shown.attributes.get("from")
            ):
                # wokkel's FallbackHandler does not set it.
                shown.handled = True
            if self.xmlstream.iqDeferreds:
                self.xmlstream.requestSent(element, to)
        self._router.route(element, to)

    def routeTo(self, jid: JID) -> IRoute:
        """See L{IRouter.routeTo}."""
        return self._router.routeTo(jid, self.name)

    def domainLost(self, domain: str) -> None:
        """See L{IDomain.domainLost}."""
        for handler in self:
            if IDomainObserver.providedBy(handler):
                try:
                    handler.domainLost(domain)
                except Exception:
                    _log.failure("{domain}: a handler failed at the loss of a domain", domain=self.name)

    def request(self, request: Any) -> Deferred[Any]:
        """See L{IDomain.request} and L{WokkelStream.request}."""
        return self.xmlstream.request(request)
