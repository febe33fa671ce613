# Copyright (c) The muccore authors. See LICENSE for details.
"""Two servers that speak with each other, with the certificates of an authority for tests."""

from __future__ import annotations

from typing import Any

from lxml import etree
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.logger import LogLevel
from twisted.names import dns
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from muccore.log import eventlog
from muccore.net.serverdns import NotFound, Target
from muccore.testing.server import RunningServer, startServer
from muccore.xmpp import ns
from tests.configuration import Logged
from tests.endtoend.clients import RoomClient, bodyOf, bounded, codes, isPresence, logIn, nickOf
from tests.endtoend.serverprocess import CLEAN, TIMEOUT, ServerProcess, ctl
from tests.federation import Authority, freePorts, sections, startNameServer

ONE, TWO = "one.test", "two.test"
ROMEO, JULIET = f"romeo@{ONE}", f"juliet@{TWO}"
ROOM = f"orchard@rooms.{ONE}"


HEADER = (
    f"<stream:stream from='evil.test' to='{ONE}' version='1.0' xmlns='jabber:server' "
    "xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'>"
).encode()


def condition(element: etree._Element) -> str | None:
    """The condition of an error stanza."""
    for child in element.iter(f"{{{ns.CLIENT}}}error"):
        return str(etree.QName(child[0]).localname)
    return None


def typed(*types: str) -> Any:
    """Match presence of a type."""
    return lambda element: isPresence(element) and element.get("type") in types


class FederationCase(TestCase):
    """Two servers."""

    timeout = 120

    def setUp(self) -> None:
        """Make an authority, and choose ports."""
        self.patch(eventlog, "limit", eventlog.RateLimit())
        self.logged = Logged(self)
        self.authority = Authority(self.mktemp())
        self.ports = dict(zip((ONE, TWO), freePorts(2), strict=True))

    def configuration(self, domain: str, certificate: tuple[str, str] | None = None, **changes: Any) -> Any:
        """The configuration of one of them."""
        routes = {name: port for host, port in self.ports.items() for name in (host, f"rooms.{host}")}
        found = sections(domain, self.authority, self.ports[domain], routes, certificate, **changes)
        found["muc"].update(lock_new_rooms="no")
        found["server"]["log_level"] = "info"
        return found

    async def start(self, **changes: Any) -> list[RunningServer]:
        """Start both; the arguments are as for L{configuration}."""
        servers = [await startServer(reactor, **self.configuration(name, **changes)) for name in (ONE, TWO)]
        self.addCleanup(lambda: gatherResults([server.stop() for server in servers]))
        return servers

    async def users(self, *ports: int) -> tuple[RoomClient, RoomClient]:
        """Log Romeo and Juliet in."""
        romeo, juliet = await logIn(self, ports[0], ROMEO), await logIn(self, ports[1], JULIET)
        for client, account in ((romeo, ROMEO), (juliet, JULIET)):
            await bounded(client.request("get", f"<query xmlns='{ns.ROSTER}'/>", account))
            client.send("<presence/>")
        return romeo, juliet

    async def chat(self, romeo: RoomClient, juliet: RoomClient) -> None:
        """Let both say something."""
        for client, to, other in ((romeo, JULIET, juliet), (juliet, ROMEO, romeo)):
            client.send(f"<message to='{to}' type='chat'><body>to {to}</body></message>")
            message = await bounded(other.until(bodyOf))
            self.assertEqual(bodyOf(message), f"to {to}")

    def methods(self) -> set[str]:
        """How domains have proved themselves to others."""
        lines = [line for line in self.logged.lines(LogLevel.info) if line.startswith("domain-connected ")]
        return {line.partition(" by ")[2].partition(",")[0] for line in lines}


