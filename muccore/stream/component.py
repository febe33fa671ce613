# -*- test-case-name: tests.stream.test_component -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The streams of external components (XEP-0114, C{jabber:component:accept}): the stream of a client with another
negotiation, whose session is an L{IComponent}. Limits, time slices, timeouts and closing are the same.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

from twisted.internet.interfaces import IReactorTime

from muccore.interfaces import IComponent, ISession
from muccore.log.eventlog import COMPONENT_CONNECTED, COMPONENT_DISCONNECTED, COMPONENT_REFUSED
from muccore.stream.c2s import C2SStream, StreamSettings
from muccore.stream.factory import C2SFactory
from muccore.stream.features import StreamFeatures
from muccore.stream.negotiation import Negotiation, languageOf
from muccore.stream.parser.events import StreamOpened
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError
from muccore.xmpp.jid import InvalidJID
from muccore.xmpp.rendering import escapeAttribute
from muccore.xmpp.specs import Spec

implements: Final = (
    Spec(114, "Jabber Component Protocol", "1.6", "Components connect to the server, not the other way round."),
)

_ID_BYTES: Final = 16


class ComponentAccess(NamedTuple):
    """A component that may connect, and its secret."""

    component: IComponent
    secret: str

    def __repr__(self) -> str:
        """The component only."""
        return f"<ComponentAccess {self.component!r}>"


class ComponentRefused(StreamError):
    """The component of a name is refused."""

    def __init__(self, condition: str, component: str, text: str) -> None:
        super().__init__(condition, text)
        self.component = component


class ComponentFeatures:
    """What components' streams have in place of L{StreamFeatures}: who may connect, by name."""

    tls: Final = None
    nonzas: Final[Mapping[Any, Any]] = {}

    def __init__(self, components: Mapping[str, ComponentAccess]) -> None:
        self.components = components

    def header(self, name: str | None, id: str | None = None) -> bytes:
        """
        Render the attributes of the header.

        @param name: that of the component, if it is known.
        @param id: the stream's id, which no one must be able to predict; C{None} for a new one.
        """
        sender = "" if name is None else f" from='{escapeAttribute(name)}'"
        return f"{sender} id='{id or makeId()}'".encode()


def makeId() -> str:
    """Make the id of a stream."""
    return os.urandom(_ID_BYTES).hex()


def handshakeFor(id: str, secret: str) -> str:
    """Compute the content of C{<handshake/>} (XEP-0114 §3)."""
    return hashlib.sha1(f"{id}{secret}".encode()).hexdigest()


class ComponentHandshake:
    """The negotiation of a component's stream: header, then handshake, by the configuration of that moment."""

    __slots__ = ("_headerSent", "_id", "_language", "_name", "_stream", "features")

    secure: Final = False

    def __init__(self, stream: ComponentStream, features: ComponentFeatures) -> None:
        self.features = features
        self._stream = stream
        self._id = makeId()
        self._name: str | None = None
        self._language: str | None = None
        self._headerSent = False

    def received(self, element: Element) -> None:
        """Take the step for an element; L{StreamError} if the stream must be closed with an error."""
        if isinstance(element, StreamOpened):
            self._headerReceived(element)
        elif element.uri == ns.CLIENT and element.name == "handshake":
            self._handshakeReceived(element)
        elif element.uri == ns.STREAM and element.name == "error":
            self._stream.close(None)
        else:
            raise StreamError("not-authorized", "A handshake is needed first.")

    def _headerReceived(self, header: Element) -> None:
        claimed = header.attributes.get("to", "")
        try:
            name = jid.parse(claimed).full
        except InvalidJID:
            name = claimed
        self._findAccess(name)
        self._name, self._language = name, languageOf(header)
        self.sendPendingHeader()

    def _findAccess(self, name: str) -> ComponentAccess:
        """Find out how a component may connect by the present configuration, which the stream may be older than."""
        features = cast(ComponentFeatures, self._stream.factory.features)
        if name not in features.components:
            raise ComponentRefused("host-unknown", name, "There is no component of this name.")
        return features.components[name]

    def _handshakeReceived(self, element: Element) -> None:
        name = cast(str, self._name)
        access = self._findAccess(name)
        expected = handshakeFor(self._id, access.secret)
        if not hmac.compare_digest(element.text().strip().lower().encode(), expected.encode()):
            raise ComponentRefused("not-authorized", name, "The handshake is wrong.")
        try:
            access.component.connect(self._stream, self._language)
        except StreamError as e:
            raise ComponentRefused(e.condition, name, e.text or "") from None
        self._stream.sendNonza(b"<handshake/>")
        self._stream.componentConnected(access.component)

    def sendPendingHeader(self) -> None:
        """Send the server's header if it must precede what is sent next."""
        if not self._headerSent:
            self._headerSent = True
            self._stream.sendHeader(self.features.header(self._name, self._id))

    def connectionLost(self) -> None:
        """Nothing is pending."""


class ComponentStream(C2SStream):
    """The stream of one component."""

    __slots__ = ()

    content = ns.COMPONENT
    endEvent = COMPONENT_DISCONNECTED

    def negotiate(self, features: StreamFeatures, direct: bool) -> Negotiation:
        """See L{C2SStream.negotiate}."""
        return cast(Negotiation, ComponentHandshake(self, cast(ComponentFeatures, features)))

    def componentConnected(self, component: IComponent) -> None:
        """Pass everything to the component from now on."""
        COMPONENT_CONNECTED.log(self._host, component=component.name)
        self._parser.stanzaSize = self.factory.settings.stanzaSize
        # The methods of a session that a stream uses are those of a component.
        self.attach(cast(ISession, component))

    def logError(self, error: StreamError) -> None:
        """See L{C2SStream.logError}."""
        if isinstance(error, ComponentRefused):
            COMPONENT_REFUSED.log(self._host, condition=error.condition, component=error.component or "-")
        else:
            super().logError(error)


class ComponentFactory(C2SFactory):
    """Creates the streams of components."""

    streamClass = ComponentStream

    def __init__(
        self, clock: IReactorTime, components: Mapping[str, ComponentAccess], settings: StreamSettings
    ) -> None:
        super().__init__(clock, cast(StreamFeatures, ComponentFeatures(components)), settings)

    def reconfigure(self, components: Mapping[str, ComponentAccess], settings: StreamSettings) -> None:
        """See L{C2SFactory.configure}."""
        self.configure(cast(StreamFeatures, ComponentFeatures(components)), settings)
