# -*- test-case-name: tests.routing.test_wokkelstream -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The XML stream that stock wokkel handlers see, and the pending requests of handlers."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Final

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.words.protocols.jabber.error import exceptionFromStanza
from twisted.words.protocols.jabber.ijabber import IIQResponseTracker, IXMPPHandler
from twisted.words.protocols.jabber.xmlstream import TimeoutError as IQTimeout
from twisted.words.xish import domish
from twisted.words.xish.utility import EventDispatcher
from zope.interface import implementer

from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element, copyOf, setParents
from muccore.xmpp.jid import JID, InvalidJID

REQUEST_TIMEOUT: Final = 60.0
"""Default for the seconds that a request waits for its response."""


def toStanza(element: domish.Element) -> Element:
    """Convert a stanza to an L{Element} in C{jabber:client}. wokkel makes C{domish.Element}s without a namespace."""
    if type(element) is not Element:
        element = copyOf(element)
    if element.uri is None:
        _setClientNamespace(element)
    return element


def _setClientNamespace(element: Element) -> None:
    element.uri = element.defaultUri = ns.CLIENT
    for child in element.childElements():
        if child.uri is None:
            _setClientNamespace(child)


@implementer(IIQResponseTracker)
class WokkelStream(EventDispatcher):
    """
    A domain's stanzas as an C{EventDispatcher}, with C{send}, and with requests like those of Twisted's C{IQ}.

    @ivar iqDeferreds: the pending requests by id.
    @ivar iqDefaultTimeout: the seconds that they wait.
    @ivar hasObservers: whether stanzas have been observed.
    @ivar observers: events and their observers, except for onetime observers.
    """

    def __init__(self, send: Callable[[domish.Element], None], clock: IReactorTime) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.send = send
        self.iqDeferreds: dict[str, Deferred[Any]] = {}
        self.iqDefaultTimeout = REQUEST_TIMEOUT
        self.hasObservers = False
        self._clock = clock
        # Twisted's IQ calls it by this name.
        self._callLater = clock.callLater
        self._recipients: dict[str, str] = {}
        self.observers: list[tuple[Any, Callable[..., Any]]] = []

    # Observers

    def _noteObserver(self, event: Any) -> None:
        if not (isinstance(event, str) and event.startswith(self.prefix)):
            self.hasObservers = True

    def addObserver(
        self, event: Any, observerfn: Callable[..., Any], priority: int = 0, *args: Any, **kwargs: Any
    ) -> None:
        """See C{EventDispatcher.addObserver}."""
        self._noteObserver(event)
        self.observers.append((event, observerfn))
        super().addObserver(event, observerfn, priority, *args, **kwargs)  # type: ignore[no-untyped-call]

    def addOnetimeObserver(
        self, event: Any, observerfn: Callable[..., Any], priority: int = 0, *args: Any, **kwargs: Any
    ) -> None:
        """See C{EventDispatcher.addOnetimeObserver}."""
        self._noteObserver(event)
        super().addOnetimeObserver(event, observerfn, priority, *args, **kwargs)  # type: ignore[no-untyped-call]

    def removeObserver(self, event: Any, observerfn: Callable[..., Any]) -> None:
        """See C{EventDispatcher.removeObserver}."""
        if (event, observerfn) in self.observers:
            self.observers.remove((event, observerfn))
        super().removeObserver(event, observerfn)  # type: ignore[no-untyped-call]

    def removeObserversOf(self, handler: IXMPPHandler) -> None:
        """Remove the observers that are methods of a handler."""
        for event, observer in list(self.observers):
            if getattr(observer, "__self__", None) is handler:
                self.removeObserver(event, observer)

    def dispatchToObservers(self, element: Element) -> bool:
        """
        Dispatch a stanza to the observers.

        @return: whether one has taken it: set C{handled} on an IQ, or observes such a message or presence, which
            wokkel's handlers do not mark.
        """
        setParents(element)
        found = bool(self.dispatch(element))  # type: ignore[no-untyped-call]
        return bool(element.handled) or (found and element.name != "iq")

    # Requests

    def request(self, request: Any) -> Deferred[Any]:
        """
        Send an IQ and wait for its response, as wokkel's C{StreamManager} does.

        Only the entity that was asked can respond. A missing id is generated and cannot be guessed; a missing timeout
        is L{iqDefaultTimeout}.

        @param request: a C{wokkel.generic.Request}.
        @return: fires with the result; fails with the error, or with C{xmlstream.TimeoutError}.
        """
        if request.stanzaKind != "iq" or request.stanzaType not in ("get", "set") or request.recipient is None:
            return defer.fail(ValueError("Not a request"))
        if not request.stanzaID:
            request.stanzaID = secrets.token_urlsafe(12)
        element = request.toElement()
        id = element["id"]
        if id in self.iqDeferreds:
            return defer.fail(ValueError("A request with this id is waiting already"))

        def timedOut(_: object, timeout: float) -> None:
            raise IQTimeout("IQ timed out")

        def cancelled(_: object) -> None:
            self.iqDeferreds.pop(id, None)

        deferred: Deferred[Any] = Deferred(cancelled)
        timeout = getattr(request, "timeout", None)
        deferred.addTimeout(self.iqDefaultTimeout if timeout is None else timeout, self._clock, timedOut)
        self.iqDeferreds[id] = deferred
        self.send(element)
        return deferred

    def requestSent(self, element: Element, to: JID) -> None:
        """Record the recipient of an IQ that is being sent, if it is a pending request."""
        id = element.attributes.get("id", "")
        waiting = self.iqDeferreds.get(id)
        if waiting is not None and id not in self._recipients and element.attributes.get("type") in ("get", "set"):
            self._recipients[id] = to.full
            waiting.addBoth(self._forgetRecipient, id)

    def _forgetRecipient(self, result: Any, id: str) -> Any:
        self._recipients.pop(id, None)
        return result

    def handleResponse(self, element: Element) -> bool:
        """
        Handle an IQ of type result or error.

        @return: whether it is the response to a pending request.
        """
        id = element.attributes.get("id", "")
        if id not in self.iqDeferreds:
            return False
        try:
            sender = jid.parse(element.attributes.get("from", "")).full
        except InvalidJID:
            return False
        if sender != self._recipients.get(id):
            return False
        element.handled = True
        deferred = self.iqDeferreds.pop(id)
        if element.attributes.get("type") == "error":
            deferred.errback(exceptionFromStanza(element))
        else:
            deferred.callback(element)
        return True
