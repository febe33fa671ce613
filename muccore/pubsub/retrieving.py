# -*- test-case-name: tests.pubsub.test_retrieving -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Retrieving items (XEP-0060 §6.5), page by page if there are many (XEP-0059)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from muccore.interfaces import ItemPage, ItemQuery, PubSubItem
from muccore.pubsub.events import itemElement
from muccore.pubsub.model.access import checkRetrieve
from muccore.pubsub.model.errors import refusal, unsupported
from muccore.pubsub.model.node import Node
from muccore.pubsub.request import Request
from muccore.pubsub.service import PubSubService, payload
from muccore.xmpp import ns, rsm
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError

PAGE: Final = 2000
"""Items in one answer."""

ANSWER_SIZE: Final = 1024 * 1024
"""Bytes of payloads in one answer, but for one that is larger."""

_NUMBER: Final = re.compile("[0-9]{1,9}")


async def getItems(service: PubSubService, request: Request) -> Any:
    """Return items: all, the newest ones, a page, or those with some ids."""
    name = request.node
    async with service.reading(request.sender, request.iq):
        await service.prepareReading(request)
        node = await service.existing(request)
        checkRetrieve(node, request.bare, await service.relation(request.service, request.bare))
        _checkSubid(node, request)
        if not node.configuration.persistItems:
            raise unsupported("persistent-items")
        wanted = [child for child in request.action.childElements() if (child.uri, child.name) == (ns.PUBSUB, "item")]
        listed = Element((ns.PUBSUB, "items"), None, {"node": name})
        children = [listed]
        if wanted:
            found: Sequence[PubSubItem] = await _findItems(service, node, [item.get("id") or "" for item in wanted])
        else:
            page, asked = await _findPage(service, node, request)
            found = page.items
            if asked or len(found) < page.count:
                first, last = (found[0].id, found[-1].id) if found else (None, None)
                children.append(rsm.render(first, last, page.index, page.count))
        listed.children.extend(itemElement(item, ns.PUBSUB) for item in found)
        return service.answer(request, payload(request, *children))


def _checkSubid(node: Node, request: Request) -> None:
    """Check the identifier of a subscription, which need not be given: nobody has two of one JID (§6.5.9.2)."""
    subid = request.action.get("subid")
    subscriptions = node.subscriptionsOf(request.bare).values()
    if subid is not None and subscriptions and all(each.subid != subid for each in subscriptions):
        raise refusal("not-acceptable", "invalid-subid")


async def _findItems(service: PubSubService, node: Node, ids: Sequence[str]) -> list[PubSubItem]:
    since = node.configuration.since(service.parent.now())
    found: list[PubSubItem] = []
    size = 0
    # One by one: together they may be too large for the memory.
    for id in dict.fromkeys(ids):
        for item in await service.store.find(node.service, node.name, [id], since):
            size += len(item.payload)
            if size > ANSWER_SIZE and found:
                raise StanzaError("policy-violation", text="These are too many items at once; request some of them.")
            found.append(item)
    return found


async def _findPage(service: PubSubService, node: Node, request: Request) -> tuple[ItemPage, bool]:
    """Find a page; return it, and whether one was asked for. Without, it is the newest ones."""
    asked = rsm.parse(request.pubsub)
    newest = request.action.get("max_items")
    if newest is not None and not _NUMBER.fullmatch(newest):
        raise StanzaError("bad-request", text="max_items must be a number")
    limit = PAGE if newest is None else min(PAGE, int(newest))
    since = node.configuration.since(service.parent.now())
    if asked is None:
        query = ItemQuery(limit, ANSWER_SIZE, since, newest=True)
    else:
        query = ItemQuery(
            limit if asked.limit is None else min(asked.limit, limit),
            ANSWER_SIZE,
            since,
            asked.after,
            asked.before or None,
            asked.index,
            asked.before == "",
        )
    found = await service.store.items(node.service, node.name, query)
    if found is None:
        # The item before or after the page does not exist any more (XEP-0059 §2.4).
        raise StanzaError("item-not-found")
    return found, asked is not None
