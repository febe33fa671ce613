# -*- test-case-name: tests.xmpp.test_rendering -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Rendering of elements to bytes.

C{jabber:client} is not declared on stanzas, since the stream's header declares it: the same bytes suit every stream. A
stanza for many recipients is rendered once, as a L{Rendered}: what precedes its C{to} attribute and what follows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from twisted.words.xish import domish

from muccore.xmpp import ns
from muccore.xmpp.element import Element, copyOf

_TEXT_SPECIAL: Final = re.compile("[&<>\r]")
_TYPE: Final = re.compile(rb" type='([^'&]*)'")
_ID: Final = re.compile(rb" id='([^']*)'")
_PERSONAL: Final[Mapping[bytes, tuple[str | None, ...]]] = {
    b"<message": (None, "normal", "chat"),
    b"<iq": ("get", "set"),
}
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
    """Escape an attribute's value, tabs and line breaks included."""
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
        # It must not be the default namespace, and is always bound to this prefix (Namespaces in XML 1.0 §3).
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
            # SerializedXML is XML; any other str subclass is text.
            append(child if isinstance(child, domish.SerializedXML) else escapeText(child))
        else:
            _write(child, parts, uri, None)
    append(f"</{name}>")


def render(element: domish.Element, inherited: str | None = ns.CLIENT) -> bytes:
    """Render an element for a stream whose default namespace is C{inherited}."""
    parts: list[str] = []
    _write(element, parts, inherited, None)
    return "".join(parts).encode("utf-8")


_TO: Final = b" to='"


def toAttribute(address: str) -> bytes:
    """C{b" to='...'"} for L{Rendered.addressed}."""
    return f" to='{escapeAttribute(address)}'".encode()


def fromAttribute(to: bytes) -> str:
    """The address in what L{toAttribute} has rendered."""
    if b"&" in to:
        return str(parseRendered(b"<to" + to + b"/>").attributes["to"])
    return to[len(_TO) : -1].decode()


def parseRendered(data: bytes) -> Element:
    """Parse an element that was rendered here."""
    found: list[domish.Element] = []
    parser = domish.elementStream()
    parser.DocumentStartEvent = parser.DocumentEndEvent = lambda *_: None
    parser.ElementEvent = found.append
    parser.parse(f"<stream xmlns='{ns.CLIENT}'>".encode() + data)
    return copyOf(found[0])


class Rendered:
    """
    A stanza rendered once for many recipients.

    @ivar head: what precedes the C{to} attribute, such as C{b"<message"}.
    @ivar tail: what follows it.
    @ivar parsed: L{element} if it is at hand; anybody may drop it to save memory.
    @ivar personal: L{isPersonal} if it is known.
    """

    __slots__ = ("head", "parsed", "personal", "tail")

    def __init__(self, head: bytes, tail: bytes, element: Element | None = None) -> None:
        """@param element: see L{element}; C{None} to parse it when it is asked for."""
        self.head = head
        self.tail = tail
        self.parsed = element
        self.personal: bool | None = None

    @classmethod
    def of(cls, element: Element) -> Rendered:
        """Render a stanza, which must not be changed from now on, without its own C{to}."""
        if type(element) is RenderedElement:
            return element.rendered
        parts: list[str] = []
        _write(element, parts, ns.CLIENT, "to")
        head = parts[0]
        parts[0] = ""
        return cls(head.encode("utf-8"), "".join(parts).encode("utf-8"), element)

    @property
    def size(self) -> int:
        """Its bytes without C{to}."""
        return len(self.head) + len(self.tail)

    @property
    def name(self) -> str:
        """C{"message"}, C{"presence"} or C{"iq"}."""
        return self.head[1:].decode("ascii")

    @property
    def type(self) -> str | None:
        """The C{type} attribute."""
        # The start tag ends at the first >, since attributes are escaped.
        match = _TYPE.search(self.tail, 0, self.tail.index(b">"))
        return None if match is None else match[1].decode("utf-8")

    def isPersonal(self) -> bool:
        """Whether it goes elsewhere if its recipient does not get it: a request, or a message of no room."""
        if self.personal is None:
            wanted = _PERSONAL.get(self.head)
            self.personal = wanted is not None and self.type in wanted
        return self.personal

    @property
    def id(self) -> str | None:
        """The C{id} attribute."""
        match = _ID.search(self.tail, 0, self.tail.index(b">"))
        if match is None:
            return None
        return self.element.attributes["id"] if b"&" in match[1] else match[1].decode("utf-8")

    @property
    def element(self) -> Element:
        """The stanza, to be copied before a change. Its C{to} may be that of another recipient: see L{elementTo}."""
        element = self.parsed
        if element is None:
            element = self.parsed = parseRendered(self.head + self.tail)
        return element

    def elementTo(self, to: bytes) -> Element:
        """A copy for one recipient (from L{toAttribute}; C{b""}: none), to bounce, store or forward."""
        copied = copyOf(self.element)
        copied.attributes.pop("to", None)
        if to:
            copied.attributes["to"] = fromAttribute(to)
        return copied

    def withoutElement(self) -> Rendered:
        """The same bytes without the element, to be kept for long."""
        return Rendered(self.head, self.tail)

    def extended(self, children: bytes) -> Rendered:
        """The stanza with further children, rendered, at its end."""
        tail = self.tail
        if tail.endswith(b"/>") and self.tail.index(b">") == len(tail) - 1:
            tail = b"%s>%s</%s>" % (tail[:-2], children, self.head[1:])
        else:
            end = len(self.head) + 2
            tail = tail[:-end] + children + tail[-end:]
        return Rendered(self.head, tail)

    def addressed(self, to: bytes) -> bytes:
        """The whole stanza for one recipient, from L{toAttribute}."""
        return self.head + to + self.tail


class OwnStanzas(list[Rendered]):
    """Stanzas that were rendered for one recipient, for C{deliverAll}: while they wait, nobody else needs them."""


class RenderedElement(Element):
    """
    A stanza that is rendered already, and must not be changed; a copy of it is an ordinary one.

    @ivar rendered: the same as L{Rendered}.
    """

    __slots__ = ("rendered",)

    rendered: Rendered

    @classmethod
    def extending(cls, element: Element, rendered: Rendered, child: Element, renderedChild: bytes) -> RenderedElement:
        """
        Add a child at the end of a stanza.

        @param element: the stanza.
        @param rendered: the same.
        @param renderedChild: the child.
        """
        children = [*element.children, child]
        # Not the one that is returned: with that, each would be a reference cycle.
        plain = Element((element.uri, element.name), None, dict(element.attributes))
        plain.children = children
        extended = rendered.extended(renderedChild)
        extended.parsed = plain
        made = cls((element.uri, element.name), None, plain.attributes)
        made.children = children
        made.rendered = extended
        return made


def withAddress(element: Element) -> tuple[Rendered, bytes]:
    """Render a stanza for one recipient: the arguments of C{send} and C{deliver}."""
    to = element.attributes.get("to")
    return Rendered.of(element), b"" if to is None else toAttribute(to)
