# -*- test-case-name: tests.xmpp.test_element -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
XML elements and how they are rendered.

L{Element} is a C{domish.Element}, so that wokkel's handlers can use it, with slots, so that it is cheap. Inside the
server stanzas are in C{jabber:client}, whatever stream they came from; the renderer never writes that namespace at
the top, since the stream's header declares it, and so the same bytes are right on every stream.

A stanza for many is rendered once, as a L{Rendered}: what stands before the C{to} attribute and what stands behind
it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Union, cast

from twisted.words.xish import domish

from muccore.xmpp import ns

Child = Union["Element", str]


class Element(domish.Element):
    """
    An XML element: C{uri}, C{name}, C{attributes}, C{children}; read C{domish.Element} for the rest.

    Attribute keys are names, or C{(uri, name)} for attributes in a namespace. C{parent} is not set by what is here, nor
    by the parser: with it each stanza would be a cycle, and the collector does not come often. Who needs it calls
    L{setParents}.
    """

    __slots__ = ("attributes", "children", "defaultUri", "handled", "localPrefixes", "name", "parent", "uri")

    uri: str | None
    name: str
    defaultUri: str | None
    attributes: dict[Any, str]
    children: list[Any]
    parent: Any
    localPrefixes: dict[str, str]
    handled: bool

    def __init__(
        self,
        qname: tuple[str | None, str],
        defaultUri: str | None = None,
        attribs: dict[Any, str] | None = None,
        localPrefixes: dict[str, str] | None = None,
    ) -> None:
        self.uri, self.name = qname
        self.defaultUri = self.uri if defaultUri is None else defaultUri
        self.attributes = {} if attribs is None else attribs
        self.localPrefixes = {} if localPrefixes is None else localPrefixes
        self.children = []
        self.parent = None
        self.handled = False

    def get(self, attribute: str) -> str | None:
        """The value of an attribute, or C{None}."""
        return self.attributes.get(attribute)

    def add(self, name: str, /, uri: str | None = None, text: str = "", **attributes: str) -> Element:
        """
        Append a child element and return it.

        @param name: its name.
        @param uri: its namespace; C{None} for this element's.
        @param text: its character data.
        @param attributes: its attributes.
        """
        child = Element((self.uri if uri is None else uri, name), None, attributes)
        if text:
            child.children.append(text)
        self.children.append(child)
        return child

    def child(self, name: str, uri: str | None = None) -> Element | None:
        """The first child element of that name, in that namespace (C{None}: in this element's)."""
        if uri is None:
            uri = self.uri
        for child in self.children:
            if not isinstance(child, str) and child.name == name and child.uri == uri:
                return cast(Element, child)
        return None

    def childElements(self) -> Iterator[Element]:
        """All children that are elements, in order."""
        return (child for child in self.children if not isinstance(child, str))

    def text(self) -> str:
        """The character data directly inside, joined."""
        return "".join(child for child in self.children if isinstance(child, str))

    def copy(self) -> Element:
        """A copy that shares no element with this one."""
        return copyOf(self)


def setParents(element: domish.Element) -> None:
    """Let all elements inside know what they are in, as some of wokkel's handlers expect of a request."""
    for child in element.children:
        if not isinstance(child, str):
            child.parent = element
            setParents(child)


def copyOf(element: domish.Element) -> Element:
    """Copy any C{domish.Element} into an L{Element}; nothing is shared."""
    copied = Element(
        (element.uri, element.name), element.defaultUri, dict(element.attributes), dict(element.localPrefixes)
    )
    for child in element.children:
        copied.children.append(child if isinstance(child, str) else copyOf(child))
    return copied


def stanza(name: str, type: str | None = None, **attributes: str | None) -> Element:
    """
    A new stanza in C{jabber:client}.

    @param name: C{"message"}, C{"presence"} or C{"iq"}.
    @param type: its type, or C{None}.
    @param attributes: C{to}, C{id} and others (write C{from_} for C{from}); C{None} leaves one out.
    """
    made = {key.rstrip("_"): value for key, value in attributes.items() if value is not None}
    if type is not None:
        made["type"] = type
    return Element((ns.CLIENT, name), None, made)


