# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.services.disco}."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.jid import JID as TwistedJID
from twisted.words.protocols.jabber.xmlstream import XMPPHandler
from wokkel import data_form, disco
from wokkel.generic import VersionHandler
from wokkel.iwokkel import IDisco
from zope.interface import implementer

from muccore.routing.handler import Handler
from muccore.services.disco import AccountDiscoHandler, DiscoHandler, DiscoInfoHandler
from muccore.services.ping import PingHandler
from muccore.xmpp.errors import StanzaError
from tests.routing.helpers import Server, canonical, conditions

HERE = "there.localhost"
ROMEO = "romeo@localhost/orchard"
INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"


@implementer(IDisco)
class Nodes(XMPPHandler):
    """A stock handler with nodes, which answers later."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str, str]] = []
        self.info: Deferred[Any] = Deferred()

    def getDiscoInfo(self, requestor: Any, target: Any, nodeIdentifier: str = "") -> Any:
        """Return a Deferred."""
        self.asked.append((requestor.full(), target.full(), nodeIdentifier))
        return self.info

    def getDiscoItems(self, requestor: Any, target: Any, nodeIdentifier: str = "") -> Any:
        """Return one item at one node."""
        return [disco.DiscoItem(TwistedJID(HERE), "x", "X")] if nodeIdentifier == "node" else []


class DiscoTestCase(SynchronousTestCase):
    """Romeo sends disco requests."""

    def setUp(self) -> None:
        """Connect Romeo."""
        self.server = Server(HERE)
        self.romeo = self.server.connect(ROMEO)

    def ask(self, uri: str, to: str = HERE, node: str | None = None) -> list[str]:
        """Send a request; return what comes back."""
        attribute = "" if node is None else f" node='{node}'"
        return self.romeo.ask(f"<iq type='get' id='1' to='{to}'><query xmlns='{uri}'{attribute}/></iq>")

    def result(self, uri: str, inside: str, to: str = HERE, node: str = "") -> list[str]:
        """The expected result."""
        attribute = f" node='{node}'" if node else ""
        return canonical(
            f"<iq type='result' id='1' from='{to}' to='{ROMEO}'><query xmlns='{uri}'{attribute}>{inside}</query></iq>"
        )


class InfoTests(DiscoTestCase):
    """XEP-0030 §3"""

    def test_features(self) -> None:
        """
        The identities and features of all handlers, stock ones included, with each feature once, and those of disco.
        """
        rooms = Handler()
        rooms.identities = (("conference", "text", "Rooms"),)
        rooms.features = ("urn:xmpp:ping", "urn:z")
        self.server.add(HERE, DiscoHandler(), rooms, PingHandler(), VersionHandler("n", "v"))
        features = sorted(["urn:z", "urn:xmpp:ping", "jabber:iq:version", INFO, ITEMS])
        self.assertEqual(
            self.ask(INFO),
            self.result(
                INFO,
                "<identity category='conference' type='text' name='Rooms'/>"
                + "".join(f"<feature var='{feature}'/>" for feature in features),
            ),
        )

    def test_alone(self) -> None:
        """C{DiscoInfoHandler} does not handle C{disco#items}."""
        self.server.add(HERE, DiscoInfoHandler())
        self.assertEqual(self.ask(INFO), self.result(INFO, f"<feature var='{INFO}'/><feature var='{ITEMS}'/>"))
        self.assertEqual(conditions(self.ask(ITEMS)), ["service-unavailable"])

    def test_forms(self) -> None:
        """A handler may add forms (XEP-0128)."""
        handler = Handler()
        form = data_form.Form("result", formNamespace="urn:f", fields=[data_form.Field(var="a", value="1")])
        handler.getDiscoInfo = lambda *_: [form]  # type: ignore[method-assign]
        self.server.add(HERE, DiscoHandler(), handler)
        self.assertIn('<x xmlns="jabber:x:data" type="result">', self.ask(INFO)[0])

    def test_node(self) -> None:
        """A handler gets requestor, target and node, and may answer later; the result has the node."""
        nodes = Nodes()
        self.server.add(HERE, DiscoHandler(), nodes)
        self.assertEqual(self.ask(INFO, node="node"), [])
        nodes.info.callback({disco.DiscoFeature("urn:n")})
        self.assertEqual(self.romeo.take(), self.result(INFO, "<feature var='urn:n'/>", node="node"))
        self.assertEqual(nodes.asked, [(ROMEO, HERE, "node")])

    def test_unknownNode(self) -> None:
        """An unknown node is C{item-not-found} (§7); an empty node counts as none."""
        self.server.add(HERE, DiscoHandler())
        self.assertEqual(conditions(self.ask(INFO, node="node")), ["item-not-found"])
        self.assertEqual(conditions(self.ask(INFO, node="")), [""])

    def test_refused(self) -> None:
        """A handler may refuse."""
        handler, other = Handler(), Handler()
        handler.getDiscoInfo = lambda *_: fail(StanzaError("forbidden"))  # type: ignore[method-assign]
        other.getDiscoInfo = lambda *_: fail(StanzaError("gone"))  # type: ignore[method-assign]
        self.server.add(HERE, DiscoHandler(), handler, other)
        self.assertEqual(conditions(self.ask(INFO)), ["forbidden"])

    def test_crash(self) -> None:
        """A handler that fails, or returns what is not disco information, is logged."""
        handler = Handler()
        self.server.add(HERE, DiscoHandler(), handler)
        for answer, logged in ((lambda *_: 1 / 0, ZeroDivisionError), (lambda *_: ["x"], TypeError)):
            handler.getDiscoInfo = answer  # type: ignore[method-assign, assignment]
            self.assertEqual(conditions(self.ask(INFO)), ["internal-server-error"])
            self.assertEqual(len(self.flushLoggedErrors(logged)), 1)


class ItemTests(DiscoTestCase):
    """XEP-0030 §4"""

    def test_domains(self) -> None:
        """The server lists its other domains."""
        self.server.add(HERE, DiscoHandler(lambda: [("conference.localhost", "Rooms"), ("x.localhost", None)]))
        self.assertEqual(
            self.ask(ITEMS),
            self.result(ITEMS, "<item jid='conference.localhost' name='Rooms'/><item jid='x.localhost'/>"),
        )

    def test_empty(self) -> None:
        """No items are an empty list (§4.1)."""
        self.server.add(HERE, DiscoHandler())
        self.assertEqual(self.ask(ITEMS), self.result(ITEMS, ""))

    def test_nodes(self) -> None:
        """Items at a node come from the handlers, without the server's other domains."""
        self.server.add(HERE, DiscoHandler(lambda: [("x.localhost", None)]), Nodes())
        self.assertEqual(
            self.ask(ITEMS, node="node"), self.result(ITEMS, f"<item jid='{HERE}' node='x' name='X'/>", node="node")
        )

    def test_emptyNode(self) -> None:
        """A known node without items is an empty list; an unknown one is C{item-not-found}."""
        nodes = Nodes()
        self.server.add(HERE, DiscoHandler(), nodes)
        self.assertEqual(self.ask(ITEMS, node="leaf"), [])
        nodes.info.callback([disco.DiscoFeature("urn:n")])
        self.assertEqual(self.romeo.take(), self.result(ITEMS, "", node="leaf"))
        nodes.info = Deferred()
        nodes.info.callback([])
        self.assertEqual(conditions(self.ask(ITEMS, node="leaf")), ["item-not-found"])


class AccountTests(DiscoTestCase):
    """Accounts (XEP-0030 §8)."""

    def setUp(self) -> None:
        """Add the handler to the accounts' domain."""
        super().setUp()
        self.server.connect("juliet@localhost/balcony", "<presence/>")
        self.server.add("localhost", AccountDiscoHandler(lambda: [("conference.localhost", None)]))

    def test_own(self) -> None:
        """A request about the own account, also without C{to}, is answered with its identity."""
        expected = self.result(
            INFO,
            f"<identity category='account' type='registered'/><feature var='{INFO}'/><feature var='{ITEMS}'/>",
            "romeo@localhost",
        )
        self.assertEqual(self.ask(INFO, "romeo@localhost"), expected)
        self.assertEqual(self.romeo.ask(f"<iq type='get' id='1'><query xmlns='{INFO}'/></iq>"), expected)

    def test_ownItems(self) -> None:
        """An account has no items; those of the server are not among them."""
        self.assertEqual(self.ask(ITEMS, "romeo@localhost"), self.result(ITEMS, "", "romeo@localhost"))

    def test_ownNode(self) -> None:
        """An unknown node of the own account is C{item-not-found}."""
        for uri in (INFO, ITEMS):
            self.assertEqual(conditions(self.ask(uri, "romeo@localhost", "node")), ["item-not-found"])

    def test_othersInfo(self) -> None:
        """C{disco#info} of another account is C{service-unavailable}, whether it exists or not."""
        for node in (None, "node"):
            answers = [self.ask(INFO, f"{user}@localhost", node)[0] for user in ("juliet", "nobody")]
            self.assertEqual(conditions(answers), ["service-unavailable", "service-unavailable"])
            self.assertEqual(answers[0].replace("juliet", "nobody"), answers[1])

    def test_othersItems(self) -> None:
        """C{disco#items} of another account is an empty list."""
        for user in ("juliet", "nobody"):
            for node in ("", "node"):
                address = f"{user}@localhost"
                self.assertEqual(
                    self.ask(ITEMS, address, node or None), self.result(ITEMS, "", address, node)
                )

    def test_server(self) -> None:
        """
        The domain itself is a server for instant messaging (§3.1: every entity has an identity), with its current name.
        """
        features = f"<feature var='{INFO}'/><feature var='{ITEMS}'/>"
        handler = self.server.router.domains["localhost"].handlers[-1]
        for name, shown in ((None, ""), ("Verona", "name='Verona' ")):
            handler.rename(name)
            self.assertEqual(
                self.ask(INFO, "localhost"),
                self.result(INFO, f"<identity category='server' {shown}type='im'/>{features}", "localhost"),
            )
        self.assertEqual(
            self.ask(ITEMS, "localhost"), self.result(ITEMS, "<item jid='conference.localhost'/>", "localhost")
        )


class StockTests(DiscoTestCase):
    """wokkel's C{DiscoHandler} in place of muccore's."""

    def test_info(self) -> None:
        """It gets the features of muccore's handlers."""
        self.server.add(HERE, disco.DiscoHandler(), PingHandler(), VersionHandler("n", "v"))
        [answer] = self.ask(INFO)
        for feature in ("urn:xmpp:ping", "jabber:iq:version"):
            self.assertIn(f'<feature var="{feature}">', answer)

    def test_items(self) -> None:
        """It gets their items."""
        self.server.add(HERE, disco.DiscoHandler(), PingHandler())
        self.assertEqual(self.ask(ITEMS), self.result(ITEMS, ""))

    def test_unknownNode(self) -> None:
        """It refuses an unknown node."""
        self.server.add(HERE, disco.DiscoHandler(), PingHandler())
        self.assertEqual(conditions(self.ask(INFO, node="node")), ["item-not-found"])
