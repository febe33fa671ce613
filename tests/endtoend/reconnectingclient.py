# Copyright (c) The muccore authors. See LICENSE for details.
"""A client that has one stream after the other, and resumes its session on the next one (XEP-0198)."""

from __future__ import annotations

import base64
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from muccore.stream.parser.parser import StanzaParser
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.endtoend.clients import HEADER
from tests.endtoend.serverprocess import TIMEOUT

SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"


class ReconnectingClient:
    """
    What clients have in common that connect more than once. A subclass says what it does with what arrives.

    @ivar user: its name.
    @ivar resumable: whether it uses stream management.
    @ivar resource: the resource that it requests.
    @ivar id: the id of the session that it would resume.
    @ivar handled: the stanzas that it has received since stream management was enabled.
    """

    resource = "r"

    def __init__(self, user: str, resumable: bool = True) -> None:
        self.user = user
        self.resumable = resumable
        self.id: str | None = None
        self.handled = 0
        self._stream: _Stream | None = None

    def connect(self, port: int) -> Deferred[None]:
        """Log in, and resume the session if there is one to be resumed."""
        self._stream = stream = _Stream(self)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port, timeout=TIMEOUT)
        connecting: Deferred[Any] = connectProtocol(endpoint, stream)
        return connecting.addCallback(lambda _: stream.ready).addTimeout(TIMEOUT, reactor)

    def write(self, text: str) -> None:
        """Send XML, if there is a connection."""
        if self._stream is not None and self._stream.connected:
            self._stream.write(text)

    def pause(self) -> None:
        """Read nothing from now on."""
        if self._stream is not None:
            self._stream.transport.pauseProducing()

    def resume(self) -> None:
        """Read again."""
        if self._stream is not None:
            self._stream.transport.resumeProducing()

    def abort(self) -> Deferred[None]:
        """Reset the connection, if there is one, and wait until it is lost."""
        if self._stream is not None and self._stream.connected:
            self._stream.transport.abortConnection()
        return self.lost()

    def lost(self) -> Deferred[None]:
        """Wait until the connection is lost, if there has been one."""
        if self._stream is None or not self._stream.connected:
            return succeed(None)
        return self._stream.gone.addTimeout(TIMEOUT, reactor)

    def sessionBegan(self) -> None:
        """A new session has a resource."""

    def sessionResumed(self, handled: int) -> None:
        """The session goes on; the server has handled this many stanzas."""

    def resumptionFailed(self) -> None:
        """The session is lost, and a new one follows."""

    def acknowledge(self) -> None:
        """Tell the server how many stanzas were received."""
        self.write(f"<a {SM} h='{self.handled}'/>")

    def acknowledgementRequested(self) -> None:
        """The server wants to know how many stanzas were received."""
        self.acknowledge()

    def counterReceived(self, handled: int) -> None:
        """The server has handled this many stanzas."""

    def stanzaReceived(self, element: Element) -> None:
        """A stanza has come."""
        raise NotImplementedError


class _Stream(Protocol):
    """One stream of a client."""

    transport: Any = None

    def __init__(self, client: ReconnectingClient) -> None:
        self.ready: Deferred[None] = Deferred()
        self.gone: Deferred[None] = Deferred()
        self._client = client
        self._parser = StanzaParser()
        self._parser.stanzaSize = 1 << 20
        self._bound = False

    def connectionMade(self) -> None:
        """Open the stream."""
        self.write(HEADER)

    def write(self, text: str) -> None:
        """Send XML."""
        self.transport.write(text.encode())

    def dataReceived(self, data: bytes) -> None:
        """Take the next step of the login, or hand stanzas over."""
        for element in self._parser.feed(data):
            if isinstance(element, Element):
                self._elementReceived(element)

    def _elementReceived(self, element: Element) -> None:
        client = self._client
        if element.uri == ns.CLIENT:
            if self._bound:
                client.handled += 1
                client.stanzaReceived(element)
            elif element.get("id") == "b":
                client.sessionBegan()
                if client.resumable:
                    self.write(f"<enable {SM} resume='true'/>")
                else:
                    self._begin()
        elif element.uri == ns.STREAM_MANAGEMENT:
            self._managementReceived(element)
        elif element.child("mechanisms", ns.SASL) is not None:
            password = base64.b64encode(f"\0{client.user}\0secret".encode()).decode("ascii")
            self.write(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{password}</auth>")
        elif element.name == "success":
            self._parser.restart()
            self.write(HEADER)
        elif element.child("bind", ns.BIND) is not None:
            if client.id is not None:
                self.write(f"<resume {SM} previd='{client.id}' h='{client.handled}'/>")
            else:
                self._bind()

    def _bind(self) -> None:
        resource = f"<resource>{self._client.resource}</resource>"
        self.write(f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'>{resource}</bind></iq>")

    def _managementReceived(self, element: Element) -> None:
        client = self._client
        if element.name == "enabled":
            client.id = element.get("id")
            client.handled = 0
            self._begin()
        elif element.name == "resumed":
            client.sessionResumed(int(element.attributes["h"]))
            self._begin()
        elif element.name == "failed":
            client.id = None
            client.resumptionFailed()
            self._bind()
        elif element.name == "r":
            client.acknowledgementRequested()
        elif element.name == "a":
            client.counterReceived(int(element.attributes["h"]))

    def _begin(self) -> None:
        self._bound = True
        self.ready.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fire C{gone}."""
        if not self.ready.called:
            self.ready.errback(Failure(AssertionError(f"{self._client.user} was disconnected")))
        self.gone.callback(None)
