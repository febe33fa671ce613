# -*- test-case-name: tests.pubsub.test_subscribing -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Requests of subscribers (XEP-0060 §6.1 to §6.4), and about one's own subscriptions and affiliations (§5.6, §5.7)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from muccore.pubsub import approvals
from muccore.pubsub.model.access import checkSubscribe
from muccore.pubsub.model.affiliations import NONE, OWNER
from muccore.pubsub.model.errors import refusal
from muccore.pubsub.model.node import Node, Update
from muccore.pubsub.model.subscriptions import DEFAULT, PENDING, SUBSCRIBED, Subscription
from muccore.pubsub.notices import sendLast, tellOwners
from muccore.pubsub.request import Request
from muccore.pubsub.service import PubSubService, payload
from muccore.pubsub.storing import telling
from muccore.routing.handler import ANSWERED
from muccore.xmpp import dataforms, jid, ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import InvalidJID
from muccore.xmpp.uniqueids import newId

OWN_LIMIT: Final = 20
"""Subscriptions to one node of one bare JID, by its resources."""

JID_LIMIT: Final = 768
"""Bytes of an address that subscribes."""


def _subscriber(request: Request, absent: str) -> str:
    """
    The JID that a request is about.

    @param absent: the condition if it is missing.
    """
    text = request.action.get("jid")
    if not text:
        raise refusal("bad-request", absent)
    try:
        address = jid.parse(text)
    except InvalidJID as e:
        raise refusal("bad-request", "invalid-jid", str(e)) from None
    if len(address.full.encode()) > JID_LIMIT:
        raise refusal("bad-request", "invalid-jid", f"longer than {JID_LIMIT} bytes")
    return address.full


def _isSender(request: Request, address: str) -> bool:
    return address.partition("/")[0] == request.bare


def subscriptionElement(uri: str | None, node: str, address: str, subscription: Subscription | None) -> Element:
    """What tells of a subscription; C{None}: that there is none."""
    element = Element((uri, "subscription"), None, {"node": node, "jid": address})
    if subscription is None:
        element.attributes["subscription"] = "none"
    else:
        element.attributes["subid"] = subscription.subid
        element.attributes["subscription"] = subscription.state
    return element


async def subscribe(service: PubSubService, request: Request) -> Any:
    """Subscribe to a node (§6.1), perhaps with options (§6.3.7)."""
    address = _subscriber(request, "invalid-jid")
    if not _isSender(request, address):
        raise refusal("bad-request", "invalid-jid")
    hasOptions = request.companion("options") is not None
    options = DEFAULT.changed(request.form("options")) if hasOptions else None
    async with service.changing(request) as node:
        state = checkSubscribe(node, request.bare, await service.relation(request.service, request.bare))
        old = node.subscriptions.get(address)
        if old is not None and old.state == PENDING and state == PENDING:
            raise refusal("not-authorized", "pending-subscription")
        if old is None:
            _checkNumber(service, node, request.bare)
        made = Subscription(newId(), state) if old is None else replace(old, state=SUBSCRIBED)
        if options is not None:
            made = replace(made, options=options)
        if made != old:
            await service.commit(node, Update(subscriptions={address: made}))
        element = subscriptionElement(ns.PUBSUB, node.name, address, made)
        element.add("subscribe-options")
        children = [element]
        if options is not None:
            children.append(_optionsElement(request, made, "result"))
        service.answer(request, payload(request, *children))
        if made.state == PENDING:
            approvals.askOwners(service, node, address, made)
        elif old is None or old.state == PENDING:
            tellOwners(service, node, address, made)
            with telling(request.service):
                await sendLast(service, node, address)
    return ANSWERED


def _checkNumber(service: PubSubService, node: Node, bare: str) -> None:
    if len(node.subscriptionsOf(bare)) >= OWN_LIMIT or len(node.subscriptions) >= service.limits.subscriptions:
        raise refusal("policy-violation", "too-many-subscriptions", type="wait")


