# -*- test-case-name: tests.im.test_blocking -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Blocking (XEP-0191), with reports of abuse (XEP-0377), which are logged.

Where the text leaves a choice:

  - A blocked sender gets C{service-unavailable} for messages, but nothing for headlines, which nobody answers for users
    who are away either. Nor for what a room sends: an error would remove the user from it.
  - An account blocks neither itself nor its server, whatever is in the list.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import Any, Final, Protocol

from muccore.im.userdata import storing
from muccore.im.userstate import BLOCKED, UserState, UserStates
from muccore.interfaces import DataTooLarge, ISession, IUserDataStore, IUserDomain
from muccore.interfaces.filters import BLOCKING, CONSUMED
from muccore.interfaces.handlers import ANSWERED
from muccore.log.eventlog import ABUSE_REPORTED
from muccore.routing.handler import BARE, Handler
from muccore.routing.turns import WAITING_LIMIT, Turns
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered, toAttribute
from muccore.xmpp.specs import Spec
from muccore.xmpp.stanzas import parseAddress

_REPORT_LIMIT: Final = 10
"""Reports in one request that are logged."""

_UNANSWERED: Final = frozenset(["error", "groupchat", "headline"])
"""Types of messages of which a blocked sender hears nothing."""


class PresenceWithdrawal(Protocol):
    """What blocking needs of the presence handler."""

    def withdraw(self, account: JID, matches: Callable[[JID], bool]) -> None:
        """Send unavailable presence of all resources to the addresses that match and have their presence."""

    def restore(self, account: JID, matches: Callable[[JID], bool]) -> None:
        """Send the present presence of all resources to the contacts that match and may have it."""


