# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.streammanagement}: what a client sends and gets on its stream (XEP-0198)."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muccore.net.websocket import TEXT
from muccore.session.streammanagement import ACK_TIMEOUT, ManagementSettings
from muccore.storage.insecure import InsecureAuth
from muccore.stream.factory import C2SFactory
from muccore.stream.features import StreamFeatures
from muccore.stream.sasl.mechanisms import SASL
from muccore.stream.starttls import OFF
from muccore.stream.websocket import WebSocketFactory
from muccore.testing.defaults import defaultStreams
from muccore.xmpp.errors import StreamError
from tests.net.websocketframes import clientFrame, serverFrames
from tests.routing.helpers import Server
from tests.stream.doubles import BIND, END, HEADER, Address, Transport, auth

SM = "xmlns='urn:xmpp:sm:3'"
ENABLE = f"<enable {SM} resume='true'/>"
MESSAGE = b"<message to='romeo@localhost/r' id='m'/>"
OPEN = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>"
LOG_IN = HEADER.replace(b"example.org", b"localhost")


def failed(condition: str, h: str = "") -> str:
    """A failure."""
    return f"<failed {SM}{h}><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"


class Case(SynchronousTestCase):
    """Streams of accounts at C{localhost}."""

    def setUp(self) -> None:
        """Create the server."""
        self.server = Server()
        self.clock = self.server.clock
        self.clock.advance(1_000_000_000)
        self.server.sessions.resumptions.settings = ManagementSettings(300, 100, 100_000)
        self.features = features = StreamFeatures(
            "localhost", SASL(InsecureAuth(), "localhost", True, b"s"), self.server.sessions, tlsMode=OFF, loginTries=3
        )
        self.factory = C2SFactory(self.clock, features, defaultStreams())

    def connect(self, *data: bytes) -> Any:
        """Connect a client that sends data; drop what it gets."""
        stream: Any = self.factory.buildProtocol(Address("127.0.0.1"))
        stream.makeConnection(Transport())
        self.ask(stream, b"".join(data))
        return stream

    def authenticate(self) -> Any:
        """Connect a client that is authenticated."""
        return self.connect(LOG_IN, auth(), LOG_IN)

    def bind(self) -> Any:
        """Connect a client with the resource C{r}."""
        return self.connect(LOG_IN, auth(), LOG_IN, BIND)

    def enable(self, stream: Any, request: str = ENABLE) -> str:
        """Enable stream management; return the SM-ID."""
        answer = re.fullmatch(f"<enabled {SM} id='(.+)' resume='true' max='300'/>", self.ask(stream, request))
        assert answer is not None
        return answer[1]

    @staticmethod
    def ask(stream: Any, data: bytes | str) -> str:
        """Send something; return what comes back."""
        stream.dataReceived(data.encode() if isinstance(data, str) else data)
        return Case.received(stream)

    @staticmethod
    def received(stream: Any) -> str:
        """What a client has received since the last call."""
        data: bytes = stream.transport.take()
        return data.decode()

    @staticmethod
    def lose(stream: Any) -> None:
        """Lose a connection."""
        stream.connectionLost(Failure(ConnectionLost()))


