# -*- test-case-name: tests.xmpp.test_rsm -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Asking for a list page by page (XEP-0059)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.specs import Spec

implements = (Spec(59, "Result Set Management", "1.0"),)

_NUMBER: Final = re.compile("[0-9]{1,9}")


@dataclass(frozen=True)
class PageRequest:
    """
    What page is asked for. At most one of C{after}, C{before} and C{index} is given; none of them means the first
    page.

    @ivar limit: how many items at the most (C{<max/>}); 0 asks for the count only (XEP-0059 §2.7); C{None}: whatever
        the responder sees fit.
    @ivar after: the item right before the page.
    @ivar before: the item right behind the page; C{""}: the last page.
    @ivar index: how many items stand before the page.
    """

    limit: int | None = None
    after: str | None = None
    before: str | None = None
    index: int | None = None


def _number(element: Element) -> int:
    text = element.text().strip()
    if not _NUMBER.fullmatch(text):
        raise StanzaError("bad-request", text=f"<{element.name}/> of a result set has to be a number")
    return int(text)


def parse(parent: Element) -> PageRequest | None:
    """
    What page is asked for by the C{<set/>} in a request's payload; C{None} if there is no C{<set/>}.

    @raise StanzaError: C{bad-request} if it contradicts itself or a number is none.
    """
    asked = parent.child("set", ns.RSM)
    if asked is None:
        return None
    found: dict[str, Element] = {}
    for child in asked.childElements():
        if child.uri == ns.RSM and child.name in ("max", "after", "before", "index"):
            if child.name in found:
                raise StanzaError("bad-request", text=f"a result set has one <{child.name}/>")
            found[child.name] = child
    if len(found) - ("max" in found) > 1:
        raise StanzaError("bad-request", text="a result set has one of <after/>, <before/> and <index/>")
    after = found["after"].text() if "after" in found else None
    return PageRequest(
        _number(found["max"]) if "max" in found else None,
        # COMPAT: an empty <after/> comes from clients that start at the first page with it.
        after or None,
        found["before"].text() if "before" in found else None,
        _number(found["index"]) if "index" in found else None,
    )


def render(
    first: str | None = None, last: str | None = None, index: int | None = None, count: int | None = None
) -> Element:
    """
    The C{<set/>} that goes with a page.

    @param first: the first item of the page, or C{None} for a page with nothing in it.
    @param last: its last item.
    @param index: how many items stand before the page, if that is known.
    @param count: how many items there are in all, if that is known.
    """
    made = Element((ns.RSM, "set"))
    if first is not None and last is not None:
        element = made.add("first", text=first)
        if index is not None:
            element.attributes["index"] = str(index)
        made.add("last", text=last)
    if count is not None:
        made.add("count", text=str(count))
    return made
