# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.net.serverdns}: the order of servers, and a name server on loopback."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muccore.net import serverdns
from muccore.net.serverdns import NotFound, Record, ServerDNS, Target, inOrder, nameServers
from tests.federation import startNameServer

TARGETS = st.builds(Target, st.text("ab"), st.just(1), st.booleans())
RECORDS = st.lists(st.builds(Record, st.integers(0, 3), st.integers(0, 9), TARGETS), max_size=8)


class OrderTests(SynchronousTestCase):
    """RFC 2782."""

    @given(RECORDS, st.randoms(use_true_random=False))
    def test_priorities(self, records: list[Record], random: Random) -> None:
        """Every server is tried once, those with lower numbers first."""
        found = inOrder(records, random.randrange)
        self.assertEqual(Counter(found), Counter(record.target for record in records))
        at = 0
        for priority in sorted({record.priority for record in records}):
            same = [record.target for record in records if record.priority == priority]
            self.assertEqual(Counter(found[at : at + len(same)]), Counter(same))
            at += len(same)

    def test_weights(self) -> None:
        """Of one priority, chance decides by the weights."""
        heavy, light = Target("heavy", 1, False), Target("light", 1, False)
        records = [Record(0, 9, heavy), Record(0, 1, light)]
        random = Random(1)
        first = Counter(inOrder(records, random.randrange)[0] for _ in range(1000))
        self.assertTrue(800 < first[heavy] < 980, first)

    def test_mixed(self) -> None:
        """Records for direct TLS are mixed with the others (XEP-0368 §2)."""
        direct, other = Target("a", 1, True), Target("b", 2, False)
        self.assertEqual(inOrder([Record(2, 0, direct), Record(1, 0, other)], lambda _: 0), [other, direct])


class NameServerTests(SynchronousTestCase):
    """C{resolv.conf}."""

    def test_read(self) -> None:
        """Its name servers are used; without it, or without any in it, the local one."""
        path = self.mktemp()
        self.assertEqual(nameServers(path), [("127.0.0.1", 53)])
        with open(path, "w") as file:
            file.write("# nameserver 192.0.2.9\nsearch x\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver y\n")
        self.assertEqual(nameServers(path), [("192.0.2.1", 53), ("2001:db8::1", 53)])


class LookUpTests(TestCase):
    """A name server with some zones."""

    def setUp(self) -> None:
        """Start it."""
        srv, a, aaaa = dns.Record_SRV, dns.Record_A, dns.Record_AAAA
        zone: dict[bytes, list[Any]] = {
            b"_xmpp-server._tcp.two.example": [srv(5, 0, 5269, b"b.two.example")],
            b"_xmpps-server._tcp.two.example": [srv(1, 0, 5270, b"A.two.example")],
            b"a.two.example": [a("192.0.2.1"), aaaa("2001:db8::1"), a("192.0.2.2")],
            b"b.two.example": [a("192.0.2.3")],
            b"plain.example": [a("192.0.2.4")],
            b"_xmpp-server._tcp.none.example": [srv(0, 0, 0, b"")],
            b"none.example": [a("192.0.2.5")],
            b"xn--bcher-kva.example": [a("192.0.2.6")],
        }
        self.resolver = ServerDNS(reactor, [("127.0.0.1", startNameServer(self, "example", zone))])

    async def test_services(self) -> None:
        """Both kinds of SRV records are asked for, and ordered together."""
        found = await self.resolver.targets("two.example")
        self.assertEqual(found, [Target("a.two.example", 5270, True), Target("b.two.example", 5269, False)])

    async def test_addresses(self) -> None:
        """A server's addresses are of both families in turn."""
        found = await self.resolver.addresses("a.two.example")
        self.assertEqual(found, ["2001:db8::1", "192.0.2.1", "192.0.2.2"])

    async def test_withoutServices(self) -> None:
        """Without SRV records the domain itself is the server, at the usual port; a domain is asked for as in DNS."""
        for domain, name, address in (
            ("plain.example", "plain.example", "192.0.2.4"),
            ("b\u00fccher.example", "xn--bcher-kva.example", "192.0.2.6"),
        ):
            self.assertEqual(await self.resolver.targets(domain), [Target(name, serverdns.PORT, False)])
            self.assertEqual(await self.resolver.addresses(name), [address])

    async def test_none(self) -> None:
        """A domain that says that it has no server, has none (RFC 2782); a name that does not exist has no address."""
        await self.assertFailure(self.ask("targets", "none.example"), NotFound)
        error = await self.assertFailure(self.ask("addresses", "missing.example"), NotFound)
        self.assertEqual(str(error), "DNS knows no address of missing.example")

    def ask(self, method: str, name: str) -> Any:
        """Ask."""
        return Deferred.fromCoroutine(getattr(self.resolver, method)(name))

    async def test_literals(self) -> None:
        """An IP address is a server, and not asked for."""
        for domain, address in (("192.0.2.7", "192.0.2.7"), ("[2001:db8::7]", "2001:db8::7")):
            self.assertEqual(await self.resolver.targets(domain), [Target(address, serverdns.PORT, False)])
            self.assertEqual(await self.resolver.addresses(address), [address])

    async def test_hosts(self) -> None:
        """The names in /etc/hosts are known."""
        self.assertIn("127.0.0.1", await self.resolver.addresses("localhost"))


class SilenceTests(TestCase):
    """A name server that does not answer."""

    async def test_silent(self) -> None:
        """After some time there is no answer; meanwhile nothing waits."""
        self.patch(serverdns, "_TIMEOUTS", (0.05,))
        protocol = dns.DNSDatagramProtocol(None)
        protocol.datagramReceived = lambda data, address: None
        listening: Any = reactor
        port = listening.listenUDP(0, protocol, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        resolver = ServerDNS(reactor, [("127.0.0.1", port.getHost().port)])
        self.assertEqual(await resolver.targets("two.example"), [Target("two.example", serverdns.PORT, False)])
        error = await self.assertFailure(Deferred.fromCoroutine(resolver.addresses("two.example")), NotFound)
        self.assertEqual(str(error), "DNS gives no answer for two.example")
