# -*- test-case-name: tests.pubsub.test_subscribing -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What subscribers and owners are told about subscriptions (XEP-0060 §6.1.7, §8.8.4, §12.21)."""

from __future__ import annotations

from muccore.pubsub import events
from muccore.pubsub.model.affiliations import OWNER
from muccore.pubsub.model.configuration import NEVER
from muccore.pubsub.model.node import Node
from muccore.pubsub.model.subscriptions import Subscription
from muccore.pubsub.service import PubSubService


def tellOwners(service: PubSubService, node: Node, address: str, subscription: Subscription | None) -> None:
    """Tell the owners who has subscribed, or unsubscribed (C{None}), if they want to know."""
    if node.configuration.notifySubscriptions:
        event = events.subscriptionEvent(node.name, address, subscription)
        for owner in node.withAffiliation(OWNER):
            service.send(events.message(node.service, event.copy(), to=owner))


def tellSubscriber(service: PubSubService, node: Node, address: str, subscription: Subscription | None) -> None:
    """Tell a subscriber that their subscription has another state, or has ended (C{None})."""
    event = events.subscriptionEvent(node.name, address, subscription)
    service.send(events.message(node.service, event, "normal", address))


async def sendLast(service: PubSubService, node: Node, address: str) -> None:
    """
    Send the last item to a new subscriber, if the node is configured so.

    @raise StoreError: if it cannot be read.
    """
    configuration = node.configuration
    if configuration.sendLast == NEVER or not (configuration.persistItems and configuration.deliverNotifications):
        return
    since = configuration.since(service.parent.now())
    for _, _, id in await service.store.latest([node.service], [node.name]):
        for item in await service.store.find(node.service, node.name, [id], since):
            message = events.lastItemMessage(node, item)
            message.attributes["to"] = address
            service.send(message)
