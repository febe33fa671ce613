# -*- test-case-name: tests.stream.test_c2s -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.stream.c2s} and L{muccore.stream.factory}."""

from __future__ import annotations

import gc
import weakref
from base64 import b64decode, b64encode
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muccore.interfaces import IStream, Stage
from muccore.net.limits import Networks
from muccore.net.tls import ServerTLS
from muccore.stream.c2s import PARSER_IDLE, C2SStream
from muccore.stream.factory import C2SFactory, RejectedStream
from muccore.stream.features import StreamFeatures
from muccore.stream.flowcontrol import PIPELINE_LIMIT, TIME_SLICE
from muccore.stream.parser.events import CLOSED, StreamOpened
from muccore.stream.parser.parser import StanzaParser
from muccore.stream.sasl.mechanisms import SASL
from muccore.stream.starttls import OFF, REQUIRED
from muccore.testing.defaults import defaultStreams
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import STREAM_CONDITIONS, StreamError
from muccore.xmpp.rendering import Rendered
from tests.net.handshake import goodPair
from tests.net.sockets import Peer, SocketTestCase
from tests.stream.clients import ScramClient
from tests.stream.doubles import (
    BIND,
    DOMAIN,
    END,
    HEADER,
    PASSWORD,
    STARTTLS,
    TLS,
    Accounts,
    Address,
    Binder,
    Feature,
    Transport,
    auth,
    sasl,
)

LOGIN = HEADER + auth() + HEADER + BIND
FRAGMENTS = (
    *(HEADER, HEADER, auth(), auth(), BIND, BIND, END, STARTTLS, LOGIN, auth(password="x"), sasl("abort"), b" ", b"\n"),
    *(sasl("response"), b"<message to='a@b'><body>x</body></message>", b"<presence/>", b"<iq type='set'/>"),
    *(b"<", b"/>"),
    b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>",
)


def form(event: Any) -> str:
    """The name of an event, which does not depend on the order in which errors are found."""
    return "end" if event is CLOSED else event.name


def streams(data: bytes) -> list[list[Any]]:
    """
    Parse what a server has sent: the events of each stream.

    @raise StreamError: if a stream is invalid.
    """
    found = []
    for part in data.split(b"<?xml version='1.0'?>")[1:]:
        found.append(list(StanzaParser().feed(part)))
        assert type(found[-1][0]) is StreamOpened
    return found


