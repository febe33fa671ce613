# -*- test-case-name: tests.routing.test_component -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The domain of an external component (XEP-0114)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from muccore.interfaces import IComponent, IRoute, IRouter, IStream
from muccore.routing.outside import routeFromOutside
from muccore.routing.unreachable import Unreachable
from muccore.xmpp import jid
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError
from muccore.xmpp.jid import JID, InvalidJID
from muccore.xmpp.rendering import Rendered, withAddress
from muccore.xmpp.stanzas import checkIsStanza


@implementer(IComponent)
class Component:
    """
    A component.

    While it is away, stanzas come back with C{remote-server-timeout}: it may return. Its occupants leave their rooms
    when it goes.
    """

    management: Final = None

    def __init__(self, name: str, router: IRouter, clock: IReactorTime) -> None:
        self.name = name
        self.jid = JID("", name, "")
        self.stream: IStream | None = None
        self._language: str | None = None
        self._router = router
        self._away = Unreachable(router, clock, "remote-server-timeout", "The component is not connected.")

    def __repr__(self) -> str:
        return f"<Component {self.name!r}>"

    # The stream

    def connect(self, stream: IStream, language: str | None = None) -> None:
        """See L{IComponent.connect}."""
        if self.stream is not None:
            raise StreamError("conflict", "The component is connected already.")
        self.stream = stream
        self._language = language

    def disconnect(self, error: StreamError) -> None:
        """End the stream, if there is one; the component is away at once."""
        stream = self.stream
        if stream is not None:
            stream.close(error)
            self.streamLost(stream, True)

    def streamLost(self, stream: IStream, final: bool) -> bool:
        """See L{IComponent.streamLost}."""
        if stream is self.stream:
            self.stream = None
            self._router.domainLost(self.name)
        return False

    # To the component

    def dispatch(self, element: Element, to: JID) -> None:
        """See L{IComponent.dispatch<muccore.interfaces.IDestination.dispatch>}."""
        if self.stream is None:
            self._away.dispatch(element, to)
        else:
            self.stream.send(*withAddress(element))

    def deliver(self, stanza: Rendered, to: bytes) -> None:
        """See L{IRoute.deliver<muccore.interfaces.IRoute.deliver>}."""
        if self.stream is None:
            self._away.deliver(stanza, to)
        else:
            self.stream.send(stanza, to)

    def deliverAll(self, stanzas: Sequence[Rendered], to: bytes) -> None:
        """See L{IRoute.deliverAll<muccore.interfaces.IRoute.deliverAll>}."""
        if self.stream is None:
            self._away.deliverAll(stanzas, to)
        else:
            self.stream.sendAll(stanzas, to)

    def routeWithin(self, jid: JID) -> IRoute:
        """See L{IComponent.routeWithin<muccore.interfaces.IDestination.routeWithin>}."""
        return self

    # From the component

    def stanzaReceived(self, element: Element) -> None:
        """
        See L{IComponent.stanzaReceived}.

        @raise StreamError: if it is no stanza; C{improper-addressing} without C{from} or C{to}; C{invalid-from} if
            C{from} is not at the domain of the component.
        """
        checkIsStanza(element)
        attributes = element.attributes
        if "from" not in attributes or "to" not in attributes:
            raise StreamError("improper-addressing", "A stanza of a component needs from and to.")
        try:
            sender = jid.parse(attributes["from"])
        except InvalidJID:
            raise StreamError("invalid-from") from None
        if sender.domain != self.name:
            raise StreamError("invalid-from")
        answer = routeFromOutside(self._router, element, sender, self._language, self.name)
        if answer is not None and self.stream is not None:
            self.stream.send(*withAddress(answer))