def reply(request: domish.Element, type: str | None = None) -> Element:
    """
    An empty stanza of the same name that goes back to the sender, with the same id.

    @param type: the reply's type, such as C{"result"}.
    """
    get = request.attributes.get
    return stanza(request.name, type, to=get("from"), from_=get("to"), id=get("id"))


_TEXT_SPECIAL: Final = re.compile("[&<>\r]")
_ATTRIBUTE_SPECIAL: Final = re.compile("[&<>'\"\t\n\r]")
_ESCAPES: Final[Mapping[str, str]] = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    "'": "&apos;",
    '"': "&quot;",
    "\t": "&#9;",
    "\n": "&#10;",
    "\r": "&#13;",
}


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES[match[0]]


def escapeText(text: str) -> str:
    """Escape character data."""
    return _TEXT_SPECIAL.sub(_escape, text) if _TEXT_SPECIAL.search(text) else text


def escapeAttribute(text: str) -> str:
    """Escape an attribute's value; white space other than the blank survives as well."""
    return _ATTRIBUTE_SPECIAL.sub(_escape, text) if _ATTRIBUTE_SPECIAL.search(text) else text


def _write(element: domish.Element, parts: list[str], inherited: str | None, skip: str | None) -> None:
    """
    Append the rendered element to C{parts}. The first part is C{<name}.

    @param inherited: the default namespace in scope.
    @param skip: an attribute to leave out of this element (not of its children).
    """
    append = parts.append
    name = element.name
    uri = element.uri
    if uri is None or uri == inherited:
        append(f"<{name}")
        uri = inherited
    elif uri == ns.XML:
        # May not be the default namespace, and is always bound to this prefix (Namespaces in XML 1.0 §3).
        name = f"xml:{name}"
        append(f"<{name}")
        uri = inherited
    else:
        append(f"<{name}")
        append(f" xmlns='{escapeAttribute(uri)}'")
    for key, value in element.attributes.items():
        if key == skip:
            continue
        if type(key) is tuple:
            if key[0] == ns.XML:
                key = f"xml:{key[1]}"
            elif not key[0]:
                key = key[1]
            else:
                prefix = f"a{len(parts)}"
                append(f" xmlns:{prefix}='{escapeAttribute(key[0])}'")
                key = f"{prefix}:{key[1]}"
        if _ATTRIBUTE_SPECIAL.search(value):
            value = _ATTRIBUTE_SPECIAL.sub(_escape, value)
        append(f" {key}='{value}'")
    children = element.children
    if not children:
        append("/>")
        return
    append(">")
    for child in children:
        if type(child) is str:
            append(_TEXT_SPECIAL.sub(_escape, child) if _TEXT_SPECIAL.search(child) else child)
        elif isinstance(child, str):
            # domish.SerializedXML is XML already; any other str subclass is text.
            append(child if isinstance(child, domish.SerializedXML) else escapeText(child))
        else:
            _write(child, parts, uri, None)
    append(f"</{name}>")


def render(element: domish.Element, inherited: str | None = ns.CLIENT) -> bytes:
    """Render an element for a stream whose default namespace is C{inherited}."""
    parts: list[str] = []
    _write(element, parts, inherited, None)
    return "".join(parts).encode("utf-8")


def toAttribute(address: str) -> bytes:
    """C{b" to='...'"} for L{Rendered.addressed}."""
    return f" to='{escapeAttribute(address)}'".encode()


class Rendered:
    """
    A stanza rendered once for many recipients.

    @ivar head: C{b"<message"} or the like.
    @ivar tail: everything behind the place of the C{to} attribute.
    """

    __slots__ = ("head", "tail")

    def __init__(self, head: bytes, tail: bytes) -> None:
        self.head = head
        self.tail = tail

    @classmethod
    def of(cls, element: domish.Element) -> Rendered:
        """Render a stanza, leaving its own C{to} out."""
        parts: list[str] = []
        _write(element, parts, ns.CLIENT, "to")
        return cls(parts[0].encode("utf-8"), "".join(parts[1:]).encode("utf-8"))

    def addressed(self, to: bytes) -> bytes:
        """
        The whole stanza for one recipient.

        @param to: from L{toAttribute}.
        """
        return self.head + to + self.tail
