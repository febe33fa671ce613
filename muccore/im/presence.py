# -*- test-case-name: tests.im.test_presence -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The presence of sessions (RFC 6121 §4): an outbound filter, and an observer of their end.

It broadcasts presence to the account's available resources and to the contacts who have a subscription to it, and
tracks directed presence, to revoke it however the session ends; both in slices if they are many (docs/design/0019).

The roster of the account may have to be loaded first: then its broadcasts wait, in order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from muccore.im.accountroster import AccountRoster
from muccore.im.broadcasts import PresenceBroadcasts, addressed, blocks
from muccore.im.rosters import PlannedChange, Rosters
from muccore.im.subscriptionstates import stateOf
from muccore.interfaces import ISession, ISessionObserver, IUserDomain
from muccore.interfaces.filters import CONSUMED, PRESENCE
from muccore.net.slices import RENDERING, SLICE, Slices, Steps
from muccore.routing.handler import Handler
from muccore.xmpp import jid as jids
from muccore.xmpp import ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered, toAttribute

_PRIORITY: Final = re.compile(r"[+-]?[0-9]{1,4}")

_GOODBYE: Final = 2 * RENDERING
"""The cost of unavailable presence to one address, in a slice."""

_PROBE: Final = 3 * RENDERING
"""The cost of a probe and its answer."""

_PRESENCE_LIMIT: Final = 16 * 1024
"""Bytes of broadcast presence, which is kept."""

_UNAVAILABLE_COST_LIMIT: Final = 20_000
"""
Cost limit for final unavailable presence: (tags + bytes/256) x recipients, each of whom gets a copy; above it the
payload is dropped.
"""

_PRESENCE: Final = b"<presence"