class EnableTests(Case):
    """C{<enable/>} and acknowledgements."""

    def test_offered(self) -> None:
        """It is offered when a resource can be bound, not before the log-in."""
        stream = self.connect()
        self.assertNotIn(f"<sm {SM}/>", self.ask(stream, LOG_IN))
        self.assertIn(f"<sm {SM}/>", self.ask(stream, auth() + LOG_IN))

    def test_notResumable(self) -> None:
        """A client that does not want to resume gets no id, and one that cannot does not either."""
        for timeout, attributes in ((300, ""), (300, " resume='0'"), (300, " resume='false'"), (0, " resume='1'")):
            self.server.sessions.resumptions.settings = ManagementSettings(timeout, 100, 1000)
            self.assertEqual(self.ask(self.bind(), f"<enable {SM}{attributes}/>"), f"<enabled {SM}/>")

    def test_maximum(self) -> None:
        """The server tells for how long it holds a session: C{max}, up to its own limit."""
        for maximum, expected in (("20", "20"), ("4000", "300"), (" +020 ", "20")):
            answer = self.ask(self.bind(), f"<enable {SM} resume='true' max='{maximum}'/>")
            self.assertIn(f" max='{expected}'/>", answer)

    def test_invalid(self) -> None:
        """Invalid attributes are bad-request, after which the client may try again."""
        stream = self.bind()
        invalid = ("max='-1'", "max='0'", "max='x'", "max=''", "max='4294967296'", "resume='yes'", "resume=''")
        for attributes in invalid:
            self.assertEqual(self.ask(stream, f"<enable {SM} {attributes}/>"), failed("bad-request"))
        self.enable(stream)

    def test_twice(self) -> None:
        """A second request is unexpected-request; the first one stays in force."""
        stream = self.bind()
        self.enable(stream)
        self.assertEqual(self.ask(stream, ENABLE), failed("unexpected-request"))
        self.assertEqual(self.ask(stream, f"<r {SM}/>"), f"<a {SM} h='0'/>")

    def test_tooEarly(self) -> None:
        """Before a resource is bound, everything but resumption is unexpected-request, and counted as a failure."""
        for data in (f"<enable {SM}/>", f"<r {SM}/>", f"<a {SM} h='0'/>"):
            for begin in (LOG_IN, LOG_IN + auth() + LOG_IN):
                stream = self.connect(begin)
                self.assertEqual(self.ask(stream, data * 2), failed("unexpected-request") * 2)
                self.assertIn("<policy-violation ", self.ask(stream, data))
        early = self.ask(self.connect(LOG_IN), f"<resume {SM} h='0' previd='x'/>")
        self.assertEqual(early, failed("unexpected-request"))

    def test_bindAfterFailure(self) -> None:
        """After that a resource can be bound."""
        stream = self.authenticate()
        self.ask(stream, ENABLE)
        self.assertIn("<jid>romeo@localhost/r</jid>", self.ask(stream, BIND))

    def test_counted(self) -> None:
        """Each stanza of the client is counted, those that are answered with an error too, nonzas are not."""
        stream = self.bind()
        self.ask(stream, MESSAGE)
        self.enable(stream)
        answer = self.ask(stream, MESSAGE + f"<r {SM}/>".encode() + b"<iq type='get'/>" + BIND + f"<r {SM}/>".encode())
        self.assertEqual(re.findall(f"<a {SM} h='(.)'/>", answer), ["1", "3"])

    def test_wrap(self) -> None:
        """The counter of the client's stanzas is reset to zero after 2^32-1."""
        stream = self.bind()
        self.enable(stream)
        stream.session.management.handled = 2**32 - 1
        self.assertEqual(self.ask(stream, f"<r {SM}/>"), f"<a {SM} h='4294967295'/>")
        self.ask(stream, MESSAGE)
        self.assertEqual(self.ask(stream, f"<r {SM}/>"), f"<a {SM} h='0'/>")

    def test_acknowledged(self) -> None:
        """Answers of the server are kept until they are acknowledged, whoever gives them."""
        stream = self.bind()
        self.enable(stream)
        session = "<iq type='set' id='1'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>"
        self.ask(stream, session.encode() + BIND + b"<iq type='get'/>" + MESSAGE)
        self.assertEqual(len(stream.session.management), 4)
        self.assertEqual(self.ask(stream, f"<a {SM} h='4'/>"), "")
        self.assertEqual(len(stream.session.management), 0)

    def test_badAnswers(self) -> None:
        """An answer without a valid counter is bad-request; one that is too high ends stream and session."""
        stream = self.bind()
        self.assertEqual(self.ask(stream, f"<a {SM} h='0'/>"), failed("unexpected-request"))
        self.assertEqual(self.ask(stream, f"<r {SM}/>"), failed("unexpected-request"))
        self.enable(stream)
        for attributes in ("", "h=''", "h='-1'", "h='x'", "h='4294967296'"):
            self.assertEqual(self.ask(stream, f"<a {SM} {attributes}/>"), failed("bad-request"))
        answer = self.ask(stream, f"<a {SM} h='1'/>")
        self.assertIn(f"<handled-count-too-high {SM} h='1' send-count='0'/></stream:error></stream:stream>", answer)
        self.assertEqual(len(self.server.sessions), 0)