def _find(node: Node, request: Request, address: str, type: str) -> Subscription:
    """
    The subscription that a request is about (§6.2.3, §6.3.4).

    @param type: the type of the error if there is none.
    """
    found = node.subscriptions.get(address)
    if found is None:
        raise refusal("unexpected-request", "not-subscribed", type=type)
    if request.action.get("subid") not in (None, found.subid):
        raise refusal("not-acceptable", "invalid-subid")
    return found


async def unsubscribe(service: PubSubService, request: Request) -> Any:
    """Unsubscribe from a node (§6.2)."""
    address = _subscriber(request, "jid-required")
    async with service.changing(request) as node:
        if not _isSender(request, address):
            raise StanzaError("forbidden")
        found = _find(node, request, address, "cancel")
        await service.commit(node, Update(subscriptions={address: None}))
        element = subscriptionElement(ns.PUBSUB, node.name, address, None)
        element.attributes["subid"] = found.subid
        service.answer(request, payload(request, element))
        if found.state == SUBSCRIBED:
            tellOwners(service, node, address, None)
    return ANSWERED


def _optionsElement(request: Request, subscription: Subscription, type: str) -> Element:
    element = Element((ns.PUBSUB, "options"))
    if type == "form":
        element.attributes.update({"node": request.node, "jid": request.action.attributes["jid"]})
        element.attributes["subid"] = subscription.subid
    element.children.append(subscription.options.form(type))
    return element


async def getOptions(service: PubSubService, request: Request) -> Any:
    """Return the options of a subscription (§6.3.2)."""
    address = _subscriber(request, "jid-required")
    node = await service.existing(request)
    if not _isSender(request, address):
        raise StanzaError("forbidden")
    return payload(request, _optionsElement(request, _find(node, request, address, "modify"), "form"))


async def setOptions(service: PubSubService, request: Request) -> Any:
    """Change the options of a subscription (§6.3.5)."""
    address = _subscriber(request, "jid-required")
    async with service.changing(request) as node:
        if not _isSender(request, address):
            raise StanzaError("forbidden")
        found = _find(node, request, address, "modify")
        options = found.options.changed(dataforms.find(request.action))
        if options is not None and options != found.options:
            await service.commit(node, Update(subscriptions={address: replace(found, options=options)}))
    return None


async def getDefaultOptions(service: PubSubService, request: Request) -> Any:
    """Return the options of new subscriptions, of a node or of all (§6.4)."""
    element = Element((ns.PUBSUB, "default"))
    if "node" in request.action.attributes:
        element.attributes["node"] = (await service.existing(request)).name
    element.children.append(DEFAULT.form())
    return payload(request, element)


async def ownSubscriptions(service: PubSubService, request: Request) -> Any:
    """List the subscriptions of the sender, to all nodes or to one (§5.6)."""
    listed = Element((ns.PUBSUB, "subscriptions"))
    if "node" in request.action.attributes:
        node = await service.existing(request)
        listed.attributes["node"] = node.name
        found = [(node.name, address, each) for address, each in node.subscriptionsOf(request.bare).items()]
    else:
        stored = await service.store.subscriptions(request.service, request.bare)
        found = [(name, address, Subscription.fromStored(each)) for name, address, each in stored]
    listed.children.extend(subscriptionElement(ns.PUBSUB, *each) for each in found)
    return payload(request, listed)


async def ownAffiliations(service: PubSubService, request: Request) -> Any:
    """List the affiliations of the sender, with all nodes or with one (§5.7)."""
    listed = Element((ns.PUBSUB, "affiliations"))
    if "node" in request.action.attributes:
        node = await service.existing(request)
        listed.attributes["node"] = node.name
        found = {node.name: node.affiliationOf(request.bare)}
    elif request.bare == service.ownerOf(request.service):
        found = dict.fromkeys(await service.store.nodes(request.service, service.limits.nodes), OWNER)
    else:
        found = await service.store.affiliations(request.service, request.bare)
    for name, affiliation in found.items():
        if affiliation != NONE:
            listed.add("affiliation", node=name, affiliation=affiliation)
    return payload(request, listed)