class Case(SynchronousTestCase):
    """A server and clients without sockets."""

    tlsMode = OFF

    def setUp(self) -> None:
        """Create the server."""
        self.accounts = Accounts()
        self.binder = Binder()
        self.clock = Clock()
        self.tls: Any = TLS()
        self.factory = C2SFactory(self.clock, self.features(), defaultStreams())

    def features(self, tlsMode: str | None = None) -> StreamFeatures:
        """Create the features of streams."""
        login = SASL(self.accounts, DOMAIN, True, b"s")
        more = [Feature("urn:x", Stage.BINDING, 1)]
        return StreamFeatures(DOMAIN, login, self.binder, self.tls, tlsMode or self.tlsMode, loginTries=2, more=more)

    def configure(self, tlsMode: str | None = None, **settings: Any) -> None:
        """Change the configuration."""
        self.factory.configure(self.features(tlsMode), defaultStreams(**settings))

    def connect(self, host: str = "127.0.0.1", direct: bool = False) -> tuple[Any, Transport]:
        """Connect a client."""
        factory = self.factory.directTLS if direct else self.factory
        protocol: Any = factory.buildProtocol(Address(host))
        transport = Transport()
        protocol.makeConnection(transport)
        return protocol, transport

    def login(self, host: str = "127.0.0.1") -> tuple[C2SStream, Transport]:
        """Connect a client, and log in."""
        stream, transport = self.send(LOGIN, host=host)
        self.assertIsNotNone(stream.session)
        transport.take()
        return stream, transport

    def send(self, data: bytes, size: int = 1 << 20, **client: Any) -> tuple[Any, Transport]:
        """Connect a client that sends data, in pieces of some size."""
        stream, transport = self.connect(**client)
        for at in range(0, len(data), size):
            stream.dataReceived(data[at : at + size])
        return stream, transport

    def lose(self, protocol: Protocol) -> None:
        """Lose a connection."""
        protocol.connectionLost(Failure(ConnectionLost()))

    def assertFreed(self, data: bytes) -> None:
        """Check that the stream of a client that sends data is freed without the garbage collector when it is lost."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        stream, _ = self.send(data)
        self.lose(stream)
        self.binder.sessions.clear()
        ref = weakref.ref(stream)
        del stream, _
        self.assertIsNone(ref())
        gc.enable()
        self.assertEqual((len(self.factory.streams), self.factory.limit.count), (0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def assertEnded(self, transport: Transport, condition: str | None, headers: int = 1) -> list[Any]:
        """
        Check the number of headers sent, and that an error, the end tag and the end of the connection come last.

        @return: the events of the last stream.
        """
        found = streams(transport.value)
        self.assertEqual(len(found), headers)
        last = found[-1]
        self.assertIs(last[-1], CLOSED)
        self.assertTrue(transport.value.endswith(END))
        self.assertEqual(transport.log[-1], "lose")
        errors = [event for event in last[:-1] if event.name == "error" and event.uri == ns.STREAM]
        if condition is None:
            self.assertEqual(errors, [])
        else:
            self.assertIs(errors[0], last[-2])
            self.assertEqual([(child.uri, child.name) for child in errors[0].childElements()][:1],
                             [(ns.STREAM_ERRORS, condition)])  # fmt: skip
        return last


class StreamTests(Case):
    """Streams from the connection to their end."""

    def test_slots(self) -> None:
        """A stream provides IStream, and has no attribute dictionary."""
        stream, _ = self.send(LOGIN)
        verifyObject(IStream, stream)
        self.assertEqual(vars(stream), {})

    def test_pipelining(self) -> None:
        """The answers and the stanzas do not depend on how the input is cut."""
        data = LOGIN + b"<message to='a@b'><body>1</body></message>\n<presence/>" + END
        for size in (len(data), 1, 50):
            _, transport = self.send(data, size)
            first, second = streams(transport.value)
            self.assertEqual([event.name for event in first], ["stream", "features", "success"])
            self.assertEqual([event.name for event in second[:-1]], ["stream", "features", "iq"])
            self.assertIs(second[-1], CLOSED)
            self.assertEqual([stanza.name for stanza in self.binder.sessions[-1].stanzas], ["message", "presence"])
            self.assertEqual(self.binder.sessions[-1].lost, [True])

    def test_slowAccounts(self) -> None:
        """While credentials are checked, input is buffered, and handled in order afterwards."""
        self.accounts.waiting = []
        for size in (1000, 1):
            _, transport = self.send(LOGIN + b"<presence/>", size)
            self.assertEqual(len(streams(transport.value)), 1)
            self.accounts.release()
            self.assertEqual(len(streams(transport.value)), 2)
            self.assertEqual([stanza.name for stanza in self.binder.sessions[-1].stanzas], ["presence"])

    def test_pipelineLimit(self) -> None:
        """While credentials are checked, reading goes on to notice a lost connection, so the input is limited."""
        self.accounts.waiting = []
        for more, condition in ((0, None), (1, "policy-violation")):
            stream, transport = self.send(HEADER + auth())
            stream.dataReceived(b" " * (PIPELINE_LIMIT + more))
            self.assertFalse(transport.paused)
            if condition is None:
                self.assertFalse(transport.ended)
            else:
                self.assertEnded(transport, condition)

    def test_lostWhileChecking(self) -> None:
        """If the connection is lost while credentials are checked, the result changes nothing."""
        self.accounts.waiting = []
        stream, transport = self.send(LOGIN)
        written = transport.value
        self.accounts.waiting[0][0].addErrback(lambda failure: None)
        self.lose(stream)
        self.accounts.release()
        self.assertEqual(transport.value, written)
        self.assertEqual(self.binder.sessions, [])

    def test_pipelinedRetry(self) -> None:
        """A client may send another log-in before the first one has failed."""
        stream, transport = self.send(HEADER + auth(password="x") + auth() + HEADER + BIND)
        self.assertIsNotNone(stream.session)
        self.assertEqual(transport.value.count(b"<failure "), 1)

    def test_stanzaSize(self) -> None:
        """The limit for the size of stanzas is higher after the log-in."""
        large = b"<message><body>%s</body></message>" % (b"x" * 20_000)
        stream, transport = self.login()
        stream.dataReceived(large)
        self.assertEqual(len(self.binder.sessions[0].stanzas), 1)
        _, transport = self.send(HEADER + large)
        self.assertEnded(transport, "policy-violation")

    def test_closedByClient(self) -> None:
        """The client's end tag is answered with the end tag, and its session ends cleanly."""
        _, transport = self.send(HEADER + END)
        self.assertEnded(transport, None)
        stream, transport = self.send(LOGIN + END)
        self.assertEnded(transport, None, headers=2)
        self.lose(stream)
        self.assertEqual(self.binder.sessions[0].lost, [True])

    def test_connectionLost(self) -> None:
        """A lost connection ends the session once, not cleanly."""
        stream, _ = self.login()
        self.lose(stream)
        self.assertEqual(self.binder.sessions[0].lost, [False])
        self.assertIsNone(stream.session)

    def test_closedByServer(self) -> None:
        """C{close} sends an error once; the session ends when the connection is lost, and no data passes after it."""
        stream, transport = self.send(LOGIN)
        stream.close(StreamError("conflict"))
        stream.close(StreamError("reset"))
        self.assertEqual(self.binder.sessions[0].lost, [])
        self.assertEnded(transport, "conflict", headers=2)
        stream.write(b"<message/>")
        stream.dataReceived(b"<message/>")
        self.lose(stream)
        self.assertTrue(transport.value.endswith(END))
        self.assertEqual(self.binder.sessions[0].stanzas, [])
        self.assertEqual(self.binder.sessions[0].lost, [True])

    def test_closedByStanza(self) -> None:
        """When a stanza makes the server close the stream, the next ones are ignored."""
        stream, _ = self.login()
        session = self.binder.sessions[0]
        received = session.stanzaReceived

        def ending(element: Element) -> None:
            received(element)
            stream.close(None)

        session.stanzaReceived = ending  # type: ignore[method-assign]
        stream.dataReceived(b"<message/>" * 10 + b"<")
        self.assertEqual(len(session.stanzas), 1)

    def test_nonza(self) -> None:
        """The nonzas of a bound client are for the features that have them; others are for the session."""
        stream, transport = self.login()
        stream.dataReceived(b"<message/><x xmlns='urn:x'/><x/><y xmlns='urn:x'/>")
        self.assertEqual(transport.value, b"<y/>")
        self.assertEqual([each.name for each in self.binder.sessions[0].stanzas], ["message", "x", "y"])

    def test_errorReceived(self) -> None:
        """A stream error from the client closes the stream without another error."""
        stream, transport = self.connect()
        stream.dataReceived(
            LOGIN + b"<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error><message/>"
        )
        self.assertEnded(transport, None, headers=2)
        self.assertEqual(self.binder.sessions[0].lost, [False])

    def test_send(self) -> None:
        """A stanza is one write, of parts that are not copied. After the end nothing is sent."""
        small = Rendered(b"<message", b"/>")
        large = Rendered(b"<message", b"><body>" + b"x" * 100_000 + b"</body></message>")
        stream, transport = self.login()
        for stanza in (small, large, small):
            stream.send(stanza, b" to='a@b'")
        self.assertEqual(transport.log, [each.addressed(b" to='a@b'") for each in (small, large, small)])
        for (head, _, tail), stanza in zip(transport.parts[-3:], (small, large, small), strict=True):
            self.assertIs(head, stanza.head)
            self.assertIs(tail, stanza.tail)
        stream.close(None)
        stream.send(small, b"")
        stream.send(large, b"")
        self.assertEqual(transport.log[3:], [END, "lose"])

    def test_nothingKept(self) -> None:
        """A lost stream is freed without the garbage collector."""
        unfinished = (b"", HEADER, HEADER + b"<au", LOGIN, LOGIN + b"<message><bo")
        for data in (*unfinished, LOGIN + b"<x/>", HEADER + b"<x/>", HEADER + b"</x>", LOGIN + b"<!-- -->"):
            self.assertFreed(data)