class ResumeTests(Case):
    """C{<resume/>}"""

    def resume(self, stream: Any, id: str, h: str = "0") -> str:
        """Ask to resume; return what comes back."""
        return self.ask(stream, f"<resume {SM} h='{h}' previd='{id}'/>")

    def test_resumed(self) -> None:
        """After the answer comes what is missing, with the same SM-ID and counters; then the session goes on."""
        first = self.bind()
        id = self.enable(first)
        self.ask(first, MESSAGE * 2)
        self.lose(first)
        stream = self.authenticate()
        answer = self.resume(stream, id, "1")
        begin = f"<resumed {SM} previd='{id}' h='2'/><message to='romeo@localhost/r' id='m' from='romeo@localhost/r'>"
        self.assertTrue(answer.startswith(begin + "<delay "), answer)
        self.assertTrue(answer.endswith(f"</message><r {SM}/>"), answer)
        self.assertEqual(self.ask(stream, f"<a {SM} h='2'/>" + f"<r {SM}/>"), f"<a {SM} h='2'/>")
        self.ask(stream, MESSAGE)
        self.assertEqual(self.ask(stream, f"<r {SM}/>"), f"<a {SM} h='3'/>")
        self.lose(stream)
        self.assertIn("h='3'/><message", self.resume(self.authenticate(), id, "2"))

    def test_stillThere(self) -> None:
        """The old stream gets conflict, and what it still sends is ignored."""
        first = self.bind()
        id = self.enable(first)
        second = self.authenticate()
        self.assertEqual(self.resume(second, id), f"<resumed {SM} previd='{id}' h='0'/>")
        self.assertIn("<conflict ", self.received(first))
        self.ask(first, MESSAGE)
        self.lose(first)
        self.assertEqual(self.ask(second, f"<r {SM}/>"), f"<a {SM} h='0'/>")
        self.assertEqual(len(self.server.sessions), 1)

    def test_failed(self) -> None:
        """A session that is unknown or expired is item-not-found, with the counter if known; the client can bind."""
        first = self.bind()
        id = self.enable(first)
        self.ask(first, MESSAGE)
        self.lose(first)
        self.clock.advance(301)
        for given, h in (("other", ""), (id, " h='1'")):
            stream = self.authenticate()
            self.assertEqual(self.resume(stream, given), failed("item-not-found", h))
            self.assertIn("<jid>romeo@localhost/r</jid>", self.ask(stream, BIND))

    def test_invalid(self) -> None:
        """Missing or invalid attributes are bad-request; failures are counted."""
        for attributes in ("previd='x'", "h='0'", "h='x' previd='x'"):
            stream = self.authenticate()
            self.assertEqual(self.ask(stream, f"<resume {SM} {attributes}/>" * 2), failed("bad-request") * 2)
            self.assertIn("<policy-violation ", self.resume(stream, "x"))

    def test_tooLate(self) -> None:
        """A client that has a session cannot resume another one."""
        first = self.bind()
        id = self.enable(first)
        self.assertEqual(self.resume(first, id), failed("unexpected-request"))

    def test_tooHigh(self) -> None:
        """A counter that is too high ends the new stream; the session still waits."""
        first = self.bind()
        id = self.enable(first)
        self.lose(first)
        self.assertIn("<handled-count-too-high ", self.resume(self.authenticate(), id, "1"))
        self.assertIn("<resumed ", self.resume(self.authenticate(), id, "0"))

    def test_language(self) -> None:
        """The language is that of the new stream."""
        first = self.bind()
        id = self.enable(first)
        german = LOG_IN.replace(b"xml:lang='en'", b"xml:lang='de'")
        stream = self.connect(LOG_IN, auth(), german)
        self.resume(stream, id)
        self.assertIn("xml:lang='de'", self.ask(stream, MESSAGE))


