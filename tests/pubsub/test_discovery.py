# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.discovery} (XEP-0060 §5.1 to §5.5, XEP-0163 §6)."""

from __future__ import annotations

from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.rendering import render
from tests.pubsub.helpers import JULIET, ROMEO, TUNE, PEPTestCase, refused


class DiscoveryTests(PEPTestCase):
    """Juliet's nodes."""

    def setUp(self) -> None:
        """One for contacts, one for everybody, one for nobody."""
        super().setUp()
        self.juliet, self.romeo, self.nurse = self.login("juliet", "romeo", "nurse")
        self.befriend(JULIET, ROMEO)
        self.publish(self.juliet, id="a", title="Tunes", max_items="5", contact="nurse@localhost")
        self.publish(self.juliet, id="b")
        self.publish(self.juliet, "open", "c", access_model="open")
        self.publish(self.juliet, "closed", "d", access_model="whitelist")

    def discover(self, client: Client, kind: str, node: str = "", to: str = JULIET) -> str:
        """Ask for information or items; return it as XML, or the error."""
        attribute = f" node='{node}'" if node else ""
        answer = self.request(client, "get", f"<query xmlns='{getattr(ns, kind)}'{attribute}/>", to)
        return refused(answer) if answer["type"] == "error" else render(answer).decode()

    def listed(self, client: Client, node: str = "", to: str = JULIET) -> list[str]:
        """The items that are listed: node, or id, and name."""
        attribute = f" node='{node}'" if node else ""
        answer = self.request(client, "get", f"<query xmlns='{ns.DISCO_ITEMS}'{attribute}/>", to)
        items = next(answer.childElements()).childElements()
        return [" ".join(filter(None, [item.get("node"), item.get("name")])) for item in items]

    def test_account(self) -> None:
        """An account is a service, for its owner and contacts; nobody else learns that it exists."""
        for client in (self.juliet, self.romeo):
            text = self.discover(client, "DISCO_INFO")
            self.assertIn("<identity category='pubsub' type='pep'/>", text)
            self.assertIn(f"<feature var='{ns.PUBSUB}#auto-subscribe'/>", text)
        for to in (JULIET, "nobody@localhost"):
            self.assertEqual(self.discover(self.nurse, "DISCO_INFO", to=to), "cancel service-unavailable")

    def test_nodes(self) -> None:
        """Each gets the nodes that they may access (XEP-0163 §6.2)."""
        tune = f"{TUNE} Tunes"
        self.assertEqual(self.listed(self.juliet), ["closed", tune, "open"])
        self.assertEqual(self.listed(self.romeo), [tune, "open"])
        self.assertEqual(self.listed(self.nurse), ["open"])
        self.assertEqual(self.listed(self.nurse, to="nobody@localhost"), [])

    def test_items(self) -> None:
        """So it is with the items of a node."""
        self.assertEqual(self.listed(self.romeo, TUNE), ["a", "b"])
        self.assertEqual((self.listed(self.nurse, TUNE), self.listed(self.nurse, "open")), ([], ["c"]))
        self.assertEqual((self.listed(self.romeo, "none"), self.listed(self.romeo, "closed")), ([], []))
        self.assertEqual(self.listed(self.juliet, "closed"), ["d"])

    def test_node(self) -> None:
        """What a node is, with its configuration (§5.3, §5.4); one that may not be accessed seems not to exist."""
        text = self.discover(self.romeo, "DISCO_INFO", TUNE)
        self.assertIn("<identity category='pubsub' type='leaf' name='Tunes'/>", text)
        for name, value in (
            ("title", "Tunes"), ("access_model", "presence"), ("creator", JULIET), ("owner", JULIET),
            ("contact", "nurse@localhost"), ("num_subscribers", "0"), ("creation_date", "2001-09-09T01:46:40Z"),
        ):  # fmt: skip
            self.assertIn(f"var='pubsub#{name}'><value>{value}</value>", text)
        for node in (TUNE, "none"):
            self.assertEqual(self.discover(self.nurse, "DISCO_INFO", node), "cancel item-not-found")
        self.assertIn("leaf", self.discover(self.nurse, "DISCO_INFO", "open"))

    def test_storeFails(self) -> None:
        """If the store fails, there is an error."""
        self.store.close()
        self.assertEqual(self.discover(self.romeo, "DISCO_ITEMS"), "wait internal-server-error")

    def test_guests(self) -> None:
        """Guests publish nothing (XEP-0175)."""
        self.pep.guests = True
        [guest] = self.login("0a4d55a8-d778-422e-8a8e-bf0a1cf2b7d3")
        self.assertNotIn("pubsub", self.discover(guest, "DISCO_INFO", to=""))
        self.assertIn("pubsub", self.discover(self.juliet, "DISCO_INFO", to=""))