class FuzzTests(Case):
    """Arbitrary input."""

    @settings(max_examples=150)
    @given(
        st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=6)), max_size=12),
        st.lists(st.integers(min_value=0, max_value=5000), max_size=8),
    )
    def test_anything(self, pieces: list[bytes], places: list[int]) -> None:
        """
        The answer to any input is valid streams, each with a header, and with an end tag if the connection ends. It
        does not depend on how the input is cut. No error is logged.
        """
        data = b"".join(pieces)
        answers = []
        for at in ([0], [0, *sorted(place for place in places if place < len(data))]):
            self.setUp()
            stream, transport = self.connect()
            for begin, end in pairwise([*at, len(data)]):
                stream.dataReceived(data[begin:end])
            if transport.ended:
                self.assertTrue(transport.value.endswith(END))
            streams(transport.value)
            answers.append((transport.ended, [[form(e) for e in events] for events in streams(transport.value)]))
            self.lose(stream)
            for session in self.binder.sessions:
                self.assertEqual(len(session.lost), 1)
            self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(*answers)
        self.assertEqual(self.flushLoggedErrors(), [])


class ErrorTests(Case):
    """Stream errors (RFC 6120 §4.9.3)."""

    def test_beforeLogin(self) -> None:
        """Each error of a client has its condition."""
        cases = [
            ("bad-format", HEADER + b"text"),
            ("bad-format", HEADER.replace(b"stream:stream", b"stream:flow")),
            ("bad-namespace-prefix", HEADER + b"<x:a/>"),
            ("bad-namespace-prefix", b"<stream:stream>"),
            ("host-unknown", HEADER.replace(b"example.org", b"example.com")),
            ("host-unknown", HEADER.replace(b" to='example.org'", b"")),
            ("invalid-from", HEADER.replace(b" to=", b" from='@' to=")),
            ("invalid-namespace", HEADER.replace(b"etherx", b"ether")),
            ("invalid-namespace", HEADER.replace(b"jabber:client", b"jabber:server")),
            ("not-authorized", HEADER + b"<message/>"),
            ("not-authorized", HEADER + b"<anything xmlns='urn:x'/>"),
            ("not-well-formed", HEADER + b"<a></b>"),
            ("not-well-formed", b"hello "),
            ("policy-violation", HEADER + b"<a>" + b"x" * 10_000),
            ("policy-violation", HEADER + auth(password="x") * 2),
            ("policy-violation", b"<" + b"a" * 10_001),
            ("restricted-xml", HEADER + b"<!-- -->"),
            ("restricted-xml", b"<!DOCTYPE x>"),
            ("restricted-xml", HEADER + b"<a>&b;</a>"),
            ("unsupported-encoding", HEADER + b"<a>\xff</a>"),
            ("unsupported-encoding", HEADER.replace(b"'1.0'?", b"'1.0' encoding='latin-1'?")),
            ("unsupported-version", HEADER.replace(b"' version='1.0'", b"'")),
            ("unsupported-version", HEADER.replace(b"' version='1.0'", b"' version='0.9'")),
        ]
        for condition, data in cases:
            for size in (len(data), 1):
                stream, transport = self.connect()
                for at in range(0, len(data), size):
                    stream.dataReceived(data[at : at + size])
                self.assertEnded(transport, condition)
                self.lose(stream)

    def test_afterLogin(self) -> None:
        """The same holds for the second stream, before and after its header."""
        cases = [
            ("host-unknown", HEADER.replace(b"example.org", b"example.com")),
            ("not-well-formed", b"<<"),
            ("unsupported-stanza-type", HEADER + b"<anything xmlns='urn:x'/>"),
            ("not-authorized", HEADER + b"<message/>"),
            ("invalid-from", HEADER.replace(b" to=", b" from='@' to=")),
            ("bad-format", HEADER + BIND + b"text"),
            ("policy-violation", HEADER + BIND + b"<a>" * 65),
        ]
        for condition, data in cases:
            stream, transport = self.send(HEADER + auth())
            stream.dataReceived(data)
            self.assertEnded(transport, condition, headers=2)
            self.lose(stream)

    def test_anyCondition(self) -> None:
        """Every condition is sent after the server's header, in any state of the stream."""
        for condition in STREAM_CONDITIONS:
            for data, headers in ((b"", 1), (HEADER, 1), (HEADER + auth(), 2), (LOGIN, 2)):
                stream, transport = self.send(data)
                stream.close(StreamError(condition, "a < b"))
                last = self.assertEnded(transport, condition, headers)
                self.assertEqual(last[-2].child("text", ns.STREAM_ERRORS).text(), "a < b")
                self.lose(stream)

    def test_raisedBySession(self) -> None:
        """A stream error raised by a session closes the stream and ends the session."""
        stream, transport = self.send(LOGIN)
        self.binder.sessions[0].raises = StreamError("invalid-from")
        stream.dataReceived(b"<message from='x@y'/>")
        self.assertEnded(transport, "invalid-from", headers=2)
        self.assertEqual(self.binder.sessions[0].lost, [True])

    def test_internalError(self) -> None:
        """An unexpected exception is logged, and internal-server-error for the client."""
        stream, transport = self.send(LOGIN)
        self.binder.sessions[0].raises = ZeroDivisionError()
        stream.dataReceived(b"<message/><message/>")
        self.assertEnded(transport, "internal-server-error", headers=2)
        self.assertEqual(self.binder.sessions[0].lost, [True])
        self.binder.raises = ZeroDivisionError()
        stream, transport = self.send(LOGIN)
        self.assertEnded(transport, "internal-server-error", headers=2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_internalErrorAfterWaiting(self) -> None:
        """An unexpected exception after waiting for the accounts closes the stream, too."""
        self.accounts.waiting = []
        stream, transport = self.send(LOGIN)
        self.patch(self.factory.features, "header", lambda to: 1 / 0)
        self.accounts.release()
        self.assertTrue(transport.ended)
        self.assertIsNone(stream.session)
        self.assertGreaterEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_internalErrorInStreamLost(self) -> None:
        """An exception of a session at its end is logged; the stream ends all the same."""
        stream, _ = self.login()
        self.binder.sessions[0].streamLost = lambda stream, clean: 1 // 0  # type: ignore[method-assign]
        self.lose(stream)
        self.assertEqual(self.factory.streams, set())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class TimeoutTests(Case):
    """Timeouts and keepalives."""

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.pump([1.0] * seconds)

    def test_login(self) -> None:
        """A client that does not bind a resource in time is disconnected, in any state and despite other input."""
        for data, headers in ((b"", 1), (HEADER, 1), (HEADER + auth(), 2)):
            stream, transport = self.send(data)
            self.wait(59)
            self.assertFalse(transport.ended)
            stream.dataReceived(b" ")
            self.wait(1)
            self.assertEnded(transport, "connection-timeout", headers)
            self.lose(stream)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_idle(self) -> None:
        """A client without input for too long is disconnected; a single space is enough input."""
        self.configure(idleTimeout=100, keepalive=0)
        stream, transport = self.login()
        self.wait(99)
        stream.dataReceived(b" ")
        self.wait(99)
        self.assertFalse(transport.ended)
        self.wait(1)
        self.assertTrue(transport.ended)
        self.assertIn(b"<connection-timeout ", transport.value)
        self.assertEqual(self.binder.sessions[0].lost, [False])

    def test_noIdleTimeout(self) -> None:
        """Without a timeout, an idle client stays connected, and is not sent anything."""
        self.configure(idleTimeout=0, keepalive=0)
        _, transport = self.login()
        self.wait(5000)
        self.assertEqual(transport.log, [])

    def test_keepalive(self) -> None:
        """Only an idle client is sent spaces."""
        self.configure(idleTimeout=0, keepalive=60)
        stream, transport = self.login()
        self.wait(59)
        self.assertEqual(transport.log, [])
        self.wait(1)
        self.assertEqual(transport.log, [b" "])
        self.wait(120)
        self.assertEqual(transport.log, [b" "] * 3)
        for _ in range(10):
            stream.dataReceived(b" ")
            self.wait(50)
        self.assertEqual(transport.log, [b" "] * 3)

    def test_changedTimeout(self) -> None:
        """New timeouts apply to existing streams."""
        self.configure(idleTimeout=1000, keepalive=0)
        _, transport = self.login()
        self.wait(50)
        self.configure(idleTimeout=20, keepalive=0)
        self.wait(PARSER_IDLE + 1)
        self.assertTrue(transport.ended)

    def test_idleParser(self) -> None:
        """The parser of an idle client frees its memory, and continues correctly, also inside a stanza."""
        idle = []
        self.patch(StanzaParser, "idle", lambda parser, original=StanzaParser.idle: idle.append(1) or original(parser))
        stream, _ = self.login()
        idle.clear()
        stream.dataReceived(b"<message/>")
        self.assertEqual(idle, [])
        self.wait(PARSER_IDLE + 1)
        self.assertEqual(idle, [1])
        stream.dataReceived(b"<message><bo")
        self.wait(2 * PARSER_IDLE)
        stream.dataReceived(b"dy/></message>")
        self.assertEqual([s.name for s in self.binder.sessions[0].stanzas], ["message", "message"])

    def test_nonzaParser(self) -> None:
        """So does that of a client after a nonza."""
        idle = []
        self.patch(StanzaParser, "idle", lambda parser, original=StanzaParser.idle: idle.append(1) or original(parser))
        stream, transport = self.login()
        idle.clear()
        stream.dataReceived(b"<x xmlns='urn:x'/><message/><x xmlns='urn:x'/><mess")
        stream.dataReceived(b"age/>")
        self.assertEqual((idle, transport.value), ([1, 1], b"<y/><y/>"))
        self.assertEqual([s.name for s in self.binder.sessions[-1].stanzas], ["message", "message"])

    def test_oneTimer(self) -> None:
        """All streams share one timer, which stops with the last one."""
        connected = [self.login()[0] for _ in range(5)] + [self.connect()[0] for _ in range(5)]
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        for stream in connected:
            self.lose(stream)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class RateTests(Case):
    """L{StreamSettings.rate}"""

    host = "10.0.0.1"

    def setUp(self) -> None:
        """Limit streams to 1000 bytes per second, with bursts of 2000."""
        super().setUp()
        self.configure(rate=1000, burst=2000, stanzaCost=0)

    def test_throttled(self) -> None:
        """After too much input nothing is handled or read until the debt is paid; no input is lost."""
        stream, transport = self.login(self.host)
        self.clock.advance(10)
        stream.dataReceived(b"<message/>" * 300)
        self.assertEqual(len(self.binder.sessions[0].stanzas), 1)
        self.assertTrue(transport.paused)
        self.clock.advance(0.9)
        self.assertEqual(len(self.binder.sessions[0].stanzas), 1)
        self.assertTrue(transport.paused)
        # Data that TLS had decrypted already.
        stream.dataReceived(b"<message/>" * 50)
        self.clock.advance(0.2)
        self.assertTrue(transport.paused)
        self.clock.advance(0.5)
        self.assertFalse(transport.paused)
        self.assertEqual(len(self.binder.sessions[0].stanzas), 350)

    def test_exempt(self) -> None:
        """Exempt networks are not throttled."""
        stream, transport = self.login()
        stream.dataReceived(b"<message/>" * 3000)
        self.assertFalse(transport.paused)

    def test_lost(self) -> None:
        """A connection lost while throttled leaves no timer."""
        stream, _ = self.login(self.host)
        stream.dataReceived(b"<message/>" * 3000)
        self.lose(stream)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closedWhileThrottled(self) -> None:
        """A stream closed while throttled is not read any more."""
        stream, transport = self.login(self.host)
        stream.dataReceived(b"<message/>" * 3000)
        stream.close(None)
        self.clock.advance(100)
        self.assertTrue(transport.paused)
        self.lose(stream)

    def test_throttledWhileChecking(self) -> None:
        """Throttling and checking credentials at the same time do not disturb each other."""
        for released in (True, False):
            self.accounts.waiting = []
            stream, transport = self.connect(self.host)
            stream.dataReceived(HEADER + auth() + b" " * 3000)
            if released:
                self.accounts.release()
            self.assertTrue(transport.paused)
            self.clock.advance(10)
            self.assertFalse(transport.paused)
            self.lose(stream)


class TimeSliceTests(Case):
    """L{TIME_SLICE}: one client does not block the reactor."""

    def setUp(self) -> None:
        """Log in a client whose stanzas take longer than a slice."""
        super().setUp()
        self.stream, self.transport = self.login()
        self.session = self.binder.sessions[-1]
        received = self.session.stanzaReceived
        self.order = ""

        def slowly(element: Element) -> None:
            received(element)
            self.record(element.attributes["id"])
            self.clock.callLater(0, self.record, "|")
            self.clock.rightNow += TIME_SLICE * 1.5

        self.session.stanzaReceived = slowly

    def record(self, event: str) -> None:
        """Record the id of a stanza, or C{"|"} for a reactor turn."""
        self.order += event

    def test_yields(self) -> None:
        """After a slice, the input of a client waits for the next reactor turn, in order; reading pauses meanwhile."""
        self.stream.dataReceived(b"<iq id='1'/><iq id='2'/><iq id='3'/><iq i")
        self.assertEqual((self.order, self.transport.paused), ("1", True))
        self.stream.dataReceived(b"d='4'/>")
        self.assertEqual(self.order, "1")
        self.clock.advance(0)
        self.assertEqual((self.order, self.transport.paused), ("1|2|3|4|", False))
        self.stream.dataReceived(b"<iq id='5'/>")
        self.assertEqual(self.order, "1|2|3|4|5")

    def test_end(self) -> None:
        """The end tag is handled in the next turn, too."""
        self.stream.dataReceived(b"<iq id='1'/>" + END)
        self.assertEqual(self.session.lost, [])
        self.clock.advance(0)
        self.assertEqual(self.session.lost, [True])
        self.assertEqual(self.transport.log, [END, "lose"])

    def test_lost(self) -> None:
        """If the connection is lost meanwhile, the rest is not handled."""
        self.stream.dataReceived(b"<iq id='1'/><iq id='2'/>")
        self.lose(self.stream)
        self.clock.advance(0)
        self.assertEqual(self.order, "1|")
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ConnectionLimitTests(Case):
    """Limits of the number of connections."""

    def test_perAddress(self) -> None:
        """A connection above the limit of an address is sent an error and closed, until another one has ended."""
        self.configure(connectionsPerAddress=2)
        first, _ = self.connect("10.0.0.1")
        self.connect("10.0.0.1")
        rejected, transport = self.connect("10.0.0.1")
        self.assertIsInstance(rejected, RejectedStream)
        self.assertEnded(transport, "policy-violation")
        rejected.dataReceived(LOGIN)
        self.lose(rejected)
        self.assertIsInstance(self.connect("10.0.0.1")[0], RejectedStream)
        self.lose(first)
        self.assertIsInstance(self.connect("10.0.0.1")[0], C2SStream)

    def test_exempt(self) -> None:
        """The exempt networks are configurable."""
        self.configure(connectionsPerAddress=1, exempt=Networks(["10.0.0.0/8"]))
        for _ in range(3):
            self.assertIsInstance(self.connect("10.0.0.1")[0], C2SStream)
        self.assertIsInstance(self.connect("127.0.0.1")[0], C2SStream)
        self.assertIsInstance(self.connect("127.0.0.1")[0], RejectedStream)

    def test_total(self) -> None:
        """A connection above the total is rejected with resource-constraint; under direct TLS it is aborted."""
        self.configure(connections=1)
        self.connect()
        _, transport = self.connect()
        self.assertEnded(transport, "resource-constraint")
        _, transport = self.connect(direct=True)
        self.assertEqual(transport.log, ["abort"])


class GuessingTests(Case):
    """L{LoginThrottle} on streams."""

    def guess(self, count: int) -> None:
        """Guess passwords, on connections of two attempts each."""
        for _ in range(count // 2):
            stream, _ = self.connect("192.0.2.1")
            stream.dataReceived(HEADER + auth(password="x") * 2)

    def loginByScram(self, host: str) -> tuple[C2SStream, Transport]:
        """Log in by SCRAM; the last message is answered when the password may be checked."""
        stream, transport = self.connect(host)
        client = ScramClient("sha1", "romeo", PASSWORD)
        first = b64encode(client.first())
        stream.dataReceived(HEADER + f"<auth xmlns='{ns.SASL}' mechanism='SCRAM-SHA-1'>".encode() + first + b"</auth>")
        text = transport.take().partition(b"<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>")[2].partition(b"<")[0]
        stream.dataReceived(sasl("response", b64encode(client.final(b64decode(text))).decode()) + HEADER + BIND)
        return stream, transport

    def test_delayed(self) -> None:
        """After wrong passwords, the next check and its stream wait. Other addresses do not."""
        self.guess(10)
        asked: list[str] = []
        check = self.accounts.checkPassword
        self.patch(self.accounts, "checkPassword", lambda jid, password: asked.append(jid) or check(jid, password))
        plain, transport = self.connect("192.0.2.1")
        plain.dataReceived(LOGIN)
        scram, answer = self.loginByScram("192.0.2.1")
        self.assertEqual((asked, answer.value), ([], b""))
        self.assertNotIn(b"<success", transport.value)
        other, _ = self.loginByScram("198.51.100.1")
        self.assertIsNotNone(other.session)
        self.clock.pump([1] * 12)
        self.assertEqual(asked[0], "romeo@example.org")
        self.assertIsNotNone(plain.session)
        self.assertIsNotNone(scram.session)

    def test_lost(self) -> None:
        """A connection lost while it waits leaves nothing."""
        self.guess(12)
        for stream in list(self.factory.streams):
            self.lose(stream)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_configured(self) -> None:
        """Exempt networks do not wait; the delay of an account is shorter than the login timeout."""
        self.configure(exempt=Networks(["192.0.2.0/24"]), loginTimeout=4)
        self.guess(40)
        stream, _ = self.connect("192.0.2.1")
        stream.dataReceived(LOGIN)
        self.assertIsNotNone(stream.session)
        self.assertEqual(self.factory.throttle.accountDelay, 1)


class TLSTests(Case):
    """STARTTLS and direct TLS without sockets."""

    tlsMode = REQUIRED

    def test_starttls(self) -> None:
        """TLS starts after proceed, with a new stream."""
        stream, transport = self.send(HEADER + STARTTLS)
        proceed = b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
        self.assertEqual(transport.log[2:], [proceed, ("startTLS", self.tls)])
        transport.take()
        stream.dataReceived(LOGIN)
        self.assertIsNotNone(stream.session)
        self.assertIn(b"<mechanism>SCRAM-SHA-1-PLUS</mechanism>", transport.value)

    def test_injection(self) -> None:
        """Data in the clear after starttls is dropped, in the same piece or the next one."""
        evil = HEADER + auth() + HEADER + BIND + b"<message/>"
        stream, transport = self.send(HEADER + STARTTLS + evil)
        self.assertEqual(len(streams(transport.value)), 1)
        self.assertEqual(self.binder.sessions, [])
        stream.dataReceived(HEADER)
        self.assertEqual([event.name for event in streams(transport.value)[1]], ["stream", "features"])
        stream, transport = self.send(HEADER + STARTTLS + b"<stream:stream to='")
        stream.dataReceived(HEADER)
        self.assertEqual([event.name for event in streams(transport.value)[1]], ["stream", "features"])

    def test_direct(self) -> None:
        """Direct TLS starts before anything is written or read."""
        stream, transport = self.connect(direct=True)
        self.assertEqual(transport.log, [("startTLS", self.tls)])
        stream.dataReceived(LOGIN)
        self.assertIsNotNone(stream.session)
        self.assertIn(stream, self.factory.streams)

    def test_startFails(self) -> None:
        """If TLS cannot be started, this is logged, and the connection is closed."""
        self.patch(Transport, "startTLS", lambda self, context: 1 // 0)
        _, transport = self.connect(direct=True)
        self.assertTrue(transport.ended)
        _, transport = self.send(HEADER + STARTTLS)
        self.assertTrue(transport.ended)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_noCertificate(self) -> None:
        """Without a certificate any more, connections with direct TLS are aborted."""
        self.tls = None
        self.configure(OFF)
        _, transport = self.connect(direct=True)
        self.assertEqual(transport.log, ["abort"])

    def test_reconfigured(self) -> None:
        """A stream keeps the features with which it began."""
        stream, transport = self.send(HEADER)
        self.configure(OFF)
        stream.dataReceived(STARTTLS)
        self.assertIn(("startTLS", self.tls), transport.log)
        _, transport = self.send(HEADER)
        self.assertNotIn(b"<starttls ", transport.value)

    def test_noChannelBinding(self) -> None:
        """Channel binding can be switched off: it is not offered then, and a client may say so (RFC 5802 §6)."""
        self.factory.features.channelBinding = False
        stream, transport = self.connect(direct=True)
        first = b64encode(b"y,,n=romeo,r=x").decode()
        stream.dataReceived(HEADER + f"<auth xmlns='{ns.SASL}' mechanism='SCRAM-SHA-1'>{first}</auth>".encode())
        self.assertNotIn(b"-PLUS", transport.value)
        self.assertNotIn(b"<sasl-channel-binding", transport.value)
        self.assertIn(b"<challenge ", transport.value)


class RealTLSTests(SocketTestCase):
    """STARTTLS and direct TLS with sockets and certificates."""

    def setUp(self) -> None:
        """Create the server."""
        super().setUp()
        self.tls = ServerTLS(*goodPair(self.mktemp()))
        self.binder = Binder()
        login = SASL(Accounts(), DOMAIN, False, b"s")
        features = StreamFeatures(DOMAIN, login, self.binder, self.tls, REQUIRED)
        self.factory = C2SFactory(self.flusher, features, defaultStreams())

    def client(self, direct: bool = False) -> tuple[Any, Peer]:
        """Connect a client."""
        stream: Any = self.factory.build(None, direct)
        _, _, _, peer = self.connect(protocol=stream)
        return stream, peer

    def expect(self, peer: Peer, last: bytes) -> bytes:
        """Wait until the client has received something, and return everything received since the last call."""
        self.receive(peer, lambda: peer.received.endswith(last))
        received = bytes(peer.received)
        peer.received.clear()
        return received

    def login(self, stream: Any, peer: Peer, type: str = "tls-server-end-point") -> None:
        """Log in by SCRAM with channel binding."""
        self.receive(peer, lambda: peer.handshakeDone)
        peer.send(HEADER)
        features = self.expect(peer, b"</stream:features>")
        self.assertIn(b"<mechanism>SCRAM-SHA-1-PLUS</mechanism>", features)
        self.assertIn(b"<channel-binding type='tls-server-end-point'/>", features)
        binding = self.tls.channelBindings(stream.transport).data(type)
        client = ScramClient("sha1", "romeo", PASSWORD, f"p={type},,".encode(), binding)
        first = b64encode(client.first())
        peer.send(f"<auth xmlns='{ns.SASL}' mechanism='SCRAM-SHA-1-PLUS'>".encode() + first + b"</auth>")
        challenge = self.expect(peer, b"</challenge>")
        text = challenge[challenge.index(b">") + 1 : challenge.index(b"</")]
        peer.send(sasl("response", b64encode(client.final(b64decode(text))).decode()))
        self.expect(peer, b"</success>")
        peer.send(HEADER + BIND)
        self.expect(peer, b"</iq>")
        self.assertEqual(self.binder.sessions[-1].jid.full, "romeo@example.org/r")

    def test_starttls(self) -> None:
        """Data in the clear after starttls is dropped; everything later is encrypted."""
        stream, peer = self.client()
        peer.send(HEADER)
        self.expect(peer, b"</stream:features>")
        peer.send(STARTTLS + HEADER + auth() + HEADER + BIND)
        self.expect(peer, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        peer.raw.clear()
        peer.startTLS()
        self.login(stream, peer)
        stream.write(b"<message/>")
        self.expect(peer, b"<message/>")
        peer.send(END)
        self.expect(peer, END)
        for plain in (b"stream", b"features", b"message", b"romeo"):
            self.assertNotIn(plain, bytes(peer.raw))
        self.receive(peer, lambda: peer.end)
        self.assertEqual(self.binder.sessions[0].lost, [True])

    def test_direct(self) -> None:
        """Direct TLS, with a client that ignores the announced types of channel binding (RFC 5802 §6.1)."""
        stream, peer = self.client(direct=True)
        peer.startTLS()
        self.login(stream, peer, "tls-unique")
        self.assertNotIn(b"stream", bytes(peer.raw))

    def test_noHandshake(self) -> None:
        """A client that sends no handshake where TLS is expected is disconnected without a traceback."""
        stream, peer = self.client(direct=True)
        peer.send(HEADER)
        self.receive(peer, lambda: peer.end)
        self.until(lambda: stream not in self.factory.streams)
        self.assertEqual(self.flushLoggedErrors(), [])


class ClosingTests(Case):
    """L{C2SFactory.closeAll}"""

    def test_closeAll(self) -> None:
        """All streams are sent the error; the result fires when all connections are lost."""
        connected = [self.connect(), self.send(LOGIN), self.connect()]
        done = self.factory.closeAll(StreamError("system-shutdown"))
        for (stream, transport), headers in zip(connected, (1, 2, 1), strict=True):
            self.assertEnded(transport, "system-shutdown", headers)
            self.assertNoResult(done)
            self.lose(stream)
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual(self.binder.sessions[0].lost, [True])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noStreams(self) -> None:
        """Without streams the result fires at once; later connections are rejected."""
        self.assertIsNone(self.successResultOf(self.factory.closeAll(StreamError("system-shutdown"))))
        _, transport = self.connect()
        self.assertEnded(transport, "system-shutdown")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_timeout(self) -> None:
        """A client that does not close the connection is aborted, and not waited for any longer."""
        stream, transport = self.connect()
        done = self.factory.closeAll(StreamError("system-shutdown"), timeout=5)
        self.clock.advance(4)
        self.assertNotIn("abort", transport.log)
        self.clock.advance(1)
        self.assertEqual(transport.log[-1], "abort")
        self.assertNoResult(done)
        self.clock.advance(1)
        self.assertIsNone(self.successResultOf(done))
        self.lose(stream)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_twice(self) -> None:
        """Each call of C{closeAll} fires."""
        stream, _ = self.connect()
        both = [self.factory.closeAll(StreamError("system-shutdown")) for _ in range(2)]
        self.lose(stream)
        for done in both:
            self.assertIsNone(self.successResultOf(done))
        self.assertEqual(self.clock.getDelayedCalls(), [])
