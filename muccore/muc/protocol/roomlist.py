# -*- test-case-name: tests.muc.protocol.test_roomlist -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The list of a service's public rooms (XEP-0045 §6.3), in pages (XEP-0059)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred

from muccore.interfaces import PublicRooms
from muccore.muc.service.rooms import Rooms
from muccore.muc.service.storefailures import storeFailed
from muccore.xmpp import ns, rsm
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, parse

PAGE: Final = 100
"""Rooms in a list if the request has no limit."""

LIMIT: Final = 1000
"""Maximum number of rooms in a page."""

WAITING: Final = 4
"""Pending lists of one account, since reads and changes of rooms queue behind them in the store."""


_T = TypeVar("_T")


def requestList(rooms: Rooms, account: str, request: Callable[[], Deferred[_T]]) -> Deferred[_T]:
    """
    Request a list from the store.

    @param account: the requester's bare JID.
    @raise StanzaError: C{resource-constraint} if L{WAITING} of the account are pending.
    """
    if rooms.pendingLists[account] >= WAITING:
        raise StanzaError("resource-constraint", text="Too many of your requests for lists are still being answered.")
    rooms.pendingLists[account] += 1

    def answered(result: Any) -> Any:
        rooms.pendingLists[account] -= 1
        if not rooms.pendingLists[account]:
            del rooms.pendingLists[account]
        return result

    return request().addBoth(answered)


def checkMayList(rooms: Rooms, user: JID) -> None:
    """@raise StanzaError: C{forbidden} if somebody may not list the public rooms."""
    if not rooms.settings.isFor(rooms.settings.listing, user):
        raise StanzaError("forbidden", text="The rooms here are listed to users of this server only.")


def listRooms(rooms: Rooms, account: str, query: Element) -> Deferred[Any]:
    """
    List the public rooms, or a page of them.

    @param account: the requester's bare JID.
    @param query: the payload of the request.
    @raise StanzaError: C{bad-request} for a contradictory page, C{feature-not-implemented} for a page by index,
        C{resource-constraint} for too many pending requests, C{forbidden} as L{checkMayList}.
    """
    checkMayList(rooms, parse(account))
    page = rsm.parse(query)
    requested = page or rsm.PageRequest()
    if requested.index is not None:
        raise StanzaError("feature-not-implemented", text="Pages of the room list cannot be requested by index.")
    limit = PAGE if requested.limit is None else min(requested.limit, LIMIT)
    arguments = rooms.domain, requested.after, requested.before, limit
    finding = requestList(rooms, account, lambda: rooms.store.publicRooms(*arguments))
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
