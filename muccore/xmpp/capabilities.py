# -*- test-case-name: tests.xmpp.test_capabilities -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The versions of what C{disco#info} returns (XEP-0115 §5.1)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha1

from muccore.xmpp import ns
from muccore.xmpp.element import Element


def versionOf(query: Element) -> str:
    """
    Compute the version of the result of C{disco#info}, with SHA-1.

    @param query: its element C{query}; forms without a hidden C{FORM_TYPE} do not count (§5.4).
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
    digest = sha1(b"".join(part + b"<" for part in parts), usedforsecurity=False).digest()
    return b64encode(digest).decode()


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