class ExchangeTests(FederationCase):
    """What users do with users elsewhere."""

    async def test_certificates(self) -> None:
        """By certificates: chat, each way, on a stream each."""
        servers = await self.start(bidirectional="no")
        await self.chat(*await self.users(*(server.port for server in servers)))
        self.assertEqual(self.methods(), {"certificate"})

    async def test_dialback(self) -> None:
        """By dialback, since neither trusts the authority of the other: chat, each way, under TLS."""
        other = Authority(self.mktemp(), "other")
        servers = await self.start(dialback="yes", trusted_certificates=other.path, bidirectional="no")
        await self.chat(*await self.users(*(server.port for server in servers)))
        self.assertEqual(self.methods(), {"dialback"})

    async def test_bidirectional(self) -> None:
        """By one stream for both directions, authenticated in both ways."""
        other = Authority(self.mktemp(), "other")
        for changes in ({}, {"dialback": "yes", "trusted_certificates": other.path}):
            self.logged.events.clear()
            servers = [await startServer(reactor, **self.configuration(name, **changes)) for name in (ONE, TWO)]
            await self.chat(*await self.users(*(server.port for server in servers)))
            lines = self.logged.lines(LogLevel.info)
            self.assertEqual(sum(line.startswith("domain-connected ") for line in lines), 1, lines)
            self.assertIn(f"link-opened by {TWO}: {ONE} at 127.0.0.1 by the stream of that server, in both directions",
                          lines)  # fmt: skip
            await gatherResults([server.stop() for server in servers])

    async def test_unencrypted(self) -> None:
        """Without certificates, where encryption is optional."""
        servers = []
        for domain in (ONE, TWO):
            configured = self.configuration(domain, dialback="yes", tls="optional")
            del configured["tls"]
            servers.append(await startServer(reactor, **configured))
            self.addCleanup(servers[-1].stop)
        await self.chat(*await self.users(*(server.port for server in servers)))
        self.assertEqual(self.methods(), {"dialback"})

    async def test_subscriptions(self) -> None:
        """
        Subscriptions each way: presence, probes after a new log-in, and the end of both (RFC 6121 §3, §4). Messages to
        somebody who is offline are kept there.
        """
        one, two = await self.start()
        romeo, juliet = await self.users(one.port, two.port)
        for client, other, to, account in ((romeo, juliet, JULIET, ROMEO), (juliet, romeo, ROMEO, JULIET)):
            client.send(f"<presence type='subscribe' to='{to}'/>")
            await bounded(other.until(typed("subscribe")))
            other.send(f"<presence type='subscribed' to='{account}'/>")
            await bounded(client.until(typed("subscribed")))
            available = await bounded(client.until(lambda e: isPresence(e) and e.get("type") is None))
            self.assertEqual(available.get("from"), f"{to}/r")
        juliet.send("<presence><show>away</show></presence>")
        await bounded(romeo.until(lambda e: e.findtext(f"{{{ns.CLIENT}}}show") == "away"))
        again = await logIn(self, one.port, ROMEO, resource="again")
        await bounded(again.request("get", f"<query xmlns='{ns.ROSTER}'/>", ROMEO))
        again.send("<presence/>")
        await bounded(again.until(lambda e: e.findtext(f"{{{ns.CLIENT}}}show") == "away"))
        juliet.send("<presence type='unavailable'/>")
        await bounded(again.until(typed("unavailable")))
        again.send(f"<message to='{JULIET}' type='chat'><body>later</body></message>")
        juliet.send("<presence/>")
        self.assertEqual(bodyOf(await bounded(juliet.until(bodyOf))), "later")
        await bounded(again.until(lambda e: isPresence(e) and str(e.get("from")).startswith(JULIET)))
        juliet.send(f"<presence type='unsubscribed' to='{ROMEO}'/>")
        await bounded(again.until(typed("unsubscribed")))
        juliet.send(f"<presence type='unsubscribe' to='{ROMEO}'/>")
        await bounded(again.until(typed("unsubscribe")))

    async def test_copies(self) -> None:
        """Messages with users elsewhere are copied to other clients, and archived on both sides (XEP-0280, 0313)."""
        configured = [self.configuration(name) for name in (ONE, TWO)]
        for each in configured:
            each["storage"] = {"archive": "memory:"}
        one, two = [await startServer(reactor, **each) for each in configured]
        for server in (one, two):
            self.addCleanup(server.stop)
        romeo, juliet = await self.users(one.port, two.port)
        tablet = await logIn(self, one.port, ROMEO, resource="tablet")
        answer = await bounded(tablet.request("set", f"<enable xmlns='{ns.CARBONS}'/>", ROMEO))
        self.assertEqual(answer.get("type"), "result")
        await self.chat(romeo, juliet)
        for direction in ("sent", "received"):
            copied = await bounded(tablet.until(lambda e: e.tag == f"{{{ns.CLIENT}}}message"))
            self.assertEqual(next(child.tag for child in copied), f"{{{ns.CARBONS}}}{direction}")
        for client, account in ((romeo, ROMEO), (juliet, JULIET)):
            client.send(f"<iq type='set' id='mam' to='{account}'><query xmlns='{ns.MAM}'/></iq>")
            found = [await bounded(client.until(lambda e: e.find(f"{{{ns.MAM}}}result") is not None)) for _ in range(2)]
            bodies = [body.text for each in found for body in each.iter(f"{{{ns.CLIENT}}}body")]
            self.assertEqual(bodies, [f"to {JULIET}", f"to {ROMEO}"])

    async def test_names(self) -> None:
        """Each finds the other by DNS: one by STARTTLS, one with TLS from the first byte (XEP-0368)."""
        [direct] = freePorts(1)
        records = {
            b"_xmpp-server._tcp.one.test": [dns.Record_SRV(0, 0, self.ports[ONE], b"host.test")],
            b"_xmpps-server._tcp.two.test": [dns.Record_SRV(0, 0, direct, b"host.test")],
            b"host.test": [dns.Record_A("127.0.0.1")],
        }
        servers = f"127.0.0.1:{startNameServer(self, 'test', records)}"
        options = {ONE: {}, TWO: {"direct_tls_listen": f"tcp:{direct}:interface=127.0.0.1"}}
        found = []
        for name, more in options.items():
            configured = self.configuration(name, bidirectional="no", name_servers=servers, **more)
            del configured["s2s"]["routes"]
            found.append(await startServer(reactor, **configured))
            self.addCleanup(found[-1].stop)
        await self.chat(*await self.users(*(server.port for server in found)))
        opened = [line for line in self.logged.lines(LogLevel.info) if line.startswith("link-opened ")]
        self.assertEqual(len(opened), 2)

    async def test_unknown(self) -> None:
        """What cannot be delivered comes back: an unknown user, host, and server."""
        one, _ = await self.start()
        romeo = await logIn(self, one.port, ROMEO)
        federation: Any = one.server.components and one.server.components.federation.federation
        [closed] = freePorts(1)
        federation.dialer.routes = {
            **federation.dialer.routes, "closed.test": [Target("127.0.0.1", closed, False)],
            "wrong.test": [Target("127.0.0.1", self.ports[TWO], False)],
            "nowhere.test": [Target("unknown.invalid", 1, False)],
        }  # fmt: skip
        self.patch(federation.dialer, "resolver", Hosts())
        for to, expected in (
            (f"nobody@{TWO}/r", "service-unavailable"),
            ("a@wrong.test", "remote-server-not-found"),
            ("a@nowhere.test", "remote-server-not-found"),
            ("a@closed.test", "remote-server-timeout"),
        ):
            answer = await bounded(romeo.request("get", f"<ping xmlns='{ns.PING}'/>", to))
            self.assertEqual(condition(answer), expected, to)


