# -*- test-case-name: tests.pubsub.test_management -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Requests of owners about whole nodes (XEP-0060 §8.1 to §8.5)."""

from __future__ import annotations

from typing import Any, Final

from muccore.pubsub import events
from muccore.pubsub.model.access import checkOwner
from muccore.pubsub.model.errors import unsupported
from muccore.pubsub.model.node import Node, Update
from muccore.pubsub.publishing import checkName
from muccore.pubsub.request import Request
from muccore.pubsub.service import PubSubService, payload
from muccore.pubsub.storing import telling
from muccore.routing.handler import ANSWERED
from muccore.xmpp import dataforms, ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.uniqueids import newId

_URI_LIMIT: Final = 2048
"""Bytes of the URI that followers of a deleted node are sent to."""


async def create(service: PubSubService, request: Request) -> Any:
    """Create a node (§8.1), one with a name of the server's if none is given, perhaps with a configuration."""
    if not service.mayCreate(request.service, request.sender):
        raise StanzaError("forbidden")
    name = request.action.get("node") or newId()
    checkName(name)
    configuration = service.defaultsFor(request.service, name)
    form = request.form("configure")
    if form is not None:
        configured = service.forms.read(form, configuration)
        if configured is None:
            raise StanzaError("bad-request", text="the configuration of a new node cannot be cancelled")
        configuration = configured
    async with service.writing(request.service, name, request.iq):
        await service.checkCreation(request.service, request.sender)
        owner = service.ownerOf(request.service)
        node = Node.create(request.service, name, configuration, request.bare, service.parent.now(), owner)
        await service.store.create(request.service, name, node.stored, service.limits.nodes)
        service.nodes.put(node)
        return service.answer(request, payload(request, Element((ns.PUBSUB, "create"), None, {"node": name})))


async def getConfiguration(service: PubSubService, request: Request) -> Any:
    """Return the form of the configuration (§8.2.1)."""
    node = await service.existing(request)
    checkOwner(node, request.bare)
    element = Element((ns.PUBSUB_OWNER, "configure"), None, {"node": node.name})
    groups = await service.groupsOf(request.service)
    element.children.append(service.forms.make(node.configuration, groups=groups))
    return payload(request, element)


async def setConfiguration(service: PubSubService, request: Request) -> Any:
    """Change the configuration (§8.2.4)."""
    async with service.changing(request) as node:
        checkOwner(node, request.bare)
        form = dataforms.find(request.action)
        if form is None:
            raise StanzaError("bad-request", text="the form is missing")
        old = node.configuration
        new = service.forms.read(form, old)
        if new is None or new == old:
            return None
        await service.commit(node, Update(new))
        service.answer(request)
        if new.notifyConfiguration:
            event, element = events.eventOf("configuration", node.name)
            if new.deliverPayloads:
                element.children.append(service.forms.make(new, "result"))
            with telling(request.service):
                await service.announce(node, event, request.sender)
    return ANSWERED


async def getDefault(service: PubSubService, request: Request) -> Any:
    """Return the form with the configuration of new nodes (§8.3)."""
    element = Element((ns.PUBSUB_OWNER, "default"))
    groups = await service.groupsOf(request.service)
    element.children.append(service.forms.make(service.defaultsFor(request.service, ""), groups=groups))
    return payload(request, element)


async def delete(service: PubSubService, request: Request) -> Any:
    """Delete a node (§8.4), perhaps in favour of another one."""
    redirect = request.action.child("redirect")
    uri = None if redirect is None else redirect.get("uri")
    if redirect is not None and not (uri and len(uri.encode()) <= _URI_LIMIT):
        raise StanzaError("bad-request", text=f"<redirect/> needs a URI of at most {_URI_LIMIT} bytes")
    async with service.changing(request) as node:
        checkOwner(node, request.bare)
        await service.store.delete(node.service, node.name)
        service.nodes.forget(node.service, node.name)
        service.answer(request)
        if node.configuration.notifyDelete:
            event, element = events.eventOf("delete", node.name)
            if uri:
                element.add("redirect").attributes["uri"] = uri
            with telling(request.service):
                await service.announce(node, event, request.sender)
    service.nodeChanged(request.service, request.node, request.sender)
    return ANSWERED


async def purge(service: PubSubService, request: Request) -> Any:
    """Remove all items (§8.5); subscribers are told once, if they are told that items are removed."""
    async with service.changing(request) as node:
        checkOwner(node, request.bare)
        if not node.configuration.persistItems:
            raise unsupported("persistent-items")
        await service.store.purge(node.service, node.name)
        service.answer(request)
        if node.configuration.notifyRetract:
            event, _ = events.eventOf("purge", node.name)
            with telling(request.service):
                await service.announce(node, event, request.sender)
    service.nodeChanged(request.service, request.node, request.sender)
    return ANSWERED
