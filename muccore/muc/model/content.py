# -*- test-case-name: tests.muc.model.test_content -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Links and media in messages.

Media are files that clients show or offer: out-of-band data (XEP-0066), SIMS (XEP-0385), stateless file sharing
(XEP-0447, XEP-0448), stickers (XEP-0449), media elements (XEP-0221), bits of binary (XEP-0231), and images in XHTML-IM
(XEP-0071). Links are addresses in any text, and what marks links up. The address of a file that stands in the text as
well, for clients that know nothing else, is no link.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from muccore.xmpp import ns
from muccore.xmpp.element import Element

_MEDIA: Final = frozenset(
    {
        ns.OOB, ns.SIMS, ns.FILE_SHARING, ns.ENCRYPTED_FILE_SHARING, ns.STICKERS, ns.BITS_OF_BINARY, ns.MEDIA_ELEMENT,
    }
)  # fmt: skip

_MARKUP: Final = _MEDIA | {ns.REFERENCE, ns.XHTML, ns.RDF}
"""The namespaces of elements that are looked at more closely."""

_ADDRESSES: Final = (
    ("://", re.compile(r"://\S"), re.compile(r"[a-z0-9+.-]")),
    ("www.", re.compile(r"www\.\w"), re.compile(r"$|[^\w.@]")),
    ("xmpp:", re.compile(r"xmpp:\S"), re.compile(r"$|\W")),
    ("magnet:", re.compile(r"magnet:\S"), re.compile(r"$|\W")),
)
"""
What clients make a link of, in small letters: how it begins, the whole, and the character before it. The beginning is
found fast: a text may have the length of a stanza.
"""

_CANDIDATES: Final = 100
"""A text with more that might be addresses counts as having one."""

_ADDRESS_ATTRIBUTES: Final = ("target", "uri")
"""Where the sources of a file have its address: C{<url-data/>} (XEP-0103) and C{<reference/>} (XEP-0372)."""


def linksAndMedia(message: Element) -> tuple[bool, bool]:
    """Whether a message has links, and whether it has media. What is encrypted is not seen."""
    addresses: set[str] = set()
    texts: list[str] = []
    linked = hasMedia = False
    pending = [message]
    while pending:
        element = pending.pop()
        uri = element.uri
        if uri in _MARKUP:
            if _isMedia(element):
                hasMedia = True
                addresses.update(_addresses(element))
                continue
            linked = linked or _isLink(element)
        text = ""
        for child in element.children:
            if isinstance(child, str):
                text += child
            else:
                pending.append(child)
        if text:
            texts.append(text)
    return linked or (bool(texts) and _hasAddress(" ".join(texts), addresses)), hasMedia


def _isMedia(element: Element) -> bool:
    return element.uri in _MEDIA or (element.uri == ns.XHTML and element.name == "img")


def _isLink(element: Element) -> bool:
    """
    Whether an element marks a link up: in XHTML-IM, the description of a page (XEP-0511), or a reference to data
    (XEP-0372) that is not the place of a file in the text (XEP-0385).
    """
    if element.uri == ns.REFERENCE:
        return element.get("type") == "data" and not any(_isMedia(child) for child in element.childElements())
    return element.uri == ns.RDF or "href" in element.attributes


def _addresses(media: Element) -> Iterator[str]:
    """The addresses of a file."""
    pending = [media]
    while pending:
        element = pending.pop()
        yield element.text().strip()
        for name in _ADDRESS_ATTRIBUTES:
            yield element.get(name) or ""
        pending.extend(element.childElements())


def _hasAddress(text: str, known: set[str]) -> bool:
    """Whether a text has an address that is not one of the known ones alone."""
    if known and _isAddressIn(text):
        text = " ".join(word for word in text.split() if word not in known)
    return _isAddressIn(text)


def _isAddressIn(text: str) -> bool:
    lowered = text.lower()
    for beginning, address, preceding in _ADDRESSES:
        if beginning not in lowered:
            continue
        for index, found in enumerate(address.finditer(lowered)):
            if index == _CANDIDATES or preceding.match(lowered[max(0, found.start() - 1) : found.start()]):
                return True
    return False