class Hosts:
    """Knows no names."""

    async def targets(self, domain: str) -> list[Target]:
        """See L{Resolver<muccore.routing.federation.dialer.Resolver>}."""
        return []

    async def addresses(self, host: str) -> list[str]:
        """See L{Resolver<muccore.routing.federation.dialer.Resolver>}."""
        if host == "127.0.0.1":
            return [host]
        raise NotFound("it has no address")


class CertificateTests(FederationCase):
    """Certificates that are refused."""

    async def assertRefused(self, certificate: tuple[str, str], why: str) -> None:
        """Assert that a server with a certificate can neither send nor be sent anything, and that the log says why."""
        one = await startServer(reactor, **self.configuration(ONE))
        self.addCleanup(one.stop)
        two = await startServer(reactor, **self.configuration(TWO, certificate))
        self.addCleanup(two.stop)
        romeo, juliet = await self.users(one.port, two.port)
        for client, to in ((romeo, JULIET), (juliet, ROMEO)):
            client.send(f"<message to='{to}' type='chat'><body>x</body></message>")
            answer = await bounded(client.until(lambda e, to=to: e.get("from") == to))
            self.assertEqual(condition(answer), "remote-server-timeout")
        lines = "\n".join(self.logged.lines(LogLevel.info))
        self.assertIn(f"link-failed by {ONE}: {TWO}, remote-server-timeout, certificate refused: {why}", lines)
        self.assertIn(f"domain-refused from 127.0.0.1: {TWO}, not-authorized (Certificate refused: {why}", lines)
        self.assertNotIn("domain-connected", lines)

    async def test_expired(self) -> None:
        """One that has expired."""
        await self.assertRefused(self.authority.issue(TWO, days=(-9, -1)), "certificate has expired")

    async def test_name(self) -> None:
        """One for another domain."""
        await self.assertRefused(self.authority.issue(f"rooms.{TWO}"), "it is for another name")

    async def test_authority(self) -> None:
        """One of an authority that is not trusted."""
        certificate = Authority(self.mktemp(), "other").issue(TWO, f"rooms.{TWO}")
        await self.assertRefused(certificate, "unable to get local issuer certificate")


    async def test_rooms(self) -> None:
        """One that lacks the domain of the rooms is warned of."""
        one = await startServer(reactor, **self.configuration(ONE, self.authority.issue(ONE)))
        self.addCleanup(one.stop)
        warned = self.logged.lines(LogLevel.warn)
        self.assertTrue(any(f"the certificate is not for rooms.{ONE}; other servers may" in line for line in warned))