@implementer(ISessionObserver)
class PresenceHandler(Handler):
    """
    Keeps and sends the presence of sessions; each may direct presence to C{directedLimit} addresses.

    What a broadcast sends is charged to the client that causes it (docs/design/0020).

    @ivar readyObservers: called with a session that becomes available with a priority that is not negative, so that it
        gets messages to the account.
    @ivar availableObservers: called with a session whose available presence is valid and will be broadcast.
    @ivar presentObservers: called with a session whose available presence is on its way to others, and the presence.
    @ivar goneObservers: called with a session that is not available any more, and its unavailable presence.
    """

    parent: IUserDomain

    def __init__(self, directedLimit: int, rosters: Rosters) -> None:
        super().__init__()
        self.directedLimit = directedLimit
        self._rosters = rosters
        self.readyObservers: list[Callable[[ISession], None]] = []
        self.availableObservers: list[Callable[[ISession], None]] = []
        self.presentObservers: list[Callable[[ISession, Element], None]] = []
        self.goneObservers: list[Callable[[ISession, Element], None]] = []
        self._payer: ISession | None = None
        self._slices: Slices | None = None
        self._broadcasts = PresenceBroadcasts(lambda element: self.send(element), self._mayBeReached)
        # Unavailable presence that is left to send for sessions that have ended: by full JID, then by address.
        self._goodbyes: dict[str, dict[str, Element]] = {}

    def onPresence(self, session: ISession, element: Element, to: JID | None) -> Any:
        """Handle presence that a client sends; return it, to be routed, or L{CONSUMED}."""
        if to is not None:
            if session.fullText in self._goodbyes:
                self._sayGoodbye(session.fullText, {to.bare})
            self._broadcasts.tell(session.fullText, to.bare)
        type = element.attributes.get("type")
        if type is None:
            if to is None:
                priority = _priorityIn(element)
                presence = Rendered.of(element).withoutElement()
                if len(presence.tail) > _PRESENCE_LIMIT:
                    raise StanzaError("policy-violation", text="the presence is too large")
                for observer in self.availableObservers:
                    observer(session)

                def available(roster: AccountRoster) -> None:
                    self._available(session, priority, element, presence, roster)

                self._withRoster(session, element, available)
                return CONSUMED
            self._trackDirected(session, to)
        elif type == "unavailable":
            if to is None:
                told = self._sendDirectedUnavailable(session, element)
                self._withRoster(session, element, lambda roster: self._unavailable(session, element, roster, told))
                return CONSUMED
            session.directed.pop(to.full, None)
        elif type not in ("probe", "error"):
            raise StanzaError("bad-request", text="unknown type of presence")
        # Without an address a probe is dropped: servers, not clients, send probes (RFC 6121 §4.3).
        return element

    def _withRoster(self, session: ISession, element: Element, function: Callable[[AccountRoster], None]) -> None:
        """Call a function with the roster of a session's account: at once, unless it has to be waited for."""
        account = session.account.bare
        roster = self._rosters.loaded(account)
        if roster is not None:
            function(roster)
            return

        def failed(failure: Failure) -> None:
            session.sendError(element, self.parent.toStanzaError(failure))

        waiting = self._rosters.change(account, lambda roster: PlannedChange({}, lambda: function(roster)), element)
        waiting.addErrback(failed)

    def sessionEnded(self, session: ISession) -> None:
        """Send unavailable presence to everyone who has presence of this session."""
        gone = stanza("presence", "unavailable", from_=session.fullText)
        goodbyes = self._goodbyes.setdefault(session.fullText, {})
        goodbyes.update(dict.fromkeys(session.directed, gone))
        slices = self._getSlices()
        addresses, session.directed = list(session.directed), {}
        # Nobody waits for it: with others of the same turn, it does not begin before theirs.
        slices.run(self._sayGoodbyes(session.fullText, addresses), SLICE if slices.isBusy else 0)
        # That it becomes available may be waiting still.
        if session.priority is not None or self._rosters.loaded(session.account.bare) is None:
            told = frozenset(addresses)
            self._withRoster(session, gone, lambda roster: self._unavailable(session, gone, roster, told))
        self._rosters.released(session.account.bare)

    def _getSlices(self) -> Slices:
        if self._slices is None:
            self._slices = Slices(self.parent.clock)
        return self._slices

    def shutDown(self, final: bool) -> None:
        """Send what is left to send."""
        if self._slices is not None:
            self._slices.finish()
        self._slices = Slices(None)

    def _sayGoodbyes(self, full: str, addresses: Sequence[str]) -> Steps:
        """Send unavailable presence to the addresses of a session that has ended, unless that has been done."""
        goodbyes = self._goodbyes[full]
        for address in addresses:
            yield _GOODBYE
            self._sendGoodbye(goodbyes, address)
        if not goodbyes and self._goodbyes.get(full) is goodbyes:
            del self._goodbyes[full]

    def _sayGoodbye(self, full: str, to: Collection[str]) -> None:
        """Send unavailable presence of the session that had a full JID before another one sends some there."""
        goodbyes = self._goodbyes[full]
        for address in [address for address in goodbyes if address.partition("/")[0] in to]:
            self._sendGoodbye(goodbyes, address)

    def _sendGoodbye(self, goodbyes: dict[str, Element], address: str) -> None:
        element = goodbyes.pop(address, None)
        if element is not None:
            self._sendTo(address, element)

    def _trackDirected(self, session: ISession, to: JID) -> None:
        """
        Note that presence has been directed to an address (RFC 6121 §4.6.3).

        At the limit, it replaces the oldest address at the same bare JID, if there is one: a client that keeps changing
        its nick in a room directs presence to ever new addresses of that room.

        @raise StanzaError: C{resource-constraint} if it cannot be noted.
        """
        directed = session.directed
        full = to.full
        # Again: it comes last, as the latest nick in its room.
        known = directed.pop(full, None) is not None
        if not known and len(directed) >= self.directedLimit:
            for other in directed.values():
                if other.bare == to.bare:
                    del directed[other.full]
                    break
            else:
                raise StanzaError("resource-constraint", text="presence is directed to too many addresses")
        directed[full] = to

    # To the account's resources and contacts

    def available(self, account: str) -> list[ISession]:
        """The available resources of an account, a bare JID."""
        return [each for each in self.parent.sessions.forAccount(account).values() if each.priority is not None]

    def _deliverToResources(self, session: ISession, rendered: Rendered) -> None:
        """Send presence to the available resources of the account."""
        resources = self.available(session.account.bare)
        for other in resources:
            other.deliver(rendered, toAttribute(other.fullText))
        (self._payer or session).charge(len(resources) * len(rendered.tail), 0.0)

    def broadcastAgain(self, session: ISession, element: Element, payer: ISession | None) -> None:
        """
        Broadcast presence of a session as if its client had sent it.

        @param payer: who is charged for it; C{None}: the session.
        """
        self._payer = payer
        try:
            self.parent.filterOutbound(session, element, None)
        finally:
            self._payer = None

    def _mayBeReached(self, contact: str) -> bool:
        """Whether presence to a contact can reach anybody: not an account here without available resources."""
        # Not parsed, since that takes longer than sending it.
        bare = contact.partition("/")[0]
        account, _, domain = bare.rpartition("@")
        return not account or domain != self.parent.name or bool(self.available(bare))

    def sendPresence(self, account: str, to: str) -> bool:
        """
        Send the presence of an account's available resources to somebody who may have it.

        @return: whether there are any.
        """
        sessions = self.available(account)
        for session in sessions:
            if session.presence is not None:
                if session.fullText in self._goodbyes:
                    self._sayGoodbye(session.fullText, {jids.parse(to).bare})
                self._broadcasts.tell(session.fullText, jids.parse(to).bare)
                self.send(addressed(session.presence, to))
        return bool(sessions)

    def sendUnavailable(self, account: str, to: str) -> None:
        """Tell somebody who may not have the presence of an account any more that its resources are unavailable."""
        for session in self.available(account):
            self.send(stanza("presence", "unavailable", from_=session.fullText, to=to))

    def maySee(self, account: str, requester: JID) -> Deferred[bool]:
        """Whether somebody may see the presence of an account: the account itself, and who has a subscription to it."""
        if requester.bare == account:
            return succeed(True)

        def plan(roster: AccountRoster) -> PlannedChange:
            return PlannedChange({}, lambda: stateOf(roster.item(requester.bare)).hasFrom)

        return self._rosters.change(account, plan)

    # Blocking (XEP-0191)

    def withdraw(self, account: JID, matches: Callable[[JID], bool]) -> None:
        """Send unavailable presence of an account's sessions to the addresses that match and have their presence."""
        for session in self.parent.sessions.forAccount(account.bare).values():
            for full, address in list(session.directed.items()):
                if matches(address):
                    del session.directed[full]
                    self.send(stanza("presence", "unavailable", from_=session.fullText, to=full))

        def withdrawFromContacts(roster: AccountRoster) -> None:
            contacts = [contact for contact in roster.subscribers() if matches(jids.parse(contact))]
            # Of sessions that have gone already, some may not have been told.
            self._broadcasts.withdraw(account.bare, contacts)
            for contact in contacts:
                self.sendUnavailable(account.bare, contact)

        self._lookUp(account.bare, withdrawFromContacts)

    def restore(self, account: JID, matches: Callable[[JID], bool]) -> None:
        """
        Send the present presence of an account's sessions to the contacts that match and may have it, and ask for that
        of those who have been kept from sending it.
        """

        def restoreToContacts(roster: AccountRoster) -> None:
            for contact, item in list(roster.items.items()):
                if matches(jids.parse(contact)) and self.available(account.bare):
                    state = stateOf(item)
                    if state.hasFrom:
                        self.sendPresence(account.bare, contact)
                    if state.hasTo:
                        self.send(stanza("presence", "probe", from_=account.bare, to=contact))

        self._lookUp(account.bare, restoreToContacts)

    def _lookUp(self, account: str, function: Callable[[AccountRoster], None]) -> None:
        """Call a function with a roster, at once or when it is there. A failure is logged with the rosters."""
        roster = self._rosters.loaded(account)
        if roster is not None:
            function(roster)
            return
        waiting = self._rosters.change(account, lambda roster: PlannedChange({}, lambda: function(roster)))
        waiting.addErrback(lambda failure: failure.trap(StanzaError) and None)

    # The account's own presence

    def _available(
        self, session: ISession, priority: int, element: Element, presence: Rendered, roster: AccountRoster
    ) -> None:
        """
        Broadcast initial or updated presence (RFC 6121 §4.2.2, §4.4.2), to this resource, too. After the initial one,
        find out the presence of others.
        """
        if session.ended:
            return
        initial, wasReady = session.priority is None, session.priority is not None and session.priority >= 0
        if session.priority != priority:
            session.priority = priority
            session.prioritySince = self.parent.now()
            for each in self.parent.sessions.forAccount(session.account.bare).values():
                if each.management is not None:
                    each.management.mark()
        session.presence = presence
        if session.fullText in self._goodbyes:
            # Before the presence of this one, which is broadcast to them.
            self._sayGoodbye(session.fullText, {session.account.bare, *roster.subscribers()})
        self._deliverToResources(session, presence)
        if initial:
            self._sendPending(session, roster)
        following = self._findPresence(session, roster) if initial else None
        self._broadcasts.begin(self._getSlices(), session, presence, roster, (), following, self._payer)
        if priority >= 0 and not wasReady:
            for observer in self.readyObservers:
                observer(session)
        for present in self.presentObservers:
            present(session, element)

    def _sendPending(self, session: ISession, roster: AccountRoster) -> None:
        """Send a resource the presence of the account's others, and requests that wait for an answer."""
        address, account = toAttribute(session.fullText), session.account.bare
        for other in self.available(account):
            if other is not session and other.presence is not None:
                session.deliver(other.presence, address)
        for contact, request in roster.requests():
            if not blocks(session, contact):
                session.deliver(Rendered(_PRESENCE, request[len(_PRESENCE) :]), toAttribute(account))

    def _findPresence(self, session: ISession, roster: AccountRoster) -> Steps:
        """
        Ask for the presence of contacts (RFC 6121 §4.2.2), and again for subscriptions that were not answered (§3.1.2).
        """
        account = session.account.bare
        for contact in list(roster.items):
            yield _PROBE if self._mayBeReached(contact) else 1
            item = roster.item(contact)
            if session.ended or blocks(session, contact):
                continue
            if stateOf(item).hasTo and self._mayBeReached(contact):
                # One here answers to this resource only; others, as §4.3.1 has it, to the account.
                isHere = contact.partition("/")[0].rpartition("@")[2] == self.parent.name
                self.send(stanza("presence", "probe", from_=session.fullText if isHere else account, to=contact))
            if item.ask:
                self.send(stanza("presence", "subscribe", from_=account, to=contact))

    def _unavailable(
        self, session: ISession, element: Element, roster: AccountRoster, told: Collection[str]
    ) -> None:
        """Broadcast unavailable presence (RFC 6121 §4.5.2), to this resource, too, except to those who know."""
        if session.priority is not None:
            rendered = Rendered.of(element)
            self._deliverToResources(session, rendered)
            session.priority = session.presence = None
            self._broadcasts.begin(self._getSlices(), session, rendered, roster, told)
            for observer in self.goneObservers:
                observer(session, element)

    def _sendDirectedUnavailable(self, session: ISession, element: Element) -> Collection[str]:
        """Send unavailable presence to every address with directed presence (RFC 6121 §4.6.3); return these."""
        directed: dict[str, JID] = session.directed
        session.directed = {}
        tail = Rendered.of(element).tail
        if (tail.count(b"<") + len(tail) // 256) * len(directed) > _UNAVAILABLE_COST_LIMIT:
            element = stanza("presence", "unavailable", from_=session.fullText)
        for address in directed:
            self._sendTo(address, element)
        return directed

    def _sendTo(self, address: str, element: Element) -> None:
        copied = element.copy()
        copied.attributes["to"] = address
        self.send(copied)

    outbound = {("presence", PRESENCE): onPresence}


def _priorityIn(element: Element) -> int:
    """
    The priority of a presence (RFC 6121 §4.7.2.3).

    @raise StanzaError: C{bad-request} if it is none.
    """
    priorities = [child for child in element.childElements() if child.name == "priority" and child.uri == ns.CLIENT]
    if not priorities:
        return 0
    text = priorities[0].text().strip()
    if len(priorities) > 1 or not _PRIORITY.fullmatch(text) or not -128 <= int(text) <= 127:
        raise StanzaError("bad-request", text="the priority of presence must be a number from -128 to 127")
    return int(text)
