# -*- test-case-name: tests.stream.test_websocket -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.stream.websocket} and L{muccore.stream.websocketframing}."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from twisted.internet.interfaces import ISSLTransport
from twisted.logger import LogLevel
from zope.interface import directlyProvides
from zope.interface.verify import verifyObject

from muccore.interfaces import IStream
from muccore.log import eventlog
from muccore.log.eventlog import RateLimit
from muccore.log.logger import setThreshold
from muccore.net.websocket import (
    CLOSE,
    CONTINUATION,
    GOING_AWAY,
    INVALID_DATA,
    NORMAL,
    PING,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    TOO_BIG,
    UNSUPPORTED_DATA,
    closeFrame,
)
from muccore.stream.c2s import PARSER_IDLE
from muccore.stream.features import StreamFeatures
from muccore.stream.flowcontrol import PIPELINE_LIMIT, TIME_SLICE
from muccore.stream.sasl.mechanisms import SASL
from muccore.stream.starttls import OFF
from muccore.stream.websocket import CLOSE_TICKS, WebSocketFactory, WebSocketStream
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import STREAM_CONDITIONS, StreamError
from muccore.xmpp.rendering import Rendered, withAddress
from tests.configuration import Logged
from tests.net.websocketframes import clientFrame, serverFrames
from tests.stream.doubles import DOMAIN, PASSWORD, Address, Transport, auth
from tests.stream.test_c2s import Case

OPEN: Final = f"<open xmlns='{ns.FRAMING}' to='example.org' version='1.0' xml:lang='de'/>".encode()
END: Final = f"<close xmlns='{ns.FRAMING}'/>".encode()
BIND: Final = (
    b"<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
    b"<resource>r</resource></bind></iq>"
)
PRESENCE: Final = b"<presence xmlns='jabber:client'/>"
MESSAGE: Final = b"<message xmlns='jabber:client' to='a@b'><body>hi</body></message>"
LOGIN: Final = (OPEN, auth(), OPEN, BIND)


def data(*messages: bytes) -> bytes:
    """Messages of a client, each in its frame."""
    return b"".join(clientFrame(TEXT, message) for message in messages)


def names(sent: bytes) -> list[str]:
    """The names of the elements in a server's messages, each parsed as a document; C{Close 1000} for a Close frame."""
    found = []
    for opcode, payload in serverFrames(sent):
        if opcode == CLOSE:
            found.append(f"Close {int.from_bytes(payload, 'big')}")
        elif opcode in (PING, PONG):
            found.append("Ping" if opcode == PING else "Pong")
        else:
            element = etree.fromstring(payload)
            name = etree.QName(element)
            inner = f" {etree.QName(element[0]).localname}" if name.localname == "error" else ""
            found.append(name.localname + inner)
    return found


class WebSocketCase(Case):
    """Clients over WebSocket, without sockets."""

    def setUp(self) -> None:
        """Create the server."""
        super().setUp()
        self.web = WebSocketFactory(self.factory, self.features(OFF), False)

    def connect(
        self, host: str = "127.0.0.1", direct: bool = False, secure: bool | None = None, peer: str | None = None
    ) -> tuple[Any, Transport]:
        """
        Connect a client.

        @param direct: whether its connection is under TLS.
        @param secure: whether TLS protects it, if that is not the same.
        @param peer: the address of its proxy, if any.
        """
        stream = self.web.build(host, direct if secure is None else secure)
        assert stream is not None and self.factory.admit(host) is None
        transport = Transport()
        if direct:
            directlyProvides(transport, ISSLTransport)
            transport.getPeer = lambda: Address(peer or host)  # type: ignore[attr-defined]
        else:
            self.patch(transport, "getHandle", lambda: "a socket")
        stream.makeConnection(transport)  # type: ignore[arg-type]
        return stream, transport

    def say(self, *messages: bytes, **client: Any) -> tuple[Any, Transport]:
        """Connect a client that sends messages."""
        return self.send(data(*messages), **client)

    def login(self, host: str = "127.0.0.1") -> tuple[WebSocketStream, Transport]:
        """Connect a client, and log in."""
        stream, transport = self.say(*LOGIN, host=host)
        self.assertIsNotNone(stream.session)
        transport.take()
        return stream, transport


