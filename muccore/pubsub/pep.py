# -*- test-case-name: tests.pubsub.test_pep -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Personal eventing (XEP-0163): each account is a publish-subscribe service for its contacts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from wokkel import disco
from zope.interface import implementer

from muccore.interfaces import (
    IContacts,
    IDomainObserver,
    IPubSubStore,
    IUserDomain,
    IUserState,
    IUserStates,
)
from muccore.interfaces.filters import BLOCKING, CONSUMED
from muccore.log.logger import Logger
from muccore.pubsub import approvals, discovery, events
from muccore.pubsub.audience import Audience, relationOf
from muccore.pubsub.avatars import Avatars
from muccore.pubsub.bookmarks import FEATURES as BOOKMARK_FEATURES
from muccore.pubsub.bookmarks import Bookmarks
from muccore.pubsub.followers import Followers
from muccore.pubsub.model.access import Relation
from muccore.pubsub.model.configuration import (
    AUTHORIZE,
    OPEN,
    PRESENCE,
    ROSTER,
    WHITELIST,
    ConfigurationForms,
    Limits,
    NodeConfiguration,
)
from muccore.pubsub.model.node import Node
from muccore.pubsub.pepdefaults import defaultsFor
from muccore.pubsub.request import Request
from muccore.pubsub.requests import REQUESTS
from muccore.pubsub.service import FEATURES, SPEC, PubSubService, featureName
from muccore.routing.handler import BARE, answersAnyone
from muccore.xmpp import jid as jids
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import errorReplyOrNone
from muccore.xmpp.guestnames import isGuestName
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered
from muccore.xmpp.specs import Spec

_FEATURES: Final = (
    ns.PUBSUB,
    *map(featureName, (*FEATURES, "access-presence", "auto-subscribe", "filtered-notifications", "presence-subscribe")),
    featureName("pubsub-on-a-jid"),
)

_ANSWER_TIME: Final = 60.0
"""Seconds in which a client has to tell its capabilities."""

STAGE: Final = BLOCKING + 50
"""After what is blocked; answers of owners are not archived."""

_SUBSCRIBED_TO: Final = frozenset(["to", "both"])

_log: Final = Logger()


