# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.stream.component}: components' streams without sockets."""

from __future__ import annotations

import gc
import re
import weakref
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.logger import LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muccore.log import eventlog
from muccore.log.logger import Logger
from muccore.net.limits import Networks
from muccore.routing.component import Component
from muccore.stream.component import ComponentAccess, ComponentFactory, handshakeFor
from muccore.testing.defaults import defaultStreams
from muccore.xmpp.errors import StreamError
from tests.configuration import Logged
from tests.routing.helpers import Server, canonical, conditions
from tests.stream.doubles import END, Address, Transport

SECRETS = {"one.localhost": "the first secret", "two.localhost": "another, gr\u00fcn"}
ROMEO = "romeo@localhost/orchard"


def header(to: str = "one.localhost", content: str = "jabber:component:accept") -> bytes:
    """A component's header."""
    return (
        f"<?xml version='1.0'?><stream:stream to='{to}' xmlns='{content}' "
        "xmlns:stream='http://etherx.jabber.org/streams'>"
    ).encode()


class Case(SynchronousTestCase):
    """A server with two components, and Romeo."""

    def setUp(self) -> None:
        """Create them."""
        self.logged = Logged(self)
        self.patch(Logger, "threshold", LogLevel.debug)
        self.patch(eventlog, "limit", eventlog.RateLimit())
        self.server = Server()
        self.access = {}
        for name, secret in SECRETS.items():
            component = Component(name, self.server.router, self.server.clock)
            self.server.router.addDomain(component)
            self.access[name] = ComponentAccess(component, secret)
        self.clock = self.server.clock
        self.factory = ComponentFactory(self.clock, self.access, defaultStreams())
        self.romeo = self.server.connect(ROMEO)

    def tearDown(self) -> None:
        """No secret was logged."""
        for secret in SECRETS.values():
            self.assertNotIn(secret, repr(self.logged.events) + repr(self.access))

    def connect(self, data: bytes = b"", host: str = "127.0.0.1") -> tuple[Any, Transport]:
        """Connect, and send data."""
        stream: Any = self.factory.buildProtocol(Address(host))
        transport = Transport()
        stream.makeConnection(transport)
        stream.dataReceived(data)
        return stream, transport

    def shakeHands(
        self, name: str = "one.localhost", secret: str | None = None, host: str = "127.0.0.1"
    ) -> tuple[Any, Transport, bytes]:
        """Connect, and send a handshake; return also what it is answered with."""
        stream, transport = self.connect(header(name), host)
        [id] = re.findall(rb" id='([0-9a-f]+)'", transport.take())
        proof = handshakeFor(id.decode(), SECRETS[name] if secret is None else secret)
        stream.dataReceived(f"<handshake>{proof}</handshake>".encode())
        return stream, transport, transport.take()

    def establish(self, name: str = "one.localhost", host: str = "127.0.0.1") -> tuple[Any, Transport]:
        """Connect a component."""
        stream, transport, answer = self.shakeHands(name, host=host)
        self.assertEqual(answer, b"<handshake/>")
        return stream, transport

    def assertEnded(self, transport: Transport, condition: str) -> None:
        """Assert that a stream was opened, and ended with an error."""
        self.assertIn(f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'".encode(), transport.value)
        self.assertTrue(transport.value.endswith(b"</stream:error></stream:stream>"), transport.value)
        self.assertTrue(transport.ended)

    def lines(self) -> list[str]:
        """What was logged for operators since the last call."""
        lines = self.logged.lines(LogLevel.info)
        self.logged.events.clear()
        return lines


class HandshakeTests(Case):
    """The negotiation (XEP-0114 §3)."""

    def test_example(self) -> None:
        """The algorithm gives what C{printf 3BF96D32s | sha1sum} does."""
        self.assertEqual(handshakeFor("3BF96D32", "s"), "4375e2252977e6ac65a63e12daa911b924f17470")

    def test_good(self) -> None:
        """The header names the component and has an id that is new each time; the right handshake is confirmed."""
        _, transport = self.connect(header())
        opened = transport.value
        self.assertRegex(
            opened,
            rb"^<\?xml version='1.0'\?><stream:stream xmlns='jabber:component:accept' "
            rb"xmlns:stream='http://etherx.jabber.org/streams' from='one.localhost' id='[0-9a-f]{32}'>$",
        )
        _, transport = self.connect(header())
        self.assertNotEqual(transport.value, opened)
        self.establish()
        self.assertEqual(self.lines(), ["component-connected from 127.0.0.1: one.localhost"])

    def test_several(self) -> None:
        """Each component has its own secret and stream; names are prepared."""
        streams = {name: self.establish(name) for name in SECRETS}
        for name, (_, transport) in streams.items():
            self.romeo.send(f"<message to='a@{name}'/>")
            self.assertEqual(
                canonical(transport.take()), canonical(f"<message from='{ROMEO}' to='a@{name}'/>")
            )
        _, transport = self.connect(header("ONE.localhost"))
        self.assertIn(b" from='one.localhost'", transport.value)

    def test_wrong(self) -> None:
        """A wrong handshake, such as that of another component, is C{not-authorized} and ends the stream."""
        for secret in ("", "guess", SECRETS["two.localhost"]):
            _, transport, _ = self.shakeHands(secret=secret)
            self.assertTrue(transport.ended)
            self.assertEqual(self.lines(), ["component-refused from 127.0.0.1: not-authorized, one.localhost"])
        for wrong in ("<handshake/>", "<handshake>\u00e4</handshake>", "<handshake><x/></handshake>"):
            _, transport = self.connect(header() + wrong.encode())
            self.assertEnded(transport, "not-authorized")
        self.assertIsNone(self.access["one.localhost"].component.stream)

    def test_unknown(self) -> None:
        """A name without a section is C{host-unknown}."""
        for name in ("three.localhost", "one.localhost/x", "a@one.localhost", "@", "x" * 2000, ""):
            _, transport = self.connect(header(name))
            self.assertEnded(transport, "host-unknown")
        self.assertEqual(self.lines()[0], "component-refused from 127.0.0.1: host-unknown, three.localhost")

    def test_conflict(self) -> None:
        """A second stream of a component is refused when it has proved its secret; the first goes on."""
        _, first = self.establish()
        _, second = self.connect(header())
        self.assertFalse(second.ended)
        stream, second, answer = self.shakeHands()
        self.assertIn(b"<conflict ", answer)
        self.assertTrue(second.ended)
        self.assertIn("component-refused from 127.0.0.1: conflict, one.localhost", self.lines())
        stream.connectionLost(Failure(ConnectionDone()))
        self.romeo.send("<message to='one.localhost'/>")
        self.assertEqual(len(canonical(first.take())), 1)

    def test_namespaces(self) -> None:
        """Streams of clients and servers, and without a content namespace, are C{invalid-namespace}."""
        for content in ("jabber:client", "jabber:server", "jabber:component:connect", ""):
            _, transport = self.connect(header(content=content))
            self.assertEnded(transport, "invalid-namespace")

    def test_tooEarly(self) -> None:
        """Nothing but the handshake is accepted before it, and nothing is delivered."""
        for early in (f"<message from='one.localhost' to='{ROMEO}'/>", "<x xmlns='urn:x'/>", "<message/>"):
            _, transport = self.connect(header() + early.encode())
            self.assertEnded(transport, "not-authorized")
        self.assertEqual(self.romeo.take(), [])

    def test_streamError(self) -> None:
        """A stream error of the component is not answered with another."""
        _, transport = self.connect(header() + b"<stream:error/>")
        self.assertNotIn(b"<stream:error>", transport.value)
        self.assertTrue(transport.ended)

    def test_reconfigured(self) -> None:
        """A new secret counts for new streams."""
        stream, _ = self.establish()
        component = self.access["one.localhost"].component
        self.factory.reconfigure({"one.localhost": ComponentAccess(component, "new")}, defaultStreams())
        stream.connectionLost(Failure(ConnectionDone()))
        self.assertIn(b"<not-authorized ", self.shakeHands()[2])
        self.assertEqual(self.shakeHands(secret="new")[2], b"<handshake/>")

    def test_reconfiguredBetween(self) -> None:
        """A component that is removed, or has a new secret, between its header and its handshake is refused."""
        for changed, condition in (({}, "host-unknown"), ({"secret": "new"}, "not-authorized")):
            stream, transport = self.connect(header())
            [id] = re.findall(r" id='([0-9a-f]+)'", transport.value.decode())
            component = self.access["one.localhost"].component
            access = {"one.localhost": ComponentAccess(component, **changed)} if changed else {}
            self.factory.reconfigure(access, defaultStreams())
            stream.dataReceived(f"<handshake>{handshakeFor(id, SECRETS['one.localhost'])}</handshake>".encode())
            self.assertEnded(transport, condition)
            self.assertIsNone(component.stream)
            self.factory.reconfigure(self.access, defaultStreams())


class StanzaTests(Case):
    """Stanzas, once the handshake is done."""

    def test_namespace(self) -> None:
        """Stanzas are in the namespace of each stream, and what they carry in C{jabber:client} stays there."""
        stream, transport = self.establish()
        inside = "<x xmlns='urn:x'><message xmlns='jabber:client'><body>a</body></message></x>"
        stream.dataReceived(f"<message from='a@one.localhost' to='{ROMEO}'>{inside}</message>".encode())
        self.assertEqual(
            self.romeo.stream.take(), canonical(f"<message from='a@one.localhost' to='{ROMEO}'>{inside}</message>")
        )
        self.romeo.send(f"<message to='a@one.localhost'>{inside}</message>")
        self.assertEqual(
            transport.take().decode(), f"<message to='a@one.localhost' from='{ROMEO}'>{inside}</message>"
        )

    def test_language(self) -> None:
        """The language of the header is that of stanzas without one of their own (RFC 6120 §8.1.5)."""
        stream, _, _ = self.shakeHands("one.localhost' xml:lang='de", SECRETS["one.localhost"])
        for own, expected in (("", "de"), ("xml:lang='fr'", "fr")):
            stream.dataReceived(f"<message from='one.localhost' to='{ROMEO}' {own}/>".encode())
            self.assertIn(f'xml:lang="{expected}"', self.romeo.stream.take()[0])

    def test_errors(self) -> None:
        """A wrong C{from} ends the stream, which is a loss of the component; stanza errors do not."""
        stream, transport = self.establish()
        stream.dataReceived(b"<message from='one.localhost' to='nobody@localhost'/>")
        self.assertEqual(conditions(canonical(transport.take())), ["service-unavailable"])
        stream.dataReceived(f"<message from='romeo@localhost' to='{ROMEO}'/>".encode())
        self.assertIn(b"<invalid-from ", transport.take())
        self.assertTrue(transport.ended)
        self.assertEqual(conditions(self.romeo.ask("<message to='one.localhost'/>")), ["remote-server-timeout"])
        self.assertEqual(
            self.lines()[1:],
            [
                "stream-error from 127.0.0.1: invalid-from, one.localhost",
                "component-disconnected from 127.0.0.1: one.localhost after 0 s, invalid-from",
            ],
        )

    def test_ends(self) -> None:
        """However the stream ends, the component is away then, and can connect again."""
        for end in (
            lambda stream: stream.dataReceived(END),
            lambda stream: stream.dataReceived(b"<stream:error/>"),
            lambda stream: stream.dataReceived(b"<<"),
            lambda stream: stream.connectionLost(Failure(ConnectionDone())),
        ):
            stream, _ = self.establish()
            end(stream)
            self.assertEqual(conditions(self.romeo.ask("<message to='one.localhost'/>")), ["remote-server-timeout"])

    def test_freed(self) -> None:
        """A stream that ends is freed at once, before and after its handshake."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for connect in (lambda: self.connect(header())[0], lambda: self.establish()[0]):
            stream = connect()
            stream.connectionLost(Failure(ConnectionDone()))
            ref = weakref.ref(stream)
            del stream
            self.assertIsNone(ref())


_FRAGMENTS = (
    header(), header("two.localhost"), header("none.localhost"), b"<handshake/>", b"<handshake>x</handshake>", b" ",
    b"<message to='romeo@localhost/orchard' from='a@one.localhost'/>", b"<message to='@' from='one.localhost'/>",
    b"<presence from='one.localhost' to='romeo@localhost'/>", b"<iq from='one.localhost'/>", b"<stream:error/>",
    b"<iq type='get' id='1' from='one.localhost' to='localhost'><q xmlns='urn:q'/></iq>", END, b"<", b"/>", b"<x>",
)  # fmt: skip


class AnythingTests(Case):
    """Whatever a component sends."""

    @settings(max_examples=300)
    @given(st.booleans(), st.lists(st.sampled_from(_FRAGMENTS), max_size=8))
    def test_anything(self, established: bool, fragments: list[bytes]) -> None:
        """No input is a fault of the server; what ends a stream leaves the component free to connect again."""
        component = self.access["one.localhost"].component
        stream, transport = self.establish() if established else self.connect()
        for fragment in fragments:
            stream.dataReceived(fragment)
        self.assertNotIn(b"internal-server-error", transport.value)
        if transport.ended:
            self.assertIsNone(component.stream)
        stream.connectionLost(Failure(ConnectionDone()))
        self.establish()[0].connectionLost(Failure(ConnectionDone()))


class LimitTests(Case):
    """Limits and timeouts: those of clients' streams."""

    def test_sizes(self) -> None:
        """There is one limit for elements before the handshake, and one for stanzas after it."""
        self.factory.reconfigure(self.access, defaultStreams(stanzaSizeUnauthenticated=1000, stanzaSize=5000))
        _, transport = self.connect(header() + b"<handshake>" + b"a" * 1000)
        self.assertEnded(transport, "policy-violation")
        stream, transport = self.establish()
        for size, refused in ((4000, False), (5000, True)):
            body = "a" * size
            stream.dataReceived(f"<message from='one.localhost' to='{ROMEO}'><body>{body}</body></message>".encode())
            self.assertEqual(b"<policy-violation " in transport.take(), refused)

    def test_depth(self) -> None:
        """Depth, elements and attributes are limited."""
        for bad in (b"<x>" * 100, b"<y/>" * 10000, b"<y %s/>" % b" ".join(b"a%d=''" % n for n in range(100))):
            stream, transport = self.establish()
            stream.dataReceived(b"<message from='one.localhost' to='a@localhost'>" + bad)
            self.assertIn(b"<policy-violation ", transport.take())

    def test_handshakeTimeout(self) -> None:
        """A stream without a handshake is ended."""
        _, transport = self.connect(header())
        self.clock.pump([1] * 61)
        self.assertEnded(transport, "connection-timeout")

    def test_keepalive(self) -> None:
        """A silent component is sent spaces; those that it sends itself are ignored, and delay them."""
        self.factory.reconfigure(self.access, defaultStreams(keepalive=30, idleTimeout=0))
        stream, transport = self.establish()
        self.clock.pump([1] * 20)
        stream.dataReceived(b" ")
        self.clock.pump([1] * 20)
        self.assertEqual(transport.take(), b"")
        self.clock.pump([1] * 100)
        self.assertIn(transport.take(), (b" " * 3, b" " * 4))
        self.assertFalse(transport.ended)

    def test_rate(self) -> None:
        """What an address outside the exempt networks sends is limited."""
        self.factory.reconfigure(self.access, defaultStreams(rate=100, burst=1024, exempt=Networks(["127.0.0.0/8"])))
        for host, paused in (("127.0.0.1", False), ("192.0.2.1", True)):
            stream, transport = self.establish(host=host)
            stream.dataReceived(b" " * 2000)
            self.assertEqual(transport.paused, paused)
            stream.connectionLost(Failure(ConnectionDone()))

    def test_connections(self) -> None:
        """So is the number of connections; those above it are told in a stream of theirs."""
        self.factory.reconfigure(self.access, defaultStreams(connections=1))
        self.connect()
        _, transport = self.connect()
        self.assertIn(b"xmlns='jabber:component:accept'", transport.value)
        self.assertEnded(transport, "resource-constraint")

    def test_shutDown(self) -> None:
        """When the server ends, components are told, and new ones are refused."""
        stream, transport = self.establish()
        closed = self.factory.closeAll(StreamError("system-shutdown"))
        self.assertIn(b"<system-shutdown ", transport.value)
        stream.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(closed)
        self.assertEnded(self.connect()[1], "system-shutdown")
