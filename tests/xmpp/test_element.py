# -*- test-case-name: tests.xmpp.test_element -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.element}."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.xish import domish

from muccore.xmpp import ns
from muccore.xmpp.element import Element, copyOf, reply, setParents, stanza
from tests.xmpp.elements import comparable, elements


class ElementTests(SynchronousTestCase):
    """L{Element}"""

    def test_slots(self) -> None:
        """An element is a C{domish.Element} without a dictionary of attributes."""
        element = Element(("urn:x", "a"))
        self.assertIsInstance(element, domish.Element)
        self.assertTrue(domish.IElement.providedBy(element))
        self.assertEqual(vars(element), {})

    def test_likeDomish(self) -> None:
        """It has the interface that wokkel's handlers use."""
        iq = Element((ns.CLIENT, "iq"))
        iq["type"] = "get"
        query = iq.addElement(("urn:q", "query"))
        query.addElement("item", content="1")
        query.addElement("item", content="2")
        self.assertIs(iq.query, query)
        self.assertIsNone(iq.nothing)
        self.assertEqual([str(item) for item in query.elements("urn:q", "item")], ["1", "2"])
        self.assertIs(query.parent, iq)
        self.assertEqual(iq.toXml(defaultUri=ns.CLIENT),
                         "<iq type='get'><query xmlns='urn:q'><item>1</item><item>2</item></query></iq>")  # fmt: skip
        self.assertFalse(iq.handled)
        del iq["type"]
        self.assertFalse(iq.hasAttribute("type"))

    def test_defaults(self) -> None:
        """Elements do not share default values."""
        one, two = Element(("urn:x", "a")), Element(("urn:x", "a"))
        one["b"] = "c"
        one.localPrefixes["p"] = "urn:p"
        one.addContent("d")
        self.assertEqual((two.attributes, two.localPrefixes, two.children), ({}, {}, []))
        self.assertEqual(two.defaultUri, "urn:x")
        self.assertIsNone(two.parent)

    def test_add(self) -> None:
        """C{add} appends a child in the same or another namespace, with text and attributes of any name."""
        element = Element(("urn:x", "a"))
        one = element.add("b", None, "text", name="n", to="t")
        two = element.add("c", "urn:y")
        self.assertEqual((one.uri, two.uri), ("urn:x", "urn:y"))
        self.assertEqual(one.attributes, {"name": "n", "to": "t"})
        self.assertEqual(one.text(), "text")
        self.assertEqual(element.children, [one, two])

    def test_parents(self) -> None:
        """C{parent} is set by L{setParents} only, so that elements are not reference cycles."""
        element = Element(("urn:x", "a"))
        one = element.add("b", text="text")
        two = one.add("c")
        copied = element.copy()
        for child in (one, two, copied.child("b")):
            assert child is not None
            self.assertIsNone(child.parent)
        setParents(element)
        self.assertEqual((element.parent, one.parent, two.parent), (None, element, one))

    def test_child(self) -> None:
        """C{child} finds the first child by name and namespace."""
        element = Element(("urn:x", "a"))
        element.addContent("b")
        other = element.add("b", "urn:y")
        first = element.add("b")
        element.add("b")
        self.assertIs(element.child("b"), first)
        self.assertIs(element.child("b", "urn:y"), other)
        self.assertIsNone(element.child("c"))
        self.assertEqual(list(element.childElements())[:2], [other, first])

    def test_text(self) -> None:
        """C{text} is the character data directly inside, joined."""
        element = Element(("urn:x", "a"))
        element.children = ["1", Element(("urn:x", "b")), "2"]
        self.assertEqual(element.text(), "12")
        self.assertEqual(element.get("x"), None)

    @given(elements())
    def test_copy(self, element: Element) -> None:
        """A copy is equal and shares no element with the original."""
        copied = element.copy()
        self.assertEqual(comparable(copied), comparable(element))
        originals: set[int] = set()
        pending: list[Any] = [element]
        while pending:
            one = pending.pop()
            originals.update((id(one), id(one.attributes), id(one.children)))
            pending += list(one.childElements())
        pending = [copied]
        while pending:
            one = pending.pop()
            self.assertFalse({id(one), id(one.attributes), id(one.children)} & originals)
            pending += list(one.childElements())

    def test_copyOfDomish(self) -> None:
        """Elements of domish are copied into L{Element}s."""
        theirs = domish.Element(("urn:x", "a"), attribs={"b": "c"})
        theirs.addElement("d", content="e")
        ours = copyOf(theirs)
        self.assertIs(type(ours), Element)
        self.assertIs(type(ours.children[0]), Element)
        self.assertEqual(comparable(ours), comparable(theirs))


class BuildingTests(SynchronousTestCase):
    """L{stanza} and L{reply}"""

    def test_stanza(self) -> None:
        """Attributes that are C{None} are omitted, and C{from_} is C{from}."""
        made = stanza("message", "chat", to="a@b", from_="c@d", id=None)
        self.assertEqual((made.uri, made.name), (ns.CLIENT, "message"))
        self.assertEqual(made.attributes, {"to": "a@b", "from": "c@d", "type": "chat"})
        self.assertEqual(stanza("presence").attributes, {})

    def test_reply(self) -> None:
        """A reply is addressed to the sender of the request, and has its id but not its children."""
        request = stanza("iq", "get", to="a@b", from_="c@d", id="1")
        request.add("query", "urn:q")
        answer = reply(request, "result")
        self.assertEqual(answer.attributes, {"to": "c@d", "from": "a@b", "id": "1", "type": "result"})
        self.assertEqual(answer.children, [])
        self.assertEqual(reply(stanza("iq")).attributes, {})
