# -*- test-case-name: tests.im.test_subscribing -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Managing presence subscriptions (RFC 6121 §3), and answers to presence probes (§4.3.2): filters of the user domain.

A change is durable before the other side, and the account's own clients, learn of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from muccore.im.accountroster import AccountRoster
from muccore.im.presence import PresenceHandler
from muccore.im.roster import RosterFeature, RosterHandler
from muccore.im.rosters import PlannedChange, Rosters
from muccore.im.subscriptionstates import INBOUND, OUTBOUND, TYPES, State, inState, isRouted, stateOf
from muccore.interfaces import IAuthBackend, ISession, IUserDomain, StoreError
from muccore.interfaces.filters import CONSUMED, PRESENCE
from muccore.log.eventlog import limit
from muccore.log.logger import Logger
from muccore.routing.handler import Handler
from muccore.xmpp import jid as jids
from muccore.xmpp import ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered, render, toAttribute
from muccore.xmpp.specs import Spec

REQUEST_LIMIT: Final = 4096
"""Bytes of a request, which is kept until it is answered."""

CANCELLED: Final = 50
"""Contacts of an account that is being removed who are told at once; then others have a turn."""

REQUESTS_LIMIT: Final = 100
"""Requests to one account that are kept; others are only shown to those who are there."""

Redeem = Callable[[str, str], Awaitable[bool]]
"""
Called with an account and the token in a request to it (XEP-0379): whether that is of an invitation of the account,
which then is used.
"""

_log: Final = Logger()


