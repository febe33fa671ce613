# -*- test-case-name: tests.stream.test_parser -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Resolution of namespaces while parsing (Namespaces in XML 1.0).

Expat would prepend the whole namespace to each prefixed name: a long namespace on many short names, which fits into
one stanza, would need gigabytes.
"""

from __future__ import annotations

import re
import unicodedata
from types import MappingProxyType
from typing import Any, Final, cast

from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError

_LANG: Final = (ns.XML, "lang")
_XMLNS: Final = "http://www.w3.org/2000/xmlns/"
_KNOWN: Final = frozenset(value for value in vars(ns).values() if isinstance(value, str))
_URI: Final = re.compile(r"(?:[A-Za-z0-9._~:/?#@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
_NAME_START: Final = frozenset(["Ll", "Lu", "Lt", "Lo", "Nl"])

NO_PREFIXES: Final = cast(dict[str, str], MappingProxyType({}))
"""The prefixes of all elements that declare none. Immutable, since it is shared."""

PLAIN_ATTRIBUTES: Final = frozenset(
    ["affiliation", "from", "id", "jid", "label", "mechanism", "nick", "node", "role", "to", "type", "var", "version"]
)
"""Common attributes that declare no namespaces."""

COMMON_NAMES: Final = {
    name: name
    for name in [
        "active", "auth", "bind", "body", "c", "composing", "delay", "destroy", "error", "feature", "field", "history",
        "identity", "iq", "item", "message", "password", "paused", "ping", "presence", "priority", "query", "reason",
        "resource", "response", "session", "set", "show", "status", "subject", "text", "thread", "value", "x",
    ]
}  # fmt: skip
"""Common names, interned to share their strings and hashes."""


def _checkName(name: str) -> str:
    """
    Check that a part of a prefixed name is a name by itself (§4). Expat checks only that it consists of name
    characters, any of which it allows after the colon.

    @raise StreamError: C{not-well-formed}.
    """
    if not name or ":" in name or not (name[0] == "_" or unicodedata.category(name[0]) in _NAME_START):
        raise StreamError("not-well-formed")
    return name


_USUAL: Final = {"xml": ns.XML, "stream": ns.STREAM}
"""The prefixes bound between stanzas on most streams. Shared: copied before a change."""


class Scope:
    """
    The prefixes bound at the current position of a stream.

    @ivar written: characters of the namespace declarations needed to render the elements entered: a whole namespace
        for each short name with a prefix. The parser resets it and enforces the limit.
    """

    __slots__ = ("_bound", "_content", "_shadowed", "written")

    def __init__(self, content: str) -> None:
        """@param content: the content namespace of the stream, which becomes C{jabber:client}."""
        self._content = content
        self._bound = _USUAL
        self._shadowed: list[dict[str, str | None]] = []
        self.written = 0

    @property
    def usual(self) -> bool:
        """Whether only the prefixes of most streams are bound, as in a new scope."""
        return self._bound is _USUAL

    def begin(self, root: Element, name: str, attributes: dict[str, str], around: Element) -> None:
        """Initialise the root of a stream, as L{enter}."""
        self._bound = {"xml": ns.XML}
        self.enter(root, name, attributes, around)
        self._shadowed = []
        if self._bound == _USUAL:
            self._bound = _USUAL

    def enter(self, element: Element, name: str, attributes: dict[str, str], parent: Element) -> None:
        """
        Initialise an element at its start tag, and bind the prefixes it declares.

        @param element: a new L{Element}; this sets everything that C{Element.__init__} would.
        @param attributes: its attributes; may be changed.
        @raise StreamError: C{bad-namespace-prefix} for an unbound prefix, C{not-well-formed} for what the
            recommendation forbids.
        """
        default = parent.defaultUri
        if "xmlns" in attributes:
            default = self._declare("", attributes.pop("xmlns"))
        resolved: dict[Any, str] = attributes
        declared = NO_PREFIXES
        for key in attributes:
            if ":" in key:
                declared = self._bind(attributes)
                resolved = self._resolveAttributes(attributes)
                break
        if ":" in name:
            uri, name = self._resolve(name)
        else:
            uri = cast(str, default)
        if uri != parent.uri:
            self.written += len(uri)
        element.uri = uri
        element.name = COMMON_NAMES.get(name, name)
        element.attributes = resolved
        element.defaultUri = default
        element.localPrefixes = declared
        element.children = []
        element.parent = parent
        element.handled = False

    def leave(self) -> None:
        """Unbind the prefixes declared by the element that ends here."""
        for prefix, uri in self._shadowed.pop().items():
            if uri is None:
                del self._bound[prefix]
            else:
                self._bound[prefix] = uri

    def _bind(self, attributes: dict[str, str]) -> dict[str, str]:
        """Bind the prefixes declared by an element, and return them."""
        declared = {}
        for key, uri in attributes.items():
            if key.startswith("xmlns:"):
                prefix = _checkName(key[6:])
                declared[prefix] = self._declare(prefix, uri)
        if not declared:
            return NO_PREFIXES
        if self._bound is _USUAL:
            self._bound = dict(_USUAL)
        self._shadowed.append({prefix: self._bound.get(prefix) for prefix in declared})
        self._bound.update(declared)
        return declared

    def _resolveAttributes(self, attributes: dict[str, str]) -> dict[Any, str]:
        """Resolve the names of attributes, and omit declarations."""
        resolved: dict[Any, str] = {}
        for key, value in attributes.items():
            if ":" not in key:
                resolved[key] = value
            elif key == "xml:lang":
                resolved[_LANG] = value
            elif not key.startswith("xmlns:"):
                qualified = self._resolve(key)
                if qualified in resolved:
                    raise StreamError("not-well-formed")
                self.written += len(qualified[0])
                resolved[qualified] = value
        return resolved

    def _declare(self, prefix: str, uri: str) -> str:
        """
        Check a declaration (§2.2, §3) and return its namespace as used inside the server. It must be a URI: the
        parsers of some clients fail otherwise, so that another client's stanza would end their streams.
        """
        if uri not in _KNOWN and not _URI.fullmatch(uri):
            raise StreamError("not-well-formed")
        if (prefix == "xml") != (uri == ns.XML) or prefix == "xmlns" or uri == _XMLNS or (prefix and not uri):
            raise StreamError("not-well-formed")
        return ns.CLIENT if uri == self._content else uri

    def _resolve(self, name: str) -> tuple[str, str]:
        prefix, _, local = name.partition(":")
        uri = self._bound.get(_checkName(prefix))
        if uri is None:
            raise StreamError("bad-namespace-prefix")
        return uri, _checkName(local)
