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

from muccore.interfaces import IStream
from muccore.net.limits import Networks
from muccore.net.tls import ServerTLS
from muccore.stream.c2s import PARSER_IDLE, PIPELINE_LIMIT, TIME_SLICE, C2SStream, StreamSettings
from muccore.stream.factory import C2SFactory, RejectedStream
from muccore.stream.features import OFF, REQUIRED, StreamFeatures
from muccore.stream.parser.parser import CLOSED, StanzaParser, StreamOpened
from muccore.stream.sasl.mechanisms import SASL
from muccore.stream.sending import SPLIT_WRITE_SIZE
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
        self.factory = C2SFactory(self.clock, self.features())

    def features(self, tlsMode: str | None = None) -> StreamFeatures:
        """Create the features of streams."""
        login = SASL(self.accounts, DOMAIN, True, b"s")
        return StreamFeatures(DOMAIN, login, self.binder, self.tls, tlsMode or self.tlsMode, loginTries=2)

    def configure(self, tlsMode: str | None = None, **settings: Any) -> None:
        """Change the configuration."""
        self.factory.configure(self.features(tlsMode), StreamSettings(**settings))

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


class LifeTests(Case):
    """From the connection to its end."""

    def test_carrier(self) -> None:
        """A stream is a carrier, and has nothing that is not in a slot."""
        stream, _ = self.connect()
        verifyObject(IStream, stream)
        stream.dataReceived(LOGIN)
        self.assertEqual(vars(stream), {})

    def test_pieces(self) -> None:
        """
        A client may send everything ahead, or byte by byte: the answers are the same, and so is what the session
        gets.
        """
        data = LOGIN + b"<message to='a@b'><body>1</body></message>\n<presence/>" + END
        for size in (len(data), 1, 50):
            stream, transport = self.connect()
            self.assertEqual(transport.log, [])
            session = None
            for at in range(0, len(data), size):
                stream.dataReceived(data[at : at + size])
                session = session or stream.session
            first, second = streams(transport.value)
            self.assertEqual([event.name for event in first], ["stream", "features", "success"])
            self.assertEqual([event.name for event in second[:-1]], ["stream", "features", "iq"])
            self.assertIs(second[-1], CLOSED)
            self.assertEqual([stanza.name for stanza in self.binder.sessions[-1].stanzas], ["message", "presence"])
            self.assertEqual(self.binder.sessions[-1].lost, [True])

    def test_slowAccounts(self) -> None:
        """While the accounts are being asked, nothing that comes is looked at, and it is neither lost nor overtaken."""
        self.accounts.waiting = []
        for size in (1000, 1):
            data = LOGIN + b"<presence/>"
            stream, transport = self.send(HEADER)
            at = data.index(b"<auth")
            while at < len(data):
                stream.dataReceived(data[at : at + size])
                at += size
            self.assertEqual(len(streams(transport.value)), 1)
            self.accounts.release()
            self.assertEqual(len(streams(transport.value)), 2)
            self.assertEqual([stanza.name for stanza in self.binder.sessions[-1].stanzas], ["presence"])

    def test_tooMuchAhead(self) -> None:
        """Reading goes on meanwhile, so that it is noticed who hangs up; so what may be sent ahead is bounded."""
        self.accounts.waiting = []
        for more, condition in ((0, None), (1, "policy-violation")):
            stream, transport = self.send(HEADER + auth())
            stream.dataReceived(b" " * (PIPELINE_LIMIT + more))
            self.assertFalse(transport.paused)
            if condition is None:
                self.assertFalse(transport.ended)
            else:
                self.assertEnded(transport, condition)

    def test_lostMeanwhile(self) -> None:
        """If the connection goes while the accounts are being asked, the answer changes nothing."""
        self.accounts.waiting = []
        stream, transport = self.send(LOGIN)
        written = transport.value
        self.accounts.waiting[0][0].addErrback(lambda failure: None)
        self.lose(stream)
        self.accounts.release()
        self.assertEqual(transport.value, written)
        self.assertEqual(self.binder.sessions, [])

    def test_failureAndAgain(self) -> None:
        """Behind a failed try the next one may have been sent ahead."""
        stream, transport = self.send(HEADER + auth(password="x") + auth() + HEADER + BIND)
        self.assertIsNotNone(stream.session)
        self.assertEqual(transport.value.count(b"<failure "), 1)

    def test_largerStanzas(self) -> None:
        """The limit for stanzas is another one after the log-in."""
        large = b"<message><body>%s</body></message>" % (b"x" * 20_000)
        stream, transport = self.login()
        stream.dataReceived(large)
        self.assertEqual(len(self.binder.sessions[0].stanzas), 1)
        stream, transport = self.send(HEADER + large)
        self.assertEnded(transport, "policy-violation")

    def test_theirEnd(self) -> None:
        """A client that ends its stream is answered with the end tag, and its session hears that it went in order."""
        stream, transport = self.send(HEADER + END)
        self.assertEnded(transport, None)
        stream, transport = self.send(LOGIN + END)
        self.assertEnded(transport, None, headers=2)
        self.lose(stream)
        self.assertEqual(self.binder.sessions[0].lost, [True])

    def test_vanished(self) -> None:
        """A session hears once that its client has vanished."""
        stream, _ = self.login()
        self.lose(stream)
        self.assertEqual(self.binder.sessions[0].lost, [False])
        self.assertIsNone(stream.session)

    def test_ourEnd(self) -> None:
        """
        What a session closes with an error is told to the client; the session hears of it when the connection is
        gone.
        """
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
        self.assertEqual(self.binder.sessions[0].lost, [False])

    def test_closedInTheMiddle(self) -> None:
        """When a stanza makes the stream end, those behind it are not looked at."""
        stream, _ = self.login()
        session = self.binder.sessions[0]
        received = session.stanzaReceived

        def ending(element: Element) -> None:
            received(element)
            stream.close(None)

        session.stanzaReceived = ending  # type: ignore[method-assign]
        stream.dataReceived(b"<message/>" * 10 + b"<")
        self.assertEqual(len(session.stanzas), 1)

    def test_late(self) -> None:
        """What is about the stream is answered without the session."""
        stream, transport = self.login()
        stream.dataReceived(b"<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>" + BIND)
        self.assertIn(b"<iq id='s' type='result'/>", transport.value)
        self.assertIn(b"<not-allowed ", transport.value)
        self.assertEqual(self.binder.sessions[0].stanzas, [])
        stream.dataReceived(b"<iq type='get' id='p' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.assertEqual(len(self.binder.sessions[0].stanzas), 1)

    def test_theirError(self) -> None:
        """A stream error from the client ends the stream without one from us."""
        stream, transport = self.connect()
        stream.dataReceived(
            LOGIN + b"<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error><message/>"
        )
        self.assertEnded(transport, None, headers=2)
        self.assertEqual(self.binder.sessions[0].lost, [False])

    def test_send(self) -> None:
        """A stanza is one write; a large one goes to all its recipients without a copy. Behind the end goes nothing."""
        small = Rendered(b"<message", b"/>")
        large = Rendered(b"<message", b"><body>" + b"x" * SPLIT_WRITE_SIZE + b"</body></message>")
        stream, transport = self.login()
        for stanza in (small, large, small):
            stream.send(stanza, b" to='a@b'")
        [first, head, tail, last] = transport.log
        self.assertEqual((first, head, last), (b"<message to='a@b'/>", b"<message to='a@b'", b"<message to='a@b'/>"))
        self.assertIs(tail, large.tail)
        stream.close(None)
        stream.send(small, b"")
        stream.send(large, b"")
        self.assertEqual(transport.log[4:], [END, "lose"])

    def test_nothingKept(self) -> None:
        """A stream that is gone is gone: nothing refers to it, and the garbage collector is not needed."""
        for data in (b"", HEADER, HEADER + b"<au", LOGIN, LOGIN + b"<message><bo", LOGIN + b"<x/>", HEADER + b"<x/>"):
            gc.collect()
            gc.disable()
            self.addCleanup(gc.enable)
            stream, transport = self.send(data)
            self.lose(stream)
            self.binder.sessions.clear()
            ref = weakref.ref(stream)
            del stream, transport
            self.assertIsNone(ref())
            gc.enable()
            self.assertEqual((len(self.factory.streams), self.factory.limit.count), (0, 0))
            self.assertEqual(self.clock.getDelayedCalls(), [])


class FuzzTests(Case):
    """Arbitrary clients."""

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=6)), max_size=12),
        st.lists(st.integers(min_value=0, max_value=5000), max_size=8),
    )
    def test_anything(self, pieces: list[bytes], places: list[int]) -> None:
        """
        Whatever a client sends, and however it is cut, what it gets is XML, begins with a header, ends with the end
        tag if it ends, and is the same; nothing is ever logged.
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
    """RFC 6120 §4.9.3: every condition that a server can send, behind a header and before the end tag."""

    def test_received(self) -> None:
        """What a client does wrong is answered with its own condition."""
        no = b""
        cases = [
            ("bad-format", HEADER + b"text"),
            ("bad-format", HEADER.replace(b"stream:stream", b"stream:flow")),
            ("bad-namespace-prefix", HEADER + b"<x:a/>"),
            ("bad-namespace-prefix", b"<stream:stream>"),
            ("host-unknown", HEADER.replace(b"example.org", b"example.com")),
            ("host-unknown", HEADER.replace(b" to='example.org'", no)),
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

    def test_receivedLater(self) -> None:
        """On the second stream as well, before its header is answered and after."""
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

    def test_any(self) -> None:
        """Whatever the server has to say, it says it behind its header, wherever the stream stands."""
        for condition in STREAM_CONDITIONS:
            for data, headers in ((b"", 1), (HEADER, 1), (HEADER + auth(), 2), (LOGIN, 2)):
                stream, transport = self.send(data)
                stream.close(StreamError(condition, "a < b"))
                last = self.assertEnded(transport, condition, headers)
                self.assertEqual(last[-2].child("text", ns.STREAM_ERRORS).text(), "a < b")
                self.lose(stream)

    def test_session(self) -> None:
        """What a session finds wrong ends the stream and the session."""
        stream, transport = self.send(LOGIN)
        self.binder.sessions[0].raises = StreamError("invalid-from")
        stream.dataReceived(b"<message from='x@y'/>")
        self.assertEnded(transport, "invalid-from", headers=2)
        self.assertEqual(self.binder.sessions[0].lost, [False])

    def test_fault(self) -> None:
        """A fault of the server is logged, and is internal-server-error to the client."""
        stream, transport = self.send(LOGIN)
        self.binder.sessions[0].raises = ZeroDivisionError()
        stream.dataReceived(b"<message/><message/>")
        self.assertEnded(transport, "internal-server-error", headers=2)
        self.assertEqual(self.binder.sessions[0].lost, [False])
        self.binder.raises = ZeroDivisionError()
        stream, transport = self.send(LOGIN)
        self.assertEnded(transport, "internal-server-error", headers=2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_faultOfAccounts(self) -> None:
        """A fault while logging in, found late, ends the stream likewise."""
        self.accounts.waiting = []
        stream, transport = self.send(LOGIN)
        self.patch(self.factory.features, "header", lambda to: 1 / 0)
        self.accounts.release()
        self.assertTrue(transport.ended)
        self.assertIsNone(stream.session)
        self.assertGreaterEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_faultAtTheEnd(self) -> None:
        """A session that fails at its end is logged and keeps nothing from ending."""
        stream, _ = self.login()

        def streamLost(carrier: IStream, clean: bool) -> None:
            raise ZeroDivisionError

        self.binder.sessions[0].streamLost = streamLost  # type: ignore[method-assign]
        self.lose(stream)
        self.assertEqual(self.factory.streams, set())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class TimeTests(Case):
    """Timeouts and keepalive."""

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.pump([1.0] * seconds)

    def test_login(self) -> None:
        """Who has not bound a resource in time is sent away, wherever he stands and whatever he sends."""
        for data, headers in ((b"", 1), (HEADER, 1), (HEADER + auth(), 2)):
            stream, transport = self.send(data)
            self.wait(59)
            self.assertFalse(transport.ended)
            stream.dataReceived(b" ")
            self.wait(1)
            self.assertEnded(transport, "connection-timeout", headers)
            self.lose(stream)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_loginInTime(self) -> None:
        """Who has bound a resource may stay."""
        _, transport = self.login()
        self.wait(200)
        self.assertFalse(transport.ended)

    def test_idle(self) -> None:
        """Who sends nothing for too long is sent away; a single space is enough to stay."""
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

    def test_neverIdle(self) -> None:
        """Without a timeout a silent client may stay for ever."""
        self.configure(idleTimeout=0, keepalive=0)
        _, transport = self.login()
        self.wait(5000)
        self.assertEqual(transport.log, [])

    def test_keepalive(self) -> None:
        """Who is silent is sent a space now and then, and who is not, is not."""
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

    def test_changed(self) -> None:
        """New timeouts count for those who are there."""
        self.configure(idleTimeout=1000, keepalive=0)
        _, transport = self.login()
        self.wait(50)
        self.configure(idleTimeout=20, keepalive=0)
        self.wait(PARSER_IDLE + 1)
        self.assertTrue(transport.ended)

    def test_parser(self) -> None:
        """The parser of a silent client gives its memory back, and goes on as if nothing had been."""
        stream, _ = self.login()
        stream.dataReceived(b"<message/>")
        self.assertIsNotNone(stream._parser._expat)
        self.wait(PARSER_IDLE + 1)
        self.assertIsNone(stream._parser._expat)
        stream.dataReceived(b"<presence/>")
        self.wait(2 * PARSER_IDLE)
        stream.dataReceived(b"<message><bo")
        self.wait(2 * PARSER_IDLE)
        stream.dataReceived(b"dy/></message>")
        self.assertEqual([s.name for s in self.binder.sessions[0].stanzas], ["message", "presence", "message"])

    def test_oneTimer(self) -> None:
        """However many streams there are, there is one timer, and none when they are gone."""
        made = [self.login()[0] for _ in range(5)] + [self.connect()[0] for _ in range(5)]
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        for stream in made:
            self.lose(stream)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class RateTests(Case):
    """Bytes a second."""

    host = "10.0.0.1"

    def setUp(self) -> None:
        """1000 bytes a second, 2000 at once."""
        super().setUp()
        self.configure(rate=1000, burst=2000)

    def test_slowedDown(self) -> None:
        """Who sends too much is not read until it is made up for; nothing of it is lost."""
        stream, transport = self.login(self.host)
        self.clock.advance(10)
        stream.dataReceived(b"<message/>" * 300)
        self.assertEqual(len(self.binder.sessions[0].stanzas), 300)
        self.assertTrue(transport.paused)
        self.clock.advance(0.9)
        self.assertTrue(transport.paused)
        # What TLS had decrypted already.
        stream.dataReceived(b"<message/>" * 50)
        self.clock.advance(0.2)
        self.assertTrue(transport.paused)
        self.clock.advance(0.5)
        self.assertFalse(transport.paused)
        self.assertEqual(len(self.binder.sessions[0].stanzas), 350)

    def test_exempt(self) -> None:
        """From exempt networks anything may come."""
        stream, transport = self.login()
        stream.dataReceived(b"<message/>" * 3000)
        self.assertFalse(transport.paused)

    def test_lost(self) -> None:
        """A connection that goes while it is slowed down leaves no timer."""
        stream, _ = self.login(self.host)
        stream.dataReceived(b"<message/>" * 3000)
        self.lose(stream)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closedWhileSlow(self) -> None:
        """A stream that is closed while it is slowed down is read no more."""
        stream, transport = self.login(self.host)
        stream.dataReceived(b"<message/>" * 3000)
        stream.close(None)
        self.clock.advance(100)
        self.assertTrue(transport.paused)
        self.lose(stream)

    def test_twoReasons(self) -> None:
        """
        Who is slowed down while the accounts are being asked is read when that is over, whatever they say meanwhile.
        """
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


class SpellTests(Case):
    """One client does not keep the reactor to itself."""

    def setUp(self) -> None:
        """A client whose every stanza takes long."""
        super().setUp()
        self.stream, self.transport = self.login()
        self.session = self.binder.sessions[-1]
        received = self.session.stanzaReceived
        self.order = ""

        def slowly(element: Element) -> None:
            received(element)
            self.note(element.attributes["id"])
            self.clock.callLater(0, self.note, "|")
            self.clock.rightNow += TIME_SLICE * 1.5

        self.session.stanzaReceived = slowly

    def note(self, what: str) -> None:
        """Note the id of what has been handled, or the end of the turn."""
        self.order += what

    def test_others(self) -> None:
        """
        When it has been listened to for a while, it is the others' turn; nothing more of it is read meanwhile, and
        what it has sent is neither lost nor overtaken.
        """
        self.stream.dataReceived(b"<iq id='1'/><iq id='2'/><iq id='3'/><iq i")
        self.assertEqual((self.order, self.transport.paused), ("1", True))
        self.stream.dataReceived(b"d='4'/>")
        self.assertEqual(self.order, "1")
        self.clock.advance(0)
        self.assertEqual((self.order, self.transport.paused), ("1|2|3|4|", False))
        self.stream.dataReceived(b"<iq id='5'/>")
        self.assertEqual(self.order, "1|2|3|4|5")

    def test_end(self) -> None:
        """An end that was put off like this comes."""
        self.stream.dataReceived(b"<iq id='1'/>" + END)
        self.assertEqual(self.session.lost, [])
        self.clock.advance(0)
        self.assertEqual(self.session.lost, [True])
        self.assertEqual(self.transport.log, [END, "lose"])

    def test_cutOff(self) -> None:
        """If the connection has ended meanwhile, nothing more of it is handled."""
        self.stream.dataReceived(b"<iq id='1'/><iq id='2'/>")
        self.lose(self.stream)
        self.clock.advance(0)
        self.assertEqual(self.order, "1|")
        self.assertEqual(self.clock.getDelayedCalls(), [])


class LimitTests(Case):
    """Connections."""

    def test_perAddress(self) -> None:
        """One too many from one address hears why and goes; when another has gone, there is room."""
        self.configure(connectionsPerAddress=2)
        first, _ = self.connect("10.0.0.1")
        self.connect("10.0.0.1")
        refused, transport = self.connect("10.0.0.1")
        self.assertIsInstance(refused, RejectedStream)
        self.assertEnded(transport, "policy-violation")
        refused.dataReceived(LOGIN)
        self.lose(refused)
        self.assertIsInstance(self.connect("10.0.0.1")[0], RejectedStream)
        self.lose(first)
        self.assertIsInstance(self.connect("10.0.0.1")[0], C2SStream)

    def test_exempt(self) -> None:
        """Which addresses are exempt is configured."""
        self.configure(connectionsPerAddress=1, exempt=Networks(["10.0.0.0/8"]))
        for _ in range(3):
            self.assertIsInstance(self.connect("10.0.0.1")[0], C2SStream)
        self.assertIsInstance(self.connect("127.0.0.1")[0], C2SStream)
        self.assertIsInstance(self.connect("127.0.0.1")[0], RejectedStream)

    def test_total(self) -> None:
        """One too many in all is resource-constraint."""
        self.configure(connections=1)
        self.connect()
        _, transport = self.connect()
        self.assertEnded(transport, "resource-constraint")

    def test_direct(self) -> None:
        """Where TLS would have to begin first, nothing is said."""
        self.configure(connections=1)
        self.connect(direct=True)
        _, transport = self.connect(direct=True)
        self.assertEqual(transport.log, ["abort"])


class GuessingTests(Case):
    """L{LoginThrottle} on streams."""

    def guess(self, count: int) -> None:
        """Guess so often, on connections of two tries each."""
        for _ in range(count // 2):
            stream, _ = self.connect("192.0.2.1")
            stream.dataReceived(HEADER + auth(password="x") * 2)

    def ask(self, host: str) -> tuple[C2SStream, Transport]:
        """Log in by PLAIN and by SCRAM, of which the last message is answered when the password may be checked."""
        stream, transport = self.connect(host)
        client = ScramClient("sha1", "romeo", PASSWORD)
        first = b64encode(client.first())
        stream.dataReceived(HEADER + f"<auth xmlns='{ns.SASL}' mechanism='SCRAM-SHA-1'>".encode() + first + b"</auth>")
        text = transport.take().partition(b"<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>")[2].partition(b"<")[0]
        stream.dataReceived(sasl("response", b64encode(client.final(b64decode(text))).decode()) + HEADER + BIND)
        return stream, transport

    def test_held(self) -> None:
        """
        After wrong passwords the next one is not even looked at before its time, and the stream waits. Others do not.
        """
        self.guess(10)
        asked: list[str] = []
        check = self.accounts.checkPassword
        self.patch(self.accounts, "checkPassword", lambda user, password: asked.append(user) or check(user, password))
        plain, transport = self.connect("192.0.2.1")
        plain.dataReceived(LOGIN)
        scram, answer = self.ask("192.0.2.1")
        self.assertEqual((asked, answer.value), ([], b""))
        self.assertNotIn(b"<success", transport.value)
        other, _ = self.ask("198.51.100.1")
        self.assertIsNotNone(other.session)
        self.clock.pump([1] * 12)
        self.assertEqual(asked[0], "romeo")
        self.assertIsNotNone(plain.session)
        self.assertIsNotNone(scram.session)

    def test_lost(self) -> None:
        """Nothing is left of a client that hangs up while it waits."""
        self.guess(12)
        for stream in list(self.factory.streams):
            self.lose(stream)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_configured(self) -> None:
        """Networks that are exempt do not wait, and nobody waits longer for an account than there is time to log in."""
        self.configure(exempt=Networks(["192.0.2.0/24"]), loginTimeout=4)
        self.guess(40)
        stream, _ = self.connect("192.0.2.1")
        stream.dataReceived(LOGIN)
        self.assertIsNotNone(stream.session)
        self.assertEqual(self.factory.throttle.accountDelay, 1)


class TLSTests(Case):
    """STARTTLS and direct TLS, as far as they need no bytes. Those are in L{RealTLSTests}."""

    tlsMode = REQUIRED

    def test_starttls(self) -> None:
        """TLS begins behind proceed, and the stream begins anew."""
        stream, transport = self.send(HEADER + STARTTLS)
        proceed = b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
        self.assertEqual(transport.log[1:], [proceed, ("startTLS", self.tls)])
        transport.take()
        stream.dataReceived(LOGIN)
        self.assertIsNotNone(stream.session)
        self.assertIn(b"<mechanism>SCRAM-SHA-1-PLUS</mechanism>", transport.value)

    def test_injection(self) -> None:
        """What came in the clear behind starttls is not believed after it: not in the same piece, not in pieces."""
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
        """With direct TLS it begins before anything is written or read."""
        stream, transport = self.connect(direct=True)
        self.assertEqual(transport.log, [("startTLS", self.tls)])
        stream.dataReceived(LOGIN)
        self.assertIsNotNone(stream.session)
        self.assertIn(stream, self.factory.streams)

    def test_fault(self) -> None:
        """TLS that cannot be started ends the connection, and is logged."""

        def startTLS(context: Any) -> None:
            raise ZeroDivisionError

        self.patch(Transport, "startTLS", lambda self, context: startTLS(context))
        _, transport = self.connect(direct=True)
        self.assertTrue(transport.ended)
        stream, transport = self.send(HEADER + STARTTLS)
        self.assertTrue(transport.ended)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_noCertificate(self) -> None:
        """Where there is no certificate any more, nobody is let in under TLS."""
        self.tls = None
        self.configure(OFF)
        _, transport = self.connect(direct=True)
        self.assertEqual(transport.log, ["abort"])

    def test_reconfigured(self) -> None:
        """A stream keeps the offer with which it began."""
        stream, transport = self.send(HEADER)
        self.configure(OFF)
        stream.dataReceived(STARTTLS)
        self.assertIn(("startTLS", self.tls), transport.log)
        other, transport = self.send(HEADER)
        self.assertNotIn(b"<starttls ", transport.value)


    def test_bindingOff(self) -> None:
        """Channel binding can be switched off: then nothing of it is offered, and a client may say so."""
        self.factory.features.channelBinding = False
        stream, transport = self.connect(direct=True)
        first = b64encode(b"y,,n=romeo,r=x").decode()
        stream.dataReceived(HEADER + f"<auth xmlns='{ns.SASL}' mechanism='SCRAM-SHA-1'>{first}</auth>".encode())
        self.assertNotIn(b"-PLUS", transport.value)
        self.assertNotIn(b"<sasl-channel-binding", transport.value)
        self.assertIn(b"<challenge ", transport.value)


class RealTLSTests(SocketTestCase):
    """STARTTLS and direct TLS with real sockets and certificates."""

    def setUp(self) -> None:
        """Make the server."""
        super().setUp()
        self.tls = ServerTLS(*goodPair(self.mktemp()))
        self.binder = Binder()
        log = SASL(Accounts(), DOMAIN, False, b"s")
        self.factory = C2SFactory(self.flusher, StreamFeatures(DOMAIN, log, self.binder, self.tls, REQUIRED))

    def client(self, direct: bool = False) -> tuple[Any, Peer]:
        """A stream and its client."""
        stream: Any = self.factory.build(None, direct)
        _, _, _, peer = self.connect(protocol=stream)
        return stream, peer

    def expect(self, peer: Peer, last: bytes) -> bytes:
        """Wait until the client has got something, and give everything it has got since the last time."""
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
        """What is sent in the clear behind starttls is forgotten; then all goes through TLS, and nothing past it."""
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
        """Direct TLS; the client is one that does not read which types of channel binding there are (RFC 5802 §6.1)."""
        stream, peer = self.client(direct=True)
        peer.startTLS()
        self.login(stream, peer, "tls-unique")
        self.assertNotIn(b"stream", bytes(peer.raw))

    def test_noHandshake(self) -> None:
        """Whoever speaks in the clear where TLS has to be is cut off without a traceback."""
        stream, peer = self.client(direct=True)
        peer.send(HEADER)
        self.receive(peer, lambda: peer.end)
        self.until(lambda: stream not in self.factory.streams)
        self.assertEqual(self.flushLoggedErrors(), [])


class ClosingTests(Case):
    """L{C2SFactory.closeAll}"""

    def test_closeAll(self) -> None:
        """Everybody hears it, and when all are gone it is done."""
        made = [self.connect() for _ in range(3)]
        made[1][0].dataReceived(LOGIN)
        done = self.factory.closeAll(StreamError("system-shutdown"))
        for (stream, transport), headers in zip(made, (1, 2, 1), strict=True):
            self.assertEnded(transport, "system-shutdown", headers)
            self.assertNoResult(done)
            self.lose(stream)
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual(self.binder.sessions[0].lost, [False])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobody(self) -> None:
        """Where there is nobody, it is done at once; who comes later is refused."""
        self.assertIsNone(self.successResultOf(self.factory.closeAll(StreamError("system-shutdown"))))
        _, transport = self.connect()
        self.assertEnded(transport, "system-shutdown")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cutOff(self) -> None:
        """Whoever does not go is cut off, and not waited for any longer."""
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
        """Closing twice is closing once."""
        stream, _ = self.connect()
        both = [self.factory.closeAll(StreamError("system-shutdown")) for _ in range(2)]
        self.lose(stream)
        for done in both:
            self.assertIsNone(self.successResultOf(done))
        self.assertEqual(self.clock.getDelayedCalls(), [])