class BlockingHandler(Handler):
    """
    Keeps the lists, and applies them.

    @ivar sizeLimit: bytes of the addresses that an account blocks.
    """

    implements = (
        Spec(191, "Blocking Command", "1.3"),
        Spec(377, "Blocking Command Reports", "0.4.1", "Reports are logged."),
    )
    features = (ns.BLOCKING, ns.REPORTING)

    parent: IUserDomain

    def __init__(self, store: IUserDataStore, states: UserStates, presence: PresenceWithdrawal, sizeLimit: int) -> None:
        super().__init__()
        self._store = store
        self._states = states
        self._presence = presence
        self.sizeLimit = sizeLimit
        self._turns = Turns(WAITING_LIMIT)

    # Requests

    def onList(self, element: Element, to: JID) -> Element:
        """Return the list (§3.2); from now on the client gets pushes."""
        session = self.parent.sessions.byFullJID(jid.parse(element.attributes["from"]))
        if session is not None:
            session.wantsBlockList = True
        return _listed("blocklist", sorted(self._stateOf(to).blocked))

    async def onBlock(self, element: Element, to: JID) -> Any:
        """Block addresses (§3.3)."""
        items = _itemsIn(element)
        if not items:
            raise StanzaError("bad-request", text="There is no address to be blocked.")

        def plan(blocked: set[str]) -> Iterable[str]:
            return items.keys() - blocked

        def apply(state: UserState, added: set[str]) -> None:
            state.blocked |= added
            self._presence.withdraw(to, UserState(to, added, None).blocks)

        return await self._change(element, to, b"", plan, apply, "block", items)

    async def onUnblock(self, element: Element, to: JID) -> Any:
        """Unblock addresses (§3.4), or all (§3.5)."""
        items = _itemsIn(element)

        def plan(blocked: set[str]) -> Iterable[str]:
            return items.keys() & blocked if items else blocked

        def apply(state: UserState, removed: set[str]) -> None:
            state.blocked -= removed
            were = UserState(to, removed, None).blocks
            self._presence.restore(to, lambda address: were(address) and not state.blocks(address))

        return await self._change(element, to, None, plan, apply, "unblock", items)

    async def _change(
        self,
        element: Element,
        account: JID,
        content: bytes | None,
        plan: Callable[[set[str]], Iterable[str]],
        apply: Callable[[UserState, set[str]], None],
        name: str,
        items: dict[str, Element],
    ) -> Any:
        """
        Make a change of an account's list, after those before it: store it, apply it, answer, and push it.

        @param content: of the documents of the addresses that C{plan} chooses.
        @param name: of the pushed element.
        """
        async with self._turns.take(account.bare, element):
            state = self._stateOf(account)
            changed = set(plan(state.blocked))
            with storing():
                try:
                    documents = {(BLOCKED, address): content for address in changed}
                    await self._store.change(account.bare, documents, {BLOCKED: self.sizeLimit})
                except DataTooLarge:
                    text = f"The addresses that you block may have {self.sizeLimit} bytes together; unblock some."
                    raise StanzaError("resource-constraint", text=text) from None
            self.replyDirectly(element)
            apply(state, changed)
            self._push(account, _listed(name, items))
            _logReports(account, items)
            return ANSWERED

    async def forget(self, account: JID) -> None:
        """Wait for requests of an account that is being removed."""
        await self._turns.settle(account.bare)

    def _stateOf(self, account: JID) -> UserState:
        """The state of an account that has sent something, which is behind its loading."""
        state = self._states.get(account.bare)
        assert state is not None, "it is loaded"
        return state

    def _push(self, account: JID, payload: Element) -> None:
        push = stanza("iq", "set", from_=account.bare, id=secrets.token_urlsafe(9))
        push.children.append(payload)
        rendered = Rendered.of(push)
        for session in self.parent.sessions.forAccount(account.bare).values():
            if session.wantsBlockList:
                session.deliver(rendered, toAttribute(session.fullText))

    iqs = {
        ("get", BARE, ns.BLOCKING, "blocklist"): onList,
        ("set", BARE, ns.BLOCKING, "block"): onBlock,
        ("set", BARE, ns.BLOCKING, "unblock"): onUnblock,
    }

    # Filters

    def onSent(self, session: ISession, element: Element, to: JID | None) -> Element:
        """Refuse a stanza to an address that the account blocks (§3.3)."""
        state = session.userState
        if to is not None and state is not None and state.blocks(to):
            blocked = Element((ns.BLOCKING_ERRORS, "blocked"))
            raise StanzaError("not-acceptable", "cancel", "You have blocked this address.", blocked)
        return element

    def onReceived(self, element: Element, to: JID, recipients: Collection[ISession]) -> Any:
        """Drop or refuse a stanza from an address that the account blocks (§3.3)."""
        # A session that has not sent anything yet has no state, while the account may have one.
        state = (next(iter(recipients)).userState if recipients else None) or self._states.get(to.bare)
        if state is None or not state.blocked or not state.blocks(jid.parse(element.attributes["from"])):
            return element
        type = element.attributes.get("type")
        if element.name == "message":
            answered = type not in _UNANSWERED and element.child("x", ns.MUC_USER) is None
        else:
            answered = element.name == "iq" and type in ("get", "set")
        if answered:
            raise StanzaError("service-unavailable")
        return CONSUMED

    outbound = {("message", BLOCKING): onSent, ("presence", BLOCKING): onSent, ("iq", BLOCKING): onSent}
    inbound = {("message", BLOCKING): onReceived, ("presence", BLOCKING): onReceived, ("iq", BLOCKING): onReceived}


def _listed(name: str, addresses: Iterable[str]) -> Element:
    listed = Element((ns.BLOCKING, name))
    for address in addresses:
        listed.add("item", jid=address)
    return listed


def _itemsIn(iq: Element) -> dict[str, Element]:
    """
    Get the items of a request by address, prepared.

    @raise StanzaError: C{bad-request} for an item without address, or anything else; C{jid-malformed} for an address
        that is none.
    """
    items = {}
    for item in next(iq.childElements()).childElements():
        address = item.attributes.get("jid")
        if (item.uri, item.name) != (ns.BLOCKING, "item") or address is None:
            raise StanzaError("bad-request", text="Each item needs an address.")
        items[parseAddress(address).full] = item
    return items


def _logReports(account: JID, items: dict[str, Element]) -> None:
    """Log the first reports in items (XEP-0377 §4), as they are: what they say is not checked."""
    reports = {address: item.child("report", ns.REPORTING) for address, item in items.items()}
    for address, report in islice(((address, each) for address, each in reports.items() if each), _REPORT_LIMIT):
        count = sum(1 for child in report.childElements() if (child.uri, child.name) == (ns.STANZA_ID, "stanza-id"))
        text = (report.childText("text") or "").strip()
        reason = report.attributes.get("reason", "-")
        ABUSE_REPORTED.log(account.bare, target=address, reason=reason, count=count, text=text)