class HostileTests(FederationCase):
    """A peer that does not behave, while others are served."""

    async def begin(self, **changes: Any) -> list[RunningServer]:
        """Start both; the first one accepts streams without encryption."""
        return await self.start(dialback="yes", tls="optional", **changes)

    async def connect(self, data: bytes) -> Hostile:
        """Connect to the first one, and send something."""
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.ports[ONE])
        peer: Hostile = await endpoint.connect(Factory.forProtocol(Hostile))
        self.addCleanup(peer.abort)
        peer.transport.write(HEADER + data)
        return peer

    async def assertEnds(self, data: bytes, error: str) -> None:
        """Assert that a stream is ended with an error."""
        peer = await self.connect(data)
        await peer.ended.addTimeout(TIMEOUT, reactor)
        self.assertIn(f"<{error} xmlns='urn:ietf:params:xml:ns:xmpp-streams'", peer.data.decode())

    async def test_errors(self) -> None:
        """Each fault has its error, and users of the other server notice nothing."""
        servers = await self.begin(connect_timeout="2 s")
        romeo, juliet = await self.users(*(server.port for server in servers))
        await self.chat(romeo, juliet)
        slow = await self.connect(b"")
        for data, error in (
            (b"<message from='juliet@two.test' to='romeo@one.test'><body>forged</body></message>", "not-authorized"),
            (b"<a>" + b"<b/>" * 20_000, "policy-violation"),
            (b"<db:result from='evil.test' to='one.test'>" + b"k" * 100_000, "policy-violation"),
            (b"<db:result from='two.test' to='one.test' type='valid'/>", "not-authorized"),
            (b"<!-- comment -->", "restricted-xml"),
            (b"<<", "not-well-formed"),
        ):
            await self.assertEnds(data, error)
            await self.chat(romeo, juliet)
        while not slow.ended.called:
            slow.transport.write(b" ")
            await deferLater(reactor, 0.1)
        self.assertIn(b"<connection-timeout ", slow.data)
        await self.chat(romeo, juliet)

    async def test_keys(self) -> None:
        """10,000 requests for as many domains: a few are looked into, the others refused; nothing piles up."""
        servers = await self.begin()
        federation = servers[0].server.components and servers[0].server.components.federation
        assert federation is not None
        questions: list[object] = []
        dialer = federation.federation.dialer
        dial = dialer.open
        self.patch(dialer, "resolver", Hosts())
        self.patch(dialer, "open", lambda purpose, owner: questions.append(purpose) or dial(purpose, owner))
        peer = await self.connect(b"")
        requests = [f"<db:result from='d{i}.test' to='one.test'>key</db:result>" for i in range(10_000)]
        peer.transport.write("".join(requests).encode())
        romeo, juliet = await self.users(*(server.port for server in servers))
        while peer.data.count(b"</db:result>") < len(requests):
            await self.chat(romeo, juliet)
        refused = peer.data.count(b"<resource-constraint ")
        self.assertEqual(refused + peer.data.count(b"<remote-server-not-found "), len(requests))
        self.assertEqual(federation.federation._verifying, 0)
        self.assertLessEqual(len(federation.federation._buckets), 1)


