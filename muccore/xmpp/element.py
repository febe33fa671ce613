# -*- test-case-name: tests.xmpp.test_element -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
XML elements and stanzas.

L{Element} is a C{domish.Element}, for wokkel's handlers, with slots, to be cheap. Inside the server, stanzas are in
C{jabber:client}, whichever stream they came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from twisted.words.xish import domish

from muccore.xmpp import ns


class Element(domish.Element):
    """
    An XML element: C{uri}, C{name}, C{attributes}, C{children}; see C{domish.Element} for the rest.

    Attribute keys are names, or C{(uri, name)} for attributes in a namespace. C{parent} is set by L{setParents} only:
    with it, each stanza would be a reference cycle, and the garbage collector runs rarely.
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
        """Get the value of an attribute, or C{None}."""
        return self.attributes.get(attribute)

    def add(self, name: str, /, uri: str | None = None, text: str = "", **attributes: str) -> Element:
        """Append a child element with character data and return it; C{uri} is C{None} for this element's namespace."""
        child = Element((self.uri if uri is None else uri, name), None, attributes)
        if text:
            child.children.append(text)
        self.children.append(child)
        return child

    def child(self, name: str, uri: str | None = None) -> Element | None:
        """Find the first child element of a name, in a namespace (C{None}: in this element's)."""
        if uri is None:
            uri = self.uri
        for child in self.children:
            if not isinstance(child, str) and child.name == name and child.uri == uri:
                return cast(Element, child)
        return None

    def childText(self, name: str) -> str | None:
        """The text of the first child element of a name in this element's namespace, or C{None} without one."""
        child = self.child(name)
        return None if child is None else child.text()

    def childElements(self) -> Iterator[Element]:
        """The child elements, in order."""
        return (child for child in self.children if not isinstance(child, str))

    def text(self) -> str:
        """The character data directly inside, joined; that of child elements is not included."""
        return "".join(child for child in self.children if isinstance(child, str))

    def copy(self) -> Element:
        """A copy that shares no element with this one."""
        return copyOf(self)


def setParents(element: domish.Element) -> None:
    """Set C{parent} on all descendants, as some of wokkel's handlers expect of a request."""
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
    @param attributes: C{to}, C{id} and others (write C{from_} for C{from}); C{None} leaves one out.
    """
    made = {key.rstrip("_"): value for key, value in attributes.items() if value is not None}
    if type is not None:
        made["type"] = type
    return Element((ns.CLIENT, name), None, made)


def reply(request: domish.Element, type: str | None = None) -> Element:
    """An empty stanza of the same name and id, of a type such as C{"result"}, addressed to the sender."""
    get = request.attributes.get
    return stanza(request.name, type, to=get("from"), from_=get("to"), id=get("id"))