@implementer(IDomainObserver)
class PEPHandler(PubSubService):
    """
    The publish-subscribe services of the accounts of a host.

    @ivar peers: the handlers of all hosts of this server, by domain.
    @ivar guests: whether the domain has guests, who publish nothing.
    @ivar conversions: further features of accounts: what is converted to and from nodes.
    @ivar converters: called with an account and a session that has changed a node, by the name of the node.
    @ivar preparers: called with an account before its owner reads a node, by the name of the node.
    @ivar settlers: called with an account that is being removed, before what it has published is.
    @ivar followers: who follows its accounts by presence.
    """

    implements = (
        SPEC,
        Spec(163, "Personal Eventing Protocol", "1.2.2"),
        Spec(115, "Entity Capabilities", "1.6.0", "Those of clients filter notifications; verified and cached."),
        Spec(33, "Extended Stanza Addressing", "1.2.1", "In notifications: which resource has published."),
        Spec(223, "Persistent Storage of Private Data via PubSub", "1.1.1"),
    )

    parent: IUserDomain

    def __init__(self, store: IPubSubStore, limits: Limits, contacts: IContacts, states: IUserStates | None) -> None:
        """@param states: the states of the accounts; C{None}: they block nobody."""
        forms = ConfigurationForms(limits, (OPEN, PRESENCE, ROSTER, AUTHORIZE, WHITELIST))
        super().__init__(store, forms, REQUESTS)
        self.peers: Mapping[str, PEPHandler] = {}
        self.guests = False
        self.conversions: Sequence[str] = ()
        self.converters: dict[str, Callable[[str, JID], None]] = {}
        self.preparers: dict[str, Callable[[str], Awaitable[None]]] = {}
        self.settlers: list[Callable[[str], Awaitable[None]]] = []
        self.followers = Followers(self, contacts)
        self._contacts = contacts
        self._states = states

    def joinBookmarks(self, bookmarks: Bookmarks) -> None:
        """Let bookmarks be one set, wherever clients keep them."""
        self.conversions = [*self.conversions, *BOOKMARK_FEATURES]
        self.converters.update(bookmarks.converters)
        self.preparers.update(dict.fromkeys(bookmarks.converters, bookmarks.prepare))
        self.settlers.append(bookmarks.conversions.settle)

    def joinAvatars(self, avatars: Avatars) -> None:
        """Let avatars be those of vCards, and the other way round."""
        self.conversions = [*self.conversions, ns.AVATAR_CONVERSION]
        self.converters.update(avatars.converters)
        self.settlers.append(avatars.conversions.settle)

    # What the engine asks

    def ownerOf(self, service: str) -> str:
        """See L{PubSubService.ownerOf}: the account itself."""
        return service

    def defaultsFor(self, service: str, name: str) -> NodeConfiguration:
        """See L{PubSubService.defaultsFor}."""
        return defaultsFor(name)

    def mayCreate(self, service: str, sender: JID) -> bool:
        """See L{PubSubService.mayCreate}: the account itself."""
        return sender.bare == service

    async def relation(self, service: str, bare: str) -> Relation:
        """See L{PubSubService.relation}."""
        return relationOf((await self._contacts.contacts(service)).get(bare))

    async def groupsOf(self, service: str) -> list[str]:
        """See L{PubSubService.groupsOf}."""
        contacts = await self._contacts.contacts(service)
        return sorted({group for item in contacts.values() for group in item.groups})

    async def prepareReading(self, request: Request) -> None:
        """See L{PubSubService.prepareReading}."""
        prepare = self.preparers.get(request.node)
        if prepare is not None and request.bare == request.service:
            await prepare(request.service)

    def nodeChanged(self, service: str, name: str, by: JID) -> None:
        """See L{PubSubService.nodeChanged}."""
        converter = self.converters.get(name)
        if converter is not None:
            converter(service, by)

    async def announce(self, node: Node, event: Element, payer: JID) -> None:
        """See L{PubSubService.announce}."""
        configuration = node.configuration
        if not configuration.deliverNotifications:
            return
        contacts = await self._contacts.contacts(node.service)
        state = await self.stateOf(node.service)
        message = Rendered.of(events.message(node.service, event, configuration.notificationType))
        session = self.parent.sessions.byFullJID(payer)
        replyTo = payer if payer.resource and payer.bare == node.service else None
        done = self.slices.run(
            Audience(self, node, message, contacts, state, self.followers.sharers, session, replyTo).deliver()
        )
        if done is not None:
            await done

    async def stateOf(self, account: str) -> IUserState | None:
        """
        Whom an account blocks.

        @raise StanzaError: if that cannot be loaded.
        """
        for session in self.parent.sessions.forAccount(account).values():
            state: IUserState | None = session.userState
            if state is not None:
                return state
        return None if self._states is None else await self._states.load(jids.parse(account))

    # Requests

    @answersAnyone
    async def onRequest(self, element: Element, to: JID) -> Any:
        """Carry out a request to an account; one that does not exist has no nodes."""
        return await self.respond(element, to.bare)

    def onMessage(self, element: Element, to: JID, recipients: object) -> Any:
        """Take the answer of an owner to a request to subscribe."""
        if to.resource or not approvals.isAnswer(element):
            return element

        def failed(failure: Failure) -> None:
            answer = errorReplyOrNone(element, self.parent.toStanzaError(failure))
            if answer is not None:
                self.send(answer)

        Deferred.fromCoroutine(approvals.handleAnswer(self, to.bare, element)).addErrback(failed)
        return CONSUMED

    def getDiscoInfo(self, requestor: Any, target: Any, nodeIdentifier: str = "") -> Any:
        """See C{IDisco}; for accounts and their nodes."""
        if not self._isAccount(target):
            return []
        if nodeIdentifier:
            requester = jids.parse(requestor.full())
            return Deferred.fromCoroutine(discovery.nodeInfo(self, target.userhost(), requester, nodeIdentifier))
        return [disco.DiscoIdentity("pubsub", "pep"), *map(disco.DiscoFeature, (*_FEATURES, *self.conversions))]

    def getDiscoItems(self, requestor: Any, target: Any, nodeIdentifier: str = "") -> Any:
        """See C{IDisco}: the nodes of an account, and the items of one, for those who may access them."""
        if not self._isAccount(target):
            return []
        account, requester = jids.parse(target.userhost()), jids.parse(requestor.full())
        if nodeIdentifier:
            return Deferred.fromCoroutine(discovery.listItems(self, account, requester, nodeIdentifier))
        return Deferred.fromCoroutine(discovery.listNodes(self, account, requester))

    def _isAccount(self, target: Any) -> bool:
        return bool(target.user) and not target.resource and not (self.guests and isGuestName(target.user))

    # Presence

    def onPresence(self, element: Element, to: JID, recipients: object) -> Element:
        """Note who shares presence with an account."""
        self.followers.presenceReceived(element, to)
        return element

    def domainLost(self, domain: str) -> None:
        """See L{IDomainObserver.domainLost}."""
        self.followers.sharers.removeDomain(domain)

    async def forget(self, account: JID) -> None:
        """Remove what an account has published, which is being removed."""
        self.followers.sharers.removeAccount(account.bare)
        for settle in self.settlers:
            await settle(account.bare)
        await self.forgetService(account)

    iqs = {
        ("get", BARE, ns.PUBSUB, "pubsub"): onRequest,
        ("set", BARE, ns.PUBSUB, "pubsub"): onRequest,
        ("get", BARE, ns.PUBSUB_OWNER, "pubsub"): onRequest,
        ("set", BARE, ns.PUBSUB_OWNER, "pubsub"): onRequest,
    }
    inbound = {("message", STAGE): onMessage, ("presence", STAGE): onPresence}