class SubscriptionHandler(Handler):
    """
    Takes presence of the types C{subscribe}, C{subscribed}, C{unsubscribe}, C{unsubscribed} and C{probe}.

    @ivar redeem: finds out whether who wants a subscription was invited; C{None}: nobody is.
    @ivar peers: the handlers of all hosts of this server, by domain.
    """

    implements = (
        Spec(6121, "XMPP: Instant Messaging and Presence", note="Subscriptions, with pre-approval (§3).", series="RFC"),
    )
    streamFeatures = (RosterFeature(51, ns.SUBSCRIPTION_PRE_APPROVAL, "sub"),)

    parent: IUserDomain

    def __init__(
        self, rosters: Rosters, roster: RosterHandler, presence: PresenceHandler, accounts: IAuthBackend
    ) -> None:
        super().__init__()
        self._rosters = rosters
        self._roster = roster
        self._presence = presence
        self._accounts = accounts
        self.peers: dict[str, SubscriptionHandler] = {}
        self.redeem: Redeem | None = None

    # From the account's own clients

    def onOutbound(self, session: ISession, element: Element, to: JID | None) -> Any:
        """Change the subscription as the user wants, and send the stanza on (RFC 6121 §3.1.2 and the like)."""
        type = element.attributes.get("type")
        if type not in TYPES:
            return element
        if to is None:
            raise StanzaError("bad-request", text=f"presence of type {type} needs an address")
        account, contact = session.account.bare, to.bare
        if contact == account:
            return CONSUMED
        sent = element.copy()
        sent.attributes.update({"from": account, "to": contact})
        if len(render(sent)) > REQUEST_LIMIT:
            raise StanzaError("policy-violation", text=f"It is longer than {REQUEST_LIMIT} bytes.")

        def plan(roster: AccountRoster) -> PlannedChange:
            return self._planOutbound(roster, account, contact, type, sent)

        self._rosters.change(account, plan, element).addErrback(self._refused, session, element)
        return CONSUMED

    def _planOutbound(
        self, roster: AccountRoster, account: str, contact: str, type: str, sent: Element
    ) -> PlannedChange:
        old = roster.item(contact)
        state = stateOf(old)
        new = OUTBOUND[type].get(state, state)
        item = inState(old, new)
        if type == "subscribed" and not new.hasFrom:
            # §3.4.2
            item = replace(item, approved=True)
        elif type == "unsubscribed":
            item = replace(item, approved=False)
        if type in ("subscribe", "subscribed") and not old.listed and item != old:
            item = replace(item, listed=True)
            self._roster.checkLimit(roster, contact, item)

        def announce() -> None:
            if type == "unsubscribed" and state.hasFrom:
                # §3.2.2: while they are still subscribed.
                self._presence.sendUnavailable(account, contact)
            if isRouted(type, state):
                self.parent.send(sent)
            if item != old and (item.listed or old.listed):
                self._roster.push(account, roster, contact)
            if new.hasFrom and not state.hasFrom:
                self._presence.sendPresence(account, contact)

        return PlannedChange({contact: item}, announce)

    def _refused(self, failure: Failure, session: ISession, element: Element) -> None:
        session.sendError(element, self.parent.toStanzaError(failure))

    # From contacts

    def onInbound(self, element: Element, to: JID, recipients: object) -> Any:
        """Change the subscription as the contact wants, and tell the account's clients (RFC 6121 §3.1.3, ...)."""
        type = element.attributes.get("type")
        if type == "probe":
            self._answerProbe(element, to)
            return CONSUMED
        if type not in TYPES:
            if not self._rosters.isChanging(to.bare):
                return element
            self._deliverInOrder(element, to)
            return CONSUMED
        contact, account = jids.parse(element.attributes["from"]).bare, to.bare
        # §8.5.3.2.2: to a resource, only requests count.
        if contact == account or (to.resource and type != "subscribe"):
            return CONSUMED
        received = element.copy()
        received.attributes.update({"from": contact, "to": account})

        def plan(roster: AccountRoster) -> PlannedChange | Awaitable[PlannedChange]:
            if type == "subscribe":
                return self._planRequest(roster, account, contact, received)
            return self._planInbound(roster, account, contact, type, received)

        self._change(account, plan, element)
        return CONSUMED

    def _deliverInOrder(self, element: Element, to: JID) -> None:
        """Deliver presence after changes that are being made: it must not precede that it may be seen (§3.1.6)."""

        def deliver(_: object = None) -> None:
            self.parent.redeliver(element, to)

        self._rosters.change(to.bare, lambda roster: PlannedChange({}, deliver), element).addErrback(deliver)

    def _change(
        self, account: str, plan: Callable[[AccountRoster], PlannedChange | Awaitable[PlannedChange]], element: Element
    ) -> None:
        """Carry out what nobody is told the failure of: the sender must not learn whether there is an account."""

        def failed(failure: Failure) -> None:
            if failure.check(StoreError) is not None:
                # Whoever sends requests must not be able to fill the log.
                if limit.admits("subscriptions", account):
                    _log.error("a change of the roster of {account} failed: {error}", account=account,
                               error=failure.getErrorMessage())  # fmt: skip
            elif failure.check(StanzaError) is None:
                _log.failure("a change of the roster of {account} failed", failure, account=account)

        self._rosters.change(account, plan, element).addErrback(failed)

    async def _planRequest(
        self, roster: AccountRoster, account: str, contact: str, received: Element
    ) -> PlannedChange:
        old = roster.item(contact)
        state = stateOf(old)
        if not (state.hasFrom or old.approved) and state in INBOUND["subscribe"]:
            invited = await self._planInvited(roster, account, contact, received)
            if invited is not None:
                return invited
        if state.hasFrom or old.approved:
            # §3.1.3, §3.4.2: the contact has it, or may have it.
            new = state if state.hasFrom else OUTBOUND["subscribed"][INBOUND["subscribe"].get(state, state)]
            item = inState(old, new)

            def approve() -> None:
                self.parent.send(stanza("presence", "subscribed", from_=account, to=contact))
                if item != old:
                    self._roster.push(account, roster, contact)
                self._presence.sendPresence(account, contact)

            return PlannedChange({contact: item}, approve)
        if state not in INBOUND["subscribe"] or not (old.listed or await self._accounts.hasAccount(account)):
            return PlannedChange({}, _nothing)
        kept = len(roster.requests()) < REQUESTS_LIMIT and len(render(received)) <= REQUEST_LIMIT
        new = INBOUND["subscribe"][state]
        item = inState(old, new, _kept(received)) if kept else old

        def deliver() -> None:
            self._deliver(account, received, self._presence.available(account))

        return PlannedChange({contact: item}, deliver)

    async def _planInvited(
        self, roster: AccountRoster, account: str, contact: str, received: Element
    ) -> PlannedChange | None:
        """Approve a request with the token of an invitation, and ask for a subscription in turn (XEP-0379 §3.5)."""
        preauth = received.child("preauth", ns.PARS)
        if preauth is None or self.redeem is None or not await self.redeem(account, preauth.get("token") or ""):
            return None
        old = roster.item(contact)
        approved = OUTBOUND["subscribed"][INBOUND["subscribe"][stateOf(old)]]
        item = replace(inState(old, OUTBOUND["subscribe"].get(approved, approved)), listed=True)

        def announce() -> None:
            self.parent.send(stanza("presence", "subscribed", from_=account, to=contact))
            self._roster.push(account, roster, contact)
            self._presence.sendPresence(account, contact)
            if item.ask:
                self.parent.send(stanza("presence", "subscribe", from_=account, to=contact))

        return PlannedChange({contact: item}, announce)

    def _planInbound(
        self, roster: AccountRoster, account: str, contact: str, type: str, received: Element
    ) -> PlannedChange:
        old = roster.item(contact)
        state = stateOf(old)
        new = INBOUND[type].get(state)
        if new is None:
            return PlannedChange({}, _nothing)

        def announce() -> None:
            interested = [each for each in self.parent.sessions.forAccount(account).values() if each.interested]
            self._deliver(account, received, interested)
            if old.listed:
                self._roster.push(account, roster, contact)
            if state.hasFrom and not new.hasFrom:
                self._presence.sendUnavailable(account, contact)

        return PlannedChange({contact: inState(old, new)}, announce)

    def _deliver(self, account: str, element: Element, sessions: Any) -> None:
        rendered, to = Rendered.of(element), toAttribute(account)
        for session in sessions:
            session.deliver(rendered, to)

    # By invitation

    async def befriend(self, account: JID, contact: JID) -> None:
        """
        Subscribe two accounts of this server to each other, as one has invited the other (XEP-0401 §6.3.2).

        @raise StanzaError: if a roster has no place for it, or cannot be changed.
        """
        inviter = self.peers.get(contact.domain)
        if inviter is None or not await inviter.hasAccount(contact):
            # It was removed meanwhile: a new one of its name must not have this contact.
            return
        for one, other in ((contact, account), (account, contact)):
            handler = self.peers.get(one.domain)
            if handler is not None:
                await handler.subscribeBoth(one.bare, other.bare)

    async def hasAccount(self, account: JID) -> bool:
        """Whether there is an account of this host."""
        return await self._accounts.hasAccount(account.bare)

    def subscribeBoth(self, account: str, contact: str) -> Deferred[Any]:
        """Bring a contact of an account into the state C{both}; its clients get a push, the contact its presence."""

        def plan(roster: AccountRoster) -> PlannedChange:
            old = roster.item(contact)
            item = replace(inState(old, State.BOTH), listed=True)
            self._roster.checkLimit(roster, contact, item)

            def announce() -> None:
                if item != old:
                    self._roster.push(account, roster, contact)
                    self._presence.sendPresence(account, contact)

            return PlannedChange({contact: item}, announce)

        return self._rosters.change(account, plan)

    # The account is removed

    async def cancelAll(self, account: JID) -> None:
        """
        Cancel all subscriptions of an account that is being removed, in both directions, and delete its roster.
        Contacts at this server are told whether they block the account or not: a new one of its name must not have what
        this one had.

        @raise StanzaError: if a roster cannot be changed.
        @raise StoreError: if it cannot be deleted.
        """

        def plan(roster: AccountRoster) -> PlannedChange:
            return PlannedChange({}, lambda: [(contact, stateOf(item)) for contact, item in roster.items.items()])

        contacts = await self._rosters.change(account.bare, plan)
        for start in range(0, len(contacts), CANCELLED):
            batch = contacts[start : start + CANCELLED]
            try:
                await gatherResults([self._cancel(account.bare, *each) for each in batch], consumeErrors=True)
            except FirstError as e:
                raise _first(e) from None
            await deferLater(self.parent.clock, 0)
        await self._rosters.delete(account.bare)

    def _cancel(self, account: str, contact: str, state: State) -> Deferred[Any]:
        """Tell a contact (RFC 6121 §2.5.2); fires when a contact at this server has lost the subscriptions."""
        types = [
            *(["unsubscribe"] if state.hasTo or state.pendingOut else []),
            *(["unsubscribed"] if state.hasFrom or state.pendingIn else []),
        ]
        here = self.peers.get(jids.parse(contact).domain)
        waiting = []
        for type in types:
            element = stanza("presence", type, from_=account, to=contact)
            if here is None:
                self.parent.send(element)
            else:
                waiting.append(here.receive(contact, account, type, element))
        return gatherResults(waiting, consumeErrors=True)

    def receive(self, account: str, contact: str, type: str, element: Element) -> Deferred[Any]:
        """Handle C{unsubscribe} or C{unsubscribed} of a contact of an account, as if it had come to that."""
        return self._rosters.change(
            account, lambda roster: self._planInbound(roster, account, contact, type, element)
        )

    # Probes

    def _answerProbe(self, element: Element, to: JID) -> None:
        """Answer a probe: with presence, or that there is no subscription, which is so without an account, too."""
        sender, account = jids.parse(element.attributes["from"]), to.bare

        def answer(roster: AccountRoster) -> None:
            if sender.bare != account and not stateOf(roster.item(sender.bare)).hasFrom:
                self.parent.send(stanza("presence", "unsubscribed", from_=account, to=sender.bare))
            elif not self._presence.sendPresence(account, sender.full):
                self.parent.send(stanza("presence", "unavailable", from_=account, to=sender.full))

        self._change(account, lambda roster: PlannedChange({}, lambda: answer(roster)), element)

    outbound = {("presence", PRESENCE): onOutbound}
    inbound = {("presence", PRESENCE): onInbound}


def _kept(request: Element) -> bytes:
    """A request as it is kept: without C{to}."""
    rendered = Rendered.of(request)
    return rendered.head + rendered.tail


def _first(error: FirstError) -> BaseException:
    """What has failed."""
    inner = error.subFailure.value
    if isinstance(inner, FirstError):
        return _first(inner)
    return error if inner is None else inner


def _nothing() -> None:
    """What is announced if nothing has happened."""
