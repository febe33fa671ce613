# -*- test-case-name: tests.pubsub.test_bookmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What the server itself publishes for an account: what its user has set elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from muccore.interfaces import ItemQuery, PubSubItem
from muccore.pubsub import events
from muccore.pubsub.model.affiliations import OUTCAST
from muccore.pubsub.model.configuration import PUBLISHERS, WHITELIST, NodeConfiguration
from muccore.pubsub.model.node import Node
from muccore.pubsub.model.publication import Publication
from muccore.pubsub.publishing import storePublication
from muccore.pubsub.service import PubSubService
from muccore.pubsub.storing import telling
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import render

_PAGE = 100
_PAGE_SIZE = 256 * 1024


def isPrivate(node: Node) -> bool:
    """Whether nobody but the owner of the service may read or write a node."""
    configuration = node.configuration
    others = [each for each in node.affiliations.values() if each != OUTCAST]
    return (configuration.accessModel, configuration.publishModel, others) == (WHITELIST, PUBLISHERS, [])


async def publishItem(
    service: PubSubService, account: str, name: str, id: str, payload: Element, by: JID,
    defaults: NodeConfiguration | None = None,
) -> None:  # fmt: skip
    """
    Publish an item of an account, if need be to a new node.

    @param by: the session that has caused it.
    @param defaults: the configuration of a new node; C{None}: the usual one of its name.
    @raise StoreError: if it cannot be stored.
    """
    async with service.writing(account, name):
        node = await service.nodes.get(account, name)
        isNew = node is None
        if node is None:
            configuration = service.defaultsFor(account, name) if defaults is None else defaults
            node = Node.create(account, name, configuration, account, service.parent.now(), service.ownerOf(account))
        publication = Publication(True, id, payload, render(payload, None))
        await storePublication(service, node, publication, account, isNew)
        with telling(account):
            await service.announce(node, events.itemEvent(node, id, payload), by)


async def retractItem(service: PubSubService, account: str, name: str, id: str, by: JID) -> None:
    """
    Retract an item of an account, and tell who wants to know.

    @param by: the session that has caused it.
    @raise StoreError: if it cannot be removed.
    """
    async with service.writing(account, name):
        node = await service.nodes.get(account, name)
        if node is not None:
            await service.store.retract(account, name, [id])
            with telling(account):
                await service.announce(node, events.retractEvent(name, [id]), by)


async def allItems(service: PubSubService, node: Node) -> AsyncIterator[PubSubItem]:
    """All items of a node, page by page; raises L{StoreError<muccore.interfaces.StoreError>}."""
    query = ItemQuery(_PAGE, _PAGE_SIZE, node.configuration.since(service.parent.now()))
    while True:
        page = await service.store.items(node.service, node.name, query)
        for item in () if page is None else page.items:
            yield item
        if page is None or not page.items or page.index + len(page.items) >= page.count:
            return
        query = replace(query, after=page.items[-1].id)


async def newestItem(service: PubSubService, account: str, name: str) -> PubSubItem | None:
    """The newest item of a node of an account, or C{None}; raises L{StoreError<muccore.interfaces.StoreError>}."""
    node = await service.nodes.get(account, name)
    if node is None:
        return None
    since = node.configuration.since(service.parent.now())
    page = await service.store.items(account, name, ItemQuery(1, 0, since, newest=True))
    return page.items[0] if page is not None and page.items else None
