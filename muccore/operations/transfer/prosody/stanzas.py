# -*- test-case-name: tests.operations.transfer.prosody.test_stanzas -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Elements as Prosody keeps them: a table with the name, a table of attributes, and the children as its values. The
namespace is an attribute, and that of the parent without one.
"""

from __future__ import annotations

from muccore.operations.transfer.foreignelements import DEPTH_LIMIT, checkText, foreignElement
from muccore.operations.transfer.pieces import DataError
from muccore.operations.transfer.prosody.luadata import LuaTable, LuaValue
from muccore.xmpp import ns
from muccore.xmpp.element import Element


def elementOf(value: LuaValue, uri: str = ns.CLIENT) -> Element:
    """
    Make an element.

    @param uri: its namespace, if it has none of its own.
    @raise DataError: if it is none.
    """
    return _elementOf(value, uri, 0)


def _elementOf(value: LuaValue, uri: str, depth: int) -> Element:
    if not isinstance(value, LuaTable):
        raise DataError("it is no element")
    name, attributes = value.text("name"), value.table("attr")
    if name is None or attributes is None or depth > DEPTH_LIMIT:
        raise DataError("it is no element")
    uri = attributes.text("xmlns") or uri
    made = foreignElement(
        uri,
        name,
        {
            _attributeName(key): text
            for key, text in attributes.named.items()
            if isinstance(text, str) and key != "xmlns"
        },
    )
    for child in value.values:
        made.children.append(checkText(child) if isinstance(child, str) else _elementOf(child, uri, depth + 1))
    return made


def _attributeName(key: str) -> str | tuple[str, str]:
    """Split the name of an attribute in a namespace: Prosody 0.9 and later has a control character in it."""
    for separator in ("\x01", "|"):
        space, found, name = key.rpartition(separator)
        if found:
            return space, name
    return key
