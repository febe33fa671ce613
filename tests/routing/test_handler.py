# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.routing.handler}."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.jid import JID as TwistedJID
from twisted.words.xish.domish import SerializedXML
from wokkel.disco import DiscoFeature, DiscoIdentity
from wokkel.iwokkel import IDisco
from zope.interface.verify import verifyObject

from muccore.interfaces.handlers import ITableHandler, Outcome
from muccore.routing.handler import ANSWERED, HOST, Handler
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from tests.routing.helpers import Server, canonical, xml

HERE = "there.localhost"


class Early(Handler):
    """Replies before its method returns."""

    identities = (("conference", "text", "Rooms"), ("hierarchy", "branch", None))
    features = ("urn:q",)

    def on(self, element: Element, to: JID) -> Outcome:
        """Send the result, then a message."""
        self.reply(element, xml("<a xmlns='urn:a'/>"))
        self.send(xml(f"<message to='{element['from']}'/>"))
        return ANSWERED

    def onSet(self, element: Element, to: JID) -> Outcome:
        """Send an empty result."""
        self.reply(element)
        return ANSWERED

    def onDirect(self, element: Element, to: JID) -> Outcome:
        """Send a result with something that is serialized already, then a message."""
        payload = Element(("urn:a", "a"))
        payload.children.append(SerializedXML("<b>&lt;</b>"))
        self.replyDirectly(element, payload)
        self.send(xml(f"<message to='{element['from']}'/>"))
        return ANSWERED

    def onDirectly(self, element: Element, to: JID) -> Outcome:
        """Send an empty result straight."""
        self.replyDirectly(element)
        return ANSWERED

    iqs = {
        ("get", HOST, "urn:q", "q"): on, ("set", HOST, "urn:q", "q"): onSet,
        ("get", HOST, "urn:q", "d"): onDirect, ("set", HOST, "urn:q", "d"): onDirectly,
    }  # fmt: skip


class HandlerTests(SynchronousTestCase):
    """L{Handler}"""

    def test_interfaces(self) -> None:
        """A handler provides its interfaces."""
        self.assertTrue(verifyObject(ITableHandler, Handler()))
        self.assertTrue(verifyObject(IDisco, Handler()))

    def test_reply(self) -> None:
        """A result can be sent before other stanzas."""
        server = Server(HERE)
        server.add(HERE, Early())
        romeo = server.connect("romeo@localhost/orchard")
        self.assertEqual(
            romeo.ask(f"<iq type='get' id='1' to='{HERE}'><q xmlns='urn:q'/></iq>"),
            canonical(
                f"<iq type='result' id='1' from='{HERE}' to='romeo@localhost/orchard'><a xmlns='urn:a'/></iq>"
                f"<message from='{HERE}' to='romeo@localhost/orchard'/>"
            ),
        )
        self.assertEqual(
            romeo.ask(f"<iq type='set' id='2' to='{HERE}'><q xmlns='urn:q'/></iq>"),
            canonical(f"<iq type='result' id='2' from='{HERE}' to='romeo@localhost/orchard'/>"),
        )

    def test_replyDirectly(self) -> None:
        """What is serialized is sent as it is, and comes before what is sent later."""
        server = Server(HERE)
        server.add(HERE, Early())
        romeo = server.connect("romeo@localhost/orchard")
        self.assertEqual(
            romeo.ask(f"<iq type='get' id='1' to='{HERE}'><d xmlns='urn:q'/></iq>"),
            canonical(
                f"<iq type='result' id='1' from='{HERE}' to='romeo@localhost/orchard'>"
                "<a xmlns='urn:a'><b>&lt;</b></a></iq>"
                f"<message from='{HERE}' to='romeo@localhost/orchard'/>"
            ),
        )
        self.assertEqual(
            romeo.ask(f"<iq type='set' id='2' to='{HERE}'><d xmlns='urn:q'/></iq>"),
            canonical(f"<iq type='result' id='2' from='{HERE}' to='romeo@localhost/orchard'/>"),
        )

    def info(self, target: str, node: str = "") -> list[Any]:
        """Get the handler's disco information."""
        return list(Early().getDiscoInfo(TwistedJID("romeo@localhost"), TwistedJID(target), node))

    def test_disco(self) -> None:
        """Identities and features are those of the domain itself."""
        *identities, feature = self.info(HERE)
        self.assertEqual(
            [(type(i), i.category, i.type, i.name) for i in identities],
            [(DiscoIdentity, "conference", "text", "Rooms"), (DiscoIdentity, "hierarchy", "branch", None)],
        )
        self.assertEqual((type(feature), feature), (DiscoFeature, "urn:q"))

    def test_discoOfOthers(self) -> None:
        """Nodes and other addresses have none, and there are no items."""
        self.assertEqual((self.info(HERE, "node"), self.info(f"a@{HERE}")), ([], []))
        self.assertEqual(Early().getDiscoItems(TwistedJID("a@b"), TwistedJID(HERE)), [])

    def test_shutDown(self) -> None:
        """Nothing is done at the end by default."""
        self.assertIsNone(Handler().shutDown(True))
