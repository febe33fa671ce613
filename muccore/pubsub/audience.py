# -*- test-case-name: tests.pubsub.test_audience -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Who hears of the events of an account (XEP-0163 §4.3, XEP-0060 §9.1): delivered in slices if they are many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from muccore.interfaces import ISession, ISessions, IUserState, RosterItem
from muccore.net.slices import RENDERING, Steps
from muccore.pubsub.model.access import STRANGER, Relation, mayAccess
from muccore.pubsub.model.configuration import OPEN, PRESENCE
from muccore.pubsub.model.node import Node, bareOf
from muccore.pubsub.model.subscriptions import SUBSCRIBED
from muccore.pubsub.sharers import Sharers
from muccore.routing.handler import Handler
from muccore.xmpp import jid as jids
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered, render, toAttribute

_AT_ONCE: Final = 50
"""Contacts without recipients that are passed over at a time; recipients after which their sender is charged."""

_SUBSCRIBED: Final = frozenset(["from", "both"])

_BY_PRESENCE: Final = (OPEN, PRESENCE)
"""The access models for all who share presence, unless they have an affiliation."""


def relationOf(item: RosterItem | None) -> Relation:
    """What a contact is to the owner of a roster."""
    if item is None:
        return STRANGER
    return Relation(item.subscription in _SUBSCRIBED, frozenset(item.groups))


def blocks(state: IUserState | None, address: JID) -> bool:
    """Whether an account blocks an address (XEP-0191)."""
    return state is not None and bool(state.blocked) and bool(state.blocks(address))


def _addresses(replyTo: JID) -> Element:
    """Where replies go (XEP-0033)."""
    addresses = Element((ns.ADDRESSES, "addresses"))
    addresses.add("address", type="replyto", jid=replyTo.full)
    return addresses


class Audience:
    """
    Delivers one event.

    First to the sessions of the account itself, then to the contacts here and elsewhere who want it by their
    capabilities, then to who has subscribed and was not reached by that.
    """

    def __init__(
        self, handler: Handler, node: Node, message: Rendered, contacts: Mapping[str, RosterItem],
        state: IUserState | None, sharers: Sharers, payer: ISession | None, replyTo: JID | None = None,
    ) -> None:  # fmt: skip
        """
        @param handler: of the domain of the account.
        @param contacts: the roster of the account.
        @param state: that of the account.
        @param payer: the session that is charged.
        @param replyTo: the resource that has published, which only those learn who share presence with the owner
            (XEP-0163 §4.3.1); C{None}: nobody.
        """
        self._handler = handler
        self._node = node
        self._message = message
        # For those who share presence with the owner.
        self._shared = message if replyTo is None else message.extended(render(_addresses(replyTo)))
        self._contacts = contacts
        self._state = state
        self._sharers = sharers
        self._payer = payer
        self._owner = jids.parse(node.service)
        self._sessions: ISessions = handler.parent.sessions  # type: ignore[attr-defined]
        # Full JIDs that were reached, and bare JIDs of which a resource was.
        self._reached: set[str] = set()
        self._unpaid = 0

    def deliver(self) -> Steps:
        """Do it; see L{muccore.net.slices}."""
        yield from self._toAccounts([self._node.service])
        passed = 0
        allowed: list[str] = []
        for contact in list(self._contacts):
            if self._mayHave(contact):
                allowed.append(contact)
                if len(allowed) == _AT_ONCE:
                    yield from self._toAccounts(allowed)
                    allowed.clear()
            else:
                passed += 1
                if not passed % _AT_ONCE:
                    yield _AT_ONCE
        yield from self._toAccounts(allowed)
        yield from self._toSharers()
        yield from self._toSubscribers()
        if self._payer is not None and self._unpaid:
            self._payer.charge(self._unpaid * self._shared.size, 0.0)

    def _mayHave(self, contact: str) -> bool:
        """Whether a contact shares presence with the owner, may access the node, and is not blocked."""
        item = self._contacts.get(contact)
        if item is None or item.subscription not in _SUBSCRIBED or self._isBlocked(contact):
            return False
        node = self._node
        if contact not in node.affiliations and node.configuration.accessModel in _BY_PRESENCE:
            return True
        return mayAccess(node, contact, relationOf(item))

    def _isBlocked(self, address: str) -> bool:
        return self._state is not None and bool(self._state.blocked) and self._state.blocks(jids.parse(address))

    def _toAccounts(self, accounts: Iterable[str]) -> Steps:
        """To the available resources of accounts here that want it; this is the time that an event takes."""
        name, message, owner, reached = self._node.name, self._shared, self._owner, self._reached
        sessionsOf = self._sessions.forAccount
        count = 0
        for account in accounts:
            sessions = sessionsOf(account)
            for session in tuple(sessions.values()) if sessions else ():
                if name not in session.notifiedNodes:
                    continue
                state = session.userState
                if state is not None and state.blocked and state.blocks(owner):
                    continue
                count += 1
                yield 1
                address = session.fullText
                reached.add(account)
                reached.add(address)
                session.deliver(message, toAttribute(address))
        self._pay(count)

    def _pay(self, count: int) -> None:
        """Charge the sender for messages, some at a time."""
        self._unpaid += count
        if self._unpaid >= _AT_ONCE:
            if self._payer is not None:
                self._payer.charge(self._unpaid * self._shared.size, 0.0)
            self._unpaid = 0

    def _toSharers(self) -> Steps:
        """To resources elsewhere that want it, and to those with directed presence, if anybody may have it."""
        node = self._node
        for full, nodes in list(self._sharers.of(node.service)):
            bare = bareOf(full)
            if node.name in nodes and full not in self._reached and not self._isBlocked(full):
                yield RENDERING
                relation = relationOf(self._contacts.get(bare))
                if mayAccess(node, bare, relation):
                    self._send(full, relation)
                    self._reached.add(bare)

    def _toSubscribers(self) -> Steps:
        """To who has subscribed."""
        node = self._node
        for address, subscription in list(node.subscriptions.items()):
            bare = bareOf(address)
            wanted = subscription.state == SUBSCRIBED and subscription.options.deliver
            if not wanted or address in self._reached or bare == node.service or self._isBlocked(address):
                continue
            yield RENDERING
            relation = relationOf(self._contacts.get(bare))
            if mayAccess(node, bare, relation):
                self._send(address, relation)

    def _send(self, address: str, relation: Relation) -> None:
        """To an address, through the filters of its domain."""
        message = self._shared if relation.presence else self._message
        self._handler.parent.send(message.elementTo(toAttribute(address)))
        self._reached.add(address)
        self._pay(1)
