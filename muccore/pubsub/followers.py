# -*- test-case-name: tests.pubsub.test_followers -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Who follows accounts by their presence (XEP-0163 §4, XEP-0060 §9): which events their clients want, and the last items
for those who come online or may see them from now on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.words.xish import domish
from wokkel import generic

from muccore.interfaces import IContacts, ISession, RosterItem
from muccore.log.logger import Logger
from muccore.pubsub import events
from muccore.pubsub.audience import blocks, relationOf
from muccore.pubsub.interests import NOTHING, Interests, queryIn
from muccore.pubsub.lastitems import sendLastItems
from muccore.pubsub.model.access import Relation, mayAccess
from muccore.pubsub.model.configuration import PRESENCE, ROSTER
from muccore.pubsub.model.node import Update
from muccore.pubsub.notices import tellSubscriber
from muccore.pubsub.sharers import Sharers
from muccore.pubsub.storing import storing, telling
from muccore.xmpp import jid as jids
from muccore.xmpp import ns
from muccore.xmpp.discovery import wokkelJID
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered, toAttribute

if TYPE_CHECKING:
    from muccore.pubsub.pep import PEPHandler

_ANSWER_TIME: Final = 60.0
"""Seconds in which a client has to tell its capabilities."""

_SUBSCRIBED_TO: Final = frozenset(["to", "both"])

_BY_ROSTER: Final = (PRESENCE, ROSTER)
"""The access models that follow rosters."""

_log: Final = Logger()


class _InfoRequest(generic.Request):  # type: ignore[misc]
    """A request of C{disco#info}."""

    def __init__(self, recipient: str, node: str) -> None:
        super().__init__(wokkelJID(jids.parse(recipient)))
        self.timeout = _ANSWER_TIME
        self._node = node

    def toElement(self) -> Any:
        """Build it."""
        element = super().toElement()
        query = element.addElement((ns.DISCO_INFO, "query"))
        if self._node:
            query["node"] = self._node
        return element


class _SessionRecipient:
    """A session that gets last items, see L{muccore.pubsub.lastitems.Recipient}."""

    def __init__(self, session: ISession, isPresent: Callable[[], bool]) -> None:
        """@param isPresent: whether it has been available all the time."""
        self.bare: str = session.account.bare
        self._session = session
        self.isThere = isPresent

    def deliver(self, message: Rendered) -> None:
        """Deliver it. What it gets it has to pay for: it can come online again and again."""
        self._session.deliver(message, toAttribute(self._session.fullText))
        self._session.charge(message.size, 0.0)


class _SharerRecipient:
    """A resource elsewhere, see L{muccore.pubsub.lastitems.Recipient}."""

    def __init__(self, followers: Followers, account: str, full: str) -> None:
        self.bare = full.partition("/")[0]
        self._followers = followers
        self._account = account
        self._full = full

    def isThere(self) -> bool:
        """Whether it has presence at the account."""
        return self._followers.sharers.get(self._account, self._full) is not None

    def deliver(self, message: Rendered) -> None:
        """Send it."""
        self._followers.send(message.elementTo(toAttribute(self._full)))


