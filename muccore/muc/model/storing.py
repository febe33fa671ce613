# -*- test-case-name: tests.muc.model.test_storing -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Which messages of a room are kept: in its history, and in its archive (XEP-0313 §6.1.2, XEP-0334).

Retractions (XEP-0424 §5.2) are kept whatever their senders want: without them, those who come later would still show
what was retracted.
"""

from __future__ import annotations

from typing import Final

from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.retractions import isRetraction

_SPOKEN: Final = frozenset({(ns.CLIENT, "body"), (ns.HINTS, "store")})
_CONTENT: Final = _SPOKEN | {(ns.CLIENT, "subject")}
_REFUSALS: Final = frozenset({(ns.HINTS, "no-store"), (ns.HINTS, "no-permanent-store")})


def isKept(message: Element) -> bool:
    """Whether the history keeps a message: it has a body, and its sender does not mind; or it is a retraction."""
    isWanted = message.child("body") is not None and message.child("no-store", ns.HINTS) is None
    return isWanted or isRetraction(message)


def isRemembered(message: Element) -> bool:
    """
    Whether a room remembers who wrote a message, kept or not: it has a body, or is worth storing to its sender as
    encrypted ones are. Its author may correct or retract it.
    """
    return not _SPOKEN.isdisjoint(_names(message))


def isArchived(message: Element) -> bool:
    """
    Whether an archive keeps a message: it has a body or a subject, or its sender wants that, unless they mind; or it is
    a retraction.
    """
    isWanted = False
    for child in message.children:
        if not isinstance(child, str):
            name = child.uri, child.name
            if name in _REFUSALS:
                isWanted = False
                break
            isWanted = isWanted or name in _CONTENT
    return isWanted or isRetraction(message)


def _names(message: Element) -> set[tuple[str | None, str]]:
    return {(child.uri, child.name) for child in message.children if not isinstance(child, str)}
