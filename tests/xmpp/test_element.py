# -*- test-case-name: tests.xmpp.test_element -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.xmpp.element}."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.xish import domish

from muccore.xmpp import ns
from muccore.xmpp.element import (
    Element,
    Rendered,
    copyOf,
    escapeAttribute,
    escapeText,
    render,
    reply,
    setParents,
    stanza,
    toAttribute,
)

XML = st.characters(min_codepoint=32, exclude_categories=("Cs",), exclude_characters="\x7f\ufffe\uffff")
TEXT = st.text(st.one_of(XML, st.sampled_from("\t\n\r<>&'\"]")), max_size=12)
NAMESPACES = st.sampled_from([ns.CLIENT, "", "urn:x", "urn:'&", ns.XML])
KEYS = st.sampled_from(["to", "id", "b", (ns.XML, "lang"), ("urn:y", "to"), ("urn:x", "to")])


@st.composite
def elements(draw: Any, depth: int = 3) -> Element:
    """Elements of all kinds."""
    uri = draw(NAMESPACES)
    element = Element((uri, draw(st.sampled_from(["a", "message", "x-1"]))), None, draw(st.dictionaries(KEYS, TEXT)))
    for kind in draw(st.lists(st.booleans(), max_size=3 if depth else 0)):
        if kind:
            element.addChild(draw(elements(depth - 1)))
        else:
            element.addContent(draw(TEXT))
    return element


def form(element: Any) -> Any:
    """What an element of ours is, as something that can be compared."""
    children: list[Any] = [""]
    for child in element.children:
        if isinstance(child, str):
            children[-1] += child
        else:
            children += [form(child), ""]
    attributes = {key if isinstance(key, str) else f"{{{key[0]}}}{key[1]}": v for key, v in element.attributes.items()}
    return (f"{{{element.uri}}}{element.name}" if element.uri else element.name, attributes, children)


def formOf(tree: Any) -> Any:
    """The same of what lxml has parsed."""
    children: list[Any] = [tree.text or ""]
    for child in tree:
        children += [formOf(child), child.tail or ""]
    return (tree.tag, dict(tree.attrib), children)


def parse(data: bytes) -> Any:
    """The element that stands in a stream, parsed by lxml."""
    return etree.fromstring(b"<stream xmlns='jabber:client'>" + data + b"</stream>")[0]


class ElementTests(SynchronousTestCase):
    """L{Element}"""

    def test_slots(self) -> None:
        """An element is a C{domish.Element} without a dictionary."""
        element = Element(("urn:x", "a"))
        self.assertIsInstance(element, domish.Element)
        self.assertTrue(domish.IElement.providedBy(element))
        self.assertEqual(vars(element), {})

    def test_likeDomish(self) -> None:
        """What wokkel's handlers do with elements works."""
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
        """Nothing is shared between elements that are made without attributes."""
        one, two = Element(("urn:x", "a")), Element(("urn:x", "a"))
        one["b"] = "c"
        one.localPrefixes["p"] = "urn:p"
        one.addContent("d")
        self.assertEqual((two.attributes, two.localPrefixes, two.children), ({}, {}, []))
        self.assertEqual(two.defaultUri, "urn:x")
        self.assertIsNone(two.parent)

    def test_add(self) -> None:
        """
        C{add} appends a child in the same or another namespace, with text and attributes, whatever these are called.
        """
        element = Element(("urn:x", "a"))
        one = element.add("b", None, "text", name="n", to="t")
        two = element.add("c", "urn:y")
        self.assertEqual((one.uri, two.uri), ("urn:x", "urn:y"))
        self.assertEqual(one.attributes, {"name": "n", "to": "t"})
        self.assertEqual(one.text(), "text")
        self.assertEqual(element.children, [one, two])

    def test_parents(self) -> None:
        """
        What is built or copied knows nothing of what it is in, so that it is gone with its last reference, until
        somebody wants it to.
        """
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
        """C{child} finds the first child by name and namespace and passes over text."""
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
        """C{text} is all character data directly inside, whatever stands between."""
        element = Element(("urn:x", "a"))
        element.children = ["1", Element(("urn:x", "b")), "2"]
        self.assertEqual(element.text(), "12")
        self.assertEqual(element.get("x"), None)

    @given(elements())
    def test_copy(self, element: Element) -> None:
        """A copy is equal and shares no element with the original."""
        copied = element.copy()
        self.assertEqual(form(copied), form(element))
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
        """Any element of domish becomes one of ours."""
        theirs = domish.Element(("urn:x", "a"), attribs={"b": "c"})
        theirs.addElement("d", content="e")
        ours = copyOf(theirs)
        self.assertIs(type(ours), Element)
        self.assertIs(type(ours.children[0]), Element)
        self.assertEqual(form(ours), form(theirs))