class Followers:
    """
    Those who follow the accounts of a host.

    @ivar sharers: who has presence at its accounts from elsewhere.
    """

    def __init__(self, pep: PEPHandler, contacts: IContacts) -> None:
        self.sharers = Sharers()
        self._pep = pep
        self._contacts = contacts
        self._interests = Interests(self._ask)
        # Since when a session is available: an object for each time.
        self._presences: WeakKeyDictionary[ISession, object] = WeakKeyDictionary()
        # The capabilities that a session has announced last.
        self._announced: WeakKeyDictionary[ISession, object] = WeakKeyDictionary()
        # The latest presence from elsewhere whose capabilities are not known yet, by account and full JID.
        self._sharing: dict[tuple[str, str], Element] = {}
        contacts.observers.append(self.contactChanged)

    def send(self, message: Element) -> None:
        """Send a message of an account."""
        self._pep.send(message)

    # The presence of sessions

    def _ask(self, full: str, node: str) -> Deferred[Element]:
        """Ask a client for its capabilities."""
        return self._pep.parent.request(_InfoRequest(full, node)).addCallback(queryIn)

    def sessionPresent(self, session: ISession, presence: Element) -> None:
        """Find out which events a session wants, whose available presence has been broadcast."""
        caps = capabilitiesIn(presence)
        if session in self._announced and self._announced[session] == caps:
            return
        self._announced[session] = caps

        def found(nodes: frozenset[str]) -> None:
            if session.priority is None or session.ended or self._announced.get(session) != caps:
                return
            new = nodes - session.notifiedNodes
            session.notifiedNodes = nodes
            if new:
                Deferred.fromCoroutine(self._sendLastOfAll(session, new)).addErrback(_logFailure)

        self._interests.lookUp(session.fullText, presence, found)

    def presenceOf(self, session: ISession) -> object:
        """An object that stays the same as long as a session of this host is available."""
        return self._presences.setdefault(session, object())

    def sessionGone(self, session: ISession, presence: Element) -> None:
        """A session is not available any more."""
        session.notifiedNodes = NOTHING
        self._announced.pop(session, None)
        self._presences.pop(session, None)
        account = session.account.bare
        if all(other.priority is None for other in self._pep.parent.sessions.forAccount(account).values()):
            Deferred.fromCoroutine(self._purgeOffline(session.jid, account)).addErrback(_logFailure)

    async def _sendLastOfAll(self, session: ISession, nodes: frozenset[str]) -> None:
        """Send a session the last items of its own account and of those whose presence its account may have."""
        account = session.account.bare
        with telling(account):
            contacts = await self._contacts.contacts(account)
            accounts: dict[str, list[str]] = {session.jid.domain: [account]}
            for contact, item in contacts.items():
                if item.subscription in _SUBSCRIBED_TO:
                    accounts.setdefault(contact.rpartition("@")[2], []).append(contact)
            for domain, found in accounts.items():
                peer = self._pep if domain == self._pep.parent.name else self._pep.peers.get(domain)
                if peer is not None:
                    await peer.followers.sendLast(session, found, nodes)

    async def sendLast(
        self, session: ISession, accounts: Iterable[str], nodes: frozenset[str], before: Relation | None = None
    ) -> None:
        """
        Send a session the last items of accounts of this host.

        @param before: what its account was to them before: what it had access to then, it has already.
        @raise StoreError: if they cannot be read.
        @raise StanzaError: likewise.
        """

        async def mayReach(account: str) -> bool:
            if account == session.account.bare:
                return True
            if blocks(session.userState, jids.parse(account)):
                return False
            return not blocks(await self._pep.stateOf(account), session.jid)

        home = self._pep.peers.get(session.jid.domain, self._pep).followers
        now = home.presenceOf(session)

        def isPresent() -> bool:
            return session.priority is not None and not session.ended and home.presenceOf(session) is now

        recipient = _SessionRecipient(session, isPresent)
        await sendLastItems(self._pep, list(accounts), nodes, recipient, mayReach, before)

    async def _purgeOffline(self, by: JID, account: str) -> None:
        """Purge the nodes of an account that has gone offline that are configured so."""
        with telling(account):
            for name in await self._pep.store.configured(account, "purge_offline", "1"):
                async with self._pep.writing(account, name):
                    node = await self._pep.nodes.get(account, name)
                    if node is not None and node.configuration.purgeOffline:
                        await self._pep.store.purge(account, name)
                        if node.configuration.notifyRetract:
                            event, _ = events.eventOf("purge", name)
                            await self._pep.announce(node, event, by)

    # Presence from elsewhere

    def presenceReceived(self, element: Element, to: JID) -> None:
        """Note who shares presence with an account: resources elsewhere, and those here by directed presence."""
        type = element.attributes.get("type")
        if to.resource or type not in (None, "unavailable"):
            return
        sender = jids.parse(element.attributes["from"])
        key = (to.bare, sender.full)
        if type is not None:
            self._sharing.pop(key, None)
            self.sharers.remove(*key)
            return
        session = self._pep.parent.sessions.byFullJID(sender)
        if not sender.resource or (session is not None and to.full not in session.directed):
            return
        self._sharing[key] = element

        def found(nodes: frozenset[str]) -> None:
            if self._sharing.get(key) is element:
                del self._sharing[key]
                Deferred.fromCoroutine(self._shares(*key, nodes)).addErrback(_logFailure)

        self._interests.lookUp(sender.full, element, found)

    async def _shares(self, account: str, full: str, nodes: frozenset[str]) -> None:
        with telling(account):
            relation = await self._pep.relation(account, full.partition("/")[0])
            new = nodes - (self.sharers.get(account, full) or NOTHING)
            self.sharers.put(account, full, nodes, relation.presence)
            if new:
                await self._sendLastToSharer(account, full, new)

    async def _sendLastToSharer(
        self, account: str, full: str, nodes: frozenset[str], before: Relation | None = None
    ) -> None:
        address = jids.parse(full)

        async def mayReach(account: str) -> bool:
            return not blocks(await self._pep.stateOf(account), address)

        await sendLastItems(self._pep, [account], nodes, _SharerRecipient(self, account, full), mayReach, before)

    # Contacts

    def contactChanged(self, account: str, contact: str, old: RosterItem, new: RosterItem) -> None:
        """See L{IContacts}: access follows (§7.1)."""
        before, now = relationOf(old), relationOf(new)
        if before != now:
            Deferred.fromCoroutine(self._relationChanged(account, contact, before, now)).addErrback(_logFailure)

    async def _relationChanged(self, account: str, contact: str, before: Relation, now: Relation) -> None:
        with telling(account), storing(account):
            if now.presence:
                for session in list(self._pep.parent.sessions.forAccount(contact).values()):
                    if session.notifiedNodes:
                        await self.sendLast(session, [account], session.notifiedNodes, before)
                for full, nodes in self.sharers.ofBare(account, contact):
                    self.sharers.put(account, full, nodes, True)
                    await self._sendLastToSharer(account, full, nodes, before)
            if before.presence:
                await self._cancelSubscriptions(account, contact)

    async def _cancelSubscriptions(self, account: str, contact: str) -> None:
        """End the subscriptions of a contact to nodes that they may not access any more."""
        for name, address, _ in await self._pep.store.subscriptions(account, contact):
            async with self._pep.writing(account, name):
                node = await self._pep.nodes.get(account, name)
                if node is None or address not in node.subscriptions:
                    continue
                relation = await self._pep.relation(account, contact)
                if node.configuration.accessModel in _BY_ROSTER and not mayAccess(node, contact, relation):
                    await self._pep.commit(node, Update(subscriptions={address: None}))
                    tellSubscriber(self._pep, node, address, None)


def capabilitiesIn(presence: domish.Element) -> tuple[str | None, ...] | None:
    """What a presence announces of capabilities (XEP-0115 §4); C{None} for nothing."""
    for child in presence.elements():
        if (child.uri, child.name) == (ns.CAPS, "c"):
            return tuple(child.attributes.get(name) for name in ("hash", "node", "ver"))
    return None


def _logFailure(failure: Failure) -> None:
    _log.failure("personal eventing failed", failure)
