# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.services.capabilities} (XEP-0115 §6.3)."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muccore.interfaces.streams import IStreamFeature, Offering, Stage
from muccore.routing.handler import Handler
from muccore.services.capabilities import CapabilitiesHandler
from muccore.services.contacts import ContactHandler
from muccore.services.disco import AccountDiscoHandler
from muccore.testing.inmemory import InMemoryServer
from muccore.xmpp import ns
from muccore.xmpp.capabilities import versionOf
from muccore.xmpp.element import Element


class CapabilitiesTests(SynchronousTestCase):
    """L{CapabilitiesHandler}"""

    def setUp(self) -> None:
        """Log in."""
        self.server = InMemoryServer()
        self.contacts = ContactHandler([("abuse", "mailto:abuse@localhost")])
        self.disco = AccountDiscoHandler(name="Verona")
        self.handler = CapabilitiesHandler()
        for handler in (self.disco, self.contacts, self.handler):
            self.server.addHandler(handler)
        self.romeo = self.server.client("romeo@localhost/orchard")

    def offered(self) -> Element | None:
        """What the stream features have."""
        [feature] = self.handler.streamFeatures
        self.assertTrue(verifyObject(IStreamFeature, feature))
        self.assertIs(feature.stage, Stage.BINDING)
        return next(feature.offer(Offering(True, None)), None)

    def nodeOf(self, offered: Element | None) -> str:
        """The node at which clients look it up."""
        assert offered is not None
        self.assertEqual((offered.uri, offered.name, offered.get("hash")), (ns.CAPS, "c", "sha-1"))
        return f"{offered.get('node')}#{offered.get('ver')}"

    def ask(self, node: str, to: str = "localhost") -> Element:
        """Ask for information."""
        self.romeo.sends(f"<iq type='get' id='1' to='{to}'><query xmlns='{ns.DISCO_INFO}' node='{node}'/></iq>")
        [answer] = self.romeo.received()
        return answer

    def test_version(self) -> None:
        """What is offered is the version of what the node and the domain itself return."""
        node = self.nodeOf(self.offered())
        [query], [whole] = self.ask(node).childElements(), self.ask("").childElements()
        self.assertEqual(query.get("node"), node)
        self.assertEqual([versionOf(query), versionOf(whole)], [node.partition("#")[2]] * 2)
        names = [child.name for child in query.childElements()]
        self.assertEqual((names[0], names[-1]), ("identity", "x"))
        self.assertIn(ns.CAPS, [child.get("var") for child in query.childElements()])

    def test_changed(self) -> None:
        """When the information changes, so does the version; both nodes are answered with what is true."""
        old = self.nodeOf(self.offered())
        self.disco.rename("Mantua")
        new = self.nodeOf(self.offered())
        self.assertNotEqual(old, new)
        for node in (old, new):
            [query] = self.ask(node).childElements()
            self.assertEqual(next(query.childElements()).get("name"), "Mantua")

    def test_unknown(self) -> None:
        """Other nodes do not exist, at the domain or at an account."""
        node = self.nodeOf(self.offered())
        for asked, to in ((node[:-1], "localhost"), (node, "romeo@localhost")):
            [_, error] = self.ask(asked, to).childElements()
            self.assertEqual([child.name for child in error.childElements()], ["item-not-found"])

    def test_notAtOnce(self) -> None:
        """If a handler answers later, nothing is offered; if one fails, that is logged as well."""
        answers: list[Deferred[Any]] = [Deferred(), fail(RuntimeError("broken"))]
        other = Handler()
        other.getDiscoInfo = lambda *_: answers[0]  # type: ignore[method-assign,assignment,return-value]
        self.server.addHandler(other)
        self.assertIsNone(self.offered())
        del answers[0]
        self.assertIsNone(self.offered())
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
