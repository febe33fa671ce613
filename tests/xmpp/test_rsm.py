# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.rsm}."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.xmpp import rsm
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.rsm import PageRequest
from tests.routing.helpers import canonical, xml


def parse(inside: str) -> PageRequest | None:
    """Parse a C{<set/>} with that inside."""
    return rsm.parse(xml(f"<query xmlns='q'><set xmlns='http://jabber.org/protocol/rsm'>{inside}</set></query>"))


class ParseTests(SynchronousTestCase):
    """L{rsm.parse}"""

    def test_none(self) -> None:
        """A request without C{<set/>} is not for a page."""
        self.assertIsNone(rsm.parse(xml("<query xmlns='q'><set/></query>")))

    def test_pages(self) -> None:
        """The requests of XEP-0059 §2.1 to §2.7; an empty C{<after/>} is the first page."""
        for inside, expected in (
            ("<max>10</max>", PageRequest(10)),
            ("<max>10</max><after>x y</after>", PageRequest(10, after="x y")),
            ("<after/>", PageRequest()),
            ("<max>10</max><before>x</before>", PageRequest(10, before="x")),
            ("<max>10</max><before/>", PageRequest(10, before="")),
            ("<max> 10 </max><index>371</index>", PageRequest(10, index=371)),
            ("<max>0</max>", PageRequest(0)),
        ):
            self.assertEqual(parse(inside), expected, inside)

    def test_unknownIgnored(self) -> None:
        """Elements of other namespaces and names are ignored."""
        self.assertEqual(parse("<max xmlns='other'>x</max><count/>"), PageRequest())

    def test_bad(self) -> None:
        """Invalid numbers, repeated elements and contradictions are C{bad-request}."""
        for inside in (
            "<max/>",
            "<max>-1</max>",
            "<max>1.5</max>",
            "<max>٣</max>",
            "<max>9999999999</max>",
            "<index>x</index>",
            "<max>1</max><max>2</max>",
            "<after>a</after><before>b</before>",
            "<after>a</after><index>1</index>",
        ):
            self.assertEqual(self.assertRaises(StanzaError, parse, inside).condition, "bad-request", inside)

    @given(st.lists(st.tuples(st.sampled_from(["max", "after", "before", "index", "x"]), st.text(max_size=5))))
    def test_anything(self, children: list[tuple[str, str]]) -> None:
        """Any content is a request or L{StanzaError}."""
        query = Element(("q", "query"))
        requested = query.add("set", "http://jabber.org/protocol/rsm")
        for name, text in children:
            requested.add(name, text=text)
        try:
            self.assertIsInstance(rsm.parse(query), PageRequest)
        except StanzaError as e:
            self.assertEqual(e.condition, "bad-request")


class RenderTests(SynchronousTestCase):
    """L{rsm.render}"""

    def check(self, made: Element, inside: str) -> None:
        """Check the content of the C{<set/>}."""
        self.assertEqual(canonical(made), canonical(f"<set xmlns='http://jabber.org/protocol/rsm'>{inside}</set>"))

    def test_page(self) -> None:
        """First, last, index and count."""
        self.check(
            rsm.render("a", "<c>", 3, 20), "<first index='3'>a</first><last>&lt;c></last><count>20</count>"
        )

    def test_unknown(self) -> None:
        """Unknown parts are omitted."""
        self.check(rsm.render("a", "a"), "<first>a</first><last>a</last>")

    def test_empty(self) -> None:
        """An empty page has no first and last (XEP-0059 §2.2)."""
        self.check(rsm.render(count=0, index=0), "<count>0</count>")
