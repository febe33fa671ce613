# -*- test-case-name: tests.pubsub.test_publishing -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Requests of publishers (XEP-0060 §7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from muccore.interfaces import PubSubItem
from muccore.pubsub import events
from muccore.pubsub.model.access import checkPublish, checkRetract
from muccore.pubsub.model.configuration import checkPreconditions
from muccore.pubsub.model.errors import refusal, unsupported
from muccore.pubsub.model.node import Node
from muccore.pubsub.model.publication import NAME_LIMIT, Publication, readPublication
from muccore.pubsub.request import Request
from muccore.pubsub.service import PubSubService, payload
from muccore.pubsub.storing import telling
from muccore.routing.handler import ANSWERED
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.uniqueids import newId


async def publish(service: PubSubService, request: Request) -> Any:
    """Publish an item (§7.1), if need be to a new node (§7.1.4)."""
    name = request.node
    options = _preconditions(service, request)
    async with service.writing(request.service, name, request.iq):
        node = await service.nodes.get(request.service, name)
        isNew = node is None
        if node is None:
            node = newNode(service, request, name, options)
            await service.checkCreation(request.service, request.sender)
        else:
            checkPublish(node, request.bare)
            checkPreconditions(node.configuration, options)
        publication = readPublication(request.action, node.configuration, service.limits)
        if publication.hasItem and not publication.id:
            publication = replace(publication, id=newId())
        await storePublication(service, node, publication, request.bare, isNew)
        answered = Element((ns.PUBSUB, "publish"), None, {"node": name})
        if publication.hasItem:
            answered.add("item", id=publication.id)
        service.answer(request, payload(request, answered))
        with telling(request.service):
            await service.announce(node, events.itemEvent(node, publication.id, publication.payload), request.sender)
    service.nodeChanged(request.service, name, request.sender)
    return ANSWERED


def _preconditions(service: PubSubService, request: Request) -> Mapping[str, Any]:
    if request.companion("publish-options") is None:
        return {}
    form = request.form("publish-options")
    if form is None:
        raise StanzaError("bad-request", text="the options of a publication are in a form")
    return service.forms.preconditions(form)


def newNode(service: PubSubService, request: Request, name: str, options: Mapping[str, Any]) -> Node:
    """
    Make a node for a publication, which is not stored yet.

    @param options: the options of the publication, which it has from the start.
    @raise StanzaError: C{item-not-found} if the sender may not create it.
    """
    if not service.mayCreate(request.service, request.sender):
        raise StanzaError("item-not-found")
    checkName(name)
    configuration = service.forms.withOptions(service.defaultsFor(request.service, name), options)
    owner = service.ownerOf(request.service)
    return Node.create(request.service, name, configuration, request.bare, service.parent.now(), owner)


def checkName(name: str) -> None:
    """@raise StanzaError: C{not-acceptable} if a name is too long for a node."""
    if len(name.encode()) > NAME_LIMIT:
        raise StanzaError("not-acceptable", text=f"the name of a node may have at most {NAME_LIMIT} bytes")


async def storePublication(
    service: PubSubService, node: Node, publication: Publication, publisher: str, isNew: bool
) -> None:
    """
    Store what is published, and a new node with it.

    @param publisher: a bare JID.
    """
    now, limits = service.parent.now(), service.limits
    create = (node.stored, limits.nodes) if isNew else None
    keep = node.configuration.kept(limits)
    if publication.hasItem and keep:
        item = PubSubItem(publication.id, publisher, now, publication.content)
        since = node.configuration.since(now)
        await service.store.publish(node.service, node.name, item, keep, since, limits.totalSize, create)
    elif create is not None:
        await service.store.create(node.service, node.name, *create)
    service.nodes.put(node)


async def retract(service: PubSubService, request: Request) -> Any:
    """Retract an item (§7.2)."""
    request.checkNode()
    items = [child for child in request.action.childElements() if (child.uri, child.name) == (ns.PUBSUB, "item")]
    id = items[0].get("id") if len(items) == 1 else None
    if not id:
        raise refusal("bad-request", "item-required")
    notify = request.action.get("notify")
    async with service.changing(request) as node:
        if not node.configuration.persistItems:
            raise unsupported("persistent-items")
        since = node.configuration.since(service.parent.now())
        found = await service.store.find(node.service, node.name, [id], since)
        # Who may not publish does not learn which items there are.
        checkRetract(node, request.bare, found[0].publisher if found else request.bare)
        if not found:
            raise StanzaError("item-not-found")
        await service.store.retract(node.service, node.name, [id])
        service.answer(request)
        if notify in ("1", "true") or (notify is None and node.configuration.notifyRetract):
            with telling(request.service):
                await service.announce(node, events.retractEvent(node.name, [id]), request.sender)
    service.nodeChanged(request.service, request.node, request.sender)
    return ANSWERED
