# -*- test-case-name: tests.operations.transfer.test_documentwriter -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Elements between the server, which renders them without C{jabber:client}, and documents, which lxml reads and writes.

What is read here may come from anywhere: no entity is expanded and nothing is fetched.
"""

from __future__ import annotations

from typing import Any, Final

from lxml import etree

from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import escapeAttribute, render

SAFE: Final[dict[str, Any]] = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}
"""The options of every parser. libxml2 bounds depth and texts by itself (256 levels, 10 MB)."""


def toElement(node: Any) -> Element:
    """Make an element of a node and all below it; comments and processing instructions are left out."""
    made = Element(_split(node.tag), None, {_attribute(name): str(value) for name, value in node.attrib.items()})
    text = node.text or ""
    for child in node:
        if isinstance(child.tag, str):
            if text:
                made.children.append(text)
            made.children.append(toElement(child))
            text = ""
        text += child.tail or ""
    if text:
        made.children.append(text)
    return made


def _split(tag: str) -> tuple[str, str]:
    name = etree.QName(tag)
    return name.namespace or "", name.localname


def _attribute(name: str) -> Any:
    uri, local = _split(name)
    return (uri, local) if uri else local


def toNode(rendered: bytes, uri: str = ns.CLIENT) -> Any:
    """
    Parse an element that the server has rendered.

    @param uri: the namespace that it does not declare.
    @raise ValueError: if it is not well-formed.
    """
    parser = etree.XMLParser(**SAFE)
    try:
        found = etree.fromstring(f"<x xmlns='{escapeAttribute(uri)}'>".encode() + rendered + b"</x>", parser)
    except etree.XMLSyntaxError as e:
        raise ValueError(f"it is not XML: {e}") from None
    if len(found) != 1:
        raise ValueError("it is not one element")
    return found[0]


def nodeOf(element: Element) -> Any:
    """Make a node of an element."""
    return toNode(render(element))


def parseElement(rendered: bytes, uri: str = ns.CLIENT) -> Element:
    """Parse an element that the server has rendered; as L{toNode}."""
    return toElement(toNode(rendered, uri))
