# -*- test-case-name: tests.net.test_serverdns -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Where the servers of a domain are: SRV records (RFC 6120 §3.2, XEP-0368), in the order of RFC 2782, then addresses.

Answers are not kept: the resolver that is asked does that, and links wait after failures.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import Any, Final, NamedTuple

from twisted.internet.defer import Deferred, DeferredList
from twisted.names import dns, hosts
from twisted.names.client import Resolver
from twisted.names.error import DNSNameError

from muccore.net.tls import dnsName
from muccore.xmpp.specs import Spec

implements: Final = (
    Spec(2782, "A DNS RR for specifying the location of services (DNS SRV)", series="RFC"),
    Spec(8305, "Happy Eyeballs Version 2", note="Between the addresses of a server (§5).", series="RFC"),
)

PORT: Final = 5269
"""The port of servers without SRV records."""

TARGET_LIMIT: Final = 8
"""Servers of a domain that are tried, and addresses of each."""

_TIMEOUTS: Final = (1, 3, 5)
"""Seconds to wait for a name server, and again."""

_SERVICES: Final = (("_xmpps-server._tcp.", True), ("_xmpp-server._tcp.", False))


class NotFound(Exception):
    """A domain has no server, or no address; C{str()} says why, in a clause."""


class Target(NamedTuple):
    """
    A server.

    @ivar host: its name in DNS, or an IP address.
    @ivar direct: whether TLS begins with the first byte.
    """

    host: str
    port: int
    direct: bool


class Record(NamedTuple):
    """A server, with the place that its SRV record gives it."""

    priority: int
    weight: int
    target: Target


def inOrder(records: Iterable[Record], below: Callable[[int], int]) -> list[Target]:
    """
    Put servers in the order in which they are to be tried (RFC 2782): those of a priority by chance, by their weights.

    @param below: returns a random number from 0 to its argument, exclusive.
    """
    left = sorted(records, key=lambda record: (record.priority, record.weight))
    found = []
    while left:
        same = [record for record in left if record.priority == left[0].priority]
        chosen = below(sum(record.weight for record in same) + 1)
        for record in same:
            chosen -= record.weight
            if chosen <= 0:
                break
        found.append(record.target)
        left.remove(record)
    return found


def literalAddress(host: str) -> str | None:
    """The IP address that a host is named by, or C{None}."""
    try:
        return str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]")))
    except ValueError:
        return None


def nameServers(path: str = "/etc/resolv.conf") -> list[tuple[str, int]]:
    """The name servers of this machine, each with its port; the local one if no file names any."""
    found = []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                words = line.split()
                if len(words) > 1 and words[0] == "nameserver" and literalAddress(words[1].partition("%")[0]):
                    found.append((words[1], dns.PORT))
    except OSError:
        pass
    return found or [("127.0.0.1", dns.PORT)]


class ServerDNS:
    """Looks up servers; nothing blocks the reactor."""

    def __init__(self, reactor: Any, servers: Sequence[tuple[str, int]] = ()) -> None:
        """@param servers: the name servers, with their ports; none for those of this machine."""
        self._resolver = Resolver(servers=list(servers) or nameServers(), timeout=_TIMEOUTS, reactor=reactor)
        self._hosts = hosts.Resolver()

    async def targets(self, domain: str) -> list[Target]:
        """
        Find the servers of a domain, in the order in which they are to be tried.

        @raise NotFound: if there are none.
        """
        literal = literalAddress(domain)
        if literal is not None:
            return [Target(literal, PORT, False)]
        name = dnsName(domain)
        answers = await self._ask(
            [self._resolver.lookupService(prefix + name) for prefix, _ in _SERVICES]
        )
        records, refused = [], False
        for (_, direct), answer in zip(_SERVICES, answers, strict=True):
            for header in answer if not isinstance(answer, Exception) else ():
                if header.type != dns.SRV:
                    continue
                host = str(header.payload.target).rstrip(".")
                refused = refused or not host
                if host:
                    target = Target(host.lower(), header.payload.port, direct)
                    records.append(Record(header.payload.priority, header.payload.weight, target))
        if records:
            return inOrder(records, random.SystemRandom().randrange)[:TARGET_LIMIT]
        if refused:
            raise NotFound("its DNS says that it has no XMPP server")
        return [Target(name, PORT, False)]

    async def addresses(self, host: str) -> list[str]:
        """
        Find the IP addresses of a server, in the order of preference: of both families in turn (RFC 8305 §4).

        @raise NotFound: if there are none.
        """
        literal = literalAddress(host)
        if literal is not None:
            return [literal]
        answers = await self._ask([self._hosts.lookupIPV6Address(host), self._hosts.lookupAddress(host)])
        if all(isinstance(answer, Exception) for answer in answers):
            answers = await self._ask([self._resolver.lookupIPV6Address(host), self._resolver.lookupAddress(host)])
        six, four = (
            [str(header.payload.dottedQuad() if type == dns.A else ipaddress.IPv6Address(header.payload.address))
             for header in (() if isinstance(answer, Exception) else answer) if header.type == type]
            for type, answer in zip((dns.AAAA, dns.A), answers, strict=True)
        )  # fmt: skip
        found = [address for pair in zip_longest(six, four) for address in pair if address is not None]
        if not found:
            known = all(not isinstance(answer, Exception) or isinstance(answer, DNSNameError) for answer in answers)
            raise NotFound(f"DNS knows no address of {host}" if known else f"DNS gives no answer for {host}")
        return found[:TARGET_LIMIT]

    @staticmethod
    async def _ask(questions: Sequence[Deferred[Any]]) -> list[Any]:
        """Wait for answers: the records of each, or its error."""
        outcomes = await DeferredList(questions, consumeErrors=True)
        return [result[0] if worked else result.value for worked, result in outcomes]
