# -*- test-case-name: tests.operations.transfer.test_foreignelements -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Texts that another server has kept, which may be no Unicode, and elements made of them, which may be no XML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from muccore.operations.transfer.pieces import DataError
from muccore.xmpp import ns
from muccore.xmpp.element import Element

DEPTH_LIMIT: Final = 60
"""The maximum depth of elements; a stream of clients takes fewer."""

_NAME: Final = re.compile(r"[^\W\d][\w.\u00b7-]*")
_NO_CHARACTER: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_XML_PREFIX: Final = "xml:"
_SHOWN: Final = 100


def foreignElement(uri: str, name: str, attributes: Mapping[str | tuple[str, str], str]) -> Element:
    """
    Make an element without children.

    @param uri: its namespace.
    @param attributes: by name, or namespace and name; C{xml:lang} is both.
    @raise DataError: if something is not allowed in XML.
    """
    made: dict[str | tuple[str, str], str] = {}
    for key, value in attributes.items():
        space, local = key if isinstance(key, tuple) else ("", key)
        if not space and local.startswith(_XML_PREFIX):
            space, local = ns.XML, local.removeprefix(_XML_PREFIX)
        _checkName(local)
        made[(checkText(space), local) if space else local] = checkText(value)
    _checkName(name)
    return Element((checkText(uri), name), None, made)


def checkText(text: str) -> str:
    """
    Check that XML may have a text (XML 1.0 §2.2), and return it.

    @raise DataError: if it has other characters, or is no Unicode.
    """
    if _NO_CHARACTER.search(text) is not None:
        raise DataError("it has characters that XML does not allow")
    return text


def shown(text: str) -> str:
    """What is shown of a text of another server: at most 100 characters, none of which does anything to a terminal."""
    return "".join(each if each.isprintable() else "?" for each in text[:_SHOWN])


def withoutChildren(element: Element, removed: Iterable[Element]) -> None:
    """Remove child elements."""
    identities = {id(each) for each in removed}
    element.children = [each for each in element.children if id(each) not in identities]


def _checkName(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise DataError("it has a name that XML does not allow")
