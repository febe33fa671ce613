# -*- test-case-name: tests.pubsub.test_ownerlists -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Requests of owners about the subscriptions and affiliations of a node (XEP-0060 §8.8, §8.9).

What cannot be changed is returned with the error, as it is; all else in the request has been changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from muccore.pubsub.model import affiliations
from muccore.pubsub.model.access import checkOwner
from muccore.pubsub.model.node import Node, Update
from muccore.pubsub.model.subscriptions import NONE
from muccore.pubsub.notices import tellSubscriber
from muccore.pubsub.request import Request
from muccore.pubsub.service import PubSubService, payload
from muccore.pubsub.subscribing import JID_LIMIT
from muccore.routing.handler import ANSWERED
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element, reply
from muccore.xmpp.errors import StanzaError, errorElement
from muccore.xmpp.jid import JID, InvalidJID
from muccore.xmpp.uniqueids import newId


async def getSubscriptions(service: PubSubService, request: Request) -> Any:
    """List the subscriptions of a node."""
    node = await service.existing(request)
    checkOwner(node, request.bare)
    return payload(request, _subscriptions(node, node.subscriptions))


def _subscriptions(node: Node, addresses: Iterable[str]) -> Element:
    listed = Element((ns.PUBSUB_OWNER, "subscriptions"), None, {"node": node.name})
    for address in addresses:
        found = node.subscriptions.get(address)
        element = listed.add("subscription", jid=address, subscription=NONE if found is None else found.state)
        if found is not None:
            element.attributes["subid"] = found.subid
    return listed


async def setSubscriptions(service: PubSubService, request: Request) -> Any:
    """Approve, add and end subscriptions of a node."""
    async with service.changing(request) as node:
        checkOwner(node, request.bare)
        wanted, refused = [], []
        for address, element in _addresses(request, "subscription"):
            if address is None:
                refused.append(element.get("jid") or "")
            elif element.get("subscription") is not None:
                wanted.append((address.full, element.get("subid"), element.attributes["subscription"]))
        update, notChanged = node.planSubscriptions(wanted, newId, service.limits)
        await _commit(service, node, update)
        _finish(service, request, _subscriptions(node, [*refused, *notChanged]))
        for address_, subscription in update.subscriptions.items():
            tellSubscriber(service, node, address_, subscription)
    return ANSWERED


async def getAffiliations(service: PubSubService, request: Request) -> Any:
    """List the affiliations with a node."""
    node = await service.existing(request)
    checkOwner(node, request.bare)
    return payload(request, _affiliations(node, node.affiliates()))


def _affiliations(node: Node, addresses: Iterable[str]) -> Element:
    listed = Element((ns.PUBSUB_OWNER, "affiliations"), None, {"node": node.name})
    for address in addresses:
        listed.add("affiliation", jid=address, affiliation=node.affiliationOf(address))
    return listed


async def setAffiliations(service: PubSubService, request: Request) -> Any:
    """Change affiliations with a node. Who may not be subscribed any more is told that they are not."""
    async with service.changing(request) as node:
        checkOwner(node, request.bare)
        wanted: dict[str, str] = {}
        refused = []
        for address, element in _addresses(request, "affiliation"):
            affiliation = element.get("affiliation")
            if address is None or address.resource or affiliation not in {None, *affiliations.PRIVILEGES}:
                refused.append(element.get("jid") or "")
            elif address.bare in wanted:
                raise StanzaError("bad-request", text=f"{address.bare}: given twice")
            elif affiliation is not None:
                wanted[address.bare] = affiliation
        update, notChanged = node.planAffiliations(wanted.items(), service.limits)
        await _commit(service, node, update)
        _finish(service, request, _affiliations(node, [*refused, *notChanged]))
        for address_, subscription in update.subscriptions.items():
            tellSubscriber(service, node, address_, subscription)
    return ANSWERED


def _addresses(request: Request, name: str) -> Iterable[tuple[JID | None, Element]]:
    """The elements of a list, with their JIDs; C{None} for those that have none."""
    for element in request.action.childElements():
        if (element.uri, element.name) == (ns.PUBSUB_OWNER, name):
            try:
                address = jid.parse(element.get("jid") or "")
            except InvalidJID:
                yield None, element
            else:
                yield (address if len(address.full.encode()) <= JID_LIMIT else None), element


async def _commit(service: PubSubService, node: Node, update: Update) -> None:
    if update.affiliations or update.subscriptions:
        await service.commit(node, update)


def _finish(service: PubSubService, request: Request, refused: Element) -> None:
    """Answer: with success, or with what was refused."""
    if not refused.children:
        service.answer(request)
        return
    answer = reply(request.iq, "error")
    answer.children += [payload(request, refused), errorElement(StanzaError("not-acceptable"))]
    service.send(answer)