class FramingTests(Case):
    """Sessions that change between TCP and WebSocket."""

    def web(self, *messages: str | bytes) -> Any:
        """Connect a client over WebSocket that sends messages."""
        stream: Any = WebSocketFactory(self.factory, self.features, False).build("127.0.0.1", False)
        self.assertIsNone(self.factory.admit("127.0.0.1"))
        stream.makeConnection(Transport())
        self.say(stream, OPEN, auth(), OPEN, *messages)
        return stream

    @staticmethod
    def say(stream: Any, *messages: str | bytes) -> list[str]:
        """Send messages over WebSocket; return those that come back."""
        for message in messages:
            stream.dataReceived(clientFrame(TEXT, message.encode() if isinstance(message, str) else message))
        return [payload.decode() for opcode, payload in serverFrames(stream.transport.take()) if opcode == TEXT]

    def test_toWebSocket(self) -> None:
        """A session that was torn over TCP goes on over WebSocket, with a declared namespace in each message."""
        first = self.bind()
        id = self.enable(first)
        self.ask(first, MESSAGE)
        self.lose(first)
        stream = self.web()
        resumed, message, request = self.say(stream, f"<resume {SM} h='0' previd='{id}'/>")
        self.assertEqual((resumed, request), (f"<resumed {SM} previd='{id}' h='1'/>", f"<r {SM}/>"))
        self.assertTrue(message.startswith("<message xmlns='jabber:client' to='romeo@localhost/r' "), message)
        self.assertEqual(self.say(stream, f"<a {SM} h='1'/>", f"<r {SM}/>"), [f"<a {SM} h='1'/>"])

    def test_toTCP(self) -> None:
        """So does the other way round, and from WebSocket to WebSocket."""
        bind = BIND.replace(b"<iq ", b"<iq xmlns='jabber:client' ")
        first = self.web(bind)
        [enabled] = self.say(first, ENABLE)
        id = enabled.partition(" id='")[2].partition("'")[0]
        self.say(first, MESSAGE.replace(b"<message ", b"<message xmlns='jabber:client' "))
        second = self.web()
        self.assertEqual(len(self.say(second, f"<resume {SM} h='0' previd='{id}'/>")), 3)
        self.assertIn("<conflict ", "".join(self.say(first)))
        self.lose(second)
        answer = self.ask(self.authenticate(), f"<resume {SM} h='1' previd='{id}'/>")
        self.assertEqual(answer, f"<resumed {SM} previd='{id}' h='1'/>")


class EndTests(Case):
    """Which ends of a stream leave a session that can be resumed."""

    def assertHeld(self, stream: Any, held: bool) -> None:
        """Check it."""
        self.lose(stream)
        self.assertEqual(len(self.server.sessions.resumptions), held)
        self.assertEqual(len(self.server.sessions), held)
        for session in self.server.sessions:
            session.end()

    def test_ends(self) -> None:
        """One that is torn, or ended by the client's error, does; one that is closed, or ended by the server's, not."""
        error = "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
        for data, held in (("", True), (error, True), (END, False), ("<x/>", False), ("<<", False)):
            stream = self.bind()
            self.enable(stream)
            self.ask(stream, data)
            self.assertHeld(stream, held)
        for condition in ("system-shutdown", "conflict"):
            stream = self.bind()
            self.enable(stream)
            stream.close(StreamError(condition))
            self.assertHeld(stream, False)

    def test_withoutManagement(self) -> None:
        """Without stream management none does."""
        self.assertHeld(self.bind(), False)

    def test_silent(self) -> None:
        """A client that does not acknowledge is disconnected, and can resume."""
        stream = self.bind()
        self.enable(stream)
        self.assertTrue(self.ask(stream, MESSAGE).endswith(f"<r {SM}/>"))
        self.clock.pump([1] * 16)
        self.assertEqual(self.received(stream), "")
        self.clock.pump([1] * (ACK_TIMEOUT + 16))
        self.assertIn("<connection-timeout ", self.received(stream))
        self.assertHeld(stream, True)

    def test_alive(self) -> None:
        """One that acknowledges, or sends anything else, is not."""
        stream = self.bind()
        self.enable(stream)
        for answer in (f"<a {SM} h='1'/>", " "):
            self.ask(stream, MESSAGE)
            for _ in range(10):
                self.clock.pump([1] * 16)
                self.ask(stream, answer)
            self.assertIsNotNone(stream.session)
