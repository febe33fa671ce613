# Copyright (c) The muccore authors. See LICENSE for details.
"""Clients with stream management (XEP-0198), which count what they send and get."""

from __future__ import annotations

import base64
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from muccore.stream.parser.parser import StanzaParser
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.endtoend.clients import HEADER
from tests.endtoend.serverprocess import TIMEOUT

SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"


class ResumingClient:
    """
    A client that has one stream after the other and one session.

    @ivar user: its name.
    @ivar handled: the stanzas that it has received since stream management was enabled.
    @ivar messages: the bodies of the messages from its room, in the order in which they came.
    @ivar presences: the presences that it has received since stream management was enabled.
    @ivar failed: whether its session could not be resumed.
    """

    def __init__(self, user: str) -> None:
        self.user = user
        self.handled = 0
        self.messages: list[str] = []
        self.presences: list[Element] = []
        self.failed = False
        self.id: str | None = None
        self._sent: list[str] = []
        self._stream: _Stream | None = None
        self._waiting: list[tuple[int, Deferred[None]]] = []
        self._answered: Deferred[int] | None = None

    def connect(self, port: int) -> Deferred[None]:
        """Log in, and enable stream management or resume the session."""
        self._stream = stream = _Stream(self)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port, timeout=TIMEOUT)
        connecting: Deferred[Any] = connectProtocol(endpoint, stream)
        return connecting.addCallback(lambda _: stream.ready).addTimeout(TIMEOUT, reactor)

    def send(self, text: str) -> None:
        """Send a stanza, which is sent again after the session was resumed if the server has not handled it."""
        self._sent.append(text)
        self._write(text)

    def _write(self, text: str) -> None:
        if self._stream is not None:
            self._stream.transport.write(text.encode())

    def abort(self) -> Deferred[None]:
        """Reset the connection."""
        stream, self._stream = self._stream, None
        assert stream is not None
        stream.transport.abortConnection()
        return stream.gone

    def untilMessages(self, count: int) -> Deferred[None]:
        """Wait until this number of messages was received."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append((count, waiting))
        self._check()
        return waiting.addTimeout(TIMEOUT, reactor)

    def askCounter(self) -> Deferred[int]:
        """Ask the server for its counter; the difference to what was sent is returned."""
        self._answered = Deferred()
        self._write(f"<r {SM}/>")
        return self._answered.addCallback(lambda h: len(self._sent) - h).addTimeout(TIMEOUT, reactor)

    def stanzaReceived(self, element: Element) -> None:
        """Count a stanza."""
        self.handled += 1
        body = element.child("body")
        if element.name == "presence":
            self.presences.append(element)
        elif body is not None:
            self.messages.append(body.text())
            self._check()

    def counterReceived(self, handled: int) -> None:
        """Take the server's counter."""
        answered, self._answered = self._answered, None
        if answered is not None:
            answered.callback(handled)

    def resumed(self, handled: int) -> None:
        """Send again what the server has not handled."""
        self._write("".join(self._sent[handled:]))

    def _check(self) -> None:
        for waiting in list(self._waiting):
            if len(self.messages) >= waiting[0]:
                self._waiting.remove(waiting)
                waiting[1].callback(None)


class _Stream(Protocol):
    """One stream of a client."""

    transport: Any

    def __init__(self, client: ResumingClient) -> None:
        self.ready: Deferred[None] = Deferred()
        self.gone: Deferred[None] = Deferred()
        self._client = client
        self._parser = StanzaParser()
        self._parser.stanzaSize = 1 << 20
        self._bound = False

    def connectionMade(self) -> None:
        """Open the stream."""
        self._write(HEADER)

    def _write(self, text: str) -> None:
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
                client.stanzaReceived(element)
            elif element.get("id") == "b":
                self._write(f"<enable {SM} resume='true'/>")
        elif element.uri == ns.STREAM_MANAGEMENT:
            self._managementReceived(element)
        elif element.child("mechanisms", ns.SASL) is not None:
            password = base64.b64encode(f"\0{client.user}\0secret".encode()).decode("ascii")
            self._write(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{password}</auth>")
        elif element.name == "success":
            self._parser.restart()
            self._write(HEADER)
        elif element.child("sm", ns.STREAM_MANAGEMENT) is not None:
            if client.id is not None:
                self._write(f"<resume {SM} previd='{client.id}' h='{client.handled}'/>")
            else:
                self._write(f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>r</resource></bind></iq>")

    def _managementReceived(self, element: Element) -> None:
        client = self._client
        if element.name == "enabled":
            client.id = element.get("id")
            self._begin()
        elif element.name == "resumed":
            client.resumed(int(element.attributes["h"]))
            self._begin()
        elif element.name == "failed":
            client.failed = True
            self.ready.callback(None)
        elif element.name == "r":
            self._write(f"<a {SM} h='{client.handled}'/>")
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
