# -*- test-case-name: tests.pubsub.test_publishing -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The messages that tell of events (XEP-0060 §7.1.2, §7.2.2, §8, §12.21)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.words.xish.domish import SerializedXML

from muccore.interfaces import PubSubItem
from muccore.pubsub.model.node import Node
from muccore.pubsub.model.subscriptions import NONE, Subscription
from muccore.xmpp import ns
from muccore.xmpp.datetimes import stamp
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.uniqueids import newId


def eventOf(name: str, node: str) -> tuple[Element, Element]:
    """An event, and in it an element about a node, to be filled."""
    event = Element((ns.PUBSUB_EVENT, "event"))
    return event, event.add(name, node=node)


def itemEvent(node: Node, id: str, payload: Element | None) -> Element:
    """An item was published; with C{id} C{""} something has happened without one."""
    event, items = eventOf("items", node.name)
    if id:
        item = items.add("item", id=id)
        if payload is not None and node.configuration.deliverPayloads:
            item.children.append(payload)
    return event


def retractEvent(node: str, ids: Iterable[str]) -> Element:
    """Items were retracted."""
    event, items = eventOf("items", node)
    for id in ids:
        items.add("retract", id=id)
    return event


def subscriptionEvent(node: str, jid: str, subscription: Subscription | None) -> Element:
    """A subscription has another state, or has ended: C{None}."""
    event, element = eventOf("subscription", node)
    element.attributes["jid"] = jid
    element.attributes["subscription"] = NONE if subscription is None else subscription.state
    if subscription is not None:
        element.attributes["subid"] = subscription.subid
    return event


def message(service: str, payload: Element, type: str | None = "headline", to: str | None = None) -> Element:
    """A message of a service, with an id of its own."""
    made = stanza("message", None if type == "normal" else type, from_=service, to=to, id=newId())
    made.children.append(payload)
    return made


def lastItemMessage(node: Node, item: PubSubItem) -> Element:
    """The message with an item that was published earlier (§6.1.7), without an address."""
    event, items = eventOf("items", node.name)
    items.children.append(itemElement(item, ns.PUBSUB_EVENT, node.configuration.deliverPayloads))
    made = message(node.service, event, node.configuration.notificationType)
    made.add("delay", ns.DELAY, stamp=stamp(item.time))
    return made


def itemElement(item: PubSubItem, uri: str, withPayload: bool = True) -> Element:
    """An item that was stored, in a namespace; its payload is the bytes that were stored."""
    element = Element((uri, "item"), None, {"id": item.id})
    if item.payload and withPayload:
        content: Any = SerializedXML(item.payload.decode())
        element.children.append(content)
    return element