class FramingTests(WebSocketCase):
    """RFC 7395 §3.3 to §3.5."""

    def test_slots(self) -> None:
        """A stream provides IStream, and has no attribute dictionary."""
        stream, _ = self.login()
        verifyObject(IStream, stream)
        self.assertEqual(vars(stream), {})

    def test_login(self) -> None:
        """Streams are opened and restarted by C{<open/>}; every message is a document with its namespaces."""
        sent = data(*LOGIN, MESSAGE, PRESENCE, END)
        for size in (len(sent), 1, 50):
            _, transport = self.send(sent, size)
            expected = ["open", "features", "success", "open", "features", "iq", "close", "Close 1000"]
            self.assertEqual(names(transport.value), expected)
            documents = [etree.fromstring(payload) for _, payload in serverFrames(transport.value)[:-1]]
            self.assertEqual(
                [etree.QName(each).namespace for each in documents],
                [ns.FRAMING, ns.STREAM, ns.SASL, ns.FRAMING, ns.STREAM, ns.CLIENT, ns.FRAMING],
            )
            attributes = dict(documents[0].attrib)
            self.assertEqual(len(attributes.pop("id")), 24)
            self.assertEqual(attributes, {"from": "example.org", "version": "1.0", f"{{{ns.XML}}}lang": "en"})
            session = self.binder.sessions[-1]
            self.assertEqual([(each.uri, each.name) for each in session.stanzas],
                             [(ns.CLIENT, "message"), (ns.CLIENT, "presence")])  # fmt: skip
            self.assertEqual((session.language, session.lost), ("de", [True]))

    def test_slowAccounts(self) -> None:
        """While credentials are checked, input is buffered up to a limit, and handled in order afterwards."""
        self.accounts.waiting = []
        for size in (1000, 1):
            _, transport = self.send(data(*LOGIN, PRESENCE), size)
            self.assertEqual(names(transport.value), ["open", "features"])
            self.accounts.release()
            self.assertEqual(names(transport.value)[2:], ["success", "open", "features", "iq"])
            self.assertEqual([stanza.name for stanza in self.binder.sessions[-1].stanzas], ["presence"])
        stream, transport = self.say(OPEN, auth())
        stream.dataReceived(bytes(PIPELINE_LIMIT + 1))
        self.assertEqual(names(transport.value)[2:], ["error policy-violation", "close", "Close 1000"])

    def test_invalidMessages(self) -> None:
        """What is not one element, or not expected, ends the stream with an error, which C{<open/>} precedes."""
        stanza, framing = "jabber:client", ns.FRAMING
        for message, condition in (
            (b"", "bad-format"),
            (b" " + PRESENCE, "bad-format"),
            (b" ", "bad-format"),
            (b"text", "bad-format"),
            (PRESENCE + b"text", "bad-format"),
            (b"\xef\xbb\xbf" + PRESENCE, "bad-format"),
            (PRESENCE + PRESENCE, "bad-format"),
            (PRESENCE[:-2] + b">", "not-well-formed"),
            (f"<message xmlns='{stanza}'><body>".encode(), "not-well-formed"),
            (b"</stream:stream>", "not-well-formed"),
            (b"</presence>", "not-well-formed"),
            (b"<a:presence/>", "bad-namespace-prefix"),
            (b"<!-- comment -->" + PRESENCE, "restricted-xml"),
            (b"<!DOCTYPE a><a/>", "not-well-formed"),
            (b"<?php ?>" + PRESENCE, "restricted-xml"),
            (b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams' to='example.org'>", "not-well-formed"),
            (f"<open xmlns='{framing}'>x</open>".encode(), "bad-format"),
            (f"<x xmlns='{framing}'/>".encode(), "bad-format"),
        ):
            for before in ((), LOGIN):
                with self.subTest(message=message, bound=bool(before)):
                    _, transport = self.say(*before, message, PRESENCE)
                    self.assertEqual(names(transport.value)[-3:], [f"error {condition}", "close", "Close 1000"])
                    self.assertEqual(names(transport.value)[0], "open")
        for message in (PRESENCE, auth(), b"<presence/>"):
            _, transport = self.say(message)
            self.assertEqual(names(transport.value), ["open", "error invalid-namespace", "close", "Close 1000"])

    def test_headers(self) -> None:
        """C{<open/>} is checked like the header of a stream over TCP."""
        for attributes, condition in (
            ("to='example.net' version='1.0'", "host-unknown"),
            ("version='1.0'", "host-unknown"),
            ("to='example.org'", "unsupported-version"),
            ("to='example.org' version='1.0' from='@'", "invalid-from"),
        ):
            _, transport = self.say(f"<open xmlns='{ns.FRAMING}' {attributes}/>".encode())
            self.assertEqual(names(transport.value), ["open", f"error {condition}", "close", "Close 1000"])

    def test_tolerated(self) -> None:
        """White space at the end and XML declarations are allowed (§3.3.3); prefixes are declared in any message."""
        stream, _ = self.login()
        for message in (
            PRESENCE + b"\n ",
            b"<?xml version='1.0' encoding='UTF-8'?>\n" + PRESENCE,
            b"<c:presence xmlns:c='jabber:client'><c:show>dnd</c:show></c:presence>",
        ):
            stream.dataReceived(data(message))
        self.assertEqual([(stanza.uri, stanza.name) for stanza in self.binder.sessions[0].stanzas],
                         [(ns.CLIENT, "presence")] * 3)  # fmt: skip

    def test_noNamespace(self) -> None:
        """An element whose message declares no namespace is in none: it is no stanza."""
        stream, _ = self.login()
        stream.dataReceived(data(b"<presence/>"))
        self.assertEqual([stanza.uri for stanza in self.binder.sessions[0].stanzas], [""])

    def test_limits(self) -> None:
        """Size, depth, attributes and elements of a stanza are limited as over TCP, before and after the log-in."""
        large = MESSAGE.replace(b"hi", b"x" * 20_000)
        stream, transport = self.login()
        stream.dataReceived(data(large))
        self.assertEqual(len(self.binder.sessions[0].stanzas), 1)
        _, transport = self.say(OPEN, large)
        self.assertEqual(names(transport.value)[2:], ["error policy-violation", f"Close {TOO_BIG}"])
        settings = self.factory.settings
        for message in (
            MESSAGE.replace(b"hi", b"x" * settings.stanzaSize),
            MESSAGE.replace(b"hi", b"<a>" * settings.depth + b"</a>" * settings.depth),
            MESSAGE.replace(b"hi", b"<a/>" * settings.elements),
            MESSAGE.replace(b"hi", b"<a " + b" ".join(b"a%d=''" % i for i in range(settings.attributes + 1)) + b"/>"),
        ):
            stream, transport = self.login()
            stream.dataReceived(data(message))
            self.assertIn("error policy-violation", names(transport.value))

    def test_send(self) -> None:
        """A stanza is one write of one frame, which declares its namespace; a large one is not copied."""
        small = Rendered(b"<message", b" from='x@y'/>")
        large = Rendered(b"<message", b"><body>" + b"x" * 100_000 + b"</body></message>")
        stream, transport = self.login()
        for stanza in (small, large):
            stream.send(stanza, b" to='a@b'")
        [first, second] = transport.log
        self.assertEqual(serverFrames(first), [(TEXT, b"<message xmlns='jabber:client' to='a@b' from='x@y'/>")])
        self.assertIs(transport.parts[-1][2], large.tail)
        self.assertEqual(len(serverFrames(second)), 1)
        stream.close(None)
        for stanza in (small, large):
            stream.send(stanza, b"")
        stream.sendNonza(b"<x/>")
        self.assertEqual(names(transport.value), ["message", "message", "close", "Close 1000"])

    @given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=200))
    def test_anyText(self, text: str) -> None:
        """Whatever a stanza contains, its frame is a document with the same content."""
        element = Element((ns.CLIENT, "message"))
        element["from"] = text
        element.add("body", text=text)
        element.add("x", "urn:x").add("y", ns.CLIENT, text)
        stream, transport = self.login()
        stream.send(*withAddress(element))
        [(_, payload)] = serverFrames(transport.value)
        document = etree.fromstring(payload)
        self.assertEqual(document.findtext(f"{{{ns.CLIENT}}}body"), text)
        self.assertEqual(document.findtext(f"{{urn:x}}x/{{{ns.CLIENT}}}y"), text)
        self.assertEqual(document.get("from"), text)


