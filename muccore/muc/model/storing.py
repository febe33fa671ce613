# -*- test-case-name: tests.muc.model.test_storing -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Which messages of a room are kept: in its history, and in its archive (XEP-0313 §6.1.2, XEP-0334)."""

from __future__ import annotations

from typing import Final

from muccore.xmpp import ns
from muccore.xmpp.element import Element

_CONTENT: Final = frozenset({(ns.CLIENT, "body"), (ns.CLIENT, "subject"), (ns.HINTS, "store")})
_NO_STORE: Final = (ns.HINTS, "no-store")
_NO_PERMANENT_STORE: Final = (ns.HINTS, "no-permanent-store")


def isKept(message: Element) -> bool:
    """Whether the history keeps a message: it has a body, and its sender does not mind."""
    return message.child("body") is not None and _NO_STORE not in _names(message)


def isArchived(message: Element) -> bool:
    """Whether an archive keeps a message: it has a body or a subject, or its sender wants that, unless they mind."""
    names = _names(message)
    return not (_NO_STORE in names or _NO_PERMANENT_STORE in names) and not _CONTENT.isdisjoint(names)


def _names(message: Element) -> set[tuple[str | None, str]]:
    return {(child.uri, child.name) for child in message.childElements()}
