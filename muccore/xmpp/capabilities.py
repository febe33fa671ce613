# -*- test-case-name: tests.xmpp.test_capabilities -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The versions of what C{disco#info} returns (XEP-0115 §5.1)."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from muccore.xmpp import ns
from muccore.xmpp.element import Element

HASHES: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "sha-1": lambda data: hashlib.sha1(data, usedforsecurity=False),
    "sha-256": hashlib.sha256,
    "sha-512": hashlib.sha512,
}
"""The hash functions, by their names (§5.1)."""


def versionOf(query: Element, algorithm: str = "sha-1") -> str:
    """
    Compute the version of the result of C{disco#info}.

    @param query: its element C{query}; forms without a hidden C{FORM_TYPE} do not count (§5.4).
    @param algorithm: one of L{HASHES}.
    """
    identities, features = [], []
    forms: list[list[bytes]] = []
    for child in query.childElements():
        if child.name == "identity":
            language: str | None = child.attributes.get((ns.XML, "lang"))
            names = (child.get("category"), child.get("type"), language, child.get("name"))
            identities.append(tuple((name or "").encode() for name in names))
        elif child.name == "feature":
            features.append((child.get("var") or "").encode())
        elif (child.uri, child.name) == (ns.DATA, "x"):
            forms.extend(_form(child))
    parts = [b"/".join(identity) for identity in sorted(identities)]
    parts += sorted(features)
    parts += [part for form in sorted(forms) for part in form]
    digest = HASHES[algorithm](b"".join(part + b"<" for part in parts)).digest()
    return b64encode(digest).decode()


def isWellFormed(query: Element) -> bool:
    """Whether information may be kept for all who have its version: nothing in it is there twice (§5.4)."""
    seen: set[object] = set()
    for child in query.childElements():
        if child.name == "identity":
            language = child.attributes.get((ns.XML, "lang"))
            key: object = ("identity", child.get("category"), child.get("type"), language, child.get("name"))
        elif child.name == "feature":
            key = ("feature", child.get("var"))
        elif (child.uri, child.name) == (ns.DATA, "x"):
            kinds = {
                value.text()
                for field in child.childElements()
                if (field.name, field.get("var"), field.get("type")) == ("field", "FORM_TYPE", "hidden")
                for value in field.childElements()
            }
            if not kinds:
                continue
            if len(kinds) > 1:
                return False
            key = ("form", *kinds)
        else:
            continue
        if key in seen:
            return False
        seen.add(key)
    return True


def _form(form: Element) -> Iterator[list[bytes]]:
    """What counts of a form, its type first, if anything does."""
    kind: list[bytes] = []
    fields = []
    for field in form.childElements():
        if field.name == "field":
            values = sorted(value.text().encode() for value in field.childElements() if value.name == "value")
            if field.get("var") != "FORM_TYPE":
                fields.append([(field.get("var") or "").encode(), *values])
            elif field.get("type") == "hidden":
                kind = values[:1]
    if kind:
        yield [*kind, *(part for field in sorted(fields) for part in field)]