class ControlTests(WebSocketCase):
    """Control frames, and errors of WebSocket itself (RFC 6455)."""

    def test_ping(self) -> None:
        """A Ping is answered with its payload, also between fragments and before the log-in; a Pong is ignored."""
        stream, transport = self.connect()
        opened = clientFrame(TEXT, OPEN[:9], final=False), clientFrame(CONTINUATION, OPEN[9:])
        stream.dataReceived(clientFrame(PONG, b"") + clientFrame(PING, b"x").join(opened))
        self.assertEqual(serverFrames(transport.value)[0], (PONG, b"x"))
        self.assertEqual(names(transport.value), ["Pong", "open", "features"])

    def test_keepalive(self) -> None:
        """A silent client is sent Pings instead of white space (RFC 7395 §3.8), and finally disconnected."""
        self.configure(keepalive=30, idleTimeout=100)
        stream, transport = self.login()
        self.clock.pump([1] * (30 + PARSER_IDLE))
        self.assertEqual(names(transport.take()), ["Ping"])
        stream.dataReceived(clientFrame(PONG, b""))
        self.clock.pump([1] * 99)
        self.assertEqual(set(names(transport.take())), {"Ping"})
        self.clock.pump([1])
        self.assertEqual(names(transport.take()), ["error connection-timeout", "close", "Close 1000"])

    def test_violations(self) -> None:
        """An error of WebSocket has its code, in a Close frame that follows a stream error and ends the connection."""
        for sent, condition, code in (
            (clientFrame(TEXT, PRESENCE, reserved=0x40), "bad-format", PROTOCOL_ERROR),
            (clientFrame(2, PRESENCE), "bad-format", UNSUPPORTED_DATA),
            (clientFrame(TEXT, b"<a>\xff</a>"), "unsupported-encoding", INVALID_DATA),
            (clientFrame(TEXT, bytes(self.factory.settings.stanzaSize + 1)), "policy-violation", TOO_BIG),
        ):
            for login in ((), LOGIN):
                _, transport = self.send(data(*login) + sent + data(PRESENCE))
                self.assertEqual(names(transport.value)[-2:], [f"error {condition}", f"Close {code}"])
                self.assertEqual(transport.log[-1], "lose")

    def test_fuzz(self) -> None:
        """Whatever is sent, the answer is valid frames; the connection is dropped with its limits and timers."""
        pieces = (*map(data, LOGIN), data(END), data(b"<"), closeFrame(NORMAL), clientFrame(CLOSE, b""), b"\x81",
                  clientFrame(PING, b"p"), clientFrame(TEXT, b"<a", final=False), clientFrame(CONTINUATION, b"/>"),
                  data(PRESENCE))  # fmt: skip

        @settings(max_examples=150)
        @given(
            st.lists(st.one_of(st.sampled_from(pieces), st.binary(max_size=6)), max_size=12),
            st.lists(st.integers(0, 3000), max_size=6),
        )
        def check(pieces: list[bytes], cuts: list[int]) -> None:
            sent = b"".join(pieces)
            at = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
            stream, transport = self.connect()
            for begin, end in pairwise(at):
                stream.dataReceived(sent[begin:end])
            conditions = [name.partition(" ")[2] for name in names(transport.value) if name.startswith("error")]
            self.assertTrue(set(conditions) <= STREAM_CONDITIONS - {"internal-server-error"}, conditions)
            if conditions:
                self.assertTrue(names(transport.value)[-1].startswith("Close"))
            self.lose(stream)
            self.assertEqual((len(self.factory.streams), self.factory.limit.count), (0, 0))
            self.assertEqual(self.clock.getDelayedCalls(), [])

        check()


