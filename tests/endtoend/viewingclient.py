# Copyright (c) The muccore authors. See LICENSE for details.
"""Occupants that come back after a restart of the server, and know what their room must look like by what they got."""

from __future__ import annotations

import base64
from collections import Counter
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

Seen = tuple[str, str, int]
"""Affiliation, role, and the number in the status of an occupant."""


class ViewingClient:
    """
    A client in one room, which it enters under its name.

    @ivar view: who is in the room, by nick; empty while it is outside.
    @ivar inside: whether it has received that it is in, and the subject after that.
    @ivar joins: how often it has been told since that somebody enters who was not there.
    @ivar leaves: how often it has been told since that somebody leaves, and whether with 333.
    @ivar messages: the bodies of messages that it has received.
    @ivar sent: the number in its latest status.
    @ivar pings: the conditions of the errors that its pings were answered with; C{""} for a result.
    @ivar believing: whether it goes on with a new session as if it were still in the room.
    @ivar resumed: whether the latest connection has resumed its session.
    """

    def __init__(self, user: str, room: str, resumable: bool = False) -> None:
        """@param resumable: whether to use stream management."""
        self.user = user
        self.room = room
        self.resumable = resumable
        self.view: dict[str, Seen] = {}
        self.inside = False
        self.joins: Counter[str] = Counter()
        self.leaves: Counter[tuple[str, bool]] = Counter()
        self.messages: list[str] = []
        self.pings: list[str] = []
        self.sent = 0
        self.id: str | None = None
        self.handled = 0
        self.resumed = self.believing = False
        self.stream: _Stream | None = None
        self._waiting: list[tuple[Any, Deferred[None]]] = []

    def connect(self, port: int) -> Deferred[None]:
        """Log in, and resume the session if there is one to be resumed; otherwise what was known is forgotten."""
        self.stream = stream = _Stream(self)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port, timeout=TIMEOUT)
        connecting: Deferred[Any] = connectProtocol(endpoint, stream)
        return connecting.addCallback(lambda _: stream.ready).addTimeout(TIMEOUT, reactor)

    def bound(self) -> None:
        """A new session is outside, or believes otherwise."""
        self.resumed = False
        if not self.believing:
            self.view.clear()
            self.inside = False

    def lost(self) -> Deferred[None]:
        """Wait until the connection is lost."""
        assert self.stream is not None
        return self.stream.gone.addTimeout(TIMEOUT, reactor)

    def abort(self) -> None:
        """Reset the connection."""
        if self.stream is not None and self.stream.transport is not None:
            self.stream.transport.abortConnection()

    def send(self, text: str) -> None:
        """Send XML, if there is a connection."""
        if self.stream is not None and self.stream.connected:
            self.stream.transport.write(text.encode())

    def enter(self) -> Deferred[None]:
        """Enter the room, and wait until everything was received."""
        self.send(f"<presence to='{self.room}/{self.user}'><x xmlns='{ns.MUC}'/>{self.status()}</presence>")
        return self.until(lambda: self.inside)

    def status(self) -> str:
        """The payload of its presence."""
        return f"<status>{self.sent}</status>"

    def changeStatus(self) -> None:
        """Change the presence."""
        self.sent += 1
        self.send(f"<presence to='{self.room}/{self.user}'>{self.status()}</presence>")

    def leave(self) -> None:
        """Leave the room."""
        self.send(f"<presence type='unavailable' to='{self.room}/{self.user}'/>")

    def say(self, text: str) -> None:
        """Send a message to the room."""
        self.send(f"<message to='{self.room}' type='groupchat'><body>{text}</body></message>")

    def ping(self) -> None:
        """Send a self-ping (XEP-0410)."""
        self.send(f"<iq type='get' id='ping' to='{self.room}/{self.user}'><ping xmlns='{ns.PING}'/></iq>")

    def until(self, condition: Any, more: float = 0) -> Deferred[None]:
        """Wait for a condition, for some more seconds than usual."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append((condition, waiting))
        self._check()
        return waiting.addTimeout(TIMEOUT + more, reactor)

    def _check(self) -> None:
        for each in list(self._waiting):
            if each[0]():
                self._waiting.remove(each)
                each[1].callback(None)

    def stanzaReceived(self, element: Element) -> None:
        """Update the view."""
        self.handled += 1
        if element.name == "presence" and element.get("type") != "error":
            self._presenceReceived(element)
        elif element.name == "message":
            body = element.child("body")
            if body is not None:
                self.messages.append(body.text())
            elif element.child("subject") is not None:
                self.inside = True
        elif element.name == "iq" and element.get("id") == "ping":
            error = element.child("error")
            self.pings.append("" if error is None else next(error.childElements()).name)
        self._check()

    def _presenceReceived(self, presence: Element) -> None:
        nick = presence.attributes["from"].partition("/")[2]
        x = presence.child("x", ns.MUC_USER)
        assert x is not None
        item = x.child("item")
        assert item is not None
        codes = {each.get("code") for each in x.childElements() if each.name == "status"}
        if presence.get("type") == "unavailable":
            assert nick in self.view, f"{nick} leaves, who is not there for {self.user}"
            del self.view[nick]
            if "110" in codes:
                self.view.clear()
                self.inside = False
            elif self.inside:
                self.leaves[nick, "333" in codes] += 1
            return
        status = presence.child("status")
        if self.inside and nick not in self.view:
            self.joins[nick] += 1
        number = int(status.text()) if status is not None else 0
        self.view[nick] = (item.attributes["affiliation"], item.attributes["role"], number)


class _Stream(Protocol):
    """One stream of a client."""

    transport: Any = None

    def __init__(self, client: ViewingClient) -> None:
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
                client.bound()
                if client.resumable:
                    self._write(f"<enable {SM} resume='true'/>")
                else:
                    self._begin()
        elif element.uri == ns.STREAM_MANAGEMENT:
            self._managementReceived(element)
        elif element.child("mechanisms", ns.SASL) is not None:
            password = base64.b64encode(f"\0{client.user}\0secret".encode()).decode("ascii")
            self._write(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{password}</auth>")
        elif element.name == "success":
            self._parser.restart()
            self._write(HEADER)
        elif element.child("bind", ns.BIND) is not None:
            if client.id is not None:
                self._write(f"<resume {SM} previd='{client.id}' h='{client.handled}'/>")
            else:
                self._bind()

    def _bind(self) -> None:
        self._write(f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>r</resource></bind></iq>")

    def _managementReceived(self, element: Element) -> None:
        client = self._client
        if element.name == "enabled":
            client.id = element.get("id")
            client.handled = 0
            self._begin()
        elif element.name == "resumed":
            client.resumed = True
            self._begin()
        elif element.name == "failed":
            client.id = None
            self._bind()
        elif element.name == "r":
            self._write(f"<a {SM} h='{client.handled}'/>")

    def _begin(self) -> None:
        self._bound = True
        self.ready.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fire C{gone}."""
        if not self.ready.called:
            self.ready.errback(Failure(AssertionError(f"{self._client.user} was disconnected")))
        self.gone.callback(None)
