# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.services.contacts} (XEP-0157)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.services.contacts import ContactHandler
from muccore.services.disco import AccountDiscoHandler
from muccore.testing.inmemory import InMemoryServer
from muccore.xmpp import ns


class ContactTests(SynchronousTestCase):
    """L{ContactHandler}"""

    def setUp(self) -> None:
        """Log in."""
        server = InMemoryServer()
        self.handler = ContactHandler([])
        for handler in (AccountDiscoHandler(), self.handler):
            server.addHandler(handler)
        self.romeo = server.client("romeo@localhost/orchard")

    def forms(self, to: str = "localhost", node: str = "") -> list[dict[str, tuple[str | None, list[str]]]]:
        """The forms in C{disco#info}: type and values by field."""
        node = f" node='{node}'" if node else ""
        self.romeo.sends(f"<iq type='get' id='1' to='{to}'><query xmlns='{ns.DISCO_INFO}'{node}/></iq>")
        [answer] = self.romeo.received()
        return [
            {
                field["var"]: (field.get("type"), [value.text() for value in field.childElements()])
                for field in form.childElements()
            }
            for form in next(answer.childElements()).childElements()
            if (form.uri, form.get("type")) == (ns.DATA, "result")
        ]

    def test_none(self) -> None:
        """Without addresses there is no form."""
        self.assertEqual(self.forms(), [])

    def test_addresses(self) -> None:
        """The domain itself has one form, with a field for each purpose; accounts and nodes have none."""
        self.handler.addresses = [
            ("support", "https://x/?a=b&c"), ("abuse", "mailto:abuse@x"), ("support", "xmpp:support@x"),
        ]  # fmt: skip
        self.assertEqual(
            self.forms(),
            [
                {
                    "FORM_TYPE": ("hidden", ["http://jabber.org/network/serverinfo"]),
                    "abuse-addresses": ("list-multi", ["mailto:abuse@x"]),
                    "support-addresses": ("list-multi", ["https://x/?a=b&c", "xmpp:support@x"]),
                }
            ],
        )
        self.assertEqual((self.forms("romeo@localhost"), self.forms(node="x")), ([], []))