class ClosingTests(WebSocketCase):
    """RFC 7395 §3.6, RFC 6455 §7."""

    def test_closedByClient(self) -> None:
        """C{<close/>} is answered, and the session ends cleanly; then the client's Close frame is awaited."""
        for login in ((OPEN,), LOGIN):
            stream, transport = self.say(*login)
            transport.take()
            stream.dataReceived(data(END))
            self.assertEqual(names(transport.value), ["close", "Close 1000"])
            self.assertFalse(transport.ended)
            stream.dataReceived(data(PRESENCE) + clientFrame(CLOSE, b"\x03\xe8"))
            self.assertTrue(transport.ended)
        self.assertEqual(self.binder.sessions[-1].lost, [True])
        self.assertEqual(self.binder.sessions[-1].stanzas, [])

    def test_closeFrameOnly(self) -> None:
        """A Close frame without C{<close/>} is answered with its code, and ends the session like a lost connection."""
        for payload, code in ((b"", NORMAL), (b"\x0f\xa0", 4000), (b"\x03\xe9", GOING_AWAY), (b"\x03", PROTOCOL_ERROR),
                              (b"\x03\xed", PROTOCOL_ERROR), (b"\x03\xe8\xff", INVALID_DATA)):  # fmt: skip
            stream, transport = self.login()
            stream.dataReceived(clientFrame(CLOSE, payload) + data(PRESENCE))
            self.assertEqual(names(transport.value), [f"Close {code}"])
            self.assertTrue(transport.ended)
            self.assertEqual(self.binder.sessions[-1].lost, [False])
            self.assertEqual(self.binder.sessions[-1].stanzas, [])

    def test_closedByServer(self) -> None:
        """The server's end is an error if any, C{<close/>} and a Close frame; with the server it is 1001."""
        for error, expected in (
            (None, ["close", "Close 1000"]),
            (StreamError("conflict"), ["error conflict", "close", "Close 1000"]),
            (StreamError("system-shutdown"), ["error system-shutdown", "close", "Close 1001"]),
        ):
            stream, transport = self.login()
            stream.close(error)
            stream.close(error)
            self.assertEqual(names(transport.value), expected)
            self.assertEqual(self.binder.sessions[-1].lost, [])
            self.lose(stream)
            self.assertEqual(self.binder.sessions[-1].lost, [True])

    def test_noAnswer(self) -> None:
        """A client that does not answer is disconnected soon, or when it has sent too much; it is read until then."""
        self.configure(rate=1000, burst=1000, stanzaCost=0, exempt=())
        stream, transport = self.login(host="192.0.2.1")
        stream.dataReceived(data(MESSAGE) * 20)
        self.assertTrue(transport.paused)
        stream.close(None)
        self.assertFalse(transport.paused)
        self.clock.pump([1] * (CLOSE_TICKS - 1))
        self.assertFalse(transport.ended)
        self.clock.pump([1])
        self.assertTrue(transport.ended)
        for flood in (bytes(PIPELINE_LIMIT + 1), b"\xff" * 20):
            stream, transport = self.login()
            stream.close(None)
            stream.dataReceived(flood)
            self.assertTrue(transport.ended)

    def test_flood(self) -> None:
        """What arrives while the connection is being closed, as it does under TLS, is not buffered."""
        for sent in (b"\xff" * 20, clientFrame(CLOSE, b""), data(END) + clientFrame(CLOSE, b""),
                     data(END) + bytes(PIPELINE_LIMIT + 1), data(END)):  # fmt: skip
            stream, transport = self.login()
            stream.dataReceived(sent)
            self.clock.pump([1] * CLOSE_TICKS)
            self.assertTrue(transport.ended)
            buffered = stream._parser.buffer(b"")
            stream.dataReceived(b"\x81\xfe\x7f\xff" + bytes(1000))
            self.assertEqual(stream._parser.buffer(b""), buffered)

    def test_serverEnding(self) -> None:
        """C{closeAll} closes these streams too, waits for their ends, and no new ones are made."""
        stream, _ = self.login()
        done = self.factory.closeAll(StreamError("system-shutdown"))
        self.assertNoResult(done)
        self.assertIsNone(self.web.build("192.0.2.1", True))
        self.lose(stream)
        self.successResultOf(done)

    def test_nothingKept(self) -> None:
        """A lost stream is freed without the garbage collector."""
        for sent in (b"", data(OPEN), data(*LOGIN), data(*LOGIN) + b"\x81", data(*LOGIN, b"<"), data(*LOGIN, END),
                     clientFrame(2, b""), data(*LOGIN) + clientFrame(CLOSE, b"")):  # fmt: skip
            self.assertFreed(sent)

    def test_timeSlice(self) -> None:
        """The input of one client that takes long is handled in several turns, in order."""
        stream, _ = self.login()
        session = self.binder.sessions[0]
        received = session.stanzaReceived

        def slow(element: Element) -> None:
            received(element)
            self.clock.rightNow += TIME_SLICE * 0.6

        session.stanzaReceived = slow  # type: ignore[method-assign]
        stream.dataReceived(data(*[PRESENCE, MESSAGE] * 3))
        self.assertEqual(len(session.stanzas), 2)
        self.clock.pump([0] * 3)
        self.assertEqual([stanza.name for stanza in session.stanzas], ["presence", "message"] * 3)


