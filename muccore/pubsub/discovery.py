# -*- test-case-name: tests.pubsub.test_discovery -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Service discovery of nodes and their items (XEP-0060 §5.2 to §5.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from wokkel import data_form, disco

from muccore.interfaces import ItemQuery
from muccore.pubsub.model.access import mayAccess
from muccore.pubsub.model.affiliations import OWNER, PUBLISHER
from muccore.pubsub.model.node import Node
from muccore.pubsub.model.subscriptions import SUBSCRIBED
from muccore.pubsub.service import PubSubService
from muccore.pubsub.storing import storing
from muccore.xmpp import ns
from muccore.xmpp.datetimes import stamp
from muccore.xmpp.discovery import wokkelJID
from muccore.xmpp.jid import JID

ITEMS: Final = 1000
"""Items of a node, and nodes of a service, that are listed."""

_ANSWER_SIZE: Final = 1024 * 1024


async def nodeInfo(service: PubSubService, address: str, requester: JID, name: str) -> list[Any]:
    """
    What a node is, for those who may access it; nothing if there is no such node, or they may not.

    @param address: that of the service.
    """
    with storing(address):
        node = await service.nodes.get(address, name)
        if node is None or not await _mayAccess(service, node, requester.bare):
            return []
    return [
        disco.DiscoIdentity("pubsub", "leaf", node.configuration.title or None),
        disco.DiscoFeature(ns.PUBSUB),
        data_form.Form("result", formNamespace=ns.PUBSUB_META_DATA, fields=list(_metaData(service, node))),
    ]


async def _mayAccess(service: PubSubService, node: Node, bare: str) -> bool:
    return mayAccess(node, bare, await service.relation(node.service, bare))


def _metaData(service: PubSubService, node: Node) -> Iterator[data_form.Field]:
    configuration = node.configuration
    maximum = configuration.maxItems
    subscribers = sum(each.state == SUBSCRIBED for each in node.subscriptions.values())
    for name, value in (
        ("title", configuration.title), ("description", configuration.description), ("type", configuration.type),
        ("language", configuration.language), ("creation_date", stamp(node.created)),
        ("access_model", configuration.accessModel), ("publish_model", configuration.publishModel),
        ("num_subscribers", str(subscribers)), ("max_items", "max" if maximum is None else str(maximum)),
    ):  # fmt: skip
        if value:
            yield data_form.Field("text-single", f"pubsub#{name}", value)
    yield data_form.Field("jid-single", "pubsub#creator", node.creator)
    for name, addresses in (
        ("contact", list(configuration.contact)), ("owner", node.withAffiliation(OWNER)),
        ("publisher", node.withAffiliation(PUBLISHER)),
    ):  # fmt: skip
        if addresses:
            yield data_form.Field("jid-multi", f"pubsub#{name}", values=addresses)


async def listNodes(service: PubSubService, address: JID, requester: JID) -> list[Any]:
    """List the nodes of a service that somebody may access."""
    made: list[Any] = []
    with storing(address.bare):
        async with service.reading(requester):
            for name in await service.store.nodes(address.bare, ITEMS):
                node = await service.nodes.get(address.bare, name)
                if node is not None and await _mayAccess(service, node, requester.bare):
                    made.append(disco.DiscoItem(wokkelJID(address), name, node.configuration.title or None))
    return made


async def listItems(service: PubSubService, address: JID, requester: JID, name: str) -> list[Any]:
    """List the items of a node by their ids, the newest ones if there are many, if somebody may access it."""
    with storing(address.bare):
        async with service.reading(requester):
            node = await service.nodes.get(address.bare, name)
            if node is None or not await _mayAccess(service, node, requester.bare):
                return []
            since = node.configuration.since(service.parent.now())
            page = await service.store.items(
                address.bare, name, ItemQuery(ITEMS, _ANSWER_SIZE, since, newest=True)
            )
    return [disco.DiscoItem(wokkelJID(address), "", item.id) for item in (() if page is None else page.items)]
