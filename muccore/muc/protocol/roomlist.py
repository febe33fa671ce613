# -*- test-case-name: tests.muc.protocol.test_roomlist -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Which rooms a chat service lists (XEP-0045 §6.3), page by page (XEP-0059)."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred

from muccore.interfaces import PublicRooms
from muccore.muc.service.rooms import Rooms, storeFailed
from muccore.xmpp import ns, rsm
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError

PAGE: Final = 100
"""How many rooms are listed to one who does not say how many he wants."""

LIMIT: Final = 1000
"""How many rooms are listed at once to one who does."""

WAITING: Final = 4
"""How many lists one account may be waiting for: whoever reads or changes a room waits behind them."""


def listRooms(rooms: Rooms, account: str, query: Element) -> Deferred[Any]:
    """
    List the public rooms, or a page of them.

    @param account: the bare JID of who asks.
    @param query: the payload of the request.
    @raise StanzaError: C{item-not-found} for a node, C{bad-request} for a page that contradicts itself,
        C{feature-not-implemented} for a page by its index, C{resource-constraint} for one who asks without waiting.
    """
    if query.get("node"):
        raise StanzaError("item-not-found")
    page = rsm.parse(query)
    asked = page or rsm.PageRequest()
    if asked.index is not None:
        raise StanzaError("feature-not-implemented", text="Pages of the room list cannot be requested by index.")
    limit = PAGE if asked.limit is None else min(asked.limit, LIMIT)
    if rooms.pendingLists[account] >= WAITING:
        raise StanzaError("resource-constraint", text="Too many of your room list requests are still being answered.")
    rooms.pendingLists[account] += 1

    def found(result: Any) -> Any:
        rooms.pendingLists[account] -= 1
        if not rooms.pendingLists[account]:
            del rooms.pendingLists[account]
        return result

    finding = rooms.store.publicRooms(rooms.domain, asked.after, asked.before, limit).addBoth(found)
    return finding.addCallbacks(_listed, storeFailed, callbackArgs=(page is not None,))


def _listed(found: PublicRooms, paged: bool) -> Element:
    answer = Element((ns.DISCO_ITEMS, "query"))
    for room, name in found.rooms:
        answer.add("item", jid=room, name=name or room.partition("@")[0])
    if paged or len(found.rooms) < found.count:
        rooms = found.rooms
        first, last = (rooms[0][0], rooms[-1][0]) if rooms else (None, None)
        answer.children.append(rsm.render(first, last, found.index, found.count))
    return answer
