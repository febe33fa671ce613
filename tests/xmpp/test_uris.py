# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.uris}."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.xmpp.jid import JID, InvalidJID, make, parse
from muccore.xmpp.uris import addressIn, xmppURI


class URITests(SynchronousTestCase):
    """L{xmppURI}"""

    def test_examples(self) -> None:
        """Those of RFC 5122 §2.7, and addresses of each kind."""
        for address, uri in (
            (
                "nasty!#$%()*+,-.;=?[\\]^_`{|}~node@example.com",
                "xmpp:nasty!%23$%25()*+,-.;=%3F%5B%5C%5D%5E_%60%7B%7C%7D~node@example.com",
            ),
            (
                "node@example.com/repulsive !#\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~resource",
                "xmpp:node@example.com/repulsive%20!%23%22$%25&'()*+,-.%2F:;%3C=%3E%3F%40%5B%5C%5D%5E_%60%7B%7C%7D"
                "~resource",
            ),
            ("jiři@čechy.example", "xmpp:ji%C5%99i@%C4%8Dechy.example"),
            ("example.com", "xmpp:example.com"),
            ("[2001:db8::1]", "xmpp:[2001:db8::1]"),
        ):
            self.assertEqual(xmppURI(parse(address)), uri)

    def test_query(self) -> None:
        """A URI can say what it is for."""
        self.assertEqual(xmppURI(parse("coven@chat.lit"), "join"), "xmpp:coven@chat.lit?join")

    @given(st.text(max_size=8), st.text(max_size=8))
    def test_reversible(self, local: str, resource: str) -> None:
        """Any address can be read from its URI, which is ASCII without spaces."""
        try:
            jid: JID = make(local, "example.com", resource)
        except InvalidJID:
            return
        uri = xmppURI(jid, "join")
        self.assertRegex(uri, "^[!-~]+$")
        parts = urlsplit(uri)
        self.assertEqual((parts.scheme, parts.query, parts.fragment), ("xmpp", "join", ""))
        address, _, found = parts.path.partition("/")
        self.assertEqual(addressIn(uri), jid)
        self.assertEqual(make(*map(unquote, ("", *address.split("@"))[-2:]), unquote(found)), jid)


class AddressTests(SynchronousTestCase):
    """L{addressIn}"""

    def test_address(self) -> None:
        """§2.2: With or without an account to use, a query or a fragment; percent-encoded or not."""
        for uri, address in (
            ("xmpp:node@example.com", "node@example.com"),
            ("XMPP:example.com", "example.com"),
            ("xmpp://guest@example.com/support@example.com?message", "support@example.com"),
            ("xmpp:node@example.com/some%20resource?a;b=c#d", "node@example.com/some resource"),
            ("xmpp:nod%C3%A9@example.com", "nodé@example.com"),
            ("xmpp:jiři@čechy.example/v%20Praze", "jiři@čechy.example/v Praze"),
            ("xmpp:room@example.com/a%2Fb%40c", "room@example.com/a/b@c"),
        ):
            self.assertEqual(addressIn(uri), parse(address), uri)

    def test_none(self) -> None:
        """Other schemes, no address, an invalid one, and what is not UTF-8."""
        wrong = ("", "xmpp:", "xmpp:?message", "xmpp://a", "mailto:a@b", "a@b", "xmpp:a@@b", "xmpp:%FF@b", "xmpp:a b")
        wrong += ("xmpp:a%40b", "xmpp:a%2Fb", "xmpp:@b", "xmpp:a@b/", "xmpp:a@b%2Fc")
        for uri in wrong:
            self.assertIsNone(addressIn(uri), uri)
