# Copyright (c) The muccore authors. See LICENSE for details.
"""Log-ins by SASL2 on whole streams, over TCP and WebSocket."""

from __future__ import annotations

import gc
from typing import Any
from weakref import ref

from muccore.net.websocket import TEXT
from muccore.stream.c2s import C2SStream
from muccore.stream.flowcontrol import PIPELINE_LIMIT
from muccore.testing.defaults import defaultStreams
from muccore.xmpp import ns
from tests.net.websocketframes import clientFrame, serverFrames
from tests.stream.doubles import END, HEADER, auth
from tests.stream.sasl2.helpers import AGENT, BIND2, authenticate, element
from tests.stream.test_c2s import Case
from tests.stream.test_websocket import OPEN, WebSocketCase

STANZA = b"<message to='a@b'><body>x</body></message>"


class StreamTests(Case):
    """Over TCP, under TLS."""

    def outputs(self, data: bytes, size: int = 1 << 20) -> tuple[Any, bytes]:
        """Connect a client that sends data in pieces; the stream, and what it was sent."""
        stream, transport = self.send(data, size, direct=True)
        return stream, transport.value

    def test_pipelined(self) -> None:
        """Everything may be sent at once, in any pieces; the stanzas are the session's."""
        data = HEADER + authenticate(AGENT + BIND2) + STANZA * 3 + END
        for size in (len(data), 1, 50):
            self.setUp()
            _, sent = self.outputs(data, size)
            self.assertEqual(sent.count(b"<stream:stream "), 1)
            self.assertIn(b"<success xmlns='urn:xmpp:sasl:2'>", sent)
            [session] = self.binder.sessions
            self.assertEqual([stanza.name for stanza in session.stanzas], ["message"] * 3)
            self.assertEqual(session.lost, [True])

    def test_waiting(self) -> None:
        """While the password is checked, what is sent waits, up to a limit."""
        self.accounts.waiting = []
        stream, transport = self.send(HEADER + authenticate(BIND2) + STANZA, direct=True)
        self.assertEqual(self.binder.sessions, [])
        self.accounts.release()
        self.assertEqual(len(self.binder.sessions[0].stanzas), 1)
        stream, transport = self.send(HEADER + authenticate(BIND2) + STANZA, direct=True)
        stream.dataReceived(b" " * (PIPELINE_LIMIT + 1))
        self.assertIn(b"<policy-violation ", transport.value)
        self.accounts.release()
        self.assertEqual(len(self.binder.sessions), 1)

    def test_limits(self) -> None:
        """Until the success, elements are limited as before any log-in; from then on as after it."""
        self.configure(stanzaSizeUnauthenticated=2000, stanzaSize=5000)
        large = b"<message><body>" + b"x" * 3000 + b"</body></message>"
        stream, _ = self.outputs(HEADER + authenticate(BIND2) + large)
        self.assertEqual(len(stream.session.stanzas), 1)
        _, sent = self.outputs(HEADER + authenticate("<x xmlns='urn:x'>" + "x" * 3000 + "</x>"))
        self.assertIn(b"<policy-violation ", sent)
        self.assertNotIn(b"<success", sent)

    def test_timeout(self) -> None:
        """The time for the log-in ends with a resource, not with the success."""
        for more, ended in ((BIND2, False), ("", True)):
            _, transport = self.send(HEADER + authenticate(more), direct=True)
            self.clock.pump([1.0] * int(defaultStreams().loginTimeout + 2))
            self.assertEqual(b"<connection-timeout " in transport.value, ended)

    def test_tries(self) -> None:
        """Too many failures end the stream."""
        _, sent = self.outputs(HEADER + authenticate(password="x") + authenticate(password="x") + authenticate())
        self.assertEqual((sent.count(b"<failure "), sent.count(b"<success ")), (2, 0))
        self.assertIn(b"<policy-violation ", sent)

    def test_secondLogIn(self) -> None:
        """After a success no other log-in is possible, by either profile (§4.9)."""
        for again in (authenticate(), auth(), element("response")):
            _, sent = self.outputs(HEADER + authenticate() + again)
            self.assertIn(b"<stream:error>", sent)
            self.assertEqual(sent.count(b"<success "), 1)

    def test_freed(self) -> None:
        """A stream is freed without the garbage collector, however far its log-in has come."""
        first = authenticate(mechanism="SCRAM-SHA-1", initial=b"n,,n=romeo,r=x")
        for data in (authenticate(AGENT + BIND2), authenticate(), authenticate(password="x"), first):
            self.setUp()
            gc.collect()
            gc.disable()
            self.addCleanup(gc.enable)
            stream, _ = self.send(HEADER + data, direct=True)
            self.lose(stream)
            lost: ref[C2SStream] = ref(stream)
            del stream, _
            self.binder.sessions.clear()
            self.assertIsNone(lost(), data)
            gc.enable()


class WebSocketTests(WebSocketCase):
    """Over WebSocket."""

    def said(self, *messages: bytes, **client: Any) -> list[bytes]:
        """Connect a client that sends messages at once; the messages that it is sent."""
        frames = b"".join(clientFrame(TEXT, message) for message in messages)
        _, transport = self.send(frames, **client)
        return [payload for _, payload in serverFrames(transport.value)]

    def test_pipelined(self) -> None:
        """Under TLS, its own or a proxy's, everything may be sent at once."""
        stanza = STANZA.replace(b"<message", b"<message xmlns='jabber:client'")
        for client in ({"direct": True}, {"secure": True}):
            self.setUp()
            _, offered, success, features = self.said(OPEN, authenticate(AGENT + BIND2), stanza, **client)
            self.assertIn(b"<authentication xmlns='urn:xmpp:sasl:2'>", offered)
            self.assertTrue(success.startswith(b"<success "))
            self.assertIn(ns.STREAM.encode(), features)
            self.assertEqual(len(self.binder.sessions[0].stanzas), 1)

    def test_withoutTLS(self) -> None:
        """Without TLS it is refused."""
        _, offered, failure = self.said(OPEN, authenticate(BIND2))
        self.assertNotIn(ns.SASL2.encode(), offered)
        self.assertIn(b"<encryption-required ", failure)