class SecurityTests(WebSocketCase):
    """RFC 7395 §3.9, and the mechanisms of log-in."""

    def mechanisms(self, **client: Any) -> set[str]:
        """The mechanisms that a client is offered; it must not be offered STARTTLS."""
        _, transport = self.say(OPEN, **client)
        [_, (_, payload)] = serverFrames(transport.value)
        self.assertNotIn(ns.TLS.encode(), payload)
        return {str(each.text) for each in etree.fromstring(payload).iter(f"{{{ns.SASL}}}mechanism")}

    def test_policy(self) -> None:
        """Without TLS, PLAIN is offered only if the configuration says so; with it, as over TCP."""
        scram = {"SCRAM-SHA-1"}
        for plain in (False, True):
            login = SASL(self.accounts, DOMAIN, plain)
            self.web.features = StreamFeatures(DOMAIN, login, self.binder, self.tls, OFF)
            self.assertEqual(self.mechanisms(), scram | ({"PLAIN"} if plain else set()))
            self.assertEqual(self.mechanisms(secure=True), scram | {"PLAIN"})
            self.assertEqual(self.mechanisms(direct=True), scram | {"PLAIN", "SCRAM-SHA-1-PLUS"})
            self.assertEqual(self.mechanisms(direct=True, peer="192.0.2.99"), scram | {"PLAIN"})

    def test_log(self) -> None:
        """The log names the TLS of the connection, or says that it is a proxy's."""
        self.patch(eventlog, "limit", RateLimit(self.clock.seconds))
        logged = Logged(self)
        setThreshold("info")
        openSSL = "TLSv1.3 TLS_AES_128_GCM_SHA256"
        for client, tls in (({}, "no TLS"), ({"secure": True}, "TLS of a proxy"), ({"direct": True}, openSSL)):
            self.say(*LOGIN, **client)
            self.assertIn(f"login from 127.0.0.1: romeo@example.org/r by PLAIN, {tls}", logged.lines(LogLevel.info))

    def test_accepts(self) -> None:
        """If TLS is required, only secure streams are accepted."""
        self.assertTrue(self.web.accepts(False))
        self.web.tlsRequired = True
        self.assertEqual([self.web.accepts(secure) for secure in (False, True)], [False, True])

    def test_startTLS(self) -> None:
        """STARTTLS is refused."""
        _, transport = self.say(OPEN, b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        self.assertEqual(names(transport.value)[2:], ["failure", "close", "Close 1000"])

    def test_wrongPassword(self) -> None:
        """The log-in may be tried again, as often as over TCP."""
        _, transport = self.say(OPEN, auth(password="x"), auth(password=PASSWORD[:-1]))
        expected = ["failure", "failure", "error policy-violation", "close", "Close 1000"]
        self.assertEqual(names(transport.value)[2:], expected)
