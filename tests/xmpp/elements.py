# Copyright (c) The muccore authors. See LICENSE for details.
"""Arbitrary elements for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from muccore.xmpp import ns
from muccore.xmpp.element import Element

XML = st.characters(min_codepoint=32, exclude_categories=("Cs",), exclude_characters="\x7f\ufffe\uffff")
TEXT = st.text(st.one_of(XML, st.sampled_from("\t\n\r<>&'\"]")), max_size=12)
NAMESPACES = st.sampled_from([ns.CLIENT, "", "urn:x", "urn:'&", ns.XML])
KEYS = st.sampled_from(["to", "id", "b", (ns.XML, "lang"), ("urn:y", "to"), ("urn:x", "to")])


@st.composite
def elements(draw: Any, depth: int = 3) -> Element:
    """Elements with a maximum depth, and arbitrary text, attributes and namespaces."""
    uri = draw(NAMESPACES)
    element = Element((uri, draw(st.sampled_from(["a", "message", "x-1"]))), None, draw(st.dictionaries(KEYS, TEXT)))
    for kind in draw(st.lists(st.booleans(), max_size=3 if depth else 0)):
        if kind:
            element.addChild(draw(elements(depth - 1)))
        else:
            element.addContent(draw(TEXT))
    return element


def comparable(element: Any) -> Any:
    """An element as nested tuples and lists, which compare by content; adjacent text joined."""
    children: list[Any] = [""]
    for child in element.children:
        if isinstance(child, str):
            children[-1] += child
        else:
            children += [comparable(child), ""]
    attributes = {key if isinstance(key, str) else f"{{{key[0]}}}{key[1]}": v for key, v in element.attributes.items()}
    return (f"{{{element.uri}}}{element.name}" if element.uri else element.name, attributes, children)