class BuildingTests(SynchronousTestCase):
    """L{stanza} and L{reply}"""

    def test_stanza(self) -> None:
        """Attributes that are C{None} are left out, and C{from_} is from."""
        made = stanza("message", "chat", to="a@b", from_="c@d", id=None)
        self.assertEqual((made.uri, made.name), (ns.CLIENT, "message"))
        self.assertEqual(made.attributes, {"to": "a@b", "from": "c@d", "type": "chat"})
        self.assertEqual(stanza("presence").attributes, {})

    def test_reply(self) -> None:
        """A reply goes back to where the request came from, with its id and nothing else of it."""
        request = stanza("iq", "get", to="a@b", from_="c@d", id="1")
        request.add("query", "urn:q")
        answer = reply(request, "result")
        self.assertEqual(answer.attributes, {"to": "c@d", "from": "a@b", "id": "1", "type": "result"})
        self.assertEqual(answer.children, [])
        self.assertEqual(reply(stanza("iq")).attributes, {})


class RenderingTests(SynchronousTestCase):
    """L{render} and L{Rendered}"""

    @settings(max_examples=200, deadline=None)
    @given(elements())
    def test_roundTrip(self, element: Element) -> None:
        """What is rendered is what another parser reads."""
        self.assertEqual(formOf(parse(render(element))), form(element))

    @settings(deadline=None)
    @given(elements(), st.one_of(st.none(), TEXT))
    def test_addressed(self, element: Element, to: str | None) -> None:
        """What is rendered for many is, addressed to one, the element with that address; children keep their own."""
        element.uri = ns.CLIENT
        rendered = Rendered.of(element)
        expected = element.copy()
        expected.attributes.pop("to", None)
        if to is not None:
            expected.attributes["to"] = to
        data = rendered.addressed(b"" if to is None else toAttribute(to))
        self.assertEqual(formOf(parse(data)), form(expected))
        self.assertEqual(rendered.head, f"<{element.name}".encode())

    @given(TEXT)
    def test_escape(self, text: str) -> None:
        """Text and attributes survive whatever is in them."""
        tree = etree.fromstring(f"<a b='{escapeAttribute(text)}' c=\"{escapeAttribute(text)}\">{escapeText(text)}</a>")
        self.assertEqual((tree.get("b"), tree.get("c"), tree.text or ""), (text, text, text))

    def test_nothingToEscape(self) -> None:
        """Text that needs no escaping is the same object."""
        text = "just text, äöü"
        self.assertIs(escapeText(text), text)
        self.assertIs(escapeAttribute(text), text)

    def test_namespaces(self) -> None:
        """A namespace is written where it changes: not for the stream's own, and not for children in their parent's."""
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
        """An element without a namespace is in whichever is around it."""
        element = Element((None, "a"))
        element.children.append(Element((None, "b")))
        element.add("c", ns.CLIENT)
        self.assertEqual(render(element), b"<a><b/><c/></a>")

    def test_xmlNamespace(self) -> None:
        """The namespace of XML is never declared: its prefix is."""
        message = stanza("message")
        thing = message.add("thing", ns.XML)
        thing.add("inner", ns.CLIENT, "text")
        thing.attributes[ns.XML, "lang"] = "de"
        rendered = render(message)
        self.assertEqual(rendered, b"<message><xml:thing xml:lang='de'><inner>text</inner></xml:thing></message>")

    def test_prefixedAttributes(self) -> None:
        """
        Attributes in namespaces get prefixes of their own, also if one namespace has several; no namespace needs none.
        """
        attributes = {("urn:1", "x"): "1", ("urn:1", "y"): "2", ("urn:2", "x"): "3", ("", "z"): "4"}
        element = Element((ns.CLIENT, "a"), None, attributes)
        tree = parse(render(element))
        self.assertEqual(dict(tree.attrib), {"{urn:1}x": "1", "{urn:1}y": "2", "{urn:2}x": "3", "z": "4"})

    def test_otherStrings(self) -> None:
        """Serialised XML is written as it is, and any other kind of string is text."""

        class Text(str):
            """A string of another class."""

            __slots__ = ()

        element = Element((ns.CLIENT, "a"))
        element.addRawXml("<b/>")
        element.children.append(Text("<c/>"))
        self.assertEqual(render(element), b"<a><b/>&lt;c/&gt;</a>")

    def test_domish(self) -> None:
        """Elements of domish are rendered like ours."""
        theirs = domish.Element((ns.CLIENT, "a"))
        theirs.addElement(("urn:x", "b"), content="<")
        self.assertEqual(render(theirs), b"<a><b xmlns='urn:x'>&lt;</b></a>")
