# -*- test-case-name: tests.pubsub.test_domain -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""A publish-subscribe service with a domain of its own (XEP-0060)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.defer import Deferred
from wokkel import disco

from muccore.interfaces import IPubSubStore, ISession
from muccore.net.slices import RENDERING, Steps
from muccore.pubsub import approvals, discovery, events
from muccore.pubsub.audience import blocks
from muccore.pubsub.model.access import STRANGER, Relation, mayAccess
from muccore.pubsub.model.affiliations import OWNER
from muccore.pubsub.model.configuration import (
    AUTHORIZE,
    NEVER,
    ON_SUBSCRIPTION,
    OPEN,
    WHITELIST,
    ConfigurationForms,
    Limits,
    NodeConfiguration,
)
from muccore.pubsub.model.node import Node, bareOf
from muccore.pubsub.model.subscriptions import SUBSCRIBED
from muccore.pubsub.requests import REQUESTS
from muccore.pubsub.service import FEATURES, SPEC, PubSubService, featureName
from muccore.pubsub.storing import telling
from muccore.routing.handler import HOST
from muccore.xmpp import jid as jids
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered, toAttribute

DEFAULT: Final = NodeConfiguration(accessModel=OPEN, maxItems=10, sendLast=ON_SUBSCRIPTION)
"""The configuration of new nodes: who comes online is not known here."""

_ACCESS_MODELS: Final = (OPEN, AUTHORIZE, WHITELIST)
"""Those that need no roster."""

_OMITTED: Final = ("rosterGroups", "purgeOffline")

_FEATURES: Final = (
    ns.PUBSUB, *(featureName(name) for name in FEATURES if name != "last-published"), featureName("access-open")
)  # fmt: skip


@dataclass(frozen=True)
class ServiceSettings:
    """
    What operators set.

    @ivar name: for people.
    @ivar limits: how much it may have.
    @ivar nodesPerUser: how many nodes one bare JID may own.
    @ivar mayCreate: whether somebody may create nodes.
    """

    name: str
    limits: Limits
    nodesPerUser: int
    mayCreate: Callable[[JID], bool]


class PubSubDomainHandler(PubSubService):
    """
    The service of a domain.

    @ivar settings: what operators set.
    """

    implements = (SPEC,)

    def __init__(self, store: IPubSubStore, settings: ServiceSettings) -> None:
        choices: Mapping[str, tuple[str, ...]] = {"sendLast": (NEVER, ON_SUBSCRIPTION)}
        super().__init__(store, ConfigurationForms(settings.limits, _ACCESS_MODELS, _OMITTED, choices), REQUESTS)
        self.settings = settings

    def reconfigure(self, settings: ServiceSettings) -> None:
        """Apply new settings."""
        self.settings = settings
        self.forms.limits = settings.limits

    # What the engine asks

    def defaultsFor(self, service: str, name: str) -> NodeConfiguration:
        """See L{PubSubService.defaultsFor}."""
        return DEFAULT

    def mayCreate(self, service: str, sender: JID) -> bool:
        """See L{PubSubService.mayCreate}."""
        return self.settings.mayCreate(sender)

    async def checkCreation(self, service: str, sender: JID) -> None:
        """See L{PubSubService.checkCreation}."""
        owned = await self.store.affiliations(service, sender.bare)
        if list(owned.values()).count(OWNER) >= self.settings.nodesPerUser:
            raise StanzaError("resource-constraint", text="You have too many nodes; delete some.")

    async def relation(self, service: str, bare: str) -> Relation:
        """See L{PubSubService.relation}: rosters are not known here."""
        return STRANGER

    async def announce(self, node: Node, event: Element, payer: JID) -> None:
        """See L{PubSubService.announce}."""
        configuration = node.configuration
        if configuration.deliverNotifications:
            message = Rendered.of(events.message(node.service, event, configuration.notificationType))
            done = self.slices.run(self._deliver(node, message, payer))
            if done is not None:
                await done

    def _deliver(self, node: Node, message: Rendered, payer: JID) -> Steps:
        """Deliver a message to all who have subscribed and may access the node."""
        own = jids.parse(node.service)
        count = 0
        for address, subscription in list(node.subscriptions.items()):
            if subscription.state != SUBSCRIBED or not subscription.options.deliver:
                continue
            yield RENDERING
            if not mayAccess(node, bareOf(address), STRANGER):
                continue
            count += 1
            to = jids.parse(address)
            route = self.parent.routeTo(to) if to.resource else None
            if not ISession.providedBy(route):
                self.send(message.elementTo(toAttribute(address)))
            elif not blocks(route.userState, own):
                route.deliver(message, toAttribute(address))
        route = self.parent.routeTo(payer)
        if ISession.providedBy(route):
            route.charge(count * message.size, 0.0)

    # Requests

    async def onRequest(self, element: Element, to: JID) -> Any:
        """Carry out a request."""
        return await self.respond(element, self.parent.name)

    async def onMessage(self, element: Element, to: JID) -> None:
        """Take the answer of an owner to a request to subscribe; other messages are for nobody."""
        if not approvals.isAnswer(element):
            raise StanzaError("service-unavailable")
        await approvals.handleAnswer(self, self.parent.name, element)

    def getDiscoInfo(self, requestor: Any, target: Any, nodeIdentifier: str = "") -> Any:
        """See C{IDisco}; for the service and its nodes."""
        if target.user:
            return []
        if nodeIdentifier:
            requester = jids.parse(requestor.full())
            return Deferred.fromCoroutine(discovery.nodeInfo(self, self.parent.name, requester, nodeIdentifier))
        return [disco.DiscoIdentity("pubsub", "service", self.settings.name), *map(disco.DiscoFeature, _FEATURES)]

    def getDiscoItems(self, requestor: Any, target: Any, nodeIdentifier: str = "") -> Any:
        """See C{IDisco}: the nodes, and the items of one, for those who may access them."""
        if target.user:
            return []
        service, requester = jids.parse(self.parent.name), jids.parse(requestor.full())
        if nodeIdentifier:
            return Deferred.fromCoroutine(discovery.listItems(self, service, requester, nodeIdentifier))
        return Deferred.fromCoroutine(discovery.listNodes(self, service, requester))

    async def forgetEntity(self, account: JID) -> None:
        """
        Remove the affiliations and subscriptions of an account that is being removed, and the nodes that nobody else
        owns; subscribers are told.
        """
        service = self.parent.name
        for name, affiliation in (await self.store.affiliations(service, account.bare)).items():
            if affiliation == OWNER:
                async with self.writing(service, name):
                    node = await self.nodes.get(service, name)
                    if node is not None and node.withAffiliation(OWNER) == [account.bare]:
                        await self.deleteNode(node, account)
        await super().forgetEntity(account)

    async def deleteNode(self, node: Node, by: JID) -> None:
        """Delete a node in its turn, and tell its subscribers."""
        await self.store.delete(node.service, node.name)
        self.nodes.forget(node.service, node.name)
        if node.configuration.notifyDelete:
            with telling(node.service):
                await self.announce(node, events.eventOf("delete", node.name)[0], by)

    iqs = {
        ("get", HOST, ns.PUBSUB, "pubsub"): onRequest,
        ("set", HOST, ns.PUBSUB, "pubsub"): onRequest,
        ("get", HOST, ns.PUBSUB_OWNER, "pubsub"): onRequest,
        ("set", HOST, ns.PUBSUB_OWNER, "pubsub"): onRequest,
    }
    stanzas = {("message", "normal", HOST): onMessage}
