# -*- test-case-name: tests.testing.test_scansion_websocket -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.testing.scansion.websocket}."""

from __future__ import annotations

from typing import Any

from lxml import etree
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Event, Ping, RejectConnection, TextMessage

from muccore.testing.scansion.client import ClientFailed
from muccore.testing.scansion.websocket import WebSocketClient, messagesOf
from muccore.xmpp import ns

OPEN = f"<open xmlns='{ns.FRAMING}' id='1'/>"
MESSAGE = "<message xmlns='jabber:client'/>"


class Transport(StringTransport):
    """A transport that ends at once when it is closed."""

    client: Any

    def loseConnection(self) -> None:
        """Tell the client."""
        self.disconnecting = True
        self.client.connectionLost(Failure(ConnectionDone()))

    abortConnection = loseConnection


class WebSocketClientTests(SynchronousTestCase):
    """The client, with the server's side of wsproto."""

    def setUp(self) -> None:
        """Connect."""
        self.client = WebSocketClient("localhost:5280")
        self.transport = Transport()
        self.transport.client = self.client
        self.server = WSConnection(ConnectionType.SERVER)
        self.client.makeConnection(self.transport)
        [request] = self.sent()
        self.assertEqual((request.host, request.target), ("localhost:5280", "/xmpp-websocket"))
        self.assertEqual(request.subprotocols, ["xmpp"])

    def sent(self) -> list[Any]:
        """What the client has sent."""
        self.server.receive_data(self.transport.value())
        self.transport.clear()
        return list(self.server.events())

    def receive(self, *events: Event) -> None:
        """Let the client receive something."""
        for event in events:
            self.client.dataReceived(self.server.send(event))

    def accept(self) -> None:
        """Accept the handshake, and open the stream."""
        self.receive(AcceptConnection(subprotocol="xmpp"), TextMessage(OPEN))
        self.assertIs(self.successResultOf(self.client.opened), self.client)

    def test_messages(self) -> None:
        """Elements are received from messages, whole or in fragments; Pings are answered."""
        self.accept()
        self.receive(TextMessage(MESSAGE[:5], message_finished=False), Ping(b"x"), TextMessage(MESSAGE[5:]))
        self.assertEqual([element.tag for element in self.client.stanzas], [f"{{{ns.CLIENT}}}message"])
        self.assertEqual([event.payload for event in self.sent()], [b"x"])
        self.client.send("<message/><presence/>")
        self.assertEqual([etree.fromstring(event.data).tag for event in self.sent()],
                         [f"{{{ns.CLIENT}}}message", f"{{{ns.CLIENT}}}presence"])  # fmt: skip

    def test_closing(self) -> None:
        """C{<close/>} is answered, a Close frame too; what is sent after it is dropped."""
        self.accept()
        self.receive(TextMessage(f"<close xmlns='{ns.FRAMING}'/>"))
        self.assertIn("<close ", self.sent()[0].data)
        self.assertFalse(self.transport.disconnecting)
        self.receive(CloseConnection(1000))
        self.assertTrue(self.transport.disconnecting)
        self.transport.clear()
        self.client.send("<message/>")
        self.assertEqual(self.transport.value(), b"")

    def test_refused(self) -> None:
        """A refused handshake, or one without the subprotocol, is a failure."""
        for event, expected in (
            (RejectConnection(status_code=403), "status 403"),
            (AcceptConnection(), "subprotocol None"),
        ):
            self.setUp()
            self.receive(event)
            error = self.failureResultOf(self.client.opened, ClientFailed)
            self.assertIn(expected, error.getErrorMessage())
        self.setUp()
        self.client.dataReceived(b"<stream:stream>\r\n\r\n")
        self.assertIn("violates", self.failureResultOf(self.client.opened, ClientFailed).getErrorMessage())

    def test_violations(self) -> None:
        """What is no message of XMPP over WebSocket ends the connection, and is named."""
        for sent, expected in (
            (TextMessage(""), "not one element"),
            (TextMessage(MESSAGE * 2), "not one element"),
            (TextMessage("<message>"), "not one element"),
            (TextMessage("<stream:features/>"), "not XML"),
            (TextMessage("text"), "not allowed"),
            (BytesMessage(b"<a/>"), "unexpected BytesMessage"),
            (b"\xf1\x00", "closed the WebSocket: 1002"),
        ):
            self.setUp()
            self.accept()
            if isinstance(sent, bytes):
                self.client.dataReceived(sent)
            else:
                self.receive(sent)
            self.assertIn(expected, self.client.lost or "")

    def test_split(self) -> None:
        """XML is split into documents."""
        found = messagesOf("<a><b xmlns='urn:x'/></a>\n<stream:error/>")
        self.assertEqual([etree.fromstring(message).tag for message in found],
                         [f"{{{ns.CLIENT}}}a", f"{{{ns.STREAM}}}error"])  # fmt: skip
