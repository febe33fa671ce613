# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.routing.federation.federation}."""

from __future__ import annotations

import gc
from typing import Any

from muccore.routing.federation import federation as federations
from muccore.xmpp import jid
from muccore.xmpp.element import stanza
from muccore.xmpp.rendering import Rendered, toAttribute
from tests.routing.federation.helpers import LOCAL, REMOTE, ROOMS, FederationCase
from tests.routing.helpers import FakeStream, conditions

THERE = f"a@{REMOTE}/x"


class RouteTests(FederationCase):
    """Routes to domains elsewhere."""

    def test_unknownSender(self) -> None:
        """Without a known sender, the route finds it in each stanza."""
        route = self.server.router.routeTo(jid.parse(THERE))
        self.assertIs(route, self.federation)
        message = Rendered.of(stanza("message", from_=f"room@{ROOMS}"))
        route.deliver(message, toAttribute(THERE))
        route.deliverAll([message], toAttribute(THERE))
        purpose, owner = self.dialer.take()
        self.assertEqual((purpose.local, purpose.remote), (ROOMS, REMOTE))
        stream: Any = FakeStream()
        owner.streamOpened(stream, None, False)
        self.assertEqual(len(stream.take()), 2)

    def test_foreignSender(self) -> None:
        """What is not from a domain of this server is dropped, with a warning."""
        for sender in ("a@three.example", "@"):
            self.federation.dispatch(stanza("message", from_=sender, to=THERE), jid.parse(THERE))
        self.assertEqual(self.dialer.opened, [])

    def test_forgotten(self) -> None:
        """A link that has nothing to do is forgotten, unless somebody keeps it as a route."""
        link: Any = self.federation.link(LOCAL, REMOTE)
        self.assertIs(self.federation.link(LOCAL, REMOTE), link)
        mark = id(link)
        del link
        gc.collect()
        self.assertEqual(len(self.federation._links), 0)
        message = Rendered.of(stanza("message", from_=f"a@{LOCAL}"))
        self.federation.link(LOCAL, REMOTE).deliver(message, toAttribute(THERE))
        gc.collect()
        self.assertEqual(len(self.federation._links), 1)
        self.assertIsNotNone(mark)

    def test_manyLinks(self) -> None:
        """The number of links that are in use is limited."""
        self.patch(federations, "LINKS_LIMIT", 2)
        romeo = self.server.connect("romeo@localhost/r", "<presence/>")
        for i in range(3):
            romeo.send(f"<message to='a@d{i}.example'/>")
        self.clock.advance(0)
        self.assertEqual(conditions(romeo.take()), ["resource-constraint"])

    def test_listed(self) -> None:
        """Links and peers can be listed."""
        self.assertEqual((list(self.federation.links()), list(self.federation.peers())), ([], []))
        stream, _ = self.authenticate()
        self.connect()
        link = self.federation.link(LOCAL, REMOTE)
        link.streamOpened(FakeStream(), None, False)
        self.federation.linkActive(link)
        self.assertEqual(list(self.federation.links()), [link])
        self.assertEqual([peer.jid.full for peer in self.federation.peers()], [REMOTE])
        self.lose(stream)
        self.assertEqual(list(self.federation.peers()), [])


class FailureTests(FederationCase):
    """Failures of links that are forgotten."""

    def test_remembered(self) -> None:
        """They count on, until the domain is reached; the number of links is limited."""
        link = self.federation.link(LOCAL, REMOTE)
        self.assertEqual([self.federation.countFailure(link) for _ in range(3)], [1, 2, 3])
        self.patch(federations, "_REMEMBERED", 1)
        self.federation.countFailure(self.federation.link(ROOMS, REMOTE))
        self.assertEqual(self.federation.countFailure(link), 1)
        link.streamOpened(self.stream(), None, False)
        self.assertEqual(self.federation.countFailure(link), 1)

    def stream(self) -> Any:
        """A stream."""
        return FakeStream()


class CertificateTests(FederationCase):
    """The certificates of domains."""

    def test_below(self) -> None:
        """A domain without one has that of the host that it is below, otherwise the first one."""
        one: Any
        two: Any
        one, two = object(), object()
        self.federation.certificates = {LOCAL: one, "two.test": two}
        for domain, expected in (
            (LOCAL, one), ("two.test", two), ("bridge.two.test", two), ("bridge.localhost", one), ("x.org", one),
        ):  # fmt: skip
            self.assertIs(self.federation.tlsFor(domain), expected)
        self.federation.certificates = {}
        self.assertIsNone(self.federation.tlsFor(LOCAL))


class BucketTests(FederationCase):
    """What domains pay from."""

    def test_remembered(self) -> None:
        """Each domain has one, which outlives its streams; the number is limited."""
        self.assertIsNone(self.federation.bucketFor(REMOTE))
        self.configure({"rate": 10, "burst": 100})
        bucket = self.federation.bucketFor(REMOTE)
        self.assertIs(self.federation.bucketFor(REMOTE), bucket)
        self.patch(federations, "_REMEMBERED", 2)
        for domain in ("x", "y"):
            self.federation.bucketFor(domain)
        self.assertIsNot(self.federation.bucketFor(REMOTE), bucket)
