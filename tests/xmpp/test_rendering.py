# -*- test-case-name: tests.xmpp.test_rendering -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.rendering}."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.xish import domish

from muccore.xmpp import ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.rendering import (
    Rendered,
    escapeAttribute,
    escapeText,
    fromAttribute,
    render,
    toAttribute,
    withAddress,
)
from tests.xmpp.elements import TEXT, comparable, elements


def comparableTree(tree: Any) -> Any:
    """L{comparable} for an element of lxml."""
    children: list[Any] = [tree.text or ""]
    for child in tree:
        children += [comparableTree(child), child.tail or ""]
    return (tree.tag, dict(tree.attrib), children)


def parse(data: bytes) -> Any:
    """Parse an element inside a stream, with lxml."""
    return etree.fromstring(b"<stream xmlns='jabber:client'>" + data + b"</stream>")[0]


class RenderingTests(SynchronousTestCase):
    """L{render} and L{Rendered}"""

    @settings(max_examples=200)
    @given(elements())
    def test_roundTrip(self, element: Element) -> None:
        """lxml parses the same element."""
        self.assertEqual(comparableTree(parse(render(element))), comparable(element))

    @given(elements(), st.one_of(st.none(), TEXT))
    def test_addressed(self, element: Element, to: str | None) -> None:
        """An addressed stanza is the element with that C{to}; children keep theirs."""
        element.uri = ns.CLIENT
        rendered = Rendered.of(element)
        expected = element.copy()
        expected.attributes.pop("to", None)
        if to is not None:
            expected.attributes["to"] = to
        data = rendered.addressed(b"" if to is None else toAttribute(to))
        self.assertEqual(comparableTree(parse(data)), comparable(expected))
        self.assertEqual(rendered.head, f"<{element.name}".encode())

    @given(TEXT)
    def test_escape(self, text: str) -> None:
        """Any text and attribute can be parsed again."""
        tree = etree.fromstring(f"<a b='{escapeAttribute(text)}' c=\"{escapeAttribute(text)}\">{escapeText(text)}</a>")
        self.assertEqual((tree.get("b"), tree.get("c"), tree.text or ""), (text, text, text))

    def test_nothingToEscape(self) -> None:
        """Text that needs no escaping is the same object."""
        text = "just text, äöü"
        self.assertIs(escapeText(text), text)
        self.assertIs(escapeAttribute(text), text)

    def test_namespaces(self) -> None:
        """A namespace is declared only where it changes, and not for that of the stream."""
        message = stanza("message")
        x = message.add("x", "urn:x")
        x.add("y")
        x.add("body", ns.CLIENT)
        x.add("z", "")
        self.assertEqual(
            render(message),
            b"<message><x xmlns='urn:x'><y/><body xmlns='jabber:client'/><z xmlns=''/></x></message>",
        )
        self.assertEqual(
            render(x, "urn:x"), b"<x><y/><body xmlns='jabber:client'/><z xmlns=''/></x>"
        )

    def test_inherited(self) -> None:
        """An element without a namespace is in that of its parent."""
        element = Element((None, "a"))
        element.children.append(Element((None, "b")))
        element.add("c", ns.CLIENT)
        self.assertEqual(render(element), b"<a><b/><c/></a>")

    def test_xmlNamespace(self) -> None:
        """The prefix C{xml} is used without a declaration."""
        message = stanza("message")
        thing = message.add("thing", ns.XML)
        thing.add("inner", ns.CLIENT, "text")
        thing.attributes[ns.XML, "lang"] = "de"
        rendered = render(message)
        self.assertEqual(rendered, b"<message><xml:thing xml:lang='de'><inner>text</inner></xml:thing></message>")

    def test_addresses(self) -> None:
        """An address is the same after it was rendered, whatever it contains."""
        for address in ("a@b/c", "\u2603@b/'\"<&>\t\n\r", "a&amp;b", "", " to='x'"):
            self.assertEqual(fromAttribute(toAttribute(address)), address)

    def test_prefixedAttributes(self) -> None:
        """Each attribute in a namespace has its own prefix; one in the empty namespace has none."""
        attributes = {("urn:1", "x"): "1", ("urn:1", "y"): "2", ("urn:2", "x"): "3", ("", "z"): "4"}
        element = Element((ns.CLIENT, "a"), None, attributes)
        tree = parse(render(element))
        self.assertEqual(dict(tree.attrib), {"{urn:1}x": "1", "{urn:1}y": "2", "{urn:2}x": "3", "z": "4"})

    def test_otherStrings(self) -> None:
        """Serialised XML is written as it is; strings of other classes are text."""

        class Text(str):
            """A subclass of C{str}."""

            __slots__ = ()

        element = Element((ns.CLIENT, "a"))
        element.addRawXml("<b/>")
        element.children.append(Text("<c/>"))
        self.assertEqual(render(element), b"<a><b/>&lt;c/&gt;</a>")

    def test_domish(self) -> None:
        """Elements of domish are rendered too."""
        theirs = domish.Element((ns.CLIENT, "a"))
        theirs.addElement(("urn:x", "b"), content="<")
        self.assertEqual(render(theirs), b"<a><b xmlns='urn:x'>&lt;</b></a>")


class ElementTests(SynchronousTestCase):
    """The element of a L{Rendered}"""

    @settings(max_examples=100)
    @given(elements())
    def test_parsed(self, element: Element) -> None:
        """A stanza that was made of bytes has an element that renders to the same."""
        rendered = Rendered.of(element).withoutElement()
        found, sent = render(rendered.element), rendered.addressed(b"")
        self.assertEqual(comparableTree(parse(found)), comparableTree(parse(sent)))
        self.assertIs(rendered.element, rendered.element)

    def test_nameAndType(self) -> None:
        """Name and type are known however it was made."""
        for element in (stanza("message", "chat"), stanza("presence"), stanza("iq", "get", to="a@b")):
            for rendered in (Rendered.of(element), Rendered.of(element).withoutElement()):
                self.assertEqual((rendered.name, rendered.type), (element.name, element.get("type")))

    @given(st.none() | TEXT, TEXT)
    def test_id(self, id: str | None, other: str) -> None:
        """So is its id, whatever it and the other attributes are."""
        element = stanza("message", "chat", from_=f" id='{other}'", id=id)
        element.add("body", text="x", id="inner")
        for rendered in (Rendered.of(element), Rendered.of(element).withoutElement()):
            self.assertEqual(rendered.id, id)

    @given(TEXT)
    def test_elementTo(self, to: str) -> None:
        """Each recipient's element is a copy with its address."""
        element = stanza("message", "chat", to="a@b", id="1")
        element.add("body", text="x")
        for rendered in (Rendered.of(element), Rendered.of(element).withoutElement()):
            found = rendered.elementTo(toAttribute(to))
            self.assertEqual(found.attributes, {"type": "chat", "id": "1", "to": to})
            self.assertIsNot(found.child("body"), rendered.element.child("body"))
            self.assertNotIn("to", rendered.elementTo(b"").attributes)
        self.assertEqual(element.attributes["to"], "a@b")

    def test_withAddress(self) -> None:
        """A stanza with its own address, or without one."""
        for to in (None, "a'@b"):
            element = stanza("message", to=to)
            self.assertEqual(comparableTree(parse(Rendered.addressed(*withAddress(element)))), comparable(element))