class Hostile(Protocol):
    """
    Records what it gets.

    @ivar ended: fires at the end.
    """

    transport: Any

    def __init__(self) -> None:
        self.data = b""
        self.ended: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """Record it."""
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is the end."""
        self.ended.callback(None)

    def abort(self) -> None:
        """Break the connection."""
        self.transport.abortConnection()


class RoomTests(FederationCase):
    """Rooms with people from elsewhere."""

    async def test_occupants(self) -> None:
        """A user from elsewhere enters, hears and speaks, is kicked, banned with their domain, and cannot return."""
        one, two = await self.start()
        romeo, juliet = await self.users(one.port, two.port)
        await bounded(romeo.enter("Romeo", ROOM))
        answer = await bounded(juliet.enter("Juliet", ROOM))
        self.assertIn(110, codes(answer))
        juliet.sendToRoom("hello", ROOM)
        self.assertEqual(bodyOf(await bounded(romeo.until(bodyOf))), "hello")
        self.assertEqual(bodyOf(await bounded(juliet.until(bodyOf))), "hello")
        romeo.send(f"<message to='{ROOM}/Juliet' type='chat'><body>psst</body></message>")
        self.assertEqual(bodyOf(await bounded(juliet.until(bodyOf))), "psst")
        for item, code in (("nick='Juliet' role='none'", 307), (f"jid='{TWO}' affiliation='outcast'", 301)):
            query = f"<query xmlns='{ns.MUC_ADMIN}'><item {item}/></query>"
            romeo.send(f"<iq type='set' id='1' to='{ROOM}'>{query}</iq>")
            gone = await bounded(juliet.until(typed("unavailable")))
            self.assertIn(code, codes(gone))
            answer = await bounded(juliet.enter("Juliet", ROOM))
        self.assertEqual(condition(answer), "forbidden")

    async def test_creation(self) -> None:
        """Rooms may be reserved for users of this server."""
        configured = self.configuration(ONE)
        configured["muc"]["room_creation"] = "local"
        one = await startServer(reactor, **configured)
        self.addCleanup(one.stop)
        two = await startServer(reactor, **self.configuration(TWO))
        self.addCleanup(two.stop)
        romeo, juliet = await self.users(one.port, two.port)
        self.assertEqual(condition(await bounded(juliet.enter("Juliet", ROOM))), "not-allowed")
        await bounded(romeo.enter("Romeo", ROOM))
        self.assertIn(110, codes(await bounded(juliet.enter("Juliet", ROOM))))

    async def test_stopped(self) -> None:
        """When the other server ends in order, its users leave, and it can come back."""
        one, two = await self.start(grace="1 s")
        romeo, juliet = await self.users(one.port, two.port)
        await bounded(romeo.enter("Romeo", ROOM))
        await bounded(juliet.enter("Juliet", ROOM))
        await two.stop()
        gone = await bounded(romeo.until(typed("unavailable")))
        self.assertEqual(nickOf(gone), "Juliet")


class ProcessTests(FederationCase):
    """A server as a process of its own, which hangs or dies."""

    async def begin(self) -> tuple[RoomClient, ServerProcess]:
        """Start both, the other one as a process; let Romeo and two of its users enter a room here."""
        one = await startServer(
            reactor, **self.configuration(ONE, grace="1 s", ping_interval="1 s", connect_timeout="1 s")
        )
        self.addCleanup(one.stop)
        configured = self.configuration(TWO)
        configured["server"]["control_socket"] = "control"
        two = ServerProcess(self, **configured)
        await two.start()
        romeo = await logIn(self, one.port, ROMEO)
        await bounded(romeo.enter("Romeo", ROOM))
        for name in ("juliet", "nurse"):
            client = await logIn(self, two.port, f"{name}@{TWO}")
            await bounded(client.enter(name, ROOM))
            await bounded(romeo.until(lambda e, name=name: isPresence(e) and nickOf(e) == name))
        return romeo, two

    async def assertGone(self, romeo: RoomClient) -> None:
        """Assert that both users leave, once, with status 333."""
        left = [await bounded(romeo.until(typed("unavailable"))) for _ in range(2)]
        self.assertEqual(sorted(map(nickOf, left)), ["juliet", "nurse"])
        for presence in left:
            self.assertIn(333, codes(presence))
        romeo.sendToRoom("alone", ROOM)
        message = await bounded(romeo.until(lambda e: not isPresence(e) or e.get("type") == "unavailable"))
        self.assertEqual(bodyOf(message), "alone")

    async def test_killed(self) -> None:
        """A server is killed: its users leave after the grace time, once; when it is back, they can enter again."""
        romeo, two = await self.begin()
        status, listed, _ = await ctl(two, "links")
        self.assertEqual((status, listed.splitlines()), (0, [
            f"rooms.{ONE}: received on a stream with 127.0.0.1, encrypted",
            f"{TWO} to rooms.{ONE}: open to 127.0.0.1, encrypted",
        ]))  # fmt: skip
        two.signal("KILL")
        await two.ended()
        await self.assertGone(romeo)
        await two.start()
        juliet = await logIn(self, two.port, JULIET)
        await bounded(juliet.enter("juliet", ROOM))
        await bounded(romeo.until(lambda e: isPresence(e) and nickOf(e) == "juliet"))
        romeo.sendToRoom("welcome", ROOM)
        self.assertEqual(bodyOf(await bounded(juliet.until(bodyOf))), "welcome")
        self.assertEqual(await two.stop(), CLEAN)

    async def test_hangs(self) -> None:
        """A server hangs: nothing is lost on its connections, but its users leave all the same."""
        romeo, two = await self.begin()
        two.signal("STOP")
        self.addCleanup(two.signal, "CONT")
        romeo.sendToRoom("anybody?", ROOM)
        await bounded(romeo.until(bodyOf))
        await self.assertGone(romeo)
