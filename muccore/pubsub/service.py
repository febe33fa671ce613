# -*- test-case-name: tests.pubsub.test_service -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What publish-subscribe services have in common, of accounts and of domains: requests are read, carried out one after the
other for each node, and answered before anybody is told of what they have changed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from muccore.interfaces import IPubSubStore
from muccore.net.slices import Slices
from muccore.pubsub.model.access import Relation
from muccore.pubsub.model.configuration import ConfigurationForms, Limits, NodeConfiguration
from muccore.pubsub.model.node import Node, Update
from muccore.pubsub.nodes import Nodes
from muccore.pubsub.request import Request
from muccore.pubsub.storing import storing
from muccore.routing.handler import ANSWERED, Handler
from muccore.routing.turns import WAITING_LIMIT, Turns
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec

Function = Callable[["PubSubService", Request], Awaitable[Any]]
"""Carries out a request; returns the payload of the answer, or C{ANSWERED}."""

FEATURES: Final = (
    "auto-create", "config-node", "config-node-max", "create-and-configure", "create-nodes", "delete-items",
    "delete-nodes", "instant-nodes", "item-ids", "last-published", "manage-subscriptions", "member-affiliation",
    "meta-data", "modify-affiliations", "multi-items", "outcast-affiliation", "persistent-items", "publish",
    "publish-only-affiliation", "publish-options", "publisher-affiliation", "purge-nodes", "retract-items",
    "retrieve-affiliations", "retrieve-default", "retrieve-default-sub", "retrieve-items", "retrieve-subscriptions",
    "rsm", "subscribe", "subscription-notifications", "subscription-options",
)  # fmt: skip
"""The features that all services have, without C{http://jabber.org/protocol/pubsub#} (§10)."""

SPEC: Final = Spec(60, "Publish-Subscribe", "1.30.0", "Without collections, digests, leases and get-pending.")


class PubSubService(Handler):
    """
    A kind of services, each of which has an address of its own.

    @ivar store: where nodes are kept.
    @ivar forms: the forms of their configuration.
    @ivar nodes: those in memory.
    @ivar requests: the requests that it knows, by type, namespace and name.
    """

    def __init__(self, store: IPubSubStore, forms: ConfigurationForms, requests: Mapping[Any, Function]) -> None:
        super().__init__()
        self.store = store
        self.forms = forms
        self.requests = requests
        self.nodes = Nodes(store, self.ownerOf)
        self._slices: Slices | None = None
        self._writers = Turns(WAITING_LIMIT)
        self._readers = Turns(WAITING_LIMIT)

    @property
    def limits(self) -> Limits:
        """How much a service may have."""
        return self.forms.limits

    @property
    def slices(self) -> Slices:
        """Where messages to many are delivered."""
        if self._slices is None:
            self._slices = Slices(self.parent.clock)
        return self._slices

    def shutDown(self, final: bool) -> None:
        """Deliver what is left to deliver."""
        self.slices.finish()
        self._slices = Slices(None)

    # What subclasses know

    def ownerOf(self, service: str) -> str:
        """The bare JID that always owns the nodes of a service; C{""} for nobody."""
        return ""

    def defaultsFor(self, service: str, name: str) -> NodeConfiguration:
        """The configuration of a new node; with the name C{""} of any."""
        raise NotImplementedError

    def mayCreate(self, service: str, sender: JID) -> bool:
        """Whether somebody may create nodes."""
        raise NotImplementedError

    async def checkCreation(self, service: str, sender: JID) -> None:
        """
        Check whether somebody may create one node more, who L{mayCreate}.

        @raise StanzaError: if they have too many.
        """

    async def relation(self, service: str, bare: str) -> Relation:
        """What a bare JID is to the owner of a service at this moment."""
        raise NotImplementedError

    async def groupsOf(self, service: str) -> list[str]:
        """The groups in the roster of the owner of a service."""
        return []

    async def prepareReading(self, request: Request) -> None:
        """Do what is to be done before a node is read, which may not exist yet."""

    def nodeChanged(self, service: str, name: str, by: JID) -> None:
        """
        Note that a client has changed the items of a node, which was announced.

        @param by: who has.
        """

    async def announce(self, node: Node, event: Element, payer: JID) -> None:
        """
        Tell all who may hear of it of an event, in the order of calls.

        @param payer: who has caused it, and is charged.
        """
        raise NotImplementedError

    # Requests

    async def respond(self, element: Element, service: str) -> Any:
        """
        Carry out a request.

        @param service: the address of the service.
        @return: the payload of the answer.
        @raise StanzaError: if it is refused.
        """
        request = Request.read(element, service, self.requests)
        function = self.requests[element.attributes["type"], request.action.uri, request.action.name]
        with storing(service):
            return await function(self, request)

    def answer(self, request: Request, payload: Element | None = None) -> Any:
        """Answer a request now, before what is sent from now on."""
        self.replyDirectly(request.iq, payload)
        return ANSWERED

    def send(self, message: Element) -> None:
        """Send a message to its address, through the filters of its domain."""
        self.parent.send(message)

    # Nodes

    async def existing(self, request: Request) -> Node:
        """
        The node of a request.

        @raise StanzaError: C{item-not-found} if there is none, or as L{Request.node}.
        """
        node = await self.nodes.get(request.service, request.node)
        if node is None:
            raise StanzaError("item-not-found")
        return node

    def writing(self, service: str, name: str, element: Element | None = None) -> AbstractAsyncContextManager[None]:
        """
        Wait for the turn to change a node, which may not exist.

        @param element: the stanza that waits, if it is one; raises L{StanzaError} if too many wait.
        """
        return self._writers.take(f"{service}/{name}", element)

    @asynccontextmanager
    async def changing(self, request: Request) -> AsyncIterator[Node]:
        """Wait for the turn to change the node of a request; raises L{StanzaError} as L{existing}."""
        async with self.writing(request.service, request.node, request.iq):
            yield await self.existing(request)

    def reading(self, sender: JID, element: Element | None = None) -> AbstractAsyncContextManager[None]:
        """Wait for the turn of somebody who reads items: only one answer to each is in memory."""
        return self._readers.take(sender.full, element)

    async def commit(self, node: Node, update: Update) -> None:
        """Make a change of a node durable, and then in memory."""
        await self.nodes.change(node, update, self.limits)

    async def forgetService(self, account: JID) -> None:
        """Remove the nodes of an account that is being removed, and what it has with those of others."""
        await self._writers.settle(account.bare)
        await self._readers.settle(account.bare)
        await self.store.removeService(account.bare)
        self.nodes.forgetService(account.bare)
        await self.forgetEntity(account)

    async def forgetEntity(self, account: JID) -> None:
        """Remove the affiliations and subscriptions of an account that is being removed."""
        await self.store.removeEntity(account.bare)
        self.nodes.forgetEntity(account.bare)


def payload(request: Request, *children: Element) -> Element:
    """The payload of an answer, in the namespace of the request."""
    made = Element((request.pubsub.uri, "pubsub"))
    made.children.extend(children)
    return made


def featureName(name: str) -> str:
    """The whole name of a feature."""
    return f"{ns.PUBSUB}#{name}"
