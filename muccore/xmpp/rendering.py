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


def toAttribute(address: str) -> bytes:
    """C{b" to='...'"} for L{Rendered.addressed}."""
    return f" to='{escapeAttribute(address)}'".encode()


class Rendered:
    """
    A stanza rendered once for many recipients.

    @ivar head: what precedes the C{to} attribute, such as C{b"<message"}.
    @ivar tail: what follows it.
    """

    __slots__ = ("head", "tail")

    def __init__(self, head: bytes, tail: bytes) -> None:
        self.head = head
        self.tail = tail

    @classmethod
    def of(cls, element: domish.Element) -> Rendered:
        """Render a stanza without its own C{to}."""
        parts: list[str] = []
        _write(element, parts, ns.CLIENT, "to")
        return cls(parts[0].encode("utf-8"), "".join(parts[1:]).encode("utf-8"))

    def addressed(self, to: bytes) -> bytes:
        """
        The whole stanza for one recipient.

        @param to: from L{toAttribute}.
        """
        return self.head + to + self.tail
