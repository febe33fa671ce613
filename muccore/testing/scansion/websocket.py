# -*- test-case-name: tests.testing.test_scansion_websocket -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The client for scenarios over WebSocket (RFC 7395). Its frames are those of wsproto, which C{muccore[test]} installs, so
that a server is tested by another implementation.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast

from lxml import etree
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Event, Ping, RejectConnection, Request, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from muccore.testing.scansion.client import Client, ClientFailed
from muccore.testing.scansion.language import ClientDefinition
from muccore.testing.scansion.reader import StreamReader
from muccore.xmpp import ns
from muccore.xmpp.rendering import escapeAttribute

PATH = "/xmpp-websocket"
"""The path of the server's WebSocket."""

_ROOT = f"<s:stream xmlns:s='{ns.STREAM}'>".encode()
"""Makes one document of all messages, and declares nothing for them but a prefix that no server uses."""


def messagesOf(text: str) -> list[str]:
    """Split XML as it is sent over TCP into messages, each with its namespaces."""
    wrapped = f"<stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}'>{text}</stream:stream>"
    return [etree.tostring(child, with_tail=False, encoding="unicode") for child in etree.fromstring(wrapped)]


class WebSocketClient(Client):
    """One connection. C{opened} fires after the handshake, or fails with L{ClientFailed} if that is refused."""

    def __init__(self, host: str) -> None:
        """@param host: for the C{Host} header."""
        super().__init__()
        self.opened: Deferred[WebSocketClient] = Deferred()
        self._host = host
        self._frames = WSConnection(ConnectionType.CLIENT)
        self._message = ""
        self._newReader()

    def _newReader(self) -> None:
        self._reader = StreamReader()
        self._reader.feed(_ROOT)

    def connectionMade(self) -> None:
        """Begin the handshake."""
        self._write(Request(host=self._host, target=PATH, subprotocols=["xmpp"]))

    def _write(self, event: Event) -> None:
        """Write a frame; nothing after a Close frame, as on a closed connection."""
        with suppress(LocalProtocolError):
            self.transport.write(self._frames.send(event))

    def dataReceived(self, data: bytes) -> None:
        """See L{Protocol.dataReceived<twisted.internet.protocol.Protocol.dataReceived>}."""
        try:
            self._frames.receive_data(data)
            for event in self._frames.events():
                self._eventReceived(event)
        except RemoteProtocolError as e:
            self._fail(f"the server violates WebSocket: {e}")

    def _eventReceived(self, event: Event) -> None:
        if isinstance(event, AcceptConnection):
            if event.subprotocol == "xmpp":
                self.opened.callback(self)
            else:
                self._fail(f"the server chooses the subprotocol {event.subprotocol}")
        elif isinstance(event, RejectConnection):
            self._fail(f"the server refuses the handshake: status {event.status_code}")
        elif isinstance(event, TextMessage):
            self._message += event.data
            if event.message_finished:
                message, self._message = self._message, ""
                self._messageReceived(message)
        elif isinstance(event, Ping):
            self._write(event.response())
        elif isinstance(event, CloseConnection):
            self._ended = self._ended or f"the server closed the WebSocket: {event.code}"
            self._write(event.response())
            self.transport.loseConnection()
        else:
            self._fail(f"the server sent an unexpected {type(event).__name__}")

    def _messageReceived(self, message: str) -> None:
        found = self._reader.feed(message.encode("utf-8"))
        if self._reader.error is not None:
            self._fail(self._reader.error)
        elif len(found) != 1 or found[0] is None:
            self._fail(f"the server sent a message that is not one element: {message!r}")
        elif found[0].tag == f"{{{ns.FRAMING}}}close":
            self._ended = self._ended or "the server closed the stream"
            self._sendClosing()
        elif found[0].tag != f"{{{ns.FRAMING}}}open":
            self._elementReceived(found[0])

    def _fail(self, why: str) -> None:
        self._ended = self._ended or why
        self.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See L{Protocol.connectionLost<twisted.internet.protocol.Protocol.connectionLost>}."""
        super().connectionLost(reason)
        if not self.opened.called:
            self.opened.errback(ClientFailed(self.lost or ""))

    def send(self, text: str) -> None:
        """Send XML, each element in a message of its own."""
        for message in messagesOf(text):
            self._write(TextMessage(message))

    def _sendHeader(self) -> None:
        domain = escapeAttribute(self._domain)
        self.send(f"<open xmlns='{ns.FRAMING}' to='{domain}' version='1.0' xml:lang='en'/>")

    def _sendEnd(self) -> None:
        self.send(f"<close xmlns='{ns.FRAMING}'/>")

    async def login(self, definition: ClientDefinition, tls: bool = False) -> None:
        """See L{Client.login}. TLS was started before, if at all."""
        await super().login(definition)


def connect(reactor: Any, host: str, port: int, timeout: float, tls: bool) -> Deferred[WebSocketClient]:
    """
    Connect, without logging in; fails as endpoints do, and with L{ClientFailed} if the server refuses.

    @param tls: use TLS, and accept any certificate.
    """
    endpoint: Any = HostnameEndpoint(reactor, host, port, timeout=timeout)
    if tls:
        endpoint = wrapClientTLS(ssl.CertificateOptions(verify=False), endpoint)
    factory = Factory.forProtocol(lambda: WebSocketClient(f"{host}:{port}"))
    connecting: Deferred[Any] = endpoint.connect(factory)
    return cast("Deferred[WebSocketClient]", connecting.addCallback(lambda client: client.opened))
