# -*- test-case-name: tests.xmpp.test_rsm -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Result sets: requesting a list page by page (XEP-0059)."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
    The page requested. At most one of C{after}, C{before} and C{index} is given; none of them requests the first page.

    @ivar limit: the maximum of items (C{<max/>}); 0 requests only the count (XEP-0059 §2.7); C{None} leaves it to the
        responder.
    @ivar after: the item that precedes the page.
    @ivar before: the item that follows the page; C{""} requests the last page.
    @ivar index: the number of items before the page.
    """

    limit: int | None = None
    after: str | None = None
    before: str | None = None
    index: int | None = None


def _number(element: Element) -> int:
    text = element.text().strip()
    if not _NUMBER.fullmatch(text):
        raise StanzaError("bad-request", text=f"<{element.name}/> of a result set must be a number")
    return int(text)


def parse(parent: Element) -> PageRequest | None:
    """
    Read the C{<set/>} in a request's payload; C{None} if there is none.

    @raise StanzaError: C{bad-request} if it contradicts itself or has an invalid number.
    """
    requested = parent.child("set", ns.RSM)
    if requested is None:
        return None
    found: dict[str, Element] = {}
    for child in requested.childElements():
        if child.uri == ns.RSM and child.name in ("max", "after", "before", "index"):
            if child.name in found:
                raise StanzaError("bad-request", text=f"a result set has only one <{child.name}/>")
            found[child.name] = child
    if len(found) - ("max" in found) > 1:
        raise StanzaError("bad-request", text="a result set has only one of <after/>, <before/> and <index/>")
    after = found["after"].text() if "after" in found else None
    return PageRequest(
        _number(found["max"]) if "max" in found else None,
        # COMPAT: some clients request the first page with an empty <after/>.
        after or None,
        found["before"].text() if "before" in found else None,
        _number(found["index"]) if "index" in found else None,
    )


def select(page: PageRequest, items: Sequence[str], limit: int) -> tuple[int, Sequence[str]]:
    """
    Select a page of items that have no order of their own.

    @param limit: the maximum of items.
    @return: the number of items before the page, and the page.
    @raise StanzaError: C{item-not-found} if the item before or after the page does not exist any more (XEP-0059 §2.4).
    """
    try:
        if page.before is not None:
            end = items.index(page.before) if page.before else len(items)
            start = max(end - limit, 0)
            return start, items[start:end]
        start = (page.index or 0) if page.after is None else items.index(page.after) + 1
    except ValueError:
        raise StanzaError("item-not-found") from None
    return start, items[start : start + limit]


def render(
    first: str | None = None, last: str | None = None, index: int | None = None, count: int | None = None
) -> Element:
    """
    Build the C{<set/>} for a page.

    @param first: the first item of the page, or C{None} for an empty page.
    @param last: its last item.
    @param index: the number of items before the page, if known.
    @param count: the number of all items, if known.
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
